"""Reader of the shipped tables: what slows, stops and damages.

Ranges and stopping powers are NIST PSTAR and ESTAR (``data/orbit/build_matter.py``); the displacement
damage functions of silicon are the on-line compilation of A. Vasilescu and G. Lindstroem (protons: Summers
1993 and Huhtinen; electrons: Summers 1993), relative to 95 MeV mb, the damage of a 1 MeV neutron.
"""

from functools import cache
from importlib.resources import files

import numpy as np
import xarray as xr


@cache
def material_table() -> xr.Dataset:
    """The table of materials: density (M,) g/cm3, ranges (M, E) g/cm2, stopping powers (M, E) MeV cm2/g."""
    path = files("xcal_jax.orbit") / "data/matter.nc"
    with xr.open_dataset(str(path)) as table:
        return table.load().astype(float)


def materials() -> list[str]:
    """Names of the materials a shield can be made of."""
    return [str(name) for name in material_table().material.values]


@cache
def damage_function(particle: str) -> tuple[np.ndarray, np.ndarray]:
    """Return energies (E,) MeV and D(E) / 95 MeV mb (E,) of silicon, for "proton" or "electron"."""
    text = (files("xcal_jax.orbit") / f"data/niel_{particle}.txt").read_text()
    energy, damage = np.array([line.split() for line in text.splitlines()], float).T
    return energy, damage
