"""One history with weights: the flowchart of `absorber.transport`, with chances where that throws dice.

A step either absorbs the photon that waits, or lets the ion's innermost vacancy relax. It makes at most one electron and
at most one photon. Electrons only ever multiply: `above` is the probability that those so far took out more than each
threshold. With the last that escapes called k,

    P(sum > a) = sum_k prod_(i > k) (1 - p_i) P(loss_k > a - loss of those before k),

exact, and continuous in all parameters, because a loss is continuous where an electron begins to escape.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from xcal_jax.absorber.geometry import Direction, Site, deflect, isotropic
from xcal_jax.absorber.random import Key, uniforms
from xcal_jax.absorber.relaxation import NONE, Vacancies, add_vacancy, any_vacancy, no_vacancies, take_innermost
from xcal_jax.absorber.scattering import compton_energy
from xcal_jax.expected import electrons
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import attenuation, fly
from xcal_jax.expected.tables import Tables
from xcal_jax.expected.zones import first_site

PENDING = 6  # photons that may wait in one history
PAIRS = 7  # of random numbers a step
SITE_NUMBERS = 4
GOOD_STEPS = 3  # that take their numbers from the low-discrepancy sequence
DIMENSIONS = SITE_NUMBERS + 2 * PAIRS * GOOD_STEPS


class Photon(NamedTuple):
    """A photon where it is absorbed."""

    site: Site
    direction: Direction
    energy: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class History:
    """site, element, vacancies: of the ion that relaxes; waiting: photons (P,), count () int32 of them.

    weight: (); escapes: () int32 photons that left; line: the transition of the last, -1 if none or scattered;
    scattered: () bool; by_photons: () eV; above: (A,) probability that electrons took out more than each threshold;
    drawn: () eV that they took out in one drawn case; mean, square: () eV, eV2, of what they take out; overflow: bool.
    """

    steps: Array
    site: Site
    element: Array
    vacancies: Vacancies
    waiting: Photon
    count: Array
    weight: Array
    escapes: Array
    line: Array
    scattered: Array
    by_photons: Array
    above: Array
    drawn: Array
    mean: Array
    square: Array
    overflow: Array


class Electron(NamedTuple):
    """Made in a step, or not (`present` False); u: (6,)."""

    present: Array
    emission: electrons.Emission
    u: Array


def begin(tables: Tables, parameters: Parameters, thresholds: Array, u: Array) -> History:
    """The photon about to be absorbed at its first interaction, for u (4,)."""
    cost = electron_cost(tables, parameters)
    mu = attenuation(tables, parameters.density, parameters.energy)
    site, weight = first_site(parameters, mu, cost, tables.uniform, u)
    zero = jnp.zeros_like(parameters.energy)
    down = Direction(zero, zero, zero - 1.0)
    first = Photon(site, down, parameters.energy)
    none = jnp.full((), NONE, jnp.int32)
    no = jnp.zeros((), bool)
    return History(
        steps=jnp.zeros((), jnp.uint32),
        site=site,
        element=jnp.zeros_like(none),
        vacancies=no_vacancies(tables.matter.relaxation.words),
        waiting=jax.tree.map(lambda field: jnp.broadcast_to(field, (PENDING,)), first),
        count=jnp.ones((), jnp.int32),
        weight=weight,
        escapes=jnp.zeros_like(none),
        line=none,
        scattered=no,
        by_photons=zero,
        above=jnp.zeros_like(thresholds),
        drawn=zero,
        mean=zero,
        square=zero,
        overflow=no,
    )


def walk(tables: Tables, parameters: Parameters, thresholds: Array, key: Key, points: Array) -> History:
    """A whole history, for points (DIMENSIONS,) of a low-discrepancy sequence; thresholds: (A,) eV, the first 0."""

    def unfinished(history):
        return any_vacancy(history.vacancies) | (history.count > 0)

    def on(history):
        return step(tables, parameters, thresholds, numbers(key, points, history.steps), history)

    return jax.lax.while_loop(unfinished, on, begin(tables, parameters, thresholds, points[:SITE_NUMBERS]))


def numbers(key: Key, points: Array, steps: Array) -> Array:
    """The random numbers (2 PAIRS,) of a step."""
    good = steps < GOOD_STEPS
    first = SITE_NUMBERS + 2 * PAIRS * jnp.minimum(steps, GOOD_STEPS - 1).astype(jnp.int32)
    drawn = [u for n in range(PAIRS) for u in uniforms(key, PAIRS * steps + n)]
    return jnp.where(good, jax.lax.dynamic_slice(points, (first,), (2 * PAIRS,)), jnp.stack(drawn))


def electron_cost(tables: Tables, parameters: Parameters) -> list[Array]:
    """Scaled range of a um of track, () for each layer."""
    cost = tables.matter.electron_cost(parameters.density)
    return [cost[n] for n in range(cost.shape[0])]


def step(tables: Tables, parameters: Parameters, thresholds: Array, u: Array, history: History) -> History:
    """Absorb the last photon that waits, if the ion is at rest; else relax the ion."""
    atoms, laws = tables.matter.relaxation, tables.matter.angles
    relaxes = any_vacancy(history.vacancies)
    top = jnp.clip(history.count - 1, 0, PENDING - 1)
    photon = jax.tree.map(lambda field: field[top], history.waiting)
    site = _where(relaxes, history.site, photon.site)

    code, share = hit(tables, photon, u[0], u[1])
    subshells, elements = atoms.binding.shape[0], atoms.offset.shape[0]
    scatters = ~relaxes & (code >= subshells)
    ejects = ~relaxes & ~scatters
    from_ = jnp.minimum(code, subshells - 1)
    coherent = code >= subshells + elements
    law = jnp.where(scatters, 1 + code - subshells, 0)
    cosine = laws.sample_cosine(law, photon.energy, u[2])
    scattered_energy = jnp.where(coherent, photon.energy, compton_energy(photon.energy, cosine))

    place, others = take_innermost(history.vacancies)
    vacancy = atoms.offset[history.element] + place
    t = tables.cascade.pick(vacancy, u[0])
    line = vacancy * atoms.energy.shape[1] + t
    shines = relaxes & atoms.radiative.reshape(-1)[line]
    first, second = atoms.first.reshape(-1)[line], atoms.second.reshape(-1)[line]
    transition = atoms.energy.reshape(-1)[line].astype(photon.energy.dtype)
    brightness = tables.yield_weight(vacancy, shines, parameters.yield_scale)

    vacancies = tuple(jnp.where(relaxes, rest, 0) for rest in others)
    vacancies, full_1 = _open(tables, vacancies, jnp.where(relaxes, first, jnp.where(ejects, from_, NONE)))
    vacancies, full_2 = _open(tables, vacancies, jnp.where(relaxes, second, NONE))
    history = History(
        **{
            **vars(history),
            "steps": history.steps + 1,
            "site": site,
            "element": jnp.where(ejects, atoms.element[from_], history.element),
            "vacancies": vacancies,
            "count": jnp.where(relaxes, history.count, history.count - 1),
            "weight": history.weight * jnp.where(relaxes, brightness, share),
            "scattered": history.scattered | scatters,
            "overflow": history.overflow | full_1 | full_2,
        }
    )
    kinetic = jnp.maximum(photon.energy - atoms.binding[from_], 0.0)
    electron = Electron(
        ejects | (relaxes & ~shines & (second != NONE)),
        electrons.Emission(site, jnp.where(relaxes, transition, kinetic), ejects, photon.direction),
        u[7:13],
    )
    history = book_electron(tables, parameters, thresholds, electron, history)
    direction = _where(scatters, deflect(photon.direction, cosine, u[3]), isotropic(u[2], u[3]))
    flying = Photon(site, direction, jnp.where(scatters, scattered_energy, transition))
    return send_photon(tables, parameters, flying, shines | scatters, jnp.where(shines, line, NONE), u[4:7], history)


def hit(tables: Tables, photon: Photon, u_row: Array, u_channel: Array) -> tuple[Array, Array]:
    """What the photon hits, a code of `Attenuation`, and the weight () of that choice: one, with its derivative."""
    table = tables.matter.attenuation
    row, share = table.place(photon.energy)
    material = jnp.array(tables.matter.layer_material, dtype=jnp.int32)[photon.site.layer]
    rows, channels = table.energy.shape[0], table.code.shape[1]
    at = material * rows + row
    channel = table.channels.pick(jnp.where(u_row < share, at + 1, at), u_channel)
    low, high = (tables.channel_share.reshape(-1)[r * channels + channel] for r in (at, at + 1))
    chance = (1.0 - share) * low + share * high
    return table.code.reshape(-1)[material * channels + channel], chance / stop_gradient(chance)


def book_electron(
    tables: Tables, parameters: Parameters, thresholds: Array, electron: Electron, history: History
) -> History:
    """Multiply in the chances of an electron."""
    emission = electron.emission
    cost = electron_cost(tables, parameters)
    around = electrons.surroundings(parameters.stack, cost, emission.site, parameters.range_scale)
    room = electrons.budget(around, emission.energy, jnp.maximum(thresholds - history.drawn, 0.0))
    chance = jax.vmap(lambda b: electrons.chance(around, emission, b, electron.u[:4]))(room)
    mean, square = electrons.losses(around, emission, electron.u[:4])
    cosine = tables.matter.angles.sample_cosine(jnp.zeros_like(history.count), emission.energy, electron.u[4])
    way = _where(
        emission.sauter,
        deflect(emission.photon, cosine, electron.u[5]),
        isotropic(electron.u[4], electron.u[5]),
    )
    lost = electrons.energy_left(around, emission.site, way, emission.energy)
    here = electron.present
    chance, mean, square, lost = (jnp.where(here, a, 0.0) for a in (chance, mean, square, lost))
    return History(
        **{
            **vars(history),
            "above": history.above * (1.0 - chance[0]) + chance,
            "drawn": history.drawn + lost,
            "square": history.square + square + 2.0 * history.mean * mean,
            "mean": history.mean + mean,
        }
    )


def send_photon(
    tables: Tables, parameters: Parameters, photon: Photon, here: Array, line: Array, u: Array, history: History
) -> History:
    """The photon, if any, leaks out or waits where it is absorbed."""
    energy = jnp.where(here, photon.energy, tables.matter.relaxation.binding[0].astype(photon.energy.dtype))
    flight = fly(tables, parameters, photon.site, photon.direction, energy, u)
    leaves, stays = here & flight.escapes, here & ~flight.escapes
    absorbed = Photon(flight.site, photon.direction, energy)
    slot = jnp.arange(PENDING, dtype=jnp.int32) == history.count
    return History(
        **{
            **vars(history),
            "weight": history.weight * jnp.where(here, flight.weight, 1.0),
            "waiting": jax.tree.map(lambda old, new: jnp.where(slot & stays, new, old), history.waiting, absorbed),
            "count": history.count + stays.astype(jnp.int32),
            "overflow": history.overflow | (stays & (history.count >= PENDING)),
            "escapes": history.escapes + leaves.astype(jnp.int32),
            "line": jnp.where(leaves, line, history.line),
            "by_photons": history.by_photons + jnp.where(leaves, energy, 0.0),
        }
    )


def _open(tables: Tables, vacancies: Vacancies, subshell: Array) -> tuple[Vacancies, Array]:
    """A vacancy more in ``subshell`` () int32, unless it is -1 or never decays; and whether its count overflowed."""
    atoms = tables.matter.relaxation
    index = jnp.maximum(subshell, 0)
    return add_vacancy(vacancies, atoms.place_in_ion(index), (subshell >= 0) & atoms.decays[index])


def _where(when: Array, yes, no):
    return jax.tree.map(lambda a, b: jnp.where(when, a, b), yes, no)
