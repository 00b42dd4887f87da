"""Shipped tables of matter (densities, ranges, stopping powers, photons) and of damage in silicon.

Ranges and stopping powers are NIST PSTAR and ESTAR (``data/orbit/build_matter.py``); what is not in their lists is
mixed from its elements by Bragg's rule. The displacement damage functions of silicon are the on-line compilation of A.
Vasilescu and G. Lindstroem (protons: Summers 1993 and Huhtinen; electrons: Summers 1993), relative to 95 MeV mb, the
damage of a 1 MeV neutron. How electrons and photons are scattered is PENELOPE's (``data/orbit/build_penelope.py``).
"""

from functools import cache
from importlib.resources import files

import numpy as np
import xarray as xr
from jaxtyping import Float

from xcal_jax.atomic import Material
from xcal_jax.io.datasets import read

ALLOYS = {  # mass fractions, density in g/cm3 (GAGG, LYSO: usual compositions; PCB: FR-4, epoxy and glass)
    "PbSb": ({"Pb": 0.96, "Sb": 0.04}, 11.0),
    "Ta": ({"Ta": 1.0}, 16.654),
    "GAGG": ({"Gd": 0.5064, "Al": 0.0579, "Ga": 0.2245, "O": 0.2112}, 6.63),
    "CeBr3": ({"Ce": 0.3689, "Br": 0.6311}, 5.1),
    "LYSO": ({"Lu": 0.7241, "Y": 0.0387, "Si": 0.0612, "O": 0.1760}, 7.1),
    "BGO": ({"Bi": 0.6710, "Ge": 0.1749, "O": 0.1541}, 7.13),
    "PCB": ({"SiO2": 0.6, "C": 0.278, "H": 0.032, "O": 0.09}, 1.85),
}
PLASTICS = {
    "polyethylene": "C2H4",
    "polycarbonate": "C16H14O3",
    "Kapton": "C22H10N2O5",
    "Mylar": "C10H8O4",
    "PTFE": "C2F4",
    "water": "H2O",
}
"""Formulas of the materials that are named otherwise."""
REST_ENERGY = 0.51099895  # MeV, of an electron


@cache
def material_table() -> xr.Dataset:
    """Density (M,) g/cm3, ranges (M, E) g/cm2, stopping powers (M, E) MeV cm2/g, photon coefficients (M, P) cm2/g."""
    path = files("xcal_jax.orbit") / "data/matter.nc"
    return read(str(path), "the table of shield materials").astype(float)


@cache
def transport_table() -> xr.Dataset:
    """Dose in Si at a depth of Al by electrons, and buildup factors of photons in Al, Sn and Pb, by PENELOPE."""
    return read(str(files("xcal_jax.orbit") / "data/penelope.nc"), "the table of electrons and photons").astype(float)


def materials() -> list[str]:
    """Names of the materials that a shield can consist of; formulas may be others."""
    return list(dict.fromkeys([*map(str, material_table().material.values), *ALLOYS]))


@cache
def matter(name: str) -> xr.Dataset:
    """The row of the table of materials for ``name``, a material or a formula; its `density` is NaN where not known.

    A formula has the mass-weighted mean of its elements' stopping powers and photon coefficients, and ranges integrated
    from these; of fast electrons in compounds of gases it is up to 10 % too high (no density effect). Raises ValueError
    for what is no formula.
    """
    table = material_table()
    if name not in ALLOYS:
        if name in table.material.values:
            return table.sel(material=name)
        try:
            mixture = Material.build(name, 1.0)
        except ValueError as problem:
            known = ", ".join(materials())
            raise ValueError(f"material must be one of {known}, or a formula, but is {name!r}: {problem}") from problem
        fractions, density = dict(zip(mixture.elements, mixture.mass_fraction, strict=True)), np.nan
        try:
            density = Material.build(name).density
        except ValueError:
            pass
        missing = [symbol for symbol in fractions if symbol not in table.material.values]
        if missing:
            raise ValueError(f"material {name!r} must be of elements from H to U, but has {missing[0]}")
    else:
        fractions, density = ALLOYS[name]
    return _mixed(fractions, density)


