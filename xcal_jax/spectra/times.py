"""Times and durations as files write them -> UTC and seconds."""

import re
from typing import Any

import numpy as np

from xcal_jax.units import shown

ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)\s*(Z|UTC|([+-])(\d\d):?(\d\d)?)?)?")
AMERICAN = re.compile(r"(\d\d?)[/-](\d\d?)[/-](\d\d|\d{4})(?:[T ]+(\d\d?:\d\d(?::\d\d(?:\.\d+)?)?))?")
GERMAN = re.compile(r"(\d\d?)\.(\d\d?)\.(\d\d|\d{4})(?:[T ]+(\d\d?:\d\d(?::\d\d(?:\.\d+)?)?))?")
DURATION = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:([\d.]+)W)?(?:([\d.]+)D)?(?:T(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?)?"
)
UNKNOWN = np.datetime64("NaT", "ns")
FIRST, AFTER = np.datetime64("1678-01-01", "s"), np.datetime64("2262-01-01", "s")


YEARS = "must be of the years 1678 to 2261"


def beyond_years(times: np.ndarray | np.datetime64) -> Any:
    """Where ``times``, to the second, are too early or too late to be counted in nanoseconds by 64 bits."""
    return (times < FIRST) | (times >= AFTER)


def utc(text: str | None) -> np.datetime64:
    """UTC of an ISO 8601 time. An offset such as +05:00 is taken off, and a time without one is UTC.

    A text without a digit ("", "UNKNOWN") is an unknown time, NaT. Raises ValueError for other texts.
    """
    text = (text or "").strip()
    if not any(map(str.isdigit, text)):
        return UNKNOWN
    found = ISO.fullmatch(text)
    if found is None:
        raise ValueError(f"a time must look like 2021-05-20T10:00:00Z, but is {shown(text)}")
    day, clock, _, sign, hours, minutes = found.groups()
    whole, _, fraction = (clock or "00:00").replace(",", ".").partition(".")
    try:
        coarse = np.datetime64(f"{day}T{whole}", "s")
    except ValueError as problem:
        raise ValueError(f"a time must be one of the calendar, but is {shown(text)}") from problem
    if beyond_years(coarse):
        raise ValueError(f"a time {YEARS}, but is {shown(text)}")
    fine = coarse.astype("datetime64[ns]") + np.timedelta64(int(fraction[:9].ljust(9, "0")), "ns")
    offset = int(hours or 0) * 60 + int(minutes or 0)
    return fine - np.timedelta64(-offset if sign == "-" else offset, "m")


def utc_of_date(text: str, day_first: bool = False) -> np.datetime64:
    """UTC of a date with slashes, hyphens or points, and perhaps a time of the day; or as `utc`.

    05/20/2021 has the month first, as SPE wants it, unless ``day_first`` (FITS before 1999: 31/05/96) or no month has
    that number; 20.05.2021 has the day first. Years of two digits are from 1970 to 2069.
    Raises ValueError for another text.
    """
    text = text.strip()
    found = GERMAN.fullmatch(text) or AMERICAN.fullmatch(text)
    if found is None:
        return utc(text)
    first, second, year = int(found[1]), int(found[2]), int(found[3])
    first_is_day = day_first or GERMAN.fullmatch(text) is not None or first > 12
    day, month = (first, second) if first_is_day else (second, first)
    year += 0 if year > 99 else 1900 if year >= 70 else 2000
    clock = found[4] or "00:00"
    return utc(f"{year:04d}-{month:02d}-{day:02d}T{clock if clock[1:2].isdigit() else f'0{clock}'}")


def seconds(text: str) -> float:
    """Seconds of an ISO 8601 duration such as PT1M2.5S, or of a plain number.

    Raises ValueError for other texts, and for years and months, which have no length in seconds, unless they are 0.
    """
    text = text.strip()
    found = DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"a duration must look like PT60.5S, but is {shown(text)}") from None
    years, months, *rest = (float(part or 0) for part in found.groups())
    if years or months:
        raise ValueError(f"a duration must have no years and months, but is {shown(text)}")
    return float(np.dot(rest, (604_800.0, 86_400.0, 3600.0, 60.0, 1.0)))
