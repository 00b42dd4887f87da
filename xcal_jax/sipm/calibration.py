"""Energy calibration from lines (step 5): Eq. 2, E = k x + b, and two curved forms; lines that are blends (step 4).

A CsI(Tl) crystal on a SiPM is not linear over more than a few hundred keV: light yield changes with energy and the
sensor runs out of free cells. The quadratic E = k x + b + q x^2 is empirical. The saturation describes the sensor: of
the light of E only k x + b = (1 - e^(-c E)) / c is counted, and at the energy 1/c a fraction 1/e of the cells is still
free. Both become Eq. 2 as their last parameter goes to zero.

Unresolved neighbours move the Gaussian that is fitted to a line. At a resolution of 11 % it finds the 356 keV line of
133Ba 1 % too high: 384 keV stands in its upper flank, and 303 keV bends the background under the lower one. At 30 % the
lines from 276 to 384 keV are one, at their weighted mean of 343 keV. Energies and intensities of such a group are
known, and so is what the same fit finds in it without noise: `blend_shift`.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jaxtyping import Float
from numpy.typing import ArrayLike

from xcal_jax import fit
from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.lines import fit_lines
from xcal_jax.sipm.parameters import parameters_dataset
from xcal_jax.units import shown

SHAPES = {"linear": ("k", "b"), "quadratic": ("k", "b", "q"), "saturation": ("k", "b", "c")}
FORMULAS = {"linear": "k x + b", "quadratic": "k x + b + q x^2", "saturation": "-ln(1 - c (k x + b)) / c"}
UNITS = {"k": "keV/ADU", "b": "keV", "q": "keV/ADU^2", "c": "1/keV"}
SMALL = 1e-6  # used fraction of the cells below which a series stands for the logarithm
FULL = 0.999  # used fraction of the cells at most, where the logarithm ends
PEAK_COUNTS = 1e4  # in the highest channel of the spectrum without noise that `blend_shift` fits


def usable(
    position: ArrayLike | Sequence, error: ArrayLike | Sequence, other: ArrayLike | Sequence
) -> tuple[Float[np.ndarray, " n"], ...]:
    """The three arrays (N,) at the n points whose position and error are finite (a vetoed line has neither)."""
    arrays = [np.asarray(a, float).ravel() for a in (position, error, other)]
    good = np.isfinite(arrays[0]) & np.isfinite(arrays[1])
    return tuple(a[good] for a in arrays)


def energy_of(shape: str, parameters: Float[Array, " P"], x: Float[fit.Array, "*N"]) -> Float[Array, "*N"]:
    """Energy, keV, at ``x`` channels. parameters: as in `SHAPES`."""
    straight = parameters[0] * x + parameters[1]
    if shape == "linear":
        return straight
    if shape == "quadratic":
        return straight + parameters[2] * x**2
    used = jnp.minimum(parameters[2] * straight, FULL)
    near = jnp.abs(used) < SMALL
    safe = jnp.where(near, 0.5, used)
    return straight * jnp.where(near, 1.0 + 0.5 * used, -jnp.log1p(-safe) / safe)


@partial(jax.jit, static_argnames="shape")
def slope_at(shape: str, parameters: Float[Array, " P"], x: Float[fit.Array, " N"]) -> Float[Array, " N"]:
    """Slope dE/dx at ``x``, keV per channel."""
    return jax.vmap(jax.grad(energy_of, argnums=2), (None, None, 0))(shape, parameters, x)


@partial(jax.jit, static_argnames="shape")
def fit_shape(shape: str, x: Float[Array, " N"], energy: Float[Array, " N"], sigma: Float[Array, " N"]) -> fit.Fit:
    """One fit: closed form where the shape is a polynomial, which also starts the other. energy, sigma: keV."""
    count = len(SHAPES[shape])
    polynomial = fit.linear(jnp.stack([x, jnp.ones_like(x), x**2], 1)[:, :count], energy, sigma)
    if shape != "saturation":
        return polynomial
    k, b, q = polynomial.parameters
    start = jnp.stack([k, b, 2.0 * q / k**2])
    unit = jnp.abs(jnp.stack([start[0], jnp.max(energy), 1.0 / jnp.max(energy)]))

    def residuals(p, _):
        return (energy_of(shape, p * unit, x) - energy) / sigma

    best = fit.least_squares(residuals, start / unit, None, float(x.size))
    covariance = best.covariance * unit[:, None] * unit[None, :]
    return fit.Fit(best.parameters * unit, covariance, best.chi_square, best.points, best.converged)


@checked
def energy_calibration(
    position: ArrayLike, position_error: ArrayLike, energy: ArrayLike, shape: str = "linear"
) -> xr.Dataset:
    """Calibration by lines: Eq. 2 ("linear", two lines or more), "quadratic" or "saturation" (three or more).

    position, position_error: (N,) channels. energy: (N,) keV, whose error is dE/dx times that of the position.
    Returns `parameters` as in `SHAPES`, `errors`, `covariance` (scaled by chi2/nu where there are more lines than
    parameters and that exceeds one by more than chance), `residual` keV.
    Raises ValueError for another shape, fewer lines that passed than parameters, errors that are not positive,
    lines at one position, or a fit that does not converge.
    """
    if shape not in SHAPES:
        raise ValueError(f"`shape` must be one of {', '.join(SHAPES)}, but is {shown(shape)}")
    names = SHAPES[shape]
    x, error, e = usable(position, position_error, energy)
    if x.size < len(names):
        count = {2: "two", 3: "three"}[len(names)]
        raise ValueError(f"a {shape} calibration needs at least {count} lines, but {x.size} passed")
    if not (error > 0).all():
        raise ValueError("`position_error` must be positive, but one is not")
    if np.unique(x).size < len(names):
        raise ValueError(f"a {shape} calibration needs lines at {len(names)} positions, but they are at {np.unique(x)}")
    with fit.double_precision():
        p = jnp.asarray(np.append(np.polyfit(x, e, 1), 0.0)[: len(names)])
        for _ in range(3):
            slope = slope_at(shape, p, x)
            line = fit_shape(shape, x, e, jnp.abs(slope) * error)
            p = line.parameters
        line = jax.tree.map(np.asarray, fit.scaled(line) if x.size > len(names) else line)
        residual = np.asarray(energy_of(shape, p, x)) - e
    if not line.converged:
        raise ValueError(f"a {shape} calibration does not converge on these lines")
    more = {
        "chi_square": variable((), line.chi_square, "1", "chi-square"),
        "degrees": variable((), x.size - len(names), "1", "degrees of freedom"),
        "position": variable("line", x, "ADU", "line position, channel"),
        "energy": variable("line", e, "keV", "line energy"),
        "residual": variable("line", residual, "keV", "fit minus energy"),
    }
    return calibration_dataset(shape, line.parameters, line.covariance, more)


def energy_slopes(calibration: xr.Dataset, position: ArrayLike | Sequence) -> tuple[np.ndarray, np.ndarray]:
    """dE/dx, keV/ADU, at ``position`` (N,) channels, and dE/dp (N, P) by the parameters of a calibration."""
    shape = calibration.attrs["shape"]
    with fit.double_precision():
        x = np.atleast_1d(np.asarray(position, float))
        parameters = jnp.asarray(calibration["parameters"].values)
        slope = np.asarray(slope_at(shape, parameters, jnp.asarray(x)))
        return slope, np.asarray(jax.jacfwd(lambda p: energy_of(shape, p, x))(parameters))


@checked
def energy_at(calibration: xr.Dataset, position: ArrayLike | Sequence) -> tuple[Float[np.ndarray, " N"], ...]:
    """Energy at ``position`` (N,) channels and its error from the calibration's covariance, keV."""
    x = np.atleast_1d(np.asarray(position, float))
    with fit.double_precision():
        value = np.asarray(energy_of(calibration.attrs["shape"], jnp.asarray(calibration["parameters"].values), x))
    _, slope = energy_slopes(calibration, x)
    return value, np.sqrt(np.einsum("ni,ij,nj->n", slope, calibration["covariance"].values, slope))


