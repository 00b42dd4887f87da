"""Tails: known exponentials come back, a flat continuum has no scale, and what cannot be fitted is one sentence."""

import json

import matplotlib.image
import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.cli.main import main
from xcal_jax.io.datasets import save
from xcal_jax.plot.results import tail_figure
from xcal_jax.response.tail import fit_tails, tail_density
from xcal_jax.simulation.simulate import simulate

XIFU = Absorber.preset("xifu")
N = 10**7


@pytest.fixture(scope="module")
def result():
    return simulate(XIFU, 1000.0, n=10**6)


def with_tails(result, *tails, seed=1):
    """The result with its spectrum drawn anew: N photons, and ``tails`` (fraction, scale) below the line."""
    at = result.energy.values
    loss = 1000.0 - at
    expected = sum(N * f * (np.exp(-np.maximum(loss - 1, 0) / t) - np.exp(-loss / t)) for f, t in tails)
    counts = np.random.default_rng(seed).poisson(np.where(loss > 0, expected, 0.0))
    drawn = result.copy(deep=True)
    drawn["spectrum"].values[:] = counts
    drawn["interacting"] = N
    return drawn


@pytest.mark.slow
@pytest.mark.parametrize(
    ("known", "highest"),
    [([(2e-3, 40.0)], 600.0), ([(1e-3, 15.0), (4e-3, 150.0)], 600.0), ([(8e-3, 150.0)], 250.0)],
    ids=["one", "two", "longer than the range"],
)
def test_known_tails_come_back(result, agrees, known, highest):
    found = fit_tails(with_tails(result, *known), 2.0, highest)
    assert found["converged"] and len(found["tails"]) == len(known)
    for tail, (fraction, scale) in zip(found["tails"], known, strict=True):
        agrees(tail["fraction"], fraction, tail["fraction_err"])
        agrees(tail["scale"], scale, tail["scale_err"])
        assert tail["fraction_err"] < 0.2 * fraction and tail["scale_err"] < 0.2 * scale
    assert found["deviance"] == pytest.approx(found["degrees_of_freedom"], abs=5 * np.sqrt(2 * 200))


def test_errors_are_the_scatter(result):
    """Over other draws of the same tail, fraction and scale scatter as much as their errors say."""
    fits = [fit_tails(with_tails(result, (2e-3, 60.0), seed=k), 5.0, 500.0, 1)["tails"][0] for k in range(40)]
    for name, error in (("fraction", "fraction_err"), ("scale", "scale_err")):
        scatter = np.std([f[name] for f in fits], ddof=1)
        assert scatter == pytest.approx(np.mean([f[error] for f in fits]), rel=0.5)


def test_a_flat_continuum_has_no_scale(result, agrees):
    flat = with_tails(result, (3.0, 1e6))
    found = fit_tails(flat, 10.0, 510.0, 1)["tails"][0]
    assert found["scale"] is None and found["scale_at_least"] > 5000 and "fraction" not in found
    agrees(found["fraction_in_range"], 3.0 * 500 / 1e6, found["fraction_in_range_err"])


def test_a_continuum_that_rises_is_drawn_as_fitted(result, agrees):
    """Counts in proportion to exp(loss / 100 eV): no scale, and the density has the share and the slope."""
    loss = 1000.0 - result.energy.values
    rising = with_tails(result, (1e-3, 1e6))
    expected = np.where((loss > 0) & (loss <= 500), 2.0 * np.exp(loss / 100.0), 0.0)
    rising["spectrum"].values[:] = np.random.default_rng(3).poisson(expected)
    found = fit_tails(rising, 10.0, 400.0, 1)
    tail = found["tails"][0]
    assert tail["scale"] is None
    agrees(tail["range_over_scale"], -390.0 / 100.0, tail["range_over_scale_err"])
    at = np.linspace(10.0, 400.0, 2001)
    density = tail_density(tail, at, found["range"])
    assert np.trapezoid(density, at) == pytest.approx(tail["fraction_in_range"], rel=1e-5)
    assert density[-1] / density[0] == pytest.approx(np.exp(3.9), rel=0.1)
    drawn = next(line for line in tail_figure(rising, found).axes[0].lines if len(line.get_xdata()) == 400)
    assert drawn.get_ydata()[-1] == pytest.approx(density[-1], rel=1e-6)


def test_escape_peaks_stay_out():
    """With all their counts in one bin, peaks would ruin the fit."""
    seven = simulate(XIFU, 7000.0, n=10**6)
    found = fit_tails(seven, 10.0, 3500.0, 1)
    share = sum(t["fraction_in_range"] for t in found["tails"])
    whole = float(seven.loss_above.sel(threshold=50) - seven.peaks.sum()) / 1e6
    assert 0.4 * whole < share < 0.8 * whole
    assert found["deviance"] < 2 * found["degrees_of_freedom"]


def test_no_electron_that_turns_round_leaves_with_less_than_50_ev(result):
    drawn = with_tails(result, (2e-3, 40.0))
    assert fit_tails(drawn)["range"] == [10.0, 500.0]
    assert fit_tails(drawn.assign_attrs(electrons="scattering"))["range"] == [50.0, 500.0]


def test_command(result, tmp_path, monkeypatch, capsys):
    save(with_tails(result, (2e-3, 40.0)), tmp_path / "a.nc")
    words = ["xcal-jax", "tail", str(tmp_path / "a.nc"), "--to", "0.4keV", "--tails", "1"]
    monkeypatch.setattr("sys.argv", [*words, "--plot", str(tmp_path / "a.png")])
    main()
    assert np.ptp(matplotlib.image.imread(tmp_path / "a.png")) > 0.5
    text = capsys.readouterr().out
    assert "electrons: range" in text and "scale 4" in text
    monkeypatch.setattr("sys.argv", [*words, "--json"])
    main()
    found = json.loads(capsys.readouterr().out)
    assert found["range"] == [10.0, 400.0] and found["tails"][0]["scale"] == pytest.approx(40, abs=3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0.0, 100.0), "must lie between 0"),
        ((200.0, 100.0), "must lie between 0"),
        ((10.0, 5000.0), "must lie between 0"),
        ((float("nan"), 100.0), "must lie between 0"),
        ((10.0, 12.0), "at least 100 photons"),
        ((10.0, 500.0, 3), "1 to 2 tails"),
        ((10.0, 500.0, 0), "1 to 2 tails"),
    ],
)
def test_refused(result, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_tails(result, *arguments)


def test_a_spectrum_has_no_tail(result):
    with pytest.raises(ValueError, match="the result of one line"):
        fit_tails(result.assign_coords(source_energy=[np.nan]), highest=500.0)
