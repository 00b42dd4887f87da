"""K x-rays that electrons set free in a shield: K-shell ionisation by Kolbenstvedt, yields and lines of EADL.

Aluminium's have 1.5 keV and come from within 10 um of the silicon. Where electrons pass they are a third of the
photons' dose in it, and a thousandth of the electrons' own. Kolbenstvedt (J. Appl. Phys. 38 (1967) 4785) has the
distant collisions by virtual photons and the close ones by Moller's law. Beside the distorted waves of Bote and Salvat
(as PENELOPE-2018 has them), 0.1 to 7 MeV: 0.68 to 0.79 of them in Al, 0.89 to 1.14 in Sn, 1.1 to 1.3 in Pb from
0.3 MeV on. Lines of L shells, up to 20 keV in U, are left out.
"""

import numpy as np
from jaxtyping import Float

from xcal_jax.atomic import load_element
from xcal_jax.atomic.element import AVOGADRO_BARN
from xcal_jax.orbit.material_tables import REST_ENERGY, composition

SOFTEST = 1e-3  # MeV, of a line: where the photon tables begin


def k_ionisation(energy: Float[np.ndarray, " n"], binding: float) -> Float[np.ndarray, " n"]:
    """Cross section of a K shell for electrons of ``energy``, barn; ``binding``: of the shell. Both in MeV."""
    edge = binding / REST_ENERGY
    tau = np.maximum(energy, binding) / REST_ENERGY
    square = (tau + 1) ** 2
    speed = tau * (tau + 2) / square  # (v/c)^2
    distant = 0.275 * (np.log(1.19 * tau * (tau + 2) / edge) - speed)
    close = 0.99 * (1 - edge / tau * (1 - tau**2 / (2 * square) + (2 * tau + 1) / square * np.log(tau / edge)))
    return np.where(energy > binding, np.maximum(distant + close, 0.0) / (edge * speed), 0.0)


def k_lines(name: str, energy: Float[np.ndarray, " n"]) -> dict[float, Float[np.ndarray, " n"]]:
    """Energy that electrons of ``energy`` (MeV) put into K x-rays of each element of ``name``, MeV cm2/g.

    The keys are the mean energies of the lines, MeV.
    """
    found = {}
    for symbol, fraction in composition(name).items():
        element = load_element(symbol)
        shell = element.subshells[0]
        radiates = shell.final2 < 0
        radiated = 1e-6 * float(shell.probability[radiates] @ shell.transition_energy[radiates])  # MeV per vacancy
        if not radiated or (line := radiated / shell.fluorescence_yield) < SOFTEST:
            continue
        per_gram = fraction * AVOGADRO_BARN / element.weight
        found[line] = per_gram * radiated * k_ionisation(energy, 1e-6 * shell.binding)
    return found
