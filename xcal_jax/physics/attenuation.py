"""How far photons fly and what they hit: attenuation and the choice of process, element and subshell (section 2.2).

One table of rows over energy serves all materials of an absorber. Rows are log-spaced, 1024 a decade, with two more
at every absorption edge, one just below it and one above, so that nothing is smeared over an edge. Attenuation is
interpolated log-log. The probabilities of the channels are interpolated linearly: one of the two rows is sampled, and
then a channel from its list.

A channel's code is the subshell (0..S-1, all elements in a row), S + c for Compton channel c (an element, or a subshell
of it, as the Compton model says), and S + C + e for Rayleigh scattering on element e, with S subshells and C Compton
channels in all. `Matter.hit` decodes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from xcal_jax.atomic import Element, Material
from xcal_jax.atomic.element import AVOGADRO_BARN
from xcal_jax.compute.shapes import Real, Whole
from xcal_jax.constants import ENERGY_RANGE
from xcal_jax.physics.discrete import Discrete
from xcal_jax.physics.impulse import Impulse
from xcal_jax.physics.photon_scattering import WallerHartree, cross_section

CELLS_PER_DECADE = 1024
Compton = type[WallerHartree] | type[Impulse]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Attenuation:
    """Rows over energy, R of them, for M materials with at most C channels.

    energy: (R,) eV; log_mass_attenuation: (M, R), of cm2/g; channels: laws M R, outcomes C; code: (M, C) int32;
    cell_row: (H,) int32, first row of each log-spaced cell; cell_edge: (H, K) eV, its edges, padded with inf.
    """

    energy: Array
    log_mass_attenuation: Array
    channels: Discrete
    code: Array
    cell_row: Array
    cell_edge: Array

    @classmethod
    def build(
        cls, materials: tuple[Material, ...], elements: tuple[Element, ...], compton: Compton, rayleigh: bool
    ) -> "Attenuation":
        """Tables for ``materials`` made of ``elements``, both without repetition; rayleigh: with that channel."""
        energy, above, cell_row, cell_edge = energy_rows(elements)
        curves, codes = zip(
            *(channels_of(m, elements, energy, above, compton, rayleigh) for m in materials), strict=True
        )
        width = max(code.size for code in codes)
        weights = np.stack([np.pad(c.T, ((0, 0), (0, width - len(c)))) for c in curves])
        return cls(
            jnp.asarray(energy),
            _log_totals(curves),
            Discrete.build(weights.reshape(-1, width)),
            jnp.asarray(np.stack([np.pad(c, (0, width - c.size)) for c in codes]), dtype=jnp.int32),
            jnp.asarray(cell_row, dtype=jnp.int32),
            jnp.asarray(cell_edge),
        )

    def place(self, energy: Real) -> tuple[Whole, Real]:
        """The row below ``energy`` eV, and the fraction of the way to the next, in the logarithm."""
        low = jnp.log(self.energy[0])
        cells = self.cell_row.shape[0]
        position = (jnp.log(energy) - low) * (cells / (jnp.log(self.energy[-1]) - low))
        cell = jnp.clip(position.astype(jnp.int32), 0, cells - 1)
        row = self.cell_row[cell]
        for k in range(self.cell_edge.shape[1]):
            row = row + jnp.where(energy >= self.cell_edge[cell, k], 2, 0)
        fraction = jnp.log(energy / self.energy[row]) / jnp.log(self.energy[row + 1] / self.energy[row])
        return row, jnp.clip(fraction, 0.0, 1.0)

    def mass_attenuation(self, row: Whole, fraction: Real) -> list[Array]:
        """Attenuation () of each of the M materials in cm2/g, at a place given by `place`."""
        return [jnp.exp((1.0 - fraction) * t[row] + fraction * t[row + 1]) for t in self.log_mass_attenuation]

    def pick_channel(self, material: Whole, row: Whole, fraction: Real, u_row: Real, u_channel: Real) -> Whole:
        """The code of what a photon hits in ``material``, at a place given by `place`, for two uniform numbers."""
        rows, channels = self.energy.shape[0], self.code.shape[1]
        at = material * rows + jnp.where(u_row < fraction, row + 1, row)
        channel = self.channels.pick(at, u_channel)
        return self.code.reshape(-1)[material * channels + channel]


def log_mass_attenuation(
    materials: tuple[Material, ...], elements: tuple[Element, ...], compton: Compton, rayleigh: bool
) -> tuple[Float[Array, " R"], Float[Array, "M R"]]:
    """The rows in eV, and the logarithm of each material's attenuation in cm2/g, as `Attenuation` holds them."""
    energy, above, _, _ = energy_rows(elements)
    return jnp.asarray(energy), _log_totals(
        [channels_of(m, elements, energy, above, compton, rayleigh)[0] for m in materials]
    )


