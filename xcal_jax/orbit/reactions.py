"""Nuclear reactions of protons: how many are lost on the way, and what charged secondaries leave where they arise.

Cross sections are those of J.R. Letaw, R. Silberberg and C.H. Tsao (Astrophys. J. Suppl. 51 (1983) 271), from 10 MeV
on. As in SHIELDOSE-2 (Seltzer 1994) the charged secondaries stop where they arise. They have 0.65 of the proton's
energy: in the tables of SHIELDOSE-2 it is 0.56 at 30 MeV, 0.63 at 100 MeV and 0.73 at 800 MeV. Neutrons, and nucleons
that go on from the shield to the silicon, are not followed.
"""

import numpy as np
from jaxtyping import Float

from xcal_jax.atomic import load_element
from xcal_jax.atomic.element import AVOGADRO_BARN
from xcal_jax.orbit.material_tables import composition, matter

LOCAL = 0.65
SLOWEST = 10.0  # MeV: slower protons do not react


def cross_section(energy: Float[np.ndarray, " n"], mass_number: float) -> Float[np.ndarray, " n"]:
    """Cross section of protons of ``energy`` (MeV) to react with a nucleus, barn."""
    fast = 0.045 * mass_number**0.7 * (1 + 0.016 * np.sin(5.3 - 2.63 * np.log(mass_number)))
    energy = np.asarray(energy, float)
    at = np.maximum(energy, SLOWEST)
    slower = 1 - 0.62 * np.exp(-at / 200) * np.sin(10.9 * at**-0.28)
    return np.where(energy < SLOWEST, 0.0, fast * slower)


def per_length(name: str) -> Float[np.ndarray, " E"]:
    """Reactions per g/cm2 in ``name`` at the proton energies of its table, cm2/g. Hydrogen has none."""
    energy = matter(name).proton_energy.values
    parts = [
        fraction * AVOGADRO_BARN / load_element(symbol).weight * cross_section(energy, load_element(symbol).weight)
        for symbol, fraction in composition(name).items()
        if symbol != "H"
    ]
    return np.sum([np.zeros(len(energy)), *parts], 0)


def reactions_on_the_way(name: str) -> Float[np.ndarray, " E"]:
    """Reactions of a proton that slows down in ``name`` from the energies of its table to rest."""
    row = matter(name)
    energy, rate = row.proton_energy.values, per_length(name) / row.proton_stopping.values
    steps = np.diff(energy) * (rate[1:] + rate[:-1]) / 2
    return np.append(0.0, np.cumsum(steps))


def left_by_secondaries(energy: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Energy that charged secondaries leave in silicon for each g/cm2 of protons of ``energy`` (MeV), MeV cm2/g."""
    return LOCAL * energy * np.interp(energy, matter("Si").proton_energy.values, per_length("Si"))
