"""Drift of the gain (step 5): Eq. 3, g(t), a cubic from the 260 keV line with b of Eq. 2 fixed; Eq. 4, E = g(t) x + b.

The covariance of g goes into the error of every energy, and so does that of b: with E0 the energy of the line,
g = (E0 - b) / x moves with b, so that an energy near E0 hardly depends on it.
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
from xcal_jax.sipm.calibration import energy_at, energy_slopes, usable
from xcal_jax.sipm.parameters import parameters_dataset

GAIN = "keV/ADU"
KILODAY = 1000.0  # d; powers of t in kilodays keep the fit of a cubic in range
SCALE = KILODAY ** np.arange(4.0)


@checked
def gain_drift(
    days: ArrayLike,
    position: ArrayLike,
    position_error: ArrayLike,
    b: float,
    energy: float = 260.0,
    b_error: float = 0.0,
) -> xr.Dataset:
    """Eq. 3: g(t) = (energy - b) / x(t), fitted by a cubic in days since launch.

    days: (N,) d. position, position_error: (N,) channels of the line x(t). b, b_error: keV. energy: keV of the line.
    Returns `parameters` c0..c3 in keV/ADU/day^n, `errors`, `covariance` (as `fit.scaled`, plus
    that of b), `covariance_b` with b, and the points `days`, `gain`, `gain_error` (keV/ADU).
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
    moved = -line.parameters * unit / (energy - b)
    covariance = line.covariance * np.outer(unit, unit) + b_error**2 * np.outer(moved, moved)
    names, units = [f"c{n}" for n in range(4)], [GAIN, *(f"{GAIN}/d^{n}" for n in (1, 2, 3))]
    found = parameters_dataset(names, line.parameters * unit, covariance, units)
    return found.assign(
        {
            "covariance_b": variable("parameter", b_error**2 * moved, "1", "covariance with b, keV times the `unit`"),
            "chi_square": variable((), line.chi_square, "1", "chi-square"),
            "degrees": variable((), x.size - 4, "1", "degrees of freedom"),
            "days": variable("epoch", t, "d", "time since launch"),
            "gain": variable("epoch", gain, GAIN, "gain"),
            "gain_error": variable("epoch", gain_error, GAIN, "error of the gain"),
        }
    ).assign_attrs(b_keV=b, b_error_keV=b_error, line_keV=energy, days_first=t.min(), days_last=t.max())


@checked
def gain_at(drift: xr.Dataset, days: ArrayLike | Sequence) -> tuple[Float[np.ndarray, "*N"], Float[np.ndarray, "*N"]]:
    """g(t) and its error from the covariance, keV/ADU, at ``days`` since launch."""
    powers = np.asarray(days, float)[..., None] ** np.arange(4)
    value = powers @ drift["parameters"].values
    variance = np.einsum("...i,ij,...j->...", powers, drift["covariance"].values, powers)
    return value, np.sqrt(variance)


def of_calibration(calibration: xr.Dataset, adu: Float[np.ndarray, " n"]) -> tuple[np.ndarray, ...]:
    """Energies (n,) at channels by Eq. 2 (or a curved one), keV; dE/dx; and shifts by its covariance (n, P)."""
    energy, _ = energy_at(calibration, adu)
    slope, by_parameter = energy_slopes(calibration, adu)
    size, direction = np.linalg.eigh(calibration["covariance"].values)
    return energy, slope, by_parameter @ (direction * np.sqrt(np.maximum(size, 0.0)))


def of_drift(drift: xr.Dataset, adu: Float[np.ndarray, " n"], days: Float[np.ndarray, " n"]) -> tuple[np.ndarray, ...]:
    """As `of_calibration`, by Eq. 4: shifts (n, 5) by the covariance of g and b."""
    gain, _ = gain_at(drift, days)
    unit = np.append(SCALE, 1.0)
    with_b = drift["covariance_b"].values[:, None]
    joint = np.block([[drift["covariance"].values, with_b], [with_b.T, np.array([[drift.attrs["b_error_keV"] ** 2]])]])
    size, direction = np.linalg.eigh(joint * np.outer(unit, unit))
    powers = adu[:, None] * (days[:, None] / KILODAY) ** np.arange(4)
    slopes = np.concatenate([powers, np.ones((adu.size, 1))], 1)
    return gain * adu + drift.attrs["b_keV"], gain, slopes @ (direction * np.sqrt(np.maximum(size, 0.0)))


@checked
def to_energy(values: xr.Dataset, calibration: xr.Dataset) -> xr.Dataset:
    """The values with `threshold_kev` and `threshold_kev_error` from `threshold_adu`.

    calibration: of `gain_drift` (Eq. 4) or `energy_calibration` (Eq. 2). The error contains that of the threshold and
    of the calibration. What all spectra share of both, the template's noise and the directions of the calibration's
    covariance, stands in `threshold_kev_shared` (spectrum, kev_mode).
    Raises ValueError where `threshold_adu` is missing.
    """
    if "threshold_adu" not in values:
        raise ValueError("`values` must have `threshold_adu` before energies, but it is missing")
    adu, adu_error = values["threshold_adu"].values, values["threshold_adu_error"].values
    dims = values["threshold_adu"].dims
    if "b_keV" in calibration.attrs:
        energy, slope, shared = of_drift(calibration, adu, values["days"].values)
    else:
        energy, slope, shared = of_calibration(calibration, adu)
    error = np.hypot(slope * adu_error, np.sqrt((shared**2).sum(1)))
    if "threshold_adu_shared" in values:
        shared = np.concatenate([slope[:, None] * values["threshold_adu_shared"].values, shared], 1)
    return values.assign(
        threshold_kev=variable(dims, energy, "keV", "threshold"),
        threshold_kev_error=variable(dims, error, "keV", "its error"),
        threshold_kev_shared=variable((*dims, "kev_mode"), shared, "keV", "shift by one sigma of what all share"),
    )
