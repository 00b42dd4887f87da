"""The Monte Carlo: photons fly, interact, relax, and their electrons stop or escape (section 2, the paper's flowchart).

Everything is written for one photon; `jax.vmap` makes the batch. After its `first_interaction`, a history repeats

    relax   the ion's vacancies, one transition after another: electrons stop or escape, photons wait
    follow  the electrons that scatter and may escape, if the electron model is of that kind
    fly     the next waiting photon, through the layers, to a face or to an atom
    absorb  it there: an electron and a vacancy, a scattered photon, or both

A photon or an electron that leaves one absorber of an array goes on to the next, or to a substrate wider than they are
(`travel`, `eject`). A dead layer is matter like any other, but its energy is booked to an account of its own
(`Stack.account`).

Most photons lose nothing: they are absorbed where no electron can reach a face and no photon comes out of the ion.
`first_interaction` finds that out exactly; only the others, the ones `at_risk`, become histories.
A history counts the energy that it loses. Its deposit is added up independently, and the two must balance.

Random numbers are named by counters of the photon's key, two numbers each: those of the source come first, then those
of the first interaction, then those of the history's steps, one after another (`History.counter`).
"""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp

from xcal_jax.absorber.source import SOURCE_COUNTERS, PhotonSource
from xcal_jax.compute.lanes import choose, materialise
from xcal_jax.compute.random import COUNTERS, Key, uniform_block, uniforms
from xcal_jax.compute.shapes import Flag, Real, Whole
from xcal_jax.montecarlo.ledger import NO_ACCOUNT, Ledger, Shares
from xcal_jax.montecarlo.state import EMITTED, PENDING, History, Ion, Medium, Pending, Vertex
from xcal_jax.physics.electrons.straight import Straight
from xcal_jax.physics.geometry import Direction, Site, Stack, isotropic, margin_to_surface
from xcal_jax.physics.layers import cumulative
from xcal_jax.physics.parts import next_part, travel
from xcal_jax.physics.relaxation import NONE, no_vacancies

FIRST_FLIGHT = SOURCE_COUNTERS  # counter of the depth of the first interaction, and of its channel
FIRST_HIT = FIRST_FLIGHT + 1  # of the row of its channels, and of whether a photon comes of it
FIRST_STEP = FIRST_HIT + 1
RELAXATION, FLIGHT = 2, 3  # counters that a step takes; an interaction takes those of the Compton model
SPARE = 8  # counters that are left when a history counts as overflowing


def first_interaction(medium: Medium, source: PhotonSource, key: Key) -> tuple[Vertex, Whole]:
    """The first interaction of a photon of ``source``, and its source line.

    A photon of a forced source interacts for certain: its optical depth is sampled below that of its whole path.
    """
    energy, line, top, direction = source.photon(medium.stack, key)
    place = medium.matter.attenuation.place(energy)
    attenuation = medium.matter.attenuation_at(medium.density, *place)
    through = cumulative(attenuation, medium.stack.thickness)[1] / jnp.abs(direction.z)
    u_depth, u_channel = uniforms(key, jnp.uint32(FIRST_FLIGHT))
    probability = -jnp.expm1(-through) * (1.0 - 2.0**-22) if source.forced else 1.0
    escaped, _, site = travel(medium.stack, top, direction, attenuation, -jnp.log1p(-u_depth * probability))
    u_row, u_photon = uniforms(key, jnp.uint32(FIRST_HIT))
    u = u_row, u_channel, u_photon
    vertex = sample_interaction(medium, energy, site, direction, ~escaped, place, u)
    if medium.stack.substrate is not None:
        vertex = replace(vertex, beside=vertex.met & medium.stack.in_substrate(top.layer))
    return vertex, line


def sample_interaction(
    medium: Medium,
    energy: Real,
    site: Site,
    direction: Direction,
    met: Flag,
    place: tuple[Whole, Real],
    u: tuple[Real, Real, Real],
) -> Vertex:
    """The target of a photon of ``energy`` eV at ``site``, and what can come of it, for three uniform numbers.

    met: whether there is an interaction at all; place: row and fraction of the energy in the attenuation's rows.
    """
    matter, (u_row, u_channel, u_photon) = medium.matter, u
    material = matter.material_of(site.layer)
    hit = matter.hit(matter.attenuation.pick_channel(material, *place, u_row, u_channel))
    margin = margin_to_surface(medium.stack, site, matter.electrons.per_um(medium.density))
    kinetic = energy - matter.relaxation.binding[hit.subshell]
    ion_near = matter.maximum_range[hit.subshell] > margin
    photon_comes = u_photon > matter.relaxation.no_photon_probability[hit.subshell]
    return Vertex(
        site=site,
        direction=direction,
        energy=energy,
        hit=hit,
        margin=margin,
        met=met,
        emits=matter.relaxation.decays[hit.subshell] & (ion_near | photon_comes),
        electron_near=matter.electrons.maximum_range(kinetic) > margin,
        ion_near=ion_near,
    )


