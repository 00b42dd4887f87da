"""Known answers of the atomic data, for all elements, from the file that is shipped."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xcal_jax.atomic import ELEMENTS, load_element, loglog

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "data" / "reference"


def rows(name):
    return list(csv.DictReader((REFERENCE / name).open()))


@pytest.mark.parametrize("symbol", ELEMENTS)
def test_decays_close(symbol):
    """Probabilities sum to 1; what leaves has the difference of the bindings, and leads outwards."""
    element = load_element(symbol)
    binding = element.binding
    assert np.all(np.diff(binding) <= 0)
    for i, s in enumerate(element.subshells):
        assert s.final1.shape == s.final2.shape == s.probability.shape == s.transition_energy.shape
        if len(s.probability) == 0:
            continue
        assert s.probability.sum() == pytest.approx(1, abs=1e-12)
        assert np.all(s.probability > 0)
        assert np.all(s.transition_energy > 0)
        assert np.all(s.final1 > i)
        assert np.all((s.final2 == -1) | (s.final2 > i))
        assert max(s.final1.max(), s.final2.max()) < len(binding)
        left = binding[s.final1] + np.where(s.final2 < 0, 0, binding[s.final2])
        np.testing.assert_allclose(s.transition_energy + left, s.binding, rtol=0, atol=1e-6)


@pytest.mark.parametrize("symbol", ELEMENTS)
def test_curves_are_whole(symbol):
    """Photoelectric curves start at their edge; every curve ascends, is positive and reaches its limit."""
    element = load_element(symbol)
    assert sum(s.occupancy for s in element.subshells) == pytest.approx(element.z)
    assert element.weight / element.z == pytest.approx(2.2, abs=0.5) or symbol == "H"
    curves = [(s.photo_energy, s.photo_cross_section, 1e6) for s in element.subshells]
    curves += [
        (element.incoherent_energy, element.incoherent_cross_section, 1e6),
        (element.coherent_energy, element.coherent_cross_section, 1e6),
        (element.scattering_x, element.scattering_function, 100),
        (element.form_x, element.form_factor, 100),
    ]
    for x, y, limit in curves:
        assert x[-1] == limit
        assert np.all(np.diff(x) > 0)
        assert np.all(np.isfinite(y) & (y > 0))
    for s in element.subshells:
        assert s.photo_energy[0] == s.binding
        assert s.photoelectric(s.binding) == pytest.approx(s.photo_cross_section[0])
        assert s.photoelectric(np.nextafter(s.binding, 0)) == 0
    assert element.scattering_function[-1] == pytest.approx(element.z, rel=1e-3)
    assert element.form_factor[0] == pytest.approx(element.z, rel=1e-3)


def test_transitions_dropped_for_want_of_energy():
    """Au M3 loses 7.3 % and M4 1.5 %; the other K, L, M subshells of Au and Bi keep everything."""
    lost = {s.label: s.dropped for s in load_element("Au").subshells if s.label[0] in "KLM" and s.dropped}
    assert lost == pytest.approx({"M3": 0.0735, "M4": 0.0153}, abs=5e-5)
    assert not any(s.dropped for s in load_element("Bi").subshells if s.label[0] in "KLM")


def test_edges_are_the_measured_ones():
    """Line and edge energies in eV where EADL is off by up to 50: Bearden's tables."""
    binding = {symbol: {s.label: s.binding for s in load_element(symbol).subshells} for symbol in ("Al", "Au", "Bi")}
    assert binding["Al"]["K"] - binding["Al"]["L3"] == pytest.approx(1486.7, abs=0.5)
    assert binding["Bi"]["L2"] - binding["Bi"]["M4"] == pytest.approx(13023, abs=1)
    assert binding["Au"]["M1"] == pytest.approx(3425, abs=0.5)
    eadl = {s.label: s.eadl_binding for s in load_element("Au").subshells}
    assert eadl["M1"] == pytest.approx(3401.4)


@pytest.mark.parametrize(
    ("symbol", "barn"),
    [("Au", [6.6902e5, 2.1531e5, 9.2518e4, 3.7009e4]), ("Bi", [7.0332e5, 2.6054e5, 1.1278e5, 4.5402e4])],
)
def test_photoelectric_totals(symbol, barn):
    """EPDL97 at 3, 5, 7, 10 keV, where no edge was moved across, to 1.1e-4.

    The known answers interpolate EPDL97's total: summing subshells, each on its own grid, differs by as much.
    """
    np.testing.assert_allclose(load_element(symbol).photoelectric([3e3, 5e3, 7e3, 1e4]), barn, rtol=1.1e-4)


