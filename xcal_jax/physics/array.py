"""Absorbers side by side: what leaves one through a side goes straight on through vacuum, and may enter another.

All pixels are equal, and a place is given in the coordinates of its own pixel. A straight track goes from cell to
cell of the array. A cell is a pixel and the vacuum around it, one pitch wide; a track crosses at most rows + columns of
them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.compute.lanes import choose
from xcal_jax.compute.shapes import Flag, Real, Whole
from xcal_jax.physics.geometry import Direction, Pixels, Site, Stack, ratio


class Cell(NamedTuple):
    """Where a track is, seen from above: x, y () um from the centre of the cell in row, column () int32.

    track: () um, its length so far; seeking: () bool, whether it may still enter a pixel; found: () bool, whether it
    has entered one.
    """

    x: Array
    y: Array
    row: Array
    column: Array
    track: Array
    seeking: Array
    found: Array


def next_pixel(
    stack: Stack, site: Site, direction: Direction, goes: Flag, beside: Flag | bool = False
) -> tuple[Flag, Site]:
    """Whether a track from ``site`` enters another pixel, and where it enters the next one.

    goes: whether there is a track; without one, no pixel is found. beside: whether it starts in vacuum beside or below
    the pixels, at the height of ``site``: it may then enter any of them.
    """
    pixels = Pixels(stack.width, stack.length, 1, 1) if stack.pixels is None else stack.pixels
    pixel = jnp.zeros_like(site.layer) if site.pixel is None else site.pixel
    sign_x, sign_y = (jnp.where(slope < 0.0, -1.0, 1.0) for slope in (direction.x, direction.y))
    next_x, next_y = (jnp.where(slope < 0.0, -1, 1) for slope in (direction.x, direction.y))
    half_x, half_y = 0.5 * stack.width, 0.5 * stack.length

    def cross(cell: Cell) -> Cell:
        """The next cell."""
        to_x = ratio(0.5 * pixels.pitch_x - sign_x * cell.x, direction.x)
        to_y = ratio(0.5 * pixels.pitch_y - sign_y * cell.y, direction.y)
        step = jnp.maximum(jnp.minimum(to_x, to_y), 0.0)
        sideways = to_x <= to_y
        x = jnp.where(sideways, -0.5 * sign_x * pixels.pitch_x, cell.x + direction.x * step)
        y = jnp.where(sideways, cell.y + direction.y * step, -0.5 * sign_y * pixels.pitch_y)
        column = cell.column + jnp.where(sideways, next_x, 0)
        row = cell.row + jnp.where(sideways, 0, next_y)
        inside = (row >= 0) & (row < pixels.rows) & (column >= 0) & (column < pixels.columns)
        return look(Cell(x, y, row, column, cell.track + step, inside, cell.found))

    def look(cell: Cell) -> Cell:
        """The same cell, at its pixel if the track meets that; if not, it goes on seeking if it did."""
        (in_x, out_x), (in_y, out_y) = crossing(cell.x, half_x, direction.x), crossing(cell.y, half_y, direction.y)
        entry = jnp.maximum(jnp.maximum(in_x, in_y), 0.0)
        found = cell.seeking & (entry < jnp.minimum(out_x, out_y))
        ahead = jnp.where(found, entry, 0.0)
        return Cell(
            cell.x + direction.x * ahead,
            cell.y + direction.y * ahead,
            cell.row,
            cell.column,
            cell.track + ahead,
            cell.seeking & ~found,
            found,
        )

    def first_cell() -> Cell:
        """The cell in which a track from beside or below the array enters this, seen from above."""
        centre_x, centre_y = pixels.centre(pixel)
        x, y = site.x + centre_x, site.y + centre_y
        (in_x, out_x), (in_y, out_y) = (
            crossing(x, 0.5 * pixels.columns * pixels.pitch_x, direction.x),
            crossing(y, 0.5 * pixels.rows * pixels.pitch_y, direction.y),
        )
        entry = jnp.maximum(jnp.maximum(in_x, in_y), 0.0)
        meets = goes & (entry < jnp.minimum(out_x, out_y))
        track = jnp.where(meets, entry, 0.0)
        x, y = x + direction.x * track, y + direction.y * track
        here = pixels.nearest(x, y)
        centre_x, centre_y = pixels.centre(here)
        row, column = here // pixels.columns, here % pixels.columns
        return look(Cell(x - centre_x, y - centre_y, row, column, track, meets, jnp.zeros_like(meets)))

    start = Cell(
        site.x,
        site.y,
        pixel // pixels.columns,
        pixel % pixels.columns,
        jnp.zeros_like(site.x),
        goes & ((direction.x != 0.0) | (direction.y != 0.0)),
        jnp.zeros_like(goes),
    )
    if stack.substrate is not None:
        start = choose(jnp.asarray(beside), first_cell(), start)
    cell = jax.lax.while_loop(lambda cell: cell.seeking, cross, start)
    within, depth, layer = sink(stack, site, direction.z, cell.track)
    return cell.found & within, Site(
        jnp.clip(cell.x, -half_x, half_x),
        jnp.clip(cell.y, -half_y, half_y),
        depth,
        layer,
        None if site.pixel is None else cell.row * pixels.columns + cell.column,
    )


def crossing(place: Real, half: Real, slope: Real) -> tuple[Real, Real]:
    """Track lengths in um at which a coordinate enters and leaves the interval from -half to half."""
    forward = jnp.where(slope < 0.0, -place, place)
    beside = jnp.abs(place) > half
    still = jnp.where(beside, jnp.inf, -jnp.inf)
    return jnp.where(slope == 0.0, still, -ratio(half + forward, slope)), ratio(half - forward, slope)


def sink(stack: Stack, site: Site, slope: Real, track: Real) -> tuple[Flag, Real, Whole]:
    """Height after a ``track`` in um from ``site`` in vacuum: whether it is still beside the layers, depth, layer.

    slope: z component of the direction; the depth is in um below the top of the layer.
    """
    thickness = stack.thickness_around(site)
    last = thickness.shape[0] - 1
    depth, layer = site.depth - slope * track, site.layer
    for _ in range(last):
        over, under = (depth < 0.0) & (layer > 0), (depth > thickness[layer]) & (layer < last)
        depth = jnp.where(under, depth - thickness[layer], depth)
        layer = jnp.where(over, layer - 1, jnp.where(under, layer + 1, layer))
        depth = jnp.where(over, depth + thickness[layer], depth)
    within = (depth >= 0.0) & (depth <= thickness[layer])
    return within, jnp.clip(depth, 0.0, thickness[layer]), layer
