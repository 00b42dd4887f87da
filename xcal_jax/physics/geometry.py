"""Where things are in a stack of rectangular layers, and how far a straight track goes (section 2.1, Eq. 1).

A photon uses up optical depth and an electron uses up range, layer by layer: `walk` serves both. Depths are counted
from the top of the layer, so float32 resolves a nanometre in a millimetre-thick stack.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xcal_jax.compute.shapes import Flag, Real, Whole
from xcal_jax.physics.layers import cumulative, extents

MOST_UNROLLED = 8  # layers: a stack of more is walked in a loop, which is slower but compiles in the same time


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pixels:
    """Equal boxes side by side with vacuum between them: ``rows`` along y, ``columns`` along x.

    pitch_x, pitch_y: () um from centre to centre. The number of a pixel is row x columns + column, where rows and
    columns are counted from the smallest coordinate.
    """

    pitch_x: Array
    pitch_y: Array
    rows: int = field(metadata={"static": True})
    columns: int = field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self.rows, self.columns

    @property
    def count(self) -> int:
        """Number of pixels."""
        return self.rows * self.columns

    @property
    def central(self) -> int:
        """Number of the central pixel; the one after the middle where rows or columns are even."""
        return self.rows // 2 * self.columns + self.columns // 2

    def centre(self, pixel: Array) -> tuple[Array, Array]:
        """x and y in um of the centre of ``pixel``, from that of the array."""
        row, column = (n.astype(self.pitch_x.dtype) for n in (pixel // self.columns, pixel % self.columns))
        return (column - 0.5 * (self.columns - 1)) * self.pitch_x, (row - 0.5 * (self.rows - 1)) * self.pitch_y

    def nearest(self, x: Array, y: Array) -> Array:
        """The pixel in whose cell a place lies, x, y () um from the centre of the array; beside it, the nearest one."""
        column, row = jnp.floor(x / self.pitch_x + 0.5 * self.columns), jnp.floor(y / self.pitch_y + 0.5 * self.rows)
        column, row = jnp.clip(column, 0, self.columns - 1), jnp.clip(row, 0, self.rows - 1)
        return row.astype(jnp.int32) * self.columns + column.astype(jnp.int32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Substrate:
    """The layers from number ``first`` on, where they are not as wide as the box above them, and common to all pixels.

    width, length: () um, which may be infinite; x, y: () um, their centre from that of the box, or of the array.
    """

    width: Array
    length: Array
    x: Array
    y: Array
    first: int = field(metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Stack:
    """A box of L layers: thickness (L,) um from the top; width (along x) and length (along y), () um, centred on 0.

    pixels: the array in which the box is repeated, or None for a single one. dead: numbers of the layers whose energy
    does not count, D of them. substrate: the lowest layers, where they are wider than the box, or None; all of them are
    dead. Energy is booked to accounts: one for each pixel, and after them one for each dead layer, which is that of all
    pixels together.
    """

    thickness: Array
    width: Array
    length: Array
    pixels: Pixels | None = None
    dead: tuple[int, ...] = field(default=(), metadata={"static": True})
    substrate: Substrate | None = None

    @property
    def alone(self) -> bool:
        """Whether it is one box, so that what leaves it cannot enter another part: no pixel, and no wider substrate."""
        return self.pixels is None and self.substrate is None

    @property
    def pixel_count(self) -> int:
        """Number of pixels, and the number of the first dead layer's account."""
        return 1 if self.pixels is None else self.pixels.count

    @property
    def accounts(self) -> int:
        """Number of accounts."""
        return self.pixel_count + len(self.dead)

    def home(self, site: "Site") -> Array | None:
        """The account of the layers that count around ``site``, () int32; None where there is no other."""
        return jnp.zeros_like(site.layer) if self.dead and site.pixel is None else site.pixel

    def account(self, site: "Site") -> Array | None:
        """The account of the layer of ``site``, () int32; None where there is no other."""
        account = self.home(site)
        for number, layer in enumerate(self.dead, self.pixel_count):
            account = jnp.where(site.layer == layer, number, cast(Array, account))
        return account

    def in_substrate(self, layer: Array | int) -> Array | bool:
        """Whether ``layer`` belongs to the wider substrate."""
        return False if self.substrate is None else layer >= self.substrate.first

    def thickness_around(self, site: "Site") -> Array:
        """Thickness (L,) um of the layers of the part around ``site``, box or substrate; 0 of the others."""
        if self.substrate is None:
            return self.thickness
        layers = jnp.arange(self.thickness.shape[0])
        return jnp.where(self.in_substrate(layers) == self.in_substrate(site.layer), self.thickness, 0.0)

    def outline(self, site: "Site") -> tuple[Array, Array, Array, Array]:
        """Half the width and half the length of the part around ``site``, and its place from the centre of that; um."""
        half_x, half_y, x, y = 0.5 * self.width, 0.5 * self.length, site.x, site.y
        wide = self.substrate
        if wide is None:
            return half_x, half_y, x, y
        inside = self.in_substrate(site.layer)
        centre_x, centre_y = (0.0, 0.0) if self.pixels is None else self.pixels.centre(cast(Array, site.pixel))
        return (
            jnp.where(inside, 0.5 * wide.width, half_x),
            jnp.where(inside, 0.5 * wide.length, half_y),
            jnp.where(inside, x + centre_x - wide.x, x),
            jnp.where(inside, y + centre_y - wide.y, y),
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Site:
    """A place inside a box: x, y () um from its centre; depth () um below the top of layer () int32.

    pixel: () int32, the number of the box, or None for a single absorber. In a wider substrate x and y are from the
    centre of any pixel, which need not be the nearest.
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


def isotropic(u_cosine: Real, u_azimuth: Real) -> Direction:
    """A direction uniform over the sphere, for two uniform numbers."""
    cosine = 2.0 * u_cosine - 1.0
    sine = jnp.sqrt((1.0 - cosine) * (1.0 + cosine))
    x, y = circle(u_azimuth)
    return Direction(sine * x, sine * y, cosine)


def circle(turns: Array) -> tuple[Array, Array]:
    """Cosine and sine of the angle 2 pi ``turns``, for turns from 0 to 1, by their series: to 1e-8.

    The compiler computes them anew for each component of a direction that uses them. The series need no reduction of
    the angle, so that a deflection takes a fifth of its time with `jnp.cos` and `jnp.sin`.
    """
    half = jnp.pi * (turns - 0.5)
    square = half * half
    sine, cosine = half * _series(square, 1, 13), _series(square, 0, 14)
    return (sine - cosine) * (sine + cosine), -2.0 * sine * cosine


def _series(square: Array, first: int, last: int) -> Array:
    """1 - x^2 / (n + 1)(n + 2) + ..., from power ``first`` to ``last``: of a sine (first = 1) or a cosine (0)."""
    total = jnp.ones_like(square)
    for power in range(last, first, -2):
        total = 1.0 - square * total / (power * (power - 1))
    return total


def deflect(direction: Direction, cosine: Real, u_azimuth: Real) -> Direction:
    """``direction`` deflected by the polar angle of ``cosine``, at the azimuth of a uniform number."""
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


def distance_to_side(stack: Stack, site: Site, direction: Direction) -> Real:
    """Track length in um to the nearest of the four side faces."""
    half_x, half_y, x, y = stack.outline(site)
    gap_x = half_x - jnp.sign(direction.x) * x
    gap_y = half_y - jnp.sign(direction.y) * y
    return jnp.minimum(ratio(gap_x, direction.x), ratio(gap_y, direction.y))


def walk(
    stack: Stack, site: Site, direction: Direction, per_um: Sequence[Array] | Array, limit: Real
) -> tuple[Flag, Real, Site]:
    """Whether a straight track from ``site`` escapes from its part, what is then left, and where else it stops.

    per_um: what a um of track uses up in each of the L layers, () each; limit: how much the track may use up, in the
    same measure (optical depth, scaled range).
    """
    layers = stack.thickness_around(site)
    last = layers.shape[0] - 1
    down = direction.z < 0.0
    start = jnp.where(down, site.layer, last - site.layer)
    slope = jnp.abs(direction.z)
    unrolled = last < MOST_UNROLLED
    rates: Any = per_um if unrolled else jnp.stack(tuple(per_um))

    def cross(n: Whole | int, walked: tuple[Site, Real, Real, Flag, Flag]) -> tuple[Site, Real, Real, Flag, Flag]:
        """The walk so far and the n-th layer in the order of travel, from the side that the track leaves."""
        end, limit, side, escaped, going = walked
        thickness = jnp.where(down, layers[n], layers[last - n])
        rate = jnp.where(down, rates[n], rates[last - n])
        entry = jnp.where(n == start, site.depth, jnp.where(down, 0.0, thickness))
        to_face = ratio(jnp.where(down, thickness - entry, entry), slope)
        inside = jnp.minimum(to_face, side)
        here = going & (n >= start)
        stops = here & (limit < rate * inside)
        leaves = here & ~stops & (side <= to_face)
        track = jnp.where(stops, limit / rate, inside)
        end = replace(
            end,
            x=jnp.where(here, end.x + direction.x * track, end.x),
            y=jnp.where(here, end.y + direction.y * track, end.y),
            depth=jnp.where(stops, jnp.clip(entry - direction.z * track, 0.0, thickness), end.depth),
            layer=jnp.where(stops, jnp.where(down, n, last - n), end.layer),
        )
        crosses = here & ~stops
        limit = jnp.where(crosses, jnp.maximum(limit - rate * inside, 0.0), limit)
        side = jnp.where(crosses, side - inside, side)
        return end, limit, side, escaped | leaves, going & ~stops & ~leaves

    side = distance_to_side(stack, site, direction)
    walked = (site, limit, side, jnp.zeros_like(down), jnp.ones_like(down))
    if unrolled:
        for n in range(last + 1):
            walked = cross(n, walked)
    else:
        walked = jax.lax.fori_loop(0, last + 1, cross, walked)
    end, limit, _, escaped, going = walked
    return escaped | going, limit, end


def margin_to_surface(stack: Stack, site: Site, per_um: Float[Array, " L"]) -> Real:
    """A lower bound of what any track from ``site`` to any of the six faces uses up, in the measure of ``per_um``.

    The faces of a dead layer are such faces too, seen from both of their sides.
    """
    up, down = extents(stack.thickness_around(site), site.layer, site.depth)
    least = jnp.min(per_um)
    if stack.dead:
        up, down = (_up_to_dead_layers(stack, site.layer, um) for um in (up, down))
        counting = jnp.stack([per_um[n] for n in range(per_um.shape[0]) if n not in stack.dead])
        inside = jnp.any(jnp.stack([site.layer == n for n in stack.dead]))
        least = jnp.where(inside, of_layer(per_um, site.layer), jnp.min(counting))
    (_, above), (_, below) = (cumulative(per_um, um) for um in (up, down))
    half_x, half_y, x, y = stack.outline(site)
    side = jnp.minimum(half_x - jnp.abs(x), half_y - jnp.abs(y))
    if stack.substrate is not None:  # no side at all is infinitely far, also in a gap
        least = jnp.maximum(least, jnp.finfo(least.dtype).tiny)
    return jnp.minimum(jnp.minimum(above, below), side * least)


def _up_to_dead_layers(stack: Stack, layer: Whole, extent: list[Array]) -> list[Array]:
    """The ``extent`` of each layer beside a site in ``layer``; 0 beyond the next face of a dead layer, if that has any
    thickness.
    """
    found = []
    for m, um in enumerate(extent):
        for n in stack.dead:
            between = (layer != m) & (jnp.minimum(layer, m) <= n) & (n <= jnp.maximum(layer, m))
            um = jnp.where(between & (stack.thickness[n] > 0.0), 0.0, um)
        found.append(um)
    return found


def of_layer(values: Float[Array, " L"], layer: Whole) -> Real:
    """The value of ``layer``, by a chain of choices: for a few layers this is faster than a gather."""
    if values.shape[0] > MOST_UNROLLED:
        return values[layer]
    found = values[0]
    for n in range(1, values.shape[0]):
        found = jnp.where(layer == n, values[n], found)
    return found


def ratio(distance: Real, slope: Real) -> Real:
    """distance / |slope|, infinite where the slope is 0."""
    slope = jnp.abs(slope)
    return jnp.where(slope > 0.0, distance / jnp.where(slope > 0.0, slope, 1.0), jnp.inf)