def channels_of(
    material: Material,
    elements: tuple[Element, ...],
    energy: Float[np.ndarray, " R"],
    above: Bool[np.ndarray, " R"],
    compton: Compton,
    rayleigh: bool,
) -> tuple[Float[np.ndarray, "C R"], Int[np.ndarray, " C"]]:
    """The channels of ``material``: cross sections in cm2/g at the rows of `energy_rows`, and the codes."""
    subshells = np.cumsum([0] + [len(e.subshells) for e in elements])
    scattering = np.cumsum([subshells[-1]] + [len(compton.densities(e)) for e in elements])
    symbols = [element.symbol for element in elements]
    curves, codes = [], []
    for symbol, fraction in zip(material.elements, material.mass_fraction, strict=True):
        e = symbols.index(symbol)
        element = elements[e]
        scale = fraction * AVOGADRO_BARN / element.weight
        for s, subshell in enumerate(element.subshells):
            open_ = (energy > subshell.binding) | ((energy == subshell.binding) & above)
            curves.append(scale * np.where(open_, subshell.photoelectric(energy), 0.0))
            codes.append(subshells[e] + s)
        for c, density in enumerate(compton.densities(element)):
            curves.append(scale * cross_section(density, energy))
            codes.append(scattering[e] + c)
        if rayleigh:
            curves.append(scale * element.coherent(energy))
            codes.append(scattering[-1] + e)
    return np.stack(curves), np.array(codes)


def _log_totals(curves: Sequence[np.ndarray]) -> Array:
    return jnp.asarray(np.log([np.sum(rows, axis=0) for rows in curves]))


def energy_rows(
    elements: tuple[Element, ...],
) -> tuple[Float[np.ndarray, " R"], Bool[np.ndarray, " R"], Int[np.ndarray, " H"], Float[np.ndarray, "H K"]]:
    """The rows described above: their energies in eV, and whether each, at an edge, is the one above it; then of each
    log-spaced cell its first row, and its edges in eV, padded with inf.
    """
    low, high = ENERGY_RANGE
    cells = round(CELLS_PER_DECADE * np.log10(high / low))
    grid = np.geomspace(low, high, cells + 1)
    edges = np.unique(np.concatenate([e.binding for e in elements]))
    edges = edges[(edges > low) & (edges < high)]
    energy: list[float] = []
    above: list[bool] = []
    cell_row: list[int] = []
    cell_edge: list[np.ndarray] = []
    for cell in range(cells):
        inside = edges[(edges > grid[cell]) & (edges <= grid[cell + 1])]
        cell_row.append(len(energy))
        cell_edge.append(inside)
        energy += [grid[cell], *np.repeat(inside, 2)]
        above += [True, *np.tile([False, True], inside.size)]
    most = max(1, max(inside.size for inside in cell_edge))
    padded = np.array([np.pad(i, (0, most - i.size), constant_values=np.inf) for i in cell_edge])
    return np.array([*energy, high]), np.array([*above, True]), np.array(cell_row), padded
