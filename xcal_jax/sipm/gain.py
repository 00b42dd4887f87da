"""Energy calibration and its drift (step 5): Eq. 2 E = k x + b; Eq. 3 g(t), a cubic from the 260 keV line
with b fixed; Eq. 4 E = g(t) x + b, with the covariance of g carried into every energy.
"""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from xcal_jax import fit
from xcal_jax.sipm.labels import labelled

KILODAY = 1000.0
SCALE = KILODAY ** np.arange(4.0)


def usable(position, error, *others) -> tuple[np.ndarray, ...]:
    """The points whose position and error are finite (a vetoed line has neither), as flat arrays."""
    arrays = [np.asarray(a, float).ravel() for a in (position, error, *others)]
    good = np.isfinite(arrays[0]) & np.isfinite(arrays[1])
    return tuple(a[good] for a in arrays)


def linear_calibration(position, position_error, energy) -> xr.Dataset:
    """Eq. 2, from at least two lines: `parameters` k (keV/ADU) and b (keV), `errors`, `covariance`,
    `residual`.

    position, position_error: (N,) channels; energy: (N,) keV. The position's error counts as k times it.
    With more than two lines the covariance is scaled by chi2/nu where that exceeds one.
    Raises ValueError with fewer than two lines that passed, or errors that are not positive.
    """
    x, error, e = usable(position, position_error, energy)
    if x.size < 2:
        raise ValueError(f"a linear calibration needs at least two lines, but {x.size} passed")
    if not (error > 0).all():
        raise ValueError("`position_error` must be positive, but one is not")
    if not np.ptp(x) > 0:
        raise ValueError(f"a linear calibration needs lines at two positions, but all are at {x[0]}")
    with fit.double_precision():
        design = jnp.stack([x, np.ones_like(x)], 1)
        k = np.polyfit(x, e, 1)[0]
        for _ in range(3):
            line = fit.linear(design, e, abs(k) * error)
            k = float(line.parameters[0])
        line = jax.tree.map(np.asarray, fit.scaled(line) if x.size > 2 else line)
    return xr.Dataset(
        {
            "parameters": labelled("parameter", line.parameters, "keV", "k (keV per channel) and b (keV)"),
            "errors": labelled("parameter", line.errors, "keV", "errors of k and b"),
            "covariance": labelled(("parameter", "parameter_"), line.covariance, "keV^2", "covariance"),
            "chi_square": labelled((), line.chi_square, "1", "chi-square"),
            "degrees": labelled((), x.size - 2, "1", "degrees of freedom"),
            "position": labelled("line", x, "1", "line position, channel"),
            "energy": labelled("line", e, "keV", "line energy"),
            "residual": labelled("line", line.parameters[0] * x + line.parameters[1] - e, "keV", "fit minus energy"),
        },
        {"parameter": labelled("parameter", ["k", "b"], "1", "parameter")},
    )


def gain_drift(days, position, position_error, b: float, energy: float = 260.0) -> xr.Dataset:
    """Eq. 3: g(t) = (energy - b) / x(t), fitted by a cubic in days since launch.

    days: (N,) d; position, position_error: (N,) channels; b: keV, fixed; energy: keV.
    `parameters` c0..c3 in keV/ADU/day^n, `errors`, `covariance` (scaled by chi2/nu where that exceeds one),
    and the points `days`, `gain`, `gain_error` (keV/ADU). Raises ValueError with fewer than four points.
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
            "parameters": labelled("parameter", line.parameters * unit, "keV", "c_n, keV per channel per day^n"),
            "errors": labelled("parameter", line.errors * unit, "keV", "errors of c_n"),
            "covariance": labelled(
                ("parameter", "parameter_"), line.covariance * np.outer(unit, unit), "keV^2", "covariance"
            ),
            "chi_square": labelled((), line.chi_square, "1", "chi-square"),
            "degrees": labelled((), x.size - 4, "1", "degrees of freedom"),
            "days": labelled("epoch", t, "d", "time since launch"),
            "gain": labelled("epoch", gain, "keV", "gain, keV per channel"),
            "gain_error": labelled("epoch", gain_error, "keV", "error of the gain"),
        },
        {"parameter": labelled("parameter", [f"c{n}" for n in range(4)], "1", "power of t in days")},
        {"b_keV": b, "line_keV": energy, "days_first": t.min(), "days_last": t.max()},
    )


def gain_at(drift: xr.Dataset, days) -> tuple[np.ndarray, np.ndarray]:
    """g(t) and its error from the covariance, keV/ADU: (N,) each. days: (N,) since launch."""
    powers = np.asarray(days, float)[..., None] ** np.arange(4)
    value = powers @ drift["parameters"].values
    variance = np.einsum("...i,ij,...j->...", powers, drift["covariance"].values, powers)
    return value, np.sqrt(variance)


def to_energy(values: xr.Dataset, drift: xr.Dataset) -> xr.Dataset:
    """Eq. 4: add `threshold_kev` and `threshold_kev_error` from `threshold_adu`; b is taken as exact.

    The error holds that of the threshold and that of g(t); what the spectra share of both, the template's noise
    and the four directions of g's covariance, stands in `threshold_kev_shared` (spectrum, kev_mode).
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
        threshold_kev=labelled(dims, gain * adu + drift.attrs["b_keV"], "keV", "threshold"),
        threshold_kev_error=labelled(dims, np.hypot(gain * adu_error, gain_error * adu), "keV", "its error"),
        threshold_kev_shared=labelled((*dims, "kev_mode"), shared, "keV", "shift by one sigma of what all share"),
    )
