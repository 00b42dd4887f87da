"""Tallies add: what is counted depends neither on how histories are put together nor on their order."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.montecarlo.test_tally import ledger
from xcal_jax.montecarlo.tally import Tally, book
from xcal_jax.simulation.counting import sum_of

N, LINES, TRANSITIONS = 12, 2, 5
ENERGY = 7000.0
LEVELS = (50.0, 500.0, 2422.4)  # eV, thresholds of the loss
booked = jax.jit(book)
losses = st.sampled_from([0.0, 1e-4, 0.25, 49.9, 50.1, 1234.5, 2422.5, 3400.0])
histories = st.lists(
    st.tuples(
        losses, losses, st.integers(0, 2), st.integers(-1, TRANSITIONS - 1), st.booleans(), st.integers(0, LINES - 1)
    ),
    min_size=N,
    max_size=N,
)


def tally_of(rows, where):
    """The tally of the histories ``where``."""
    photons, electrons, escapes, line, scattered, source = map(list, zip(*rows, strict=True))
    deposited = list(np.float32(ENERGY) - np.float32(photons) - np.float32(electrons))
    columns = ledger(
        by_photons=photons, by_electrons=electrons, escapes=escapes, line=line, scattered=scattered, deposited=deposited
    )
    start = Tally.empty(64, LINES, TRANSITIONS, thresholds=len(LEVELS))
    energy, source = jnp.full((N,), ENERGY), jnp.asarray(source, dtype=jnp.int32)
    tally = booked(start, columns, energy, source, jnp.asarray(where), jnp.asarray(125.0), jnp.asarray(LEVELS))
    return jax.tree.map(lambda count: np.asarray(count, dtype=np.int64), tally)


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@given(histories, st.lists(st.integers(0, 2), min_size=N, max_size=N))
def test_parts_add_up_to_the_whole_in_any_order(rows, part):
    part = np.array(part)
    a, b, c = (tally_of(rows, part == k) for k in range(3))
    whole = tally_of(rows, part >= 0)
    same(sum_of([a, b, c]), whole)
    same(sum_of([c, a, b]), whole)
    same(sum_of([a, sum_of([c, b])]), whole)
    assert int(whole.interacting) == N == int(whole.spectrum.sum())


@given(histories, st.permutations(range(N)))
def test_the_order_of_histories_does_not_matter(rows, order):
    everywhere = np.ones(N, bool)
    same(tally_of(rows, everywhere), tally_of([rows[k] for k in order], everywhere))
