"""Drift of the gain (step 5): Eq. 3, g(t), a cubic from the 260 keV line with b of Eq. 2 fixed; Eq. 4, E = g(t) x + b.

The covariance of g goes into the error of every energy.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike

from xcal_jax import fit
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.calibration import usable

KILODAY = 1000.0
SCALE = KILODAY ** np.arange(4.0)


@checked
def gain_drift(
    days: ArrayLike, position: ArrayLike, position_error: ArrayLike, b: float, energy: float = 260.0
) -> xr.Dataset:
    """Eq. 3: g(t) = (energy - b) / x(t), fitted by a cubic in days since launch.

    days: (N,) d. position, position_error: (N,) channels of the line x(t). b: keV, fixed. energy: keV of the line.
    Returns `parameters` c0..c3 in keV/ADU/day^n, `errors`, `covariance` (scaled by chi2/nu where that exceeds one),
    and the points `days`, `gain`, `gain_error` (keV/ADU).
    Raises ValueError with fewer than four points, or a position that is not positive.
    """
    x, error, t = usable(position, position_error, days)
    if x.size < 4:
        raise ValueError(f"a cubic gain drift has 4 parameters and needs as many points, but has {x.size}")
    if not (x > 0).all():
        raise ValueError(f"`position` must be positive, but one is {x.min()}")
    gain = (energy - b) / x
    gain_error = abs(gain) * error / x
    with fit.double_precision():
        design = jnp.stack([(t / KILODAY) ** n for n in range(4)], 1)
        line = fit.linear(design, gain, gain_error)
        line = jax.tree.map(np.asarray, fit.scaled(line) if x.size > 4 else line)
    unit = 1 / SCALE
    return xr.Dataset(
        {
            "parameters": variable("parameter", line.parameters * unit, "keV", "c_n, keV per channel per day^n"),
            "errors": variable("parameter", line.errors * unit, "keV", "errors of c_n"),
            "covariance": variable(
                ("parameter", "parameter_"), line.covariance * np.outer(unit, unit), "keV^2", "covariance"
            ),
            "chi_square": variable((), line.chi_square, "1", "chi-square"),
            "degrees": variable((), x.size - 4, "1", "degrees of freedom"),
            "days": variable("epoch", t, "d", "time since launch"),
            "gain": variable("epoch", gain, "keV", "gain, keV per channel"),
            "gain_error": variable("epoch", gain_error, "keV", "error of the gain"),
        },
        {"parameter": variable("parameter", [f"c{n}" for n in range(4)], "1", "power of t in days")},
        {"b_keV": b, "line_keV": energy, "days_first": t.min(), "days_last": t.max()},
    )


@checked
def gain_at(drift: xr.Dataset, days: ArrayLike | Sequence) -> tuple[Float[np.ndarray, "*N"], Float[np.ndarray, "*N"]]:
    """g(t) and its error from the covariance, keV/ADU, at ``days`` since launch."""
    powers = np.asarray(days, float)[..., None] ** np.arange(4)
    value = powers @ drift["parameters"].values
    variance = np.einsum("...i,ij,...j->...", powers, drift["covariance"].values, powers)
    return value, np.sqrt(variance)


@checked
def to_energy(values: xr.Dataset, drift: xr.Dataset) -> xr.Dataset:
    """The values with `threshold_kev` and `threshold_kev_error` from `threshold_adu` by Eq. 4; b is taken as exact.

    The error contains that of the threshold and that of g(t). What all spectra share of both, the template's noise and
    the four directions of g's covariance, stands in `threshold_kev_shared` (spectrum, kev_mode).
    Raises ValueError where `threshold_adu` is missing.
    """
    if "threshold_adu" not in values:
        raise ValueError("`values` must have `threshold_adu` before energies, but it is missing")
    gain, gain_error = gain_at(drift, values["days"].values)
    adu, adu_error = values["threshold_adu"].values, values["threshold_adu_error"].values
    dims = values["threshold_adu"].dims
    size, direction = np.linalg.eigh(drift["covariance"].values * np.outer(SCALE, SCALE))
    powers = (values["days"].values[:, None] / KILODAY) ** np.arange(4)
    shared = adu[:, None] * (powers @ (direction * np.sqrt(np.maximum(size, 0.0))))
    if "threshold_adu_shared" in values:
        shared = np.concatenate([gain[:, None] * values["threshold_adu_shared"].values, shared], 1)
    return values.assign(
        threshold_kev=variable(dims, gain * adu + drift.attrs["b_keV"], "keV", "threshold"),
        threshold_kev_error=variable(dims, np.hypot(gain * adu_error, gain_error * adu), "keV", "its error"),
        threshold_kev_shared=variable((*dims, "kev_mode"), shared, "keV", "shift by one sigma of what all share"),
    )
