"""Photons before they meet the absorber: energies, impacts, directions by their laws; what is refused."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source, given_interaction, read_spectrum
from xcal_jax.compute.random import photon_key, words
from xcal_jax.physics.geometry import Stack

N = 2**16
STACK = Stack(jnp.asarray([5.0]), jnp.asarray(200.0), jnp.asarray(100.0))


def draw(source, n=N, seed=1):
    """(energy, line, x, y, direction (3, n)) of photons 0..n."""
    source = jax.tree.map(jnp.asarray, source)
    energy, line, site, direction = jax.vmap(lambda i: source.photon(STACK, photon_key(words(seed), words(0), i)))(
        jnp.arange(n, dtype=jnp.uint32)
    )
    direction = np.stack([np.broadcast_to(np.asarray(d, dtype=float), n) for d in jax.tree.leaves(direction)])
    assert np.all(np.asarray(site.depth) == 0) and np.all(np.asarray(site.layer) == 0)
    return (*tuple(np.asarray(a, dtype=float) for a in (energy, line, site.x, site.y)), direction)


def unlikely(chance):
    return not 5e-6 < chance < 1 - 5e-6


def test_one_line_uniform_perpendicular(chi_square):
    energy, line, x, y, direction = draw(Source.build(7000.0))
    assert set(energy) == {7000.0} and set(line) == {0.0}
    cells = np.histogram2d(x, y, bins=(20, 10), range=[[-100, 100], [-50, 50]])[0]
    assert cells.sum() == N
    chi_square(cells, np.ones_like(cells))
    np.testing.assert_array_equal(direction, np.repeat([[0], [0], [-1]], N, 1))


def test_lines_come_by_their_weights(chi_square):
    weights = [2.0, 1.0, 0.0, 5.0]
    energy, line, *_ = draw(Source.build([5900.0, 6490.0, 7000.0, 100.0], weights))
    chi_square(np.bincount(line.astype(int), minlength=4), weights)
    np.testing.assert_array_equal(energy, np.array([5900.0, 6490.0, 7000.0, 100.0])[line.astype(int)])


def test_a_spectrum_is_drawn_from_its_trapezes():
    """Kolmogorov-Smirnov against the integral of the density, corners, gaps and all."""
    nodes, density = np.array([500.0, 700.0, 1000.0, 1001.0, 4000.0, 9000.0]), np.array([0.0, 3.0, 1.0, 0.0, 0.0, 2.0])
    energy, line, *_ = draw(Source.build(spectrum=(nodes, density)))
    area = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(nodes))])

    def cdf(e):
        k = np.clip(np.searchsorted(nodes, e, side="right") - 1, 0, nodes.size - 2)
        t = e - nodes[k]
        slope = (density[k + 1] - density[k]) / (nodes[k + 1] - nodes[k])
        return (area[k] + density[k] * t + slope * t * t / 2) / area[-1]

    assert energy.min() >= 500 and energy.max() <= 9000
    assert not np.any((energy > 1001) & (energy < 4000))
    assert not unlikely(stats.kstest(energy, cdf).pvalue)
    assert set(line) == {0.0}


def test_lines_given_an_interaction():
    """Weights times P(E), and the mean of P, by hand."""
    source = Source.build([1000.0, 2000.0, 4000.0], [1.0, 2.0, 1.0])
    rows, depth = np.array([500.0, 8000.0]), np.array([8.0, 0.5])  # falls as 1/E in between
    drawn, mean = given_interaction(source, rows, depth)
    p = 1 - np.exp(-4000 / np.array([1000, 2000, 4000.0]))
    np.testing.assert_allclose(drawn.weight, np.array([1, 2, 1]) * p, rtol=1e-12)
    assert mean == pytest.approx(np.sum([1, 2, 1] * p) / 4, rel=1e-12)


def test_a_spectrum_given_an_interaction():
    """A flat spectrum over an edge comes out as P(E): the share on each side, and the mean."""
    source = Source.build(spectrum=([1000.0, 3000.0], [1.0, 1.0]))
    grid = np.linspace(1000, 3000, 401)
    rows = np.concatenate([grid[:201], grid[200:]])
    depth = np.concatenate([500 / grid[:201], 2000 / grid[200:]])
    drawn, mean = given_interaction(source, rows, depth)
    below = np.trapezoid(-np.expm1(-500 / grid[:201]), grid[:201])
    above = np.trapezoid(-np.expm1(-2000 / grid[200:]), grid[200:])
    assert mean == pytest.approx((below + above) / 2000, rel=1e-9)
    energy = draw(drawn)[0]
    share = above / (below + above)
    assert np.mean(energy > 2000) == pytest.approx(share, abs=4.4 * np.sqrt(share * (1 - share) / N))


def test_point():
    _, _, x, y, _ = draw(Source.build(7000.0, at=(12.5, -30.0)), 100)
    assert set(x) == {12.5} and set(y) == {-30.0}


@pytest.mark.parametrize("spot", [(0.0, 0.0, 10.0), (95.0, -45.0, 20.0), (0.0, 0.0, 1e3)])
def test_spot_is_a_cut_gaussian(spot):
    _, _, x, y, _ = draw(Source.build(7000.0, spot=spot))
    for found, centre, half in ((x, spot[0], 100.0), (y, spot[1], 50.0)):
        assert np.all(np.abs(found) <= half)
        law = stats.truncnorm((-half - centre) / spot[2], (half - centre) / spot[2], centre, spot[2])
        assert not unlikely(stats.kstest(found, law.cdf).pvalue)


def test_disc_is_even():
    """The square of the distance from its centre is uniform up to that of the rim, and so is the azimuth."""
    source = Source.build(7000.0, disc=("60 um", "-20 um", "0.03 mm"))
    _, _, x, y, _ = draw(source)
    square, turn = (x - 60) ** 2 + (y + 20) ** 2, np.arctan2(y + 20, x - 60)
    assert square.max() <= 900.1
    assert not unlikely(stats.kstest(square / 900, "uniform").pvalue)
    assert not unlikely(stats.kstest(turn / (2 * np.pi) + 0.5, "uniform").pvalue)
    assert json.loads(source.describe())["radius_um"] == 30.0


@pytest.mark.parametrize(("angle", "azimuth"), [(30.0, 0.0), (60.0, 90.0), (89.0, 215.0)])
def test_angle(angle, azimuth):
    direction = draw(Source.build(7000.0, angle=angle, azimuth=azimuth), 4)[-1]
    polar, turn = np.radians([angle, azimuth])
    expected = [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), -np.cos(polar)]
    np.testing.assert_allclose(direction, np.repeat(np.array(expected)[:, None], 4, 1), atol=1e-7)


def test_isotropic_comes_from_the_upper_half_space(chi_square):
    direction = draw(Source.build(7000.0, isotropic=True))[-1]
    assert np.all(direction[2] < 0)
    chi_square(np.histogram(direction[2], bins=50, range=(-1, 0))[0], np.ones(50))
    azimuth = np.arctan2(direction[1], direction[0])
    chi_square(np.histogram(azimuth, bins=50, range=(-np.pi, np.pi))[0], np.ones(50))


def test_text_file(tmp_path):
    path = tmp_path / "flat.txt"
    path.write_text("# energy photons\n1000 1\n2000 3  # peak\n")
    nodes, density = read_spectrum(path)
    assert nodes.tolist() == [1000, 2000] and density.tolist() == [1, 3]
    assert json.loads(Source.build(spectrum=str(path)).describe())["spectrum_ev"] == [1000, 2000]


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "needs one of `energy`, `spectrum`, `line`, `radioactive` and `photon_list`"),
        ({"energy": 7e3, "spectrum": ([1e3, 2e3], [1, 1])}, "and not both of two"),
        ({"energy": 99.0}, "within the tables, 100 eV to 1e+06 eV, but is 99 eV"),
        ({"energy": 1.1e6}, "within the tables, 100 eV to 1e+06 eV"),
        ({"energy": NAN}, "`energy` must be finite"),
        ({"energy": []}, "missing"),
        ({"energy": [7e3, -1.0]}, "but is -1 eV"),
        ({"energy": [7e3, 8e3], "weights": [1]}, "one number per energy"),
        ({"energy": [7e3], "weights": [-1.0]}, "not negative"),
        ({"energy": [7e3], "weights": [0.0]}, "not all zero"),
        ({"energy": [7e3], "weights": [NAN]}, "finite"),
        ({"energy": 7e3, "at": (0, 0), "spot": (0, 0, 1)}, "exclude each other"),
        ({"energy": 7e3, "spot": (0, 0, 0)}, "positive standard deviation"),
        ({"energy": 7e3, "disc": (0, 0, -1)}, "`disc` must have a positive radius, but has -1 um"),
        ({"energy": 7e3, "at": (0, 0), "disc": (0, 0, 1)}, "`at` and `disc` exclude each other"),
        ({"energy": 7e3, "spot": (0, 0, NAN)}, "`spot` must be finite"),
        ({"energy": 7e3, "angle": 90.0}, "below 90 deg"),
        ({"energy": 7e3, "angle": -1.0}, "at least 0"),
        ({"energy": 7e3, "angle": NAN}, "`angle`"),
        ({"energy": 7e3, "azimuth": INF}, "`azimuth`"),
        ({"energy": 7e3, "angle": 5.0, "isotropic": True}, "exclude each other"),
        ({"spectrum": ([1e3], [1])}, "at least two"),
        ({"spectrum": ([2e3, 1e3], [1, 1])}, "each above the one before"),
        ({"spectrum": ([1e3, 1e3], [1, 1])}, "each above the one before"),
        ({"spectrum": ([1e3, NAN], [1, 1])}, "nan eV"),
        ({"spectrum": ([1e3, 2e3], [1, NAN])}, "finite"),
        ({"spectrum": ([1e3, 2e3], [0, 0])}, "not all zero"),
        ({"spectrum": ([1e3, 2e3], [1])}, "one number per energy"),
        ({"spectrum": ([1e3, 2e3], [1, 1]), "weights": [1]}, "`weights` go with `energy`"),
    ],
)
def test_refused(arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Source.build(**arguments)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "two columns"),
        ("1000\n2000\n", "two columns"),
        ("1 2 3\n4 5 6\n", "two columns of numbers, but line 1 is '1 2 3'"),
        ("a b\n", "two columns"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_unreadable_spectra(tmp_path, text, sentence):
    path = tmp_path / "s.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=sentence):
        Source.build(spectrum=path)


@pytest.mark.parametrize("at", [(134.75, -134.75), (0, 0)])
def test_the_rim_is_on_the_absorber(at):
    Source.build(7e3, at=at).check_fits(Absorber.preset("xifu"))


@pytest.mark.parametrize("at", [(134.76, 0), (0, -134.76)])
@pytest.mark.parametrize("kind", ["at", "spot"])
def test_beside_the_absorber(at, kind):
    source = Source.build(7e3, **({"at": at} if kind == "at" else {"spot": (*at, 1.0)}))
    with pytest.raises(ValueError, match=r"impact [xy] must be within 134.75 um of the centre of absorber 'xifu'"):
        source.check_fits(Absorber.preset("xifu"))


def test_a_disc_lies_on_the_absorber():
    xifu = Absorber.preset("xifu")
    Source.build(7e3, disc=(34.75, 0, 100)).check_fits(xifu)
    with pytest.raises(ValueError, match=r"impact x must be within 34.75 um of the centre .* for a disc of 100 um"):
        Source.build(7e3, disc=(34.76, 0, 100)).check_fits(xifu)


@pytest.mark.parametrize("at", [(NAN, 0), (0, INF)])
def test_no_place_at_all(at):
    for place in ({"at": at}, {"spot": (*at, 1.0)}):
        with pytest.raises(ValueError, match="must be finite"):
            Source.build(7e3, **place)
