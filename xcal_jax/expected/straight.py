"""Straight electrons (`physics.electrons.straight`) in weighted histories: their escape is a probability.

See `electrons.ElectronModel` for what each function is. No electron waits, no site moves, every derivative exists.
"""

from collections.abc import Sequence

import jax.numpy as jnp

from xcal_jax.absorber.matter import Matter
from xcal_jax.compute.lanes import choose
from xcal_jax.compute.random import Key
from xcal_jax.compute.shapes import Real
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
    around = surroundings(parameters, matter.electrons.per_um(parameters.density), emission.site)
    room = budget(around, emission.energy, jnp.maximum(thresholds - history.drawn, 0.0))
    probability, mean, square = escape(around, emission, room, u.escape)
    u_polar, u_azimuth = u.electron
    cosine = matter.angles.sample_cosine(jnp.zeros_like(history.count), emission.energy, u_polar)
    way = choose(emission.sauter, deflect(emission.photon, cosine, u_azimuth), isotropic(u_polar, u_azimuth))
    lost = energy_left(around, emission.site, way, emission.energy)
    probability, mean, square, lost = (jnp.where(emission.present, a, 0.0) for a in (probability, mean, square, lost))
    return history.with_electron(probability, mean, square, lost)


def follow(matter: Matter, parameters: Parameters, thresholds: Levels, keys: Key, histories: History) -> History:
    """``histories`` as they are."""
    return histories


def with_slope(sums: Sums, histories: History) -> Sums:
    """``sums`` as they are."""
    return sums
