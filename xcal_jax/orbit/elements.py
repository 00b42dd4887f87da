"""Orbits: mean elements of SGP4 at their epochs, or a table of altitude against date; positions at any time.

A month flies on one set of elements, as in the paper: the set nearest to its middle, or the table's altitude there.
Where no set is near, the mean elements are interpolated between the neighbouring sets: right for averages over a month,
and without meaning for the time of a pass.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from xcal_jax.orbit.ephemeris import EQUATOR, MU, circular_position, julian_date, sidereal_angle, turned
from xcal_jax.orbit.months import DAY, Segment
from xcal_jax.orbit.trapped import HIGHEST_ALTITUDE

MAX_AGE, OLDEST = 45.0, 36525.0  # d
UNIX_EPOCH = 2440587.5  # Julian days
SGP4_EPOCH = np.datetime64("1949-12-31", "s")


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
        seconds = (self.orbit.jdsatepoch - UNIX_EPOCH) * 86400 + self.orbit.jdsatepochF * 86400
        return np.datetime64(round(seconds), "s")

    @property
    def altitude(self) -> float:
        """Semi-major axis above the equatorial radius, km."""
        return (MU / (self.orbit.no_kozai / 60) ** 2) ** (1 / 3) - EQUATOR

    @property
    def inclination(self) -> float:
        """Angle between the orbit and the equator, degrees."""
        return float(np.degrees(self.orbit.inclo))

    def lost(self, time: ArrayLike) -> str:
        """Where SGP4 has lost the orbit at ``time`` (n,) UTC, the first of these times and why; "" where nowhere."""
        return self._fly(time)[1]

    def position(self, time: ArrayLike) -> Float[np.ndarray, "n 3"]:
        """Earth-fixed position, km, at ``time`` (n,) UTC, by SGP4. Raises ValueError where the orbit has decayed."""
        position, lost = self._fly(time)
        if lost:
            raise ValueError(f"TLE of {self.name} at {self.epoch} must reach {lost}")
        return turned(position, sidereal_angle(time))

    def _fly(self, time: ArrayLike) -> tuple[Float[np.ndarray, "n 3"], str]:
        from sgp4.api import SGP4_ERRORS

        error, position, _ = self.orbit.sgp4_array(*julian_date(time))
        radius = np.linalg.norm(position, axis=1)
        bad = (error != 0) | ~(radius > EQUATOR) | (radius > 2 * (EQUATOR + HIGHEST_ALTITUDE))
        if not bad.any():
            return position, ""
        first = int(np.argmax(bad))
        why = SGP4_ERRORS.get(int(error[first]), f"its radius would be {radius[first]:.4g} km")
        return position, f"{np.asarray(time)[first]}, but there {why}"


@dataclass(frozen=True)
class Elements:
    """A history of element sets in order of time.

    max_age: days that a set may be from the dates it is used for. strict: refuse what else is told by a warning.
    """

    sets: tuple[ElementSet, ...]
    max_age: float = MAX_AGE
    strict: bool = False

    @property
    def name(self) -> str:
        """The satellite's, as its latest set has it; "" where the sets have a number alone."""
        last = self.sets[-1]
        return "" if last.name == str(last.number) else last.name

    @property
    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """First to last epoch; 30 days from the epoch of a single set."""
        first, last = self.sets[0].epoch, self.sets[-1].epoch
        return first, last if last > first else first + 30 * DAY

    def at(self, segment: Segment) -> ElementSet:
        """The set nearest to the middle of ``segment``.

        Raises ValueError where it is more than `max_age` days off.
        """
        return self._near(segment)[0]

    def flights(self, segments: Sequence[Segment]) -> list[ElementSet]:
        """The set that each of ``segments`` flies on.

        It is the nearest that has not decayed before the segment ends, or where all are more than `max_age` days off,
        the elements interpolated between the sets before and after. Both are told by a warning that counts them.
        Raises ValueError where `strict`, where all sets near decay, and for dates before the first set and after the
        last that none is near.
        """
        found, decayed, between = [], [], []
        for segment in segments:
            near = [] if self._is_between(segment) and not self.strict else self._near(segment)
            flown = next((one for one in near if not one.lost(_dates(segment))), None)
            if flown is None and near:
                flown = near[0]
                flown.position(_dates(segment))  # raises, and says why
            if flown is None:
                flown = self._interpolated(segment)
                between.append(segment)
            elif flown is not near[0]:
                decayed.append(segment)
            found.append(flown)
        if self.strict and decayed:
            self.at(decayed[0]).position(_dates(decayed[0]))
        for some, what in (
            (decayed, "fly on an earlier element set, for the nearest decays before their end"),
            (between, f"have no element set within {self.max_age:g} days: elements are interpolated between two sets"),
        ):
            if some:
                warnings.warn(f"{len(some)} of {len(segments)} months {what}; the first: {some[0]}", stacklevel=2)
        return found

    def _age(self, one: ElementSet, segment: Segment) -> float:
        return max(abs(one.epoch - segment.start), abs(one.epoch - segment.end)) / DAY

    def _near(self, segment: Segment) -> list[ElementSet]:
        """The sets no more than `max_age` days off, the one nearest to the middle first."""
        by_distance = sorted(self.sets, key=lambda one: abs(one.epoch - segment.middle))
        near = [one for one in by_distance if self._age(one, segment) <= self.max_age]
        if not near:
            raise ValueError(
                f"`tle` must have an epoch within {self.max_age:g} days of {segment}, but the nearest, "
                f"{str(by_distance[0].epoch)[:10]}, is {np.ceil(self._age(by_distance[0], segment)):.0f} days off"
            )
        return near

    def _is_between(self, segment: Segment) -> bool:
        inside = self.sets[0].epoch <= segment.middle <= self.sets[-1].epoch
        return bool(inside) and min(self._age(one, segment) for one in self.sets) > self.max_age

    def _interpolated(self, segment: Segment) -> ElementSet:
        """Mean elements in the middle of ``segment``, linear in time between the sets before and after.

        The angles in the orbit's plane are those of the set before, and the drag is none.
        """
        from sgp4.api import WGS72, Satrec

        epochs = np.array([one.epoch for one in self.sets])
        after = int(np.searchsorted(epochs, segment.middle, side="right"))
        one, other = self.sets[after - 1], self.sets[min(after, len(self.sets) - 1)]
        part = float((segment.middle - one.epoch) / max(other.epoch - one.epoch, DAY))
        a, b = one.orbit, other.orbit

        def mean(first: float, second: float) -> float:
            return first + part * (second - first)

        motion = mean(a.no_kozai ** (-2 / 3), b.no_kozai ** (-2 / 3)) ** -1.5  # linear in the semi-major axis
        days = float((segment.middle - SGP4_EPOCH) / DAY)
        shape = mean(a.ecco, b.ecco), a.argpo, mean(a.inclo, b.inclo), a.mo
        orbit = Satrec()
        orbit.sgp4init(WGS72, "i", 0, days, 0.0, 0.0, 0.0, *shape, motion, a.nodeo)
        return ElementSet(one.name, one.number, orbit)


