"""Numbers that more than one file needs, with their units; the names of models; the version of the program."""

import math
from importlib.metadata import version
from typing import Any

VERSION = version("xcal-jax")
YIELDS = ("eadl", "krause")  # fluorescence yields
COSTER_KRONIG = ("eadl", "krause")  # probabilities that vacancies move between L1, L2 and L3
ELECTRONS = ("range", "scattering")  # models of their paths
COMPTON = ("waller-hartree", "impulse")  # models of Compton scattering
PHYSICS: dict[str, dict[str, Any]] = {  # one word for all models: Lorenz et al. 2022, and all that this program knows
    "paper": {"electrons": "range", "compton": "waller-hartree", "rayleigh": False},
    "full": {"electrons": "scattering", "compton": "impulse", "rayleigh": True},
}
DEFAULT_PHYSICS = "paper"

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))  # of a Gaussian
ELECTRON_REST_ENERGY = 510998.95  # eV, CODATA 2018
FINE_STRUCTURE = 1.0 / 137.035999084  # CODATA 2018; the atomic unit of momentum in m c
HC = 12398.41984  # eV Angstrom
CLASSICAL_ELECTRON_RADIUS_SQUARED = 0.0794078  # barn
PER_UM = 1e-4  # cm2/g x g/cm3 in 1/um
ENERGY_RANGE = (10.0, 1e6)  # eV: rows of the interaction tables; what may be asked is in `atomic.ENERGY_LIMITS`
