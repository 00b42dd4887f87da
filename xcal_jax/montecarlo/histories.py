"""Whole histories of a batch of photons: generation by generation ions relax, and photons fly."""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.absorber.source import Source
from xcal_jax.compute.lanes import drain
from xcal_jax.compute.random import photon_key
from xcal_jax.montecarlo.derivative import undifferentiable
from xcal_jax.montecarlo.electron_bank import Pool
from xcal_jax.montecarlo.state import Medium
from xcal_jax.montecarlo.transport import begin, first_interaction, fly, relax
from xcal_jax.physics.electrons.scattering import Scattering

NARROW = 16  # one in so many lanes relaxes, or flies, at a time
TRANSITIONS = 3  # of an ion before the lanes are packed anew


def walk_histories(medium: Medium, source: Source, seed: Array, first: Array, offset: Array, here: Array) -> tuple:
    """Whole histories of photons ``first + offset``, (n,) uint32: (ledger, energy, source line), all (n,).

    here: (n,) bool, false for lanes without a photon.
    """
    medium, source = undifferentiable((medium, source))
    n = offset.shape[0]
    electrons = medium.matter.electrons
    keys = jax.vmap(lambda offset: photon_key(seed, first, offset))(offset)

    def start(offset, here):
        key = photon_key(seed, first, offset)
        vertex, line = first_interaction(medium, source, key)
        return begin(medium, key, replace(vertex, met=vertex.met & here)), vertex.energy, line

    @jax.vmap
    def relax_on(state):
        offset, history = state
        return offset, relax(medium, photon_key(seed, first, offset), history, TRANSITIONS)

    @jax.vmap
    def fly_on(state):
        offset, history = state
        return offset, fly(medium, photon_key(seed, first, offset), history)

    def generation(state):
        histories, pool = state
        pending, idle = histories.pending, replace(histories, pending=None)
        _, idle = drain(relax_on, (offset, idle), lambda state: state[1].relaxing, n // NARROW)
        if isinstance(electrons, Scattering):
            pool, idle = pool.join(idle, keys)
        histories = replace(idle, pending=pending)
        return drain(fly_on, (offset, histories), lambda state: state[1].flying, n // NARROW)[1], pool

    def unfinished(histories):
        return jnp.any(histories.relaxing | histories.following | histories.flying)

    def era(histories):
        """Generations until all is done, or until the next might overfill the pool; then its electrons are followed."""
        if not isinstance(electrons, Scattering):
            return generation((histories, None))[0]
        histories, pool = jax.lax.while_loop(
            lambda state: unfinished(state[0]) & (state[1].count <= n), generation, (histories, Pool.empty(histories))
        )
        return pool.followed(electrons, medium, histories)

    histories, energy, line = jax.vmap(start)(offset, here)
    histories = jax.lax.while_loop(unfinished, era, histories)
    return histories.ledger, energy, line