def at_risk(stack: Stack, vertex: Vertex) -> Flag:
    """Whether the photon may lose energy. If not, all of it is deposited."""
    risky = vertex.hit.scatters | vertex.electron_near | vertex.emits
    if stack.dead:
        risky = risky | (stack.account(vertex.site) != stack.home(vertex.site))
    return vertex.met & risky


def begin(medium: Medium, key: Key, vertex: Vertex) -> History:
    """The history that starts with ``vertex``."""
    zero = jnp.zeros_like(vertex.energy)
    none = jnp.full((), NONE, jnp.int32)
    no = jnp.zeros((), bool)
    nowhere = Site(*(jnp.zeros((PENDING,), field.dtype) for field in jax.tree.leaves(vertex.site)))
    stack, home = medium.stack, medium.stack.home(vertex.site)
    ledger = Ledger(
        deposited=zero,
        by_photons=zero,
        by_electrons=zero,
        escapes=jnp.zeros_like(none),
        line=none,
        scattered=no,
        overflow=no,
        shares=Shares.empty(stack, home, zero),
    )
    if stack.dead:  # a photon that first hits a dead layer has left the pixel
        ledger = ledger.fly(home, stack.account(vertex.site), vertex.met, no, vertex.energy, none)
    nothing = History(
        counter=jnp.uint32(FIRST_STEP),
        ion=Ion(
            vertex.site,
            vertex.margin,
            jnp.zeros_like(none),
            no_vacancies(medium.matter.relaxation.words),
            none,
            (none,) * EMITTED,
        ),
        electrons=(zero,) * medium.matter.electrons.waiting_slots,
        recoil=vertex.direction if medium.matter.electrons.waiting_slots else None,
        scattered_energy=zero,
        onwards=vertex.direction,
        pending=Pending(nowhere, jnp.full((PENDING,), NONE, jnp.int32), jnp.zeros_like(none)),
        ledger=ledger,
    )
    return absorb(medium, key, nothing, vertex)


def absorb(medium: Medium, key: Key, history: History, vertex: Vertex) -> History:
    """The history after ``vertex``: an electron (Eq. 2) and a vacancy, a photon, or both; nothing if no atom is met."""
    matter, tables, hit = medium.matter, medium.matter.relaxation, vertex.hit
    counters = matter.compton.counters
    u = materialise(medium.stack.width, uniform_block, key, history.counter, counters)
    ejects, scatters = vertex.met & hit.ejects, vertex.met & hit.scatters
    kinetic, recoil, after, onwards = matter.collide(hit, vertex.energy, vertex.direction, u)
    near = ejects & vertex.electron_near
    if matter.compton.ionises:
        near = near & (matter.electrons.maximum_range(kinetic) > vertex.margin)
    ledger, leaving = eject(medium, history.ledger, vertex.site, recoil, kinetic, near)
    first = tuple(jnp.where(near, kinetic, waiting) for waiting in history.electrons[:1])

    decays = ejects & vertex.emits
    vacancies, _, overflow = tables.open(history.ion.vacancies, hit.subshell, decays & vertex.ion_near)
    stays = jnp.where(scatters & ~ejects, vertex.energy - after, 0.0)
    stays = stays + jnp.where(ejects, kinetic - leaving + jnp.where(decays, 0.0, tables.binding[hit.subshell]), 0.0)
    account = medium.stack.account(vertex.site)
    ledger = ledger.keep(account, stays)
    scattered = ledger.scattered | (scatters & ledger.at_home(account))
    return replace(
        history,
        counter=history.counter + jnp.uint32(counters),
        ion=Ion(
            site=choose(vertex.met, vertex.site, history.ion.site),
            margin=jnp.where(vertex.met, vertex.margin, history.ion.margin),
            element=jnp.where(ejects, tables.element[hit.subshell], history.ion.element),
            vacancies=vacancies,
            chosen=jnp.where(decays & ~vertex.ion_near, hit.subshell, history.ion.chosen),
            emitted=history.ion.emitted,
        ),
        electrons=first + history.electrons[1:],
        recoil=None if history.recoil is None else choose(ejects, recoil, history.recoil),
        scattered_energy=jnp.where(scatters, after, history.scattered_energy),
        onwards=choose(scatters, onwards, history.onwards),
        ledger=replace(ledger, scattered=scattered, overflow=ledger.overflow | overflow),
    )


