"""Builds xcal_jax/orbit/data/penelope.nc: electrons slowed down in aluminium, photons in three metals, by PENELOPE.

    python data/orbit/build_penelope.py [--electrons 2e5] [--photons 1e5]      (extra: penelope; half an hour)

Electrons: an isotropic flux falls on one side of a half-space of Al; the energy left at each depth, less what they
radiate, times the ratio of the stopping powers of Si and Al, is the dose of a little silicon there. Photons: a plane in
the middle of an infinite metal sends them out evenly in all directions; the energy left at each distance over that of
the photons that have not collided is the buildup factor. Photons are absorbed where they are made in the first run,
and electrons in the second. PENELOPE-2018 through pyPenred 1.15.2.0; C1 = C2 = 0.1 and 0.2; electrons to 20 keV,
photons to 5 keV. Two fits take the noise away: a spline of the logarithm of the dose, weighted by its errors, continued
downwards beyond the last depth known to 12 %; a cubic of ln(buildup factor) in ln(1 + mean free paths).
"""

import argparse
import tempfile
from contextlib import chdir
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.interpolate import UnivariateSpline
from scipy.special import expn

from xcal_jax.orbit.material_tables import material_table

OUTPUT = Path(__file__).parents[2] / "xcal_jax/orbit/data/penelope.nc"
ELECTRONS = np.array([0.1, 0.25, 0.5, 1.0, 2.0, 3.5, 5.0, 7.0])
DEPTHS = np.linspace(0, 1.2, 61)
EDGES = np.concatenate([[0], np.geomspace(0.005, 0.1, 9)[:-1], np.arange(0.1, 1.3001, 0.03)])
PHOTONS = np.array([0.015, 0.025, 0.04, 0.06, 0.09, 0.14, 0.22, 0.4, 0.7, 1.2, 2.0, 4.0, 6.5])
PATHS = np.array([0, 0.03, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5.5, 7.5, 10, 13, 16])
METALS = {"Al": (13, 2.6989), "Sn": (50, 7.31), "Pb": (82, 11.35)}
RULE = "0" * 64
STEEPER = 60.0  # of the dose beyond the last depth known: d2 ln(dose) / dx2
NEVER = 1e9  # eV
EVEN, EVEN_WEIGHTS = np.polynomial.legendre.leggauss(16)  # cosines of photons, in all directions
DOWN, DOWN_WEIGHTS = np.polynomial.legendre.leggauss(10)  # of electrons, downwards
DOWN, DOWN_WEIGHTS = (DOWN + 1) / 2, DOWN_WEIGHTS / 2


def geometry(planes: np.ndarray) -> str:
    """Layers between ``planes`` (depths, cm) in PENGEOM's language."""
    lines = ["layers", RULE]

    def plane(number: int, indices: str, scale: str, value: float) -> None:
        lines.extend([f"SURFACE ({number:4d})", f"INDICES=({indices})", f"{scale}=({value:22.15E},   0)", RULE])

    plane(1, " 1, 0, 0, 0,-1", "X-SCALE", 1e3)
    plane(2, " 0, 1, 0, 0,-1", "Y-SCALE", 1e3)
    for n, depth in enumerate(planes):
        plane(3 + n, " 0, 0, 0, 1, 0", "Z-SHIFT", 0.0 - depth)
    for n in range(len(planes) - 1):
        lines += [f"BODY    ({n + 1:4d})", "MATERIAL(   1)"]
        lines += [f"SURFACE ({s:4d}), SIDE POINTER=({p:+2d})" for s, p in ((1, -1), (2, -1), (3 + n, -1), (4 + n, 1))]
        lines.append(RULE)
    return "\n".join([*lines, "END      " + RULE[9:], ""])