def test_scattering_functions_are_hubbells():
    """S(x) of eight elements between 0.005 and 10 per Angstrom, to the digits printed or 0.1 %."""
    table = rows("incoherent_scattering_function_Hubbell.csv")
    x = np.array([float(row["x_invA"]) for row in table])
    for name in table[0].keys() - {"x_invA"}:
        element = load_element(name.removeprefix("S_"))
        expected = np.array([float(row[name]) for row in table])
        found = loglog(x, element.scattering_x, element.scattering_function)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=6e-4)


def test_incoherent_totals_are_the_integral_of_the_scattering_function():
    """Klein-Nishina times S(x) integrated over angle, by another program: to 0.4 %."""
    for row in rows("bound_compton_KN_S.csv"):
        element = load_element(ELEMENTS[int(row["Z"]) - 1])
        expected = float(row["sigma_b_per_atom(KNxS)"])
        assert element.incoherent(1e3 * float(row["E_keV"])) == pytest.approx(expected, rel=4e-3)


@pytest.mark.parametrize("symbol", ["C", "Al", "Si"])
def test_coherent_totals_are_the_integral_of_the_form_factor(symbol):
    """Thomson times F(x)^2 over the sphere, far above the edges where nothing is anomalous: to 0.8 %."""
    element, cosine = load_element(symbol), np.cos(np.linspace(0, np.pi, 20001))
    for energy in (6e4, 1.5e5, 3e5):
        x = np.maximum(energy / 12398.42 * np.sqrt((1 - cosine) / 2), element.form_x[0])
        form = loglog(x, element.form_x, element.form_factor)
        thomson = 0.66524587 * 3 / 8 * np.trapezoid((1 + cosine**2) * form**2, -cosine)
        assert element.coherent(energy) == pytest.approx(thomson, rel=8e-3)


def test_widths():
    """eV, recommended by Campbell and Papp, At. Data Nucl. Data Tables 77, 1 (2001): EADL is within 5 %."""
    expected = {"Mn K": 1.11, "Cu K": 1.49, "Au K": 52.1, "Au L3": 5.54, "Au M5": 2.18, "Bi M5": 2.58}
    for name, width in expected.items():
        symbol, label = name.split()
        found = next(s.width for s in load_element(symbol).subshells if s.label == label)
        assert found == pytest.approx(width, rel=0.05)


def test_attenuation_parts():
    """Against xraylib, whose grids differ: photoelectric and Compton to 1.3 %."""
    compared = 0
    for row in rows("photon_mu_cm2_g.csv"):
        if row["material"] in ELEMENTS:
            element, energy = load_element(row["material"]), 1e3 * float(row["E_keV"])
            to_mass = 0.602214076 / element.weight
            photo, compton = element.photoelectric(energy) * to_mass, element.incoherent(energy) * to_mass
            assert photo == pytest.approx(float(row["photo_xraylib_EPDL"]), rel=0.013)
            assert compton == pytest.approx(float(row["compton_xraylib"]), rel=0.013)
            compared += 1
    assert compared == 88


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [("Au", [4653, 2049, 666.0, 118.1]), ("Bi", [5442, 2053, 757.9, 136.0])],
)
def test_total_attenuation(symbol, expected):
    """cm2/g with Rayleigh at 1, 3, 5, 10 keV: 1 %, which the anomalous scattering of EPDL97 takes up."""
    energy = np.array([1e3, 3e3, 5e3, 1e4])
    element = load_element(symbol)
    np.testing.assert_allclose(element.mass_attenuation(energy), expected, rtol=0.01)
    without = element.mass_attenuation(energy, rayleigh=False)
    coherent = element.coherent(energy) * 0.602214076 / element.weight
    np.testing.assert_allclose(element.mass_attenuation(energy) - without, coherent, rtol=1e-9)


