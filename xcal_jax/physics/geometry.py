"""Where things are in a stack of rectangular layers, and how far a straight track goes (section 2.1, Eq. 1).

A photon uses up optical depth and an electron range, layer by layer: `walk` serves both. Depths are counted
from the top of the layer, so float32 resolves a nanometre in a millimetre-thick stack.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.physics.layers import cumulative, extents


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pixels:
    """Equal boxes side by side, vacuum between them: ``rows`` along y, ``columns`` along x.

    pitch_x, pitch_y: () um from centre to centre. A pixel's number is row x columns + column, each counted from the
    smallest coordinate.
    """

    pitch_x: Array
    pitch_y: Array
    rows: int = field(metadata={"static": True})
    columns: int = field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def count(self) -> int:
        """How many there are."""
        return self.rows * self.columns

    @property
    def central(self) -> int:
        """The number of the central pixel; of an even number of rows or columns, the one after the middle."""
        return self.rows // 2 * self.columns + self.columns // 2


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Stack:
    """The box: thickness (L,) um from the top; width (along x) and length (along y), () um, centred on 0.

    pixels: the array that it is repeated in, or None for a single one.
    """

    thickness: Array
    width: Array
    length: Array
    pixels: Pixels | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Site:
    """A place inside: x, y () um from the centre; depth () um below the top of layer () int32.

    pixel: () int32, whose centre it is, None where there is one absorber alone.
    """

    x: Array
    y: Array
    depth: Array
    layer: Array
    pixel: Array | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Direction:
    """A unit vector; z points up, out of the top: a photon at normal incidence has (0, 0, -1)."""

    x: Array
    y: Array
    z: Array


def isotropic(u_cosine: Array, u_azimuth: Array) -> Direction:
    """A direction uniform over the sphere, from two uniform numbers."""
    cosine = 2.0 * u_cosine - 1.0
    sine = jnp.sqrt((1.0 - cosine) * (1.0 + cosine))
    x, y = circle(u_azimuth)
    return Direction(sine * x, sine * y, cosine)


def circle(turns: Array) -> tuple[Array, Array]:
    """Cosine and sine () of a share ``turns`` () 0 to 1 of a full circle, by their series: to 1e-8.

    The compiler computes them anew for each component of a direction that uses them. They need no reduction of the
    angle, so that a deflection takes a fifth of what it takes with `jnp.cos` and `jnp.sin`.
    """
    half = jnp.pi * (turns - 0.5)
    square = half * half
    sine, cosine = half * _series(square, 1, 13), _series(square, 0, 14)
    return (sine - cosine) * (sine + cosine), -2.0 * sine * cosine


def _series(square: Array, first: int, last: int) -> Array:
    """1 - x2 / (n + 1)(n + 2) + ..., the terms of powers ``first`` to ``last`` of a sine (1) or cosine (0)."""
    total = jnp.ones_like(square)
    for power in range(last, first, -2):
        total = 1.0 - square * total / (power * (power - 1))
    return total


def deflect(direction: Direction, cosine: Array, u_azimuth: Array) -> Direction:
    """``direction`` turned by the polar angle of ``cosine`` and a uniform azimuth."""
    sine = jnp.sqrt(jnp.maximum((1.0 - cosine) * (1.0 + cosine), 0.0))
    x, y = circle(u_azimuth)
    along, across = sine * x, sine * y
    d = direction
    # a right-handed frame without a pole: Duff et al. 2017, JCGT 6 (1)
    sign = jnp.where(d.z < 0.0, -1.0, 1.0)
    a = -1.0 / (sign + d.z)
    b = d.x * d.y * a
    return Direction(
        along * (1.0 + sign * d.x * d.x * a) + across * b + cosine * d.x,
        along * sign * b + across * (sign + d.y * d.y * a) + cosine * d.y,
        -along * sign * d.x - across * d.y + cosine * d.z,
    )


def distance_to_side(stack: Stack, site: Site, direction: Direction) -> Array:
    """Track length () um to the four side faces."""
    gap_x = 0.5 * stack.width - jnp.sign(direction.x) * site.x
    gap_y = 0.5 * stack.length - jnp.sign(direction.y) * site.y
    return jnp.minimum(ratio(gap_x, direction.x), ratio(gap_y, direction.y))


def walk(stack: Stack, site: Site, direction: Direction, cost: Sequence[Array] | Array, budget: Array):
    """Go straight from ``site`` until ``budget`` is used up or a face is crossed.

    cost: of a um of track, () for each of the L layers; budget: () in the same measure (optical depth, scaled range).
    Returns (escaped: () bool, left: () of the budget after leaving, end: Site where it stops inside).
    """
    last = stack.thickness.shape[0] - 1
    down = direction.z < 0.0
    start = jnp.where(down, site.layer, last - site.layer)
    slope = jnp.abs(direction.z)
    side = distance_to_side(stack, site, direction)
    escaped = jnp.zeros_like(down)
    going = jnp.ones_like(down)
    end = site
    for n in range(last + 1):  # layers in the order of travel; n counts from the side that the track leaves
        thickness = jnp.where(down, stack.thickness[n], stack.thickness[last - n])
        price = jnp.where(down, cost[n], cost[last - n])
        entry = jnp.where(n == start, site.depth, jnp.where(down, 0.0, thickness))
        to_face = ratio(jnp.where(down, thickness - entry, entry), slope)
        inside = jnp.minimum(to_face, side)
        here = going & (n >= start)
        stops = here & (budget < price * inside)
        leaves = here & ~stops & (side <= to_face)
        track = jnp.where(stops, budget / price, inside)
        end = replace(
            end,
            x=jnp.where(here, end.x + direction.x * track, end.x),
            y=jnp.where(here, end.y + direction.y * track, end.y),
            depth=jnp.where(stops, jnp.clip(entry - direction.z * track, 0.0, thickness), end.depth),
            layer=jnp.where(stops, jnp.where(down, n, last - n), end.layer),
        )
        crosses = here & ~stops
        budget = jnp.where(crosses, jnp.maximum(budget - price * inside, 0.0), budget)
        side = jnp.where(crosses, side - inside, side)
        escaped = escaped | leaves
        going = going & ~stops & ~leaves
    return escaped | going, budget, end


def margin_to_surface(stack: Stack, site: Site, cost: Array) -> Array:
    """A lower bound of what any track from ``site`` to any of the six faces costs, () in the measure of cost."""
    (_, above), (_, below) = (cumulative(cost, um) for um in extents(stack.thickness, site.layer, site.depth))
    side = jnp.minimum(0.5 * stack.width - jnp.abs(site.x), 0.5 * stack.length - jnp.abs(site.y))
    return jnp.minimum(jnp.minimum(above, below), side * jnp.min(cost))


def of_layer(values: Array, layer: Array) -> Array:
    """The one of ``values`` (L,) of ``layer`` () int32, chosen: of a few that is faster than looked up."""
    found = values[0]
    for n in range(1, values.shape[0]):
        found = jnp.where(layer == n, values[n], found)
    return found


def ratio(distance: Array, slope: Array) -> Array:
    """distance / |slope|, infinite along a face."""
    slope = jnp.abs(slope)
    return jnp.where(slope > 0.0, distance / jnp.where(slope > 0.0, slope, 1.0), jnp.inf)
