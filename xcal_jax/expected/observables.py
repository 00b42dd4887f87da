"""The expected figures of an absorber: one randomised set of points in, `Figures` out, differentiable all through."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.compute.lanes import drain
from xcal_jax.compute.random import photon_key
from xcal_jax.expected.first_collision import share_by_layer
from xcal_jax.expected.history import begin, finish, step
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import attenuation
from xcal_jax.expected.scattering import RAISED, follow_all, with_slope
from xcal_jax.expected.site_mapping import guard
from xcal_jax.expected.tables import Tables
from xcal_jax.montecarlo.batch import COMPILER

WIDTH = 256  # lanes that step together
AXIS = "parameters"
SUMMED = ("partial", "photon_escape", "electron_escape", "both", "mean_loss", "mean_square", "continuum", "loss_above")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Figures:
    """Of photons at normal incidence; all but the first two per interacting photon.

    interaction_probability: (); by_layer: (L,), of the first interaction; partial: () any loss; photon_escape,
    electron_escape, both: () losses by photons alone, electrons alone, both; mean_loss: () eV; mean_square: () eV2;
    mean_deposit: () eV; continuum: (A,) electrons alone took out more than each threshold; loss_above: (A,) anything
    did; peaks: (S T,) one fluorescence photon left and nothing else, by transition.
    """

    interaction_probability: Array
    by_layer: Array
    partial: Array
    photon_escape: Array
    electron_escape: Array
    both: Array
    mean_loss: Array
    mean_square: Array
    mean_deposit: Array
    continuum: Array
    loss_above: Array
    peaks: Array


def expected(
    tables: Tables, parameters: Parameters, thresholds: Array, points: Array, seed: Array, in_energy: bool = True
) -> Figures:
    """The mean over points (n, DIMENSIONS) of a low-discrepancy sequence, n a multiple of 32.

    thresholds: (A,) eV, ascending, the first 0; seed: (2,) uint32, of the numbers beyond the sequence. Unbiased over
    randomisations of the points, and so is every derivative with respect to ``parameters``, but, to less than 1 %, that
    in energy with electrons that turn round (`turning`); NaN where a history overflows its counters, and where a
    derivative would be wrong with such electrons (`ties`). Works under jit, vmap and forward mode (`jax.jvp`,
    `jax.jacfwd`); reverse mode does not pass its loop. in_energy: whether to be differentiable in the energy with
    electrons that turn round: twice the work (1.8 at 7 keV); NaN without.
    """
    moving = guard(tables, parameters, in_energy) if tables.turning else parameters
    n, raised = points.shape[0], None
    offset = jnp.arange(n, dtype=jnp.uint32)
    if tables.turning and in_energy:
        raised = jnp.repeat(jnp.array(RAISED, points.dtype), n)
        points, offset = jnp.tile(points, (len(RAISED), 1)), jnp.tile(offset, len(RAISED))

    @jax.vmap
    def on(state):
        row, offset, history = state
        key = photon_key(seed, jnp.zeros(2, jnp.uint32), offset)
        return row, offset, step(tables, moving, thresholds, key, row, history)

    def go_on(state):
        return drain(on, state, lambda state: state[2].unfinished & ~state[2].waits, WIDTH)

    def round_(state):
        row, offset, histories = go_on(state)
        keys = jax.vmap(lambda offset: photon_key(seed, jnp.zeros(2, jnp.uint32), offset))(offset)
        return row, offset, follow_all(tables, moving, thresholds, keys, histories)

    state = points, offset, jax.vmap(partial(begin, tables, moving, thresholds))(points, raised)
    if tables.turning:
        state = jax.lax.while_loop(lambda state: jnp.any(state[2].unfinished | state[2].waits), round_, state)
    else:
        state = go_on(state)
    histories = state[2]
    sums = jax.vmap(partial(finish, thresholds))(histories)
    if histories.varied is not None:
        sums = with_slope(sums, histories.varied.lever[:n])
    by_layer = share_by_layer(parameters, attenuation(tables, parameters.density, parameters.energy))
    probability = jnp.sum(by_layer)
    norm = n * probability
    cells = tables.matter.relaxation.energy.size
    at = jnp.where(sums.by_line >= 0, sums.by_line, cells)
    peaks = jnp.zeros(cells, points.dtype).at[at].add(sums.single, mode="drop")
    means = {name: jnp.sum(getattr(sums, name), axis=0) / norm for name in SUMMED}
    return Figures(
        interaction_probability=probability,
        by_layer=by_layer,
        mean_deposit=parameters.energy - means["mean_loss"],
        peaks=peaks / norm,
        **means,
    )


@partial(jax.jit, static_argnames="in_energy", compiler_options=COMPILER)
def with_derivatives(tables: Tables, parameters: Parameters, basis: Parameters, thresholds, points, seed, *, in_energy):
    """(Figures, their derivatives along each of the K directions of ``basis``, whose leaves are (K, ...))."""

    def along(direction):
        return jax.jvp(lambda p: expected(tables, p, thresholds, points, seed, in_energy), (parameters,), (direction,))

    return jax.vmap(along, out_axes=(None, 0))(basis)


@partial(jax.jit, compiler_options=COMPILER)
def without_derivatives(tables: Tables, parameters: Parameters, thresholds, points, seed) -> Figures:
    """The figures alone, compiled."""
    return expected(tables, parameters, thresholds, points, seed, in_energy=False)


@partial(jax.jit, static_argnames="in_energy", compiler_options=COMPILER)
def nearby(tables: Tables, parameters: Parameters, thresholds, points, seed, *, in_energy) -> Figures:
    """The figures (K, ...) of K parameters, leaves (K, ...), all with the turns that chance takes for the first.

    Histories are weighted anew for the others: unbiased near the first, and differences have next to no noise. Every
    absorption edge must lie on the same side of all their energies, in which, if electrons turn round, the figures are
    linear.
    """
    along = jax.vmap(lambda p: expected(tables, p, thresholds, points, seed, in_energy), axis_name=AXIS)
    return along(replace(parameters, choices=AXIS))
