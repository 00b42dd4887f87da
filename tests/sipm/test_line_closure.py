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
    """Lines of so many counts on a continuum of a fifth of their height, by selection: one batch each."""
    stacks = []
    for shape in SHAPES.values():
        for counts in COUNTS:
            peak = line(counts=counts).max()
            expected = line(counts=counts) + np.where(NEAR, 0.2 * peak * shape, 0.0)
            stacks.append(stacks_of(expected, EACH, len(stacks), least=0.0))
    every = xr.concat(stacks, "epoch", combine_attrs="override")
    return {
        selection: fit_lines(every, [[72, 128]], 20.0, selection=selection).isel(line=0)
        for selection in ("aicc", "step")
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("selection", "kind"), [*(("aicc", kind) for kind in list(SHAPES)[:3]), *(("step", kind) for kind in SHAPES)]
)
def test_position_pulls_on_falling_and_stepped_continua(found, selection, kind):
    """450 spectra each: the mean of unit pulls is known to 0.05, their width to 3 %; that of 150 to 0.08."""
    first = EACH * len(COUNTS) * list(SHAPES).index(kind)
    some = found[selection].isel(epoch=slice(first, first + EACH * len(COUNTS)))
    pulls = ((some["position"] - 100.3) / some["position_error"]).values.reshape(len(COUNTS), EACH)
    assert (np.isfinite(pulls).mean(1) > 0.9).all()
    assert (abs(np.nanmean(pulls, 1)) < 0.2 + 0.16).all() and abs(np.nanmean(pulls)) < 0.2
    assert 0.9 < np.nanstd(pulls) < 1.1


@pytest.mark.slow
def test_a_step_costs_errors_where_there_is_none(found):
    """Twice the errors, which is why it is no default; without it a step of a seventh of the line moves its place."""
    flat, stepped = slice(0, 3 * EACH), slice(-EACH, None)
    with_step, without = (found[name]["position_error"].isel(epoch=flat) for name in ("step", "aicc"))
    assert 1.8 < float((with_step / without).median()) < 3
    pulls = ((found["aicc"]["position"] - 100.3) / found["aicc"]["position_error"]).isel(epoch=stepped)
    assert float(pulls.mean()) < -5


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
