"""One history with weights: the flowchart of `absorber.transport`, with chances where that throws dice.

A step either flies and absorbs a photon that waits, or lets the ion's innermost vacancy relax. Both ends of a flight
are followed: the history that ends with the photon outside is booked, the one in which it is absorbed goes on. (Where
more photons wait, one of the ends is drawn.) Electrons never end a history, they multiply: `above` is the probability
that those so far took out more than each threshold. With the last that escapes called k,

    P(sum > a) = sum_k prod_(i > k) (1 - p_i) P(loss_k > a - loss of those before k),

exact, and continuous in all parameters, because a loss is continuous where an electron begins to escape.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.compute.random import Key, uniforms
from xcal_jax.expected import first_collision, scattering, score, site_mapping, straight
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import fly
from xcal_jax.expected.score import Sums
from xcal_jax.expected.state import PENDING, History, Photon, Varied, either, push
from xcal_jax.expected.tables import Tables
from xcal_jax.physics.geometry import Direction, deflect, isotropic
from xcal_jax.physics.photon_scattering import compton_energy
from xcal_jax.physics.relaxation import NONE, no_vacancies

PAIRS = 8  # of random numbers a step
SITE_NUMBERS = 4
GOOD_FLIGHTS, GOOD_TRANSITIONS = 2, 2  # whose numbers come from the low-discrepancy sequence
DIMENSIONS = SITE_NUMBERS + 2 * PAIRS * (GOOD_FLIGHTS + GOOD_TRANSITIONS)
LEAST_CHOICE = 0.1  # of either end of a flight, where one is drawn


def begin(tables: Tables, parameters: Parameters, thresholds: Array, u: Array, raised: Array | None = None) -> History:
    """The photon about to be absorbed at its first interaction, for u (4,); raised: () of `Varied`, or None."""
    site, weight = (site_mapping if tables.turning else first_collision).first_site(tables, parameters, u)
    zero = jnp.zeros_like(weight)
    none = jnp.full((), NONE, jnp.int32)
    no = jnp.zeros((), bool)
    first = Photon(site, Direction(zero, zero, zero - 1.0), parameters.energy, none)
    return History(
        steps=jnp.zeros((), jnp.uint32),
        flights=jnp.zeros((), jnp.uint32),
        site=site,
        element=jnp.zeros_like(none),
        vacancies=no_vacancies(tables.matter.relaxation.words),
        waiting=jax.tree.map(lambda field: jnp.broadcast_to(field, (PENDING,)), first),
        count=jnp.ones_like(none),
        weight=weight,
        outside=score.Photons(jnp.zeros_like(none), zero, none, no),
        inside=score.Electrons(jnp.zeros_like(thresholds), zero, zero),
        drawn=zero,
        electron=scattering.nobody(site) if tables.turning else None,
        varied=None if raised is None else Varied(raised, zero, zero),
        sums=score.nothing(thresholds),
        overflow=no,
    )


def step(
    tables: Tables, parameters: Parameters, thresholds: Array, key: Key, points: Array, history: History
) -> History:
    """Fly and absorb the last photon that waits, if the ion is at rest; else relax the ion.

    thresholds: (A,) eV, the first 0; points: (DIMENSIONS,) of a low-discrepancy sequence.
    """
    u = numbers(key, points, history)
    relaxes = history.relaxes
    history, photon, absorbs = land(tables, parameters, thresholds, history, u[4:9])
    relaxed, auger, fluorescence = relax(tables, parameters, history, u[0])
    absorbed, photoelectron, scattered = absorb(tables, parameters, history, photon, absorbs, u[:4])
    history = either(relaxes, relaxed, absorbed)
    electron = either(relaxes, auger, photoelectron)
    if tables.turning:
        history = scattering.emit(tables, parameters, electron, history, u[13:15])
    else:
        history = book_electron(tables, parameters, thresholds, electron, history, u[9:15])
    history = push(history, *either(relaxes, fluorescence, scattered))
    return replace(
        history,
        steps=history.steps + 1,
        flights=history.flights + jnp.where(relaxes, 0, 1).astype(jnp.uint32),
    )


def finish(thresholds: Array, history: History) -> Sums:
    """The sums of all ends, the last one included; NaN where a counter overflowed."""
    weight = jnp.where(history.overflow, jnp.nan, history.weight)
    return score.book(history.sums, weight, history.outside, history.inside, thresholds)


def numbers(key: Key, points: Array, history: History) -> Array:
    """The random numbers (2 PAIRS,) of a step: the first flights and the first transitions have the best."""
    transitions = history.steps - history.flights
    relaxes = history.relaxes
    n = jnp.where(relaxes, transitions, history.flights)
    good = n < jnp.where(relaxes, jnp.uint32(GOOD_TRANSITIONS), jnp.uint32(GOOD_FLIGHTS))
    block = jnp.where(good, n, 0).astype(jnp.int32) + jnp.where(relaxes, GOOD_FLIGHTS, 0)
    drawn = [u for k in range(PAIRS) for u in uniforms(key, PAIRS * history.steps + k)]
    chosen = jax.lax.dynamic_slice(points, (SITE_NUMBERS + 2 * PAIRS * block,), (2 * PAIRS,))
    return jnp.where(good, chosen, jnp.stack(drawn))


def land(tables: Tables, parameters: Parameters, thresholds: Array, history: History, u: Array):
    """Take the last photon that waits, unless the ion relaxes: (history, photon where it is absorbed, whether it is).

    For u (5,). The first photon of all is where it is absorbed.
    """
    takes = ~history.relaxes
    top = jnp.clip(history.count - 1, 0, PENDING - 1)
    photon = jax.tree.map(lambda field: field[top], history.waiting)
    direction = either(photon.line == NONE, photon.direction, isotropic(u[0], u[1]))
    flight = fly(tables, parameters, photon.site, direction, photon.energy, u[2:4])
    leaks, stays, site, towards = flight.leaks, flight.stays, flight.site, direction
    if tables.turning:
        site, towards, stays = site_mapping.absorbed(tables, parameters, photon, direction, flight)
    flies = takes & (history.flights > 0)
    both = flies & (history.count == 1) & (history.sums.singles < score.SINGLES - 1)
    choice = jnp.clip(parameters.fixed(leaks), LEAST_CHOICE, 1.0 - LEAST_CHOICE)
    leaves = flies & ~both & (u[4] < choice)

    out = score.Photons(
        history.outside.number + 1, history.outside.energy + photon.energy, photon.line, history.outside.scattered
    )
    ended = score.book(history.sums, history.weight * leaks, out, history.inside, thresholds)
    factor = jnp.where(leaves, leaks / choice, jnp.where(both, stays, stays / (1.0 - choice)))
    history = replace(
        history,
        count=jnp.where(takes, history.count - 1, history.count),
        weight=history.weight * jnp.where(flies, factor, 1.0),
        sums=either(both, ended, history.sums),
        outside=either(leaves, out, history.outside),
    )
    site, direction = either(flies, (site, towards), (photon.site, photon.direction))
    return history, Photon(site, direction, photon.energy, photon.line), takes & ~leaves


def absorb(tables: Tables, parameters: Parameters, history: History, photon: Photon, here: Array, u: Array):
    """Scattering, or a photoelectron and a vacancy: (history, electron, (photon, whether there is one)), for u (4,)."""
    atoms = tables.matter.relaxation
    material = tables.matter.material_of(photon.site.layer)
    code, share = tables.pick_channel(parameters, material, photon.energy, u[0], u[1])
    hit = tables.matter.hit(code)
    ejects, scatters, subshell = here & hit.ejects, here & ~hit.ejects, hit.subshell
    vacancies, _, full = atoms.open(history.vacancies, subshell, ejects)
    cosine = tables.matter.angles.sample_cosine(hit.law, photon.energy, u[2])
    energy = jnp.where(hit.coherent, photon.energy, compton_energy(photon.energy, cosine))
    scattered = Photon(photon.site, deflect(photon.direction, cosine, u[3]), energy, jnp.full_like(code, NONE))
    kinetic = jnp.maximum(photon.energy - atoms.binding[subshell], 0.0)
    history = replace(
        history,
        site=either(here, photon.site, history.site),
        element=jnp.where(ejects, atoms.element[subshell], history.element),
        vacancies=vacancies,
        weight=history.weight * jnp.where(here, share, 1.0),
        outside=history.outside._replace(scattered=history.outside.scattered | scatters),
        overflow=history.overflow | full,
    )
    varies = ejects & (photon.line == NONE)
    electron = straight.Emission(photon.site, kinetic, ejects, ejects, photon.direction, varies)
    return history, electron, (scattered, scatters)


def relax(tables: Tables, parameters: Parameters, history: History, u: Array):
    """The innermost vacancy relaxes, for u (): (history, electron, (photon, whether there is one))."""
    atoms = tables.matter.relaxation
    vacancy, others = atoms.innermost(history.vacancies, history.element)
    line, energy, shines, first, second = atoms.transition(vacancy, tables.cascade.pick(vacancy, u))
    vacancies, _, full_1 = atoms.open(others, first)
    vacancies, _, full_2 = atoms.open(vacancies, second)
    energy = energy.astype(history.weight.dtype)
    nowhere = Direction(*(jnp.zeros_like(energy),) * 3)
    relaxed = replace(
        history,
        vacancies=vacancies,
        weight=history.weight * tables.yield_weight(vacancy, shines, parameters.yield_scale),
        overflow=history.overflow | full_1 | full_2,
    )
    no = jnp.zeros((), bool)
    electron = straight.Emission(history.site, energy, ~shines & (second != NONE), no, nowhere, no)
    return relaxed, electron, (Photon(history.site, nowhere, energy, line), shines)


def book_electron(tables, parameters: Parameters, thresholds, emission: straight.Emission, history: History, u):
    """Multiply in the chances of an electron, for u (6,)."""
    cost = tables.electron_cost(parameters)
    around = straight.surroundings(parameters, cost, emission.site)
    room = straight.budget(around, emission.energy, jnp.maximum(thresholds - history.drawn, 0.0))
    chance, mean, square = straight.escape(around, emission, room, u[:4])
    cosine = tables.matter.angles.sample_cosine(jnp.zeros_like(history.count), emission.energy, u[4])
    way = either(emission.sauter, deflect(emission.photon, cosine, u[5]), isotropic(u[4], u[5]))
    lost = straight.energy_left(around, emission.site, way, emission.energy)
    chance, mean, square, lost = (jnp.where(emission.present, a, 0.0) for a in (chance, mean, square, lost))
    return history.with_electron(chance, mean, square, lost)