def relax(medium: Medium, key: Key, history: History, transitions: int) -> History:
    """The history after at most so many ``transitions`` of the ion, fewer if something has to fly or be followed."""

    def unfinished(state: tuple[Whole, History]) -> Flag:
        n, history = state
        return history.relaxing & (n < transitions)

    def step(state: tuple[Whole, History]) -> tuple[Whole, History]:
        n, history = state
        return n + 1, relax_once(medium, key, history)

    return jax.lax.while_loop(unfinished, step, (jnp.int32(0), history))[1]


def relax_once(medium: Medium, key: Key, history: History) -> History:
    """The history after one transition of the innermost vacancy, which emits a photon or an electron.

    Out of the electrons' reach, the whole cascade of the vacancy is deposited if no photon comes of it, and otherwise
    it is sampled given that a photon does (see `relaxation`).
    """
    tables = medium.matter.relaxation
    ion, ledger = history.ion, history.ledger
    u_photon, u_transition, u_first, u_second = materialise(
        medium.stack.width, uniform_block, key, history.counter, RELAXATION
    )
    must = ion.chosen >= 0
    innermost, others = tables.innermost(ion.vacancies, ion.element)
    subshell = jnp.where(must, ion.chosen, innermost)
    vacancies = choose(must, ion.vacancies, others)

    near = medium.matter.maximum_range[subshell] > ion.margin
    goes = near | must | (u_photon > tables.no_photon_probability[subshell])
    t = jnp.where(near, tables.analog.pick(subshell, u_transition), tables.biased.pick(subshell, u_transition))
    line, energy, radiative, first, second = tables.transition(subshell, t)
    photon = goes & radiative
    electrons = goes & ~photon

    may_escape = electrons & (second != NONE) & (medium.matter.electrons.maximum_range(energy) > ion.margin)
    direction = isotropic(u_first, u_second)
    ledger, leaving = eject(medium, ledger, ion.site, direction, energy, may_escape)
    photoelectron, others = history.electrons[:1], (energy, *history.electrons[1:])
    ejected = tuple(jnp.where(may_escape, newer, older) for newer, older in pairwise(others))
    # if no electron can escape, force a photon from one of the two vacancies: from the first, or from the second given
    # none from the first
    p, q = tables.photon_probability(first), tables.photon_probability(second)
    first_leads = electrons & ~near & (u_first * (p + q - p * q) < p)
    second_leads = electrons & ~near & ~first_leads
    vacancies, at_first, full_1 = tables.open(vacancies, first, goes & ~first_leads & ~second_leads)
    vacancies, at_second, full_2 = tables.open(vacancies, second, goes & ~second_leads)

    stays = jnp.where(goes, at_first + at_second, tables.binding[subshell])
    stays = stays + jnp.where(second_leads, tables.binding[first], 0.0) + jnp.where(electrons, energy - leaving, 0.0)
    newest = jnp.where(photon, line, ion.emitted[0])
    ion = replace(
        ion,
        vacancies=vacancies,
        chosen=jnp.where(first_leads, first, jnp.where(second_leads, second, NONE)),
        emitted=(
            newest,
            *(jnp.where(photon, a, b) for a, b in zip(ion.emitted, ion.emitted[1:], strict=False)),
        ),
    )
    ledger = ledger.keep(medium.stack.account(ion.site), stays)
    ledger = replace(ledger, overflow=ledger.overflow | full_1 | full_2 | (history.counter + SPARE > COUNTERS))
    return replace(
        history, counter=history.counter + RELAXATION, ion=ion, electrons=photoelectron + ejected, ledger=ledger
    )


