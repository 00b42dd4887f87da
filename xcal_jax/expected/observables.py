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
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import attenuation
from xcal_jax.expected.random_numbers import Points
from xcal_jax.expected.score import Levels, Losses
from xcal_jax.expected.tables import Tables
from xcal_jax.montecarlo.batch import COMPILER
from xcal_jax.physics.layers import absorbed_by_layer

AXIS = "parameters"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Observables(Losses):
    """The observables of photons at normal incidence: `Losses` per interacting photon, and four more.

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
    """The observables as means over n points of a low-discrepancy sequence, n a multiple of 32.

    seed: of the numbers beyond the sequence. The means are unbiased over randomisations of the points, and so is every
    derivative with respect to ``parameters``, except, to less than 1 %, that in energy with scattering electrons
    (`scattering`). NaN where a history overflows its counters, and derivatives that would be wrong
    (`scattering.wrong`). Works under jit, vmap and forward mode (`jax.jvp`, `jax.jacfwd`); reverse mode does not pass
    its loop.

    in_energy: whether to be differentiable in the energy with scattering electrons, for twice the work (1.8 at 7 keV);
    without, that derivative is NaN.
    """
    model, n, raised = tables.electrons, points.shape[0], None
    guarded = model.guard(tables.matter, parameters, in_energy)
    offset = jnp.arange(n, dtype=jnp.uint32)
    copies = model.copies(in_energy)
    if copies:
        raised = jnp.repeat(jnp.array(copies, points.dtype), n)
        points, offset = jnp.tile(points, (len(copies), 1)), jnp.tile(offset, len(copies))
    width = min(packing().points, points.shape[0])

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

    state = points, offset, jax.vmap(partial(begin, tables, guarded, thresholds))(points, raised)
    state = jax.lax.while_loop(lambda state: jnp.any(state[2].unfinished | state[2].waits), round_, state)
    histories = state[2]
    sums = model.with_slope(jax.vmap(partial(finish, thresholds))(histories), histories)
    mu = attenuation(tables.matter, parameters.density, parameters.energy)
    by_layer = absorbed_by_layer(mu, parameters.thickness)
    if parameters.dead:
        by_layer = by_layer.at[jnp.array(parameters.dead)].set(0.0)
    probability = jnp.sum(by_layer)
    if sums.returned is not None:
        probability = probability + jnp.mean(sums.returned)
    norm = n * probability
    cells = tables.matter.relaxation.energy.size
    at = jnp.where(sums.by_line >= 0, sums.by_line, cells)
    peaks = jnp.zeros(cells, points.dtype).at[at].add(sums.single, mode="drop")
    losses = jax.tree.map(lambda sum_: jnp.sum(sum_, axis=0) / norm, sums.losses)
    return Observables(
        interaction_probability=probability,
        interaction_by_layer=by_layer,
        mean_deposit=parameters.energy - losses.mean_loss,
        peaks=peaks / norm,
        **vars(losses),
    )


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
