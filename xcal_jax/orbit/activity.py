"""Solar activity by date: active years of a cycle, and how much of AP-8 and AE-8 at solar maximum there is in a month.

The blend between minimum and maximum is linear in the smoothed F10.7, from its mean in 1964 to that in 1970, the years
of the models: a choice of this project. F10.7 is that of `data/f107.csv`, 1957 to 2026, smoothed over 13 months with
half weights at the ends. Beyond it the Sun is taken to repeat itself after eleven years, which is a forecast.
"""

from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float

from xcal_jax.io.tables import read_table

MAXIMA = ("1958-03", "1968-11", "1979-12", "1989-11", "2001-11", "2014-04", "2024-10")
"""Months of the highest smoothed sunspot number since 1954, of cycles 19 to 25.

Cycles 19 to 24: SILSO (Royal Observatory of Belgium), TableCyclesMiMa.txt, version 2.0, 13-month smoothing. Cycle 25 is
later than that table; in October 2024 the smoothed F10.7 is highest. A month more or less moves the active years by as
much.
"""
CYCLE = 132  # months; the rule beyond the tables: everything comes again after eleven years
RISE, FALL = 30, 54  # months
QUIET_YEAR, ACTIVE_YEAR = "1964", "1970"


def month_of(date: np.datetime64) -> int:
    """Months from January 1970 to that of ``date``."""
    return int(date.astype("M8[M]").astype(int))


def is_active(date: np.datetime64) -> bool:
    """Whether ``date`` is in the seven active years of a solar cycle.

    They begin 2.5 years before the maximum and end 4.5 years after it, for trapped particles and for solar protons:
    ECSS-E-ST-10-04C Rev. 1, B.1. Beyond the table of maxima there is one every eleven years, which is a forecast, and
    theirs, too.
    """
    month = month_of(date)
    maxima = [month_of(np.datetime64(one, "M")) for one in MAXIMA]
    while maxima[-1] < month:
        maxima.append(maxima[-1] + CYCLE)
    while maxima[0] > month:
        maxima.insert(0, maxima[0] - CYCLE)
    return any(one - RISE <= month < one + FALL for one in maxima)


@cache
def smoothed_flux() -> tuple[np.ndarray, Float[np.ndarray, " M"]]:
    """Months and F10.7 smoothed over 13 months, 1e-22 W/(m2 Hz): both (M,)."""
    path = files("xcal_jax.orbit").joinpath("data", "f107.csv")
    table = read_table(str(path), "table of F10.7", words=("month",))
    weights = np.append(np.append(0.5, np.ones(11)), 0.5) / 12
    months = table["month"].to_numpy().astype("M8[M]")
    return months[6:-6], np.convolve(table["f107"].to_numpy(), weights, "valid")


def flux_at(date: np.datetime64) -> float:
    """Smoothed F10.7 in the month of ``date``. Raises ValueError for dates before the table."""
    months, flux = smoothed_flux()
    place = month_of(date) - month_of(months[0])
    if place < 0:
        raise ValueError(f"F10.7 is known from {months[0]} on, but {date} is before")
    while place >= flux.size:
        place -= CYCLE
    return float(flux[place])


def share_of_maximum(date: np.datetime64) -> float:
    """Share of the models at solar maximum in the month of ``date``, 0 to 1; the rest is solar minimum."""
    months, flux = smoothed_flux()
    low, high = (flux[months.astype("M8[Y]") == np.datetime64(year)].mean() for year in (QUIET_YEAR, ACTIVE_YEAR))
    return float(np.clip((flux_at(date) - low) / (high - low), 0.0, 1.0))
