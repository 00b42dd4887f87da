"""Natural lines through a detector: against Voigt profiles, convolutions and the sums of `line_shape`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import voigt_profile

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter, elements_of
from xcal_jax.absorber.natural_lines import CUT
from xcal_jax.atomic.lines import LineShape, load_line
from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.physics.relaxation import natural_widths
from xcal_jax.response.complex_fit import expected_deviance, first_values
from xcal_jax.response.line_shape import Detector, line_in_channels
from xcal_jax.response.linefit import Linear
from xcal_jax.response.natural_shape import INSIDE, NaturalShape
from xcal_jax.simulation.results import line_names
from xcal_jax.simulation.trapping import Trapping

EDGES = np.arange(5850.0, 5931.0, 0.5)
FWHM = 2.5


def expected(lines, edges=EDGES, linear=(), stretched=False, **known):
    with jax.enable_x64(True):
        shape = NaturalShape.build(
            [load_line(name) if isinstance(name, str) else name for name in lines], edges, 2.0, linear, stretched
        )
        values = first_values(shape, np.ones(len(lines)), {"fwhm": FWHM} | known)
        return np.asarray(shape.expected(jnp.asarray(values)))


def voigt(line, edges, shift=0.0, noise=FWHM):
    """Shares of the channels by Gauss-Legendre over Voigt profiles, whose wings are cut; noise: FWHM, eV."""
    x, w = np.polynomial.legendre.leggauss(8)
    half = 0.5 * np.diff(edges)
    at = 0.5 * (edges[1:] + edges[:-1]) + half * x[:, None] - shift
    sigma = noise / FWHM_PER_SIGMA
    total = np.zeros(half.size)
    for share, centre, fwhm in zip(line.share, line.energy, line.fwhm, strict=True):
        inside = (np.abs(at - centre) < CUT * fwhm) | (fwhm == 0.0)
        whole = INSIDE if fwhm else 1.0
        total += share / whole * (w @ (inside * voigt_profile(at - centre, sigma, fwhm / 2)))
    return half * total


def test_a_complex_is_the_sum_of_voigt_profiles():
    np.testing.assert_allclose(expected(["MnKa"], offset=3.0), voigt(load_line("MnKa"), EDGES, 3.0), rtol=3e-4)


def test_a_line_ends_where_a_source_ends_it():
    """Far from the line nothing is left of it, and its channels add up to 1."""
    edges = np.arange(5200.0, 6600.0, 1.0)
    found = expected(["MnKa"], edges)
    np.testing.assert_allclose(found, voigt(load_line("MnKa"), edges), rtol=0.02, atol=1e-7)  # in steps of a channel
    far = np.abs(edges[:-1] - 5895.0) > 1.1 * CUT * load_line("MnKa").fwhm.max()
    assert np.all(np.abs(found[far]) < 2e-9) and found.sum() == pytest.approx(1.0, abs=2e-4)


@pytest.mark.parametrize("curvature", [0.0, 1e-4])
def test_lines_on_one_scale_with_a_gain(curvature):
    """At E0 + offset + gain (E - E0) + curvature (E - E0)^2, widths times its slope, each line with its photons."""
    edges, gain = np.arange(5800.0, 6600.0, 1.0), 1.002
    names = ["MnKa", "MnKb"]
    middle = np.mean([load_line(name).mean_energy for name in names])
    known = {"gain": gain, "curvature": curvature, "offset": 1.0, "MnKb": 0.3, "background": 0.01, "slope": 1e-5}
    found = expected(names, edges, stretched=True, **known)
    moved = []
    for name in names:
        line = load_line(name)
        apart = line.energy - middle
        place, slope = middle + gain * apart + curvature * apart**2, gain + 2 * curvature * apart
        moved.append(LineShape(name, place, slope * line.fwhm, line.share, "", True))
    flat = 0.01 + 1e-5 * (edges[:-1] + 0.5 - 0.5 * (edges[0] + edges[-1]))
    np.testing.assert_allclose(found, voigt(moved[0], edges, 1.0) + 0.3 * voigt(moved[1], edges, 1.0) + flat, rtol=1e-3)


def test_each_line_has_the_resolution_at_its_energy():
    edges, names = np.arange(5800.0, 6600.0, 1.0), ["MnKa", "MnKb"]
    lines = [load_line(name) for name in names]
    middle = np.mean([line.mean_energy for line in lines])
    exact = sum(voigt(line, edges, 0.0, 4.0 + 0.005 * (line.mean_energy - middle)) for line in lines)
    found = expected(names, edges, fwhm=4.0, fwhm_slope=0.005)
    np.testing.assert_allclose(found, exact, rtol=1e-3, atol=2e-7)


def test_the_tail_is_a_convolution_with_an_exponential():
    step, fraction, scale = 0.05, 0.2, 7.0
    edges = np.arange(5700.0, 6000.0 + step / 2, step)
    sharp = voigt(load_line("MnKa"), edges)
    delay = np.exp(-np.arange(0.0, 150.0, step) / scale) * -np.expm1(-step / scale)
    late = np.convolve(sharp[::-1], delay)[: sharp.size][::-1]
    mixed = ((1 - fraction) * sharp + fraction * late).reshape(-1, 10).sum(1)
    coarse = edges[::10]
    found = expected(["MnKa"], coarse, tail_frac=fraction, tail_tau=scale)
    near = slice(250, 450)
    np.testing.assert_allclose(found[near], mixed[near], rtol=4e-3)


def test_losses_are_those_of_a_line_without_width():
    """A line of no width with peaks and a continuum, against the sums over channels of `line_in_channels`."""
    energy, lines = 5900.0, np.array([60.0, 2000.0])
    numbers = (
        [1.0], 0.9, [0.0], [0.02, 0.01], [[0.02, 0.0]], [0.08, 0.06, 0.03], [[0.05, 0.03, 0.03]],
        lines, [0.0, 0.0], [0.0, 20.0, 500.0], energy,
    )  # fmt: skip
    with jax.enable_x64(True):
        linear = Linear(("range",), *(jnp.asarray(number, float) for number in numbers))
        gamma = LineShape("gamma", np.array([energy]), np.zeros(1), np.ones(1), "", False)
        edges = np.arange(3400.0, 5930.0, 1.0)
        detector = Detector.build(FWHM, Trapping(0.0, 1.0))
        for value in (1.0, 1.3):
            exact = line_in_channels(linear.at(jnp.array([value])), linear.lines, linear.thresholds, detector, edges)
            found = expected([gamma], edges, [linear], range=value)
            np.testing.assert_allclose(found, np.asarray(exact), rtol=2e-4, atol=2e-7)


def test_escape_peaks_have_the_widths_of_their_levels():
    """A line of no width, half of which loses 60 eV with a width of 9 eV: a Gaussian and a Voigt profile."""
    energy, lost, width = 5900.0, 60.0, 9.0
    numbers = ([1.0], 0.9, [0.0], [0.5], [[0.0]], [0.5, 0.0], [[0.0, 0.0]], [lost], [width], [0.0, 500.0], energy)
    with jax.enable_x64(True):
        linear = Linear(("range",), *(jnp.asarray(number, float) for number in numbers))
        gamma = LineShape("gamma", np.array([energy]), np.zeros(1), np.ones(1), "", False)
        found = expected([gamma], np.arange(5700.0, 5980.0, 0.5), [linear])
    share = np.array([0.5, 0.5 * INSIDE])  # the escape peak is not cut
    both = LineShape("", np.array([energy, energy - lost]), np.array([0.0, width]), share, "", True)
    np.testing.assert_allclose(found, voigt(both, np.arange(5700.0, 5980.0, 0.5)), atol=1.5e-6)  # images of the wings


def test_widths_of_bismuth_and_gold():
    """M5-N7 of both, as their levels have them (Campbell and Papp 2001), at the energies of the lines."""
    absorber = Absorber.preset("xifu")
    elements = elements_of(absorber)
    names, energies = line_names(absorber, Matter.build(absorber))
    width = dict(zip(names, natural_widths(elements), strict=True))
    assert len(energies) == len(names)
    for element in elements:
        levels = {subshell.label: subshell.width for subshell in element.subshells}
        for first, second in (("M5", "N7"), ("L3", "M5"), ("M4", "N6")):
            assert width[f"{element.symbol} {first}-{second}"] == levels[first] + levels[second]


@pytest.mark.parametrize("mean", [0.05, 1.0, 7.0, 99.0, 101.0, 1000.0])
def test_the_deviance_that_is_expected(mean):
    rng = np.random.default_rng(3)
    counts = rng.poisson(mean, 200_000)
    deviance = 2.0 * (mean - counts + counts * np.log(np.maximum(counts, 1) / mean))
    found, variance = expected_deviance(np.array([mean]))
    assert abs(deviance.mean() - found) < 5.0 * np.sqrt(variance / counts.size)
    assert variance == pytest.approx(deviance.var(), rel=0.05)
