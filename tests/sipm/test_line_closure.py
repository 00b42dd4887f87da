"""Positions of lines on continua of every kind, drawn here: pulls of unit width without bias."""

import numpy as np
import pytest
import xarray as xr
from scipy.special import erfc

from tests.sipm.test_lines import X, line, stacks_of
from xcal_jax.sipm import fit_lines

U = (X - 100) / 28
STEP = 0.5 * erfc((X - 100.3) / (8.0 * np.sqrt(2)))
SHAPES = {"flat": 1 + 0 * U, "linear": 1 - 0.8 * U, "exponential": np.exp(-1.5 * U), "step": 0.3 + 0.7 * STEP}
COUNTS = (180, 2000, 50_000)
EACH = 150
NEAR = (X >= 60) & (X <= 140)


@pytest.fixture(scope="module")
def found():
    """Lines of so many counts on a continuum of a fifth of their height: one batch of all."""
    stacks = []
    for shape in SHAPES.values():
        for counts in COUNTS:
            peak = line(counts=counts).max()
            expected = line(counts=counts) + np.where(NEAR, 0.2 * peak * shape, 0.0)
            stacks.append(stacks_of(expected, EACH, len(stacks), least=0.0))
    return fit_lines(xr.concat(stacks, "epoch", combine_attrs="override"), [[72, 128]], 20.0).isel(line=0)


@pytest.mark.slow
@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("kind", list(SHAPES))
def test_position_pulls_on_falling_and_stepped_continua(found, kind, counts):
    """150 spectra each: the mean of unit pulls is known to 0.08, their width to 6 %. At 180 counts the prior on the
    width and the sign of a step narrow the pulls a little.
    """
    first = EACH * (list(SHAPES).index(kind) * len(COUNTS) + COUNTS.index(counts))
    some = found.isel(epoch=slice(first, first + EACH))
    passed = some["veto"].values == 0
    assert passed.mean() > 0.9
    pulls = ((some["position"] - 100.3) / some["position_error"]).values[passed]
    assert abs(pulls.mean()) < 0.2 + 0.16
    assert 0.8 < pulls.std() < 1.2


def test_a_line_on_a_falling_continuum_is_found():
    """35 sigma on a steep exponential: none is refused, and the position has no bias of channels."""
    expected = line(counts=5000) + np.where(NEAR, line(counts=5000).max() * np.exp(-1.5 * U), 0.0)
    some = fit_lines(stacks_of(expected, 16, 5, least=0.0), [[72, 128]], 20.0).isel(line=0)
    assert not some["veto"].values.any()
    pulls = (some["position"] - 100.3) / some["position_error"]
    assert abs(float(pulls.mean())) < 3.5 / 4 and float(pulls.std()) < 1.6
    paper = fit_lines(stacks_of(expected, 16, 5, least=0.0), [[72, 128]], 20.0, "chi2", "reduced").isel(line=0)
    kept = paper["position"].values[paper["veto"].values == 0]
    assert kept.size == 0 or abs(np.mean(kept) - 100.3) > 1
