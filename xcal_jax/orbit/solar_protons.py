"""Protons of solar events, an optional term: the model ESP, and what the Earth and its field keep off (ECSS B.6, B.8).

ESP (Xapsos et al., NASA/TP-1999-209763): the fluence of T active years above an energy is log-normal, with
sigma^2 = ln(1 + V / T) and mu = ln(T m) - sigma^2 / 2, m and V the mean and relative variance of one year. The tables
are those of ECSS-E-ST-10-04C Rev. 1 (2020), B-8 and B-9 (NASA, 14 November 2002); its Table I-4 is in the tests. The
model is of active years, seven of eleven: in the others there is little, and here nothing. It is no model for less than
one of them: a shorter mission has the fluence of one, as in SPENVIS.

A proton arrives from directions that the Earth, with 100 km of air, does not fill, and below L = 5 where its rigidity
exceeds the vertical cut-off of Stormer's theory, 16 GV / L^2, in a quiet field. Beyond L = 5, where that is 200 MeV,
every proton arrives: the rule of Stassinopoulos and King (ECSS I.4), for on such orbits the cut-off is not applied.
Storms, which come with the events, let more in.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from xcal_jax.orbit.activity import is_active
from xcal_jax.orbit.ephemeris import EQUATOR
from xcal_jax.orbit.months import Segment
from xcal_jax.orbit.trapped import ENERGY_EDGES, differential_flux, spectrum_energies

MEAN_AND_VARIANCE = {  # above so many MeV: mean fluence of an active year, 1/cm2, and its relative variance
    1.0: (8.877e10, 0.940),
    3.0: (3.297e10, 3.038),
    5.0: (1.973e10, 5.250),
    7.0: (1.371e10, 7.575),
    10.0: (9.089e9, 11.239),
    15.0: (5.476e9, 17.675),
    20.0: (3.707e9, 24.351),
    25.0: (2.687e9, 31.126),
    30.0: (2.034e9, 37.889),
    35.0: (1.589e9, 44.572),
    40.0: (1.273e9, 51.130),
    45.0: (1.038e9, 57.504),
    50.0: (8.602e8, 63.674),
    55.0: (7.215e8, 69.642),
    60.0: (6.117e8, 75.368),
    70.0: (4.518e8, 86.122),
    80.0: (3.431e8, 95.852),
    90.0: (2.665e8, 104.635),
    100.0: (2.109e8, 112.465),
}
BEYOND = {125.0: 0.603, 150.0: 0.390, 175.0: 0.267, 200.0: 0.191, 225.0: 0.141, 250.0: 0.107, 275.0: 0.0823}
BEYOND |= {300.0: 0.0647}  # of the fluence above 100 MeV
THRESHOLDS = np.array([*MEAN_AND_VARIANCE, *BEYOND])
REST = 938.272  # MeV, of a proton
CUTOFF, OPEN_FROM = 16.0, 5.0  # GV; L
AIR = 100.0  # km
YEAR = 365.25
MODEL = "ESP (ECSS-E-ST-10-04C Rev. 1), cut-off 16 GV/L^2 below L = 5"


def esp_fluence(years: float, confidence: float) -> Float[np.ndarray, " E"]:
    """Fluence above each of `THRESHOLDS`, 1/cm2, that so many active ``years`` do not exceed with ``confidence``.

    Far from Earth's field. years: taken for one where there are fewer; no fluence without any.
    """
    if years <= 0:
        return np.zeros(THRESHOLDS.size)
    years = max(years, 1.0)
    mean, variance = np.array(list(MEAN_AND_VARIANCE.values())).T
    square = np.log1p(variance / years)
    fluence = np.exp(np.log(years * mean) - square / 2 + np.sqrt(square) * norm.ppf(confidence))
    return np.append(fluence, fluence[-1] * np.array(list(BEYOND.values())))


def spectrum(years: float, confidence: float) -> Float[np.ndarray, " E"]:
    """The fluence of `esp_fluence` per MeV at the `spectrum_energies` of protons, 1/(cm2 MeV).

    Between the thresholds its logarithm is linear in that of the energy; below 1 MeV there are none.
    """
    integral = esp_fluence(years, confidence)
    if not integral.any():
        return np.zeros(spectrum_energies("proton").size)
    at = np.log(ENERGY_EDGES["proton"])
    return differential_flux(np.exp(np.interp(at, np.log(THRESHOLDS), np.log(integral))), "proton")


def rigidity_of(energy: Float[np.ndarray, " E"]) -> Float[np.ndarray, " E"]:
    """Rigidity, GV, of protons of ``energy``, MeV."""
    return np.sqrt(energy * (energy + 2 * REST)) / 1000


def open_sky(radius: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Share of all directions that the Earth and its air leave open at ``radius``, km (ECSS C.1.5.2)."""
    return 0.5 * (1 + np.sqrt(np.maximum(1 - ((EQUATOR + AIR) / radius) ** 2, 0.0)))


def transmission(
    positions: Iterable[Float[np.ndarray, "_ 3"]], field: Callable, rigidity: Float[np.ndarray, " E"]
) -> Float[np.ndarray, " E"]:
    """Share of the fluence far from Earth that arrives at ``rigidity``, GV, on the mean of ``positions``, blocks in km.

    field: gives L and B/B0 at one block; open field lines have no cut-off.
    """
    total, count = np.zeros(rigidity.size), 0
    for block in positions:
        shell, _ = field(block)
        cutoff = np.where(shell < OPEN_FROM, CUTOFF / shell**2, 0.0)
        sky = open_sky(np.linalg.norm(block, axis=1))
        order = np.argsort(cutoff)
        below = np.searchsorted(cutoff[order], rigidity, side="right")
        total += np.append(0.0, np.cumsum(sky[order]))[below]
        count += len(block)
    return total / count


def active_days(segments: list[Segment]) -> Float[np.ndarray, " S"]:
    """Days of each segment that are in the active years of a cycle: all or none."""
    return np.array([one.days * is_active(one.middle) for one in segments])


def solar_fluences(
    segments: list[Segment], transmitted: Float[np.ndarray, "S E"], confidence: float
) -> Float[np.ndarray, "S E"]:
    """Fluence of every segment, 1/(cm2 MeV): that of the mission's active years, shared out by their active days."""
    active = active_days(segments)
    whole = spectrum(active.sum() / YEAR, confidence)
    return transmitted * whole * (active / max(active.sum(), 1e-300))[:, None]
