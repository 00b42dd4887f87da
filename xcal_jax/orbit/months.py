"""Months of a mission, each with one set of elements and one solar activity, as in the paper."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xcal_jax.io.arguments import checked
from xcal_jax.units import shown

SWITCH = "2022-09-01"
MAXIMA = ("1958-03", "1968-11", "1979-12", "1989-11", "2001-11", "2014-04", "2024-10")
"""Months of the highest smoothed sunspot number since 1954, of cycles 19 to 25.

Cycles 19 to 24: SILSO (Royal Observatory of Belgium), TableCyclesMiMa.txt, version 2.0, 13-month smoothing. Cycle 25 is
later than that table; ECSS-E-ST-10-04C Rev. 1 (2020) expected it in the middle of 2024. A month more or less moves the
active years by as much.
"""
CYCLE = 132  # months; the rule beyond the table: another maximum every eleven years
RISE, FALL = 30, 54  # months
DAY = np.timedelta64(86400, "s")


@dataclass(frozen=True)
class Segment:
    """A part of a mission with one set of elements and one solar activity, "min" or "max"."""

    start: np.datetime64
    end: np.datetime64
    solar: str

    @property
    def days(self) -> float:
        """Length in days."""
        return float((self.end - self.start) / DAY)

    @property
    def middle(self) -> np.datetime64:
        """The time in its middle."""
        return self.start + (self.end - self.start) // 2

    def __str__(self) -> str:
        """First and last date."""
        return f"{str(self.start)[:10]} to {str(self.end)[:10]}"


def parse_date(text: str | np.datetime64, name: str) -> np.datetime64:
    """The UTC date or time in ``text``, to a second. Raises ValueError, naming ``name``, where it is none."""
    try:
        date = np.datetime64(str(text).removesuffix("Z"), "s")
    except ValueError as problem:
        raise ValueError(f"`{name}` must be a date like 2022-09-01, but is {shown(text)}") from problem
    if np.isnat(date):
        raise ValueError(f"`{name}` must be a date like 2022-09-01, but is {shown(text)}")
    return date


def is_active(date: np.datetime64) -> bool:
    """Whether ``date`` is in the seven active years of a solar cycle.

    They begin 2.5 years before the maximum and end 4.5 years after it, for trapped particles and for solar protons:
    ECSS-E-ST-10-04C Rev. 1, B.1. Beyond the table of maxima there is one every eleven years, which is a forecast, and
    theirs, too.
    """
    month = date.astype("M8[M]").astype(int)
    maxima = [int(np.datetime64(one, "M").astype(int)) for one in MAXIMA]
    while maxima[-1] < month:
        maxima.append(maxima[-1] + CYCLE)
    while maxima[0] > month:
        maxima.insert(0, maxima[0] - CYCLE)
    return any(one - RISE <= month < one + FALL for one in maxima)


@checked
def monthly_segments(start: str | np.datetime64, end: str | np.datetime64, activity: str = SWITCH) -> list[Segment]:
    """Segments from ``start`` to ``end``, cut at the first of every month and where solar activity changes.

    activity: "min", "max", the date from which it is maximum (2022-09-01 in the paper), or "cycle", by `is_active`.
    Raises ValueError for dates that are none and an ``end`` that is not after ``start``.
    """
    start, end = parse_date(start, "start"), parse_date(end, "end")
    if not end > start:
        raise ValueError(f"`end` must be after `start`, but {end} is not after {start}")
    months = np.arange(start.astype("M8[M]") + 1, end.astype("M8[M]") + 1).astype("M8[s]")
    if activity == "cycle":
        cuts = np.concatenate([[start], months, [end]])
    else:
        switch = {"min": end, "max": start}.get(activity)
        if switch is None:
            switch = parse_date(activity, "activity")
        cuts = np.concatenate([[start], months, [switch], [end]])
    cuts = np.unique(cuts.astype("M8[s]"))
    cuts = cuts[(cuts >= start) & (cuts <= end)]
    active = [is_active(cut) if activity == "cycle" else cut >= switch for cut in cuts[:-1]]
    return [Segment(a, b, "max" if one else "min") for (a, b), one in zip(pairwise(cuts), active, strict=True)]
