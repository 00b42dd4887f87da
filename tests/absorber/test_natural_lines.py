"""Natural lines as sources: Lorentzian energies by their law, cut where stated, weighted with the interaction."""

import numpy as np
import pytest
from scipy import stats

from tests.absorber.test_source import N, draw, unlikely
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.natural_lines import CUT
from xcal_jax.absorber.source import Source, given_interaction
from xcal_jax.atomic.lines import load_line
from xcal_jax.simulation.results import summary
from xcal_jax.simulation.simulate import simulate
from xcal_jax.simulation.sweep import sweep
from xcal_jax.simulation.sweep_grid import Grid


def lorentzian(name):
    """Distribution function of a line that is cut at CUT."""
    shape = load_line(name)

    def cdf(energy):
        z = np.clip((np.asarray(energy)[:, None] - shape.energy) / shape.fwhm, -CUT, CUT)
        return (0.5 + 0.5 * np.arctan(2 * z) / np.arctan(2 * CUT)) @ shape.share

    return cdf


@pytest.fixture(scope="module")
def manganese():
    return draw(Source.build(line="MnKa:3,MnKb:1", forced=False))


def test_energies_follow_the_lorentzians(manganese):
    energy, line, *_ = manganese
    assert not unlikely(stats.binomtest(int(np.sum(line == 1)), N, 0.25).pvalue)
    for n, name in enumerate(("MnKa", "MnKb")):
        assert not unlikely(stats.kstest(energy[line == n], lorentzian(name)).pvalue)
    assert np.ptp(energy[line == 0]) > 150.0  # far out in the wings


def test_energies_are_given_an_interaction_also_across_an_edge():
    """The mean probability and the shares on both sides of an edge in the middle of a line, against a fine sum."""
    source, shape = Source.build(line="MnKa"), load_line("MnKa")
    edge = shape.mean_energy
    energy = np.array([1000.0, edge, edge, 20_000.0])
    depth = np.array([5.0, 0.05, 0.4, 0.01])
    drawn, mean = given_interaction(source, energy, depth)
    u = (np.arange(20_000) + 0.5) / 20_000
    places = shape.energy + 0.5 * shape.fwhm * np.tan((u[:, None] - 0.5) * 2 * np.arctan(2 * CUT))
    below = np.exp(np.interp(np.log(places), np.log(energy[:2]), np.log(depth[:2])))
    above = np.exp(np.interp(np.log(places), np.log(energy[2:]), np.log(depth[2:])))
    probability = -np.expm1(-np.where(places < edge, below, above))
    assert mean == pytest.approx(float(np.mean(probability @ shape.share)), rel=2e-4)
    part = float(np.mean(np.where(places < edge, probability, 0.0) @ shape.share)) / mean
    found = draw(drawn)[0]
    assert not unlikely(stats.binomtest(int(np.sum(found < edge)), N, part).pvalue)


def test_a_result_of_natural_lines(tmp_path):
    """Every photon is in the spectrum, and peaks are told apart by line."""
    absorber = Absorber.load("xifu")
    source = Source.build(line="MnKa:2,MnKb:0.3")
    result = simulate(absorber, source, n=20_000, lanes=4096)
    assert int(result.spectrum.sum()) == int(result.interacting) == 20_000
    means = [load_line(name).mean_energy for name in ("MnKa", "MnKb")]
    np.testing.assert_allclose(result.source_energy, means, rtol=1e-9)
    assert result.attrs["lines"] == "MnKa, MnKb"
    assert float(result.spectrum.sel(energy=slice(5880, 5910)).sum()) > 10_000
    assert summary(result)["energy"] == pytest.approx(result.source_energy.values.tolist())


def test_a_gamma_has_no_width():
    energy, line, *_ = draw(Source.build(radioactive="Am241"))
    names = Source.build(radioactive="Am241").names
    own = energy[line == names.index("59541.2 eV")]
    assert own.size > 1000 and set(own) == {np.float32(59541.2)}


def test_lines_in_a_sweep(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text('absorber = "xifu"\nn = 8192\n[grid]\nline = ["MnKa", "MnKa:2,MnKb:1"]\n')
    found = sweep(Grid.load(path))
    assert found.partial.dims == ("source_line",) and float(found.partial.min()) > 0
    assert set(found.interacting.values.tolist()) == {8192}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"line": "MnKq"}, "did you mean MnK"),
        ({"line": "MnKa", "energy": 5900.0}, "one of `energy`, `spectrum`, `line`, `radioactive` and"),
        ({"line": "MnKa", "weights": [1.0]}, "`weights` go with `energy`"),
        ({"radioactive": "Fe56"}, "must be one of Fe55"),
        ({"energy": 5900.0, "line_table": "mine.csv"}, "`line_table` goes with `line`"),
    ],
)
def test_what_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        Source.build(**given)
