"""Materials against pencil and paper, and what is refused."""

import numpy as np
import pytest

from xcal_jax.atomic import Material, load_element


@pytest.mark.parametrize(
    ("formula", "fractions"),
    [
        ("HgTe", {"Hg": 0.61120, "Te": 0.38880}),
        ("Bi2Te3", {"Bi": 0.52195, "Te": 0.47805}),
        ("SiO2", {"Si": 0.46744, "O": 0.53256}),
        ("Si3N4", {"Si": 0.60062, "N": 0.39938}),
        ("Hg0.8Cd0.2Te", {"Hg": 0.51673, "Cd": 0.07239, "Te": 0.41088}),
        ("Ca(OH)2", {"Ca": 0.54092, "O": 0.43187, "H": 0.02721}),
        ("Au", {"Au": 1.0}),
    ],
)
def test_mass_fractions(formula, fractions):
    """IUPAC weights by hand; the table's differ by less than 1e-4."""
    material = Material.build(formula, density=1.0)
    assert dict(zip(material.elements, material.mass_fraction, strict=True)) == pytest.approx(fractions, abs=1e-4)
    assert sum(material.mass_fraction) == pytest.approx(1, abs=1e-12)


def test_number_ratio_and_z_over_a():
    material = Material.build("Bi2Te3")
    assert material.elements == ("Te", "Bi")
    assert material.number_ratio == (3, 2)
    assert material.z_over_a == pytest.approx((2 * 83 + 3 * 52) / 800.76, rel=1e-5)
    gold = load_element("Au")
    assert Material.build("Au").z_over_a == pytest.approx(79 / gold.weight)


@pytest.mark.parametrize(
    ("formula", "density"),
    [
        ("Au", 19.3),
        ("Bi", 9.77),
        ("HgTe", 8.09),
        ("Te3Bi2", 7.85),
        ("Hg4CdTe5", 7.64),
        ("SiO2", 2.2),
        ("Si6N8", 3.17),
    ],
)
def test_known_densities(formula, density):
    """By composition, however the formula is written; handbook values to 0.3 %."""
    assert Material.build(formula).density == pytest.approx(density, rel=3e-3)


@pytest.mark.parametrize(("formula", "a", "weight"), [("HgTe", 6.460, 328.19), ("CdTe", 6.482, 240.01)])
def test_densities_are_those_of_the_crystal(formula, a, weight):
    """Zincblende: four formula units a cell of side a in Angstrom."""
    assert Material.build(formula).density == pytest.approx(4 * weight / (0.602214076 * a**3), abs=0.005)


def test_given_density_wins():
    assert Material.build("Bi", density=9.78).density == 9.78
    assert Material.build("PbTe", density=8.16).density == 8.16


def test_attenuation_of_a_compound():
    """HgTe with Rayleigh at 1, 3, 5, 10 keV: 6231 1558 770.3 133.0 cm2/g to 0.5 %."""
    found = Material.build("HgTe").mass_attenuation([1e3, 3e3, 5e3, 1e4])
    np.testing.assert_allclose(found, [6231, 1558, 770.3, 133.0], rtol=5e-3)


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("Xx2", "element 'Xx' of material 'Xx2' is not in the tables"),
        ("Bz2Te3", "did you mean 'B'"),
        ("au", "'au' must be a symbol or chemical formula: did you mean 'Au'"),
        ("gold", "'gold' must be a symbol or chemical formula$"),
        ("Bi2(Te", "must be a symbol or chemical formula"),
        ("", "no isotope, ion or mixture"),
        ("Al[27]", "no isotope, ion or mixture"),
        ("Au{3+}", "no isotope, ion or mixture"),
        ("HgTe@8.1", "no isotope, ion or mixture"),
        ("D2O", "element 'D'"),
        ("Md", "element 'Md'"),
        ("n", "must be a symbol or chemical formula"),
        ("Si0", "positive number of every element"),
        ("()", "must"),
    ],
)
def test_impossible_formulas(formula, sentence):
    with pytest.raises(ValueError, match=sentence):
        Material.build(formula, density=1.0)


@pytest.mark.parametrize("formula", ["PbTe", "Es", "HgTe2"])
def test_unknown_density(formula):
    with pytest.raises(ValueError, match=f"the density of {formula} is not known: give `density`"):
        Material.build(formula)


@pytest.mark.parametrize("density", [0.0, -9.78, float("nan"), float("inf")])
def test_impossible_density(density):
    with pytest.raises(ValueError, match="`density` must be positive and at most 30 g/cm3, but Bi has"):
        Material.build("Bi", density=density)
