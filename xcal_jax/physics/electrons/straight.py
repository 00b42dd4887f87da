"""The paper's electrons: straight tracks of their extrapolated range (section 2.3, Eqs. 3 and 4).

Eq. 3 is printed with a sign error. Only with a plus before 0.31104 is Eq. 4 its derivative:

    R_ex = A / (Z rho) exp(-4.5467 + 0.31104 ln E + 0.07773 (ln E)^2) 1e-6 cm        E in eV, rho in g/cm3

The printed minus makes 5 keV electrons stop in Bi after 0.5 nm and gives partial depositions of 0.56, 0.31 and
0.20 % at 3, 5 and 7 keV, where the paper reports 1.7, 1.0 and 0.9 %.

R_ex rho Z/A is the same function of energy in every material, the `scaled range` below. A track of s_l um in each layer
l uses up the sum of s_l (rho Z/A)_l of it. The scaled range is inverted in closed form (a quadratic in ln E), so the
energy left after a track is exact, where the paper integrates Eq. 4. Known limits: electrons never scatter, and
compared with Tabata et al. 1996 the range in Au is 3 % short at 5 keV, 26 % long at 10 keV and 63 % long at 20 keV.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.atomic import Material
from xcal_jax.compute.shapes import Real
from xcal_jax.physics.geometry import Direction, Site, Stack, walk
from xcal_jax.physics.layers import cumulative, cumulative_upwards
from xcal_jax.physics.path_lengths import segments

A, B, C = -4.5467, 0.31104, 0.07773
UNIT = 1e-2  # 1e-6 cm in um
LEAST_ENERGY = 1.0  # eV; the scaled range of less energy is that of 1 eV


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Straight:
    """The electron model "range": electrons go straight. z_over_a: (L,) mol/g, of each layer."""

    z_over_a: Array
    waiting_slots: ClassVar[int] = 0  # electrons of one ion that wait to be followed: none, all escape or stop at once
    negligible_fraction: ClassVar[float] = 0.0  # of an ion's electrons: every one may escape

    @classmethod
    def build(cls, layers: tuple[Material, ...]) -> "Straight":
        """The model in the materials of the L ``layers``."""
        return cls(jnp.asarray(np.array([material.z_over_a for material in layers])))

    def stretched(self, factor: float) -> "Straight":
        """The model with all ranges multiplied by ``factor``."""
        return Straight(self.z_over_a / factor)

    def maximum_range(self, energy: Array) -> Array:
        """Scaled range of electrons of ``energy`` eV, of any shape: how far they get at most, in units of `per_um`."""
        return scaled_range(energy)

    def per_um(self, density: Float[Array, " L"]) -> Float[Array, " L"]:
        """Scaled range that an electron uses up in a um of track in each layer; density: g/cm3."""
        return range_constant(density, self.z_over_a)

    def escaping_energy(
        self, stack: Stack, density: Float[Array, " L"], site: Site, direction: Direction, energy: Real
    ) -> Real:
        """Energy in eV with which an electron of ``energy`` eV leaves its part of the stack; 0 if it stops inside."""
        escaped, left, _ = walk(stack, site, direction, self.per_um(density), self.maximum_range(energy))
        return jnp.where(escaped, energy_of_range(left), 0.0)

    def deposits(
        self, stack: Stack, density: Float[Array, " L"], site: Site, direction: Direction, energy: Real
    ) -> list[Array]:
        """Energy in eV, L of (), that an electron of ``energy`` eV leaves in each layer until it stops or escapes."""
        per_um = self.per_um(density)
        _, length = segments(stack, site, direction)
        (down, _), (up, _) = (add(per_um, length) for add in (cumulative, cumulative_upwards))
        budget, kept = self.maximum_range(energy), []
        for n, um in enumerate(length):
            before, spent = jnp.where(direction.z < 0.0, down[n], up[n]), per_um[n] * um
            enters, leaves = (energy_of_range(budget - used) for used in (before, before + spent))
            kept.append(jnp.where(spent > 0.0, enters - leaves, 0.0))  # exactly 0 where there is nothing
        return kept


def scaled_range(energy: Array) -> Array:
    """R_ex rho Z/A in um g/cm3 mol/g of electrons of ``energy`` eV, of any shape (Eq. 3 with the plus)."""
    x = jnp.log(jnp.maximum(energy, LEAST_ENERGY))
    return UNIT * jnp.exp(A + x * (B + C * x))


def energy_of_range(scaled: Array) -> Array:
    """Energy in eV whose scaled range is ``scaled`` um g/cm3 mol/g, of any shape: Eq. 3 inverted; 0 below 1 eV."""
    least = UNIT * jnp.exp(A)
    square = B * B - 4.0 * C * (A - jnp.log(jnp.maximum(scaled, least) / UNIT))
    return jnp.where(scaled > least, jnp.exp((jnp.sqrt(square) - B) / (2.0 * C)), 0.0)


def range_constant(density: Array, z_over_a: Array) -> Array:
    """Scaled range that a um of track uses up: rho Z/A in g/cm3 mol/g. In compounds Z/A is weighted by mass."""
    return density * z_over_a
