"""Orbit Mean-Elements Messages (OMM, CCSDS 502.0-B): XML, JSON, CSV or KVN -> fields -> the orbits of SGP4.

A file of JSON may hold pairs of TLE lines in place of the elements, as SatNOGS gives them (tle0, tle1, tle2).
"""

import csv
import json
import re
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any
from xml.etree import ElementTree

import numpy as np

from xcal_jax.units import shown

THEORIES = ("SGP4", "SGP/SGP4", "SDP4", "SGP4/SDP4")
DEFAULTS = {"CLASSIFICATION_TYPE": "U", "OBJECT_ID": "", "MEAN_ELEMENT_THEORY": "SGP4"} | dict.fromkeys(
    ("EPHEMERIS_TYPE", "ELEMENT_SET_NO", "REV_AT_EPOCH", "MEAN_MOTION_DDOT"), 0
)
NUMBERS = {
    **dict.fromkeys(("NORAD_CAT_ID", "EPHEMERIS_TYPE", "ELEMENT_SET_NO", "REV_AT_EPOCH"), int),
    **dict.fromkeys(("MEAN_MOTION", "ECCENTRICITY", "INCLINATION", "RA_OF_ASC_NODE", "ARG_OF_PERICENTER"), float),
    **dict.fromkeys(("MEAN_ANOMALY", "BSTAR", "MEAN_MOTION_DOT", "MEAN_MOTION_DDOT"), float),
}
FRAMES = {"CENTER_NAME": "EARTH", "REF_FRAME": "TEME", "TIME_SYSTEM": "UTC"}
KEYWORD = re.compile(r"^\s*CCSDS_OMM_VERS\s*=", re.MULTILINE)


def read_messages(text: str, where: str) -> list[Any] | None:
    """The fields of every message in ``text``; None where it has none but, perhaps, lines of TLEs.

    where: what errors call the file. Raises ValueError for a file that is broken as a whole.
    """
    start = text.lstrip()
    try:
        if start.startswith("<"):
            return _segments(start)
        if start.startswith(("[", "{")):
            found = json.loads(start)
            return found if isinstance(found, list) else [found]
    except (ElementTree.ParseError, json.JSONDecodeError, RecursionError) as problem:
        raise ValueError(f"{where} must hold messages of elements (OMM), but is broken: {problem}") from problem
    lines = [line for line in start.splitlines() if line.strip() and not line.startswith("#")]
    if lines and "MEAN_MOTION" in lines[0] and "," in lines[0]:
        return list(csv.DictReader(lines))
    if KEYWORD.search(text):
        parts = [[line.partition("=") for line in one.splitlines()] for one in KEYWORD.split(text)[1:]]
        return [{key.strip(): value.partition("[")[0].strip() for key, _, value in one} for one in parts]
    return None


def _segments(text: str) -> list[dict[str, str]]:
    """Fields of every segment of an XML file, in whatever name space."""
    elements = ElementTree.fromstring(text.encode()).iter()
    segments = [one for one in elements if one.tag.rpartition("}")[2] == "segment"]
    return [{part.tag.rpartition("}")[2]: (part.text or "").strip() for part in one.iter()} for one in segments]


def tle_lines(message: Any) -> str | None:
    """The lines of the TLE in a ``message`` of SatNOGS; None where it has none."""
    if not isinstance(message, Mapping) or not {"tle1", "tle2"} <= set(message):
        return None
    return "\n".join(str(message[key]) for key in ("tle0", "tle1", "tle2") if message.get(key))


def orbit_of(message: Any) -> tuple[str, int, Any]:
    """Name, catalogue number and orbit (`Satrec`) of one ``message``.

    Raises ValueError where a field is missing or no number, or its theory, frame, centre or time is not SGP4's.
    """
    from sgp4 import omm
    from sgp4.api import Satrec

    if not isinstance(message, Mapping):
        raise ValueError(f"must be a table of fields, but is {shown(message)}")
    fields = DEFAULTS | {key: value for key, value in message.items() if value not in (None, "")}
    if fields["MEAN_ELEMENT_THEORY"] not in THEORIES or str(fields["EPHEMERIS_TYPE"]) == "4":
        theory = "SGP4-XP" if str(fields["EPHEMERIS_TYPE"]) == "4" else fields["MEAN_ELEMENT_THEORY"]
        raise ValueError(f"must hold elements of SGP4, but of {theory}")
    for key, needed in FRAMES.items():
        if not str(fields.get(key, needed)).upper().startswith(needed):
            raise ValueError(f"must have {needed} as its {key}, but has {fields[key]}")
    orbit, fixed = Satrec(), {"NORAD_CAT_ID": 0, "OBJECT_ID": str(fields["OBJECT_ID"])}
    try:
        number = int(fields["NORAD_CAT_ID"])
        omm.initialize(orbit, fields | fixed | {"EPOCH": _epoch(str(fields["EPOCH"]))})
    except KeyError as problem:
        raise ValueError(f"must have the field {problem.args[0]}, but it is missing") from problem
    except (TypeError, ValueError, OverflowError) as problem:
        given = {key: kind for key, kind in NUMBERS.items() if key in fields}
        wrong = next((key for key, kind in given.items() if not _is_number(fields[key], kind)), "EPOCH")
        raise ValueError(f"must hold numbers and an epoch, but {wrong} is {shown(fields[wrong])}") from problem
    return str(fields.get("OBJECT_NAME", number)), number, orbit


def _is_number(value: Any, kind: type) -> bool:
    try:
        return isfinite(kind(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _epoch(text: str) -> str:
    """``text``, a date by month and day or by day of the year, as sgp4 reads it."""
    text = text.strip().removesuffix("Z")
    if re.match(r"\d{4}-\d{3}T", text):
        day = datetime.strptime(text[:8], "%Y-%j").date()
        text = f"{day}{text[8:]}"
    return str(np.datetime64(text, "us"))
