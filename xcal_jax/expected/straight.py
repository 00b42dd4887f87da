"""Straight electrons (`physics.electrons.straight`) in weighted histories: their escape is a probability.

See `electrons.ElectronModel` for what each function is. No electron waits, no site moves, every derivative exists.
"""

from collections.abc import Sequence
from dataclasses import replace

import jax.numpy as jnp

from xcal_jax.absorber.matter import Matter
from xcal_jax.compute.lanes import choose
from xcal_jax.compute.random import Key
from xcal_jax.compute.shapes import Real
from xcal_jax.expected.entry import energy_brought, enter
from xcal_jax.expected.escape import budget, energy_left, escape, surroundings
from xcal_jax.expected.first_collision import first_site as first_site
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import Flight
from xcal_jax.expected.random_numbers import StepNumbers
from xcal_jax.expected.score import Levels, Sums
from xcal_jax.expected.state import Emission, History, Photon
from xcal_jax.physics.geometry import Direction, Site, deflect, isotropic


def check(matter: Matter, parameters: Parameters, asked: Sequence[str]) -> None:
    """Every derivative is right."""


def guard(matter: Matter, parameters: Parameters, in_energy: bool) -> Parameters:
    """``parameters`` as they are."""
    return parameters


def copies(in_energy: bool) -> tuple[float, ...]:
    """No history is repeated."""
    return ()


def nobody(site: Site) -> None:
    """No electron ever waits."""


def absorbed(
    matter: Matter, parameters: Parameters, photon: Photon, direction: Direction, flight: Flight
) -> tuple[Site, Direction, Real]:
    """(site, direction, weight) at the end of ``flight``, as it is."""
    return flight.site, direction, flight.stays


def emit(
    matter: Matter, parameters: Parameters, thresholds: Levels, emission: Emission, u: StepNumbers, history: History
) -> History:
    """The history with the losses of one electron more."""
    cost, levels = matter.electrons.per_um(parameters.density), history.outside.levels(thresholds) - history.drawn
    inside = in_signal(parameters, emission)
    around = surroundings(parameters.signal, cost[parameters.counting], inside.site)
    room = budget(around, emission.energy, jnp.maximum(levels, 0.0))
    probability, mean, square = escape(around, inside, room, u.escape)
    u_polar, u_azimuth = u.electron
    cosine = matter.angles.sample_cosine(jnp.zeros_like(history.count), emission.energy, u_polar)
    way = choose(emission.sauter, deflect(emission.photon, cosine, u_azimuth), isotropic(u_polar, u_azimuth))
    lost = energy_left(around, inside.site, way, emission.energy)
    if parameters.dead:
        brought = energy_brought(parameters, cost, emission.site, way, emission.energy)
        gains = *enter(parameters, cost, emission, u.escape[:2]).losses(parameters, levels), -brought
        here = parameters.counts(emission.site.layer)
        probability, mean, square, lost = choose(here, (probability, mean, square, lost), gains)
    probability, mean, square, lost = (jnp.where(emission.present, a, 0.0) for a in (probability, mean, square, lost))
    return history.with_electron(probability, mean, square, lost)


def in_signal(parameters: Parameters, emission: Emission) -> Emission:
    """``emission`` as seen in the layers that count alone; at the top of these if it is in a dead layer."""
    if not parameters.dead:
        return emission
    site, counts = emission.site, parameters.counts(emission.site.layer)
    layer = jnp.where(counts, site.layer - parameters.counting.start, 0)
    return emission._replace(site=replace(site, depth=jnp.where(counts, site.depth, 0.0), layer=layer))


def follow(matter: Matter, parameters: Parameters, thresholds: Levels, keys: Key, histories: History) -> History:
    """``histories`` as they are."""
    return histories


def with_slope(sums: Sums, histories: History) -> Sums:
    """``sums`` as they are."""
    return sums
