"""The shape of a line against integrals, in both array libraries, and where exponentials overflow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from xcal_jax.response.line_shape import Detector, below, gaussian_integral, integral_below, trapped_below
from xcal_jax.simulation.trapping import Trapping

SIGMA, TAIL = 1.5, Trapping(0.2, 12.0)
PLACES = np.array([-60.0, -12.0, -1.0, 0.0, 0.7, 4.0, 15.0])


def test_a_trapped_event_is_a_gaussian_less_an_exponential():
    """F(x) is the distribution of scipy's exponentially modified Gaussian, mirrored."""
    oracle = stats.exponnorm.sf(-PLACES, TAIL.scale / SIGMA, scale=SIGMA)
    np.testing.assert_allclose(trapped_below(PLACES, SIGMA, TAIL.scale), oracle, rtol=1e-9, atol=1e-15)


def test_of_all_events_a_fraction_is_trapped():
    free, trapped = stats.norm.cdf(PLACES / SIGMA), trapped_below(PLACES, SIGMA, TAIL.scale)
    np.testing.assert_allclose(below(PLACES, SIGMA, TAIL), 0.8 * free + 0.2 * trapped, rtol=1e-12)
    np.testing.assert_allclose(below(PLACES, SIGMA, Trapping(0.0, 12.0)), free, rtol=1e-12)


@pytest.mark.parametrize("trapping", [TAIL, Trapping(1.0, 0.3), Trapping(0.0, 1.0)])
def test_integrals(trapping):
    for x in PLACES:
        parts = [
            integrate.quad(lambda y: float(below(np.array(y), SIGMA, trapping)), a, b)[0]
            for a, b in ((-400.0, -100.0), (-100.0, -9.0), (-9.0, x))
        ]
        assert integral_below(np.array(x), SIGMA, trapping) == pytest.approx(sum(parts), rel=1e-7, abs=1e-9)
    assert gaussian_integral(np.array(0.0), SIGMA) == pytest.approx(SIGMA * stats.norm.pdf(0.0), rel=1e-15)


def test_both_libraries_agree_and_stay():
    with jax.enable_x64(True):
        here, there = below(PLACES, SIGMA, TAIL), below(jnp.asarray(PLACES), SIGMA, TAIL)
        assert isinstance(here, np.ndarray) and isinstance(there, jax.Array)
        np.testing.assert_allclose(there, here, rtol=1e-12)
        slope = jax.vmap(jax.grad(lambda x: below(x, SIGMA, TAIL)))(jnp.asarray(PLACES))
        density = 0.8 * stats.norm.pdf(PLACES, scale=SIGMA) + 0.2 * stats.exponnorm.pdf(-PLACES, 8.0, scale=SIGMA)
        np.testing.assert_allclose(slope, density, rtol=1e-7, atol=1e-12)


def test_a_loss_far_smaller_than_the_resolution():
    """exp(s^2 / 2 t^2) is beyond all floats: no more than 1 comes of it, and next to nothing moves."""
    tiny = Trapping(1.0, 1e-5)
    np.testing.assert_allclose(below(PLACES, SIGMA, tiny), stats.norm.cdf(PLACES / SIGMA), atol=1e-4)
    assert np.all(np.isfinite(integral_below(PLACES, SIGMA, tiny)))


@pytest.mark.parametrize("fwhm", [0.0, -1.0, np.nan, np.inf])
def test_a_width_must_make_sense(fwhm):
    with pytest.raises(ValueError, match="`fwhm` must be"):
        Detector.build(fwhm, TAIL)


def test_numbers_of_a_detector():
    found = Detector(2.5, TAIL).changed({"tail_tau": 30.0})
    assert found == Detector(2.5, Trapping(0.2, 30.0))
    assert found.numbers == {"fwhm": 2.5, "tail_frac": 0.2, "tail_tau": 30.0}
