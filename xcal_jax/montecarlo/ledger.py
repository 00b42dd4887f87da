"""Where the energy of one photon goes: what the pixel that it hits keeps, what leaves it, and which pixels stop that.

In an array all numbers of a `Ledger` are those of the pixel of the first interaction. What other pixels stop, and what
leaves the array, stands in its `Shares`. Without an array, or with one pixel, all that leaves the pixel escapes.
"""

from dataclasses import dataclass, replace
from typing import cast

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.compute.shapes import Flag, Real, Whole
from xcal_jax.physics.geometry import Pixels
from xcal_jax.physics.relaxation import NONE

NO_PIXEL = -1
SHARING = 8  # pixels beside the one hit that may share the energy of one photon


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Shares:
    """The energy of one photon that is not in ``home``, the pixel hit: in other pixels, or escaped.

    home: () int32; pixel: (K,) int32, -1 for none; energy: (K,) eV in each; escaped: () eV that left the array;
    full: () bool, whether there were more than K pixels.
    """

    home: Array
    pixel: Array
    energy: Array
    escaped: Array
    full: Array

    @classmethod
    def empty(cls, pixels: Pixels | None, home: Whole | None, zero: Real) -> "Shares | None":
        """Empty shares (None for a single absorber); zero: 0 eV, in the float type of the run."""
        if pixels is None:
            return None
        others = (max(1, min(pixels.count - 1, SHARING)),)
        pixel = jnp.full(others, NO_PIXEL, jnp.int32)
        return cls(cast(Array, home), pixel, jnp.zeros(others, zero.dtype), zero, jnp.zeros((), bool))

    def add(self, pixel: Whole, energy: Real) -> "Shares":
        """The shares with ``energy`` eV more in ``pixel``, unless that is home."""
        wanted = (energy != 0.0) & (pixel != self.home)
        mine, free = self.pixel == pixel, self.pixel == NO_PIXEL
        place = jnp.where(jnp.any(mine), jnp.argmax(mine), jnp.argmax(free))
        here = wanted & (mine | free) & (jnp.arange(self.pixel.shape[0]) == place)
        return replace(
            self,
            pixel=jnp.where(here, pixel, self.pixel),
            energy=self.energy + jnp.where(here, energy, 0.0),
            full=self.full | (wanted & ~jnp.any(here)),
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Ledger:
    """Where the energy of one photon went, and how; all are ().

    deposited, by_photons, by_electrons: eV that stayed, and that photons and electrons took out; the three add up to
    the photon's energy. escapes: int32, photons that left; line: int32, the transition of the last of them, -1 for a
    scattered photon; scattered: bool, whether an interaction was a scattering; overflow: bool, whether a count ran out
    of its bits.

    In an array these are of the pixel hit: by_photons and by_electrons are what left it less what came back, escapes
    counts the photons that left it or came back to stay. shares: the other pixels, None without an array.
    """

    deposited: Array
    by_photons: Array
    by_electrons: Array
    escapes: Array
    line: Array
    scattered: Array
    overflow: Array
    shares: Shares | None = None

    def at_home(self, pixel: Whole | None) -> Flag | bool:
        """Whether ``pixel`` is the one hit; without an array there is no other."""
        return True if self.shares is None else pixel == self.shares.home

    def keep(self, pixel: Whole | None, energy: Real) -> "Ledger":
        """The ledger after ``energy`` eV stays in ``pixel``."""
        if self.shares is None:
            return replace(self, deposited=self.deposited + energy)
        deposited = self.deposited + jnp.where(self.at_home(pixel), energy, 0.0)
        return replace(self, deposited=deposited, shares=self.shares.add(cast(Array, pixel), energy))

    def release(self, pixel: Whole | None, energy: Real) -> "Ledger":
        """The ledger after an electron takes ``energy`` eV out of ``pixel``."""
        if self.shares is not None:
            energy = jnp.where(self.at_home(pixel), energy, 0.0)
        return replace(self, by_electrons=self.by_electrons + energy)

    def catch(self, pixel: Whole | None, energy: Real) -> "Ledger":
        """The ledger after ``pixel`` stops ``energy`` eV of an electron from another pixel."""
        return self.keep(pixel, energy).release(pixel, -energy)

    def rebook(self, escaped: Real, shares: Shares | None) -> "Ledger":
        """The ledger after an electron, booked as stopped where it began, is found to leave that pixel.

        escaped: eV that it takes out of the absorber or array; shares: what other pixels have of it.
        """
        pixel = None if shares is None else shares.home
        ledger = self.keep(pixel, -escaped).release(pixel, escaped).escape(escaped)
        if shares is None:
            return ledger

        def any_left(state: tuple[Whole, Ledger]) -> Flag:
            k, _ = state
            return jnp.any((shares.energy != 0.0) & (jnp.arange(shares.energy.shape[0]) >= k))

        def catch(state: tuple[Whole, Ledger]) -> tuple[Whole, Ledger]:
            k, ledger = state
            energy = shares.energy[k]
            return k + 1, ledger.keep(pixel, -energy).release(pixel, energy).catch(shares.pixel[k], energy)

        ledger = jax.lax.while_loop(any_left, catch, (jnp.int32(0), ledger))[1]
        return replace(ledger, overflow=ledger.overflow | shares.full)

    def escape(self, energy: Real) -> "Ledger":
        """The ledger after ``energy`` eV leaves the array."""
        if self.shares is None:
            return self
        return replace(self, shares=replace(self.shares, escaped=self.shares.escaped + energy))

    def fly(
        self, start: Whole | None, end: Whole | None, flies: Flag, escaped: Flag, energy: Real, line: Whole
    ) -> "Ledger":
        """The ledger after a photon of ``energy`` eV flies from pixel ``start`` to an interaction in ``end``.

        flies: whether there is a photon; escaped: whether it leaves the array instead; line: its transition, -1 for a
        scattered photon.
        """
        leaves, returns = flies & escaped, jnp.zeros_like(escaped)
        ledger = self.escape(jnp.where(leaves, energy, 0.0))
        if self.shares is not None:
            from_home, to_home = self.at_home(start), self.at_home(end) & ~escaped
            leaves, returns = flies & from_home & ~to_home, flies & to_home & ~from_home
        return replace(
            ledger,
            by_photons=ledger.by_photons + jnp.where(leaves, energy, 0.0) - jnp.where(returns, energy, 0.0),
            escapes=ledger.escapes + (leaves | returns).astype(jnp.int32),
            line=jnp.where(leaves, line, jnp.where(returns, NONE, ledger.line)),
        )
