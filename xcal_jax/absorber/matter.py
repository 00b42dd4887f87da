"""The materials of the layers as tables on the device: built once for an absorber, independent of its thicknesses."""

import os
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from numpy.typing import ArrayLike

from xcal_jax.absorber.absorber import VACUUM, Absorber
from xcal_jax.atomic import Element, Material, check_energies, load_element
from xcal_jax.compute.lanes import choose
from xcal_jax.compute.shapes import Real, Whole
from xcal_jax.constants import PER_UM
from xcal_jax.io.arguments import checked
from xcal_jax.physics import photoelectric, photon_scattering
from xcal_jax.physics.angular import AngularLaws
from xcal_jax.physics.attenuation import Attenuation, log_mass_attenuation
from xcal_jax.physics.electrons.scattering import Scattering
from xcal_jax.physics.electrons.straight import Straight
from xcal_jax.physics.geometry import Direction, deflect
from xcal_jax.physics.impulse import Impulse, recoil_cosine
from xcal_jax.physics.photon_scattering import WallerHartree
from xcal_jax.physics.relaxation import Relaxation
from xcal_jax.units import Quantity, as_numbers, parse_list, several

ELECTRON_MODELS: dict[str, type[Straight] | type[Scattering]] = {"range": Straight, "scattering": Scattering}
COMPTON_MODELS: dict[str, type[WallerHartree] | type[Impulse]] = {"waller-hartree": WallerHartree, "impulse": Impulse}


class Hit(NamedTuple):
    """The target of an interaction, () each.

    ejects: bool, whether an atom sends out an electron and keeps a vacancy; scatters: bool, whether a photon flies on;
    coherent: bool, whether by Rayleigh scattering; subshell: int32, that is ionised (any if none is); law: int32, of
    `Matter.angles`, of the photoelectron or of the scattered photon. A photon that is absorbed ejects an electron, one
    that scatters does not, or, by the impulse approximation, also does.
    """

    ejects: Array
    scatters: Array
    coherent: Array
    subshell: Array
    law: Array


class Products(NamedTuple):
    """The electron, the photon, or both, that come out of an atom which a photon has hit.

    kinetic: () eV, of the electron if one is ejected; recoil: its direction; after: () eV, of the photon if it is
    scattered; onwards: its direction.
    """

    kinetic: Array
    recoil: Direction
    after: Array
    onwards: Direction


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Matter:
    """M materials, N elements, S subshells (all elements in a row), C channels of Compton scattering.

    angles: law 0 for photoelectrons, 1 + c for Compton scattering in channel c, 1 + C + e for Rayleigh scattering on
    element e. compton: its model. electrons: their model; maximum_range: (S,) of the fastest electron that a vacancy
    can send out, in its measure. layer_material: each layer's material; compton_channels: C.
    """

    attenuation: Attenuation
    relaxation: Relaxation
    angles: AngularLaws
    compton: WallerHartree | Impulse
    electrons: Straight | Scattering
    maximum_range: Array
    layer_material: tuple[int, ...] = field(metadata={"static": True})
    compton_channels: int = field(metadata={"static": True})

    @classmethod
    def build(cls, absorber: Absorber, yields: str = "eadl") -> "Matter":
        """Tables for the materials of ``absorber``; yields: fluorescence yields, "eadl" or "krause"."""
        materials, layer_material = materials_of(absorber)
        elements = elements_of(absorber, yields)
        model = ELECTRON_MODELS[absorber.electrons]
        relaxation = Relaxation.build(elements, model.negligible_fraction)
        electrons = model.build(tuple(materials[m] for m in layer_material))
        compton = COMPTON_MODELS[absorber.compton]
        scattering = [density for element in elements for density in compton.densities(element)]
        return cls(
            Attenuation.build(materials, elements, compton, absorber.rayleigh),
            relaxation,
            AngularLaws.build(
                photoelectric.sauter_density,
                *scattering,
                *(partial(photon_scattering.rayleigh_density, element) for element in elements if absorber.rayleigh),
            ),
            compton.build(elements),
            electrons,
            electrons.maximum_range(relaxation.hardest),
            layer_material,
            len(scattering),
        )

    def hit(self, code: Whole) -> Hit:
        """The target that the ``code`` of a channel of `Attenuation` stands for."""
        subshells = self.relaxation.subshells
        absorbed, coherent = code < subshells, code >= subshells + self.compton_channels
        law = jnp.where(absorbed, 0, 1 + code - subshells)
        if not self.compton.ionises:
            return Hit(absorbed, ~absorbed, coherent, jnp.minimum(code, subshells - 1), law)
        subshell = jnp.minimum(jnp.where(absorbed, code, code - subshells), subshells - 1)
        return Hit(~coherent, ~absorbed, coherent, subshell, law)

    def collide(self, hit: Hit, energy: Real, direction: Direction, u: list[Any]) -> Products:
        """The products of a photon of ``energy`` eV along ``direction`` that hits ``hit``.

        u: uniform numbers, two to each of `compton.counters`.
        """
        u_polar, u_azimuth, *u_momentum = u
        binding = self.relaxation.binding[hit.subshell]
        kinetic = jnp.maximum(energy - binding, 0.0)
        cosine = self.angles.sample_cosine(hit.law, jnp.where(hit.scatters, energy, kinetic), u_polar)
        onwards = deflect(direction, cosine, u_azimuth)
        after = jnp.where(
            hit.coherent, energy, self.compton.scattered_energy(hit.subshell, energy, cosine, *u_momentum)
        )
        if not self.compton.ionises:
            return Products(kinetic, onwards, after, onwards)
        kinetic = jnp.where(hit.scatters, jnp.maximum(energy - after - binding, 0.0), kinetic)
        aside = deflect(direction, recoil_cosine(energy, after, cosine), u_azimuth + 0.5)
        return Products(kinetic, choose(hit.scatters, aside, onwards), after, onwards)

    def attenuation_at(self, density: Float[Array, " L"], row: Whole, fraction: Real) -> list[Array]:
        """Attenuation () in each of the L layers in 1/um, at a place in the energy rows; density: g/cm3."""
        by_material = self.attenuation.mass_attenuation(row, fraction)
        return [PER_UM * density[n] * by_material[material] for n, material in enumerate(self.layer_material)]

    def material_of(self, layer: Whole) -> Whole:
        """The material of ``layer``, one of M."""
        return jnp.array(self.layer_material, dtype=jnp.int32)[layer]

    def optical_depth(self, absorber: Absorber) -> Float[np.ndarray, " R"]:
        """Optical depth of the whole stack at normal incidence, at the energy rows of the attenuation."""
        return _optical_depths(absorber, self.attenuation.log_mass_attenuation, self.layer_material)[-1]


