"""Months of a mission, each with one set of elements and one solar activity, as in the paper."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xcal_jax.io.arguments import checked
from xcal_jax.orbit.activity import is_active, share_of_maximum
from xcal_jax.units import shown

SWITCH = "2022-09-01"
DAY = np.timedelta64(86400, "s")


@dataclass(frozen=True)
class Segment:
    """A part of a mission with one set of elements and one solar activity.

    solar: "min", "max", or "blend", of which ``share`` is the share of the maximum.
    """

    start: np.datetime64
    end: np.datetime64
    solar: str
    share: float = 1.0

    @property
    def mixture(self) -> dict[str, float]:
        """Weight of the models at each solar activity."""
        if self.solar != "blend":
            return {self.solar: 1.0}
        return {solar: one for solar, one in (("min", 1.0 - self.share), ("max", self.share)) if one > 0}

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


@checked
def monthly_segments(start: str | np.datetime64, end: str | np.datetime64, activity: str = SWITCH) -> list[Segment]:
    """Segments from ``start`` to ``end``, cut at the first of every month and where solar activity changes.

    activity: "min", "max", the date from which it is maximum (2022-09-01 in the paper), "cycle", by `is_active`, or
    "blend", by `share_of_maximum` in each month. Raises ValueError for dates that are none, an ``end`` that is not
    after ``start``, and a blend before 1958.
    """
    start, end = parse_date(start, "start"), parse_date(end, "end")
    if not end > start:
        raise ValueError(f"`end` must be after `start`, but {end} is not after {start}")
    months = np.arange(start.astype("M8[M]") + 1, end.astype("M8[M]") + 1).astype("M8[s]")
    if activity in ("cycle", "blend"):
        cuts = np.concatenate([[start], months, [end]])
    else:
        switch = {"min": end, "max": start}.get(activity)
        if switch is None:
            switch = parse_date(activity, "activity")
        cuts = np.concatenate([[start], months, [switch], [end]])
    cuts = np.unique(cuts.astype("M8[s]"))
    cuts = cuts[(cuts >= start) & (cuts <= end)]
    if activity == "blend":
        return [Segment(a, b, "blend", share_of_maximum(a)) for a, b in pairwise(cuts)]
    active = [is_active(cut) if activity == "cycle" else cut >= switch for cut in cuts[:-1]]
    return [Segment(a, b, "max" if one else "min") for (a, b), one in zip(pairwise(cuts), active, strict=True)]
