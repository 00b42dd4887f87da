"""The chance that a straight electron escapes, instead of whether it does.

A straight track of range R leaves the box if and only if a track of that length would end outside it. Ending above the
top or below the bottom is a matter of the cosine alone and is integrated over it in closed form. For cosines between,
one is drawn, and the azimuth is integrated: the arcs in which the track ends beyond a side. Both are continuous in
everything, and so are their derivatives without a bias. An electron leaves with more than b eV if and only if a track
of R(E) - R(b) ends outside: the same function gives the spectrum of losses.

Photoelectrons follow Sauter's law about the photon's direction: a factor on the isotropic law, at a drawn direction.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.path_lengths import Axial, axial, radius, segments
from xcal_jax.physics.electrons import straight as electron
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.photoelectric import sauter_density

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)


class Emission(NamedTuple):
    """An electron at its start: energy () eV; present: () bool; sauter: () bool, and the photon's direction if so;
    varies: () bool, whether its energy does with that of the photons that fall in.
    """

    site: Site
    energy: Array
    present: Array
    sauter: Array
    photon: Direction
    varies: Array


class Surroundings(NamedTuple):
    """What stands between a place and the faces; cost: scaled range of a um in each layer."""

    parameters: Parameters
    cost: list[Array]
    place: Axial


def surroundings(parameters: Parameters, cost: list[Array], site: Site) -> Surroundings:
    """Of ``site``."""
    return Surroundings(parameters, cost, axial(parameters.stack, site, cost))


def budget(around: Surroundings, energy: Array, above: Array) -> Array:
    """The scaled range () after which an electron of ``energy`` eV has ``above`` eV left; 0 if it never had."""
    least = jnp.maximum(above, electron.LEAST_ENERGY)
    return around.parameters.range_scale * jnp.maximum(
        electron.scaled_range(energy) - electron.scaled_range(least), 0.0
    )


def escape(around: Surroundings, emission: Emission, budgets: Array, u: Array) -> tuple[Array, Array, Array]:
    """What the electron takes out, for u (4,): (chance (A,), mean () eV, mean square () eV2), unbiased and continuous.

    chance: that the exit costs less than each of ``budgets`` (A,), the first of which is the electron's whole range.
    """
    top, bottom, side = jax.vmap(lambda budget: outcomes(around, emission, budget, u))(budgets)
    chance = top[0] + bottom[0] + side[0]
    mean = square = jnp.zeros_like(emission.energy)
    for ways in (top, bottom, side[1:]):
        share, way = jax.tree.map(lambda each: each[0], ways)
        lost = energy_left(around, emission.site, way, emission.energy)
        mean, square = mean + share * lost, square + share * lost * lost
    return chance, mean, square


def energy_left(around: Surroundings, site: Site, direction: Direction, energy: Array) -> Array:
    """With which an electron of ``energy`` () eV leaves along ``direction``, () eV; 0 if it stops."""
    _, length = segments(around.parameters.stack, site, direction)
    spent = sum(price * track for price, track in zip(around.cost, length, strict=True))
    return electron.energy_of_range(electron.scaled_range(energy) - spent / around.parameters.range_scale)


def outcomes(around: Surroundings, emission: Emission, budget: Array, u: Array):
    """The three ways out, each (probability (), a direction of it): top, bottom, side.

    The side's probability comes twice: exact in the azimuth, and as the weight of its direction.
    """
    some = budget > 0.0
    safe = jnp.where(some, budget, 1.0)
    to_top = jnp.minimum(around.place.cost_up / safe, 1.0)
    to_bottom = jnp.minimum(around.place.cost_down / safe, 1.0)
    azimuth = 2.0 * jnp.pi * u[1]
    turn = jnp.cos(azimuth), jnp.sin(azimuth)
    upwards = _towards(to_top + (1.0 - to_top) * u[0], *turn)
    downwards = _towards(-to_bottom - (1.0 - to_bottom) * u[0], *turn)
    top = jnp.where(some, 0.5 * (1.0 - to_top) * sauter(emission, upwards), 0.0)
    bottom = jnp.where(some, 0.5 * (1.0 - to_bottom) * sauter(emission, downwards), 0.0)

    between = 0.5 * (to_top + to_bottom)
    cosine = 2.0 * between * u[2] - to_bottom
    reach = radius(around.place, around.cost, cosine, safe)
    share, weight, x, y = arcs(around.parameters, emission.site, reach, u[3])
    sideways = _towards(cosine, x, y)
    factor = sauter(emission, sideways)
    side = jnp.where(some, between * (share + weight * (factor - 1.0)), 0.0)
    return (top, upwards), (bottom, downwards), (side, jnp.where(some, between * weight * factor, 0.0), sideways)


def sauter(emission: Emission, direction: Direction) -> Array:
    """Density of ``direction`` over that of the isotropic law, ()."""
    photon = emission.photon
    cosine = photon.x * direction.x + photon.y * direction.y + photon.z * direction.z
    energy = jnp.where(emission.sauter, emission.energy, 1.0)
    nodes = jnp.array(NODES, dtype=energy.dtype)
    mean = 0.5 * jnp.dot(jnp.array(WEIGHTS, dtype=energy.dtype), sauter_density(energy, nodes))
    return jnp.where(emission.sauter, sauter_density(energy, cosine) / mean, 1.0)


def arcs(parameters: Parameters, site: Site, reach: Array, u: Array):
    """The share () of azimuths in which a horizontal ``reach`` () um ends beyond a side.

    And one such azimuth: (share, weight, cos, sin), where the weight's mean is the share.
    """
    half_x, half_y = 0.5 * parameters.width, 0.5 * parameters.length
    to_x = [_half_arc(half_x - sign * site.x, reach) for sign in (1.0, -1.0)]
    to_y = [_half_arc(half_y - sign * site.y, reach) for sign in (1.0, -1.0)]
    right = 0.5 * jnp.pi
    lengths, share = [], jnp.zeros_like(reach)
    for a in to_x:
        for b in to_y:
            share = share + jnp.minimum(a + b, right)
            lengths += [jnp.minimum(a, 0.5 * (a + right - b)), jnp.minimum(b, 0.5 * (b + right - a))]
    length = jnp.stack(lengths)
    chosen = parameters.fixed(length)
    ends = jnp.cumsum(chosen)
    total = ends[-1]
    pick = jnp.minimum(jnp.sum((u * total >= ends).astype(jnp.int32)), 7)
    some = total > 0.0
    fixed = jnp.where(some, chosen[pick], 1.0)
    inside = jnp.clip(1.0 - (ends[pick] - u * total) / fixed, 0.0, 1.0)
    along, across = jnp.cos(length[pick] * inside), jnp.sin(length[pick] * inside)
    quadrant, from_y = pick // 2, pick % 2 == 1
    x = jnp.where(quadrant < 2, 1.0, -1.0) * jnp.where(from_y, across, along)
    y = jnp.where(quadrant % 2 == 0, 1.0, -1.0) * jnp.where(from_y, along, across)
    weight = jnp.where(some, length[pick] / fixed * total, 0.0)
    return share / (2.0 * jnp.pi), weight / (2.0 * jnp.pi), x, y


def _half_arc(gap: Array, reach: Array) -> Array:
    """Half the arc () in which ``reach`` passes ``gap``: arccos(gap / reach)."""
    passes = gap < reach
    return jnp.where(passes, jnp.arccos(jnp.where(passes, gap, 0.0) / jnp.where(passes, reach, 1.0)), 0.0)


def _towards(cosine: Array, x: Array, y: Array) -> Direction:
    square = (1.0 - cosine) * (1.0 + cosine)
    sine = jnp.where(square > 0.0, jnp.sqrt(jnp.where(square > 0.0, square, 1.0)), 0.0)
    return Direction(sine * x, sine * y, cosine)
