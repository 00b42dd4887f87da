"""The data sheet: one page without the network, in which names are text and numbers are those of the simulation."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.datasheet import contents, figures
from xcal_jax.datasheet.contents import Contents, efficiency, losses_by_place
from xcal_jax.datasheet.sheet import render, report
from xcal_jax.design.heat import heat_capacity
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.sensitivity import Scalar, Sensitivity
from xcal_jax.io.page import number
from xcal_jax.plot.expected import SHOWN
from xcal_jax.simulation.results import peaks, summary
from xcal_jax.simulation.simulate import simulate

HOSTILE = """"'><script>alert(1)</script><img src=x onerror=alert(2)>$$x^2$$</body>"""
OWN = set("html head meta title style script body h1 h2 p b svg rect span div table caption tr th td".split())
OWN |= {"figure", "figcaption"}


class Page(HTMLParser):
    """Every element of a page with its attributes, and its text without scripts."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.text, self.scripts = [], "", ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script":
            self.scripts += data
        self.text += data


@pytest.fixture(scope="module")
def xifu():
    return Absorber.load("xifu")


@pytest.fixture(scope="module")
def places(xifu):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "PLACES", 2)
        patch.setattr(contents, "HERE", 4096)
        return losses_by_place(xifu, 7000.0, 1, "eadl", False)


@pytest.fixture(scope="module")
def sheet(xifu, places):
    """Contents whose derivatives are known numbers: the k-th parameter's is k, with an error of a tenth."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(8, 2))
    noise = (noise - noise.mean(axis=0)) / noise.std(axis=0, ddof=1) * np.sqrt(8)
    scalars = {name: Scalar("1", np.ones(8), np.array([1.0, 2.0]) + 0.1 * noise) for name in SHOWN}
    found = Sensitivity(scalars, ("yield", "range"), Parameters.of(xifu, 7000.0), {}, ("a note",))
    results = [simulate(xifu, energy, 20_000) for energy in (3000.0, 7000.0)]
    heat = heat_capacity(xifu)
    return Contents(xifu, 2.5, 0.09, results, 7000.0, places, found, efficiency(xifu, 7000.0), heat)


def test_numbers_are_those_of_the_simulation(sheet):
    page = Page(render(sheet))
    for result in sheet.results:
        facts = summary(result)
        assert f"{number(100 * facts['partial'], 100 * facts['partial_err'])} %" in page.text
        assert f"{facts['mean_deposit']:.2f} eV" in page.text
    assert "1.00 ± 0.10" in page.text and "2.00 ± 0.10" in page.text and "A note." in page.text
    assert f"{sheet.heat[0]:.4g}" in page.text and "At 90 mK" in page.text and "seed 1" in page.text
    assert "2.5 eV FWHM" in page.text and "10.1007/s10909-022-02754-4" in page.text


def test_the_page_needs_no_network_and_names_are_text(sheet):
    page = Page(render(replace(sheet, absorber=replace(sheet.absorber, name=HOSTILE))))
    assert {tag for tag, _ in page.elements} == OWN
    assert not any(set(attrs) & {"src", "href", "onerror"} for _, attrs in page.elements)
    assert HOSTILE in page.text and "alert(1)" not in page.scripts


def test_peaks_of_the_table_are_those_with_enough_counts_the_most_intense_first(sheet):
    columns = figures.peaks_table(sheet).source.data
    enough = [
        peak["intensity"] for result in sheet.results for peak in peaks(result) if peak["intensity"] * 20_000 >= 25
    ]
    assert columns["intensity"] == sorted(enough, reverse=True) and len(enough) == 2
    np.testing.assert_allclose(np.add(columns["energy"], columns["line_energy"]), columns["photon"])


def test_losses_grow_towards_the_edges_and_corners(places, agrees, xifu):
    lost, error = places.partial, places.partial_err
    centre, corner = lost[-1, -1], lost[0, 0]
    assert corner > lost[0, -1] + 5 * error[0, -1] and lost[0, -1] > centre + 5 * error[-1, -1]
    agrees(lost[0, -1], lost[-1, 0], np.hypot(error[0, -1], error[-1, 0]))
    assert places.from_x[-1] == float(xifu.width) / 2


def test_the_efficiency_falls_above_and_jumps_at_edges(xifu):
    found = efficiency(xifu, 7000.0)
    whole = found.interaction_by_layer.sum("layer").values
    edge = int(np.argmax(np.diff(whole)))
    assert 13_418 < float(found.energy[edge]) < 13_419 and found.energy[-1] == 20_000  # the L3 edge of bismuth


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"path": "sheet.png"}, "must end in one of .html, .htm"),
        ({"energies": []}, "`energies` must be 1 to 8, but are 0"),
        ({"energies": ["7 keV", "9 MeV"]}, "energy"),
        ({"n": 0}, "`n` must be at least 1"),
        ({"temperature": "0 K"}, "`temperature` must be positive"),
        ({"fwhm": "-1 eV"}, "`fwhm` must be positive"),
    ],
)
def test_bad_input_is_refused_before_the_work(tmp_path, given, said):
    path = tmp_path / given.pop("path", "sheet.html")
    with pytest.raises(ValueError, match=said):
        report("xifu", path, **given)
    assert not list(tmp_path.iterdir())