def deposits(
    metal: str, kind: str, energy: float, n: float, planes: np.ndarray, cosines, weights, absorbed: dict, c: float
):
    """Energy left between ``planes``, MeV per particle, and its error; cosines, weights: of directions downwards."""
    from pyPenred import simulation

    z, density = METALS[metal]
    sources = {
        f"direction{i}": {
            "nhist": float(round(n * part)),
            "kpar": kind,
            "direction": {"type": "CONE", "theta": 180 - float(np.degrees(np.arccos(m))), "phi": 0.0, "alpha": 0.0},
            "energy": {"type": "MONOENERGETIC", "energy": energy * 1e6},
            "spatial": {"type": "POINT", "position": {"x": 0.0, "y": 0.0, "z": -1e-9}},
        }
        for i, (m, part) in enumerate(zip(cosines, weights / weights.sum(), strict=True))
    }
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        simulation.materials.create(metal, density, [(z, 1.0)], "metal.mat")
        Path("layers.geo").write_text(geometry(planes))
        simulation.setConfigurationLog("configuration.log")
        simulation.setSimulationLog("simulation.log")
        program = simulation.create()
        program.configure(
            {
                "simulation": {"threads": 1},
                "sources": {"generic": sources},
                "tallies": {"deposits": {"type": "EDEP_BODY", "nBody": len(planes) - 1}},
                "geometry": {"type": "PEN_QUADRIC", "input-file": "layers.geo", "processed-geo-file": "report.geo"},
                "materials": {
                    metal: {"number": 1, "eabs": absorbed, "C1": c, "C2": c, "WCC": 1e4, "WCR": 5e3}
                    | {"filename": "metal.mat"}
                },
            }
        )
        program.simulate()
        (histogram,) = program.getResults()["deposits"]
    value, error, *_ = histogram.data()
    return value[:-1] * 1e-6, error[:-1] * 1e-6


def at(metal: str, name: str, energy):
    """A row of the table of materials at ``energy`` (MeV), log-log."""
    row = material_table().sel(material=metal)[name]
    return np.exp(np.interp(np.log(energy), np.log(row[row.dims[0]].values), np.log(row.values)))


def electron_rows(energy: float, n: float):
    """Logarithm of the dose in Si behind ``DEPTHS``, MeV cm2/g, and the energy that goes on, MeV; per 1/cm2."""
    csda, density = at("Al", "electron_range", energy), METALS["Al"][1]
    absorbed = {"electron": min(2e4, 5e4 * energy), "positron": 2e4, "gamma": NEVER}
    planes = EDGES * csda / density
    left, error = deposits("Al", "electron", energy, n, planes, DOWN, DOWN_WEIGHTS * DOWN, absorbed, 0.1)
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    arrives = residual_energy(energy, middle)
    collision, radiative = (at("Al", f"electron_{part}", arrives) for part in ("collision", "radiative"))
    dose = left / (np.diff(EDGES) * csda) / 4  # a flux of 1/cm2 from all sides sends 1/4 through each side of a plane
    dose *= collision / (collision + radiative) * at("Si", "electron_collision", arrives) / collision
    relative = error / np.maximum(left, 1e-30)
    known = (relative < 0.12) & (left > 0) & (np.arange(len(left)) > 0)  # the first layer holds the source itself
    curve = UnivariateSpline(
        middle[known], np.log(dose[known]), w=1 / np.maximum(relative[known], 0.004), k=3, s=known.sum()
    )
    last, slope = middle[known][-1], curve.derivative()
    beyond = np.maximum(DEPTHS - last, 0)
    inside = np.minimum(DEPTHS, last)
    value = curve(inside) + slope(last) * beyond - STEEPER * beyond**2 / 2
    steepness = slope(inside) - STEEPER * beyond
    passed = np.concatenate([[0], np.cumsum((np.exp(value[1:]) + np.exp(value[:-1])) / 2 * np.diff(DEPTHS))]) * csda
    return value, np.log(2 * (1 - DEPTHS * steepness)) + value, passed[-1] - passed


def residual_energy(energy, depth):
    """Energy of electrons that have come to ``depth`` (of their CSDA range): their paths are straight."""
    row = material_table().sel(material="Al")
    left = np.maximum(at("Al", "electron_range", energy) * (1 - depth), at("Al", "electron_range", 0.03))
    return np.exp(np.interp(np.log(left), np.log(row.electron_range.values), np.log(row.electron_energy.values)))