def materials_of(absorber: Absorber) -> tuple[tuple[Material, ...], tuple[int, ...]]:
    """The materials of an absorber without repetition, and which of them each layer is made of.

    Vacuum is the first of them: its density is 0.
    """
    densities = dict(zip(absorber.formulas, absorber.density, strict=True))
    formulas = [formula for formula in densities if formula != VACUUM]
    materials = tuple(Material.build(formula, float(densities[formula])) for formula in formulas)
    return materials, tuple(0 if formula == VACUUM else formulas.index(formula) for formula in absorber.formulas)


def elements_of(absorber: Absorber, yields: str = "eadl") -> tuple[Element, ...]:
    """The elements of an absorber, by atomic number."""
    formulas = set(absorber.formulas) - {VACUUM}
    symbols = {symbol for formula in formulas for symbol in Material.build(formula, 1.0).elements}
    return tuple(
        sorted(
            (load_element(symbol, yields, absorber.coster_kronig) for symbol in symbols), key=lambda element: element.z
        )
    )


@checked
def quantum_efficiency(
    absorber: Absorber | str | os.PathLike[str], energy: ArrayLike | Quantity
) -> Float[np.ndarray, "*E"]:
    """Probability that a photon of ``energy`` interacts, at normal incidence: 1 - exp(-optical depth).

    With dead layers it is the probability that the first interaction is in a layer that counts. What comes back from
    dead layers, the Monte Carlo has.

    absorber: what `Absorber.load` takes; energy: eV, or with a unit, one or several (E,). Rayleigh scattering is left
    out: it deposits nothing. What it changes in the paths, the Monte Carlo has. Raises ValueError for an energy outside
    the tables.

    >>> print(quantum_efficiency("xifu", "7 keV").round(3), quantum_efficiency("xifu", ["1 keV", "7 keV"]).round(3))
    0.902 [1.    0.902]
    """
    if isinstance(energy, np.ndarray):
        many = np.atleast_1d(as_numbers(energy, "energy", "eV"))
    else:
        many = np.array(parse_list(energy, "eV", "energy"))
    absorber = Absorber.load(absorber)
    if absorber.dead:
        found = interaction_by_layer(absorber, many).sum(axis=1)
    else:
        found = -np.expm1(-_optical_depths_at(absorber, many)[-1])
    return found if several(energy) else found[0, ...]


def collision_probability(absorber: Absorber, energy: ArrayLike) -> Float[np.ndarray, " E"]:
    """Probability of a collision in any layer, also by Rayleigh scattering: what forced photons stand for."""
    return -np.expm1(-_optical_depths_at(absorber, energy, absorber.rayleigh)[-1])


def interaction_by_layer(absorber: Absorber, energy: ArrayLike) -> Float[np.ndarray, "E L"]:
    """Probability that a photon of ``energy`` (E,) eV first interacts in each layer, at normal incidence; 0 if dead.

    Its sum over the layers is the `quantum_efficiency`; Rayleigh scattering is left out as there. Raises
    ValueError for an energy outside the tables.
    """
    counts = np.array([n not in absorber.dead for n in range(len(absorber.formulas))])
    return np.where(counts, np.diff(-np.expm1(-_optical_depths_at(absorber, energy)), prepend=0.0, axis=0).T, 0.0)


def _optical_depths_at(absorber: Absorber, energy: ArrayLike, rayleigh: bool = False) -> np.ndarray:
    """Optical depth (L, E) from the top to the bottom of each layer, interpolated log-log between the energy rows."""
    energy = check_energies(np.asarray(energy, dtype=np.float64))
    materials, layer_material = materials_of(absorber)
    rows, table = log_mass_attenuation(materials, elements_of(absorber), COMPTON_MODELS[absorber.compton], rayleigh)
    depths = _optical_depths(absorber, table, layer_material)
    nothing = np.finfo(float).tiny  # of the optical depth of vacuum
    return np.exp([np.interp(np.log(energy), np.log(rows), np.log(np.maximum(depth, nothing))) for depth in depths])


def _optical_depths(absorber: Absorber, table: Array, layer_material: tuple[int, ...]) -> np.ndarray:
    """Optical depth (L, R) from the top to the bottom of each layer, at the energy rows of ``table`` (M, R)."""
    attenuation = np.exp(np.asarray(table, dtype=np.float64))[list(layer_material)]
    areal = PER_UM * np.asarray(absorber.density) * np.asarray(absorber.thickness)
    return np.array([areal[: n + 1] @ attenuation[: n + 1] for n in range(len(areal))])
