"""Readers of orbits: files of two-line elements, tables of altitude against date; and the months of a
mission.

A month flies on one set of elements, as in the paper: the TLE nearest to its middle, or the table's
altitude there.
"""

import csv
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from xcal_jax.orbit.ephemeris import EQUATOR, MU, circular_position, julian_date, sidereal_angle, turned
from xcal_jax.orbit.months import DAY, Segment, parse_date
from xcal_jax.orbit.trapped import HIGHEST_ALTITUDE, LOWEST_ALTITUDE

SATELLITES = {"GRBAlpha": "grbalpha_altitude.csv", "VZLUSAT-2": "vzlusat2_altitude.csv"}
COLUMNS = ["date", "altitude_km", "inclination_deg"]


@dataclass(frozen=True)
class TLE:
    """One two-line element set: name, its lines, epoch (UTC)."""

    name: str
    lines: tuple[str, str]
    epoch: np.datetime64

    @property
    def altitude(self) -> float:
        """Semi-major axis above the equatorial radius, km."""
        motion = float(self.lines[1][52:63]) * 2 * np.pi / 86400
        return (MU / motion**2) ** (1 / 3) - EQUATOR

    @property
    def inclination(self) -> float:
        """Degrees."""
        return float(self.lines[1][8:16])

    def position(self, time) -> np.ndarray:
        """Earth-fixed position (n, 3) km at ``time`` (n,) UTC, by SGP4."""
        try:
            from sgp4.api import SGP4_ERRORS, Satrec
        except ImportError as problem:
            raise ValueError("TLEs need the package sgp4: pip install 'xcal-jax[orbit]'") from problem

        error, position, _ = Satrec.twoline2rv(*self.lines).sgp4_array(*julian_date(time))
        radius = np.linalg.norm(position, axis=1)
        lost = (error != 0) | ~(radius > EQUATOR) | (radius > 2 * (EQUATOR + HIGHEST_ALTITUDE))
        if lost.any():
            first = int(np.argmax(lost))
            why = SGP4_ERRORS.get(int(error[first]), f"its radius would be {radius[first]:.4g} km")
            raise ValueError(
                f"TLE of {self.name} at {self.epoch} must reach {np.asarray(time)[first]}, but there {why}"
            )
        return turned(position, sidereal_angle(time))


@dataclass(frozen=True)
class Elements:
    """A history of TLEs in order of time. ``max_age``: days a set may be from the dates it is used for."""

    sets: tuple[TLE, ...]
    max_age: float = 45.0

    @property
    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """First to last epoch; 30 days from the epoch of a single set."""
        first, last = self.sets[0].epoch, self.sets[-1].epoch
        return first, last if last > first else first + 30 * DAY

    def at(self, segment: Segment) -> TLE:
        """The set nearest to the middle of ``segment``; ValueError when it is more than ``max_age`` days
        off.
        """
        nearest = min(self.sets, key=lambda tle: abs(tle.epoch - segment.middle))
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

    def position(self, segment: Segment, seconds) -> np.ndarray:
        """Earth-fixed position (n, 3) km at ``seconds`` (n,) from the start of ``segment``."""
        time = segment.start.astype("M8[us]") + (np.asarray(seconds) * 1e6).astype("m8[us]")
        return self.at(segment).position(time)


@dataclass(frozen=True)
class Altitudes:
    """A circular orbit by a table: date (T,), altitude (T,) km above the equatorial radius, inclination
    (T,) degrees.
    """

    date: np.ndarray
    table: np.ndarray
    inclinations: np.ndarray

    @property
    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """First to last date."""
        return self.date[0], self.date[-1]

    def _at(self, segment: Segment, values) -> float:
        if segment.start < self.date[0] or segment.end > self.date[-1]:
            raise ValueError(
                f"`altitudes` must cover {segment}, but reach from {str(self.date[0])[:10]} to "
                f"{str(self.date[-1])[:10]}"
            )
        seconds = (self.date - self.date[0]) / np.timedelta64(1, "s")
        return float(np.interp((segment.middle - self.date[0]) / np.timedelta64(1, "s"), seconds, values))

    def altitude(self, segment: Segment) -> float:
        """Linear between the dates, at the middle of ``segment``, km."""
        return self._at(segment, self.table)

    def position(self, segment: Segment, seconds) -> np.ndarray:
        """Earth-fixed position (n, 3) km at ``seconds`` (n,) from the start of ``segment``; its phase is
        arbitrary.
        """
        return circular_position(self.altitude(segment), self._at(segment, self.inclinations), np.asarray(seconds))


