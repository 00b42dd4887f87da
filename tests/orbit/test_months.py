import numpy as np
import pytest

from xcal_jax.orbit.activity import CYCLE, MAXIMA, flux_at, share_of_maximum, smoothed_flux
from xcal_jax.orbit.months import monthly_segments


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


def test_the_table_of_f107_has_the_cycles_of_the_sun():
    """Its smoothed minima and maxima are those of the sunspots, but for late second peaks of F10.7."""
    months, flux = smoothed_flux()
    assert (np.diff(months) == np.timedelta64(1, "M")).all() and 65 < flux.min() < flux.max() < 250
    for number, top in enumerate(MAXIMA[1:]):
        near = abs((months - np.datetime64(top)).astype(int)) < CYCLE // 2
        highest = months[near][np.argmax(flux[near])]
        assert abs((highest - np.datetime64(top)).astype(int)) < (1 if number == 5 else 21), top
    for low in ("1964-10", "1976-03", "1986-09", "1996-08", "2008-12", "2019-12"):
        near = abs((months - np.datetime64(low)).astype(int)) < 48
        assert abs((months[near][np.argmin(flux[near])] - np.datetime64(low)).astype(int)) < 5, low


def test_a_blend_follows_the_flux():
    """Nothing of the maximum in 1964, 2009 and 2019, all of it in 1989, half where F10.7 is in the middle."""
    day = {date: np.datetime64(f"{date}-15", "s") for date in ("1964-07", "2009-01", "1989-09", "2022-09", "2040-03")}
    assert [round(share_of_maximum(day[date]), 2) for date in ("1964-07", "2009-01", "1989-09")] == [0.0, 0.0, 1.0]
    assert 0.6 < share_of_maximum(day["2022-09"]) < 0.9
    assert flux_at(day["2040-03"]) == flux_at(np.datetime64("2018-03-01", "s"))
    one, two = monthly_segments("2021-06-10", "2021-07-20", "blend")
    assert one.solar == two.solar == "blend" and 0 < one.share < two.share < 1
    assert one.mixture == {"min": 1 - one.share, "max": one.share}
    with pytest.raises(ValueError, match=r"F10\.7 is known from 1958-04 on, but 1955-01-01T00:00:00 is before"):
        monthly_segments("1955-01-01", "1955-02-01", "blend")
