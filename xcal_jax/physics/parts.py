"""From part to part: a straight track leaves a box or the substrate, crosses vacuum, and may enter the next.

The parts of a stack are its pixels, or its one box, and the substrate below if that is wider. The vacuum between them
ends at the substrate's top, on which all boxes stand: a gap is a layer of the box.
"""

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.compute.lanes import choose
from xcal_jax.compute.shapes import Flag, Real
from xcal_jax.physics.array import next_pixel
from xcal_jax.physics.geometry import Direction, Site, Stack, walk
from xcal_jax.physics.layers import extents


def travel(
    stack: Stack, site: Site, direction: Direction, per_um: Sequence[Array] | Array, limit: Real
) -> tuple[Flag, Real, Site]:
    """`walk` that goes on through the parts ahead: a track escapes where it has left all of them."""
    escaped, left, end = walk(stack, site, direction, per_um, limit)
    if stack.alone:
        return escaped, left, end

    def enter(state: tuple[Flag, Flag, Real, Site, Site]) -> tuple[Flag, Flag, Real, Site, Site]:
        goes, escaped, left, start, end = state
        found, entry = next_part(stack, start, direction, goes)
        leaves, after, stop = walk(stack, entry, direction, per_um, left)
        stops = found & ~leaves
        return found & leaves, escaped & ~stops, jnp.where(found, after, left), entry, choose(stops, stop, end)

    _, escaped, left, _, end = jax.lax.while_loop(lambda state: state[0], enter, (escaped, escaped, left, site, end))
    return escaped, left, end


def next_part(
    stack: Stack, site: Site, direction: Direction, goes: Flag, beside: Flag | bool = False
) -> tuple[Flag, Site]:
    """Whether a track from ``site`` enters another part, and where it enters the next one.

    goes: whether there is a track. beside: whether it starts in vacuum, at the height of ``site`` in a box.
    """
    wide = stack.substrate
    if wide is None:
        return next_pixel(stack, site, direction, goes)
    below = jnp.asarray(stack.in_substrate(site.layer))
    crosses, x, y = crossing_of_the_top(stack, site, direction)
    zero, last = jnp.zeros_like(site.layer), wide.first - 1
    height = jnp.zeros_like(site.depth) + stack.thickness[last]
    foot = replace(site, x=x, y=y, depth=height, layer=zero + last)
    start = choose(below, foot, site)
    in_box, box = next_pixel(stack, start, direction, goes & (crosses | ~below), below | beside)
    top = replace(site, x=x, y=y, depth=jnp.zeros_like(site.depth), layer=zero + wide.first)
    return in_box | (goes & ~below & crosses), choose(in_box, box, top)


def crossing_of_the_top(stack: Stack, site: Site, direction: Direction) -> tuple[Flag, Real, Real]:
    """Whether a track from ``site`` crosses the top of the substrate, from above or from below, and x and y there."""
    assert stack.substrate is not None
    up, down = extents(stack.thickness_around(site), site.layer, site.depth)
    below = stack.in_substrate(site.layer)
    height = jnp.where(below, sum(up), sum(down))
    towards = jnp.where(below, direction.z > 0.0, direction.z < 0.0)
    track = jnp.where(towards, height / jnp.where(towards, jnp.abs(direction.z), 1.0), 0.0)
    place = replace(site, x=site.x + direction.x * track, y=site.y + direction.y * track)
    half_x, half_y, x, y = stack.outline(replace(place, layer=jnp.full_like(site.layer, stack.substrate.first)))
    return towards & (jnp.abs(x) <= half_x) & (jnp.abs(y) <= half_y), place.x, place.y
