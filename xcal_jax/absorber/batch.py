"""One block of photons on one device: all fly once, the few at risk walk their histories, all are counted."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.absorber import tally as counting
from xcal_jax.absorber.derivative import undifferentiable
from xcal_jax.absorber.electrons.scattering import Electron, Scattering, follow, leave
from xcal_jax.absorber.geometry import Direction, Site
from xcal_jax.absorber.lanes import drain, put, sweep, take
from xcal_jax.absorber.random import Key, photon_key
from xcal_jax.absorber.source import Source
from xcal_jax.absorber.tally import Tally
from xcal_jax.absorber.transport import Medium, at_risk, begin, first_interaction, fly, relax

RISKY = 16  # one in so many of a block's lanes walks a history at a time
NARROW = 16  # one in so many of those relaxes, or flies, at a time
MANY = 4  # one in so many has an electron put in line to be followed at a time
TRANSITIONS = 3  # of an ion before the lanes are packed anew
COMPILER = {  # one core to a block: a run has many blocks; and the widest vectors
    "xla_disable_hlo_passes": "cpu-parallel-task-assigner",
    "xla_cpu_prefer_vector_width": 512,
}
PHOTON_ESCAPED, ELECTRON_ESCAPED, SCATTERED, PASSED = 1, 2, 4, 16  # bits of an event's loss type


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Event:
    """Rows of an event list, (n,) each: energy, deposited: eV; loss_type: bits, int32; x, y, z: um, of the first
    interaction, from the centre of the top (z <= 0 inside), NaN for a photon that passed through.
    """

    energy: Array
    deposited: Array
    loss_type: Array
    x: Array
    y: Array
    z: Array


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
    def empty(cls, size: int) -> "Pool":
        """Room for ``size`` electrons."""
        real, whole, word = (jnp.zeros(size, dtype) for dtype in (jnp.result_type(float), jnp.int32, jnp.uint32))
        electrons = Electron(Site(real, real, real, whole), Direction(real, real, real), real)
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
        """What the electrons of the pool take out is booked with their photons."""
        left = follow(model, medium.stack, medium.density, pool.keys, pool.electrons)

        def add(chosen, escaped):
            photon = jnp.where(chosen < left.size, take(pool.photon, chosen), n)
            return escaped.at[photon].add(take(left, chosen), mode="drop")

        escaped = sweep(add, jnp.zeros_like(histories.ledger.deposited), left > 0, n // MANY)
        deposited, by_electrons = histories.ledger.deposited - escaped, histories.ledger.by_electrons + escaped
        return replace(histories, ledger=replace(histories.ledger, deposited=deposited, by_electrons=by_electrons))

    def unfinished(histories):
        return jnp.any(histories.relaxing | histories.following | histories.flying)

    def era(histories):
        """Generations until all is done, or until the next might overfill the pool; then its electrons are followed."""
        if not isinstance(model, Scattering):
            return generation((histories, None))[0]
        most = len(histories.electrons) * n  # electrons of a generation
        pool = Pool.empty(most + 2 * n)
        histories, pool = jax.lax.while_loop(
            lambda state: unfinished(state[0]) & (state[1].count <= n), generation, (histories, pool)
        )
        return follow_all(model, pool, histories)

    histories, energy, line = jax.vmap(start)(offset, here)
    histories = jax.lax.while_loop(unfinished, era, histories)
    return histories.ledger, energy, line


@partial(jax.jit, static_argnames=("lanes", "bins"), compiler_options=COMPILER)
def run_block(medium: Medium, source: Source, seed, first, count, bin_width, lanes: int, bins: int) -> Tally:
    """Photons ``first`` to ``first + count`` counted; count: () int32, at most ``lanes``.

    seed, first: (2,) uint32, low word first. bin_width: () eV; bins: of the spectrum.
    """
    medium, source = undifferentiable((medium, source))
    offset = jnp.arange(lanes, dtype=jnp.uint32)

    def fate(offset):
        vertex, _ = first_interaction(medium, source, photon_key(seed, first, offset))
        return vertex.energy, vertex.met, at_risk(medium.matter, vertex)

    energy, met, risky = jax.vmap(fate)(offset)
    here = offset < count.astype(jnp.uint32)
    risky = risky & here
    tally = counting.empty(bins, *peaks_shape(medium, source))
    tally = counting.book_absorbed(tally, energy, met & here & ~risky, bin_width)

    def walk(chosen, tally):
        ledger, energy, line = walk_histories(medium, source, seed, first, chosen.astype(jnp.uint32), chosen < lanes)
        return counting.book(tally, ledger, energy, line, chosen < lanes, bin_width)

    return sweep(walk, tally, risky, lanes // RISKY)


@partial(jax.jit, static_argnames=("lanes",), compiler_options=COMPILER)
def run_events(medium: Medium, source: Source, seed, first, count, lanes: int) -> Event:
    """The same photons one by one, in their order: rows beyond ``count`` mean nothing."""
    medium, source = undifferentiable((medium, source))
    offset = jnp.arange(lanes, dtype=jnp.uint32)

    def start(offset):
        vertex, _ = first_interaction(medium, source, photon_key(seed, first, offset))
        above = jnp.sum(jnp.where(jnp.arange(medium.density.size) < vertex.site.layer, medium.stack.thickness, 0.0))
        place = (vertex.site.x, vertex.site.y, -(above + vertex.site.depth))
        return vertex, at_risk(medium.matter, vertex), tuple(jnp.where(vertex.met, p, jnp.nan) for p in place)

    vertex, risky, (x, y, z) = jax.vmap(start)(offset)

    def walk(chosen, columns):
        ledger, energy, _ = walk_histories(medium, source, seed, first, chosen.astype(jnp.uint32), chosen < lanes)
        lost = ledger.by_photons + ledger.by_electrons
        kind = (
            jnp.where(ledger.by_photons > 0, PHOTON_ESCAPED, 0)
            | jnp.where(ledger.by_electrons > 0, ELECTRON_ESCAPED, 0)
            | jnp.where(ledger.scattered, SCATTERED, 0)
        )
        return put(columns, chosen, (energy - lost, kind))

    kept = jnp.where(vertex.met, vertex.energy, 0.0), jnp.where(vertex.met, 0, PASSED)
    here = offset < count.astype(jnp.uint32)
    deposited, kind = sweep(walk, kept, risky & here, lanes // RISKY)
    return Event(vertex.energy, deposited, kind, x, y, z)


def peaks_shape(medium: Medium, source: Source) -> tuple[int, int]:
    """Rows and columns of a tally's peaks: source lines (one row for a spectrum) and transitions."""
    return (source.energies.low.shape[0] if source.lines else 1), medium.matter.relaxation.energy.size
