"""Shipped tables of materials (densities, ranges, stopping powers, photon absorption) and of damage in silicon.

Ranges and stopping powers are NIST PSTAR and ESTAR (``data/orbit/build_matter.py``); the displacement
damage functions of silicon are the on-line compilation of A. Vasilescu and G. Lindstroem (protons: Summers
1993 and Huhtinen; electrons: Summers 1993), relative to 95 MeV mb, the damage of a 1 MeV neutron.
"""

from functools import cache
from importlib.resources import files

import numpy as np
import xarray as xr
from jaxtyping import Float

from xcal_jax.io.datasets import load


@cache
def material_table() -> xr.Dataset:
    """Density (M,) g/cm3, ranges (M, E) g/cm2, stopping powers (M, E) MeV cm2/g, photon absorption (M, P) cm2/g."""
    path = files("xcal_jax.orbit") / "data/matter.nc"
    return load(str(path), "the table of shield materials").astype(float)


def materials() -> list[str]:
    """Names of the materials that a shield can consist of."""
    return [str(name) for name in material_table().material.values]


@cache
def damage_function(particle: str) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, " E"]]:
    """Energies, MeV, and the damage function D(E) of silicon over 95 MeV mb, of a "proton" or an "electron"."""
    text = (files("xcal_jax.orbit") / f"data/niel_{particle}.txt").read_text()
    energy, damage = np.array([line.split() for line in text.splitlines()], float).T
    return energy, damage
