"""The interpolated field: exact for cubics, and without a seam around the Earth."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xcal_jax.orbit.trapped import LATITUDE_STEP, LONGITUDE_STEP, RADIUS_RATIO, FieldMap

RADII, LATITUDES, LONGITUDES = 6, 73, 90
LOWEST = 6600.0
unit = st.floats(-1.0, 1.0)
places = arrays(float, (5, 3), elements=st.floats(0.0, 1.0))


def position(at):
    """(n, 3) km, from (n, 3) parts of the way up, from south to north and around."""
    radius = LOWEST * RADIUS_RATIO ** (at[:, 0] * (RADII - 1))
    latitude, longitude = np.pi * (at[:, 1] - 0.5), 2 * np.pi * at[:, 2]
    flat = np.cos(latitude)
    return radius[:, None] * np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], -1)


def field(log_shell, log_ratio):
    return FieldMap(LOWEST * RADIUS_RATIO ** np.arange(RADII), log_shell, log_ratio)


@given(arrays(float, (2, 4, 4), elements=unit), places)
def test_cubics_are_exact(coefficients, at):
    up, north = np.linspace(0, 1, RADII), np.linspace(0, 1, LATITUDES)
    tables = [
        np.repeat(np.polynomial.polynomial.polygrid2d(up, north, c)[:, :, None], LONGITUDES, 2) for c in coefficients
    ]
    shell, ratio = field(*tables)(position(at))
    log_shell, log_ratio = (np.polynomial.polynomial.polyval2d(at[:, 0], at[:, 1], c) for c in coefficients)
    np.testing.assert_allclose(np.log(shell), log_shell, atol=1e-6)
    np.testing.assert_allclose(ratio, np.maximum(np.exp(log_ratio + 3 * log_shell), 0.99), rtol=1e-5)


@given(st.integers(0, 2**32), st.integers(0, LONGITUDES - 1), places)
def test_there_is_no_seam(seed, steps, at):
    """The field turned by whole steps and read at the place turned with it is the same field."""
    tables = np.random.default_rng(seed).normal(size=(2, RADII, LATITUDES, LONGITUDES))
    turned = at + np.array([0.0, 0.0, steps / LONGITUDES])
    found = field(*np.roll(tables, steps, axis=-1))(position(turned))
    np.testing.assert_allclose(found, field(*tables)(position(at)), rtol=1e-6)


def test_steps_are_those_of_the_tables():
    assert (LATITUDES - 1) * LATITUDE_STEP == 180 and LONGITUDES * LONGITUDE_STEP == 360
