"""Alias tables: the exact probabilities that they hold, without a random number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.physics.discrete import Discrete


def probabilities(table):
    """What the table draws, exactly: each column's own share and what it gives away."""
    threshold, alias = np.asarray(table.threshold, dtype=float), np.asarray(table.alias)
    rows, outcomes = threshold.shape
    p = threshold / outcomes
    for row in range(rows):
        np.add.at(p[row], alias[row], (1 - threshold[row]) / outcomes)
    return p


@pytest.mark.parametrize("outcomes", [1, 2, 3, 17, 400])
def test_probabilities_are_exact(outcomes):
    rng = np.random.default_rng(outcomes)
    weights = rng.exponential(size=(20, outcomes)) ** 4 * (rng.random((20, outcomes)) < 0.7)
    weights[:, 0] += 1e-9
    table = Discrete.build(weights)
    np.testing.assert_allclose(
        probabilities(table), weights / weights.sum(1, keepdims=True), atol=1e-6 / outcomes + 1e-7
    )


def test_impossible_outcomes_never_come():
    weights = np.array([[0.0, 3.0, 0.0, 1.0, 0.0]])
    u = jnp.linspace(0, 1, 10001)[:-1]
    found = np.asarray(jax.vmap(Discrete.build(weights).pick, (None, 0))(jnp.int32(0), u))
    assert set(found) == {1, 3}
    assert np.mean(found == 1) == pytest.approx(0.75, abs=1e-3)


def test_laws_know_their_probabilities():
    """As given, and as the alias table has them."""
    weights = np.random.default_rng(3).exponential(size=(4, 9)) ** 3
    weights[1, 2:] = 0.0
    table = Discrete.build(weights)
    found = jax.vmap(lambda row: jax.vmap(lambda outcome: table.probability(row, outcome))(jnp.arange(9)))(
        jnp.arange(4)
    )
    np.testing.assert_allclose(found, weights / weights.sum(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(found, probabilities(table), atol=1e-7)


def test_a_row_of_zeros_gives_the_first():
    table = Discrete.build(np.zeros((2, 3)))
    np.testing.assert_array_equal(table.probabilities, [[1.0, 0.0, 0.0]] * 2)
    assert {int(table.pick(jnp.int32(1), jnp.asarray(u))) for u in (1e-7, 0.5, 0.9999999)} == {0}


def test_rows_are_independent():
    table = Discrete.build(np.eye(4)[[2, 0, 3]])
    picks = [int(table.pick(jnp.int32(row), jnp.asarray(u))) for row in range(3) for u in (1e-7, 0.3, 1 - 1e-7)]
    assert picks == [2] * 3 + [0] * 3 + [3] * 3