def fly(medium: Medium, key: Key, history: History) -> History:
    """The history after the flight of the scattered photon, or else of the last that waits, to a face or to an atom."""
    matter = medium.matter
    u_cosine, u_azimuth, u_depth, u_channel, u_row, u_photon = materialise(
        medium.stack.width, uniform_block, key, history.counter, FLIGHT
    )
    ion, pending = history.ion, queue(history.pending, history.ion)
    overflow = history.ledger.overflow | (pending.count > PENDING) | (history.counter + SPARE > COUNTERS)
    scattered = ~ion.excited & (history.scattered_energy > 0)
    waiting = ~ion.excited & ~scattered & (pending.count > 0)
    flies = scattered | waiting

    top = jnp.clip(pending.count - 1, 0, PENDING - 1)
    line = pending.line[top]
    fluorescence = matter.relaxation.line_energy(line)
    energy = jnp.where(
        waiting, fluorescence, jnp.where(scattered, history.scattered_energy, matter.relaxation.binding[0])
    )
    start = choose(waiting, jax.tree.map(lambda field: field[top], pending.site), ion.site)
    direction = choose(waiting, isotropic(u_cosine, u_azimuth), history.onwards)
    place = matter.attenuation.place(energy)
    attenuation = matter.attenuation_at(medium.density, *place)
    escaped, _, site = travel(medium.stack, start, direction, attenuation, -jnp.log(u_depth))
    u = u_row, u_channel, u_photon
    vertex = sample_interaction(medium, energy, site, direction, flies & ~escaped, place, u)
    line = jnp.where(waiting, line, NONE)
    accounts = medium.stack.account(start), medium.stack.account(site)
    ledger = history.ledger.fly(*accounts, flies, escaped, energy, line)
    history = History(
        counter=history.counter + FLIGHT,
        ion=replace(ion, emitted=(jnp.full_like(line, NONE),) * EMITTED),
        electrons=history.electrons,
        recoil=history.recoil,
        scattered_energy=jnp.where(scattered, 0.0, history.scattered_energy),
        onwards=history.onwards,
        pending=replace(pending, count=pending.count - waiting.astype(jnp.int32)),
        ledger=replace(ledger, overflow=overflow),
    )
    return absorb(medium, key, history, vertex)


def queue(pending: Pending, ion: Ion) -> Pending:
    """The photons that wait, joined by those that the ion has emitted."""
    slot = jnp.arange(PENDING, dtype=jnp.int32)
    for line in reversed(ion.emitted):
        new = (slot == pending.count) & (line != NONE)
        pending = Pending(
            choose(new, ion.site, pending.site),
            jnp.where(new, line, pending.line),
            pending.count + (line != NONE).astype(jnp.int32),
        )
    return pending


def eject(
    medium: Medium, ledger: Ledger, site: Site, direction: Direction, energy: Real, when: Flag
) -> tuple[Ledger, Real]:
    """The ledger after a straight electron flies from ``site`` if ``when``; the energy, eV, that leaves its account.

    It goes on through the parts ahead, pixels or a wider substrate, which may stop it. An electron that has to be
    followed leaves nothing at once.
    """
    model, stack = medium.matter.electrons, medium.stack
    left = jnp.where(when, model.escaping_energy(stack, medium.density, site, direction, energy), 0.0)
    if model.waiting_slots:
        return ledger, left
    account = stack.account(site)
    leaving = left
    if stack.dead:
        ledger, beside = catch_by_layer(medium, ledger, site, direction, jnp.where(when, energy, 0.0), account)
        leaving = left + beside
    ledger = ledger.release(account, leaving)
    if stack.alone:
        return ledger.escape(left), leaving

    def enter(state: tuple[Real, Site, Ledger]) -> tuple[Real, Site, Ledger]:
        energy, site, ledger = state
        found, entry = next_part(stack, site, direction, energy > 0.0)
        left = model.escaping_energy(stack, medium.density, entry, direction, energy)
        if stack.dead:
            ledger, _ = catch_by_layer(
                medium, ledger, entry, direction, jnp.where(found, energy, 0.0), jnp.int32(NO_ACCOUNT)
            )
        else:
            ledger = ledger.catch(entry.pixel, jnp.where(found, energy - left, 0.0))
        return jnp.where(found, left, 0.0), entry, ledger.escape(jnp.where(found, 0.0, energy))

    return jax.lax.while_loop(lambda state: state[0] > 0.0, enter, (left, site, ledger))[2], leaving


def catch_by_layer(
    medium: Medium, ledger: Ledger, site: Site, direction: Direction, energy: Real, own: Whole | None
) -> tuple[Ledger, Real]:
    """The ledger after the layers around ``site`` have stopped what they stop of a straight electron of ``energy`` eV.

    Also that energy in eV. The account ``own`` is left out of both.
    """
    model, stack = medium.matter.electrons, medium.stack
    assert isinstance(model, Straight)
    kept = model.deposits(stack, medium.density, site, direction, energy)
    counts = sum((eV for n, eV in enumerate(kept) if n not in stack.dead), jnp.zeros_like(energy))
    caught = jnp.zeros_like(energy)
    accounts = [stack.home(site), *map(jnp.int32, range(stack.pixel_count, stack.accounts))]
    for account, stopped in zip(accounts, [counts, *(kept[n] for n in stack.dead)], strict=True):
        stopped = jnp.where(account == own, 0.0, stopped)
        ledger, caught = ledger.catch(account, stopped), caught + stopped
    return ledger, caught
