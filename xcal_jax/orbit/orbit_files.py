"""Readers of orbits: two-line elements, Orbit Mean-Elements Messages (OMM), tables of altitude against date.

The fields of both formats of elements are read by the package sgp4. A TLE may write a catalogue number beyond 99999
in Alpha-5 (T0000 is 270000); an OMM (CCSDS 502.0-B) writes it in full.
"""

import json
import os
import xml.etree.ElementTree as ElementTree
from importlib.resources import files
from io import StringIO
from math import isfinite
from typing import Any

import numpy as np

from xcal_jax.io.arguments import checked
from xcal_jax.io.files import read_text
from xcal_jax.io.tables import read_table
from xcal_jax.orbit.elements import Altitudes, Elements, ElementSet
from xcal_jax.orbit.months import parse_date
from xcal_jax.orbit.trapped import HIGHEST_ALTITUDE, LOWEST_ALTITUDE
from xcal_jax.units import shown, shown_path

SATELLITES = {"GRBAlpha": "grbalpha_altitude.csv", "VZLUSAT-2": "vzlusat2_altitude.csv"}
COLUMNS = ["date", "altitude_km", "inclination_deg"]
THEORIES = ("SGP4", "SGP/SGP4")
NUMBERS = (
    "NORAD_CAT_ID",
    "MEAN_MOTION",
    "ECCENTRICITY",
    "INCLINATION",
    "RA_OF_ASC_NODE",
    "ARG_OF_PERICENTER",
    "MEAN_ANOMALY",
    "BSTAR",
    "MEAN_MOTION_DOT",
    "MEAN_MOTION_DDOT",
)
DEFAULTS = {"CLASSIFICATION_TYPE": "U", "OBJECT_ID": "", "MEAN_ELEMENT_THEORY": "SGP4"} | dict.fromkeys(
    ("EPHEMERIS_TYPE", "ELEMENT_SET_NO", "REV_AT_EPOCH", "MEAN_MOTION_DDOT"), 0
)


@checked
def read_tle(path: str | os.PathLike) -> Elements:
    """The element sets of one satellite in a file of TLEs, with or without names, or of OMMs in CSV, XML, JSON or KVN.

    The file may have any length and order. Raises ValueError, naming file and line (or message), for a line of the
    wrong length, order, satellite or checksum, a field that is missing or no number, more than one satellite, no set
    at all, an altitude outside the models, and without the package sgp4.
    """
    try:
        import sgp4.api  # noqa: F401
    except ImportError as problem:
        raise ValueError("TLEs need the package sgp4: pip install 'xcal-jax[orbit]'") from problem
    text = read_text(path, shown_path(path), "TLE or OMM")
    messages = _messages(text, shown_path(path))
    if messages is None:
        sets = _read_lines(text, shown_path(path))
    else:
        sets = [_from_omm(fields, f"message {k} of {shown_path(path)}") for k, fields in enumerate(messages, 1)]
        if not sets:
            raise ValueError(f"{shown_path(path)} must hold messages of elements (OMM), but has none")
    numbers = sorted({one.number for one in sets})
    if len(numbers) > 1:
        raise ValueError(
            f"{shown_path(path)} must hold one satellite, but has catalogue numbers {', '.join(map(str, numbers))}"
        )
    return Elements(tuple(sorted(sets, key=lambda one: one.epoch)))


def _messages(text: str, where: str) -> list[dict[str, Any]] | None:
    """Fields of every OMM in ``text``; None where it is none but lines of TLEs. Raises ValueError for a broken file."""
    from sgp4 import omm

    start = text.lstrip()
    try:
        if start.startswith("<"):
            return list(omm.parse_xml(StringIO(start)))
        if start.startswith(("[", "{")):
            found = json.loads(text)
            return found if isinstance(found, list) else [found]
    except (ElementTree.ParseError, json.JSONDecodeError, TypeError, AttributeError) as problem:
        raise ValueError(f"{where} must hold messages of elements (OMM), but is broken: {problem}") from problem
    if "MEAN_MOTION" in start.partition("\n")[0]:
        return list(omm.parse_csv(StringIO(start)))
    if start.startswith("CCSDS_OMM_VERS"):
        lines = [[line.partition("=") for line in one.splitlines()] for one in start.split("CCSDS_OMM_VERS")[1:]]
        return [{key.strip(): value.partition("[")[0].strip() for key, _, value in one} for one in lines]
    return None


