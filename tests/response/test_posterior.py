"""Draws from the posterior: the curvature's normal distribution far from bounds; near one, the posterior on a grid."""

import numpy as np
import pytest
from scipy.special import voigt_profile, xlogy

from xcal_jax.absorber.natural_lines import CUT
from xcal_jax.atomic.lines import load_line
from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.response.complex_fit import first_values
from xcal_jax.response.natural_shape import NaturalShape
from xcal_jax.response.posterior import posterior

EDGES = np.arange(5860.0, 5921.0)
FWHM = 2.5
GRID = 400  # points of each parameter


def line(edges=EDGES):
    """Mn K alpha in the channels, by the middle of twenty parts of each."""
    shape, parts = load_line("MnKa"), 20
    at = edges[0] + (np.arange(parts * (edges.size - 1)) + 0.5) / parts
    profile = sum(
        w * voigt_profile(at - e, FWHM / FWHM_PER_SIGMA, g / 2)
        for w, e, g in zip(shape.share, shape.energy, shape.fwhm, strict=True)
    )
    return profile.reshape(-1, parts).mean(1) / (2.0 / np.pi * np.arctan(2.0 * CUT))


def on_a_grid(counts, most):
    """Means and standard deviations of photons and background (2,) with flat priors from 0 to ``most``."""
    photons, background = ((np.arange(GRID) + 0.5) / GRID * end for end in most)
    model = photons[:, None, None] * line() + background[:, None]
    logarithm = np.sum(xlogy(counts, model) - model, axis=-1)
    weight = np.exp(logarithm - logarithm.max())
    each = np.array([weight.sum(1), weight.sum(0)]) / weight.sum()
    values = np.array([photons, background])
    mean = np.sum(each * values, axis=1)
    return mean, np.sqrt(np.sum(each * values**2, axis=1) - mean**2)


@pytest.fixture(scope="module")
def draws():
    """Of counts and of the photons and the background where the walkers begin: the Dataset of the posterior."""
    shape = NaturalShape.build([load_line("MnKa")], EDGES, FWHM)

    def drawn(counts, photons, background):
        begin = first_values(shape, np.array([photons]), {"fwhm": FWHM, "background": background})
        return posterior(shape, counts, begin, ("MnKa", "background"), ("1", "1/eV"), 400, 1)

    return drawn


@pytest.mark.slow
def test_many_counts_have_the_errors_of_fisher(draws):
    true = np.array([1e5, 200.0])
    slope = np.array([line(), np.ones(EDGES.size - 1)])
    covariance = np.linalg.inv(slope / (true @ slope) @ slope.T)
    error = np.sqrt(np.diag(covariance))
    drawn = draws(true @ slope, *true)  # the counts that are expected
    np.testing.assert_allclose(drawn.error, error, rtol=0.1)
    assert np.all(np.abs(drawn["mean"] - true) < 0.15 * error)
    found, expected = (part[0, 1] / np.sqrt(part[0, 0] * part[1, 1]) for part in (drawn.covariance.values, covariance))
    assert found == pytest.approx(expected, abs=0.1) and expected < -0.2
    assert np.all(drawn.r_hat < 1.1) and np.all(drawn.effective > 300)


@pytest.mark.slow
def test_near_a_bound_the_posterior_is_what_a_grid_says(draws):
    """No background at all fits best: draws have its error nevertheless."""
    counts = np.random.default_rng(4).poisson(300.0 * line()).astype(float)
    counts[:25] = 0.0
    drawn = draws(counts, counts.sum(), 0.0)
    mean, error = on_a_grid(counts, (600.0, 4.0))
    assert np.all(np.abs(drawn["mean"] - mean) < 0.15 * error)
    np.testing.assert_allclose(drawn.error, error, rtol=0.1)
    assert mean[1] > 0.9 * error[1] and drawn["low"][1] > 0.1 * error[1]
