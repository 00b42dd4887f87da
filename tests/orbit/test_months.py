import numpy as np
import pytest

from xcal_jax.orbit.months import MAXIMA, monthly_segments


def test_months_are_cut_at_their_first_and_at_the_switch():
    segments = monthly_segments("2022-07-10", "2022-10-02", "2022-09-15")
    assert [(str(s), s.solar) for s in segments] == [
        ("2022-07-10 to 2022-08-01", "min"),
        ("2022-08-01 to 2022-09-01", "min"),
        ("2022-09-01 to 2022-09-15", "min"),
        ("2022-09-15 to 2022-10-01", "max"),
        ("2022-10-01 to 2022-10-02", "max"),
    ]
    assert sum(s.days for s in segments) == 84


def test_paper_switches_in_september_2022():
    assert [s.solar for s in monthly_segments("2022-08-20", "2022-09-10")] == ["min", "max"]


def test_the_cycle_has_seven_active_years():
    """SILSO's minima are quiet, and 2030; its maxima are active, 2024, and 2036 by the forecast.

    Months of cycles 19 to 24: SILSO, TableCyclesMiMa.txt, version 2.0.
    """
    minima = ("1954-04-01", "1964-10-01", "1976-03-01", "1986-09-01", "1996-08-01", "2008-12-01", "2030-01-01")
    maxima = ("1958-03-01", "1968-11-01", "1979-12-01", "1989-11-01", "2001-11-01", "2014-04-01")
    assert tuple(f"{month}-01" for month in MAXIMA[:-1]) == maxima
    for date, solar in (
        *((date, "min") for date in minima),
        *((date, "max") for date in (*maxima, "2024-10-01", "2036-01-01")),
    ):
        start = np.datetime64(date, "s")
        assert [one.solar for one in monthly_segments(start, start + 86400, "cycle")] == [solar], date
    active = [one.solar == "max" for one in monthly_segments("2010-01-01", "2021-01-01", "cycle")]
    assert sum(active) == 84


@pytest.mark.parametrize("activity", ["min", "max"])
def test_one_activity_throughout(activity):
    assert {s.solar for s in monthly_segments("2022-08-20", "2022-10-10", activity)} == {activity}


@pytest.mark.parametrize(
    ("start", "end", "activity", "sentence"),
    [
        ("2022-08-20", "2022-08-20", "min", "`end` must be after `start`"),
        ("yesterday", "2022-08-20", "min", "`start` must be a date like 2022-09-01, but is 'yesterday'"),
        ("2022-08-20", "2022-08-32", "min", "`end` must be a date"),
        ("2022-08-20", "2022-08-30", "medium", "`activity` must be a date"),
    ],
)
def test_bad_dates_are_one_sentence(start, end, activity, sentence):
    with pytest.raises(ValueError, match=sentence):
        monthly_segments(start, end, activity)
