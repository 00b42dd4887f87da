"""Scattering electrons wait in a bank until those of many generations can be followed at once."""

from dataclasses import dataclass, replace
from typing import cast

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from xcal_jax.compute.devices import packing
from xcal_jax.compute.lanes import for_selected, take
from xcal_jax.compute.random import Key
from xcal_jax.compute.shapes import Real, Whole, Word
from xcal_jax.montecarlo.electron_tracks import Electron, follow, leave
from xcal_jax.montecarlo.ledger import Ledger, Shares
from xcal_jax.montecarlo.state import History, Medium
from xcal_jax.physics.electrons.scattering import Scattering
from xcal_jax.physics.geometry import Direction, Site


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bank:
    """Electrons of n histories that wait to be followed: the first ``count`` () int32 of P.

    keys: of their random numbers; photon: (P,) int32, the lane of the history to which each belongs.
    """

    electrons: Electron
    keys: Key
    photon: Array
    count: Array

    @classmethod
    def empty(cls, histories: History) -> "Bank":
        """Room for n electrons, and for all that wait at the ions of one more generation of n ``histories``."""
        n = histories.counter.shape[0]
        size = (len(histories.electrons) + 2) * n
        real, whole, word = (jnp.zeros(size, dtype) for dtype in (jnp.result_type(float), jnp.int32, jnp.uint32))
        site = Site(real, real, real, whole, None if histories.ion.site.pixel is None else whole)
        electrons = Electron(site, Direction(real, real, real), real)
        return cls(electrons, Key(word, word, word, word), whole, jnp.int32(0))

    def join(self, histories: History, keys: Key) -> tuple["Bank", History]:
        """The bank with every electron that waits at an ion, and the n histories without them.

        keys: (n,) of the photons.
        """
        n = histories.counter.shape[0]
        waiting = jnp.concatenate(histories.electrons)

        def visit(chosen: Array, bank: Bank) -> Bank:
            photon, slot = chosen % n, (chosen // n).astype(jnp.uint32)
            ion = take((keys, histories.counter, histories.ion.site, cast(Direction, histories.recoil)), photon)
            electrons, own = jax.vmap(_electron)(ion, slot, take(waiting, chosen))
            there = chosen < waiting.size
            electrons = electrons._replace(energy=jnp.where(there, electrons.energy, 0.0))
            return bank.with_more(electrons, own, photon, jnp.sum(there, dtype=jnp.int32))

        return for_selected(visit, self, waiting > 0, n // packing().banked), replace(
            histories,
            counter=histories.counter + jnp.uint32(len(histories.electrons)),
            electrons=jax.tree.map(jnp.zeros_like, histories.electrons),
        )

    def with_more(self, electrons: Electron, keys: Key, photon: Int[Array, " W"], count: Whole) -> "Bank":
        """The bank with the first ``count`` of W electrons more; photon: the lanes of their histories."""

        def insert(old: Array, new: Array) -> Array:
            return jax.lax.dynamic_update_slice(old, new, (self.count,))

        return Bank(
            jax.tree.map(insert, self.electrons, electrons),
            jax.tree.map(insert, self.keys, keys),
            insert(self.photon, photon),
            self.count + count,
        )

    def followed(self, medium: Medium, histories: History) -> History:
        """The histories after all electrons were followed, with what they took out of their accounts in the ledgers."""
        model = cast(Scattering, medium.matter.electrons)  # only electrons of this model wait
        escaped, shares = follow(model, medium.stack, medium.density, self.keys, self.electrons)
        if shares is None:
            ledger = self._book(histories.ledger, escaped)
        else:
            ledger = self._book_shares(histories.ledger, escaped, shares)
        return replace(histories, ledger=ledger)

    def _book(self, ledger: Ledger, escaped: Array) -> Ledger:
        n = ledger.deposited.shape[0]

        def add(chosen: Array, summed: Array) -> Array:
            photon = jnp.where(chosen < escaped.size, take(self.photon, chosen), n)
            return summed.at[photon].add(take(escaped, chosen), mode="drop")

        summed = for_selected(add, jnp.zeros_like(ledger.deposited), escaped > 0, n // packing().banked)
        return jax.vmap(lambda one, out: one.rebook(out, None))(ledger, summed)

    def _book_shares(self, ledger: Ledger, escaped: Array, shares: Shares) -> Ledger:
        n, size = ledger.deposited.shape[0], escaped.size

        def book_one(state: tuple[Array, Ledger]) -> tuple[Array, Ledger]:
            """One electron of each photon."""
            left, ledger = state
            photon = jnp.where(left, self.photon, n)
            chosen = jnp.full(n, size, jnp.int32).at[photon].min(jnp.arange(size, dtype=jnp.int32), mode="drop")
            some = chosen < size
            out, theirs = take((escaped, shares), chosen)
            theirs = replace(theirs, energy=jnp.where(some[:, None], theirs.energy, 0.0), full=theirs.full & some)
            ledger = jax.vmap(Ledger.rebook)(ledger, jnp.where(some, out, 0.0), theirs)
            return left.at[chosen].set(False, mode="drop"), ledger

        out = (escaped > 0) | jnp.any(shares.energy != 0.0, axis=1) | shares.full
        return jax.lax.while_loop(lambda state: jnp.any(state[0]), book_one, (out, ledger))[1]


def _electron(ion: tuple[Key, Word, Site, Direction], slot: Word, energy: Real) -> tuple[Electron, Key]:
    """The electron in a ``slot`` of an ion, and its key; the first is the photoelectron."""
    photon, counter, site, direction = ion
    key = photon.child(counter + slot)
    return leave(site, direction, energy, slot == 0, key), key
