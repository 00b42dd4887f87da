"""Readers of orbits: TLE or OMM files of one satellite or of many; tables of altitude against date.

One bad set does not spoil a history: what cannot be used is skipped with a warning that counts it, or refused where
the reader is `strict`.
"""

import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np

from xcal_jax.io.arguments import checked
from xcal_jax.io.files import read_text
from xcal_jax.io.tables import read_table
from xcal_jax.orbit import omm, tle_lines
from xcal_jax.orbit.elements import MAX_AGE, OLDEST, Altitudes, Elements, ElementSet
from xcal_jax.orbit.months import parse_date
from xcal_jax.orbit.trapped import HIGHEST_ALTITUDE, LOWEST_ALTITUDE
from xcal_jax.units import parse_quantity, shown, shown_path

SATELLITES = {"GRBAlpha": "grbalpha_altitude.csv", "VZLUSAT-2": "vzlusat2_altitude.csv"}
COLUMNS = ["date", "altitude_km", "inclination_deg"]
LISTED = 8  # satellites that an error names


@checked
def read_tle(
    path: str | os.PathLike, satellite: str | int | None = None, strict: bool = False, max_age: float = MAX_AGE
) -> Elements:
    """The element sets of one satellite in a file of TLEs, with or without names, or of OMMs in CSV, XML, JSON or KVN.

    The file may have any length and order, and hold a set twice. satellite: name or catalogue number of the one to
    take, where there are several. strict: refuse the file where a set cannot be used, rather than skip it with a
    warning. max_age: as of `Elements`. A set cannot be used if a line has the wrong length, order or checksum, a field
    is missing or no number, SGP4 refuses it, or its altitude is outside the models, as after re-entry.
    Raises ValueError, naming file and line (or message), where no set can be used, more than one satellite is there or
    not the one asked for, and without the package sgp4.
    """
    try:
        import sgp4.api  # noqa: F401
    except ImportError as problem:
        raise ValueError("TLEs need the package sgp4: pip install 'xcal-jax[orbit]'") from problem
    parse_quantity(max_age, "d", "max_age", least=0.0, most=OLDEST)
    where = shown_path(path)
    sets: list[ElementSet] = []
    broken: list[tuple[str, str]] = []
    for place, known, read in _entries(read_text(path, where, "TLE or OMM", wide=True), where):
        try:
            sets.append(_checked_set(*read()))
        except ValueError as problem:
            broken.append((known, f"{place} {problem}"))
    usable = {str(one.number) for one in sets}
    lost = [sentence for known, sentence in broken if not usable or known == str(satellite) not in usable]
    if lost:
        raise ValueError(lost[0])
    if not sets:
        raise ValueError(f"{where} must hold element sets (TLE or OMM), but has none")
    name, number = _picked(sets, satellite, where)
    sets = [one for one in sets if one.number == number]
    broken = [one for one in broken if one[0] in (str(number), "")]
    if broken and strict:
        raise ValueError(broken[0][1])
    if broken:
        skipped = f"{len(broken)} of {len(broken) + len(sets)} element sets of {name} in {where} are skipped"
        warnings.warn(f"{skipped}; the first: {broken[0][1]}", stacklevel=2)
    by_epoch = {one.epoch: one for one in sets}
    return Elements(tuple(by_epoch[epoch] for epoch in sorted(by_epoch)), max_age, strict)


def _entries(text: str, path: str) -> Iterator[tuple[str, str, Any]]:
    """Place, catalogue number ("" if unknown) and a function that reads it, of all that may be an element set."""
    found = omm.read_messages(text, path)
    if found is None:
        for pair in tle_lines.pairs(text, path):
            yield pair.where, pair.number, lambda pair=pair: tle_lines.orbit_of(pair)
    for count, message in enumerate(found or [], 1):
        where = f"message {count} of {path}"
        lines = omm.tle_lines(message)
        if lines is None:
            number = message.get("NORAD_CAT_ID") or "" if isinstance(message, dict) else ""
            yield where, str(number), lambda message=message: omm.orbit_of(message)
        else:
            for pair in tle_lines.pairs(lines, where):
                yield pair.where, pair.number, lambda pair=pair: tle_lines.orbit_of(pair)


