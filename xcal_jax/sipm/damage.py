"""Dark count rate from displacement damage with annealing, an alternative to a free power law.

DCR(t) = d0 + integral of phi(t') [s + a e^(-(t - t')/tau)] dt' (+ slope x temperature)

phi is the rate of 1 MeV neutron equivalent fluence, of which every unit adds the stable damage s and the damage a that
anneals with the time tau. The fluence comes from `xcal-jax dose` or another file. Moll, PhD thesis, Hamburg 1999, ch.
5, uses kernels of this kind for the leakage current.
"""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jaxtyping import Float
from numpy.typing import ArrayLike

from xcal_jax import fit
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import read, variable
from xcal_jax.sipm.grouping import board_mean
from xcal_jax.sipm.parameters import parameters_dataset
from xcal_jax.sipm.temperature import REFERENCE, warm_points
from xcal_jax.sipm.time_series import read_series
from xcal_jax.sipm.trends import Points, check_points

AXIS, AMOUNT = "days", "fluence"


def check_fluence(
    days: ArrayLike | Sequence, fluence: ArrayLike | Sequence
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Days and cumulative fluence, n_eq/cm2, of a series that begins with 0 at launch.

    Raises ValueError unless days rise and the fluence is finite, not negative and never falls.
    """
    days, fluence = np.asarray(days, float), np.asarray(fluence, float)
    if days.ndim != 1 or days.shape != fluence.shape or days.size < 2:
        raise ValueError(f"a fluence series needs two points at least, but has shape {fluence.shape}")
    if not (np.isfinite(days).all() and np.isfinite(fluence).all()):
        raise ValueError("`days` and `fluence` must be finite, but are not")
    if (np.diff(days) <= 0).any() or days[0] < 0:
        raise ValueError("`days` of the fluence must rise from launch on, but do not")
    if fluence[0] < 0 or (np.diff(fluence) < 0).any():
        raise ValueError("`fluence` must be cumulative and never fall, but does")
    if days[0] > 0:
        days, fluence = np.append(0.0, days), np.append(0.0, fluence)
    return days, fluence


@checked
def read_fluence(path: str | Path) -> xr.Dataset:
    """Cumulative fluence in a netCDF or CSV file with `days` since launch and `fluence` in n_eq/cm2.

    Raises ValueError when the file or one of them is missing, or as `check_fluence`.
    """
    path = Path(path)
    series = read(path, "a file of `days` and `fluence`") if path.suffix == ".nc" else read_series(path)
    for name in (AXIS, AMOUNT):
        if name not in series.variables:
            raise ValueError(f"{path.name} must have `{name}`, but it is missing")
    days, fluence = check_fluence(series[AXIS].values, series[AMOUNT].values)
    return xr.Dataset(
        {
            "days": variable("sample", days, "d", "time since launch"),
            "fluence": variable("sample", fluence, "1/cm^2", "cumulative 1 MeV neutron equivalent fluence"),
        },
        attrs={"source": path.name},
    )


def annealed(
    days: Float[fit.Array, " N"],
    tau: Float[fit.Array, ""] | float,
    at: Float[fit.Array, " K"],
    fluence: Float[fit.Array, " K"],
) -> Float[jax.Array, " N"]:
    """The fluence that has not annealed by each day, n_eq/cm2, for a constant flux between the samples.

    tau: d. at, fluence: days and cumulative n_eq/cm2 of the samples.
    """
    rate = jnp.diff(fluence) / jnp.diff(at)

    def one(day):
        start, stop = jnp.minimum(at[:-1], day), jnp.minimum(at[1:], day)
        return jnp.sum(rate * tau * (jnp.exp(-(day - stop) / tau) - jnp.exp(-(day - start) / tau)))

    return jax.vmap(one)(days)


@jax.jit
def fit_kernel(
    covariates: Float[Array, "N C"], points: Points, at: Float[Array, " K"], fluence: Float[Array, " K"]
) -> fit.Fit:
    """Fit of d0, s, a, ln tau, and a slope per covariate; s and a per unit of fluence."""
    days, values, sigma = points.days, points.values, points.sigma
    total, unit = fluence[-1], jnp.mean(values)
    stable = jnp.interp(days, at, fluence) / total

    def model(p):
        remaining = annealed(days, jnp.exp(p[3]), at, fluence) / total
        return unit * (p[0] + p[1] * stable + p[2] * remaining + covariates @ p[4:])

    start = jnp.zeros(4 + covariates.shape[1]).at[0].set(0.8).at[1].set(0.1).at[2].set(0.1)
    start = start.at[3].set(jnp.log(0.2 * at[-1]))
    count = fit.count_points(sigma)
    inner = fit.rescaled(fit.least_squares(lambda p, _: (model(p) - values) / sigma, start, None, count, 400))
    inner = fit.with_shared(inner, jax.jacfwd(model)(inner.parameters), sigma, points.shared)
    scale = jnp.full(inner.parameters.size, unit).at[1:3].set(unit / total).at[3].set(1.0)
    return fit.Fit(
        inner.parameters * scale,
        inner.covariance * scale[:, None] * scale[None, :],
        inner.chi_square,
        inner.points,
        inner.converged,
    )


def fit_damage(values: xr.Dataset, name: str, fluence: xr.Dataset) -> xr.Dataset:
    """Fit of the damage kernel (and of temperature, where known) to ``name``, usually "dcr".

    values: groups with `days`; those without a temperature are left out where enough others have one. fluence: `days`
    and cumulative `fluence` in n_eq/cm2 that cover them. Returns
    `parameters` (initial; stable and annealing, per n_eq/cm2; ln_tau of days; temperature slope), each in its `unit`,
    `errors`, `covariance`, `aicc` (comparable with `joint_fit`'s), `fitted` (point,). Raises ValueError for a series
    that does not cover the values, fewer points than parameters, or a fit that does not converge.
    """
    at, amount = check_fluence(fluence["days"].values, fluence["fluence"].values)
    names = ["initial", "stable", "annealing", "ln_tau"]
    total = values.attrs.get("groups_total", values["days"].size)
    values, warm = warm_points(values, 5)
    matrix = np.zeros((values["days"].size, 0))
    if warm:
        names.append("temperature")
        matrix = (board_mean(values) - REFERENCE)[:, None]
    points = check_points(values, name, len(names))
    days, y = points.days, points.values
    if days.max() > at[-1] or not amount[-1] > 0:
        raise ValueError(f"`fluence` must cover day {days.max():.0f}, but ends on day {at[-1]:.0f} at {amount[-1]:g}")
    with fit.double_precision():
        best = jax.tree.map(np.asarray, fit_kernel(matrix, points, at, amount))
        if not best.converged:
            raise ValueError(f"the damage kernel does not converge on `{name}`: these data cannot tell its parts apart")
        remaining = np.asarray(annealed(days, np.exp(best.parameters[3]), at, amount))
        size = y.size * np.log(best.chi_square / y.size)
        criterion = float(fit.aicc(size, float(y.size), len(names) + 1))
    p = best.parameters
    fitted = p[0] + p[1] * np.interp(days, at, amount) + p[2] * remaining + matrix @ p[4:]
    units = values[name].attrs["units"]
    each = [units, f"{units} cm^2", f"{units} cm^2", "1", f"{units}/degC"][: len(names)]
    found = parameters_dataset(names, p, best.covariance, each)
    return found.assign(
        {
            "aicc": variable((), criterion, "1", "Akaike criterion, small sample"),
            "days": variable("point", days, "d", "time since launch"),
            "fitted": variable("point", fitted, units, f"{name}, fitted"),
            "residual": variable("point", y - fitted, units, f"{name} minus fit"),
        }
    ).assign_attrs(
        {**values.attrs, "value": name, "units": units, "points_used": int(y.size), "points_total": int(total)}
    )
