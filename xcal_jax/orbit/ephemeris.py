"""Positions of a satellite: times -> Earth-fixed coordinates -> latitude, longitude and altitude.

The inertial frame of SGP4 (Vallado et al. 2006) is turned to the Earth's by Greenwich mean sidereal time (IAU 1982)
with UT1 = UTC, an error of 0.5 km. Without elements the orbit is a circle whose node and phase drift by J2.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

MU = 398600.4418  # km3/s2, of the Earth (WGS 84)
EQUATOR = 6378.137  # km, radius (WGS 84)
FLATTENING = 1 / 298.257223563  # of the ellipsoid (WGS 84)
J2 = 1.08262668e-3  # of the field: the oblateness
ROTATION = 7.292115146706979e-5  # rad/s, of the Earth against the stars


def julian_date(time: ArrayLike) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Whole and fractional Julian days of ``time`` (n,) datetime64 UTC."""
    microseconds = (np.asarray(time, "M8[us]") - np.datetime64("2000-01-01T12:00:00", "us")).astype(np.int64)
    days, rest = np.divmod(microseconds, 86_400_000_000)
    return 2451545.0 + days, rest / 86_400_000_000


def sidereal_angle(time: ArrayLike) -> Float[np.ndarray, " n"]:
    """Greenwich mean sidereal time (IAU 1982) at ``time`` (n,) UTC, radians."""
    whole, fraction = julian_date(time)
    days = (whole - 2451545.0) + fraction
    t = days / 36525
    seconds = 67310.54841 + 8640184.812866 * t + 86400 * (days % 1.0) + 0.093104 * t**2 - 6.2e-6 * t**3
    return 2 * np.pi * (seconds / 86400 % 1.0)


def turned(position: Float[np.ndarray, "n 3"], angle: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
    """Inertial ``position`` seen from axes turned by ``angle`` (radians) about the pole."""
    x, y, z = position.T
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([cosine * x + sine * y, cosine * y - sine * x, z], -1)


def circular_position(
    altitude: float, inclination: float, seconds: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n 3"]:
    """Earth-fixed position on a circular orbit, km.

    altitude: km above the equatorial radius. inclination: degrees. seconds: since a crossing of the equator at
    longitude 0.
    """
    axis, tilt = EQUATOR + altitude, np.radians(inclination)
    motion = np.sqrt(MU / axis**3)
    strength = 1.5 * J2 * (EQUATOR / axis) ** 2 * motion
    node = -strength * np.cos(tilt) * seconds
    phase = (motion + strength * (3 - 4 * np.sin(tilt) ** 2)) * seconds
    plane = np.stack([np.cos(phase), np.sin(phase) * np.cos(tilt), np.sin(phase) * np.sin(tilt)], -1)
    return turned(axis * plane, ROTATION * seconds - node)


def geodetic(
    position: ArrayLike | Sequence,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Latitude and longitude in degrees and altitude in km of ``position`` (n, 3) km on WGS 84 (Bowring 1976)."""
    x, y, z = np.asarray(position, float).T
    across = np.hypot(x, y)
    squared = FLATTENING * (2 - FLATTENING)
    polar = EQUATOR * (1 - FLATTENING)
    reduced = np.arctan2(z * EQUATOR, across * polar)
    latitude = np.arctan2(
        z + squared / (1 - squared) * polar * np.sin(reduced) ** 3, across - squared * EQUATOR * np.cos(reduced) ** 3
    )
    normal = EQUATOR / np.sqrt(1 - squared * np.sin(latitude) ** 2)
    altitude = across * np.cos(latitude) + z * np.sin(latitude) - EQUATOR**2 / normal
    return np.degrees(latitude), np.degrees(np.arctan2(y, x)), altitude
