"""Where the energy of one photon goes: what the pixel that it hits keeps, what leaves it, and what stops that.

Energy is booked to accounts (`Stack.account`): pixels and dead layers. All numbers of a `Ledger` are those of the pixel
of the first interaction, by its layers that count. What other accounts stop, and what escapes from all, stands in its
`Shares`. Without an array and without dead layers there is one account alone, and all that leaves it escapes.
"""

from dataclasses import dataclass, replace
from typing import cast

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.compute.shapes import Flag, Real, Whole
from xcal_jax.physics.geometry import Stack
from xcal_jax.physics.relaxation import NONE

NO_ACCOUNT = -1
SHARING = 8  # pixels beside the one hit that may share the energy of one photon


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Shares:
    """The energy of one photon that is not in ``home``, the pixel hit: in other accounts, or escaped.

    home: () int32; account: (K,) int32, -1 for none; energy: (K,) eV in each; escaped: () eV that left the array, or
    the absorber; full: () bool, whether there were more than K accounts.
    """

    home: Array
    account: Array
    energy: Array
    escaped: Array
    full: Array

    @classmethod
    def empty(cls, stack: Stack, home: Whole | None, zero: Real) -> "Shares | None":
        """Empty shares (None where there is one account alone); zero: 0 eV, in the float type of the run."""
        if home is None:
            return None
        others = (max(1, min(stack.pixel_count - 1, SHARING) + len(stack.dead)),)
        account = jnp.full(others, NO_ACCOUNT, jnp.int32)
        return cls(home, account, jnp.zeros(others, zero.dtype), zero, jnp.zeros((), bool))

    def add(self, account: Whole, energy: Real) -> "Shares":
        """The shares with ``energy`` eV more in ``account``, unless that is home."""
        wanted = (energy != 0.0) & (account != self.home)
        mine, free = self.account == account, self.account == NO_ACCOUNT
        place = jnp.where(jnp.any(mine), jnp.argmax(mine), jnp.argmax(free))
        here = wanted & (mine | free) & (jnp.arange(self.account.shape[0]) == place)
        return replace(
            self,
            account=jnp.where(here, account, self.account),
            energy=self.energy + jnp.where(here, energy, 0.0),
            full=self.full | (wanted & ~jnp.any(here)),
        )

    def in_pixels(self, stack: Stack) -> Array:
        """`account` of one photon or many, with -1 in the place of dead layers of ``stack``."""
        return jnp.where(self.account < stack.pixel_count, self.account, NO_ACCOUNT) if stack.dead else self.account

    def in_dead_layers(self, stack: Stack) -> list[Array]:
        """Energy in eV in each of the D dead layers of ``stack``, of one photon or many."""
        numbers = range(stack.pixel_count, stack.accounts)
        return [jnp.sum(jnp.where(self.account == number, self.energy, 0.0), axis=-1) for number in numbers]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Ledger:
    """Where the energy of one photon went, and how; all are ().

    deposited, by_photons, by_electrons: eV that stayed, and that photons and electrons took out; the three add up to
    the photon's energy. escapes: int32, photons that left; line: int32, the transition of the last of them, -1 for a
    scattered photon; scattered: bool, whether an interaction was a scattering; overflow: bool, whether a count ran out
    of its bits.

    In an array or with dead layers these are of the pixel hit: by_photons and by_electrons are what left it less what
    came back, escapes counts the photons that left it or came back to stay. shares: the other accounts, None where
    there are none.
    """

    deposited: Array
    by_photons: Array
    by_electrons: Array
    escapes: Array
    line: Array
    scattered: Array
    overflow: Array
    shares: Shares | None = None

    def at_home(self, account: Whole | None) -> Flag | bool:
        """Whether ``account`` is that of the pixel hit; there may be no other."""
        return True if self.shares is None else account == self.shares.home

    def keep(self, account: Whole | None, energy: Real) -> "Ledger":
        """The ledger after ``energy`` eV stays in ``account``."""
        if self.shares is None:
            return replace(self, deposited=self.deposited + energy)
        deposited = self.deposited + jnp.where(self.at_home(account), energy, 0.0)
        return replace(self, deposited=deposited, shares=self.shares.add(cast(Array, account), energy))

    def release(self, account: Whole | None, energy: Real) -> "Ledger":
        """The ledger after an electron takes ``energy`` eV out of ``account``."""
        if self.shares is not None:
            energy = jnp.where(self.at_home(account), energy, 0.0)
        return replace(self, by_electrons=self.by_electrons + energy)

    def catch(self, account: Whole | None, energy: Real) -> "Ledger":
        """The ledger after ``account`` stops ``energy`` eV of an electron from another account."""
        return self.keep(account, energy).release(account, -energy)

    def rebook(self, escaped: Real, shares: Shares | None) -> "Ledger":
        """The ledger after an electron, booked as stopped where it began, is found to leave that account.

        escaped: eV that it takes out of the absorber or array; shares: what other accounts have of it.
        """
        account = None if shares is None else shares.home
        ledger = self.keep(account, -escaped).release(account, escaped).escape(escaped)
        if shares is None:
            return ledger

        def any_left(state: tuple[Whole, Ledger]) -> Flag:
            k, _ = state
            return jnp.any((shares.energy != 0.0) & (jnp.arange(shares.energy.shape[0]) >= k))

        def catch(state: tuple[Whole, Ledger]) -> tuple[Whole, Ledger]:
            k, ledger = state
            energy = shares.energy[k]
            return k + 1, ledger.keep(account, -energy).release(account, energy).catch(shares.account[k], energy)

        ledger = jax.lax.while_loop(any_left, catch, (jnp.int32(0), ledger))[1]
        return replace(ledger, overflow=ledger.overflow | shares.full)

    def escape(self, energy: Real) -> "Ledger":
        """The ledger after ``energy`` eV leaves the array, or the absorber."""
        if self.shares is None:
            return self
        return replace(self, shares=replace(self.shares, escaped=self.shares.escaped + energy))

    def fly(
        self, start: Whole | None, end: Whole | None, flies: Flag, escaped: Flag, energy: Real, line: Whole
    ) -> "Ledger":
        """The ledger after a photon of ``energy`` eV flies from account ``start`` to an interaction in ``end``.

        flies: whether there is a photon; escaped: whether it leaves them all instead; line: its transition, -1 for a
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