def stated_calibration(
    k: float, b: float, k_error: float = 0.0, b_error: float = 0.0, correlation: float = 0.0
) -> xr.Dataset:
    """Eq. 2 as somebody states it, as `energy_calibration` returns it. k, k_error: keV/ADU. b, b_error: keV."""
    errors = np.array([k_error, b_error])
    covariance = np.outer(errors, errors) * np.array([[1.0, correlation], [correlation, 1.0]])
    return calibration_dataset("linear", np.array([k, b]), covariance, {})


def calibration_dataset(
    shape: str, parameters: Float[np.ndarray, " P"], covariance: Float[np.ndarray, "P P"], more: dict
) -> xr.Dataset:
    """A calibration: parameters with their units, errors and covariance, and ``more`` variables."""
    names = SHAPES[shape]
    found = parameters_dataset(names, parameters, covariance, [UNITS[name] for name in names])
    return found.assign(more).assign_attrs(shape=shape)


def over_bias(calibrations: dict[float, xr.Dataset], bias: float) -> xr.Dataset:
    """Eq. 2 at ``bias`` from those at two other settings or more.

    With Eq. 2 turned round, x = E / k - b / k, the ADU per keV, 1/k, are proportional to the light that the sensor
    counts and to its gain, and rise with the overvoltage; -b/k is the channel of no light. Both are taken for straight
    lines in the bias setting, weighted by their errors (alike where none are stated); with more than two settings their
    covariance is scaled as by `fit.scaled`. Raises ValueError with fewer than two settings.
    """
    settings = np.array(sorted(calibrations))
    if settings.size < 2:
        raise ValueError(f"an extrapolation over bias needs calibrations at two settings, but has {settings.size}")
    points, blocks = [], []
    for setting in settings:
        (k, b), covariance = calibrations[setting]["parameters"].values, calibrations[setting]["covariance"].values
        turn = np.array([[-1 / k**2, 0.0], [b / k**2, -1 / k]])
        points.append([1 / k, -b / k])
        blocks.append(turn @ covariance @ turn.T)
    stated = all(np.linalg.det(block) > 0 for block in blocks)
    size, y = settings.size, np.ravel(points)
    total = np.zeros((2 * size, 2 * size))
    for n, block in enumerate(blocks):
        total[2 * n : 2 * n + 2, 2 * n : 2 * n + 2] = block if stated else np.diag(np.square(points[n]))
    distance = settings - bias
    design = np.concatenate([np.kron([[1.0, d]], np.eye(2)) for d in distance])
    weight = np.linalg.inv(total)
    covariance = np.linalg.inv(design.T @ weight @ design)
    line = covariance @ design.T @ weight @ y
    rest, degrees = y - design @ line, 2 * size - 4
    scale = rest @ weight @ rest / degrees if degrees else 1.0
    covariance = covariance[:2, :2] * (max(scale, 1.0) if stated else scale if degrees else 0.0)
    slope, start = line[:2]
    back = np.array([[-1 / slope**2, 0.0], [start / slope**2, -1 / slope]])
    found = calibration_dataset("linear", np.array([1 / slope, -start / slope]), back @ covariance @ back.T, {})
    return found.assign_attrs(from_biases=settings.tolist())


