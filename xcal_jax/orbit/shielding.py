"""Shields of layers, the paths through them, and the dose in silicon on a path of protons, in JAX.

Protons slow down continuously along straight lines. The fold runs over the energy E of a proton where it arrives.
Before a layer of t g/cm2 it had the energy E0 = R^-1(R(E) + t), and the spectrum follows from the conservation of
particles, j(E) = j0(E0) S(E0) / S(E). Ranges are only added, nothing cancels, float32 is enough (tests/orbit compares
it with float64), and the dose is differentiable in the thickness. Straggling is left out. Nuclear reactions may be
counted (`xcal_jax.orbit.reactions`): protons that react do not arrive; their charged secondaries stop where they arise.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.io.arguments import checked
from xcal_jax.orbit.material_tables import damage_function, known_density, log_interpolated, matter
from xcal_jax.orbit.reactions import left_by_secondaries, reactions_on_the_way
from xcal_jax.units import parse_quantity, shown

RAD = 1.602176634e-8  # rad in 1 MeV/g
COSINES, WEIGHTS = np.polynomial.legendre.leggauss(32)
COSINES, WEIGHTS = (COSINES + 1) / 2, WEIGHTS / 2
LOWEST, HIGHEST, ARRIVING = 1e-3, 800.0, 440  # MeV, and how many energies, of the protons that arrive
BATCH = 64  # paths at once, which bounds the memory


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Shield:
    """Layers between space and the silicon, outermost first.

    thickness: (L,) mm. density: (L,) g/cm3. materials: L names (static).
    """

    thickness: jax.Array
    density: jax.Array
    materials: tuple[str, ...] = field(metadata={"static": True})

    @classmethod
    def build(cls, text: str) -> "Shield":
        """The shield that ``text`` describes, such as ``"Al:1mm,Pb:2.5mm"``, outermost layer first; ``""`` is none.

        Raises ValueError for an unknown material or a thickness that is negative or no length.
        """
        names, thickness, density = [], [], []
        for number, part in enumerate(filter(None, text.replace(" ", "").split(",")), 1):
            name, separator, size = part.partition(":")
            if not separator:
                raise ValueError(f"`shield` layer {number} must read material:thickness, but is {shown(part)}")
            density.append(known_density(name, f"`shield` layer {number}"))
            thickness.append(parse_quantity(size, "mm", f"shield layer {number} ({name})", least=0.0))
            names.append(name)
        return cls(jnp.asarray(thickness, float), jnp.asarray(density, float), tuple(names))

    def with_thickness(self, thickness) -> "Shield":
        """The same layers with other thicknesses, (L,) mm."""
        return replace(self, thickness=jnp.asarray(thickness))

    @property
    def areal(self) -> jax.Array:
        """Mass per area of each layer, (L,) g/cm2."""
        return self.thickness * self.density / 10

    def __str__(self) -> str:
        """The text that `build` reads."""
        return ",".join(f"{name}:{float(t):g}mm" for name, t in zip(self.materials, self.thickness, strict=True))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Paths:
    """P straight ways from space to the silicon through L materials.

    areal: (P, L) g/cm2, the outermost first. weight: (P,), the part of the sky that each stands for; their sum is 1, or
    1/2 where half of the sky is closed. materials: L names (static).
    """

    areal: jax.Array
    weight: jax.Array
    materials: tuple[str, ...] = field(metadata={"static": True})

    def mean(self, of_path: Callable[[Array], Array]) -> Float[Array, "*parts"]:
        """Sum over the paths of weight times ``of_path(areal)``; areal: (L,) g/cm2."""
        return jnp.tensordot(self.weight, jax.lax.map(of_path, self.areal, batch_size=BATCH), 1)


def paths_through(shield: Shield, geometry: str, sides: int = 2) -> Paths:
    """The paths through a shield of layers.

    geometry: "sphere", silicon at the centre of a solid sphere, where every path is radial; or "slab", an infinite
    plate, with one path for each direction cosine. sides: 1 closes the other half of the sky, 2 has the same plate on
    both sides.
    """
    dtype = shield.areal.dtype
    if geometry == "sphere":
        return Paths(shield.areal[None, :], jnp.ones(1, dtype), shield.materials)
    cosines, weights = (jnp.asarray(one, dtype) for one in (COSINES, WEIGHTS))
    return Paths(shield.areal[None, :] / cosines[:, None], sides / 2 * weights, shield.materials)


def slowing(name: str) -> tuple[Float[np.ndarray, " E"], ...]:
    """Logarithms of proton energy (MeV), CSDA range (g/cm2) and stopping power (MeV cm2/g) in ``name``."""
    row = matter(name)
    return tuple(np.log(row[f"proton_{part}"].values) for part in ("energy", "range", "stopping"))


def incident(
    materials: tuple[str, ...], areal: Float[Array, " L"], log_energy: Float[Array, " A"], reactions: bool = False
) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
    """Logarithms of the energy E0 outside and of the Jacobian dE0/dE of protons that arrive with ``log_energy``.

    areal: g/cm2 of the ``materials`` on their path. log_energy: logarithm of E in MeV. reactions: count as many less as
    have reacted.
    """
    log_jacobian = jnp.zeros_like(log_energy)
    for name, depth in zip(materials[::-1], areal[::-1], strict=True):
        energies, ranges, stopping = (jnp.asarray(v, log_energy.dtype) for v in slowing(name))
        left = jnp.exp(jnp.interp(log_energy, energies, ranges))
        outside = jnp.interp(jnp.log(left + depth), ranges, energies)
        log_jacobian += jnp.interp(outside, energies, stopping) - jnp.interp(log_energy, energies, stopping)
        if reactions:
            reacted = jnp.asarray(reactions_on_the_way(name), log_energy.dtype)
            log_jacobian -= jnp.interp(outside, energies, reacted) - jnp.interp(log_energy, energies, reacted)
        log_energy = outside
    return log_energy, log_jacobian


def spectrum_at(
    log_energy: Float[Array, " A"], energy: Float[Array, " E"], fluence: Float[Array, " E"]
) -> Float[Array, " A"]:
    """The ``fluence`` at ``log_energy``: linear in the logarithms between its points, zero outside them."""
    log_grid, tiny = jnp.log(energy), jnp.finfo(fluence.dtype).tiny
    inside = (log_energy >= log_grid[0]) & (log_energy <= log_grid[-1])
    return jnp.where(inside, jnp.exp(jnp.interp(log_energy, log_grid, jnp.log(jnp.maximum(fluence, tiny)))), 0.0)


def arriving_grid() -> Float[np.ndarray, " A"]:
    """Logarithms of the energies (MeV) of arriving protons over which the fold runs."""
    return np.linspace(np.log(LOWEST), np.log(HIGHEST), ARRIVING)


def damage_at(particle: str, energy: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Damage function of silicon at ``energy`` (MeV), over 95 MeV mb; zero outside its table."""
    energies, damage = damage_function(particle)
    found = np.exp(np.interp(np.log(energy), np.log(energies), np.log(damage)))
    return np.where((energy < energies[0]) | (energy > energies[-1]), 0.0, found)


