"""One stack of two layers and one estimate of it, which the tests of this folder share: compiled once."""

import jax
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.expected.estimate import run
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.tables import Tables

THRESHOLDS = (0.0, 1000.0, 3000.0)
N = 2**13
ENERGY = 7000.0
ALL = ("thickness", "density", "width", "length", "energy", "yield", "range")


@pytest.fixture(scope="session")
def stack():
    """A compound on gold, 60 um wide."""
    return Absorber.build([("Bi2Te3", 2.0), ("Au", 0.5)], 60.0, 60.0, "two layers")


@pytest.fixture(scope="session")
def tables(stack):
    """Of the stack, for a uniform impact."""
    with jax.enable_x64(True):
        return Tables.build(stack)


@pytest.fixture(scope="session")
def point(stack):
    """The stack's own parameters."""
    with jax.enable_x64(True):
        return Parameters.of(stack, ENERGY)


@pytest.fixture(scope="session")
def found(tables, point):
    """With respect to everything."""
    return run(tables, point, ALL, n=N, thresholds=THRESHOLDS)
