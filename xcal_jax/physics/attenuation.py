"""How far photons fly and what they hit: attenuation and the choice of process, element and subshell (section 2.2).

One table of rows over energy serves all materials of an absorber. Rows are log-spaced, 1024 a decade, with two more
at every absorption edge, one just below it and one above, so that nothing is smeared over an edge. Attenuation is
interpolated log-log; the shares of the channels linearly, by drawing one of the two rows and then from its list.

A channel's code is the subshell (0..S-1, all elements in a row), S + e for Compton scattering on element e, and
S + N + e for Rayleigh scattering, with S subshells and N elements in all.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.atomic import Element, Material
from xcal_jax.atomic.element import AVOGADRO_BARN
from xcal_jax.constants import ENERGY_RANGE
from xcal_jax.physics.discrete import AliasTable
from xcal_jax.physics.photon_scattering import compton_cross_section

CELLS_PER_DECADE = 1024


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Attenuation:
    """Rows over energy, R of them, for M materials with at most C channels.

    energy: (R,) eV; log_mass_attenuation: (M, R), of cm2/g; channels: rows M R, outcomes C; code: (M, C) int32;
    cell_row: (H,) int32, first row of each log-spaced cell; cell_edge: (H, K) eV, its edges, padded with inf.
    """

    energy: Array
    log_mass_attenuation: Array
    channels: AliasTable
    code: Array
    cell_row: Array
    cell_edge: Array

    @classmethod
    def build(cls, materials: tuple[Material, ...], elements: tuple[Element, ...], rayleigh: bool) -> "Attenuation":
        """Tables for ``materials`` made of ``elements``, both without repetition."""
        energy, above, cell_row, cell_edge = energy_rows(elements)
        subshells = np.cumsum([0] + [len(e.subshells) for e in elements])
        total = np.zeros((len(materials), energy.size))
        shares, codes = [], []
        for m, material in enumerate(materials):
            curves, code = [], []
            for symbol, fraction in zip(material.elements, material.mass_fraction, strict=True):
                e = [element.symbol for element in elements].index(symbol)
                element = elements[e]
                scale = fraction * AVOGADRO_BARN / element.weight
                for s, subshell in enumerate(element.subshells):
                    open_ = (energy > subshell.binding) | ((energy == subshell.binding) & above)
                    curves.append(scale * np.where(open_, subshell.photoelectric(energy), 0.0))
                    code.append(subshells[e] + s)
                curves.append(scale * compton_cross_section(element, energy))
                code.append(subshells[-1] + e)
                if rayleigh:
                    curves.append(scale * element.coherent(energy))
                    code.append(subshells[-1] + len(elements) + e)
            total[m] = np.sum(curves, axis=0)
            shares.append(np.stack(curves, axis=1))
            codes.append(np.array(code))
        width = max(share.shape[1] for share in shares)
        weights = np.stack([np.pad(s, ((0, 0), (0, width - s.shape[1]))) for s in shares])
        return cls(
            jnp.asarray(energy),
            jnp.asarray(np.log(total)),
            AliasTable.build(weights.reshape(-1, width)),
            jnp.asarray(np.stack([np.pad(c, (0, width - c.size)) for c in codes]), dtype=jnp.int32),
            jnp.asarray(cell_row, dtype=jnp.int32),
            jnp.asarray(cell_edge),
        )

    def place(self, energy: Array) -> tuple[Array, Array]:
        """The row () int32 below ``energy`` () eV, and the share () of the way to the next, in the logarithm."""
        low = jnp.log(self.energy[0])
        cells = self.cell_row.shape[0]
        position = (jnp.log(energy) - low) * (cells / (jnp.log(self.energy[-1]) - low))
        cell = jnp.clip(position.astype(jnp.int32), 0, cells - 1)
        row = self.cell_row[cell]
        for k in range(self.cell_edge.shape[1]):
            row = row + jnp.where(energy >= self.cell_edge[cell, k], 2, 0)
        share = jnp.log(energy / self.energy[row]) / jnp.log(self.energy[row + 1] / self.energy[row])
        return row, jnp.clip(share, 0.0, 1.0)

    def mass_attenuation(self, row: Array, share: Array) -> list[Array]:
        """cm2/g of each of the M materials, () each, at a place given by `place`."""
        return [jnp.exp((1.0 - share) * t[row] + share * t[row + 1]) for t in self.log_mass_attenuation]

    def pick_channel(self, material: Array, row: Array, share: Array, u_row: Array, u_channel: Array) -> Array:
        """The code () int32 of what a photon hits in ``material`` () int32."""
        rows, channels = self.energy.shape[0], self.code.shape[1]
        at = material * rows + jnp.where(u_row < share, row + 1, row)
        channel = self.channels.pick(at, u_channel)
        return self.code.reshape(-1)[material * channels + channel]


def energy_rows(elements: tuple[Element, ...]):
    """(energy (R,) eV, above (R,) bool, cell_row (H,), cell_edge (H, K)): the grid described above."""
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
