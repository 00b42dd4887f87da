"""Orbits and dose: elements -> positions -> trapped flux -> fluence -> shield (layers or boxes) -> dose and damage."""

from pkgutil import iter_modules

import lazy_loader

from xcal_jax.orbit.dose import bremsstrahlung_dose, dose_behind, dose_of_spectrum, mission_dose
from xcal_jax.orbit.elements import Altitudes, Elements
from xcal_jax.orbit.fluence import mission_fluence
from xcal_jax.orbit.flux_tables import read_fluxes
from xcal_jax.orbit.mass_model import MassModel
from xcal_jax.orbit.months import Segment, monthly_segments
from xcal_jax.orbit.orbit_files import SATELLITES, read_altitudes, read_tle, shipped_altitudes
from xcal_jax.orbit.passes import list_passes
from xcal_jax.orbit.rays import areal_density, shielding_map
from xcal_jax.orbit.shielding import Shield, parse_sectors
from xcal_jax.orbit.summary import report

__all__ = [
    "SATELLITES",
    "Altitudes",
    "Elements",
    "MassModel",
    "Segment",
    "Shield",
    "areal_density",
    "bremsstrahlung_dose",
    "dose_behind",
    "dose_of_spectrum",
    "list_passes",
    "mission_dose",
    "mission_fluence",
    "monthly_segments",
    "parse_sectors",
    "read_altitudes",
    "read_fluxes",
    "read_tle",
    "report",
    "shielding_map",
    "shipped_altitudes",
]

MODULES = [module.name for module in iter_modules(__path__)]
__getattr__, _, _ = lazy_loader.attach(__name__, MODULES)


def __dir__() -> list[str]:
    """The public names, and the modules."""
    return sorted({*__all__, *MODULES})
