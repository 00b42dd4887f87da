"""Everything the layers are made of, as tables on the device: built once an absorber, whatever its thicknesses."""

from dataclasses import dataclass, field
from functools import partial

import jax
import numpy as np
from jax import Array

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.atomic import ENERGY_LIMITS, Element, Material, load_element
from xcal_jax.physics import photoelectric, photon_scattering
from xcal_jax.physics.angular import AngularLaws
from xcal_jax.physics.attenuation import Attenuation
from xcal_jax.physics.electrons.scattering import Scattering
from xcal_jax.physics.electrons.straight import Straight
from xcal_jax.physics.relaxation import Relaxation

PER_UM = 1e-4  # cm2/g x g/cm3 = 1/cm
ELECTRON_MODELS: dict[str, type[Straight] | type[Scattering]] = {"range": Straight, "scattering": Scattering}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Matter:
    """M materials, N elements, S subshells (all elements in a row).

    angles: law 0 for photoelectrons, 1 + e for Compton and 1 + N + e for Rayleigh scattering on element e.
    electrons: their model; reach: (S,) how far the fastest electron gets that a vacancy can send out, in its measure.
    layer_material: each layer's material.
    """

    attenuation: Attenuation
    relaxation: Relaxation
    angles: AngularLaws
    electrons: Straight | Scattering
    reach: Array
    layer_material: tuple[int, ...] = field(metadata={"static": True})

    @classmethod
    def build(cls, absorber: Absorber, yields: str = "eadl") -> "Matter":
        """Tables for the materials of ``absorber``; yields: fluorescence yields, "eadl" or "krause"."""
        formulas = tuple(dict.fromkeys(absorber.formulas))
        densities = dict(zip(absorber.formulas, absorber.density, strict=True))
        materials = tuple(Material.build(formula, float(densities[formula])) for formula in formulas)
        elements = elements_of(absorber, yields)
        model = ELECTRON_MODELS[absorber.electrons]
        relaxation = Relaxation.build(elements, model.RARE)
        layer_material = tuple(formulas.index(formula) for formula in absorber.formulas)
        electrons = model.build(tuple(materials[m] for m in layer_material))
        return cls(
            Attenuation.build(materials, elements, absorber.rayleigh),
            relaxation,
            AngularLaws.build(
                photoelectric.sauter_density,
                *(partial(photon_scattering.compton_density, element) for element in elements),
                *(partial(photon_scattering.rayleigh_density, element) for element in elements if absorber.rayleigh),
            ),
            electrons,
            electrons.reach(relaxation.hardest),
            layer_material,
        )

    def attenuation_at(self, density: Array, row: Array, share: Array) -> list[Array]:
        """1/um in each of the L layers, () each, at a place in the energy rows."""
        by_material = self.attenuation.mass_attenuation(row, share)
        return [PER_UM * density[n] * by_material[material] for n, material in enumerate(self.layer_material)]

    def optical_depth(self, absorber: Absorber) -> np.ndarray:
        """Of the whole stack at normal incidence, (R,), at the energy rows of the attenuation."""
        table = np.exp(np.asarray(self.attenuation.log_mass_attenuation, dtype=np.float64))
        areal = PER_UM * np.asarray(absorber.density) * np.asarray(absorber.thickness)
        return areal @ table[list(self.layer_material)]


def elements_of(absorber: Absorber, yields: str = "eadl") -> tuple[Element, ...]:
    """The elements of an absorber, by atomic number."""
    symbols = {symbol for formula in absorber.formulas for symbol in Material.build(formula, 1.0).elements}
    return tuple(sorted((load_element(symbol, yields) for symbol in symbols), key=lambda element: element.z))


def quantum_efficiency(absorber: Absorber, energy) -> np.ndarray:
    """Probability (E,) that a photon of ``energy`` (E,) eV interacts, at normal incidence.

    Raises ValueError for an energy outside the tables.
    """
    low, high = ENERGY_LIMITS
    energy = np.asarray(energy, dtype=np.float64)
    if not np.all((energy >= low) & (energy <= high)):
        raise ValueError(f"`energy` must be within the tables, {low:g} eV to {high:g} eV")
    matter = Matter.build(absorber)
    depth = np.interp(np.log(energy), np.log(matter.attenuation.energy), np.log(matter.optical_depth(absorber)))
    return -np.expm1(-np.exp(depth))
