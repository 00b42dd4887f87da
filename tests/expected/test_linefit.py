"""Physics fitted to simulated lines: the truth comes back, with honest errors."""

import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.expected.line import Detector
from xcal_jax.expected.linefit import fit_line, linearise
from xcal_jax.run import simulate

TRIALS, PHOTONS = 50, 200_000
TRUTH = {"range": 1.0, "yield": 1.0, "tail_frac": 0.03, "tail_tau": 40.0}
FWHM = 2.5  # eV
EDGES = np.concatenate([np.arange(100, 6600, 50.0), np.arange(6600, 6960, 10.0), np.arange(6960, 7021, 1.0)])


@pytest.fixture(scope="module")
def slab():
    return Absorber.build([("Bi", 3.0)], 50.0, 50.0, "slab")


@pytest.fixture(scope="module")
def linear(slab):
    return linearise(slab, 7000.0, ("range", "yield"), n=2**17)


@pytest.fixture(scope="module")
def trials(slab):
    """Spectra of the Monte Carlo, with trapping and noise put on photon by photon: (TRIALS, C) counts."""
    blocks = []
    simulate(slab, 7000.0, n=TRIALS * PHOTONS, seed=11, on_events=lambda b: blocks.append(np.asarray(b.deposited)))
    deposited = np.concatenate(blocks).astype(float)
    draw = np.random.default_rng(3)
    trapped = draw.random(deposited.size) < TRUTH["tail_frac"]
    deposited -= np.where(trapped, draw.exponential(TRUTH["tail_tau"], deposited.size), 0.0)
    deposited += draw.normal(0.0, FWHM / np.sqrt(8 * np.log(2)), deposited.size)
    return np.stack([np.histogram(part, EDGES)[0] for part in deposited.reshape(TRIALS, PHOTONS)])


def test_closure(linear, trials):
    """50 trials: every mean within 3 sigma of the truth, pulls neither wide nor narrow."""
    start = Detector(FWHM, 0.02, 60.0)
    fits = [fit_line(linear, counts, EDGES, start, ("tail_frac", "tail_tau")) for counts in trials]
    assert all(fit.converged for fit in fits)
    assert fits[0].parameters == (*TRUTH, "photons")
    truth = np.array([*TRUTH.values(), PHOTONS])
    pulls = np.array([(fit.values - truth) / fit.errors for fit in fits])[:, :4]
    assert np.all(np.abs(pulls.mean(axis=0)) < 0.75)  # 3 sigma of the mean, and the figures' own error
    assert np.all(np.abs(pulls.std(axis=0, ddof=1) - 1.0) < 0.35)
    assert np.all(np.abs(pulls) < 4.5)
    reduced = np.mean([fit.deviance / (fit.channels - 5) for fit in fits])
    assert 0.7 < reduced < 1.7  # above 1: few counts a channel, and a continuum in coarser steps than the truth's


@pytest.mark.parametrize(
    ("counts", "edges", "also", "sentence"),
    [
        (np.ones(3), np.arange(3.0), (), "one more than the 3 channels"),
        (np.ones(3), np.array([0.0, 2.0, 1.0, 3.0]), (), "must ascend"),
        (np.zeros(3), np.arange(4.0), (), "not all zero"),
        (np.array([1.0, np.nan, 1.0]), np.arange(4.0), (), "finite"),
        (np.array([1.0, -1.0, 1.0]), np.arange(4.0), (), "not negative"),
        (np.ones(3), np.arange(4.0), ("gain",), "has gain"),
    ],
)
def test_refused(linear, counts, edges, also, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_line(linear, counts, edges, Detector(FWHM, 0.02, 50.0), also)
