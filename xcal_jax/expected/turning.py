"""Electrons that turn round, followed as the Monte Carlo follows them: whether they escape is counted, not expected.

Their tracks have no derivative and need none: see `ties`.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.absorber.electrons.scattering import Electron, Scattering, follow
from xcal_jax.absorber.geometry import Direction, Site, deflect, isotropic, least_cost_to_surface
from xcal_jax.absorber.photoelectric import sauter_density
from xcal_jax.absorber.random import DRAWS, Key
from xcal_jax.expected.electrons import Emission
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.state import History, either
from xcal_jax.expected.tables import Tables


def nobody(site: Site) -> Electron:
    """No electron."""
    zero = jnp.zeros_like(site.depth)
    return Electron(_narrow(site), Direction(zero, zero, zero - 1.0), zero)


def _narrow(site: Site) -> Site:
    """With the layer in the Monte Carlo's own integers, in double precision too."""
    return replace(site, layer=site.layer.astype(jnp.int32))


def emit(tables: Tables, parameters: Parameters, emission: Emission, history: History, u: Array) -> History:
    """The electron waits to be followed, if it may reach a face, for u (2,).

    Photoelectrons follow Sauter's law about a direction that moves with the sites: the weight has its derivative.
    """
    frozen = parameters.frozen
    model = tables.matter.electrons
    site, energy, photon = jax.tree.map(parameters.fixed, (emission.site, emission.energy, emission.photon))
    law = jnp.zeros_like(history.count)
    directed = deflect(photon, tables.matter.angles.sample_cosine(law, energy, u[0]), u[1])
    way = either(emission.sauter, directed, isotropic(u[0], u[1]))
    margin = least_cost_to_surface(frozen.stack, site, model.cost(frozen.density))
    near = emission.present & (frozen.range_scale * model.reach(energy) > margin)
    now = emission.photon
    turned = sauter_density(energy, now.x * way.x + now.y * way.y + now.z * way.z)
    share = turned / parameters.fixed(turned)
    return replace(
        history,
        weight=history.weight * jnp.where(near & emission.sauter, share, 1.0),
        electron=Electron(_narrow(site), way, jnp.where(near, energy, 0.0)),
    )


def follow_all(tables: Tables, parameters: Parameters, thresholds: Array, keys: Key, histories: History) -> History:
    """The electrons of n ``histories`` that wait are followed to their ends; thresholds: (A,) eV."""
    frozen, model, waiting = parameters.frozen, tables.matter.electrons, histories.electron
    assert isinstance(model, Scattering) and waiting is not None
    keys = jax.vmap(lambda key, steps: key.child(DRAWS - 1 - steps))(keys, histories.steps)
    electrons = jax.tree.map(parameters.fixed, waiting)
    density = frozen.density / frozen.range_scale
    escaped, _ = follow(model, frozen.stack, density, keys, electrons)

    def book(history: History, electron: Electron, lost: Array) -> History:
        chance = (lost > jnp.maximum(thresholds - history.drawn, 0.0)).astype(lost.dtype)
        booked = history.with_electron(chance, lost, lost * lost, lost)
        return replace(booked, electron=electron._replace(energy=jnp.zeros_like(lost)))

    return jax.vmap(book)(histories, waiting, escaped)
