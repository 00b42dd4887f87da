"""One stack of four layers and its estimate, which most tests of this folder share: it is compiled once."""

import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.expected.estimate import estimate

THRESHOLDS = (0.0, 1000.0, 3000.0)
N = 2**14
ALL = ("thickness", "density", "width", "length", "energy", "x", "y", "yield", "range")


@pytest.fixture(scope="session")
def four():
    """Gold, two compounds and bismuth, 60 um wide."""
    layers = [("Au", 0.3), ("Bi2Te3", 2.0), ("HgTe", 1.5), ("Bi", 1.0)]
    return Absorber.build(layers, 60.0, 60.0, "four layers")


@pytest.fixture(scope="session")
def found(four):
    """At 7 keV, with respect to everything."""
    return estimate(four, 7000.0, ALL, n=N, thresholds=THRESHOLDS)
