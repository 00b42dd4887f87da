"""Lanes packed, worked on and put back, against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.compute.lanes import Selection, drain, for_selected, put, refill_lanes, take


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("n", [32, 96, 4096])
def test_true_lanes_by_rank(n, share):
    mask = np.random.default_rng(n).random(n) < share
    true = np.flatnonzero(mask)
    selection = Selection.of(jnp.asarray(mask))
    assert int(selection.total) == true.size
    for first in (0, 7, true.size):
        found = np.asarray(selection.lanes(jnp.int32(first), 40))
        expected = np.pad(true[first : first + 40], (0, max(0, 40 - true[first:].size)), constant_values=n)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_rank_counts_the_true_lanes_before(share):
    mask = np.random.default_rng(5).random(96) < share
    np.testing.assert_array_equal(Selection.of(jnp.asarray(mask)).rank, np.cumsum(mask) - mask)


def test_take_and_put():
    state = (jnp.arange(8), jnp.arange(16.0).reshape(8, 2))
    lanes = jnp.asarray([1, 5, 8, 9], dtype=jnp.int32)
    assert take(state, lanes)[0].tolist() == [1, 5, 7, 7]
    back = put(state, lanes, (jnp.array([-1, -5, -8, -9]), jnp.zeros((4, 2))))
    assert back[0].tolist() == [0, -1, 2, 3, 4, -5, 6, 7]


@pytest.mark.parametrize("width", [8, 32, 64])
def test_sweep_visits_each_once(width):
    mask = np.random.default_rng(1).random(256) < 0.3
    visits = for_selected(lambda lanes, s: put(s, lanes, take(s, lanes) + 1), jnp.zeros(256), jnp.asarray(mask), width)
    np.testing.assert_array_equal(visits, mask)


def test_drain_ends_when_all_have_stopped():
    """Each lane counts down from its own number, steps counted."""
    start = np.random.default_rng(2).integers(0, 9, 64)

    def step(state):
        return state[0] - 1, state[1] + 1

    left, steps = jax.jit(lambda s: drain(step, s, lambda s: s[0] > 0, 32))(
        (jnp.asarray(start, dtype=jnp.int32), jnp.zeros(64, jnp.int32))
    )
    assert not np.any(left)
    np.testing.assert_array_equal(steps, start)


@pytest.mark.parametrize("jobs", [0, 1, 40, 500])
@pytest.mark.parametrize("width", [32, 256])
def test_relay_does_every_job_once(jobs, width):
    """Each job counts down from its own number, moves counted; some have nothing to do, many in a row."""
    length = np.random.default_rng(6).integers(0, 60, 512)
    length[100:200] = 0

    def load(job):
        left = jnp.where(job < jobs, take(jnp.asarray(length, dtype=jnp.int32), job), 0)
        return left, jnp.zeros_like(left)

    def move(state):
        left, moves = state
        return jnp.maximum(left - 1, 0), moves + (left > 0).astype(jnp.int32)

    moves = jax.jit(
        lambda jobs: refill_lanes(load, move, lambda s: s[0] > 0, lambda s: s[1], jobs, width, length.size)
    )(jnp.int32(jobs))
    np.testing.assert_array_equal(moves, np.where(np.arange(512) < jobs, length, 0))