def _dates(segment: Segment) -> np.ndarray:
    """Times over ``segment``, its ends among them, a day or less apart."""
    steps = int(np.ceil(segment.days))
    return segment.start + np.linspace(0, (segment.end - segment.start).astype(int), steps + 1).astype("m8[s]")


@dataclass(frozen=True)
class Circle:
    """A circular orbit. altitude: km above the equatorial radius. inclination: degrees."""

    altitude: float
    inclination: float


@dataclass(frozen=True)
class Altitudes:
    """A circular orbit by a table.

    date: (T,) UTC. altitude: (T,) km above the equatorial radius. inclination: (T,) degrees. name: of the satellite, ""
    if not known.
    """

    date: np.ndarray
    altitude: np.ndarray
    inclination: np.ndarray
    name: str = ""

    @property
    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """First to last date."""
        return self.date[0], self.date[-1]

    def flights(self, segments: Sequence[Segment]) -> list[Circle]:
        """The orbit in the middle of each of ``segments``, linear between the dates.

        Raises ValueError outside the dates.
        """
        return [self._at(segment) for segment in segments]

    def _at(self, segment: Segment) -> Circle:
        if segment.start < self.date[0] or segment.end > self.date[-1]:
            raise ValueError(
                f"`altitudes` must cover {segment}, but reach from {str(self.date[0])[:10]} to "
                f"{str(self.date[-1])[:10]}"
            )
        seconds = (self.date - self.date[0]) / np.timedelta64(1, "s")
        middle = (segment.middle - self.date[0]) / np.timedelta64(1, "s")
        return Circle(*(float(np.interp(middle, seconds, values)) for values in (self.altitude, self.inclination)))


def positions(
    flown: ElementSet | Circle, segment: Segment, seconds: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n 3"]:
    """Earth-fixed position, km, at ``seconds`` from the start of ``segment``; the phase of a `Circle` is arbitrary."""
    if isinstance(flown, Circle):
        return circular_position(flown.altitude, flown.inclination, seconds)
    return flown.position(segment.start.astype("M8[us]") + (seconds * 1e6).astype("m8[us]"))
