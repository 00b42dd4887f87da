"""The state of one photon's history: its vertex, the ion, the photons and electrons that wait, the ledger."""

from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from xcal_jax.absorber.matter import Hit, Matter
from xcal_jax.montecarlo.ledger import Ledger
from xcal_jax.physics.geometry import Direction, Site, Stack
from xcal_jax.physics.relaxation import NONE, Vacancies, any_vacancy

PENDING = 8  # photons that may wait in one history
EMITTED = 4  # photons that may wait at one ion


class Medium(NamedTuple):
    """The matter that photons and electrons move in: stack, densities (L,) g/cm3, tables of the materials."""

    stack: Stack
    density: Array
    matter: Matter


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Vertex:
    """The end of a photon's flight: it hits an atom, or leaves (`met` is false). All are ().

    energy: eV, of the photon along direction; hit: what it hits; margin: a lower bound of the electron range to any
    face, in the measure of the electron model; emits: whether a photon comes out of the vacancy; electron_near,
    ion_near: whether the photoelectron, or an electron of the ion, may reach a face. beside: of the first vertex,
    whether the photon has met a wider substrate first; None where there is none, and for later ones.
    """

    site: Site
    direction: Direction
    energy: Array
    hit: Hit
    margin: Array
    met: Array
    emits: Array
    electron_near: Array
    ion_near: Array
    beside: Array | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Ion:
    """An atom with vacancies, and the photons that it has emitted and that have not flown yet.

    margin: () as in `Vertex`; element: () int32; vacancies: its counts; chosen: () int32, the subshell of a further
    vacancy, one that must lead to a photon, or -1; emitted: up to four transitions (`Transition.line`), the newest
    first, -1 for none.
    """

    site: Site
    margin: Array
    element: Array
    vacancies: Vacancies
    chosen: Array
    emitted: tuple[Array, ...]

    @property
    def excited(self) -> Bool[Array, "..."]:
        """Whether vacancies are left."""
        return any_vacancy(self.vacancies) | (self.chosen >= 0)

    @property
    def relaxing(self) -> Bool[Array, "..."]:
        """Whether it can go on relaxing before a photon has to fly."""
        return self.excited & (self.emitted[-1] == NONE)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pending:
    """A stack of photons that wait where they were emitted: site (P,), line (P,) int32; count () int32."""

    site: Site
    line: Array
    count: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class History:
    """One photon's history so far. counter: () uint32, of the next random numbers.

    electrons: () eV each, of the electrons at the ion that have to be followed, 0 for none: the one that the photon has
    ejected, along recoil, and Auger electrons, in any direction. There are `waiting_slots` of them, none where
    electrons go straight; recoil is None there. scattered_energy: () eV of a photon just scattered at the ion, along
    onwards; 0 for none.
    """

    counter: Array
    ion: Ion
    electrons: tuple[Array, ...]
    recoil: Direction | None
    scattered_energy: Array
    onwards: Direction
    pending: Pending
    ledger: Ledger

    @property
    def following(self) -> Bool[Array, "..."]:
        """Whether electrons have to be followed."""
        return reduce(jnp.logical_or, (energy > 0 for energy in self.electrons), jnp.zeros_like(self.ion.excited))

    @property
    def relaxing(self) -> Bool[Array, "..."]:
        """Whether the ion can go on relaxing."""
        return self.ion.relaxing & (self.electrons[-1] <= 0 if self.electrons else True)

    @property
    def flying(self) -> Bool[Array, "..."]:
        """Whether a photon has to fly next."""
        waits = (self.pending.count > 0) | (self.scattered_energy > 0) | (self.ion.emitted[0] != NONE)
        return waits & ~self.ion.relaxing & ~self.following
