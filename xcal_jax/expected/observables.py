"""The expected observables of an absorber: one randomised set of points in, `Observables` out, differentiable."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.compute.devices import packing
from xcal_jax.compute.lanes import drain
from xcal_jax.compute.programs import program
from xcal_jax.compute.random import photon_key
from xcal_jax.compute.shapes import Seed
from xcal_jax.expected.history import begin, finish, step
from xcal_jax.expected.incidence import first_interactions
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.random_numbers import Points
from xcal_jax.expected.score import Levels, Losses
from xcal_jax.expected.state import History
from xcal_jax.expected.tables import Tables
from xcal_jax.montecarlo.batch import COMPILER

AXIS = "parameters"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Observables(Losses):
    """The observables: `Losses` per interacting photon, of all lines together, and four more.

    interaction_probability: (); interaction_by_layer: (L,) probability of the first interaction in each layer, 0 if
    dead;
    mean_deposit: () eV per interacting photon; peaks: (S T,) probability, per interacting photon, that one fluorescence
    photon leaves and nothing else, by transition.
    """

    interaction_probability: Array
    interaction_by_layer: Array
    mean_deposit: Array
    peaks: Array


def expected_observables(
    tables: Tables, parameters: Parameters, thresholds: Levels, points: Points, seed: Seed, in_energy: bool = True
) -> Observables:
    """The observables as means over n points of a low-discrepancy sequence, n a multiple of 32, for each line.

    seed: of the numbers beyond the sequence. The means are unbiased over randomisations of the points, and so is every
    derivative with respect to ``parameters``, except, to less than 1 %, that in energy with scattering electrons
    (`scattering`). NaN where a history overflows its counters, and derivatives that would be wrong
    (`scattering.wrong`). Works under jit, vmap and forward mode (`jax.jvp`, `jax.jacfwd`); reverse mode does not pass
    its loop.

    in_energy: whether to be differentiable in the energy with scattering electrons, for twice the work (1.8 at 7 keV);
    without, that derivative is NaN.
    """
    model, n, lines = tables.electrons, points.shape[0], parameters.energy.size
    guarded = model.guard(tables.matter, parameters, in_energy)
    histories, copies = _begun(tables, guarded, thresholds, points, model.copies(in_energy))
    rows = jnp.tile(points, (copies * lines, 1))
    offset = jnp.tile(jnp.arange(lines * n, dtype=jnp.uint32), copies)
    width = min(packing().points, rows.shape[0])

    def key_of(offset):
        return photon_key(seed, jnp.zeros(2, jnp.uint32), offset)

    @jax.vmap
    def on(state):
        row, offset, history = state
        return row, offset, step(tables, guarded, thresholds, key_of(offset), row, history)

    def round_(state):
        """All histories go as far as they can; then the electrons that wait are followed."""
        row, offset, histories = drain(on, state, lambda state: state[2].unfinished & ~state[2].waits, width)
        return row, offset, model.follow(tables.matter, guarded, thresholds, jax.vmap(key_of)(offset), histories)

    state = rows, offset, histories
    state = jax.lax.while_loop(lambda state: jnp.any(state[2].unfinished | state[2].waits), round_, state)
    histories = state[2]
    sums = model.with_slope(jax.vmap(partial(finish, thresholds))(histories), histories)
    by_layer = first_interactions(tables.matter, parameters, points)
    if parameters.dead:
        by_layer = by_layer.at[:, jnp.array(parameters.dead)].set(0.0)
    probability = jnp.sum(by_layer, axis=1)
    if sums.returned is not None:
        probability = probability + jnp.mean(sums.returned.reshape(lines, n), axis=1)
    weight = jnp.ones_like(probability) if parameters.weight is None else parameters.weight
    interacting, all_photons = weight @ probability, jnp.sum(weight)
    share = jnp.repeat(weight / (n * interacting), n)
    cells = tables.matter.relaxation.energy.size
    at = jnp.where(sums.by_line >= 0, sums.by_line, cells)
    peaks = jnp.zeros(cells, points.dtype).at[at].add(share[:, None] * sums.single, mode="drop")
    losses = jax.tree.map(lambda sum_: jnp.tensordot(share, sum_, 1), sums.losses)
    return Observables(
        interaction_probability=interacting / all_photons,
        interaction_by_layer=weight @ by_layer / all_photons,
        mean_deposit=(weight * probability) @ jnp.atleast_1d(parameters.energy) / interacting - losses.mean_loss,
        peaks=peaks,
        **vars(losses),
    )


def _begun(
    tables: Tables, parameters: Parameters, thresholds: Levels, points: Points, copies: tuple[float, ...]
) -> tuple[History, int]:
    """The histories of n points at their start, line by line, and that again for each copy; the number of copies."""

    def line(raised, energy):
        return jax.vmap(lambda point: begin(tables, parameters, thresholds, energy, point, raised))(points)

    def copy(raised):
        return jax.vmap(partial(line, raised))(jnp.atleast_1d(parameters.energy))

    histories = jax.vmap(copy)(jnp.array(copies, points.dtype)) if copies else copy(None)
    flat: History = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[3 if copies else 2 :]), histories)
    return flat, max(len(copies), 1)


compiled = program("in_energy", compiler_options=COMPILER)
compiled_observables = compiled(expected_observables)


def observables_along(
    tables: Tables,
    parameters: Parameters,
    basis: Parameters,
    thresholds: Levels,
    points: Points,
    seed: Seed,
    in_energy: bool,
) -> tuple[Observables, Observables]:
    """The observables, and their derivatives (K, ...) along K directions; basis: leaves (K, ...)."""

    def along(direction):
        return jax.jvp(
            lambda p: expected_observables(tables, p, thresholds, points, seed, in_energy), (parameters,), (direction,)
        )

    return jax.vmap(along, out_axes=(None, 0))(basis)


observables_and_derivatives = compiled(observables_along)


@compiled
def reweighted_observables(
    tables: Tables, parameters: Parameters, thresholds: Levels, points: Points, seed: Seed, *, in_energy: bool
) -> Observables:
    """The observables (K, ...) of K parameters, all with the sampling decisions of the first; parameters: (K, ...).

    Histories are weighted anew for the others: unbiased near the first, and differences have next to no noise. Every
    absorption edge must lie on the same side of all their energies. With scattering electrons the observables are
    linear in these.
    """
    along = jax.vmap(lambda p: expected_observables(tables, p, thresholds, points, seed, in_energy), axis_name=AXIS)
    return along(replace(parameters, choices=AXIS))
