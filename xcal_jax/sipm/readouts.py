"""One likelihood for the readouts of a satellite: what they have in common is one parameter.

The readouts of one detector are in one box, at one temperature. Each has its own trend, steps and size of errors;
whether its dark counts grow with the temperature as the others' do is a question to the data. Their fits have nothing
in common but that parameter, so that the maximum of the joint likelihood is the generalised least-squares combination
of their parameters with their covariances: exact for trends that are linear in their parameters, and for the power law
as good as its covariance. Scatter that several readouts share is taken for that of each alone. The rise of chi-square
against the separate fits tests whether they agree. A weighted mean whose weights come from the scatter itself is less
sure than its weights say, by Meier's factor (1953, doi 10.2307/3001633).
"""

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.linalg import block_diag
from scipy.stats import chi2

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.trends import half_width
from xcal_jax.units import shown


def combine(
    values: Float[np.ndarray, " N"], covariance: Float[np.ndarray, "N N"], design: Float[np.ndarray, "N P"]
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, "P P"], float]:
    """Parameters of ``values`` = ``design`` parameters, their covariance, and chi-square, by generalised least squares.

    All are brought to errors of one first, since those of a trend span many decades.
    """
    size = np.sqrt(np.diagonal(covariance))
    scale = 1.0 / np.sqrt((design**2 / size[:, None] ** 2).sum(0))
    root = np.linalg.cholesky(covariance / np.outer(size, size))
    known = np.linalg.solve(root, values / size)
    matrix = np.linalg.solve(root, design / size[:, None] * scale)
    found = np.linalg.inv(matrix.T @ matrix)
    parameters = found @ matrix.T @ known
    rest = known - matrix @ parameters
    return parameters * scale, found * np.outer(scale, scale), float(rest @ rest)


def uncertain_weights(variance: Float[np.ndarray, " R"], degrees: Float[np.ndarray, " R"]) -> float:
    """By what the error of a mean of R values grows since its weights are known with so many ``degrees`` of freedom."""
    share = (1.0 / variance) / np.sum(1.0 / variance)
    return float(np.sqrt(1.0 + 4.0 * np.sum(share * (1.0 - share) / degrees)))


@checked
def joint_readouts(fits: dict[str, xr.Dataset], common: tuple[str, ...] = ("temperature",)) -> xr.Dataset:
    """The fits of several readouts as one, in which the ``common`` parameters have one value.

    fits: of `joint_fit` of one quantity, by readout. Returns `parameters` (each readout's own by "readout: name", then
    the common ones), `errors`, `half_width` (of the 95 % interval), `covariance`; `chi_square`, by which the fit is
    worse than separate ones, its `degrees` and `p_value`: small where the readouts do not agree.
    Raises ValueError for fewer than two readouts, other quantities, or a parameter that one of them does not have.
    """
    if len(fits) < 2:
        raise ValueError(f"a joint fit of readouts needs two at least, but has {len(fits)}")
    quantities = sorted({one.attrs["value"] for one in fits.values()})
    if len(quantities) > 1:
        raise ValueError(f"`fits` must be of one quantity, but are of {', '.join(quantities)}")
    for readout, one in fits.items():
        for name in common:
            if name not in one["parameter"].values:
                rule = "`common` parameters must be in every fit"
                raise ValueError(f"{rule}, but {shown(name)} is not in that of {readout}")
    places = [(readout, str(name)) for readout, one in fits.items() for name in one["parameter"].values]
    own = [f"{readout}: {name}" for readout, name in places if name not in common]
    names = [*own, *common]
    columns = [names.index(name if name in common else f"{readout}: {name}") for readout, name in places]
    design = np.eye(len(names))[columns]
    values = np.concatenate([one["parameters"].values for one in fits.values()])
    covariance = block_diag(*(one["covariance"].values for one in fits.values()))
    parameters, found, chi_square = combine(values, covariance, design)
    free = np.array([one["degrees"].item() for one in fits.values()], float)
    variances = [np.array([float(one["errors"].sel(parameter=name)) ** 2 for one in fits.values()]) for name in common]
    wider = np.append(np.ones(len(own)), [uncertain_weights(variance, free) for variance in variances])
    found *= np.outer(wider, wider)
    errors, degrees = np.sqrt(np.diagonal(found)), len(places) - len(names)
    first = next(iter(fits.values()))
    units = first.attrs["units"]
    return xr.Dataset(
        {
            "parameters": variable("parameter", parameters, units, "parameters of each readout, and common ones"),
            "errors": variable("parameter", errors, units, "errors of the parameters"),
            "half_width": variable(
                "parameter", half_width(errors, int(free.sum())), units, "half of the 95 % interval, by Student's t"
            ),
            "covariance": variable(("parameter", "parameter_"), found, f"({units})^2", "covariance"),
            "chi_square": variable((), chi_square, "1", "chi-square that the common parameters cost"),
            "degrees": variable((), degrees, "1", "how many values they replace"),
            "p_value": variable((), float(chi2.sf(chi_square, degrees)), "1", "chance of a larger one if they agree"),
        },
        {"parameter": variable("parameter", names, "1", "readout and parameter, or a common one")},
        {"value": first.attrs["value"], "units": units, "readouts": ", ".join(fits), "common": ", ".join(common)},
    )
