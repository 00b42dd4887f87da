"""Trapped protons and electrons by the models AP-8 and AE-8 (Sawyer and Vette 1976, Vette 1991; package aep8).

Flux depends on McIlwain's L and on B/B0 alone, and these on position alone. The models must be read with their own
magnetic fields (Jensen and Cain 1960; AP-8 maximum: GSFC 12/66 of 1970): with a field of today the flux would be two
to three times too high at these altitudes. The South Atlantic Anomaly therefore lies where it was in the 1960s, which
is right for averages and wrong for the time of a pass. Since then it has drifted west by about 0.3 degrees a year
(`drifted`).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from xcal_jax.orbit.ephemeris import turned

ENERGY_EDGES = {
    "proton": np.concatenate([np.geomspace(0.1, 10, 17)[:-1], np.geomspace(10, 300, 45)]),
    "electron": np.geomspace(0.05, 7.0, 49),
}
TAIL = np.linspace(300, 800, 21)[1:]  # MeV, of protons beyond the table of AP-8
LOWEST_ALTITUDE, HIGHEST_ALTITUDE = 200.0, 36000.0  # km
LATITUDE_STEP, LONGITUDE_STEP, RADIUS_RATIO = 2.5, 4.0, 1.02  # degrees, degrees, and from shell to shell of a map


def field_epoch(particle: str, solar: str) -> int:
    """Year of the magnetic field that the model of ``particle`` and ``solar`` ("min" or "max") must be read with."""
    return 1970 if (particle, solar) == ("proton", "max") else 1960


def _model(particle, solar):
    try:
        import aep8
    except ImportError as problem:
        raise ValueError("trapped fluxes need the package aep8: pip install 'xcal-jax[orbit]'") from problem
    return aep8.model(particle[0], solar)


def geomagnetic_coordinates(
    position: ArrayLike | Sequence, particle: str, solar: str
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """L and B/B0 at Earth-fixed ``position`` (n, 3) km; NaN where field lines are open.

    Raises ValueError without the package aep8.
    """
    model, position = _model(particle, solar), np.asarray(position, float)
    from astropy.coordinates import EarthLocation
    from astropy.time import Time
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        anytime = Time(np.zeros(len(position)), format="unix")
        place = EarthLocation.from_geocentric(*position.T, unit="km")
        shell, ratio = model.geomagnetic_coordinates(place, anytime)
    shell, ratio = np.array(shell, float), np.array(ratio, float)
    open_line = ~(shell > 0) | ~(ratio > 0)
    shell[open_line], ratio[open_line] = np.nan, np.nan
    return shell, ratio


def integral_flux(
    shell: ArrayLike | Sequence, ratio: ArrayLike | Sequence, energy: ArrayLike | Sequence, particle: str, solar: str
) -> Float[np.ndarray, "n E"]:
    """Omnidirectional flux, 1/(cm2 s), above ``energy``; zero where field lines are open or the models have none.

    shell: (n,) L. ratio: (n,) B/B0. energy: (E,) MeV. Raises ValueError for energies outside the models, and
    without aep8.
    """
    model = _model(particle, solar)
    from astropy import units as u

    shell, ratio, energy = np.asarray(shell, float), np.asarray(ratio, float), np.asarray(energy, float)
    low, high = ENERGY_EDGES[particle][[0, -1]]
    outside = [float(value) for value in energy if not low <= value <= high]
    if outside:
        raise ValueError(f"`energy` of {particle}s must lie in {low} to {high} MeV, but is {outside[0]} MeV")
    flux = np.zeros((len(shell), len(energy)))
    at = np.flatnonzero(np.isfinite(shell))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "invalid value", RuntimeWarning)
        for column in np.argsort(energy):
            value = model.integral_flux_for_geomagnetic_coordinates(shell[at], ratio[at], energy[column] * u.MeV)
            flux[at, column] = np.nan_to_num(value.value)
            at = at[flux[at, column] > 0]
    return flux


def spectrum_energies(particle: str) -> Float[np.ndarray, " E"]:
    """Energies, MeV, of the differential fluxes: the geometric middles of the energy bins."""
    edges = _spectrum_edges(particle)
    return np.sqrt(edges[1:] * edges[:-1])


def differential_flux(integral: Float[np.ndarray, "*rows J"], particle: str) -> Float[np.ndarray, "*rows E"]:
    """Differential flux per MeV at `spectrum_energies` from the ``integral`` flux above ``ENERGY_EDGES``.

    AP-8 ends at 300 MeV with a twentieth of its protons above. These are distributed exponentially up to 800 MeV, with
    the slope of the last bins (the models themselves interpolate the logarithm of the flux linearly in energy).
    """
    if particle == "proton":
        span = ENERGY_EDGES["proton"][-1] - ENERGY_EDGES["proton"][-6]
        last, earlier = integral[..., -1:], integral[..., -6:-5]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(last > 0, np.log(earlier / last) / span, 1.0)
        beyond = np.exp(-slope * (TAIL - ENERGY_EDGES["proton"][-1]))
        tail = last * (beyond - beyond[..., -1:]) / (1 - beyond[..., -1:])
        integral = np.concatenate([integral, tail], -1)
    return -np.diff(integral, axis=-1) / np.diff(_spectrum_edges(particle))


def _spectrum_edges(particle: str) -> Float[np.ndarray, " edges"]:
    edges = ENERGY_EDGES[particle]
    return np.concatenate([edges, TAIL]) if particle == "proton" else edges


@dataclass(frozen=True)
class FieldMap:
    """L and B/B0 tabulated over the sphere: 3e-3 or better on orbit averages at a hundredth of the cost of tracing.

    radius: (R,) km. log_shell, log_ratio: (R, 73, 90), ln L and ln(B/B0 / L^3), every 2.5 and 4 degrees.
    """

    radius: np.ndarray
    log_shell: np.ndarray
    log_ratio: np.ndarray

    @classmethod
    def build(cls, lowest: float, highest: float, particle: str, solar: str) -> "FieldMap":
        """The map between the radii ``lowest`` and ``highest``, km, by tracing the field."""
        count = max(4, int(np.ceil(np.log(highest / lowest) / np.log(RADIUS_RATIO))) + 3)
        radius = lowest * RADIUS_RATIO ** (np.arange(count) - 1.0)
        latitude = np.radians(np.arange(-90, 90 + LATITUDE_STEP, LATITUDE_STEP))
        longitude = np.radians(np.arange(0, 360, LONGITUDE_STEP))
        r, b, a = np.meshgrid(radius, latitude, longitude, indexing="ij")
        position = np.stack([r * np.cos(b) * np.cos(a), r * np.cos(b) * np.sin(a), r * np.sin(b)], -1)
        shell, ratio = geomagnetic_coordinates(position.reshape(-1, 3), particle, solar)
        shell = np.where(shell < 30, shell, 30.0)
        ratio = np.where(np.isfinite(ratio) & (shell < 30), ratio, 3e4)
        return cls(radius, np.log(shell).reshape(r.shape), np.log(ratio / shell**3).reshape(r.shape))

    def __call__(self, position: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """L and B/B0 at ``position``, km, by four-point Lagrange polynomials in each coordinate."""
        x, y, z = position.T
        r = np.sqrt(x**2 + y**2 + z**2)
        at = [
            np.log(r / self.radius[0]) / np.log(RADIUS_RATIO),
            (np.degrees(np.arcsin(z / r)) + 90) / LATITUDE_STEP,
            np.degrees(np.arctan2(y, x)) % 360 / LONGITUDE_STEP,
        ]
        sizes = self.log_shell.shape
        first = [np.clip(np.floor(at[i]).astype(int) - 1, 0, sizes[i] - 4) for i in (0, 1)]
        first.append(np.floor(at[2]).astype(int) - 1)
        weights = [_lagrange(at[i] - first[i]) for i in range(3)]
        shell, ratio = np.zeros(len(r)), np.zeros(len(r))
        for i in range(4):
            for j in range(4):
                for k in range(4):
                    weight = weights[0][i] * weights[1][j] * weights[2][k]
                    node = (first[0] + i, first[1] + j, (first[2] + k) % sizes[2])
                    shell += weight * self.log_shell[node]
                    ratio += weight * self.log_ratio[node]
        shell = np.exp(shell)
        return shell, np.maximum(np.exp(ratio) * shell**3, 0.99)


def _lagrange(t: Float[np.ndarray, " n"]) -> Float[np.ndarray, "4 n"]:
    """Weights of the nodes 0, 1, 2, 3 at ``t``."""
    a, b, c = t - 1, t - 2, t - 3
    return np.array([-a * b * c / 6, t * b * c / 2, -t * a * c / 2, t * a * b / 6])


def drifted(
    position: Float[np.ndarray, "n 3"], year: float, particle: str, solar: str, degrees_per_year: float = 0.3
) -> Float[np.ndarray, "n 3"]:
    """``position`` turned east by as much as the anomaly has drifted west from its field's epoch to ``year``.

    A model read there has its anomaly where it is in ``year``. position: Earth-fixed, km.
    """
    angle = np.radians(degrees_per_year * (year - field_epoch(particle, solar)))
    return turned(position, np.full(len(position), -angle))
