"""Whole histories of a batch of photons: generation by generation, ions relax and photons fly."""

from dataclasses import replace
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, UInt32

from xcal_jax.absorber.source import PhotonSource
from xcal_jax.compute.devices import packing
from xcal_jax.compute.lanes import drain
from xcal_jax.compute.random import photon_key
from xcal_jax.compute.shapes import Flag, Real, Seed, Whole, Word
from xcal_jax.montecarlo.derivative import undifferentiable
from xcal_jax.montecarlo.electron_bank import Bank
from xcal_jax.montecarlo.ledger import Ledger
from xcal_jax.montecarlo.state import History, Medium
from xcal_jax.montecarlo.transport import begin, first_interaction, fly, relax


def walk_histories(
    medium: Medium, source: PhotonSource, seed: Seed, first: Seed, offset: UInt32[Array, " n"], here: Bool[Array, " n"]
) -> tuple[Ledger, Float[Array, " n"], Int[Array, " n"]]:
    """Ledgers (n,), energies in eV and source lines of the photons ``first + offset``, followed to their ends.

    here: false for lanes without a photon.
    """
    medium, source = undifferentiable((medium, source))
    n = offset.shape[0]
    packed = packing()
    width = n // packed.steps
    electrons_wait = medium.matter.electrons.waiting_slots > 0
    keys = jax.vmap(lambda offset: photon_key(seed, first, offset))(offset)

    def start(offset: Word, here: Flag) -> tuple[History, Real, Whole]:
        key = photon_key(seed, first, offset)
        vertex, line = first_interaction(medium, source, key)
        return begin(medium, key, replace(vertex, met=vertex.met & here)), vertex.energy, line

    @jax.vmap
    def relax_on(state: tuple[Word, History]) -> tuple[Word, History]:
        offset, history = state
        return offset, relax(medium, photon_key(seed, first, offset), history, packed.transitions)

    @jax.vmap
    def fly_on(state: tuple[Word, History]) -> tuple[Word, History]:
        offset, history = state
        return offset, fly(medium, photon_key(seed, first, offset), history)

    def generation(state: tuple[History, Any]) -> tuple[History, Any]:
        histories, bank = state
        pending, idle = histories.pending, replace(histories, pending=cast(Any, None))
        _, idle = drain(relax_on, (offset, idle), lambda state: state[1].relaxing, width)
        if electrons_wait:
            bank, idle = bank.join(idle, keys)
        histories = replace(idle, pending=pending)
        return drain(fly_on, (offset, histories), lambda state: state[1].flying, width)[1], bank

    def unfinished(histories: History) -> Flag:
        return jnp.any(histories.relaxing | histories.following | histories.flying)

    def era(histories: History) -> History:
        """Generations until all is done or the next might overfill the bank; then the electrons in it are followed."""
        if not electrons_wait:
            return generation((histories, None))[0]
        histories, bank = jax.lax.while_loop(
            lambda state: unfinished(state[0]) & (state[1].count <= n), generation, (histories, Bank.empty(histories))
        )
        return bank.followed(medium, histories)

    histories, energy, line = jax.vmap(start)(offset, here)
    histories = jax.lax.while_loop(unfinished, era, histories)
    return histories.ledger, energy, line
