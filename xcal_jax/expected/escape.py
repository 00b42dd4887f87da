"""The probability that a straight electron escapes, in the place of whether it does.

An electron leaves with more than a eV if and only if a track of the scaled range b = R(E) - R(a) from its start would
end outside the absorber. For an isotropic direction of cosine c = cos(theta) to the upward normal, with C_up and C_down
the scaled range between the start and the two large faces, the track ends

    above the top         c > C_up / b           P = (1 - C_up / b) / 2        (0 where C_up > b)
    below the bottom      c < - C_down / b       P = (1 - C_down / b) / 2      (0 where C_down > b)
    beyond a side         in between             P = 1/2 integral A(r(c)) / (2 pi) dc

where r(c) is the horizontal extent of the track and A(r) the sum of the arcs of azimuth in which a point at the
distance r lies beyond a side: |phi| < arccos(g / r) for a side at the distance g < r in the direction phi = 0. Arcs of
neighbouring sides are cut where they overlap, at a corner. The first two probabilities are exact. In the third a cosine
is drawn, and the integral over the azimuth is exact. All three are continuous in every parameter, so their derivatives
have no bias.

A photoelectron follows Sauter's law about the direction of its photon. Each probability then has a factor, the density
of the direction over that of the isotropic law, at one direction drawn within its range.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xcal_jax.compute.shapes import Real, Whole
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.state import Emission
from xcal_jax.physics.electrons import straight as electron
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.layers import cumulative
from xcal_jax.physics.path_lengths import Axial, axial, radius, segments
from xcal_jax.physics.photoelectric import sauter_density


class Surroundings(NamedTuple):
    """The layers around a site; cost: (L,) scaled range that a um uses up."""

    parameters: Parameters
    cost: Array
    place: Axial


class Way(NamedTuple):
    """A way out of the absorber.

    probability: () exact in the azimuth; weight: () with the same mean, that of `direction`, which is one of the
    directions in which the track ends there.
    """

    probability: Array
    weight: Array
    direction: Direction


def surroundings(parameters: Parameters, cost: Float[Array, " L"], site: Site) -> Surroundings:
    """The layers around ``site``; cost: scaled range that a um uses up in each."""
    return Surroundings(parameters, cost, axial(parameters.stack, site, cost))


def budget(around: Surroundings, energy: Real, above: Float[Array, " A"]) -> Float[Array, " A"]:
    """The scaled range after which an electron of ``energy`` eV has ``above`` eV left; 0 if it never had."""
    least = jnp.maximum(above, electron.LEAST_ENERGY)
    return around.parameters.range_scale * jnp.maximum(
        electron.scaled_range(energy) - electron.scaled_range(least), 0.0
    )


def escape(
    around: Surroundings, emission: Emission, budgets: Float[Array, " A"], u: Float[Array, "4"]
) -> tuple[Float[Array, " A"], Real, Real]:
    """(probability that the exit costs less than each of ``budgets``, mean eV and mean square eV2 of the energy lost).

    The first of the budgets is the electron's whole range. All three are unbiased and continuous.
    """
    ways = jax.vmap(lambda budget: ways_out(around, emission, budget, u))(budgets)
    probability = ways[0].probability + ways[1].probability + ways[2].probability
    mean = square = jnp.zeros_like(emission.energy)
    for way in ways:
        weight, direction = jax.tree.map(lambda each: each[0], (way.weight, way.direction))
        lost = energy_left(around, emission.site, direction, emission.energy)
        mean, square = mean + weight * lost, square + weight * lost * lost
    return probability, mean, square


def energy_left(around: Surroundings, site: Site, direction: Direction, energy: Real) -> Real:
    """The energy, eV, with which an electron of ``energy`` eV leaves along ``direction``; 0 if it stops."""
    _, length = segments(around.parameters.stack, site, direction)
    _, spent = cumulative(around.cost, length)
    return electron.energy_of_range(electron.scaled_range(energy) - spent / around.parameters.range_scale)


def ways_out(around: Surroundings, emission: Emission, budget: Real, u: Float[Array, "4"]) -> tuple[Way, Way, Way]:
    """The top, the bottom and the sides as ways out of a track of so much ``budget``, scaled range.

    u: cosine and azimuth of a direction towards the top or the bottom, cosine and azimuth of one towards a side. The
    top and the bottom share two numbers: each has a weight of its own, and only their sum is used.
    """
    some = budget > 0.0
    safe = jnp.where(some, budget, 1.0)
    to_top = jnp.minimum(around.place.cost_up / safe, 1.0)
    to_bottom = jnp.minimum(around.place.cost_down / safe, 1.0)
    azimuth = 2.0 * jnp.pi * u[1]
    turn = jnp.cos(azimuth), jnp.sin(azimuth)
    upwards = towards(to_top + (1.0 - to_top) * u[0], *turn)
    downwards = towards(-to_bottom - (1.0 - to_bottom) * u[0], *turn)
    top = jnp.where(some, 0.5 * (1.0 - to_top) * sauter(emission, upwards), 0.0)
    bottom = jnp.where(some, 0.5 * (1.0 - to_bottom) * sauter(emission, downwards), 0.0)

    between = 0.5 * (to_top + to_bottom)
    cosine = 2.0 * between * u[2] - to_bottom
    reach = radius(around.place, around.cost, cosine, safe)
    fraction, weight, x, y = arcs(around.parameters, emission.site, reach, u[3])
    sideways = towards(cosine, x, y)
    factor = sauter(emission, sideways)
    side = jnp.where(some, between * (fraction + weight * (factor - 1.0)), 0.0)
    drawn = jnp.where(some, between * weight * factor, 0.0)
    return Way(top, top, upwards), Way(bottom, bottom, downwards), Way(side, drawn, sideways)


def sauter(emission: Emission, direction: Direction) -> Real:
    """Probability density of ``direction`` over that of the isotropic law."""
    photon = emission.photon
    cosine = photon.x * direction.x + photon.y * direction.y + photon.z * direction.z
    energy = jnp.where(emission.sauter, emission.energy, 1.0)
    return jnp.where(emission.sauter, 2.0 * sauter_density(energy, cosine), 1.0)


def arcs(parameters: Parameters, site: Site, reach: Real, u: Real) -> tuple[Real, Real, Real, Real]:
    """(fraction, weight, cos, sin): azimuths in which a point at the horizontal distance ``reach`` um is beyond a side.

    fraction: of all azimuths, exact; cos, sin: of one of them; weight: its own, whose mean is the fraction.
    """
    to_x, to_y = (half_arcs(gap, reach) for gap in gaps(parameters, site))
    right = 0.5 * jnp.pi
    lengths, total = [], jnp.zeros_like(reach)
    for a in to_x:
        for b in to_y:
            total = total + jnp.minimum(a + b, right)
            lengths += [jnp.minimum(a, 0.5 * (a + right - b)), jnp.minimum(b, 0.5 * (b + right - a))]
    length = jnp.stack(lengths)
    chosen, place, weight = pick(parameters, length, u)
    along, across = jnp.cos(length[chosen] * place), jnp.sin(length[chosen] * place)
    quadrant, from_y = chosen // 2, chosen % 2 == 1
    x = jnp.where(quadrant < 2, 1.0, -1.0) * jnp.where(from_y, across, along)
    y = jnp.where(quadrant % 2 == 0, 1.0, -1.0) * jnp.where(from_y, along, across)
    return total / (2.0 * jnp.pi), weight / (2.0 * jnp.pi), x, y


def pick(parameters: Parameters, length: Float[Array, " N"], u: Real) -> tuple[Whole, Real, Real]:
    """(number of one of N intervals, drawn in proportion to its ``length``; place there, 0 to 1; weight).

    weight: the length of all, if the intervals keep their probabilities when lengths change.
    """
    chosen = parameters.fixed(length)
    ends = jnp.cumsum(chosen)
    number = jnp.minimum(jnp.sum((u * ends[-1] >= ends).astype(jnp.int32)), length.size - 1)
    some = ends[-1] > 0.0
    fixed = jnp.where(some, chosen[number], 1.0)
    place = jnp.clip(1.0 - (ends[number] - u * ends[-1]) / fixed, 0.0, 1.0)
    return number, place, jnp.where(some, length[number] / fixed * ends[-1], 0.0)


def gaps(parameters: Parameters, site: Site) -> tuple[list[Real], list[Real]]:
    """Distances in um from ``site`` to the right side and the left, and to the two beside them."""
    half_x, half_y = 0.5 * parameters.width, 0.5 * parameters.length
    signs = (1.0, -1.0)
    return [half_x - sign * site.x for sign in signs], [half_y - sign * site.y for sign in signs]


def half_arcs(gaps: list[Real], reach: Real) -> list[Real]:
    """Half the arcs () in which ``reach`` passes each of ``gaps``: arccos(gap / reach)."""
    return [half_arc(gap, reach) for gap in gaps]


def half_arc(gap: Array, reach: Array) -> Array:
    """Half the arc () in which ``reach`` passes ``gap``: arccos(gap / reach)."""
    passes = gap < reach
    return jnp.where(passes, jnp.arccos(jnp.where(passes, gap, 0.0) / jnp.where(passes, reach, 1.0)), 0.0)


def towards(cosine: Array, x: Array, y: Array) -> Direction:
    """The direction of ``cosine`` () to the normal whose horizontal part points along (x, y), a unit vector."""
    square = (1.0 - cosine) * (1.0 + cosine)
    sine = jnp.where(square > 0.0, jnp.sqrt(jnp.where(square > 0.0, square, 1.0)), 0.0)
    return Direction(sine * x, sine * y, cosine)
