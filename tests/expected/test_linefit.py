"""Physics fitted to simulated lines: the truth comes back, with honest errors."""

from dataclasses import replace

import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.expected.line import Detector
from xcal_jax.expected.linefit import fit_line, linearise
from xcal_jax.run import simulate

TRIALS, PHOTONS = 50, 50_000
TRUTH = {"thickness[0]": 3.0, "yield": 1.0, "range": 1.0, "tail_frac": 0.03, "tail_tau": 40.0}
FWHM = 2.5  # eV
START, TRAPPING = Detector(FWHM, 0.02, 60.0), ("tail_frac", "tail_tau")
FIGURES = 0.33  # sigmas that the expected figures' own error may shift all trials by
EDGES = np.concatenate([np.arange(100, 6600, 50.0), np.arange(6600, 6960, 10.0), np.arange(6960, 7021, 1.0)])


@pytest.fixture(scope="module")
def slab():
    return Absorber.build([("Bi", 3.0)], 50.0, 50.0, "slab")


@pytest.fixture(scope="module")
def linear(slab):
    return linearise(slab, 7000.0, ("thickness", "yield", "range"), n=2**15)


@pytest.fixture(scope="module")
def trials(slab):
    """Spectra of the Monte Carlo, with trapping and noise put on photon by photon: (TRIALS, C) counts."""
    blocks = []
    draw = np.random.default_rng(3)
    ends = np.cumsum(draw.poisson(PHOTONS, TRIALS))
    simulate(slab, 7000.0, n=int(ends[-1]), seed=11, on_events=lambda b: blocks.append(np.asarray(b.deposited)))
    deposited = np.concatenate(blocks).astype(float)
    trapped = draw.random(deposited.size) < TRUTH["tail_frac"]
    deposited -= np.where(trapped, draw.exponential(TRUTH["tail_tau"], deposited.size), 0.0)
    deposited += draw.normal(0.0, FWHM / np.sqrt(8 * np.log(2)), deposited.size)
    return np.stack([np.histogram(part, EDGES)[0] for part in np.split(deposited, ends[:-1])])


def pulls(fits, truth):
    """(value - truth) / error, (TRIALS, P)."""
    assert all(fit.converged for fit in fits)
    return np.array([(fit.values - truth) / fit.errors for fit in fits])


def check(pulls):
    """Every mean within 3 sigma of the truth, pulls neither wide nor narrow."""
    few = 3.0 / np.sqrt(len(pulls))
    assert np.all(np.abs(pulls.mean(axis=0)) < few + FIGURES)
    assert np.all(np.abs(pulls.std(axis=0, ddof=1) - 1.0) < 3.0 / np.sqrt(2 * len(pulls)))
    assert np.all(np.abs(pulls) < 4.5)


def test_closure(slab, linear, trials):
    """50 trials with the incident photons known: thickness, yields, ranges and trapping all come back."""
    incident = PHOTONS / quantum_efficiency(slab, [7000.0])[0]
    fits = [fit_line(linear, counts, EDGES, START, TRAPPING, incident) for counts in trials]
    assert fits[0].parameters == tuple(TRUTH)
    check(pulls(fits, np.array([*TRUTH.values()])))
    assert np.mean([fit.errors[0] for fit in fits]) < 0.06  # um
    reduced = np.mean([fit.deviance / (fit.channels - 5) for fit in fits])
    assert 0.7 < reduced < 1.7  # above 1: few counts a channel, and a continuum in coarser steps than the truth's


def test_closure_of_the_shape(linear, trials):
    """Without them, the thickness known."""
    keep = np.array([1, 2])
    names = {"parameters": linear.parameters[1:], "origin": linear.origin[keep]}
    slopes = {n: getattr(linear, n)[keep] for n in ("probability_slope", "peaks_slope", "loss_slope")}
    shape = replace(linear, **names, **slopes)
    fits = [fit_line(shape, counts, EDGES, START, TRAPPING) for counts in trials]
    assert fits[0].parameters == (*list(TRUTH)[1:], "photons")
    check(pulls(fits, np.array([*list(TRUTH.values())[1:], PHOTONS]))[:, :4])


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


def test_too_few_incident(linear):
    with pytest.raises(ValueError, match="at least the 3 photons counted, but is 2"):
        fit_line(linear, np.ones(3), np.arange(4.0), START, incident=2.0)
