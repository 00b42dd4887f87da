"""Natural shapes of lines: their parts, published peaks and widths, lines of the atomic tables, radioactive sources."""

import numpy as np
import pytest

from xcal_jax.atomic.element import load_element
from xcal_jax.atomic.lines import load_line, parse_line_names, published_lines, radioactive_lines

# Peaks of K alpha 1, eV: Deslattes et al. 2003, doi 10.1103/RevModPhys.75.35
DESLATTES = {
    "CrKa": 5414.8045,
    "MnKa": 5898.801,
    "FeKa": 6404.0062,
    "CoKa": 6930.3780,
    "NiKa": 7478.2521,
    "CuKa": 8047.8227,
}
# Maxima of K beta 1,3, eV: Hoelzer et al. 1997, doi 10.1103/PhysRevA.56.4554, table IV (their components are table III)
HOELZER = {
    "CrKb": 5946.82,
    "FeKb": 7058.18,
    "CoKb": 7649.45,
    "NiKb": 8264.78,
    "CuKb": 8905.42,
}


def test_components_add_up_and_their_density_integrates_to_one():
    assert len(published_lines()) > 50
    for line in published_lines().values():
        assert line.share.sum() == pytest.approx(1.0, abs=1e-12) and np.all(line.share > 0)
        assert np.all(line.fwhm > 0) and line.published
        assert np.ptp(line.energy) < 0.05 * line.mean_energy, line.name
    line = load_line("MnKa")
    t = np.linspace(-np.pi / 2, np.pi / 2, 200_001)[1:-1]
    energy = line.mean_energy + 3.0 * np.tan(t)
    whole = np.trapezoid(line.density(energy) * 3.0 / np.cos(t) ** 2, t)
    assert whole == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(("name", "peak"), (DESLATTES | HOELZER).items())
def test_k_lines_peak_where_they_were_measured(name, peak):
    energy = np.linspace(peak - 2.0, peak + 2.0, 8001)
    assert energy[np.argmax(load_line(name).density(energy))] == pytest.approx(peak, abs=0.03)


def test_a_name_may_hold_a_blank():
    """It is the published line, not that of the atomic tables."""
    assert load_line("Mn Ka") is load_line("MnKa")


def test_the_maximum_of_mn_k_beta():
    """6490.585 eV in a public list; the maximum that Hoelzer et al. give is 0.42 eV off their components."""
    energy = np.linspace(6488.0, 6493.0, 5001)
    maximum = energy[np.argmax(load_line("MnKb").density(energy))]
    assert maximum == pytest.approx(6490.585, abs=0.03) and maximum - 6490.18 == pytest.approx(0.42, abs=0.02)


def test_mn_k_alpha_1_is_as_wide_as_published():
    """2.47 eV at half height, and K alpha 2 half as intense (Hoelzer et al. 1997, doi 10.1103/PhysRevA.56.4554)."""
    line = load_line("MnKa")
    energy = np.linspace(5893.0, 5905.0, 24_001)
    density = line.density(energy)
    high = energy[density > density.max() / 2]
    assert high[-1] - high[0] == pytest.approx(2.47, abs=0.02)
    second = line.share[line.energy < 5892.0].sum()
    assert second / (1 - second) == pytest.approx(0.51, abs=0.01)


def test_other_lines_are_transitions_of_the_tables():
    bismuth = load_element("Bi")
    levels = {s.label: s for s in bismuth.subshells}
    line = load_line("Bi M5-N7")
    assert line.energy[0] == pytest.approx(levels["M5"].binding - levels["N7"].binding)
    assert line.fwhm[0] == pytest.approx(levels["M5"].width + levels["N7"].width)
    group = load_line("BiMa")
    assert not group.published and group.energy.size == 2 and group.share.sum() == pytest.approx(1.0)
    assert load_line("BiMa1").energy[0] == line.energy[0]


def test_a_users_table_comes_first(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("line,energy_ev,fwhm_ev,integral_fraction\nMnKa,5898,2,0.7\nMnKa,5887,2,0.3\nMyLine,700,0,1\n")
    assert load_line("MnKa", table).energy.size == 2 and load_line("MyLine", table).mean_energy == 700.0
    assert load_line("CrKa", table) is published_lines()["CrKa"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("MnKa,5898,2,0.7", "must add up to 1, but makes 0.7"),
        ("MnKa,5898,-2,1", "fwhm_ev in line 2"),
        ("MnKa,5.898,2,1", "energy_ev in line 2"),
        ("", "has no row"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, rows, words):
    table = tmp_path / "mine.csv"
    table.write_text(f"line,energy_ev,fwhm_ev,integral_fraction\n{rows}\n")
    with pytest.raises(ValueError, match=words):
        load_line("MnKa", table)


@pytest.mark.parametrize(
    ("name", "nearest"), [("MnKq", "MnKa"), ("mnka", "MnKa"), ("MmKa", "MnKa"), ("BiMx", "BiMa"), ("", "did you mean")]
)
def test_an_unknown_line_names_the_nearest(name, nearest):
    with pytest.raises(ValueError, match=nearest):
        load_line(name)


def test_lines_with_weights():
    assert parse_line_names("MnKa:2, MnKb:0.3,CrKa") == {"MnKa": 2.0, "MnKb": 0.3, "CrKa": 1.0}
    for text, words in (("MnKa,MnKa", "twice"), ("MnKa:x", "weight"), ("MnKa:0", "positive"), ("MnKa:", "weight")):
        with pytest.raises(ValueError, match=words):
            parse_line_names(text)


def test_radioactive_sources():
    """K X rays of 55Fe in 100 decays: 25.0 +- 0.4 alpha, 3.4 +- 0.1 beta (DDEP evaluation, LNHB)."""
    iron = {line.name: photons for line, photons in radioactive_lines("55Fe")}
    assert 0.24 < iron["MnKa"] < 0.26 and 0.028 < iron["MnKb"] < 0.036
    for nuclide, line, photons in (("Am241", 59541.2, 0.359), ("Cd109", 88040.0, 0.0361), ("Co57", 122061.4, 0.856)):
        found = {round(shape.mean_energy, 1): n for shape, n in radioactive_lines(nuclide)}
        assert found[line] == pytest.approx(photons)
    assert sum(n for shape, n in radioactive_lines("Ba133") if shape.name.startswith("CsK")) > 1.0
    with pytest.raises(ValueError, match="Fe55, Co57, Cd109, Ba133, Am241"):
        radioactive_lines("Ni63")
