"""A layer cut in two is the same layer, for any track through any stack."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xcal_jax.physics.geometry import Direction, Site, Stack, walk

parts = st.floats(0.0, 1.0)
inside = st.floats(0.01, 0.99)
go = jax.jit(walk)


def straight(thickness, cost, layer, depth, x, y, direction, budget):
    """(escaped, what is left, x, y, depth below the top of the stack) of one track."""
    stack = Stack(jnp.asarray(thickness), jnp.asarray(30.0), jnp.asarray(20.0))
    site = Site(jnp.asarray(x), jnp.asarray(y), jnp.asarray(depth), jnp.int32(layer))
    escaped, left, end = go(stack, site, direction, jnp.asarray(cost), jnp.asarray(budget))
    below = np.sum(thickness[: int(end.layer)]) + float(end.depth)
    return bool(escaped), float(left), np.array([end.x, end.y, below])


@given(
    st.tuples(st.floats(1e-3, 1e2), st.floats(1e-3, 1e2)),
    st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)),
    st.integers(0, 1),
    inside,
    inside,
    st.tuples(st.floats(-14.9, 14.9), st.floats(-9.9, 9.9)),
    st.tuples(st.floats(-1.0, 1.0), parts),
    st.floats(1e-3, 1e4),
)
def test_one_layer_cut_in_two_changes_nothing(thickness, cost, layer, at, cut, place, angles, budget):
    cosine, turns = angles
    sine = np.sqrt(1.0 - cosine**2)
    with jax.enable_x64(True):
        direction = Direction(
            *(jnp.asarray(one) for one in (sine * np.cos(2 * np.pi * turns), sine * np.sin(2 * np.pi * turns), cosine))
        )
        depth = at * thickness[layer]
        whole = straight(np.array(thickness), np.array(cost), layer, depth, *place, direction, budget)
        first = cut * thickness[layer]
        halves = [first, thickness[layer] - first]
        below = depth >= first
        split = straight(
            np.array([*thickness[:layer], *halves, *thickness[layer + 1 :]]),
            np.array([*cost[:layer], cost[layer], *cost[layer:]]),
            layer + below,
            depth - first if below else depth,
            *place,
            direction,
            budget,
        )
    if split[0] and whole[0]:
        np.testing.assert_allclose(split[1], whole[1], rtol=1e-9, atol=1e-9 * budget)
    elif split[0] or whole[0]:  # a track that just reaches the face may fall on either side of it
        assert (split if split[0] else whole)[1] <= 1e-9 * budget
    else:
        np.testing.assert_allclose(split[2], whole[2], rtol=1e-9, atol=1e-9)
