"""The expected figures of an absorber: one randomised set of points in, `Figures` out, differentiable all through."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.absorber.random import photon_key
from xcal_jax.expected.history import History, walk
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import attenuation
from xcal_jax.expected.tables import Tables
from xcal_jax.expected.zones import share_by_layer


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


def expected(tables: Tables, parameters: Parameters, thresholds: Array, points: Array, seed: Array) -> Figures:
    """The mean over points (n, DIMENSIONS) of a low-discrepancy sequence.

    thresholds: (A,) eV, ascending, the first 0; seed: (2,) uint32, of the numbers beyond the sequence. Unbiased over
    randomisations of the points, and so is every derivative with respect to ``parameters``; NaN where a history
    overflows its counters. Works under jit, vmap and forward mode (`jax.jvp`, `jax.jacfwd`); reverse mode does not
    pass its loop.
    """
    zero = jnp.zeros(2, jnp.uint32)

    def one(row, offset):
        return contribution(thresholds, walk(tables, parameters, thresholds, photon_key(seed, zero, offset), row))

    found, lines, single = jax.vmap(one)(points, jnp.arange(points.shape[0], dtype=jnp.uint32))
    by_layer = share_by_layer(parameters, attenuation(tables, parameters.density, parameters.energy))
    probability = jnp.sum(by_layer)
    cells = tables.matter.relaxation.energy.size
    at = jnp.where(lines >= 0, lines, cells)
    peaks = jnp.zeros(cells, single.dtype).at[at].add(single, mode="drop")
    totals = {name: jnp.mean(value, axis=0) / probability for name, value in found.items()}
    return Figures(
        interaction_probability=probability,
        by_layer=by_layer,
        mean_deposit=parameters.energy - totals["mean_loss"],
        peaks=peaks / points.shape[0] / probability,
        **totals,
    )


def contribution(thresholds: Array, history: History) -> tuple[dict, Array, Array]:
    """What one finished history adds: (figures, transition of its only photon or -1, weight of that)."""
    weight = jnp.where(history.overflow, jnp.nan, history.weight)
    photons = history.escapes > 0
    some = history.above[0]
    beyond = jnp.interp(thresholds - history.by_photons, thresholds, history.above)
    above = jnp.where(photons, jnp.where(history.by_photons > thresholds, 1.0, beyond), history.above)
    by_photons = history.by_photons
    single = (history.escapes == 1) & (history.line >= 0) & ~history.scattered
    found = {
        "partial": jnp.where(photons, 1.0, some),
        "photon_escape": jnp.where(photons, 1.0 - some, 0.0),
        "electron_escape": jnp.where(photons, 0.0, some),
        "both": jnp.where(photons, some, 0.0),
        "mean_loss": by_photons + history.mean,
        "mean_square": by_photons * (by_photons + 2.0 * history.mean) + history.square,
        "continuum": jnp.where(photons, 0.0, history.above),
        "loss_above": above,
    }
    found = {name: weight * value for name, value in found.items()}
    return found, jnp.where(single, history.line, -1), jnp.where(single, weight * (1.0 - some), 0.0)


@partial(jax.jit, static_argnames="differentiate")
def figures_and_jacobian(tables, parameters, thresholds, points, seed, differentiate: bool = True):
    """(Figures, their Jacobian or None): the Jacobian as `jax.jacfwd` nests it, Figures of Parameters."""
    evaluate = lambda p: expected(tables, p, thresholds, points, seed)  # noqa: E731
    if not differentiate:
        return evaluate(parameters), None
    return evaluate(parameters), jax.jacfwd(evaluate)(parameters)