def compare_calibrations(position: ArrayLike, position_error: ArrayLike, energy: ArrayLike) -> dict[str, xr.Dataset]:
    """Every shape that the lines can carry, by its name, the best AICc first, which is the attribute `aicc`.

    A shape is compared where there are at least two lines more than it has parameters; the linear one always. AICc is
    that of the chi-square with the errors of the positions. Raises ValueError as `energy_calibration` for the linear
    one.
    """
    x, *_ = usable(position, position_error, energy)
    found = {}
    for shape, names in SHAPES.items():
        if shape != "linear" and x.size < len(names) + 2:
            continue
        one = energy_calibration(position, position_error, energy, shape)
        found[shape] = one.assign_attrs(aicc=float(fit.aicc(float(one["chi_square"]), float(x.size), len(names))))
    return dict(sorted(found.items(), key=lambda pair: pair[1].attrs["aicc"]))


@checked
def blend_shift(line: xr.Dataset, energy: float, group: ArrayLike) -> float:
    """Channels by which ``line`` lies above the place of ``energy`` (keV) alone; NaN for a vetoed line.

    line: one line of `fit_lines`. group: (N, 2) keV and photons per decay, in any unit, of all lines in the window
    and beside it, ``energy`` among them. They are placed without noise at channels proportional to their energies,
    with a width that grows as the root of the energy from that of ``line`` and with equal efficiencies, and fitted as
    ``line`` was. An efficiency that falls as 1/E^2 changes the shift of 133Ba's 356 keV line at 11 % by 5 %.
    Raises ValueError for more lines than one, fewer than two in the group, a value not positive, or ``energy`` not
    in it.
    """
    if line["position"].ndim:
        raise ValueError(f"`line` must be one line, but there are {line['position'].size}: take one with isel")
    table = np.asarray(group, float)
    if table.ndim != 2 or table.shape[1] != 2 or len(table) < 2:
        raise ValueError(f"`group` must be two lines or more, each keV and photons, but has shape {table.shape}")
    if not (np.isfinite(table).all() and (table > 0).all()):
        raise ValueError(f"`group` must hold positive energies and photons, but has {table.min()}")
    if not np.isclose(table[:, 0], energy).any():
        raise ValueError(f"`energy` must be one of the group's, {table[:, 0].tolist()} keV, but is {energy}")
    if int(line["veto"]):
        return float("nan")
    position, sigma = float(line["position"]), float(line["sigma"])
    first, last = (float(edge) for edge in line["window"].values)
    ratio, photons = table[:, 0] / energy, table[:, 1]
    channels = np.arange(1.0, np.ceil(last) + 1)
    offset = (channels[:, None] - position * ratio) / (sigma * np.sqrt(ratio))
    shape = (photons / np.sqrt(ratio) * np.exp(-0.5 * offset**2)).sum(1)
    counts = PEAK_COUNTS * shape / shape[channels >= first].max()
    rate = {"rate": ("channel", counts), "rate_error": ("channel", np.sqrt(np.maximum(counts, 1.0)))}
    alone = xr.Dataset(rate, attrs={"exposure_s": 1.0})
    found = fit_lines(alone, [(first, last)], FWHM_PER_SIGMA * sigma, line.attrs["statistic"], line.attrs["selection"])
    kept = found.isel(line=0)["positions"].sel(model=line["background"].item())
    return float(kept) - position