def _mixed(fractions: dict[str, float], density: float) -> xr.Dataset:
    parts = material_table().sel(material=list(fractions))
    weight = xr.DataArray(list(fractions.values()), dims="material") / sum(fractions.values())
    row = (parts.drop_vars(["nist_name", "density", "mean_a"]) * weight).sum("material")
    radiative = (weight * parts.electron_radiative).interp(electron_energy=parts.radiating)
    row["photon_spectrum"] = (radiative * parts.photon_spectrum).sum("material") / radiative.sum("material")
    row["mean_a"] = row.mean_z / float((weight * parts.mean_z / parts.mean_a).sum())
    for particle, stopping in (
        ("proton", row.proton_stopping),
        ("electron", row.electron_collision + row.electron_radiative),
    ):
        energy, slowness = row[f"{particle}_energy"].values, 1 / stopping.values
        first = float((weight / parts[f"{particle}_range"][:, 0]).sum()) ** -1
        steps = np.diff(np.log(energy)) * (energy[1:] * slowness[1:] + energy[:-1] * slowness[:-1]) / 2
        row[f"{particle}_range"] = (f"{particle}_energy", first + np.concatenate([[0], np.cumsum(steps)]))
    return row.assign(density=density)


def composition(name: str) -> dict[str, float]:
    """Mass fractions of the elements of ``name``, a material or a formula; they add up to 1."""
    if name not in ALLOYS or name in ALLOYS[name][0]:
        mixture = Material.build(PLASTICS.get(name, name), 1.0)
        return dict(zip(mixture.elements, mixture.mass_fraction, strict=True))
    parts, found = ALLOYS[name][0], dict[str, float]()
    for part, fraction in parts.items():
        for symbol, share in composition(part).items():
            found[symbol] = found.get(symbol, 0.0) + share * fraction / sum(parts.values())
    return found


def known_density(name: str, where: str, needed: bool = True) -> float:
    """Density of ``name``, g/cm3. Raises ValueError, calling it ``where``, for an unknown material or density."""
    try:
        density = float(matter(name).density)
    except ValueError as problem:
        raise ValueError(f"{where}: {problem}") from problem
    if needed and not np.isfinite(density):
        raise ValueError(f"`density` must be given for {where}, for that of {name} is not known")
    return density


@cache
def damage_function(particle: str) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, " E"]]:
    """Energies, MeV, and the damage function D(E) of silicon over 95 MeV mb, of a "proton" or an "electron"."""
    text = (files("xcal_jax.orbit") / f"data/niel_{particle}.txt").read_text()
    energy, damage = np.array([line.split() for line in text.splitlines()], float).T
    return energy, damage


def extrapolated_range(name: str) -> Float[np.ndarray, " E"]:
    """Depth that electrons of the table's energies come to, g/cm2 (Tabata, Ito and Okabe, NIM 103 (1972) 85)."""
    row = matter(name)
    z, a, tau = float(row.mean_z), float(row.mean_a), row.electron_energy.values / REST_ENERGY
    a1, a2, a3 = 0.2335 * a / z**1.209, 1.78e-4 * z, 0.9891 - 3.01e-4 * z
    a4, a5 = 1.468 - 1.180e-2 * z, 1.232 / z**0.109
    return a1 * (np.log1p(a2 * tau) / a2 - a3 * tau / (1 + a4 * tau**a5))


def log_interpolated(energy: Float[np.ndarray, "*n"], row: xr.DataArray) -> Float[np.ndarray, "*n"]:
    """The values of ``row``, which has one dimension of energy, at ``energy`` (MeV): linear in the logarithms."""
    return np.exp(np.interp(np.log(energy), np.log(row[row.dims[0]].values), np.log(row.values)))
