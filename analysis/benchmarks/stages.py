"""How long each stage of a run takes: the same blocks, cut short after the first flight and after the histogram."""

import time
from functools import partial

import jax
import jax.numpy as jnp

from xcal_jax.compute.devices import in_parallel
from xcal_jax.compute.random import photon_key, words
from xcal_jax.montecarlo import batch
from xcal_jax.montecarlo.tally import Tally
from xcal_jax.montecarlo.transport import at_risk, first_interaction
from xcal_jax.simulation.counting import Prepared, Run

OPTIONS = batch.COMPILER  # that `run_block` is compiled with


@partial(jax.jit, static_argnames=("lanes",), compiler_options=OPTIONS)
def fly_once(medium, source, seed, first, lanes):
    """Sums over the first interactions of a block: all of them are made, nothing is kept."""

    def fate(offset):
        vertex, _ = first_interaction(medium, source, photon_key(seed, first, offset))
        return vertex.energy, at_risk(medium.stack, vertex)

    energy, risky = jax.vmap(fate)(jnp.arange(lanes, dtype=jnp.uint32))
    return jnp.sum(energy), jnp.sum(risky, dtype=jnp.int32)


@partial(jax.jit, static_argnames=("lanes", "bins"), compiler_options=OPTIONS)
def fly_and_count(medium, source, seed, first, bin_width, lanes, bins):
    """The same, and those who lose nothing are counted."""

    def fate(offset):
        vertex, line = first_interaction(medium, source, photon_key(seed, first, offset))
        return vertex.energy, line, vertex.met & ~at_risk(medium.stack, vertex)

    energy, line, safe = jax.vmap(fate)(jnp.arange(lanes, dtype=jnp.uint32))
    tally = Tally.empty(bins, *batch.peaks_shape(medium, source))
    return batch.book_whole(tally, source, energy, line, safe, bin_width)


def shares(run: Run, n: int) -> tuple[float, float, float]:
    """Shares of the time of ``n`` photons: first flight, histogram, histories of those at risk; best of two."""
    prepared = Prepared.build(run)
    bin_width = jnp.asarray(run.bin_width, float)
    arguments = (prepared.medium, prepared.drawn, words(run.seed))
    stages = (
        lambda first: fly_once(*arguments, words(first), lanes=run.block),
        lambda first: fly_and_count(*arguments, words(first), bin_width, lanes=run.block, bins=run.bins),
        lambda first: prepared.tally(first, first + run.block),
    )
    took = [min(_seconds(stage, range(0, n, run.block)) for _ in range(2)) for stage in stages]
    flight, counted = min(took[0], took[2]), min(max(took[0], took[1]), took[2])
    return flight / took[2], (counted - flight) / took[2], (took[2] - counted) / took[2]


def _seconds(stage, blocks) -> float:
    jax.block_until_ready(stage(0))
    start = time.perf_counter()
    for result in in_parallel(lambda first: jax.block_until_ready(stage(first)), blocks):
        del result
    return time.perf_counter() - start
