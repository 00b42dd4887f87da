"""Random numbers: published vectors, JAX's own generator, and independence in all that names a number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32

from xcal_jax.compute.random import COUNTERS, PHOTONS, Key, _unit, photon_key, threefry, uniforms, words

ONES = (0xFFFFFFFF, 0xFFFFFFFF)
PI = (0x243F6A88, 0x85A308D3)
MORE_PI = (0x13198A2E, 0x03707344)


@pytest.mark.parametrize(
    ("rounds", "counter", "key", "expected"),
    [
        (13, (0, 0), (0, 0), (0x9D1C5EC6, 0x8BD50731)),
        (13, ONES, ONES, (0xFD36D048, 0x2D17272C)),
        (13, PI, MORE_PI, (0xBA3E4725, 0xF27D669E)),
        (20, (0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        (20, ONES, ONES, (0x1CB996FC, 0xBB002BE7)),
        (20, PI, MORE_PI, (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers(rounds, counter, key, expected):
    """The known-answer vectors of Random123 1.14 (kat_vectors, threefry2x32)."""
    found = threefry(*map(jnp.uint32, (*key, *counter)), rounds=rounds)
    assert tuple(int(word) for word in found) == expected


def test_twenty_rounds_are_jax_threefry():
    rng = np.random.default_rng(0)
    key, counter = rng.integers(0, 2**32, (2, 2), dtype=np.uint32), rng.integers(0, 2**32, (2, 500), dtype=np.uint32)
    ours = jax.vmap(lambda a, b: jnp.stack(threefry(*map(jnp.uint32, key[0]), a, b, rounds=20)))(*counter)
    theirs = threefry_2x32(jnp.asarray(key[0]), jnp.asarray(counter.reshape(-1)))
    np.testing.assert_array_equal(ours.T.reshape(-1), theirs)


def test_words_are_low_first():
    assert words(0x0123456789ABCDEF).tolist() == [0x89ABCDEF, 0x01234567]
    assert words(2**64 - 1).tolist() == [0xFFFFFFFF] * 2


@pytest.mark.parametrize(
    ("first", "offset"), [(0, 5), (2**32 - 3, 2), (2**32 - 3, 3), (2**32 - 3, 7), (PHOTONS - 9, 8), (2**40, 2**31)]
)
def test_photon_ids_go_on_past_two_to_the_32(first, offset):
    key = photon_key(words(7), words(first), jnp.uint32(offset))
    assert int(key.photon_low) + (int(key.photon_high) << 32) == first + offset


def test_words_become_open_uniforms():
    """The first, the last and the middle word: halves of 2^-23, never 0 or 1."""
    assert float(_unit(jnp.uint32(0))) == 2.0**-24
    assert float(_unit(jnp.uint32(2**32 - 1))) == 1 - 2.0**-24
    assert float(_unit(jnp.uint32(2**31))) == 0.5 + 2.0**-24


def draw(seed, first, n, number):
    """(n,) pairs: photons first.. of one draw."""

    def one(offset):
        return jnp.stack(uniforms(photon_key(words(seed), words(first), offset), jnp.uint32(number)))

    return np.asarray(jax.vmap(one)(jnp.arange(n, dtype=jnp.uint32)), dtype=np.float64)


N = 2**18


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(lambda: draw(1, 0, N, 0), id="the two of a draw"),
        pytest.param(lambda: np.stack([draw(1, 0, N, 0)[:, 0], draw(1, 0, N, 1)[:, 0]], 1), id="draws"),
        pytest.param(lambda: np.stack([draw(1, 0, N, 5)[:, 1], draw(1, 0, N, COUNTERS - 1)[:, 0]], 1), id="far draws"),
        pytest.param(lambda: np.stack([draw(1, 0, N, 0)[:, 0], draw(2, 0, N, 0)[:, 0]], 1), id="seeds"),
        pytest.param(lambda: np.stack([draw(1, 0, N, 0)[:, 0], draw(2**32, 0, N, 0)[:, 0]], 1), id="high seeds"),
        pytest.param(lambda: np.stack([draw(1, 0, N, 0)[:, 0], draw(1, 1, N, 0)[:, 0]], 1), id="neighbours"),
        pytest.param(lambda: np.stack([draw(1, 0, N, 0)[:, 0], draw(1, 2**32, N, 0)[:, 0]], 1), id="high ids"),
    ],
)
def test_independence(pair, chi_square, agrees):
    """Flat on the square by cells, and uncorrelated at lags 0 to 3."""
    u = pair()
    assert u.min() > 0 and u.max() < 1
    cells = np.histogram2d(*u.T, bins=64, range=[[0, 1], [0, 1]])[0]
    chi_square(cells, np.ones_like(cells))
    centred = (u - 0.5) * np.sqrt(12)
    for lag in range(4):
        a, b = centred[: N - lag, 0], centred[lag:, 1]
        agrees(np.mean(a * b), 0.0, 1 / np.sqrt(N))


def test_draws_of_one_photon_are_all_different():
    key = Key(*map(jnp.uint32, (3, 0, 11, 0)))
    u = jax.vmap(lambda number: jnp.stack(uniforms(key, number)))(jnp.arange(COUNTERS, dtype=jnp.uint32))
    assert len(np.unique(np.asarray(u))) > 0.998 * 2 * COUNTERS


@pytest.mark.parametrize(("high", "number"), [(0, 1), (1, 0), (1, COUNTERS - 1), (2**20 - 1, 5)])
def test_ids_and_draws_fill_the_counter_apart(high, number):
    """52 bits of id, 12 of draw: no two pairs share a counter."""
    key = Key(*map(jnp.uint32, (3, 4, 11, high)))
    low, other = threefry(*map(jnp.uint32, (3, 4, 11, high * COUNTERS + number)))
    assert uniforms(key, jnp.uint32(number)) == (_unit(low), _unit(other))
