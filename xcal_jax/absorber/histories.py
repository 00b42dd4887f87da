"""Whole histories of a batch of photons: their ions relax, photons fly, electrons that turn round wait in a pool."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.absorber.derivative import undifferentiable
from xcal_jax.absorber.electrons.scattering import Electron, Scattering, follow, leave
from xcal_jax.absorber.geometry import Direction, Site
from xcal_jax.absorber.lanes import drain, sweep, take
from xcal_jax.absorber.ledger import Ledger
from xcal_jax.absorber.random import Key, photon_key
from xcal_jax.absorber.source import Source
from xcal_jax.absorber.transport import Medium, begin, first_interaction, fly, relax

NARROW = 32  # one in so many lanes relaxes, or flies, at a time
MANY = 4  # one in so many has an electron put in line to be followed at a time
TRANSITIONS = 3  # of an ion before the lanes are packed anew


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pool:
    """Electrons that wait to be followed: the first ``count`` () int32 of P.

    keys: of their random numbers; photon: (P,) int32, the lane of the history to which each belongs.
    """

    electrons: Electron
    keys: Key
    photon: Array
    count: Array

    @classmethod
    def empty(cls, size: int, in_array: bool) -> "Pool":
        """Room for ``size`` electrons, of one absorber or of an array."""
        real, whole, word = (jnp.zeros(size, dtype) for dtype in (jnp.result_type(float), jnp.int32, jnp.uint32))
        site = Site(real, real, real, whole, whole if in_array else None)
        electrons = Electron(site, Direction(real, real, real), real)
        return cls(electrons, Key(word, word, word, word), whole, jnp.int32(0))

    def joined(self, electrons: Electron, keys: Key, photon: Array, count: Array) -> "Pool":
        """With ``count`` () int32 more: the first of (W,)."""

        def insert(old, new):
            return jax.lax.dynamic_update_slice(old, new, (self.count,))

        return Pool(
            jax.tree.map(insert, self.electrons, electrons),
            jax.tree.map(insert, self.keys, keys),
            insert(self.photon, photon),
            self.count + count,
        )


def walk_histories(medium: Medium, source: Source, seed: Array, first: Array, offset: Array, here: Array) -> tuple:
    """Whole histories of photons ``first + offset``, (n,) uint32: (ledger, energy, source line), all (n,).

    here: (n,) bool, false for lanes without a photon.
    """
    medium, source = undifferentiable((medium, source))
    n = offset.shape[0]
    model = medium.matter.electrons

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

    @jax.vmap
    def electron_of(offset, draw, slot, site, direction, energy):
        key = photon_key(seed, first, offset).child(draw + slot)
        return leave(site, direction, energy, slot == 0, key), key

    def join(pool, histories):
        """Every electron that waits at an ion joins the pool."""
        waiting = jnp.concatenate(histories.electrons)

        def visit(chosen, pool):
            photon, slot = chosen % n, (chosen // n).astype(jnp.uint32)
            one, draw, site, direction = take((offset, histories.draw, histories.ion.site, histories.direction), photon)
            electrons, keys = electron_of(one, draw, slot, site, direction, take(waiting, chosen))
            there = chosen < waiting.size
            electrons = electrons._replace(energy=jnp.where(there, electrons.energy, 0.0))
            return pool.joined(electrons, keys, photon, jnp.sum(there, dtype=jnp.int32))

        return sweep(visit, pool, waiting > 0, n // MANY), replace(
            histories,
            draw=histories.draw + jnp.uint32(len(histories.electrons)),
            electrons=jax.tree.map(jnp.zeros_like, histories.electrons),
        )

    def generation(state):
        histories, pool = state
        pending, idle = histories.pending, replace(histories, pending=None)
        _, idle = drain(relax_on, (offset, idle), lambda state: state[1].relaxing, n // NARROW)
        if isinstance(model, Scattering):
            pool, idle = join(pool, idle)
        histories = replace(idle, pending=pending)
        return drain(fly_on, (offset, histories), lambda state: state[1].flying, n // NARROW)[1], pool

    def follow_all(model, pool, histories):
        """What the electrons of the pool take out of their pixels is booked with their photons."""
        escaped, shares = follow(model, medium.stack, medium.density, pool.keys, pool.electrons)
        if shares is None:

            def add(chosen, summed):
                photon = jnp.where(chosen < escaped.size, take(pool.photon, chosen), n)
                return summed.at[photon].add(take(escaped, chosen), mode="drop")

            summed = sweep(add, jnp.zeros_like(histories.ledger.deposited), escaped > 0, n // MANY)
            return replace(histories, ledger=jax.vmap(Ledger.settle)(histories.ledger, summed, None))

        number = jnp.arange(escaped.size, dtype=jnp.int32)

        def settle(state):
            """One electron of each photon."""
            left, ledger = state
            photon = jnp.where(left, pool.photon, n)
            chosen = jnp.full(n, escaped.size, jnp.int32).at[photon].min(number, mode="drop")
            some = chosen < escaped.size
            out, theirs = take((escaped, shares), chosen)
            theirs = replace(theirs, energy=jnp.where(some[:, None], theirs.energy, 0.0), full=theirs.full & some)
            ledger = jax.vmap(Ledger.settle)(ledger, jnp.where(some, out, 0.0), theirs)
            return left.at[chosen].set(False, mode="drop"), ledger

        out = (escaped > 0) | jnp.any(shares.energy != 0.0, axis=1) | shares.full
        _, ledger = jax.lax.while_loop(lambda state: jnp.any(state[0]), settle, (out, histories.ledger))
        return replace(histories, ledger=ledger)

    def unfinished(histories):
        return jnp.any(histories.relaxing | histories.following | histories.flying)

    def era(histories):
        """Generations until all is done, or until the next might overfill the pool; then its electrons are followed."""
        if not isinstance(model, Scattering):
            return generation((histories, None))[0]
        most = len(histories.electrons) * n  # electrons of a generation
        pool = Pool.empty(most + 2 * n, medium.stack.pixels is not None)
        histories, pool = jax.lax.while_loop(
            lambda state: unfinished(state[0]) & (state[1].count <= n), generation, (histories, pool)
        )
        return follow_all(model, pool, histories)

    histories, energy, line = jax.vmap(start)(offset, here)
    histories = jax.lax.while_loop(unfinished, era, histories)
    return histories.ledger, energy, line
