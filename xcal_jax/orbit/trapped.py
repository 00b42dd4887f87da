"""Trapped protons and electrons: the models AP-8 and AE-8 (Sawyer and Vette 1976, Vette 1991) by the
package aep8.

Flux depends on McIlwain's L and on B/B0 alone, and those on position alone: the models own their fields
(Jensen and Cain 1960; AP-8 maximum: GSFC 12/66 of 1970), and a field of today would be two to three times
too high at these altitudes. So the South Atlantic Anomaly lies at its place of the 1960s: right for
averages, wrong for the time of a pass. Since then it has drifted west by about 0.3 degrees a year
(``drifted``).
"""

import warnings
from dataclasses import dataclass

import numpy as np

ENERGY_EDGES = {
    "proton": np.concatenate([np.geomspace(0.1, 10, 17)[:-1], np.geomspace(10, 300, 45)]),
    "electron": np.geomspace(0.05, 7.0, 49),
}
TAIL = np.linspace(300, 800, 21)[1:]
LOWEST_ALTITUDE, HIGHEST_ALTITUDE = 200.0, 36000.0
LATITUDE_STEP, LONGITUDE_STEP, RADIUS_RATIO = 2.5, 4.0, 1.02


def field_epoch(particle: str, solar: str) -> int:
    """Year of the magnetic field a model is read with."""
    return 1970 if (particle, solar) == ("proton", "max") else 1960


def _model(particle, solar):
    try:
        import aep8
    except ImportError as problem:
        raise ValueError("trapped fluxes need the package aep8: pip install 'xcal-jax[orbit]'") from problem
    return aep8.model(particle[0], solar)


def geomagnetic_coordinates(position, particle: str, solar: str) -> tuple[np.ndarray, np.ndarray]:
    """Return L (n,) and B/B0 (n,) at Earth-fixed ``position`` (n, 3) km; NaN where field lines are open."""
    model = _model(particle, solar)
    from astropy.coordinates import EarthLocation
    from astropy.time import Time
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        anytime = Time(np.zeros(len(position)), format="unix")
        place = EarthLocation.from_geocentric(*np.asarray(position, float).T, unit="km")
        shell, ratio = model.geomagnetic_coordinates(place, anytime)
    shell, ratio = np.array(shell, float), np.array(ratio, float)
    open_line = ~(shell > 0) | ~(ratio > 0)
    shell[open_line], ratio[open_line] = np.nan, np.nan
    return shell, ratio


def integral_flux(shell, ratio, energy, particle: str, solar: str) -> np.ndarray:
    """Omnidirectional flux (n, E) above ``energy`` (E,) MeV, 1/(cm2 s).

    ``shell`` is L (n,), ``ratio`` B/B0 (n,). Raises ValueError for energies outside the models. Zero where
    the field lines are open and where the models carry nothing.
    """
    model = _model(particle, solar)
    from astropy import units as u

    low, high = ENERGY_EDGES[particle][[0, -1]]
    outside = [float(value) for value in energy if not low <= value <= high]
    if outside:
        raise ValueError(f"`energy` of {particle}s must lie in {low} to {high} MeV, but is {outside[0]} MeV")
    shell, ratio, energy = np.asarray(shell, float), np.asarray(ratio, float), np.asarray(energy, float)
    flux = np.zeros((len(shell), len(energy)))
    at = np.flatnonzero(np.isfinite(shell))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "invalid value", RuntimeWarning)
        for column in np.argsort(energy):
            value = model.integral_flux_for_geomagnetic_coordinates(shell[at], ratio[at], energy[column] * u.MeV)
            flux[at, column] = np.nan_to_num(value.value)
            at = at[flux[at, column] > 0]
    return flux


def spectrum_energies(particle: str) -> np.ndarray:
    """Energies (E,) MeV at which differential fluxes stand: the geometric middles of the energy bins."""
    edges = _spectrum_edges(particle)
    return np.sqrt(edges[1:] * edges[:-1])


def differential_flux(integral, particle: str) -> np.ndarray:
    """Differential flux (..., E) per MeV at ``spectrum_energies`` from the flux (..., J) above
    ``ENERGY_EDGES``.

    AP-8 ends at 300 MeV with a twentieth of its protons above: they are spread exponentially up to 800 MeV,
    with the slope of the last bins (the models themselves interpolate the logarithm of the flux linearly in
    energy).
    """
    integral = np.asarray(integral, float)
    if particle == "proton":
        span = ENERGY_EDGES["proton"][-1] - ENERGY_EDGES["proton"][-6]
        last, earlier = integral[..., -1:], integral[..., -6:-5]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(last > 0, np.log(earlier / last) / span, 1.0)
        beyond = np.exp(-slope * (TAIL - ENERGY_EDGES["proton"][-1]))
        tail = last * (beyond - beyond[..., -1:]) / (1 - beyond[..., -1:])
        integral = np.concatenate([integral, tail], -1)
    return -np.diff(integral, axis=-1) / np.diff(_spectrum_edges(particle))


def _spectrum_edges(particle: str) -> np.ndarray:
    edges = ENERGY_EDGES[particle]
    return np.concatenate([edges, TAIL]) if particle == "proton" else edges


@dataclass(frozen=True)
class FieldMap:
    """L and B/B0 tabulated over the sphere: 3e-3 or better on orbit averages, a hundredth of the cost of
    tracing.

    radius: (R,) km. log_shell, log_ratio: (R, 73, 90), ln L and ln(B/B0 / L^3), every 2.5 and 4 degrees.
    """

    radius: np.ndarray
    log_shell: np.ndarray
    log_ratio: np.ndarray

    @classmethod
    def build(cls, lowest: float, highest: float, particle: str, solar: str) -> "FieldMap":
        """Trace the field between the radii ``lowest`` and ``highest``, km."""
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

    def __call__(self, position) -> tuple[np.ndarray, np.ndarray]:
        """L (n,) and B/B0 (n,) at ``position`` (n, 3) km, by four-point Lagrange polynomials in each
        coordinate.
        """
        x, y, z = np.asarray(position, float).T
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


def _lagrange(t) -> np.ndarray:
    """Weights (4, n) of the nodes 0, 1, 2, 3 at ``t`` (n,)."""
    a, b, c = t - 1, t - 2, t - 3
    return np.array([-a * b * c / 6, t * b * c / 2, -t * a * c / 2, t * a * b / 6])


def drifted(position, year: float, particle: str, solar: str, degrees_per_year: float = 0.3) -> np.ndarray:
    """Where to read a model so that its anomaly has moved west since its field's epoch: ``position`` turned
    east.

    ``position`` (n, 3) km, Earth-fixed, at ``year``. Drift: about 0.3 degrees a year.
    """
    angle = np.radians(degrees_per_year * (year - field_epoch(particle, solar)))
    x, y, z = np.asarray(position, float).T
    return np.stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle), z], -1)