def _from_omm(message: Any, where: str) -> ElementSet:
    from sgp4 import omm
    from sgp4.api import Satrec

    if not isinstance(message, dict):
        raise ValueError(f"{where} must be a table of fields, but is {shown(message)}")
    fields = DEFAULTS | {key: value for key, value in message.items() if value not in (None, "")}
    if fields["MEAN_ELEMENT_THEORY"] not in THEORIES:
        raise ValueError(f"{where} must hold elements of SGP4, but of {fields['MEAN_ELEMENT_THEORY']}")
    orbit = Satrec()
    try:
        number = int(fields["NORAD_CAT_ID"])
        epoch = str(np.datetime64(str(fields["EPOCH"]).removesuffix("Z"), "us"))
        omm.initialize(orbit, fields | {"EPOCH": epoch, "NORAD_CAT_ID": 0})
    except KeyError as problem:
        raise ValueError(f"{where} must have the field {problem.args[0]}, but it is missing") from problem
    except (TypeError, ValueError) as problem:
        wrong = next((name for name in NUMBERS if not _is_number(fields.get(name))), "EPOCH")
        rule = f"must hold numbers and an epoch, but {wrong} is {shown(fields.get(wrong))}"
        raise ValueError(f"{where} {rule}") from problem
    return _checked_set(str(fields.get("OBJECT_NAME", number)), number, orbit, where)


def _is_number(text: Any) -> bool:
    try:
        return isfinite(float(text))
    except (TypeError, ValueError):
        return False


def _read_lines(text: str, path: str) -> list[ElementSet]:
    """The element sets of a file of TLEs."""
    sets, name, first = [], "", None
    for number, line in enumerate(map(str.rstrip, text.splitlines()), 1):
        where = f"line {number} of {path}"
        if not line:
            continue
        if line.startswith("1 ") and len(line) >= 60 and first is None:
            first = _checked_line(line, where)
        elif line.startswith("2 ") and first is not None:
            sets.append(_from_tle(name, first, _checked_line(line, where), where))
            first = None
        elif first is not None or line[:2] in ("1 ", "2 "):
            raise ValueError(f"{where} must be line {2 if first else 1} of a TLE, 69 characters, but is {shown(line)}")
        else:
            name = line.removeprefix("0 ").strip()
    if first is not None or not sets:
        raise ValueError(f"{path} must hold pairs of TLE lines, but {'the last is half' if first else 'has none'}")
    return sets


def _checked_line(line: str, where: str) -> str:
    from sgp4.io import compute_checksum

    if len(line) != 69:
        raise ValueError(f"{where} must have the 69 characters of a TLE line, but has {len(line)}")
    if line[68] != str(compute_checksum(line)):
        raise ValueError(f"{where} must end with its checksum {compute_checksum(line)}, but ends with {line[68]!r}")
    return line


def _from_tle(name: str, first: str, second: str, where: str) -> ElementSet:
    from sgp4 import io
    from sgp4.api import Satrec
    from sgp4.earth_gravity import wgs72

    try:
        io.twoline2rv(first, second, wgs72)  # strict; Satrec, which propagates, reads on whatever stands in a line
        orbit = Satrec.twoline2rv(first, second)
    except (ValueError, ZeroDivisionError) as problem:
        why = str(problem).splitlines()[0]
        raise ValueError(f"{where} must close a TLE of numbers of one satellite, but: {why}") from problem
    return _checked_set(name or str(orbit.satnum), orbit.satnum, orbit, where)


def _checked_set(name: str, number: int, orbit: Any, where: str) -> ElementSet:
    one = ElementSet(name, number, orbit)
    _check_altitude(one.altitude if orbit.no_kozai > 0 else float("nan"), where)
    return one


def _check_altitude(altitude: float, where: str) -> None:
    if not LOWEST_ALTITUDE <= altitude <= HIGHEST_ALTITUDE:
        raise ValueError(
            f"altitude must lie in {LOWEST_ALTITUDE:g} to {HIGHEST_ALTITUDE:g} km, where AP-8 and AE-8 are "
            f"read, but {where} has {altitude:g} km"
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
        _check_altitude(altitude, where)
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
    if satellite not in SATELLITES:
        raise ValueError(f"`satellite` must be one of {', '.join(SATELLITES)}, but is {shown(satellite)}")
    return read_altitudes(str(files("xcal_jax.orbit") / "data" / SATELLITES[satellite]))
