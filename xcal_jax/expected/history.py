"""One weighted history: the flowchart of `montecarlo.transport`, with probabilities where that draws an outcome.

A step either flies and absorbs a photon that waits, or lets the ion's innermost vacancy relax. Both ends of a flight
are followed: the history that ends with the photon outside is booked, the one in which it is absorbed goes on. (Where
more photons wait, one of the ends is drawn.) Electrons never end a history. They multiply `inside.above`, the
probability that those so far took out more than each threshold a. With k the last electron that escapes and p_i the
probability that electron i escapes,

    P(sum > a) = sum_k prod_(i > k) (1 - p_i) P(loss_k > a - loss of those before k),

exact, and continuous in all parameters, because a loss is continuous where an electron begins to escape.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp

from xcal_jax.compute.lanes import choose
from xcal_jax.compute.random import Key
from xcal_jax.compute.shapes import Flag, Real
from xcal_jax.expected import score
from xcal_jax.expected.incidence import incident_direction
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import fly
from xcal_jax.expected.random_numbers import SITE_NUMBERS, Point, StepNumbers, step_numbers
from xcal_jax.expected.score import Levels, Sums
from xcal_jax.expected.state import PENDING, Emission, History, Photon, Varied, push
from xcal_jax.expected.tables import Tables
from xcal_jax.physics.geometry import Direction, deflect, isotropic
from xcal_jax.physics.photon_scattering import compton_energy
from xcal_jax.physics.relaxation import NONE, no_vacancies

LEAST_CHOICE = 0.1  # probability of either end of a flight, where one is drawn


def begin(
    tables: Tables, parameters: Parameters, thresholds: Levels, energy: Real, point: Point, raised: Real | None = None
) -> History:
    """The photon of ``energy`` eV about to be absorbed at its first interaction.

    point: of a low-discrepancy sequence; raised: of `Varied`, or None.
    """
    direction = incident_direction(parameters, point)
    site, weight = tables.electrons.first_site(tables.matter, parameters, energy, direction, point[:SITE_NUMBERS])
    zero = jnp.zeros_like(weight)
    none = jnp.full((), NONE, jnp.int32)
    no = jnp.zeros((), bool)
    first = Photon(site, direction, energy, none)
    outside = score.Photons(jnp.zeros_like(none), zero, none, no)
    if parameters.dead:  # a photon that first meets a dead layer has left what counts
        here = parameters.counts(site.layer)
        outside = outside._replace(signal=here).flown(~no, here, energy, none)
        outside = outside._replace(missed=outside.energy)
    return History(
        steps=jnp.zeros((), jnp.uint32),
        flights=jnp.zeros((), jnp.uint32),
        site=site,
        element=jnp.zeros_like(none),
        vacancies=no_vacancies(tables.matter.relaxation.words),
        waiting=jax.tree.map(lambda field: jnp.broadcast_to(field, (PENDING,)), first),
        count=jnp.ones_like(none),
        weight=weight,
        outside=outside,
        inside=score.Electrons(jnp.zeros_like(outside.levels(thresholds)), zero, zero),
        drawn=zero,
        electron=tables.electrons.nobody(site),
        varied=None if raised is None else Varied(raised, zero, zero),
        sums=score.nothing(thresholds, bool(parameters.dead)),
        overflow=no,
    )


def step(
    tables: Tables, parameters: Parameters, thresholds: Levels, key: Key, point: Point, history: History
) -> History:
    """The history after one step: the last photon that waits is absorbed or, if the ion is excited, that relaxes."""
    u = step_numbers(key, point, history)
    relaxes = history.relaxes
    history, photon, absorbs = land(tables, parameters, thresholds, history, u)
    relaxed, auger, fluorescence = relax(tables, parameters, history, u)
    absorbed, photoelectron, scattered = absorb(tables, parameters, history, photon, absorbs, u)
    history = choose(relaxes, relaxed, absorbed)
    electron = choose(relaxes, auger, photoelectron)
    history = tables.electrons.emit(tables.matter, parameters, thresholds, electron, u, history)
    history = push(history, *choose(relaxes, fluorescence, scattered))
    return replace(
        history,
        steps=history.steps + 1,
        flights=history.flights + jnp.where(relaxes, 0, 1).astype(jnp.uint32),
    )


def finish(thresholds: Levels, history: History) -> Sums:
    """The sums of all ends, the last one included; NaN where a counter overflowed."""
    weight = jnp.where(history.overflow, jnp.nan, history.weight)
    return score.book(history.sums, weight, history.outside, history.inside, thresholds)


def land(
    tables: Tables, parameters: Parameters, thresholds: Levels, history: History, u: StepNumbers
) -> tuple[History, Photon, Flag]:
    """(history without the last photon that waits, that photon where it is absorbed, whether it is).

    No photon is taken if the ion relaxes. The first photon of all waits where it is absorbed.
    """
    takes = ~history.relaxes
    top = jnp.clip(history.count - 1, 0, PENDING - 1)
    photon = jax.tree.map(lambda field: field[top], history.waiting)
    direction = choose(photon.line == NONE, photon.direction, isotropic(*u.direction))
    flight = fly(tables.matter, parameters, photon.site, direction, photon.energy, u.flight)
    leaks = flight.leaks
    site, towards, stays = tables.electrons.absorbed(tables.matter, parameters, photon, direction, flight)
    flies = takes & (history.flights > 0)
    both = flies & (history.count == 1) & (history.sums.singles < score.SINGLES - 1)
    choice = jnp.clip(parameters.fixed(leaks), LEAST_CHOICE, 1.0 - LEAST_CHOICE)
    leaves = flies & ~both & (u.end < choice)

    begins, nowhere = parameters.counts(photon.site.layer), jnp.zeros_like(takes)
    out = history.outside.flown(begins, nowhere, photon.energy, photon.line)
    ended = score.book(history.sums, history.weight * leaks, out, history.inside, thresholds)
    factor = jnp.where(leaves, leaks / choice, jnp.where(both, stays, stays / (1.0 - choice)))
    history = replace(
        history,
        count=jnp.where(takes, history.count - 1, history.count),
        weight=history.weight * jnp.where(flies, factor, 1.0),
        sums=choose(both, ended, history.sums),
        outside=choose(leaves, out, history.outside),
    )
    if parameters.dead:
        ends = history.outside.flown(begins, parameters.counts(site.layer), photon.energy, photon.line)
        history = replace(history, outside=choose(flies & ~leaves, ends, history.outside))
    site, direction = choose(flies, (site, towards), (photon.site, photon.direction))
    return history, Photon(site, direction, photon.energy, photon.line), takes & ~leaves


def absorb(
    tables: Tables, parameters: Parameters, history: History, photon: Photon, here: Flag, u: StepNumbers
) -> tuple[History, Emission, tuple[Photon, Flag]]:
    """(history, electron, (scattered photon, whether there is one)) after ``photon`` has hit an atom, if ``here``.

    The photon is scattered, or leaves a photoelectron and a vacancy.
    """
    matter, atoms = tables.matter, tables.matter.relaxation
    code, weight = tables.pick_channel(parameters, matter.material_of(photon.site.layer), photon.energy, *u.hit)
    hit = matter.hit(code)
    ejects, scatters, subshell = here & hit.ejects, here & hit.scatters, hit.subshell
    signal = scatters & parameters.counts(photon.site.layer) if parameters.dead else scatters
    vacancies, _, full = atoms.open(history.vacancies, subshell, ejects)
    u_polar, u_azimuth = u.deflection
    cosine = matter.angles.sample_cosine(hit.law, photon.energy, u_polar)
    energy = jnp.where(hit.coherent, photon.energy, compton_energy(photon.energy, cosine))
    scattered = Photon(photon.site, deflect(photon.direction, cosine, u_azimuth), energy, jnp.full_like(code, NONE))
    kinetic = jnp.maximum(photon.energy - atoms.binding[subshell], 0.0)
    history = replace(
        history,
        site=choose(here, photon.site, history.site),
        element=jnp.where(ejects, atoms.element[subshell], history.element),
        vacancies=vacancies,
        weight=history.weight * jnp.where(here, weight, 1.0),
        outside=history.outside._replace(scattered=history.outside.scattered | signal),
        overflow=history.overflow | full,
    )
    varies = ejects & (photon.line == NONE)
    electron = Emission(photon.site, kinetic, ejects, ejects, photon.direction, varies)
    return history, electron, (scattered, scatters)


def relax(
    tables: Tables, parameters: Parameters, history: History, u: StepNumbers
) -> tuple[History, Emission, tuple[Photon, Flag]]:
    """(history, electron, (photon, whether there is one)) after the ion's innermost vacancy has relaxed."""
    atoms = tables.matter.relaxation
    vacancy, others = atoms.innermost(history.vacancies, history.element)
    line, energy, shines, first, second = atoms.transition(vacancy, tables.cascade.pick(vacancy, u.transition))
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
    electron = Emission(history.site, energy, ~shines & (second != NONE), no, nowhere, no)
    return relaxed, electron, (Photon(history.site, nowhere, energy, line), shines)
