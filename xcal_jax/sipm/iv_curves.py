"""Current-voltage curves of irradiated SiPMs: breakdown voltage, dark current, and its activation energy.

Above breakdown the dark current of a SiPM rises as a power of the overvoltage, so the relative slope (1/I) dI/dV is
n / (V - V_bd) and its inverse is a straight line that crosses zero at the breakdown voltage V_bd. Below, surface
leakage dominates. In a sensor with displacement damage the current is driven by generation in the damaged bulk: it is
proportional to the fluence, and with temperature it follows I ~ T^2 exp(-E_a / k T) (Moll, PhD thesis, Hamburg 1999,
eq. 2.23; E_a is about half the band gap, 0.6 eV). Annealing multiplies it, as `damage.annealed` does the dark counts.
"""

import numpy as np
import xarray as xr
from jaxtyping import Float

from xcal_jax.io.datasets import variable

BOLTZMANN = 8.617333e-5  # eV/K
KELVIN = 273.15  # K, of 0 degC
SPAN = 0.3  # V, over which a relative slope is measured where the points lie closer


def relative_slope(
    voltage: Float[np.ndarray, " n"], current: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Middles, V, and d ln I / dV there: straight lines through the points within `SPAN`, or through two neighbours."""
    middles, slopes = [], []
    for k in range(voltage.size - 1):
        last = max(k + 1, int(np.searchsorted(voltage, voltage[k] + SPAN, "right")) - 1)
        x, y = voltage[k : last + 1], np.log(current[k : last + 1])
        if np.ptp(x) > 0:
            middles.append(x.mean())
            slopes.append(np.polyfit(x - x.mean(), y, 1)[0])
    return np.array(middles), np.array(slopes)


def breakdown(curve: xr.Dataset, above: tuple[float, float] = (0.3, 2.0)) -> xr.Dataset:
    """Breakdown voltage of one curve from the inverse relative slope, with its error.

    The kink is the largest relative slope; the straight line goes through the points between ``above`` (V) past it.
    Returns `breakdown`, `breakdown_error` V and `power` n of the overvoltage. Raises ValueError with fewer than three
    points there, or a line that does not rise.
    """
    voltage, current = curve["voltage"].values, curve["current"].values
    good = current > 0
    middle, slope = relative_slope(voltage[good], current[good])
    upper = middle > 0.5 * middle.max()
    kink = middle[upper][np.argmax(slope[upper])]
    near = (middle >= kink + above[0]) & (middle <= kink + above[1]) & (slope > 0)
    if near.sum() < 3:
        raise ValueError(
            f"`curve` must have three points {above[0]} to {above[1]} V past its kink, but has {near.sum()}"
        )
    (tilt, start), covariance = np.polyfit(middle[near], 1 / slope[near], 1, cov="unscaled")
    if not tilt > 0:
        raise ValueError(f"the inverse relative slope must rise past the kink at {kink:.2f} V, but does not")
    rest = 1 / slope[near] - (tilt * middle[near] + start)
    covariance = covariance * (rest @ rest) / max(near.sum() - 2, 1)
    turn = np.array([start / tilt**2, -1 / tilt])
    return xr.Dataset(
        {
            "breakdown": variable((), -start / tilt, "V", "breakdown voltage"),
            "breakdown_error": variable((), float(np.sqrt(turn @ covariance @ turn)), "V", "its error"),
            "power": variable((), 1 / tilt, "1", "power of the overvoltage"),
        },
        attrs=curve.attrs,
    )


def current_at(curve: xr.Dataset, voltage: float) -> float:
    """Dark current, A, at ``voltage`` (V) between the points of a curve, on the logarithm.

    Raises ValueError outside the curve.
    """
    at, current = curve["voltage"].values, curve["current"].values
    good = current > 0
    if not at[good].min() <= voltage <= at[good].max():
        raise ValueError(f"`voltage` must lie within the curve, {at.min():g} to {at.max():g} V, but is {voltage:g}")
    return float(np.exp(np.interp(voltage, at[good], np.log(current[good]))))


def activation_energy(
    temperature: Float[np.ndarray, " n"], current: Float[np.ndarray, " n"]
) -> dict[str, tuple[float, float]]:
    """Activation energy, eV, and the temperature step that doubles the current at 0 degC, K; each with its error.

    temperature: (n,) degC, current: (n,) A at one overvoltage. The fit is of ln(I / T^2) against 1 / kT with equal
    weights. Raises ValueError with fewer than three temperatures, or currents that are not positive.
    """
    kelvin, current = np.asarray(temperature, float) + KELVIN, np.asarray(current, float)
    if kelvin.size < 3 or np.ptp(kelvin) == 0:
        raise ValueError(f"an activation energy needs three temperatures at least, but has {np.unique(kelvin).size}")
    if not (current > 0).all():
        raise ValueError(f"`current` must be positive, but one is {current.min():g} A")
    (slope, _), covariance = np.polyfit(1 / (BOLTZMANN * kelvin), np.log(current / kelvin**2), 1, cov=True)
    energy, error = -slope, float(np.sqrt(covariance[0, 0]))
    rate = 2 / KELVIN + energy / (BOLTZMANN * KELVIN**2)
    doubling = np.log(2) / rate
    return {
        "activation_energy": (float(energy), error),
        "doubling": (float(doubling), float(doubling / rate * error / (BOLTZMANN * KELVIN**2))),
    }


def damage_constant(
    fluence: Float[np.ndarray, " n"], current: Float[np.ndarray, " n"]
) -> dict[str, tuple[float, float]]:
    """Dark current per fluence, A cm2, and the current of the unirradiated sensor, A, each with its error.

    fluence: (n,) 1 MeV neutron equivalents/cm2. current: (n,) A at one overvoltage, temperature and annealing. The
    line is weighted by 1/I^2, since sensors differ by a part of their current. With annealing it is the kernel of
    `damage.fit_damage`, whose dark counts per fluence are s + a e^(-t/tau).
    Raises ValueError with fewer than three points.
    """
    fluence, current = np.asarray(fluence, float), np.asarray(current, float)
    if fluence.size < 3:
        raise ValueError(f"a damage constant needs three fluences at least, but has {fluence.size}")
    unit = max(fluence.max(), 1.0)
    (slope, start), covariance = np.polyfit(fluence / unit, current, 1, w=1 / current, cov=True)
    errors = np.sqrt(np.diagonal(covariance))
    return {"per_fluence": (slope / unit, errors[0] / unit), "unirradiated": (start, errors[1])}
