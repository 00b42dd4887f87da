"""Electrons that turn round: single collisions, and small losses all along the path.

An electron flies straight to its next collision and slows down on the way. There it turns (Wentzel's law with the
moments of partial waves, see `collisions`), or it loses more than 100 eV to another electron, which is knocked on and
followed as well where it can reach a face. At the border of a layer it stops and draws anew with the tables of the
next: exact, since free paths have no memory. Below 50 eV it deposits all that is left. So it does where every face is
farther than the displacement along an axis (Lewis's theory) will take it: farther than 3.5 standard deviations where
it starts, than 4 later, a question asked after every flight.

Measured for these choices (`analysis/full_physics.py`): drawing losses down to 20 eV one by one changes the smallest
losses alone, for the worse; a look at the tables every 5 instead of 20 % of energy lost changes nothing (0.3 %); a
cut-off at 100 instead of 50 eV costs 5.6 % of the partial depositions at 1 keV, 1.3 % at 3 and 0.3 % at 7 keV.
Against tracks without a bound, in half-spaces of Bi (2.3 and 4.5 keV) and Cu (3 keV), 0.02 to 0.1 % of the electrons
that escape are missed, and up to 0.5 % of those that escape with least energy (3.5 later on: 0.3 and 2.7 %). Starting
at 3 saves up to a tenth of the time of a run, but where all photons are absorbed about that far from a face (X-IFU,
x = y = 134.62 um) it misses 18 % of the smallest losses. A bound that knows the direction spares a tenth of the steps.
PENELOPE-2018 is met to 6 % in totals and mostly 8 % in bands of loss, from the high side.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.absorber.array import next_pixel
from xcal_jax.absorber.electrons.collisions import Collisions
from xcal_jax.absorber.electrons.elastic import TURNS
from xcal_jax.absorber.electrons.inelastic import LOSSES, REST
from xcal_jax.absorber.geometry import (
    Direction,
    Site,
    Stack,
    deflect,
    distance_to_side,
    isotropic,
    least_cost_to_surface,
    of_layer,
    ratio,
)
from xcal_jax.absorber.lanes import WORD, apart, choose, relay, take
from xcal_jax.absorber.ledger import Shares
from xcal_jax.absorber.random import Key, dice, uniforms
from xcal_jax.atomic import Material
from xcal_jax.atomic.electron import ELECTRON_LIMITS

LOWEST, HIGHEST = ELECTRON_LIMITS
CUTOFF = LOWEST  # eV; an electron with less deposits it where it is
STEPS_PER_OCTAVE = 16  # rows of the tables, equally spaced in energy between 50 eV, 100 eV, 200 eV ...
LARGEST_STEP = 0.2  # of an electron's energy, lost between two looks at the tables
PLACE_BITS = 23 - 4  # of the 23 bits of a float32's mantissa, those within a row
FIRST_PLACE = 127 << 23  # the bits of 1.0
COLLISIONS, ELASTIC, SOFT = range(3)  # rows of `Scattering.path`
START, LATER = range(2)  # rows of `Scattering.range`
SHARE, LEAST = 128, 1024  # one in so many of the electrons moves at a time, or so many
STEPS = 3  # before others take the lanes of those that have stopped
PER_UM = 1e-4  # cm2/g x g/cm3 = 1/cm


class Electron(NamedTuple):
    """Where an electron is, () each, which way it goes, and its energy in eV; 0 for none."""

    site: Site
    direction: Direction
    energy: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Track:
    """An electron on its way, and the last that it has set free, which waits until it has stopped.

    moving, waiting: energy 0 for none; escaped: () eV so far; key: of its random numbers; step: () uint32. shares: what
    pixels have beside the one where it began; None without an array.
    """

    moving: Electron
    waiting: Electron
    escaped: Array
    key: Key
    step: Array
    shares: Shares | None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scattering:
    """L layers at R energies, 16 to an octave from 50 eV to 1 MeV.

    path: (3, L, R): cross section of all collisions (cm2/g), the elastic share of it, soft stopping power (eV cm2/g);
    turn: (L, R, TURNS), b of the law of angles; outcome: (2, L, R, LOSSES) eV, see `Collisions`; range: (2, R) g/cm2,
    how far an electron gets from its start, and from any later place, in a reference whose stopping power no material
    undercuts when `price` (L,) is what one of its g/cm2 costs.
    """

    path: Array
    turn: Array
    outcome: Array
    range: Array
    price: Array
    RARE: ClassVar = 0.01  # an ion is out of reach where all but so many of its electrons are

    @classmethod
    def build(cls, layers: tuple[Material, ...]) -> "Scattering":
        """Tables for the materials of the L ``layers``. Raises ValueError for an element beyond Es."""
        octave, step = np.divmod(np.arange(32 * STEPS_PER_OCTAVE), STEPS_PER_OCTAVE)
        energy = LOWEST * np.ldexp(1.0 + step / STEPS_PER_OCTAVE, octave)
        energy = energy[energy <= HIGHEST]
        tables = [Collisions.build(material, energy) for material in layers]
        stopping = np.array([table.stopping for table in tables])
        detour = np.max([table.reach[:, 1:] / table.range[1:] for table in tables], axis=0)
        collisions = np.array([table.elastic + table.hard for table in tables])
        return cls(
            path=jnp.asarray(
                np.stack(
                    [
                        collisions,
                        np.array([table.elastic for table in tables]) / collisions,
                        np.array([table.soft for table in tables]),
                    ]
                )
            ),
            turn=jnp.asarray(np.array([table.turn for table in tables])),
            outcome=jnp.asarray(np.stack([table.outcome for table in tables], axis=1)),
            range=jnp.asarray(tables[0].range * np.pad(detour, ((0, 0), (1, 0)))),
            price=jnp.asarray((stopping / stopping[0]).min(axis=1)),
        )

    def stretched(self, factor: float) -> "Scattering":
        """With all paths ``factor`` times as long: between collisions and until an electron stops."""
        shorter = jnp.ones_like(self.path).at[jnp.array([COLLISIONS, SOFT])].set(1.0 / factor)
        return replace(self, path=self.path * shorter, price=self.price / factor)

    def place(self, energy: Array) -> tuple[Array, Array]:
        """The row () int32 at or below ``energy`` () eV, and how far it is to the next, () 0 to 1.

        The bits of a float32 are its octave and, linear in it, the place there: no logarithm is needed.
        """
        ratio = jnp.maximum(energy * (1.0 / LOWEST), 1.0).astype(jnp.float32)
        last = ((self.path.shape[-1] - 1) << PLACE_BITS) - 1
        place = jnp.minimum(jax.lax.bitcast_convert_type(ratio, jnp.int32) - FIRST_PLACE, last)
        return place >> PLACE_BITS, (place & ((1 << PLACE_BITS) - 1)).astype(energy.dtype) * 2.0**-PLACE_BITS

    def reach(self, energy: Array, place: int = START) -> Array:
        """How far in the reference, g/cm2, an electron of ``energy`` () eV gets at most: 0 below the cutoff."""
        row, _ = self.place(energy)
        return jnp.where(energy > CUTOFF, self.range[place][row + 1], 0.0)

    def cost(self, density: Array) -> Array:
        """(L,) range in the reference, g/cm2, that an electron uses up per um of its path, at least."""
        return PER_UM * density * self.price

    def row(self, energy: Array, u: Array) -> Array:
        """The row () int32 below or above ``energy`` () eV, the nearer the oftener, for u (): linear in the mean."""
        row, share = self.place(energy)
        return row + (u < share).astype(jnp.int32)

    def at(self, quantity: int, layer: Array, row: Array) -> Array:
        """One of the quantities of `path`, ()."""
        return self.path[quantity].reshape(-1)[layer * self.path.shape[-1] + row]

    def cosine(self, layer: Array, row: Array, u: Array) -> Array:
        """Of the angle () by which a collision turns an electron, for u ()."""
        b = self.turn.reshape(-1)[(layer * self.turn.shape[1] + row) * TURNS + (u * TURNS).astype(jnp.int32)]
        return 1.0 - 2.0 * u / (1.0 + b * (1.0 - u))

    def hard_loss(self, layer: Array, row: Array, u: Array) -> list[Array]:
        """A loss () eV, and the electron set free () eV, for u (): knocked on, or with a minus sign of the vacancy."""
        at = (layer * self.outcome.shape[2] + row) * LOSSES + (u * LOSSES).astype(jnp.int32)
        return [flat[at] for flat in self.outcome.reshape(2, -1)]


def leave(site: Site, direction: Direction, energy: Array, directed: Array, key: Key) -> Electron:
    """An electron of ``energy`` () eV at its start: along ``direction`` if ``directed`` () bool, else anywhere."""
    return Electron(site, choose(directed, direction, isotropic(*uniforms(key, jnp.uint32(0)))), energy)


def follow(
    model: Scattering, stack: Stack, density: Array, keys: Key, electrons: Electron
) -> tuple[Array, Shares | None]:
    """What n ``electrons``, and those they knock on, take away: (n,) eV out of the absorber, and in an array
    out of all pixels; then their shares (n,) too, of what other pixels have got of them.
    """
    n = electrons.energy.shape[0]
    number = jnp.arange(n, dtype=jnp.int32)
    jobs = jnp.max(jnp.where(electrons.energy > 0, number + 1, 0))

    def load(job):
        electron, key = take((electrons, keys), job)
        electron = electron._replace(energy=jnp.where(job < jobs, electron.energy, 0.0))
        return jax.vmap(partial(start, stack))(electron, key)

    def steps(track):
        return succeed(jax.lax.fori_loop(0, STEPS, lambda _, t: step(model, stack, density, t), track))

    working, outcome = lambda tracks: tracks.moving.energy > 0, lambda tracks: (tracks.escaped, tracks.shares)
    width = -(-max(n // SHARE, min(n, LEAST)) // WORD) * WORD
    return relay(load, jax.vmap(steps), working, outcome, jobs, width, n)


def start(stack: Stack, electron: Electron, key: Key) -> Track:
    """The track of one electron."""
    zero = jnp.zeros_like(electron.energy)
    nobody = electron._replace(energy=zero)
    shares = Shares.of(stack.pixels, electron.site.pixel, zero)
    return Track(electron, nobody, zero, key, jnp.uint32(1), shares)


def step(model: Scattering, stack: Stack, density: Array, track: Track) -> Track:
    """One flight of the electron that moves, to a face, the next layer or a collision; nothing if none moves."""

    def flight(start, direction, before, u_path, u_row):
        matter = PER_UM * of_layer(density, start.layer)
        row = model.row(before, u_row)
        stopping = matter * model.at(SOFT, start.layer, row)
        free = -jnp.log(u_path) / (matter * model.at(COLLISIONS, start.layer, row))
        longest = LARGEST_STEP * before / stopping
        site, path, leaves, crosses = fly(stack, start, direction, jnp.minimum(free, longest))
        middle = model.row(before - 0.5 * path * stopping, u_row)
        energy = before - path * matter * model.at(SOFT, start.layer, middle)
        return site, energy, leaves, (path == free) & ~leaves & ~crosses & (energy > CUTOFF)

    def collision(site, direction, energy, leaves, collides, u_kind, u_which, u_azimuth):
        row = model.row(energy, later_digits(u_kind))
        turns = collides & (u_kind < model.at(ELASTIC, site.layer, row))
        lost, free = model.hard_loss(site.layer, row, u_which)
        loses = collides & ~turns & (lost < energy)
        margin = least_cost_to_surface(stack, site, model.cost(density))
        # a uniform cosine about whatever axis is any direction
        freely = jnp.where(free < 0, 2.0 * later_digits(u_which) - 1.0, knock_on_cosine(energy, lost))
        aside = deflect(direction, jnp.where(turns, model.cosine(site.layer, row, u_which), freely), u_azimuth)
        after = jnp.where(loses, energy - lost, energy)
        goes_on = ~leaves & (after > CUTOFF) & (model.reach(after, LATER) > margin)
        onwards = choose(turns, aside, direction), jnp.where(goes_on, after, 0.0)
        return *onwards, aside, jnp.where(loses & (model.reach(jnp.abs(free)) > margin), jnp.abs(free), 0.0)

    start, direction, before = track.moving
    moves = before > 0
    u_path, u_kind, u_which, u_azimuth = apart(stack.width, dice, track.key, track.step, 2)
    site, energy, leaves, collides = apart(
        stack.width, flight, start, direction, before, u_path, later_digits(u_azimuth)
    )
    flown = jnp.where(moves & leaves & (energy > CUTOFF), energy, 0.0)
    shares, caught = track.shares, jnp.zeros_like(leaves)
    if shares is not None:
        caught, entry = next_pixel(stack, start, direction, flown > 0)
        shares = shares.add(cast(Array, start.pixel), -flown)
        shares = shares.add(cast(Array, entry.pixel), jnp.where(caught, flown, 0.0))
        site, leaves = choose(caught, entry, site), leaves & ~caught
    direction, after, aside, freed = apart(
        stack.width, collision, site, direction, energy, leaves, collides, u_kind, u_which, u_azimuth
    )
    track = replace(
        track,
        moving=Electron(site, direction, jnp.where(moves, after, 0.0)),
        escaped=track.escaped + jnp.where(caught, 0.0, flown),
        step=track.step + 2,
        shares=shares,
    )
    freed = jnp.where(moves, freed, 0.0)
    return replace(track, waiting=choose(freed > 0, Electron(site, aside, freed), track.waiting))


def succeed(track: Track) -> Track:
    """Where the electron has stopped, the one that waits goes on."""
    rests = track.moving.energy <= 0
    nobody = track.waiting._replace(energy=jnp.zeros_like(track.waiting.energy))
    return replace(
        track,
        moving=choose(rests, track.waiting, track.moving),
        waiting=choose(rests, nobody, track.waiting),
    )


def later_digits(u: Array) -> Array:
    """A number () from the binary digits of ``u`` () after the first six, which say where in 64 parts it lies."""
    scaled = 64.0 * u
    return scaled - jnp.floor(scaled)


def fly(stack: Stack, site: Site, direction: Direction, flight: Array) -> tuple[Site, Array, Array, Array]:
    """``flight`` () um straight on within the layer: (site, path () um, whether out of a face, into a new layer)."""
    down = direction.z < 0.0
    thickness = of_layer(stack.thickness, site.layer)
    to_layer = ratio(jnp.where(down, thickness - site.depth, site.depth), direction.z)
    to_side = distance_to_side(stack, site, direction)
    path = jnp.minimum(flight, jnp.minimum(to_layer, to_side))
    ends = (path == to_layer) & (to_layer < to_side)
    layer = site.layer + jnp.where(ends, jnp.where(down, 1, -1), 0)
    inside = (layer >= 0) & (layer < stack.thickness.shape[0])
    layer = jnp.where(inside, layer, site.layer)
    entry = jnp.where(down, 0.0, of_layer(stack.thickness, layer))
    depth = jnp.where(ends & inside, entry, jnp.clip(site.depth - direction.z * path, 0.0, thickness))
    place = replace(site, x=site.x + direction.x * path, y=site.y + direction.y * path, depth=depth, layer=layer)
    return place, path, (path == to_side) | ~inside, ends & inside


def knock_on_cosine(energy: Array, lost: Array) -> Array:
    """Of the angle () at which a free electron at rest is knocked on that takes ``lost`` of ``energy`` () eV."""
    share = lost / jnp.maximum(energy, CUTOFF)
    return jnp.sqrt(jnp.minimum(share * (energy + 2.0 * REST) / (lost + 2.0 * REST), 1.0))
