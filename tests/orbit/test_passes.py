import numpy as np
import pytest

from tests.conventions import faults
from xcal_jax.orbit import list_passes, read_tle
from xcal_jax.orbit.ephemeris import geodetic
from xcal_jax.orbit.trapped import geomagnetic_coordinates, integral_flux


@pytest.fixture(scope="module")
def day(grbalpha_tle):
    return list_passes(read_tle(grbalpha_tle), "2021-05-20")


def flux_at(grbalpha_tle, times, particle, energy):
    position = read_tle(grbalpha_tle).sets[0].position(times)
    shell, ratio = geomagnetic_coordinates(position, particle, "max")
    return integral_flux(shell, ratio, [energy], particle, "max")[:, 0], geodetic(position)


def test_quiet_windows_are_quiet(day, grbalpha_tle, tmp_path):
    assert faults(day, tmp_path / "passes.nc") == []
    assert day.sizes["window"] > 10
    for first, last in zip(day.start.values, day.end.values, strict=True):
        assert last - first >= np.timedelta64(270, "s")
        times = np.arange(first, last, np.timedelta64(45, "s"))
        for particle, energy in (("proton", 10.0), ("electron", 1.0)):
            assert flux_at(grbalpha_tle, times, particle, energy)[0].max() < 3


def test_exits_leave_protons_behind(day, grbalpha_tle):
    assert 4 <= day.sizes["pass"] <= 15
    assert 1 <= int(day.northward.sum()) < day.sizes["pass"]
    step = np.timedelta64(30, "s")
    for time, north in zip(day.exit.values, day.northward.values, strict=True):
        flux, (latitude, _, _) = flux_at(grbalpha_tle, np.array([time - step, time]), "proton", 10.0)
        assert flux[0] >= 1 > flux[1]
        assert (latitude[1] > latitude[0]) == north


def test_exits_lie_around_the_south_atlantic(day):
    assert (day.exit_latitude < 20).all()
    assert (np.abs(day.exit_longitude + 40) < 90).all()


def test_drift_changes_the_hours_and_says_so(day, grbalpha_tle):
    moved = list_passes(read_tle(grbalpha_tle), "2021-05-20", drift=0.3)
    assert "1960s" in day.attrs["caveat"]
    assert moved.attrs["drift_deg_per_year"] == 0.3
    north, later = (one.exit_longitude.values[one.northward.values] for one in (day, moved))
    assert later.min() < north.min()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"day": "2023-01-01"}, "`tle` must have an epoch within 45 days"),
        ({"day": "someday"}, "`day` must be a date"),
        ({"solar": "mean"}, "`solar` must be min or max"),
        ({"days": 0}, "`days` must be positive"),
    ],
)
def test_bad_input_is_one_sentence(grbalpha_tle, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        list_passes(read_tle(grbalpha_tle), **({"day": "2021-05-20"} | options))
