"""Tables of discrete choices hold the probabilities they were built from, for any weights."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.physics.test_discrete import probabilities
from xcal_jax.physics.discrete import Discrete

OUTCOMES = 7
GRID = 7 * 2048
weights = arrays(float, (3, OUTCOMES), elements=st.just(0.0) | st.floats(1e-12, 1e12))
pick = jax.jit(jax.vmap(lambda law, row, u: law.pick(row, u), (None, None, 0)))


@given(weights)
def test_a_table_holds_its_probabilities(given_weights):
    law = Discrete.build(given_weights)
    for found in (law.probabilities, probabilities(law)):
        for row, expected in zip(np.asarray(found), given_weights.copy(), strict=True):
            expected[0] += expected.sum() == 0  # a row of zeros gives the first
            np.testing.assert_allclose(row, expected / expected.sum(), atol=2e-7)
            assert not row[expected == 0].any()


@given(weights)
def test_picks_have_the_probabilities(given_weights):
    """On a regular grid of uniform numbers an interval is counted to one point at each of its ends."""
    law = Discrete.build(given_weights)
    u = jnp.asarray((np.arange(GRID) + 0.5) / GRID)
    for row, expected in enumerate(np.asarray(law.probabilities)):
        counts = np.bincount(pick(law, jnp.int32(row), u), minlength=OUTCOMES)
        np.testing.assert_allclose(counts / GRID, expected, atol=2 * OUTCOMES / GRID)
        assert not counts[expected == 0].any()