def test_yields_are_a_choice():
    """Krause's yields of Au M4 and M5 are 15 % below EADL's; his missing M2 leaves EADL's as it is."""
    eadl = {s.label: s for s in load_element("Au").subshells}
    krause = {s.label: s for s in load_element("Au", yields="krause").subshells}
    assert eadl["M5"].fluorescence_yield == pytest.approx(0.0298, abs=5e-5)
    assert krause["M5"].fluorescence_yield == pytest.approx(0.0256)
    assert krause["L3"].fluorescence_yield == pytest.approx(0.320)
    assert np.isnan(eadl["M2"].krause_yield)
    assert krause["M2"].fluorescence_yield == eadl["M2"].fluorescence_yield
    bismuth = {s.label: s for s in load_element("Bi").subshells}
    assert bismuth["M5"].fluorescence_yield == pytest.approx(0.0373, abs=5e-5)
    assert bismuth["M5"].krause_yield == pytest.approx(0.0325, abs=5e-4)


@pytest.mark.parametrize("symbol", ELEMENTS)
def test_krause_probabilities_still_sum_to_one(symbol):
    for s in load_element(symbol, yields="krause").subshells:
        assert len(s.probability) == 0 or s.probability.sum() == pytest.approx(1, abs=1e-9)
        assert np.all(s.probability >= 0)


@pytest.mark.parametrize(
    ("symbol", "nearest"), [("Bj", "B"), ("au", "Au"), ("Gold", "Ge|Gd|Ga|Mo|O"), ("Md", ""), ("", "")]
)
def test_unknown_elements_are_named(symbol, nearest):
    with pytest.raises(ValueError, match=rf"^element '{symbol}' .*\(H to Fm\): did you mean '({nearest})"):
        load_element(symbol)


def test_unknown_yields_and_energies_off_the_table_are_refused():
    with pytest.raises(ValueError, match="`yields` must be one of eadl, krause"):
        load_element("Au", yields="campbell")
    for energy in (1.1e6, [1e3, 2e6]):
        with pytest.raises(ValueError, match="table runs from"):
            load_element("Au").mass_attenuation(energy)


def test_tables_are_read_once_and_cannot_be_changed():
    assert load_element("Au") is load_element("Au")
    for yields in ("eadl", "krause"):
        with pytest.raises(ValueError, match="read-only"):
            load_element("Au", yields=yields).subshells[3].probability[0] = 1


def test_import_is_cheap():
    """Neither JAX nor a reader of files is imported before an element is asked for."""
    code = "import sys, xcal_jax.atomic; print({'jax', 'netCDF4', 'xarray', 'periodictable'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "set()\n"


def moves(element, subshell, final):
    """Probability that a vacancy in a subshell moves to another by an electron."""
    place = [found.label for found in element.subshells].index(final)
    found = next(s for s in element.subshells if s.label == subshell)
    return found.probability[(found.final2 >= 0) & ((found.final1 == place) | (found.final2 == place))].sum()


def test_coster_kronig_probabilities():
    """Ta L1-L3: EADL's .61, Krause's .33; yields stay as they are, probabilities sum to 1, energies are the same."""
    eadl, krause = (load_element("Ta", coster_kronig=name) for name in ("eadl", "krause"))
    assert moves(eadl, "L1", "L3") == pytest.approx(0.611, abs=0.001)
    assert moves(krause, "L1", "L3") == pytest.approx(0.328, abs=0.001)
    assert moves(krause, "L2", "L3") == pytest.approx(krause.coster_kronig["23"]) == pytest.approx(0.135, abs=0.001)
    for one, other in zip(eadl.subshells, krause.subshells, strict=True):
        assert one.fluorescence_yield == pytest.approx(other.fluorescence_yield, rel=1e-12)
        assert other.probability.sum() == pytest.approx(one.probability.sum(), rel=1e-12)
        np.testing.assert_array_equal(other.transition_energy, one.transition_energy)
        assert np.array_equal(other.probability, one.probability) == (one.label not in ("L1", "L2"))
    both = load_element("Ta", "krause", "krause")
    assert both.subshells[1].fluorescence_yield == pytest.approx(both.subshells[1].krause_yield)
    for one, other in zip(load_element("C").subshells, load_element("C", "eadl", "krause").subshells, strict=True):
        np.testing.assert_array_equal(other.probability, one.probability)
    with pytest.raises(ValueError, match="`coster_kronig` must be one of eadl, krause, but is 'best'"):
        load_element("Ta", coster_kronig="best")
