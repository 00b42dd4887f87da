"""Electrons that turn round, followed as the Monte Carlo follows them: whether they escape is counted, not expected.

Their tracks have no derivative, and need none (`ties`) but in the photons' energy. That changes one electron of a
history: the photoelectron of the photon that fell in, scattered before or not. It takes out a share s of its energy T:

    d<F(T s)> / dT = <dF/dT at this s> + (<F at the s of T (1 + h)> - <F at the s of T (1 - h)>) / (2 h T).

So a history is followed three times, with the same random numbers and h = 0.3: a range is about a power of T, of which
so wide a difference is 0.3 % off. Of the electrons that escape from four layers at 7 keV, h = 0.15, 0.5 and 0.7 change
the derivative by 2.4 (1.2), -0.6 (0.8) and -3.1 (1.0) %, with errors of these differences.
The first term is exact for a mean or a mean square. For a loss above a threshold it is the density of losses there: its
mean within `BAND` stands for it, half of it where the threshold is all the energy of an electron.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.compute.random import COUNTERS, Key
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.score import Sums
from xcal_jax.expected.state import History, either
from xcal_jax.expected.straight import Emission
from xcal_jax.expected.tables import Tables
from xcal_jax.montecarlo.electron_tracks import Electron, follow
from xcal_jax.physics.electrons.scattering import Scattering
from xcal_jax.physics.geometry import Direction, Site, deflect, isotropic, margin_to_surface
from xcal_jax.physics.photoelectric import sauter_density

RAISED = (0.0, 0.3, -0.3)  # shares of its energy, for the three times that a history is followed
BAND = 0.02  # of a threshold, to either side
TINY = 1e-30


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
    varied = history.varied
    if varied is not None:
        raised = jnp.where(emission.varies, 1.0 + varied.raised, 1.0)
        lever = jnp.where(emission.varies, emission.energy / jnp.maximum(energy, TINY) - 1.0, 0.0)
        varied = varied._replace(lever=varied.lever + lever, scale=(1.0 + lever) / raised)
        energy = energy * raised
    law = jnp.zeros_like(history.count)
    directed = deflect(photon, tables.matter.angles.sample_cosine(law, energy, u[0]), u[1])
    way = either(emission.sauter, directed, isotropic(u[0], u[1]))
    margin = margin_to_surface(frozen.stack, site, model.per_um(frozen.density))
    near = emission.present & (frozen.range_scale * model.maximum_range(energy) > margin)
    now = emission.photon
    turned = sauter_density(energy, now.x * way.x + now.y * way.y + now.z * way.z)
    share = turned / parameters.fixed(turned)
    return replace(
        history,
        weight=history.weight * jnp.where(near & emission.sauter, share, 1.0),
        electron=Electron(_narrow(site), way, jnp.where(near, energy, 0.0)),
        varied=varied,
    )


def follow_all(tables: Tables, parameters: Parameters, thresholds: Array, keys: Key, histories: History) -> History:
    """The electrons of n ``histories`` that wait are followed to their ends; thresholds: (A,) eV."""
    frozen, model, waiting = parameters.frozen, tables.matter.electrons, histories.electron
    assert isinstance(model, Scattering) and waiting is not None
    keys = jax.vmap(lambda key, steps: key.child(COUNTERS - 1 - steps))(keys, histories.steps)
    electrons = jax.tree.map(parameters.fixed, waiting)
    density = frozen.density / frozen.range_scale
    escaped, _ = follow(model, frozen.stack, density, keys, electrons)

    def exceeds(lost: Array, left: Array) -> Array:
        over, band = lost - left, BAND * thresholds
        held, some = parameters.fixed(over), lost > 0.0
        density = jnp.where(some & (jnp.abs(held) < band), 0.5 / jnp.maximum(band, TINY), 0.0)
        return jnp.where(some & (held > 0.0), 1.0, 0.0) + density * (over - held)

    def book(history: History, electron: Electron, lost: Array) -> History:
        if history.varied is not None:
            lost = lost * history.varied.scale
        chance = exceeds(lost, thresholds - history.drawn)
        booked = history.with_electron(chance, lost, lost * lost, lost)
        return replace(booked, electron=electron._replace(energy=jnp.zeros_like(lost)))

    return jax.vmap(book)(histories, waiting, escaped)


def with_slope(sums: Sums, lever: Array) -> Sums:
    """Of n histories as they are, from the sums (3 n, ...) at each share of `RAISED` and their ``lever`` (n,)."""

    def one(leaf: Array) -> Array:
        own, up, down = jnp.split(leaf, len(RAISED))
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return own
        return own + jnp.reshape(lever, (-1, *(1,) * (leaf.ndim - 1))) * (up - down) / (RAISED[1] - RAISED[2])

    return jax.tree.map(one, sums)
