"""Drift of the gain (step 5): Eq. 3, g(t), a cubic from the 260 keV line with b of Eq. 2 fixed; Eq. 4, E = g(t) x + b.

The paper wishes for a gain that knows the temperature of the detector. Where the spectra of the line have temperatures,
g(t, T) = g(t) + c (T - 10 degC), with g(t) of Eq. 3.

A bias without a line of its own has the drift of another, relative to Eq. 2 there: g'(t) = g(t) k' / k. This supposes
that light and its detection change, and not the voltage at which cells break down.

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
from xcal_jax.sipm.grouping import board_mean
from xcal_jax.sipm.parameters import parameters_dataset
from xcal_jax.sipm.temperature import REFERENCE

GAIN = "keV/ADU"
KILODAY = 1000.0  # d; powers of t in kilodays keep the fit of a cubic in range
SCALE = np.append(KILODAY ** np.arange(4.0), 1.0)
TEMPERATURE = "temperature"


def terms(days: Float[np.ndarray, "*N"], temperature: ArrayLike, count: int) -> Float[np.ndarray, "*N P"]:
    """What the ``count`` parameters of g multiply: 1, t, t^2, t^3 and, as the fifth, T - 10 degC."""
    powers = days[..., None] ** np.arange(4)
    warm = np.broadcast_to(temperature, np.shape(days))[..., None] - REFERENCE
    return np.concatenate([powers, warm], -1)[..., :count]


@checked
def gain_drift(
    days: ArrayLike,
    position: ArrayLike,
    position_error: ArrayLike,
    b: float,
    energy: float = 260.0,
    b_error: float = 0.0,
    temperature: ArrayLike | None = None,
) -> xr.Dataset:
    """Eq. 3: g(t) = (energy - b) / x(t), fitted by a cubic in days since launch.

    days: (N,) d. position, position_error: (N,) channels of the line x(t). b, b_error: keV. energy: keV of the line.
    temperature: (N,) degC; with it g has a fifth parameter, `temperature`, and points without one are left out.
    Returns `parameters` c0..c3 in keV/ADU/day^n and keV/ADU/degC, `errors`, `covariance` (as `fit.scaled`, plus that of
    b), `covariance_b` with b, the points `days`, `gain`, `gain_error` (keV/ADU), and as attribute the `aicc`.
    Raises ValueError with fewer points than parameters, or a position that is not positive.
    """
    places = np.asarray(position, float)
    if temperature is not None:
        places = np.where(np.isfinite(np.asarray(temperature, float)), places, np.nan)
    x, error, t = usable(places, position_error, days)
    names = [f"c{n}" for n in range(4)] + ([] if temperature is None else [TEMPERATURE])
    if x.size < len(names):
        rule = f"a cubic gain drift has {len(names)} parameters and needs as many points"
        raise ValueError(f"{rule}, but has {x.size}")
    if not (x > 0).all():
        raise ValueError(f"`position` must be positive, but one is {x.min()}")
    gain = (energy - b) / x
    gain_error = abs(gain) * error / x
    warm = REFERENCE if temperature is None else usable(places, position_error, temperature)[2]
    unit = 1 / SCALE[: len(names)]
    with fit.double_precision():
        line = fit.linear(jnp.asarray(terms(t, warm, len(names)) * unit), gain, gain_error)
        line = jax.tree.map(np.asarray, fit.scaled(line) if x.size > len(names) else line)
    moved = -line.parameters * unit / (energy - b)
    covariance = line.covariance * np.outer(unit, unit) + b_error**2 * np.outer(moved, moved)
    units = [GAIN, *(f"{GAIN}/d^{n}" for n in (1, 2, 3)), f"{GAIN}/degC"][: len(names)]
    found = parameters_dataset(names, line.parameters * unit, covariance, units)
    return found.assign(
        {
            "covariance_b": variable("parameter", b_error**2 * moved, "1", "covariance with b, keV times the `unit`"),
            "chi_square": variable((), line.chi_square, "1", "chi-square"),
            "degrees": variable((), x.size - len(names), "1", "degrees of freedom"),
            "days": variable("epoch", t, "d", "time since launch"),
            "gain": variable("epoch", gain, GAIN, "gain"),
            "gain_error": variable("epoch", gain_error, GAIN, "error of the gain"),
        }
    ).assign_attrs(
        {"b_keV": b, "b_error_keV": b_error, "line_keV": energy, "days_first": t.min(), "days_last": t.max()}
        | {"aicc": float(fit.aicc(float(line.chi_square), float(x.size), len(names)))}
        | {"reference_degC": REFERENCE, "mean_degC": float(np.mean(warm)), "spread_degC": float(np.std(warm))},
    )


@checked
def carried_drift(drift: xr.Dataset, here: xr.Dataset, there: xr.Dataset) -> xr.Dataset:
    """The drift, as of `gain_drift`, at a bias that has no line of its own: g times k' / k, and b' of Eq. 2.

    drift: at the bias of the line. here, there: Eq. 2 of that bias and of the other one. Their errors are taken for
    independent, unless both are the same calibration. b is that of the drift and of Eq. 2 ``here``, so that its error
    counts once. The points of the line are not carried. Raises ValueError where Eq. 2 is not linear.
    """
    for calibration in (here, there):
        if calibration.attrs["shape"] != "linear":
            raise ValueError("a gain drift is carried over bias by linear calibrations")
    if here.identical(there):
        return drift.drop_dims("epoch")
    (k, _), (k_there, b_there) = here["parameters"].values, there["parameters"].values
    of_here, of_there = here["covariance"].values, there["covariance"].values
    names, units = drift["parameter"].values.tolist(), drift["unit"].values.tolist()
    c, b_error = drift["parameters"].values, drift.attrs["b_error_keV"]
    moved = drift["covariance_b"].values / b_error**2 if b_error else np.zeros_like(c)
    own = drift["covariance"].values - np.outer(moved, moved) * b_error**2
    by_here = np.stack([-c * k_there / k**2, moved * k_there / k], 1)
    covariance = own * (k_there / k) ** 2 + by_here @ of_here @ by_here.T + np.outer(c, c) / k**2 * of_there[0, 0]
    found = parameters_dataset(names, c * k_there / k, covariance, units)
    with_b = variable("parameter", c / k * of_there[0, 1], "1", "covariance with b, keV times the `unit`")
    kept = found.assign(covariance_b=with_b, chi_square=drift["chi_square"], degrees=drift["degrees"])
    return kept.assign_attrs({**drift.attrs, "b_keV": b_there, "b_error_keV": float(np.sqrt(of_there[1, 1]))})


@checked
def gain_at(
    drift: xr.Dataset, days: ArrayLike | Sequence, temperature: ArrayLike = REFERENCE
) -> tuple[Float[np.ndarray, "*N"], Float[np.ndarray, "*N"]]:
    """g and its error from the covariance, keV/ADU, at ``days`` since launch. temperature: degC, one or as ``days``."""
    powers = terms(np.asarray(days, float), temperature, drift.sizes["parameter"])
    value = powers @ drift["parameters"].values
    variance = np.einsum("...i,ij,...j->...", powers, drift["covariance"].values, powers)
    return value, np.sqrt(variance)


def of_calibration(calibration: xr.Dataset, adu: Float[np.ndarray, " n"]) -> tuple[np.ndarray, ...]:
    """Energies (n,) at channels by Eq. 2 (or a curved one), keV; dE/dx; and shifts by its covariance (n, P)."""
    energy, _ = energy_at(calibration, adu)
    slope, by_parameter = energy_slopes(calibration, adu)
    size, direction = np.linalg.eigh(calibration["covariance"].values)
    return energy, slope, by_parameter @ (direction * np.sqrt(np.maximum(size, 0.0)))


def of_drift(
    drift: xr.Dataset,
    adu: Float[np.ndarray, " n"],
    days: Float[np.ndarray, " n"],
    temperature: Float[np.ndarray, " n"],
) -> tuple[np.ndarray, ...]:
    """As `of_calibration`, by Eq. 4: shifts (n, 5 or 6) by the covariance of g and b."""
    count = drift.sizes["parameter"]
    gain, _ = gain_at(drift, days, temperature)
    unit = np.append(SCALE[:count], 1.0)
    with_b = drift["covariance_b"].values[:, None]
    joint = np.block([[drift["covariance"].values, with_b], [with_b.T, np.array([[drift.attrs["b_error_keV"] ** 2]])]])
    size, direction = np.linalg.eigh(joint * np.outer(unit, unit))
    powers = adu[:, None] * terms(days, temperature, count) / SCALE[:count]
    slopes = np.concatenate([powers, np.ones((adu.size, 1))], 1)
    return gain * adu + drift.attrs["b_keV"], gain, slopes @ (direction * np.sqrt(np.maximum(size, 0.0)))


@checked
def to_energy(values: xr.Dataset, calibration: xr.Dataset) -> xr.Dataset:
    """The values with `threshold_kev` and `threshold_kev_error` from `threshold_adu`.

    calibration: of `gain_drift` (Eq. 4) or `energy_calibration` (Eq. 2). The error contains that of the threshold and
    of the calibration. A spectrum without a temperature has the drift's mean one, and its spread in its error. What all
    spectra share of both, the template's noise and the directions of the calibration's covariance, stands in
    `threshold_kev_shared` (spectrum, kev_mode).
    Raises ValueError where `threshold_adu` is missing.
    """
    if "threshold_adu" not in values:
        raise ValueError("`values` must have `threshold_adu` before energies, but it is missing")
    adu, adu_error = values["threshold_adu"].values, values["threshold_adu_error"].values
    dims = values["threshold_adu"].dims
    unknown = np.zeros_like(adu)
    if "b_keV" in calibration.attrs:
        warm = board_mean(values) if "temperature" in values else np.full(adu.shape, np.nan)
        known = np.isfinite(warm)
        warm = np.where(known, warm, calibration.attrs["mean_degC"])
        energy, slope, shared = of_drift(calibration, adu, values["days"].values, warm)
        if TEMPERATURE in calibration["parameter"].values:
            per_degree = float(calibration["parameters"].sel(parameter=TEMPERATURE))
            unknown = np.where(known, 0.0, adu * per_degree * calibration.attrs["spread_degC"])
    else:
        energy, slope, shared = of_calibration(calibration, adu)
    error = np.sqrt((slope * adu_error) ** 2 + (shared**2).sum(1) + unknown**2)
    if "threshold_adu_shared" in values:
        shared = np.concatenate([slope[:, None] * values["threshold_adu_shared"].values, shared], 1)
    return values.assign(
        threshold_kev=variable(dims, energy, "keV", "threshold"),
        threshold_kev_error=variable(dims, error, "keV", "its error"),
        threshold_kev_shared=variable((*dims, "kev_mode"), shared, "keV", "shift by one sigma of what all share"),
    )
