import numpy as np
import pytest

from xcal_jax.spectra import build_spectra


@pytest.fixture
def archive():
    """Seven spectra of two readout channels with all that an archive can hold, one time and one temperature unknown."""
    rng = np.random.default_rng(1)
    time = np.datetime64("2021-03-22T10:00", "ns") + np.arange(7) * np.timedelta64(3600_123_456_789, "ns")
    time[4] = np.datetime64("NaT")
    boards = rng.normal(10, 3, (7, 3))
    boards[2, 1] = np.nan
    names = ["ch0", "ch1"] * 3 + ["ch0"]
    counts, exposure, since_exit = rng.poisson(300, (7, 64)), rng.uniform(50, 70, 7), rng.uniform(0, 600, 7)
    attrs = {"satellite": "GRBAlpha", "synthetic": 1}
    return build_spectra(counts, exposure, time, names, boards, 2.0, since_exit, **attrs)