def buildup_row(metal: str, energy: float, n: float):
    """Buildup factor of a plane in an infinite ``metal`` at the middles of ``PATHS``, and its relative error."""
    attenuation, density = at(metal, "photon_attenuation", energy), METALS[metal][1]
    planes = np.concatenate([[-PATHS[-1]], PATHS]) / (attenuation * density)
    absorbed = {"electron": NEVER, "positron": 1e4, "gamma": 5e3}
    left, error = deposits(metal, "gamma", energy, n, planes, EVEN, EVEN_WEIGHTS, absorbed, 0.2)
    free = -np.diff(expn(2, PATHS)) / 2 * energy * at(metal, "photon_absorption", energy) / attenuation
    return left[1:] / free, error[1:] / np.maximum(left[1:], 1e-30)


def smooth(factor, relative):
    """A buildup factor without its noise."""
    middle = (PATHS[1:] + PATHS[:-1]) / 2
    known = (relative < 0.2) & (factor > 0)
    weight = 1 / np.maximum(relative[known], 0.01)
    fit = np.polynomial.Polynomial.fit(np.log1p(middle[known]), np.log(factor[known]), 3, w=weight)
    return np.exp(fit(np.log1p(np.minimum(middle, middle[known][-1]))))


def main():
    """Run PENELOPE and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--electrons", type=float, default=2e5)
    parser.add_argument("--photons", type=float, default=1e5)
    arguments = parser.parse_args()
    middle = (PATHS[1:] + PATHS[:-1]) / 2
    factors = np.zeros((len(METALS), len(PHOTONS), len(middle)))
    for m, metal in enumerate(METALS):
        for e, energy in enumerate(PHOTONS):
            factors[m, e] = smooth(*buildup_row(metal, energy, arguments.photons))
            print(metal, energy, factors[m, e].round(2), flush=True)
    rows = []
    for energy in ELECTRONS:
        rows.append(electron_rows(energy, arguments.electrons))
        print("Al", energy, np.exp(rows[-1][0][::10]), flush=True)
    slab, ray, current = np.array(rows).transpose(1, 0, 2)
    kernel = ("electron_energy", "depth")
    table = xr.Dataset(
        {
            "log_slab": (kernel, slab, {"units": "1", "long_name": "ln dose in Si in Al, one side; MeV cm2/g"}),
            "log_ray": (
                kernel,
                ray,
                {"units": "1", "long_name": "ln dose in Si, as deep on every ray; MeV cm2/g"},
            ),
            "current": (kernel, current, {"units": "MeV", "long_name": "energy carried on, per 1/cm2"}),
            "buildup": (
                ("metal", "photon_energy", "paths"),
                factors,
                {"units": "1", "long_name": "energy-absorption buildup factor of a plane"},
            ),
        },
        {
            "electron_energy": ("electron_energy", ELECTRONS, {"units": "MeV", "long_name": "electron energy"}),
            "depth": ("depth", DEPTHS, {"units": "1", "long_name": "depth over the CSDA range"}),
            "metal": list(METALS),
            "atomic_number": ("metal", [z for z, _ in METALS.values()], {"units": "1", "long_name": "atomic number"}),
            "photon_energy": ("photon_energy", PHOTONS, {"units": "MeV", "long_name": "photon energy"}),
            "paths": ("paths", middle, {"units": "1", "long_name": "mean free paths from the plane"}),
        },
        {
            "source": "PENELOPE-2018 (F. Salvat, NEA/MBDAV/R(2019)1) in PenRed, by pyPenred 1.15.2.0",
            "histories": f"{arguments.electrons:g} electrons and {arguments.photons:g} photons at each energy",
            "made_by": "data/orbit/build_penelope.py",
        },
    )
    packed = {name: {"dtype": "f4", "zlib": True} for name in table.data_vars}
    table.to_netcdf(OUTPUT, encoding=packed)
    print(OUTPUT, OUTPUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
