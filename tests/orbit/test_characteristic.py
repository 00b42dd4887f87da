import numpy as np
import pytest

from xcal_jax.orbit.characteristic import k_ionisation, k_lines
from xcal_jax.orbit.material_tables import composition, materials

BOTE_SALVAT = {  # barn at 0.1, 0.3, 1, 3, 7 MeV: the tables of PENELOPE-2018, from pyPenred 1.15.2.0
    "Al": (1.5596e-3, (3087, 1820, 1491, 1628, 1845), 0.68, 0.80),
    "Cu": (8.9789e-3, (307.7, 206.7, 182.2, 207.6, 240.5), 0.79, 0.95),
    "Sn": (29.2001e-3, (44.87, 41.75, 41.54, 50.07, 59.49), 0.89, 1.15),
    "Pb": (88.0045e-3, (None, 6.636, 9.002, 11.99, 14.87), 1.06, 1.30),
}


@pytest.mark.parametrize("symbol", BOTE_SALVAT)
def test_ionisation_lies_beside_bote_and_salvat_as_its_page_says(symbol):
    binding, known, least, most = BOTE_SALVAT[symbol]
    for energy, barn in zip((0.1, 0.3, 1.0, 3.0, 7.0), known, strict=True):
        if barn is not None:
            assert least < k_ionisation(np.array([energy]), binding)[0] / barn < most, energy


def test_nothing_is_ionised_below_the_edge():
    assert k_ionisation(np.array([0.01, 0.0880]), 0.0880045).tolist() == [0.0, 0.0]


def test_lines_of_aluminium_and_lead():
    """Al K alpha has 1.487 keV and a yield of 0.04; Pb K alpha and beta 73 to 87 keV and 0.96."""
    for symbol, least, most, fluorescence, binding in (
        ("Al", 1.485e-3, 1.492e-3, 0.038, 1.5596e-3),
        ("Pb", 0.0750, 0.0785, 0.96, 0.0880045),
    ):
        ((line, emitted),) = k_lines(symbol, np.array([1.0])).items()
        assert least < line < most
        atoms = 0.602214 / {"Al": 26.98, "Pb": 207.2}[symbol]
        assert emitted[0] == pytest.approx(
            atoms * k_ionisation(np.array([1.0]), binding)[0] * fluorescence * line, rel=0.05
        )


def test_a_compound_has_the_lines_of_its_elements_by_mass():
    energy = np.array([1.0, 3.0])
    lines = k_lines("CsI", energy)
    parts = [k_lines(symbol, energy) for symbol in ("Cs", "I")]
    assert sorted(lines) == sorted(line for part in parts for line in part)
    for part, fraction in zip(parts, (0.5115, 0.4885), strict=True):
        ((line, whole),) = part.items()
        np.testing.assert_allclose(lines[line], fraction * whole, rtol=1e-3)
    assert k_lines("polyethylene", energy) == {}


def test_every_material_has_a_composition():
    for name in materials():
        assert sum(composition(name).values()) == pytest.approx(1.0), name
    pcb = composition("PCB")
    assert pcb["Si"] == pytest.approx(0.6 * 28.086 / 60.084, rel=1e-3)
    assert pcb["O"] == pytest.approx(0.09 + 0.6 * 31.998 / 60.084, rel=1e-3)
