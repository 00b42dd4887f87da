"""Electrons that scatter: single collisions, and small losses all along the path.

An electron flies straight to its next collision and slows down on the way. In a collision it either changes its
direction (`elastic`), or it loses more than 100 eV and sets another electron free (`inelastic`). Of the electrons set
free, the last is followed as well, where it can reach a face. At the border of a layer the electron stops, and its free
path is sampled anew with the tables of the next layer: this is exact, since free paths have no memory. Below 50 eV an
electron deposits all of its energy. So it does where every face is out of reach: farther than 3.5 standard deviations
of the displacement along an axis (Lewis's theory) where it starts, and farther than 4 later, which is checked after
every flight. An ion is treated as out of reach if at most 1 % of its Auger electrons could reach a face.

Measured for these choices, the first three with Wentzel's law at all angles:
- Sampling losses down to 20 eV one by one changes the smallest losses only, for the worse.
- Reading the tables every 5 % instead of every 20 % of energy lost changes nothing (0.3 %).
- A cut-off at 100 instead of 50 eV costs 5.6 % of the partial depositions at 1 keV, 1.3 % at 3 and 0.3 % at 7 keV.
- Compared with tracks without a bound, in half-spaces of Bi (2.3 and 4.5 keV) and Cu (3 keV), 0.02 to 0.1 % of the
  electrons that escape are missed, and up to 0.5 % of those that escape with least energy (with 3.5 standard deviations
  later on: 0.3 and 2.7 %).
- 3 standard deviations at the start, where all photons are absorbed about that far from a face (X-IFU,
  x = y = 134.62 um), miss 18 % of the smallest losses.
- Keeping three electrons that wait instead of one changes no band of losses by 1 %.

Totals agree with PENELOPE-2018 to 4 % (`analysis/full_physics.py`), and bands of loss mostly to 8 %; the smallest
losses at 3 keV are a sixth too few.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.atomic import Material
from xcal_jax.atomic.electron import ELECTRON_LIMITS
from xcal_jax.compute.shapes import Real, Whole
from xcal_jax.constants import PER_UM
from xcal_jax.physics.electrons.collisions import Collisions
from xcal_jax.physics.electrons.elastic import PARTS
from xcal_jax.physics.electrons.inelastic import LOSSES
from xcal_jax.physics.geometry import Direction, Site, Stack

LOWEST, HIGHEST = ELECTRON_LIMITS
CUTOFF = LOWEST  # eV; an electron with less deposits it where it is
STEPS_PER_OCTAVE = 16  # rows of the tables, equally spaced in energy between 50 eV, 100 eV, 200 eV ...
PLACE_BITS = 23 - 4  # of the 23 bits of a float32's mantissa, those within a row
FIRST_PLACE = 127 << 23  # the bits of 1.0
COLLISIONS, ELASTIC, SOFT = range(3)  # rows of `Scattering.path`
AUGER_SLOTS = 4  # electrons that may wait at one ion, beside the photoelectron
START, LATER = range(2)  # rows of `Scattering.range`


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scattering:
    """The electron model "scattering": tables of L layers at R energies, 16 to an octave from 50 eV to 1 MeV.

    path: (3, L, R): cross section of all collisions (cm2/g), the elastic fraction of it, soft stopping power
    (eV cm2/g); law: (L, R, PARTS), b of the law of angles, see `elastic`; outcome: (2, L, R, LOSSES) eV, see
    `Collisions`.
    range: (2, R) g/cm2 of the first layer's material, how far an electron gets at most from its start, and from any
    later place; relative_stopping: (L,), the least ratio over all energies of a layer's stopping power to the first
    layer's: a g/cm2 of the layer uses up at least so many g/cm2 of the range.
    """

    path: Array
    law: Array
    outcome: Array
    range: Array
    relative_stopping: Array
    waiting_slots: ClassVar[int] = 1 + AUGER_SLOTS  # electrons of one ion that wait to be followed
    negligible_fraction: ClassVar[float] = 0.01  # of an ion's Auger electrons

    @classmethod
    def build(cls, layers: tuple[Material, ...]) -> "Scattering":
        """The model in the materials of the L ``layers``. Raises ValueError for an element beyond Es."""
        octave, step = np.divmod(np.arange(32 * STEPS_PER_OCTAVE), STEPS_PER_OCTAVE)
        energy = LOWEST * np.ldexp(1.0 + step / STEPS_PER_OCTAVE, octave)
        energy = energy[energy <= HIGHEST]
        built = {material: Collisions.build(material, energy) for material in set(layers)}
        tables = [built[material] for material in layers]
        stopping = np.array([table.stopping for table in tables])
        detour = np.max([table.maximum[:, 1:] / table.range[1:] for table in tables], axis=0)
        collisions = np.array([table.elastic + table.hard for table in tables])
        return cls(
            path=jnp.asarray(
                np.stack(
                    [
                        collisions,
                        np.array([table.elastic for table in tables]) / collisions,
                        np.array([table.soft for table in tables]),
                    ]
                )
            ),
            law=jnp.asarray(np.array([table.law for table in tables])),
            outcome=jnp.asarray(np.stack([table.outcome for table in tables], axis=1)),
            range=jnp.asarray(tables[0].range * np.pad(detour, ((0, 0), (1, 0)))),
            relative_stopping=jnp.asarray((stopping / stopping[0]).min(axis=1)),
        )

    def stretched(self, factor: float) -> "Scattering":
        """The model with all paths multiplied by ``factor``: between collisions, and until an electron stops."""
        shorter = jnp.ones_like(self.path).at[jnp.array([COLLISIONS, SOFT])].set(1.0 / factor)
        return replace(self, path=self.path * shorter, relative_stopping=self.relative_stopping / factor)

    def place(self, energy: Array) -> tuple[Array, Array]:
        """The rows (int32) at or below ``energy`` eV, of any shape, and the fractions of the way to the next row.

        The bits of a float32 are its octave and, linear in it, the place there: no logarithm is needed.
        """
        ratio = jnp.maximum(energy * (1.0 / LOWEST), 1.0).astype(jnp.float32)
        last = ((self.path.shape[-1] - 1) << PLACE_BITS) - 1
        place = jnp.minimum(jax.lax.bitcast_convert_type(ratio, jnp.int32) - FIRST_PLACE, last)
        return place >> PLACE_BITS, (place & ((1 << PLACE_BITS) - 1)).astype(energy.dtype) * 2.0**-PLACE_BITS

    def maximum_range(self, energy: Array, place: int = START) -> Array:
        """How far electrons of ``energy`` eV, of any shape, get at most, in units of `per_um`; 0 below the cutoff.

        In g/cm2 of the first layer's material; place: `START` or `LATER`.
        """
        row, _ = self.place(energy)
        return jnp.where(energy > CUTOFF, self.range[place][row + 1], 0.0)

    def per_um(self, density: Float[Array, " L"]) -> Float[Array, " L"]:
        """Range in g/cm2 that an electron uses up at least in a um of each layer; density: g/cm3."""
        return PER_UM * density * self.relative_stopping

    def escaping_energy(
        self, stack: Stack, density: Float[Array, " L"], site: Site, direction: Direction, energy: Real
    ) -> Real:
        """Energy in eV that is known to leave the absorber before the electron is followed: 0."""
        return jnp.zeros_like(energy)

    def row(self, energy: Real, u: Real) -> Whole:
        """The row below or above ``energy`` eV, sampled with ``u`` so that means are linear in energy."""
        row, fraction = self.place(energy)
        return row + (u < fraction).astype(jnp.int32)

    def at(self, quantity: int, layer: Whole, row: Whole) -> Real:
        """One of the quantities of `path`."""
        return self.path[quantity].reshape(-1)[layer * self.path.shape[-1] + row]

    def cosine(self, layer: Whole, row: Whole, u: Real) -> Real:
        """Cosine of the deflection in an elastic collision, for ``u``."""
        b = self.law.reshape(-1)[(layer * self.law.shape[1] + row) * PARTS + (u * PARTS).astype(jnp.int32)]
        return 1.0 - 2.0 * u / (1.0 + b * (1.0 - u))

    def hard_loss(self, layer: Whole, row: Whole, u: Real) -> list[Array]:
        """Energy () lost and energy () of the electron set free, eV, for ``u``; see `Collisions` for its sign."""
        at = (layer * self.outcome.shape[2] + row) * LOSSES + (u * LOSSES).astype(jnp.int32)
        return [flat[at] for flat in self.outcome.reshape(2, -1)]
