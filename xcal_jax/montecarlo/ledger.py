"""Where the energy of one photon goes: what the pixel that it hits keeps, what leaves it, and who catches that.

In an array all figures of a `Ledger` are those of the pixel of the first interaction. What other pixels catch, and what
leaves the array, stands beside them in `Shares`. Without an array, or with one pixel, the two descriptions are one.
"""

from dataclasses import dataclass, replace
from typing import cast

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.physics.geometry import Pixels

NOBODY = -1
SHARING = 8  # pixels beside the one hit that may have a share of one photon


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Shares:
    """What the pixels beside ``home``, the one hit, have of a photon's energy.

    home: () int32; pixel: (K,) int32, -1 for none; energy: (K,) eV; escaped: () eV that left the array; full: () bool,
    whether there were more than K.
    """

    home: Array
    pixel: Array
    energy: Array
    escaped: Array
    full: Array

    @classmethod
    def of(cls, pixels: Pixels | None, home: Array | None, zero: Array) -> "Shares | None":
        """Those of nobody yet; None without an array."""
        if pixels is None:
            return None
        others = (max(1, min(pixels.count - 1, SHARING)),)
        nobody = jnp.full(others, NOBODY, jnp.int32)
        return cls(cast(Array, home), nobody, jnp.zeros(others, zero.dtype), zero, jnp.zeros((), bool))

    def add(self, pixel: Array, energy: Array) -> "Shares":
        """With ``energy`` () eV more for ``pixel`` () int32, unless that is home."""
        wanted = (energy != 0.0) & (pixel != self.home)
        mine, free = self.pixel == pixel, self.pixel == NOBODY
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
    """Where the energy of one photon went, () eV each, and how.

    deposited + by_photons + by_electrons is the photon's energy. escapes: photons that left; line: the transition
    of the last of them, -1 for a scattered photon; scattered: an interaction was a scattering; overflow: a count
    ran out of its bits.

    In an array these are of the pixel hit: by_photons and by_electrons what left it less what came back, escapes the
    photons that left it or came back to stay. shares: what the others have, None without an array.
    """

    deposited: Array
    by_photons: Array
    by_electrons: Array
    escapes: Array
    line: Array
    scattered: Array
    overflow: Array
    shares: Shares | None = None

    def at_home(self, pixel: Array | None) -> Array | bool:
        """Whether ``pixel`` () is the one hit; without an array there is no other."""
        return True if self.shares is None else pixel == self.shares.home

    def keep(self, pixel: Array | None, energy: Array) -> "Ledger":
        """``energy`` () eV stays in ``pixel`` ()."""
        if self.shares is None:
            return replace(self, deposited=self.deposited + energy)
        deposited = self.deposited + jnp.where(self.at_home(pixel), energy, 0.0)
        return replace(self, deposited=deposited, shares=self.shares.add(cast(Array, pixel), energy))

    def release(self, pixel: Array | None, energy: Array) -> "Ledger":
        """An electron takes ``energy`` () eV out of ``pixel`` ()."""
        if self.shares is not None:
            energy = jnp.where(self.at_home(pixel), energy, 0.0)
        return replace(self, by_electrons=self.by_electrons + energy)

    def catch(self, pixel: Array, energy: Array) -> "Ledger":
        """``pixel`` () keeps ``energy`` () eV of an electron from another."""
        return self.keep(pixel, energy).release(pixel, -energy)

    def settle(self, escaped: Array, shares: Shares | None) -> "Ledger":
        """An electron booked as stopped leaves: ``escaped`` () eV the array, its ``shares`` the pixel it began in."""
        pixel = None if shares is None else shares.home
        ledger = self.keep(pixel, -escaped).release(pixel, escaped).escape(escaped)
        if shares is None:
            return ledger

        def any_left(state):
            k, _ = state
            return jnp.any((shares.energy != 0.0) & (jnp.arange(shares.energy.shape[0]) >= k))

        def catch(state):
            k, ledger = state
            energy = shares.energy[k]
            return k + 1, ledger.keep(pixel, -energy).release(pixel, energy).catch(shares.pixel[k], energy)

        ledger = jax.lax.while_loop(any_left, catch, (jnp.int32(0), ledger))[1]
        return replace(ledger, overflow=ledger.overflow | shares.full)

    def escape(self, energy: Array) -> "Ledger":
        """``energy`` () eV leaves the array."""
        if self.shares is None:
            return self
        return replace(self, shares=replace(self.shares, escaped=self.shares.escaped + energy))

    def fly(self, start: Array | None, end: Array | None, flies: Array, escaped: Array, energy: Array, line: Array):
        """A photon of ``energy`` () eV flies from pixel ``start`` to be absorbed in ``end``, if it has not ``escaped``.

        line: () int32, its transition, -1 for a scattered photon.
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
            line=jnp.where(leaves, line, jnp.where(returns, NOBODY, ledger.line)),
        )
