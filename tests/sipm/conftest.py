import dataclasses

import jax
import pytest

from xcal_jax.sipm import load_mission
from xcal_jax.sipm.synthetic import synthesize


@pytest.fixture(autouse=True)
def strict_numerics():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="session")
def grbalpha():
    return load_mission("grbalpha")


@pytest.fixture(scope="session")
def small(grbalpha):
    """One readout channel of a GRBAlpha-like mission with few spectra (synthetic)."""
    table = {**grbalpha.synthetic, "campaigns": 30}
    return synthesize(dataclasses.replace(grbalpha, synthetic=table), seed=5, readouts=("ch0",))


BARIUM = ((276.40, 7.16), (302.85, 18.34), (356.01, 62.05), (383.85, 8.94))
"""keV and photons per 100 decays of 133Ba, the lines that a scintillator does not resolve."""
