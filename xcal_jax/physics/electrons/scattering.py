"""Electrons that turn round: single collisions, and small losses all along the path.

An electron flies straight to its next collision and slows down on the way. There it turns (`elastic`), or it loses more
than 100 eV and sets another electron free (`inelastic`), the last of which is followed as well where it can reach a
face. At the border of a layer it stops and draws anew with the tables of the next: exact, since free paths have no
memory. Below 50 eV it deposits all that is left. So it does where every face is farther than the displacement along an
axis (Lewis's theory) will take it: farther than 3.5 standard deviations where it starts, than 4 later, a question
asked after every flight. An ion is out of reach where all but 1 % of its electrons are.

Measured for these choices, the first three with Wentzel's law at all angles: drawing losses down to 20 eV one by one
changes the smallest losses alone, for the worse; a look at the tables every 5 instead of 20 % of energy lost changes
nothing (0.3 %); a cut-off at 100 instead of 50 eV costs 5.6 % of the partial depositions at 1 keV, 1.3 % at 3 and 0.3 %
at 7 keV. Against tracks without a bound, in half-spaces of Bi (2.3 and 4.5 keV) and Cu (3 keV), 0.02 to 0.1 % of the
electrons that escape are missed, and up to 0.5 % of those that escape with least energy (3.5 later on: 0.3 and 2.7 %).
Starting at 3, where all photons are absorbed about that far from a face (X-IFU, x = y = 134.62 um), misses 18 % of the
smallest losses. Three electrons that wait in place of one change no band by 1 %.

PENELOPE-2018 is met to 4 % in totals (`analysis/full_physics.py`) and mostly 8 % in bands of loss; the smallest losses
at 3 keV are a sixth too few.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.atomic import Material
from xcal_jax.atomic.electron import ELECTRON_LIMITS
from xcal_jax.constants import PER_UM
from xcal_jax.physics.electrons.collisions import Collisions
from xcal_jax.physics.electrons.elastic import TURNS
from xcal_jax.physics.electrons.inelastic import LOSSES

LOWEST, HIGHEST = ELECTRON_LIMITS
CUTOFF = LOWEST  # eV; an electron with less deposits it where it is
STEPS_PER_OCTAVE = 16  # rows of the tables, equally spaced in energy between 50 eV, 100 eV, 200 eV ...
PLACE_BITS = 23 - 4  # of the 23 bits of a float32's mantissa, those within a row
FIRST_PLACE = 127 << 23  # the bits of 1.0
COLLISIONS, ELASTIC, SOFT = range(3)  # rows of `Scattering.path`
START, LATER = range(2)  # rows of `Scattering.range`


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scattering:
    """L layers at R energies, 16 to an octave from 50 eV to 1 MeV.

    path: (3, L, R): cross section of all collisions (cm2/g), the elastic share of it, soft stopping power (eV cm2/g);
    turn: (L, R, TURNS), b of the law of angles; outcome: (2, L, R, LOSSES) eV, see `Collisions`; range: (2, R) g/cm2,
    how far an electron gets from its start, and from any later place, in a reference whose stopping power no material
    undercuts when `price` (L,) is what one of its g/cm2 costs.
    """

    path: Array
    turn: Array
    outcome: Array
    range: Array
    price: Array
    negligible_fraction: ClassVar = 0.01  # of an ion's electrons: the ion is out of reach if no more could reach a face

    @classmethod
    def build(cls, layers: tuple[Material, ...]) -> "Scattering":
        """Tables for the materials of the L ``layers``. Raises ValueError for an element beyond Es."""
        octave, step = np.divmod(np.arange(32 * STEPS_PER_OCTAVE), STEPS_PER_OCTAVE)
        energy = LOWEST * np.ldexp(1.0 + step / STEPS_PER_OCTAVE, octave)
        energy = energy[energy <= HIGHEST]
        built = {material: Collisions.build(material, energy) for material in set(layers)}
        tables = [built[material] for material in layers]
        stopping = np.array([table.stopping for table in tables])
        detour = np.max([table.reach[:, 1:] / table.range[1:] for table in tables], axis=0)
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
            turn=jnp.asarray(np.array([table.turn for table in tables])),
            outcome=jnp.asarray(np.stack([table.outcome for table in tables], axis=1)),
            range=jnp.asarray(tables[0].range * np.pad(detour, ((0, 0), (1, 0)))),
            price=jnp.asarray((stopping / stopping[0]).min(axis=1)),
        )

    def stretched(self, factor: float) -> "Scattering":
        """With all paths ``factor`` times as long: between collisions and until an electron stops."""
        shorter = jnp.ones_like(self.path).at[jnp.array([COLLISIONS, SOFT])].set(1.0 / factor)
        return replace(self, path=self.path * shorter, price=self.price / factor)

    def place(self, energy: Array) -> tuple[Array, Array]:
        """The row () int32 at or below ``energy`` () eV, and how far it is to the next, () 0 to 1.

        The bits of a float32 are its octave and, linear in it, the place there: no logarithm is needed.
        """
        ratio = jnp.maximum(energy * (1.0 / LOWEST), 1.0).astype(jnp.float32)
        last = ((self.path.shape[-1] - 1) << PLACE_BITS) - 1
        place = jnp.minimum(jax.lax.bitcast_convert_type(ratio, jnp.int32) - FIRST_PLACE, last)
        return place >> PLACE_BITS, (place & ((1 << PLACE_BITS) - 1)).astype(energy.dtype) * 2.0**-PLACE_BITS

    def maximum_range(self, energy: Array, place: int = START) -> Array:
        """How far in the reference, g/cm2, an electron of ``energy`` () eV gets at most: 0 below the cutoff."""
        row, _ = self.place(energy)
        return jnp.where(energy > CUTOFF, self.range[place][row + 1], 0.0)

    def cost(self, density: Array) -> Array:
        """(L,) range in the reference, g/cm2, that an electron uses up per um of its path, at least."""
        return PER_UM * density * self.price

    def row(self, energy: Array, u: Array) -> Array:
        """The row () int32 below or above ``energy`` () eV, the nearer the oftener, for u (): linear in the mean."""
        row, share = self.place(energy)
        return row + (u < share).astype(jnp.int32)

    def at(self, quantity: int, layer: Array, row: Array) -> Array:
        """One of the quantities of `path`, ()."""
        return self.path[quantity].reshape(-1)[layer * self.path.shape[-1] + row]

    def cosine(self, layer: Array, row: Array, u: Array) -> Array:
        """Of the angle () by which a collision turns an electron, for u ()."""
        b = self.turn.reshape(-1)[(layer * self.turn.shape[1] + row) * TURNS + (u * TURNS).astype(jnp.int32)]
        return 1.0 - 2.0 * u / (1.0 + b * (1.0 - u))

    def hard_loss(self, layer: Array, row: Array, u: Array) -> list[Array]:
        """A loss () eV, and the electron set free () eV, for u (): knocked on, or with a minus sign of the vacancy."""
        at = (layer * self.outcome.shape[2] + row) * LOSSES + (u * LOSSES).astype(jnp.int32)
        return [flat[at] for flat in self.outcome.reshape(2, -1)]
