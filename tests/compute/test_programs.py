"""A program is traced once for all processes, and gives what `jax.jit` gives."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.compute.programs import program

pytestmark = pytest.mark.usefixtures("folder")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pair:
    """A tree with a branch that may be missing."""

    first: jax.Array
    second: jax.Array | None = None


@pytest.fixture
def traced():
    """A program of a `Pair`, and the list of its tracings."""
    times = []

    @program("power")
    def raised(pair, power):
        """Powers of the first, beside the second."""
        times.append(power)
        return Pair(pair.first**power, pair.second)

    return raised, times


def forget(raised):
    """As another process would find it."""
    raised.loaded.clear()


def test_it_is_traced_once(traced):
    raised, times = traced
    pair = Pair(jnp.array([1.0, 2.0, 3.0]))
    for _ in range(3):
        result = raised(pair, power=2)
        forget(raised)
        np.testing.assert_array_equal(result.first, raised.jitted(pair, power=2).first)
        assert result.second is None
    assert times == [2, 2]  # once for the program, once for `jitted`


@pytest.mark.parametrize(
    ("pair", "power"),
    [
        (Pair(jnp.array([1.0, 2.0, 3.0, 4.0])), 2),  # another shape,
        (Pair(jnp.array([1, 2, 3])), 2),  # type,
        (Pair(jnp.array([1.0, 2.0, 3.0]), jnp.array(1.0)), 2),  # tree
        (Pair(jnp.array([1.0, 2.0, 3.0])), 3),  # or keyword
    ],
)
def test_what_differs_is_traced_anew(traced, pair, power):
    raised, times = traced
    raised(Pair(jnp.array([1.0, 2.0, 3.0])), power=2)
    forget(raised)
    result = raised(pair, power=power)
    assert len(times) == 2
    np.testing.assert_array_equal(result.first, np.asarray(pair.first) ** power)
    assert result.second is pair.second is None or result.second == pair.second


def test_precision_makes_a_difference(traced):
    raised, times = traced
    for double in (False, True):
        with jax.enable_x64(double):
            raised(Pair(jnp.array([1, 2], jnp.int32)), power=2)
            forget(raised)
    assert len(times) == 2


def test_it_can_be_differentiated_and_mapped(traced):
    raised, _ = traced
    x = jnp.array([1.0, 2.0])
    np.testing.assert_allclose(jax.grad(lambda x: raised(Pair(x), power=3).first.sum())(x), 3 * x**2)
    np.testing.assert_allclose(jax.vmap(lambda x: raised(Pair(x), power=3).first)(x), x**3)
    assert not raised.loaded