def read_tle(path: str | os.PathLike) -> Elements:
    """Read a file of TLEs of any length and order, with or without lines of names.

    Raises ValueError, naming file and line, for a line of the wrong length, order, satellite or checksum,
    more than one satellite in the file, elements that are no numbers, or an altitude outside the models.
    """
    sets, name, first = [], "", None
    lines = Path(path).read_text().splitlines()
    for number, raw in enumerate(lines, 1):
        line, where = raw.rstrip(), f"line {number} of {str(path)!r}"
        if not line:
            continue
        if line.startswith("1 ") and len(line) >= 60 and first is None:
            first = _checked(line, where)
        elif line.startswith("2 ") and first is not None:
            sets.append(_tle(name, first, _checked(line, where), where))
            first = None
        elif first is not None or line[:2] in ("1 ", "2 "):
            raise ValueError(f"{where} must be line {2 if first else 1} of a TLE, 69 characters, but is {line!r}")
        else:
            name = line.removeprefix("0 ").strip()
    if first is not None or not sets:
        raise ValueError(
            f"{str(path)!r} must hold pairs of TLE lines, but {'the last is half' if first else 'has none'}"
        )
    numbers = sorted({tle.lines[0][2:7] for tle in sets})
    if len(numbers) > 1:
        raise ValueError(f"{str(path)!r} must hold one satellite, but has catalogue numbers {', '.join(numbers)}")
    return Elements(tuple(sorted(sets, key=lambda tle: tle.epoch)))


def _checked(line: str, where: str) -> str:
    if len(line) != 69:
        raise ValueError(f"{where} must have the 69 characters of a TLE line, but has {len(line)}")
    checksum = sum(int(c) if c.isdigit() else c == "-" for c in line[:68]) % 10
    if line[68] != str(checksum):
        raise ValueError(f"{where} must end with its checksum {checksum}, but ends with {line[68]!r}")
    return line


def _tle(name: str, first: str, second: str, where: str) -> TLE:
    if first[2:7] != second[2:7]:
        raise ValueError(f"{where} must be of satellite {first[2:7]} like the line before, but is of {second[2:7]}")
    try:
        year, day = int(first[18:20]), float(first[20:32])
        year += 1900 if year >= 57 else 2000
        epoch = np.datetime64(f"{year}-01-01", "s") + np.timedelta64(round((day - 1) * 86400), "s")
        tle = TLE(name or first[2:7].strip(), (first, second), epoch)
        altitude, _ = tle.altitude, tle.inclination
    except (ValueError, ZeroDivisionError) as problem:
        raise ValueError(f"{where} must close a TLE of numbers, but: {problem}") from problem
    _check_altitude(altitude, where)
    return tle


def _check_altitude(altitude: float, where: str) -> None:
    if not LOWEST_ALTITUDE <= altitude <= HIGHEST_ALTITUDE:
        raise ValueError(
            f"altitude must lie in {LOWEST_ALTITUDE:g} to {HIGHEST_ALTITUDE:g} km, where AP-8 and AE-8 are "
            f"read, but {where} has {altitude:g} km"
        )


def read_altitudes(path: str | os.PathLike) -> Altitudes:
    """Read a CSV file with the header ``date,altitude_km,inclination_deg``; lines that start with # are
    remarks.

    Raises ValueError, naming file and line, for another header, no numbers, dates out of order, an
    inclination outside 0..180 degrees, an altitude outside the models, or fewer than two dates.
    """
    return _altitudes(Path(path).read_text(), str(path))


def shipped_altitudes(satellite: str) -> Altitudes:
    """The altitude history of "GRBAlpha" or "VZLUSAT-2" as far as it is known: see the remarks in the
    files.
    """
    if satellite not in SATELLITES:
        raise ValueError(f"`satellite` must be one of {', '.join(SATELLITES)}, but is {satellite!r}")
    file = files("xcal_jax.orbit") / "data" / SATELLITES[satellite]
    return _altitudes(file.read_text(), SATELLITES[satellite])


def _altitudes(text: str, name: str) -> Altitudes:
    rows: list[tuple[np.datetime64, float, float]] = []
    header = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"line {number} of {name!r}"
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        if header is None:
            header = cells
            if header != COLUMNS:
                raise ValueError(f"{where} must be the header {','.join(COLUMNS)}, but is {line!r}")
            continue
        if len(cells) != 3:
            raise ValueError(f"{where} must have the cells {','.join(COLUMNS)}, but is {line!r}")
        date = parse_date(cells[0], f"date in {where}")
        try:
            altitude, inclination = float(cells[1]), float(cells[2])
        except ValueError as problem:
            raise ValueError(f"{where} must hold numbers, but is {line!r}") from problem
        _check_altitude(altitude, where)
        if not 0 <= inclination <= 180:
            raise ValueError(f"inclination must lie in 0 to 180 degrees, but {where} has {inclination:g}")
        if rows and not date > rows[-1][0]:
            raise ValueError(f"dates must grow, but {where} has {cells[0]} after {str(rows[-1][0])[:10]}")
        rows.append((date, altitude, inclination))
    if len(rows) < 2:
        raise ValueError(f"{name!r} must have two dates or more, but has {len(rows)}")
    dates, altitudes, inclinations = zip(*rows, strict=True)
    return Altitudes(np.array(dates), np.array(altitudes), np.array(inclinations))
