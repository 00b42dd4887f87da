"""Output of AE-9, AP-9 and the older models by the program IRENE (before 2021: Ae9Ap9), as its users have it.

A file is of one model: a head of `# key: value`, then a line for each time with the position and the flux at each
energy. The last line of the head has the names of the columns, and the unit of the flux with the last of them. Layout
by files of versions 1.20 and 1.58, which are among the tests of SpacePy. Times are equally spaced, and are averaged by
month.
"""

import re

import numpy as np
import pandas as pd

from xcal_jax.units import shown, words_as_numbers

FIRST_LINE = re.compile(r"# (Irene|Ae9Ap9) Model output file:", re.IGNORECASE)
PARTICLES = {"AE": "electron", "AP": "proton"}
KINDS = {"#/cm^2/s/MeV": "flux", "#/cm^2/s": "integral_flux"}
TIMES = {"Modified Julian Date": 1, "Year, day_of_year.frac": 2, "Year, Month, Day, Hour, Minute, Seconds": 6}
POSITION = 3
DAY = 86_400.0


def is_irene(text: str) -> bool:
    """Whether ``text`` is a file of IRENE."""
    return FIRST_LINE.match(text) is not None


def times_of(columns: np.ndarray) -> np.ndarray:
    """Times, UTC to a second, of (n, 1) modified Julian dates, (n, 2) years and days from 1 on, or (n, 6) dates."""
    if columns.shape[1] == 1:
        start, days = np.full(len(columns), np.datetime64("1858-11-17", "s")), columns[:, 0]
    else:
        start = (columns[:, 0].astype(int) - 1970).astype("M8[Y]").astype("M8[s]")
        days = columns[:, 1] - 1
    if columns.shape[1] == 6:
        months = (12 * (columns[:, 0] - 1970) + columns[:, 1] - 1).astype(int)
        start = months.astype("M8[M]").astype("M8[s]")
        days = columns[:, 2] - 1 + (columns[:, 3:] @ [3600.0, 60.0, 1.0]) / DAY
    return start + np.round(days * DAY).astype("m8[s]")


def read_irene(text: str, name: str) -> pd.DataFrame:
    """Mean fluxes by month: `start`, `end`, `particle`, `energy_MeV`, and `flux` or `integral_flux`.

    Raises ValueError, naming the file ``name``, for another model, unit, direction or format of time, fewer than two
    times, and a line with another number of columns.
    """
    lines = {number: line for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    head = [lines.pop(number)[1:].strip() for number in list(lines) if lines[number].startswith("#")]
    keys = {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in head) if colon}
    unit = head[-1].rpartition("(")[2].rstrip(")")
    model, levels = keys.get("Model type", ""), keys.get("Energy levels (MeV)", "")
    rules = (
        (model[:2] in PARTICLES, "be of AE-8, AE-9, AP-8 or AP-9", model),
        (unit in KINDS, f"have fluxes in one of {', '.join(KINDS)}", unit),
        (keys.get("Flux direction") == "Omnidirectional", "be omnidirectional", keys.get("Flux direction", "")),
        (keys.get("Time format") in TIMES, f"have times as one of {'; '.join(TIMES)}", keys.get("Time format", "")),
        (levels != "", "have a line of energy levels in MeV", ""),
    )
    for holds, rule, value in rules:
        if not holds:
            raise ValueError(f"{name} must {rule}, but has {shown(value)}")
    energy = np.array(words_as_numbers(levels.split(), f"energy levels of {name}"))
    first = TIMES[keys["Time format"]]
    width = first + POSITION + energy.size
    rows = []
    for number, line in lines.items():
        where, cells = f"line {number} of {name}", line.split(",")
        if len(cells) != width:
            raise ValueError(f"{where} must have {width} columns, but has {len(cells)}")
        rows.append(words_as_numbers(cells, where))
    if len(rows) < 2:
        raise ValueError(f"{name} must have two times at least, but has {len(rows)}")
    table = np.array(rows)
    time, flux = times_of(table[:, :first]), table[:, first + POSITION :]
    month = time.astype("M8[M]")
    edges = np.append(np.flatnonzero(np.append(True, month[1:] != month[:-1])), time.size)
    step = np.median(np.diff(time).astype(float)).astype("m8[s]")
    ends = np.append(time[edges[1:-1]], time[-1] + step)
    parts = [
        {
            "start": str(time[a]),
            "end": str(end),
            "particle": PARTICLES[model[:2]],
            "energy_MeV": energy,
            KINDS[unit]: flux[a:b].mean(0),
        }
        for a, b, end in zip(edges[:-1], edges[1:], ends, strict=True)
    ]
    return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)