def _is_called(asked: str, one: ElementSet) -> bool:
    """Whether a set is of the satellite ``asked`` for: by number, or by name, ISS (ZARYA) also as ISS."""
    name = one.name.casefold()
    return asked.casefold() in (name, name.partition(" (")[0]) or asked == str(one.number)


def _picked(sets: list[ElementSet], satellite: str | int | None, where: str) -> tuple[str, int]:
    """Name and catalogue number of the one satellite in ``sets``, or of the one asked for."""
    names = {one.number: one.name for one in sets}
    if satellite is not None:
        asked = str(satellite).strip()
        matching = {one.number: one.name for one in sets if _is_called(asked, one)}
    else:
        matching = names
    if len(matching) == 1:
        return next((name, number) for number, name in matching.items())
    numbers = sorted(matching or names)
    listed = ", ".join(f"{n}" if names[n] == str(n) else f"{n} ({names[n]})" for n in numbers[:LISTED])
    listed += f" and {len(numbers) - LISTED} more" if len(numbers) > LISTED else ""
    if matching:
        raise ValueError(
            f"{where} must hold one satellite, but has catalogue numbers {listed}: pick one by `satellite`"
        )
    raise ValueError(f"`satellite` must be one of those in {where}, {listed}, but is {shown(satellite)}")


def _checked_set(name: str, number: int, orbit: Any) -> ElementSet:
    from sgp4.api import SGP4_ERRORS

    one = ElementSet(name, number, orbit)
    _check_altitude(one.altitude if orbit.no_kozai > 0 else float("nan"))
    error, position, _ = orbit.sgp4_tsince(0.0)
    if error or not np.isfinite(position).all():
        why = SGP4_ERRORS.get(error, "a coordinate is no number")
        raise ValueError(f"must hold elements of an orbit at their epoch, but {why}")
    return one


def _check_altitude(altitude: float) -> None:
    if not LOWEST_ALTITUDE <= altitude <= HIGHEST_ALTITUDE:
        raise ValueError(
            f"must have an altitude in {LOWEST_ALTITUDE:g} to {HIGHEST_ALTITUDE:g} km, where AP-8 and AE-8 are "
            f"read, but has {altitude:g} km"
        )


@checked
def read_altitudes(path: str | os.PathLike) -> Altitudes:
    """The orbit in a CSV file with the header ``date,altitude_km,inclination_deg``; lines starting with # are remarks.

    Raises ValueError, naming file and line, for other columns, cells that are no numbers, dates out of order, an
    inclination outside 0..180 degrees, an altitude outside the models, or fewer than two dates.
    """
    name = shown_path(path)
    table = read_table(path, name, words=("date",))
    if list(table.columns) != COLUMNS:
        raise ValueError(f"{name} must have the header {','.join(COLUMNS)}, but has {','.join(table.columns)}")
    dates: list[np.datetime64] = []
    for line, text, altitude, inclination in table.itertuples():
        where = f"line {line} of {name}"
        date = parse_date(text, f"date in {where}")
        try:
            _check_altitude(altitude)
        except ValueError as problem:
            raise ValueError(f"{where} {problem}") from problem
        if not 0 <= inclination <= 180:
            raise ValueError(f"inclination must lie in 0 to 180 degrees, but {where} has {inclination:g}")
        if dates and not date > dates[-1]:
            raise ValueError(f"dates must grow, but {where} has {text} after {str(dates[-1])[:10]}")
        dates.append(date)
    if len(dates) < 2:
        raise ValueError(f"{name} must have two dates or more, but has {len(dates)}")
    return Altitudes(np.array(dates), table["altitude_km"].to_numpy(), table["inclination_deg"].to_numpy())


@checked
def shipped_altitudes(satellite: str) -> Altitudes:
    """The altitude history of "GRBAlpha" or "VZLUSAT-2" as far as it is known; the files' remarks say what is assumed.

    Raises ValueError for another satellite.
    """
    known = {name.casefold(): name for name in SATELLITES}
    if satellite.casefold() not in known:
        raise ValueError(f"`satellite` must be one of {', '.join(SATELLITES)}, but is {shown(satellite)}")
    name = known[satellite.casefold()]
    return replace(read_altitudes(str(files("xcal_jax.orbit") / "data" / SATELLITES[name])), name=name)
