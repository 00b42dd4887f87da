"""Kp, ap and F10.7 as they are given to the public: by GFZ Potsdam, CelesTrak and OMNI.

GFZ: `Kp_ap_Ap_SN_F107_since_1932.txt` and the nowcast, 28 words a day, -1 where unknown (Matzka et al., Space Weather
19, 2021, e2020SW002641). CelesTrak: `SW-All.csv` with a header, and `SW-All.txt`, whose lines are FORMAT(I4, I3, I3,
I5, I3, 8I3, I4, 8I4, I4, F4.1, I2, I4, F6.1, I2, 5F6.1), both with ten times Kp; what is predicted is left out. OMNI 2:
`omni2_YYYY.dat`, 55 words or more an hour, ten times Kp in word 39, Dst in 41, ap in 50, F10.7 in 51, fields full of
nines where unknown. The time of a value is the middle of its three hours, or of its hour; F10.7, one a day, is
repeated.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import xarray as xr

from xcal_jax.io.datasets import variable
from xcal_jax.units import shown, words_as_numbers

UNITS = {"Kp": "1", "ap": "2 nT", "F10.7": "1e-22 W/(m2 Hz)", "Dst": "nT"}
PARTS = 8  # of a day that have a Kp of their own
HOUR = np.timedelta64(3_600_000_000_000, "ns")
GFZ_WORDS, OMNI_WORDS, MANY = 28, 55, 40
CELESTRAK = "DATE,BSRN,ND,KP1"
WIDTHS = (4, 3, 3, 5, 3, *[3] * PARTS, 4, *[4] * PARTS, 4, 4, 2, 4, 6, 2, *[6] * 5)
OMNI = {"Kp": (38, 99, 0.1), "ap": (49, 999, 1.0), "F10.7": (50, 999.9, 1.0), "Dst": (40, 99999, 1.0)}
"""Of each quantity the place of its word, the number that stands for none, and its unit."""

Row = tuple[np.datetime64, list[float]]


def numbers(cells: list[str], where: str) -> list[float]:
    """Numbers of cells, NaN where one is empty. Raises ValueError, naming ``where``."""
    return [words_as_numbers([cell], where)[0] if cell.strip() else np.nan for cell in cells]


def day_of(words: list[str], where: str) -> np.datetime64:
    """Midnight of a day: year, month and day. Raises ValueError, naming ``where``."""
    try:
        year, month, day = map(int, words)
        return np.datetime64(f"{year:04d}-{month:02d}-{day:02d}", "ns")
    except ValueError as problem:
        raise ValueError(f"{where} must begin with a date, but has {shown(' '.join(words))}") from problem


def three_hours(day: np.datetime64, kp: list[float], ap: list[float], flux: float) -> Iterator[Row]:
    """The eight rows of a day."""
    for part, (one, other) in enumerate(zip(kp, ap, strict=True)):
        yield day + HOUR * 3 * part + HOUR * 3 // 2, [one, other, flux]


def gfz_rows(lines: dict[int, str], name: str) -> Iterator[Row]:
    """Rows of GFZ's file: year, month, day, four words of calendars, 8 Kp, 8 ap, Ap, sunspots, F10.7 and two more."""
    for number, line in lines.items():
        where, words = f"line {number} of {name}", line.split()
        if len(words) != GFZ_WORDS:
            raise ValueError(f"{where} must have {GFZ_WORDS} words as in GFZ's files, but has {len(words)}")
        values = np.array(numbers(words[7:26], where))
        values[values < 0] = np.nan
        yield from three_hours(day_of(words[:3], where), [*values[:8]], [*values[8:16]], values[18])


def table_rows(lines: dict[int, str], name: str) -> Iterator[Row]:
    """Rows of CelesTrak's CSV that were observed or interpolated."""
    header, *rest = lines.items()
    columns = header[1].split(",")
    for number, line in rest:
        where, cells = f"line {number} of {name}", line.split(",")
        if len(cells) != len(columns):
            raise ValueError(f"{where} must have {len(columns)} columns as the header, but has {len(cells)}")
        row = dict(zip(columns, cells, strict=True))
        if row["F10.7_DATA_TYPE"] not in ("OBS", "INT"):
            continue
        kp, ap = (numbers([row[f"{key}{part}"] for part in range(1, PARTS + 1)], where) for key in ("KP", "AP"))
        flux = numbers([row["F10.7_OBS"]], where)[0]
        yield from three_hours(day_of(row["DATE"].split("-"), where), [k / 10 for k in kp], ap, flux)


def fixed_rows(lines: dict[int, str], name: str) -> Iterator[Row]:
    """Rows of CelesTrak's text between BEGIN OBSERVED and END OBSERVED."""
    edges, inside = np.cumsum((0, *WIDTHS)), False
    for number, line in lines.items():
        if "OBSERVED" in line and line.split()[0] in ("BEGIN", "END"):
            inside = line.startswith("BEGIN")
        elif inside:
            where = f"line {number} of {name}"
            cells = [line[a:b] for a, b in pairwise(edges)]
            kp, ap = numbers(cells[5:13], where), numbers(cells[14:22], where)
            flux = numbers([cells[30]], where)[0]
            yield from three_hours(day_of(cells[:3], where), [k / 10 for k in kp], ap, flux)


def hourly_rows(lines: dict[int, str], name: str) -> Iterator[Row]:
    """Rows of OMNI 2: year, day of the year, hour, and what `OMNI` names."""
    for number, line in lines.items():
        where, words = f"line {number} of {name}", line.split()
        if len(words) < OMNI_WORDS:
            raise ValueError(f"{where} must have {OMNI_WORDS} words or more as in OMNI 2, but has {len(words)}")
        day, hour = (int(value) for value in words_as_numbers(words[1:3], where))
        values = words_as_numbers([words[place] for place, _, _ in OMNI.values()], where)
        known = [unit * v if v != none else np.nan for v, (_, none, unit) in zip(values, OMNI.values(), strict=True)]
        yield day_of([words[0], "1", "1"], where) + HOUR * (24 * (day - 1) + hour) + HOUR // 2, known


def space_weather(text: str, name: str) -> xr.Dataset | None:
    """`Kp`, `ap`, `F10.7` (and `Dst` of OMNI) over `sample` with `time`, UTC; None for a text of another kind.

    Raises ValueError, naming the line of the file ``name``, for one that breaks its format.
    """
    every = {number: line for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    lines = {number: line for number, line in every.items() if not line.startswith("#")}
    first = next(iter(lines.values()), "")
    if first.startswith(CELESTRAK):
        rows, names = table_rows(lines, name), ["Kp", "ap", "F10.7"]
    elif any(line.startswith("BEGIN OBSERVED") for line in lines.values()):
        rows, names = fixed_rows(lines, name), ["Kp", "ap", "F10.7"]
    elif any("F10.7obs" in line for line in every.values() if line.startswith("#")):
        rows, names = gfz_rows(lines, name), ["Kp", "ap", "F10.7"]
    elif len(first.split()) > MANY and "," not in first:
        rows, names = hourly_rows(lines, name), list(OMNI)
    else:
        return None
    found = list(rows)
    if not found:
        raise ValueError(f"{name} must have at least one day that was observed, but has none")
    values = np.array([row for _, row in found])
    series = {key: variable("sample", values[:, k], UNITS[key], key) for k, key in enumerate(names)}
    series["time"] = variable("sample", np.array([time for time, _ in found]), None, "time, UTC")
    return xr.Dataset(series, attrs={"source": name})
