"""Tracks of scattering electrons, followed to their ends: the physics is in `physics.electrons.scattering`.

On a CPU a step spends its time on gathers, not on arithmetic. Therefore a row of the tables is sampled and not
interpolated, an energy is placed in them by its bits, and a value of a layer is found by a chain of choices.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xcal_jax.compute.devices import packing
from xcal_jax.compute.lanes import WORD, choose, materialise, refill_lanes, take
from xcal_jax.compute.random import Key, uniform_block, uniforms
from xcal_jax.compute.shapes import Flag, Real
from xcal_jax.constants import ELECTRON_REST_ENERGY as REST
from xcal_jax.constants import PER_UM
from xcal_jax.montecarlo.ledger import Shares
from xcal_jax.physics.electrons.inelastic import LOSSES
from xcal_jax.physics.electrons.scattering import COLLISIONS, CUTOFF, ELASTIC, LATER, SOFT, Scattering
from xcal_jax.physics.geometry import (
    Direction,
    Site,
    Stack,
    deflect,
    distance_to_side,
    isotropic,
    margin_to_surface,
    of_layer,
    ratio,
)
from xcal_jax.physics.parts import next_part

LARGEST_STEP = 0.2  # fraction of an electron's energy that is lost before the tables are read again
LEAST = 1024  # electrons that move at a time, if there are so many
START, FIRST_COUNTER = 0, 1  # counters of the key of a track: of its first direction, and of its first step
STEP_COUNTERS = 2  # that a step takes


class Electron(NamedTuple):
    """An electron: its site and direction, and its energy () in eV, which is 0 where there is none."""

    site: Site
    direction: Direction
    energy: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Track:
    """An electron that moves, and the last one that it has set free, which waits until the first has stopped.

    escaped: () eV that they have taken out so far; key: of their random numbers; counter: () uint32, of the next of
    them; shares: energies in accounts beside the one where the track began, None where there are none.
    """

    moving: Electron
    waiting: Electron
    escaped: Array
    key: Key
    counter: Array
    shares: Shares | None


def leave(site: Site, direction: Direction, energy: Real, directed: Flag, key: Key) -> Electron:
    """An electron of ``energy`` eV at its start: along ``direction`` if ``directed``, else in an isotropic one."""
    return Electron(site, choose(directed, direction, isotropic(*uniforms(key, jnp.uint32(START)))), energy)


def follow(
    model: Scattering, stack: Stack, density: Float[Array, " L"], keys: Key, electrons: Electron
) -> tuple[Float[Array, " n"], Shares | None]:
    """Energies in eV that n ``electrons``, and those they set free, take out of the absorber, or out of its array.

    Also their shares (n,), the energies in other accounts than the one where each began; None where there are none.
    density: g/cm3.
    """
    n, packed = electrons.energy.shape[0], packing()
    number = jnp.arange(n, dtype=jnp.int32)
    jobs = jnp.max(jnp.where(electrons.energy > 0, number + 1, 0))

    def load(job: Array) -> Track:
        electron, key = take((electrons, keys), job)
        electron = electron._replace(energy=jnp.where(job < jobs, electron.energy, 0.0))
        return jax.vmap(partial(start, stack))(electron, key)

    def steps(track: Track) -> Track:
        return succeed(jax.lax.fori_loop(0, packed.flights, lambda _, t: step(model, stack, density, t), track))

    working, outcome = lambda tracks: tracks.moving.energy > 0, lambda tracks: (tracks.escaped, tracks.shares)
    width = -(-max(n // packed.tracks, min(n, LEAST)) // WORD) * WORD
    return refill_lanes(load, jax.vmap(steps), working, outcome, jobs, width, n)


def start(stack: Stack, electron: Electron, key: Key) -> Track:
    """The track of one electron at its start."""
    zero = jnp.zeros_like(electron.energy)
    none = electron._replace(energy=zero)
    shares = Shares.empty(stack, stack.account(electron.site), zero)
    return Track(electron, none, zero, key, jnp.uint32(FIRST_COUNTER), shares)


def step(model: Scattering, stack: Stack, density: Float[Array, " L"], track: Track) -> Track:
    """The track after one flight of the electron that moves: to a face, to the next layer or to a collision."""

    def flight(
        start: Site, direction: Direction, before: Real, u_path: Real, u_row: Real
    ) -> tuple[Site, Real, Flag, Flag]:
        matter = PER_UM * of_layer(density, start.layer)
        row = model.row(before, u_row)
        stopping = matter * model.at(SOFT, start.layer, row)
        free = -jnp.log(u_path) / (matter * model.at(COLLISIONS, start.layer, row))
        longest = LARGEST_STEP * before / stopping
        site, path, leaves, crosses = fly(stack, start, direction, jnp.minimum(free, longest))
        middle = model.row(before - 0.5 * path * stopping, u_row)
        energy = before - path * matter * model.at(SOFT, start.layer, middle)
        return site, energy, leaves, (path == free) & ~leaves & ~crosses & (energy > CUTOFF)

    def collision(
        site: Site,
        direction: Direction,
        energy: Real,
        leaves: Flag,
        collides: Flag,
        u_kind: Real,
        u_which: Real,
        u_azimuth: Real,
    ) -> tuple[Direction, Real, Direction, Real]:
        row = model.row(energy, later_digits(u_kind))
        deflects = collides & (u_kind < model.at(ELASTIC, site.layer, row))
        lost, free = model.hard_loss(site.layer, row, u_which)
        loses = collides & ~deflects & (lost < energy)
        margin = margin_to_surface(stack, site, model.per_um(density))
        # a uniform cosine about any axis is an isotropic direction
        freely = jnp.where(free < 0, 2.0 * later_digits(u_which) - 1.0, knock_on_cosine(energy, lost))
        aside = deflect(direction, jnp.where(deflects, model.cosine(site.layer, row, u_which), freely), u_azimuth)
        after = jnp.where(loses, energy - lost, energy)
        goes_on = ~leaves & (after > CUTOFF) & (model.maximum_range(after, LATER) > margin)
        onwards = choose(deflects, aside, direction), jnp.where(goes_on, after, 0.0)
        return *onwards, aside, jnp.where(loses & (model.maximum_range(jnp.abs(free)) > margin), jnp.abs(free), 0.0)

    start, direction, before = track.moving
    moves = before > 0
    u_path, u_kind, u_which, u_azimuth = materialise(
        stack.width, uniform_block, track.key, track.counter, STEP_COUNTERS
    )
    site, energy, leaves, collides = materialise(
        stack.width, flight, start, direction, before, u_path, later_digits(u_azimuth)
    )
    flown = jnp.where(moves & leaves & (energy > CUTOFF), energy, 0.0)
    shares, caught = track.shares, jnp.zeros_like(leaves)
    if not stack.alone:
        caught, entry = next_part(stack, start, direction, flown > 0)
        site, leaves = choose(caught, entry, site), leaves & ~caught
    if shares is not None:
        old, new = (cast(Array, stack.account(place)) for place in (start, site))
        moved = jnp.where(moves & (leaves | (old != new)) & (energy > CUTOFF), energy, 0.0)
        shares = shares.add(old, -moved).add(new, jnp.where(leaves, 0.0, moved))
    direction, after, aside, freed = materialise(
        stack.width, collision, site, direction, energy, leaves, collides, u_kind, u_which, u_azimuth
    )
    track = replace(
        track,
        moving=Electron(site, direction, jnp.where(moves, after, 0.0)),
        escaped=track.escaped + jnp.where(caught, 0.0, flown),
        counter=track.counter + STEP_COUNTERS,
        shares=shares,
    )
    freed = jnp.where(moves, freed, 0.0)
    return replace(track, waiting=choose(freed > 0, Electron(site, aside, freed), track.waiting))


def succeed(track: Track) -> Track:
    """The track with the electron that waits in the place of one that has stopped."""
    rests = track.moving.energy <= 0
    none = track.waiting._replace(energy=jnp.zeros_like(track.waiting.energy))
    return replace(
        track,
        moving=choose(rests, track.waiting, track.moving),
        waiting=choose(rests, none, track.waiting),
    )


def later_digits(u: Real) -> Real:
    """A uniform number from the binary digits of ``u`` that come after its part, one of `LOSSES`."""
    scaled = LOSSES * u
    return scaled - jnp.floor(scaled)


def fly(stack: Stack, site: Site, direction: Direction, flight: Real) -> tuple[Site, Real, Flag, Flag]:
    """The site after a straight ``flight`` in um within the layer, and the path in um up to there.

    Also whether the electron leaves by a face of its part, and whether it enters a new layer.
    """
    down = direction.z < 0.0
    layers = stack.thickness_around(site)
    thickness = of_layer(layers, site.layer)
    to_layer = ratio(jnp.where(down, thickness - site.depth, site.depth), direction.z)
    to_side = distance_to_side(stack, site, direction)
    path = jnp.minimum(flight, jnp.minimum(to_layer, to_side))
    ends = (path == to_layer) & (to_layer < to_side)
    layer = site.layer + jnp.where(ends, jnp.where(down, 1, -1), 0)
    inside = (layer >= 0) & (layer < layers.shape[0])
    if stack.substrate is not None:
        inside = inside & (stack.in_substrate(layer) == stack.in_substrate(site.layer))
    layer = jnp.where(inside, layer, site.layer)
    entry = jnp.where(down, 0.0, of_layer(layers, layer))
    depth = jnp.where(ends & inside, entry, jnp.clip(site.depth - direction.z * path, 0.0, thickness))
    place = replace(site, x=site.x + direction.x * path, y=site.y + direction.y * path, depth=depth, layer=layer)
    return place, path, (path == to_side) | ~inside, ends & inside


def knock_on_cosine(energy: Real, lost: Real) -> Real:
    """Cosine of the recoil angle of a free electron that receives ``lost`` of ``energy``, both eV."""
    fraction = lost / jnp.maximum(energy, CUTOFF)
    return jnp.sqrt(jnp.minimum(fraction * (energy + 2.0 * REST) / (lost + 2.0 * REST), 1.0))
