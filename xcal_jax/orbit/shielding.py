"""Dose and displacement damage in silicon behind a shield from the fluence outside, in JAX.

Particles slow down continuously along straight lines. The fold runs over the energy E of a particle where it arrives.
Before a layer of t g/cm2 it had the energy E0 = R^-1(R(E) + t), and the spectrum follows from the conservation of
particles, j(E) = j0(E0) S(E0) / S(E). Ranges are only added, nothing cancels, float32 is enough (tests/orbit compares
it with float64), and the dose is differentiable in the thickness. Straggling and nuclear reactions are left out.
Electrons scatter: their R is the extrapolated range (Tabata, Ito and Okabe 1972), which brings their dose to 0.88-0.92
of SHIELDOSE-2 behind 0.5 to 5 mm of Al (for their photons see `xcal_jax.orbit.bremsstrahlung`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.io.arguments import checked
from xcal_jax.orbit.material_tables import damage_function, material_table, materials
from xcal_jax.units import parse_quantity, shown

RAD = 1.602176634e-8  # rad in 1 MeV/g
COSINES, WEIGHTS = np.polynomial.legendre.leggauss(32)
COSINES, WEIGHTS = (COSINES + 1) / 2, WEIGHTS / 2


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
        names, thickness = [], []
        for number, part in enumerate(filter(None, text.replace(" ", "").split(",")), 1):
            name, separator, size = part.partition(":")
            if not separator:
                raise ValueError(f"`shield` layer {number} must read material:thickness, but is {shown(part)}")
            if name not in materials():
                raise ValueError(
                    f"`shield` layer {number} must be one of {', '.join(materials())}, but is {shown(name)}"
                )
            millimetres = parse_quantity(size, "mm", f"shield layer {number} ({name})")
            if millimetres < 0:
                raise ValueError(
                    f"`shield` thickness must not be negative, but layer {number} ({name}) has {millimetres:g} mm"
                )
            names.append(name)
            thickness.append(millimetres)
        density = [float(material_table().density.sel(material=name)) for name in names]
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


def slowing(particle: str, name: str) -> tuple[Float[np.ndarray, " E"], ...]:
    """Logarithms of energy (MeV), range (g/cm2) and energy loss per depth (MeV cm2/g) in the material ``name``.

    Protons: CSDA range and stopping power. Electrons: extrapolated range R and 1 / (dR/dE).
    """
    row = material_table().sel(material=name)
    energy = np.log(row[f"{particle}_energy"].values)
    if particle == "proton":
        return energy, np.log(row.proton_range.values), np.log(row.proton_stopping.values)
    depth = np.log(row.electron_depth.values)
    return energy, depth, energy - depth - np.log(np.gradient(depth, energy))


def incident(
    particle: str, shield: Shield, areal: Float[Array, " L"], log_energy: Float[Array, " A"]
) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
    """Logarithms of the energy E0 outside and of the Jacobian dE0/dE of particles that arrive with ``log_energy``.

    areal: g/cm2 of the layers on their path. log_energy: logarithm of E in MeV.
    """
    log_jacobian = jnp.zeros_like(log_energy)
    for name, depth in zip(shield.materials[::-1], areal[::-1], strict=True):
        energies, ranges, stopping = (jnp.asarray(v, log_energy.dtype) for v in slowing(particle, name))
        left = jnp.exp(jnp.interp(log_energy, energies, ranges))
        outside = jnp.interp(jnp.log(left + depth), ranges, energies)
        log_jacobian += jnp.interp(outside, energies, stopping) - jnp.interp(log_energy, energies, stopping)
        log_energy = outside
    return log_energy, log_jacobian


def spectrum_at(
    log_energy: Float[Array, " A"], log_grid: Float[Array, " E"], log_spectrum: Float[Array, " E"]
) -> Float[Array, " A"]:
    """The incident spectrum at ``log_energy``: linear in the logarithms between its points, zero outside them."""
    inside = (log_energy >= log_grid[0]) & (log_energy <= log_grid[-1])
    return jnp.where(inside, jnp.exp(jnp.interp(log_energy, log_grid, log_spectrum)), 0.0)


def arriving_grid(particle: str) -> Float[np.ndarray, " A"]:
    """Logarithms of the energies (MeV) over which the fold runs."""
    low, high, size = (1e-3, 800.0, 440) if particle == "proton" else (1e-2, 8.0, 240)
    return np.linspace(np.log(low), np.log(high), size)


def _responses(particle: str) -> Float[np.ndarray, "2 A"]:
    """Dose (rad cm2) and 1 MeV neutrons per arriving particle, times the width dE of the trapezoids."""
    grid = arriving_grid(particle)
    energy = np.exp(grid)
    steps = energy * (grid[1] - grid[0])
    steps[[0, -1]] /= 2
    silicon = material_table().sel(material="Si")
    stopping = silicon["proton_stopping" if particle == "proton" else "electron_collision"].values
    ionising = np.exp(np.interp(np.log(energy), np.log(silicon[f"{particle}_energy"].values), np.log(stopping)))
    energies, damage = damage_function(particle)
    displacing = np.exp(np.interp(np.log(energy), np.log(energies), np.log(damage)))
    displacing[(energy < energies[0]) | (energy > energies[-1])] = 0.0
    return np.stack([RAD * ionising, displacing]) * steps


def path_dose(
    particle: str, shield: Shield, areal: Float[Array, " L"], energy: Float[Array, " E"], fluence: Float[Array, " E"]
) -> Float[Array, "2"]:
    """Dose, rad, and 1 MeV neutrons/cm2 behind one straight path of ``areal`` g/cm2; the rest as in `dose`."""
    arriving = jnp.asarray(arriving_grid(particle), fluence.dtype)
    outside, log_jacobian = incident(particle, shield, areal, arriving)
    tiny = jnp.finfo(fluence.dtype).tiny
    spectrum = spectrum_at(outside, jnp.log(energy), jnp.log(jnp.maximum(fluence, tiny)))
    return jnp.asarray(_responses(particle), fluence.dtype) @ (spectrum * jnp.exp(log_jacobian))


def over_directions(
    of_path: Callable[[Array], Array], shield: Shield, geometry: str, sides: int = 2
) -> Float[Array, "*parts"]:
    """Average of ``of_path(areal)`` over directions; areal: (L,) g/cm2 on a path.

    geometry: "sphere", silicon at the centre of a solid sphere, where every path is radial; or "slab", an infinite
    plate, with one path for each direction cosine. sides: 1 closes the other half of the sky, 2 has the same plate on
    both sides.
    """
    if geometry == "sphere":
        return of_path(shield.areal)
    cosines = jnp.asarray(COSINES, shield.areal.dtype)
    of_cosine = jax.vmap(lambda cosine: of_path(shield.areal / cosine))(cosines)
    return sides / 2 * jnp.tensordot(jnp.asarray(WEIGHTS, shield.areal.dtype), of_cosine, 1)


def dose(
    particle: str,
    shield: Shield,
    energy: Float[Array | np.ndarray, " E"],
    fluence: Float[Array | np.ndarray, " E"],
    geometry: str = "slab",
    sides: int = 2,
) -> Float[Array, "2"]:
    """Ionising dose, rad, and displacement damage, 1 MeV neutrons/cm2, in silicon behind ``shield``.

    particle: "proton" or "electron". energy: MeV. fluence: omnidirectional, 1/(cm2 MeV). geometry and sides as in
    `over_directions`. Differentiable in ``shield.thickness`` and ``fluence``.
    """
    energy, fluence = jnp.asarray(energy), jnp.asarray(fluence)
    return over_directions(lambda areal: path_dose(particle, shield, areal, energy, fluence), shield, geometry, sides)


@checked
def parse_sectors(text: str) -> list[tuple[float, Shield]]:
    """Solid-angle fractions and shields of text like ``"0.3*Al:1mm; 0.7*Al:1mm,Pb:2.5mm"``; one shield has fraction 1.

    Raises ValueError when fractions are no numbers in 0..1 or do not add up to 1, or as `Shield.build` does.
    """
    parts = [part.partition("*") if "*" in part else ("1", "*", part) for part in text.split(";")]
    sectors = [(parse_quantity(fraction, "", "shield fraction"), Shield.build(one)) for fraction, _, one in parts]
    total = sum(fraction for fraction, _ in sectors)
    if min(fraction for fraction, _ in sectors) < 0 or abs(total - 1) > 1e-6:
        raise ValueError(f"`shield` fractions must be positive and add up to 1, but add up to {total:g}")
    return sectors
