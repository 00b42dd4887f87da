import numpy as np
import pytest

from xcal_jax.orbit.ephemeris import EQUATOR, circular_position, geodetic, julian_date, sidereal_angle
from xcal_jax.orbit.orbit_files import read_tle


def test_sidereal_angle_is_meeus_example():
    # Meeus, Astronomical Algorithms, example 12.a: 1987 April 10, 0h UT: 13h 10m 46.3668s
    angle = sidereal_angle(np.array(["1987-04-10T00:00:00"], "M8[s]"))
    assert np.degrees(angle)[0] / 15 == pytest.approx(13 + 10 / 60 + 46.3668 / 3600, abs=1e-7)


def test_julian_date_of_j2000():
    whole, fraction = julian_date(np.array(["2000-01-01T18:00:00"], "M8[s]"))
    assert whole + fraction == pytest.approx(2451545.25, abs=1e-9)


def test_geodetic_inverts_the_ellipsoid():
    latitude, longitude, altitude = 52.3, -71.5, 534.0
    b, a = np.radians(latitude), np.radians(longitude)
    squared = (2 - 1 / 298.257223563) / 298.257223563
    normal = EQUATOR / np.sqrt(1 - squared * np.sin(b) ** 2)
    across = (normal + altitude) * np.cos(b)
    place = [[across * np.cos(a), across * np.sin(a), (normal * (1 - squared) + altitude) * np.sin(b)]]
    found = np.array(geodetic(place))[:, 0]
    np.testing.assert_allclose(found, [latitude, longitude, altitude], atol=2e-4)


def test_earth_fixed_agrees_with_astropy(grbalpha_tle):
    from astropy import units as u
    from astropy.coordinates import ITRS, TEME, CartesianRepresentation
    from astropy.time import Time
    from astropy.utils import iers
    from sgp4.api import Satrec

    tle = read_tle(grbalpha_tle).sets[0]
    lines = [line for line in grbalpha_tle.read_text().splitlines() if line[:2] in ("1 ", "2 ")]
    time = np.datetime64("2021-05-16T12:00:00") + np.arange(0, 86400, 1700).astype("m8[s]")
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("iers_degraded_accuracy", "warn"):
        at = Time(time)
        _, inertial, _ = Satrec.twoline2rv(*lines).sgp4_array(at.jd1, at.jd2)
        frame = TEME(CartesianRepresentation(inertial.T * u.km), obstime=at)
        expected = frame.transform_to(ITRS(obstime=at)).cartesian.xyz.to_value(u.km).T
    assert np.linalg.norm(tle.position(time) - expected, axis=1).max() < 0.5


def test_circular_orbit_keeps_its_radius_tilt_and_period():
    seconds = np.arange(0, 86400, 10.0)
    position = circular_position(550.0, 97.5, seconds)
    np.testing.assert_allclose(np.linalg.norm(position, axis=1), EQUATOR + 550, rtol=1e-12)
    assert np.degrees(np.arcsin(position[:, 2].max() / (EQUATOR + 550))) == pytest.approx(82.5, abs=0.01)
    northward = np.flatnonzero((position[:-1, 2] < 0) & (position[1:, 2] >= 0))
    assert np.diff(seconds[northward]).mean() == pytest.approx(95.65 * 60, abs=10)


def test_sun_synchronous_node_turns_once_a_year():
    # 97.5 degrees at 550 km: 0.97 degrees a day eastwards, 0.986 of the Sun
    day = 86164.0905  # one turn of the Earth
    year = np.array([0.0, 100 * day])
    node = []
    for moment in year:
        seconds = moment + np.arange(0, 6000, 0.5)
        place = circular_position(550.0, 97.5, seconds)
        first = np.argmax((place[:-1, 2] < 0) & (place[1:, 2] >= 0))
        turned_by = 7.292115146706979e-5 * seconds[first]
        node.append(np.degrees(np.arctan2(place[first, 1], place[first, 0]) + turned_by) % 360)
    assert (node[1] - node[0]) % 360 / 100 == pytest.approx(0.98, abs=0.015)
