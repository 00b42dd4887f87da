"""Orbits: mean elements of SGP4 at their epochs, or a table of altitude against date; positions at any time.

A month flies on one set of elements, as in the paper: the set nearest to its middle, or the table's altitude there.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from xcal_jax.orbit.ephemeris import EQUATOR, MU, circular_position, julian_date, sidereal_angle, turned
from xcal_jax.orbit.months import DAY, Segment
from xcal_jax.orbit.trapped import HIGHEST_ALTITUDE


@dataclass(frozen=True)
class ElementSet:
    """Mean elements of one satellite at one epoch (UTC).

    name: of the satellite. number: in the catalogue. orbit: the `Satrec` of the package sgp4.
    """

    name: str
    number: int
    orbit: Any

    @property
    def epoch(self) -> np.datetime64:
        """The time that the elements hold for, UTC, to a second."""
        seconds = (self.orbit.jdsatepoch - 2440587.5) * 86400 + self.orbit.jdsatepochF * 86400
        return np.datetime64(round(seconds), "s")

    @property
    def altitude(self) -> float:
        """Semi-major axis above the equatorial radius, km."""
        return (MU / (self.orbit.no_kozai / 60) ** 2) ** (1 / 3) - EQUATOR

    @property
    def inclination(self) -> float:
        """Angle between the orbit and the equator, degrees."""
        return float(np.degrees(self.orbit.inclo))

    def position(self, time: ArrayLike) -> Float[np.ndarray, "n 3"]:
        """Earth-fixed position, km, at ``time`` (n,) UTC, by SGP4. Raises ValueError where the orbit has decayed."""
        from sgp4.api import SGP4_ERRORS

        error, position, _ = self.orbit.sgp4_array(*julian_date(time))
        radius = np.linalg.norm(position, axis=1)
        bad = (error != 0) | ~(radius > EQUATOR) | (radius > 2 * (EQUATOR + HIGHEST_ALTITUDE))
        if bad.any():
            first = int(np.argmax(bad))
            why = SGP4_ERRORS.get(int(error[first]), f"its radius would be {radius[first]:.4g} km")
            raise ValueError(
                f"TLE of {self.name} at {self.epoch} must reach {np.asarray(time)[first]}, but there {why}"
            )
        return turned(position, sidereal_angle(time))


@dataclass(frozen=True)
class Elements:
    """A history of element sets in order of time. max_age: days a set may be from the dates it is used for."""

    sets: tuple[ElementSet, ...]
    max_age: float = 45.0

    @property
    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """First to last epoch; 30 days from the epoch of a single set."""
        first, last = self.sets[0].epoch, self.sets[-1].epoch
        return first, last if last > first else first + 30 * DAY

    def at(self, segment: Segment) -> ElementSet:
        """The set nearest to the middle of ``segment``. Raises ValueError where it is more than `max_age` days off."""
        nearest = min(self.sets, key=lambda one: abs(one.epoch - segment.middle))
        age = max(abs(nearest.epoch - segment.start), abs(nearest.epoch - segment.end)) / DAY
        if age > self.max_age:
            raise ValueError(
                f"`tle` must have an epoch within {self.max_age:g} days of {segment}, but the nearest, "
                f"{str(nearest.epoch)[:10]}, is {np.ceil(age):.0f} days off"
            )
        return nearest

    def altitude(self, segment: Segment) -> float:
        """Semi-major axis above the equatorial radius, km."""
        return self.at(segment).altitude

    def position(self, segment: Segment, seconds: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
        """Earth-fixed position, km, at ``seconds`` from the start of ``segment``."""
        time = segment.start.astype("M8[us]") + (seconds * 1e6).astype("m8[us]")
        return self.at(segment).position(time)


@dataclass(frozen=True)
class Altitudes:
    """A circular orbit by a table.

    date: (T,) UTC. table: (T,) km above the equatorial radius. inclinations: (T,) degrees.
    """

    date: np.ndarray
    table: np.ndarray
    inclinations: np.ndarray

    @property
    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """First to last date."""
        return self.date[0], self.date[-1]

    def _at(self, segment: Segment, values: np.ndarray) -> float:
        if segment.start < self.date[0] or segment.end > self.date[-1]:
            raise ValueError(
                f"`altitudes` must cover {segment}, but reach from {str(self.date[0])[:10]} to "
                f"{str(self.date[-1])[:10]}"
            )
        seconds = (self.date - self.date[0]) / np.timedelta64(1, "s")
        return float(np.interp((segment.middle - self.date[0]) / np.timedelta64(1, "s"), seconds, values))

    def altitude(self, segment: Segment) -> float:
        """Altitude at the middle of ``segment``, km, linear between the dates. Raises ValueError outside the dates."""
        return self._at(segment, self.table)

    def position(self, segment: Segment, seconds: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
        """Earth-fixed position, km, at ``seconds`` from the start of ``segment``; its phase is arbitrary."""
        return circular_position(self.altitude(segment), self._at(segment, self.inclinations), seconds)
