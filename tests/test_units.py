"""Quantities as users write them."""

import numpy as np
import pytest
from astropy.units import Unit

from xcal_jax.units import USUAL, parse_quantity


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("7keV", "eV", 7000.0),
        ("7 keV", "eV", 7000.0),
        ("7000eV", "eV", 7000.0),
        ("7000", "eV", 7000.0),
        (7000, "eV", 7000.0),
        ("5.15um", "um", 5.15),
        ("5.15 µm", "um", 5.15),
        ("5.15μm", "um", 5.15),
        ("40nm", "um", 0.04),
        ("-.5e-1 mm", "um", -50.0),
        (" 1e7 ", "", 1e7),
        ("9.78 g/cm^3", "g/cm^3", 9.78),
        ("9780 kg/m**3", "g/cm^3", 9.78),
        ("9.78 g/cm3", "g/cm^3", 9.78),
        ("0.729 mJ/mol/K^2", "J/mol/K^2", 7.29e-4),
        ("100 mm^2", "cm^2", 1.0),
        ("600 fJ/K", "pJ/K", 0.6),
        ("90 mK", "K", 0.09),
        ("0.1 percent", "", 1e-3),
        ("45deg", "deg", 45.0),
        ("0.5rad", "deg", 28.64788975654116),
    ],
)
def test_read(text, unit, value):
    assert parse_quantity(text, unit, "x") == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("text", "value"), [("1.3 mm", 1300.0), ("40 nm", 0.04), ("134.7 um", 134.7), ("1 m", 1e6)])
def test_powers_of_ten_are_exact(text, value):
    assert parse_quantity(text, "um", "x") == value


@pytest.mark.parametrize(
    "text",
    [
        "7um",
        "7,0",
        "7,0keV",
        "7;8",
        "7:8",
        "7..0",
        "7 $",
        "",
        " ",
        "keV",
        "seven",
        "1/0 eV",
        "((",
        "7 keV)",
        "0**-1",
        "7 keV 8",
        "7 7",
        "7 eV + 1 eV",
        "7 degC",
        "7 eV/",
        "7 eV//s*s",
        "7 keV/mol",
        "7 KeV",
        "7 mag",
        "'7'",
        "7\x00",
        "7%",
        "7 #",
        "lambda",
        True,
        None,
        [1],
        b"7",
        {"a": 1},
        np.datetime64("NaT"),
        10**400,
    ],
)
def test_refused_by_name(text):
    with pytest.raises(ValueError, match="`energy` must be a number with a unit like eV, but is"):
        parse_quantity(text, "eV", "energy")


@pytest.mark.parametrize("text", ["nan", "inf", "-inf eV", "nan keV", float("nan"), "1e400"])
def test_finite(text):
    with pytest.raises(ValueError, match="`energy` must be finite"):
        parse_quantity(text, "eV", "energy")


@pytest.mark.parametrize("family", USUAL, ids=list)
def test_usual_units_are_those_of_astropy(family):
    """To the last digit, and by the same name."""
    for found in family:
        for unit in family:
            factor = Unit(found).to(Unit(unit))
            assert parse_quantity(f"1 {found}", unit, "x") == float(f"{factor:.15g}")
