"""Two-line elements: lines of text -> the orbits of SGP4.

A catalogue number beyond 99999 is written in Alpha-5 (T0000 is 270000). What stands behind column 69 and a space, such
as the times of the test cases of SGP4, is not part of a line.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

LINE = re.compile(r"([12]) ([ 0-9A-Z][ 0-9]{4})[A-Z ]?(?: |$)")
LENGTH = 69


class Pair(NamedTuple):
    """Two lines that may be a TLE; what is missing is empty. where: of the last. number: in the catalogue, as text."""

    name: str
    first: str
    second: str
    where: str
    number: str


def pairs(text: str, path: str) -> Iterator[Pair]:
    """Every pair of lines of a TLE in ``text``, and every line that lacks its partner; path: what errors call it."""
    from sgp4.alpha5 import from_alpha5

    name, named, first = "", "", None
    for count, line in enumerate(map(str.strip, text.splitlines()), 1):
        where = f"line {count} of {path}"
        if not line or line.startswith("#"):
            continue
        kind = LINE.match(line)
        number = str(from_alpha5(kind[2])) if kind and kind[2].strip() else ""
        if kind and kind[1] == "2":
            yield Pair(first.name if first else "", first.first if first else "", line, where, number)
            first = None
            continue
        if first:
            yield first
            first = None
        if kind:
            named = named or number
            first = Pair(name if named == number else "", line, "", where, number)
        else:
            name, named = line.removeprefix("0 ").strip(), ""
    if first:
        yield first


def orbit_of(pair: Pair) -> tuple[str, int, Any]:
    """Name, catalogue number and orbit (`Satrec`) of a ``pair``.

    Raises ValueError where a line is missing, has another length or checksum, a field is no number, the lines are of
    two satellites, or the elements are not those of SGP4.
    """
    from sgp4 import io
    from sgp4.api import Satrec
    from sgp4.earth_gravity import wgs72

    if not pair.first or not pair.second:
        raise ValueError(f"must stand in a pair of TLE lines, but line {1 if pair.second else 2} of the TLE is missing")
    first, second = _checked(pair.first, 1), _checked(pair.second, 2)
    if first[62] == "4":
        raise ValueError("must close a TLE of SGP4, but closes one of SGP4-XP")
    try:
        io.twoline2rv(first, second, wgs72)  # strict; Satrec, which propagates, reads on whatever stands in a line
        orbit = Satrec.twoline2rv(first, second)
    except (ValueError, ZeroDivisionError, OverflowError) as problem:
        why = str(problem).splitlines()[0]
        raise ValueError(f"must close a TLE of numbers of one satellite, but: {why}") from problem
    return pair.name or str(orbit.satnum), orbit.satnum, orbit


def _checked(line: str, number: int) -> str:
    from sgp4.io import compute_checksum

    if line[LENGTH : LENGTH + 1].isspace():
        line = line[:LENGTH]
    if len(line) != LENGTH:
        raise ValueError(f"must have the {LENGTH} characters of line {number} of a TLE, but it has {len(line)}")
    if line[-1] != str(compute_checksum(line)):
        raise ValueError(
            f"must close a TLE whose line {number} ends with its checksum {compute_checksum(line)}, "
            f"but it ends with {line[-1]!r}"
        )
    return line