def _responses(reactions: bool) -> Float[np.ndarray, "2 A"]:
    """Dose (rad cm2) and 1 MeV neutrons per arriving proton, times the width dE of the trapezoids."""
    grid = arriving_grid()
    energy = np.exp(grid)
    steps = energy * (grid[1] - grid[0])
    steps[[0, -1]] /= 2
    ionising = log_interpolated(energy, matter("Si").proton_stopping)
    if reactions:
        ionising += left_by_secondaries(energy)
    return np.stack([RAD * ionising, damage_at("proton", energy)]) * steps


def arriving_spectra(
    paths: Paths, energy: Float[Array, " E"], fluence: Float[Array, "S E"], reactions: bool = False
) -> Float[Array, "S A"]:
    """Fluence of protons behind the shield at the energies of `arriving_grid`, 1/(cm2 MeV); ``reactions`` lose some."""
    arriving = jnp.asarray(arriving_grid(), fluence.dtype)

    def of_path(areal):
        outside, log_jacobian = incident(paths.materials, areal, arriving, reactions)
        spectra = jax.vmap(lambda one: spectrum_at(outside, energy, one))(fluence)
        return spectra * jnp.exp(log_jacobian)[None, :]

    return paths.mean(of_path)


def arriving_doses(spectra: Float[Array, "S A"], reactions: bool = False) -> Float[Array, "S 2"]:
    """Ionising dose, rad, and displacement damage, 1 MeV neutrons/cm2, of spectra as of `arriving_spectra`.

    reactions: with the charged secondaries that arise in the silicon; the damage functions have the recoils anyway.
    """
    return spectra @ jnp.asarray(_responses(reactions).T, spectra.dtype)


def proton_doses(
    paths: Paths, energy: Float[Array, " E"], fluence: Float[Array, "S E"], reactions: bool = False
) -> Float[Array, "S 2"]:
    """Ionising dose, rad, and displacement damage, 1 MeV neutrons/cm2, of S omnidirectional fluences of protons.

    energy: MeV. fluence: 1/(cm2 MeV). reactions: count nuclear reactions, in the shield and in the silicon.
    Differentiable in ``paths.areal`` and ``fluence``.
    """
    return arriving_doses(arriving_spectra(paths, energy, fluence, reactions), reactions)


@checked
def parse_sectors(text: str) -> list[tuple[float, Shield]]:
    """Solid-angle fractions and shields of text like ``"0.3*Al:1mm; 0.7*Al:1mm,Pb:2.5mm"``; one shield has fraction 1.

    Raises ValueError for a fraction that is not above 0 and at most 1, fractions that do not add up to 1, or as
    `Shield.build` does.
    """
    parts = [part.partition("*") if "*" in part else ("1", "*", part) for part in text.split(";")]
    fractions = [parse_quantity(part, "", "shield fraction", above=0.0, most=1.0) for part, _, _ in parts]
    if abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"`shield` fractions must add up to 1, but add up to {sum(fractions):g}")
    return [(fraction, Shield.build(one)) for fraction, (_, _, one) in zip(fractions, parts, strict=True)]
