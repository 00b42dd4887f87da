"""Where the physics of a run was compared with what, and how well; and a sentence where a run is outside of that.

Compared were 24 cases that nothing had been tuned to, 300 eV to 122 keV, Be to Bi, with PENELOPE-2018 on the same
photoelectric tables, and the windows about the Compton edges of Si (60 keV) and Sn (122 keV). The numbers are in
`notebooks/docs/physics.md`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from xcal_jax.absorber.absorber import VACUUM, Absorber
from xcal_jax.atomic import Material, load_element

STRAIGHT = (2000.0, 10_000.0)  # eV: where straight electrons are of use
SCATTERING = (300.0, 122_000.0)  # eV: where scattering electrons were compared
COMPTON_SHARE = 0.01  # of the cross section, from which the model of Compton scattering is worth a word
ELECTRONS = {
    "range": "straight electrons, 2 to 10 keV: 0.74 to 0.80 of PENELOPE's partial depositions, and another shape",
    "scattering": "scattering electrons, 300 eV to 122 keV: totals within 5 % of PENELOPE's in 23 of 24 cases, losses "
    "above a tenth of the energy within 10 %, smaller ones 0.8 to 1",
}
COMPTON = {
    "waller-hartree": "Compton scattering: totals within 3 %, no Doppler broadening, vacancy or recoil (beyond "
    "the edge 0.1 to 0.4 of PENELOPE's deposits)",
    "impulse": "Compton scattering: windows about the edge within 10 % of PENELOPE's",
}
RAYLEIGH = {
    True: "Rayleigh scattering: included",
    False: "Rayleigh scattering: left out (quantum efficiency at 70 degrees up to 0.9 % too high)",
}
BREMSSTRAHLUNG = "bremsstrahlung: left out (below 0.15 % of the deposit at 122 keV, by PENELOPE)"


class Validity(NamedTuple):
    """What the physics was compared with, in a sentence for each part; and a sentence for each way to be outside."""

    compared: tuple[str, ...]
    outside: tuple[str, ...]


def validity(absorber: Absorber, low: float, high: float) -> Validity:
    """The validity of a run of photons of ``low`` to ``high`` eV in ``absorber``."""
    compared = ELECTRONS[absorber.electrons], COMPTON[absorber.compton], RAYLEIGH[absorber.rayleigh], BREMSSTRAHLUNG
    return Validity(compared, tuple(_outside(absorber, low, high)))


def _outside(absorber: Absorber, low: float, high: float) -> Iterator[str]:
    least, most = STRAIGHT
    rule = f"`range` electrons hold from {least / 1e3:g} to {most / 1e3:g} keV"
    if absorber.electrons == "range" and high > most:
        wrong = "losses by electrons are wrong by factors (2.2 to 2.4 at 100 keV)"
        yield f'{rule}: at {high / 1e3:g} keV {wrong}, which `physics = "full"` mends'
    if absorber.electrons == "range" and low < least:
        wrong = "half of the partial depositions are missing"
        yield f'{rule}: at {low / 1e3:g} keV {wrong}, which `physics = "full"` mends'
    least, most = SCATTERING
    if absorber.electrons == "scattering" and (low < least or high > most):
        at = high if high > most else low
        yield f"nothing was compared with other programs below {least:g} eV or above {most / 1e3:g} keV: here {at:g} eV"
    share = max(compton_share(formula, high) for formula in absorber.formulas if formula != VACUUM)
    if absorber.compton == "waller-hartree" and share > COMPTON_SHARE:
        yield (
            f"Compton scattering is {100 * share:.2g} % of the cross section at {high / 1e3:g} keV and has no Doppler "
            'broadening, vacancy or recoil here, which `physics = "full"` has'
        )


def compton_share(formula: str, energy: float) -> float:
    """Compton scattering's share of what photons of ``energy`` eV do in a material, Rayleigh scattering apart."""
    material = Material.build(formula, 1.0)
    parts = [(load_element(s), w) for s, w in zip(material.elements, material.mass_fraction, strict=True)]
    compton = np.sum([w * float(element.incoherent(energy)) / element.weight for element, w in parts])
    absorbed = np.sum([w * float(element.photoelectric(energy)) / element.weight for element, w in parts])
    return float(compton / (compton + absorbed))
