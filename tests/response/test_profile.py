"""Intervals of the profile likelihood: closed forms of few counts, bounds, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from xcal_jax.atomic.lines import load_line
from xcal_jax.cli.linefit import _intervals
from xcal_jax.response import profile as module
from xcal_jax.response.complex_fit import _as_normal
from xcal_jax.response.fit_lines import fit_lines
from xcal_jax.response.natural_shape import NaturalShape

EDGES = np.arange(5830.0, 5951.0, 1.0)
SHAPE = NaturalShape.build([load_line("MnKa")], EDGES, 5.0)
PHOTONS, OFFSET, BELOW = PLACES = np.array([SHAPE.parameters.index(name) for name in ("MnKa", "offset", "background")])


def rise_of(mean, n):
    """Poisson deviance above its minimum, of ``n`` counts where ``mean`` are expected."""
    return 2.0 * (mean - n + n * np.log(np.maximum(n, 1e-300) / np.maximum(mean, 1e-300)))


@pytest.fixture
def three_counts(monkeypatch):
    """In place of fits: photons and background are Poisson numbers, the offset is normal with an error of 0.1 eV."""
    n, fits = np.zeros((2, len(SHAPE.parameters))), []
    n[:, PLACES] = [[12.0, 0.0, 3.0], [200.0, 0.0, 0.0]]

    def maximise(shape, counts, start, free, held):
        fits.append(held.sum(axis=1))
        values = np.where(held, start, counts)
        rise = (values[:, OFFSET] / 0.1) ** 2
        for place in (PHOTONS, BELOW):
            rise = rise + rise_of(values[:, place], counts[:, place])
        return SimpleNamespace(values=values, deviance=rise)

    monkeypatch.setattr(module, "maximise", maximise)
    monkeypatch.setattr(module, "errors_alone", lambda shape, values: np.full(values.shape, 0.5))
    return n, fits


@pytest.mark.parametrize(("probability", "z"), [(0.6827, 1.0), (0.95, 1.959964)])
def test_ends_in_closed_form(three_counts, probability, z):
    """mu - n - n ln(mu / n) is half of z^2 at both ends; of no count the lower end is the bound, the upper z^2 / 2."""
    n, fits = three_counts
    found = module.profile(SHAPE, n, n, np.zeros(2), np.ones(n.shape[1], bool), PLACES, probability)
    for spectrum, parameter in ((0, 0), (0, 2), (1, 0)):
        many = n[spectrum, PLACES[parameter]]
        root = [optimize.brentq(lambda mu: rise_of(mu, many) - z**2, *ends) for ends in ((1e-9, many), (many, 400.0))]  # noqa: B023
        np.testing.assert_allclose(found[spectrum, parameter], root, rtol=0.02)
    np.testing.assert_allclose(found[:, 1], [[-0.1 * z, 0.1 * z]] * 2, rtol=0.03)
    assert found[1, 2, 0] == 0.0 and found[1, 2, 1] == pytest.approx(0.5 * z**2, rel=0.05)
    assert all((held == 1).all() for held in fits)


def test_few_counts_are_not_normal():
    """Counts that are Poisson numbers of one channel each: the deviance one error to either side, by its formula."""
    mean = np.array([1.5, 3.0, 12.0, 400.0])
    model = np.tile(mean, (4, 1))
    moves = np.stack([np.diag(mean**0.5)] * 4)
    good = _as_normal(model, model, moves)
    sides = np.array([rise_of(mean + sign * mean**0.5, mean) for sign in (1, -1)])
    expected = ((sides > 0.6) & (sides < 1.6)).all(0)
    assert expected.tolist() == [False, False, True, True]
    np.testing.assert_array_equal(good, np.tile(expected, (4, 1)))
    assert _as_normal(model, model, 0.0 * moves).all()


def test_the_command_gives_intervals_where_errors_are_not_normal():
    """Of those that are not, or on a bound, and of no others; for the screen and for JSON."""
    table = pd.DataFrame({"low": [0.2, 0.0], "high": [1.4, 3.0], "unit": ["1", "eV"]}, ["range", "offset"])
    found = SimpleNamespace(intervals=lambda parameters: table.loc[parameters])
    good, few, bound = ({"on_bound": b, "normal": n} for b, n in ((False, True), (False, False), (True, True)))
    parameters = {"fwhm": good, "range": few, "offset": bound}
    assert _intervals(found, parameters) == [
        "range: 0.2 to 1.4 (68 %, profile likelihood)",
        "offset: 0 to 3 eV (68 %, profile likelihood)",
    ]
    assert parameters["range"]["high"] == 1.4 and "low" in parameters["offset"] and "low" not in parameters["fwhm"]
    assert _intervals(found, {"fwhm": good}) == []


@pytest.mark.slow
@pytest.mark.exhaustive
def test_photons_of_a_line_and_a_background_on_its_bound():
    """With a share s of the photons within the spectrum the closed form is that of mu s."""
    energies = np.random.default_rng(3).normal(5894.0, 4.0, 12)
    counts = np.histogram(energies, EDGES)[0].astype(float)
    found = fit_lines((counts, EDGES), "MnKa", fit=("offset",), fwhm=8.0)
    share = float((found.model[0].sum() - found.values[0, 2] * 120) / found.values[0, 0])
    ends = found.intervals(parameters=["MnKa", "background"])
    if found.table().on_bound["background"]:
        root = [optimize.brentq(lambda mu: rise_of(mu * share, 12) - 1.0, *pair) for pair in ((0.1, 12), (12, 60.0))]
        np.testing.assert_allclose(ends.loc["MnKa", ["low", "high"]].astype(float), root, rtol=0.05)
    assert ends.low["background"] == 0.0 < ends.high["background"] < 0.1
    with pytest.raises(ValueError, match="must be of MnKa, offset, background, but has 'range'"):
        found.intervals(parameters=["range"])
    with pytest.raises(ValueError, match="`probability` must lie between 0 and 1, but is 68"):
        found.intervals(probability=68.0)
