"""Sums over layers, against plain loops, sums in double precision and the site's own depth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.physics.layers import (
    absorbed_by_layer,
    between,
    cumulative,
    cumulative_upwards,
    depth_in_stack,
    extents,
)

RATE, THICKNESS = np.array([0.3, 1.7, 0.05]), np.array([0.5, 2.0, 3.0])
TOP = np.concatenate([[0.0], np.cumsum(THICKNESS)])


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def layers():
    return jnp.asarray(RATE), jnp.asarray(THICKNESS)


def test_cumulative():
    above, total = cumulative(*layers())
    np.testing.assert_allclose(above, [0.0, 0.15, 3.55], rtol=1e-14)
    below, same = cumulative_upwards(*layers())
    np.testing.assert_allclose(below, [3.55, 0.15, 0.0], rtol=1e-14)
    assert float(total) == pytest.approx(RATE @ THICKNESS, rel=1e-14) == float(same)


def test_absorbed_by_layer():
    """What comes through n layers less what comes through n + 1; the sum is all that does not come through."""
    found = np.asarray(absorbed_by_layer(*layers()))
    through = np.exp(-np.concatenate([[0.0], np.cumsum(RATE * THICKNESS)]))
    np.testing.assert_allclose(found, -np.diff(through), rtol=1e-13)
    assert found.sum() == pytest.approx(-np.expm1(-RATE @ THICKNESS), rel=1e-14)


@pytest.mark.parametrize(("layer", "depth"), [(0, 0.0), (0, 0.2), (1, 1.5), (2, 0.1), (2, 3.0)])
def test_a_site_divides_the_stack(layer, depth):
    place = jnp.int32(layer), jnp.asarray(depth)
    up, down = (np.asarray(um) for um in extents(layers()[1], *place))
    assert depth_in_stack(layers()[1], *place) == pytest.approx(TOP[layer] + depth, rel=1e-14)
    np.testing.assert_allclose(up + down, THICKNESS, rtol=1e-14)
    assert up.sum() == pytest.approx(TOP[layer] + depth, rel=1e-14) and up[layer] == depth


@pytest.mark.parametrize(("one", "other"), [(0.0, 5.5), (0.1, 0.4), (0.4, 2.6), (3.0, 3.0)])
def test_between(one, other):
    for pair in ((one, other), (other, one)):
        found = np.asarray(between(layers()[1], *map(jnp.asarray, pair)))
        nodes = np.clip([one, other], TOP[:-1, None], TOP[1:, None])
        np.testing.assert_allclose(found, np.diff(nodes, axis=1)[:, 0], atol=1e-15)
