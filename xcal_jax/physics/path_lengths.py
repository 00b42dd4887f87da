"""Straight tracks through the layers as sums instead of comparisons, so that they have derivatives.

Lists have an entry a layer, the top layer first. Along the normal of the layers, `Axial` holds what lies between a site
and the two large faces; any inclined track follows from it, longer by 1 / |cosine|.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from xcal_jax.compute.shapes import Real
from xcal_jax.physics.geometry import Direction, Site, Stack, distance_to_side
from xcal_jax.physics.layers import cumulative, cumulative_upwards, extents

SHALLOW = 1e-9  # the least |cosine|; a track with less counts as this inclined


class Axial(NamedTuple):
    """The layers around a site, along their normal.

    up, down: extent () um of each layer above and below the site; cost_before_up, cost_before_down: cost () between the
    site and each layer; cost_up, cost_down: () cost to the top and to the bottom.
    """

    up: list[Array]
    down: list[Array]
    cost_before_up: list[Array]
    cost_before_down: list[Array]
    cost_up: Array
    cost_down: Array


def axial(stack: Stack, site: Site, cost: Sequence[Array] | Array) -> Axial:
    """Extents and costs of the layers above and below ``site``; cost: of a um in each layer."""
    up, down = extents(stack.thickness_around(site), site.layer, site.depth)
    before_up, total_up = cumulative_upwards(cost, up)
    before_down, total_down = cumulative(cost, down)
    return Axial(up, down, before_up, before_down, total_up, total_down)


def radius(place: Axial, cost: Sequence[Array] | Array, cosine: Real, budget: Real) -> Real:
    """Horizontal extent, um, of a track of ``budget`` that ends before the large faces; cosine: to the z axis."""
    rises = cosine > 0.0
    slope = jnp.maximum(jnp.abs(cosine), SHALLOW)
    path = jnp.zeros_like(budget)
    for n, price in enumerate(cost):
        extent = jnp.where(rises, place.up[n], place.down[n])
        before = jnp.where(rises, place.cost_before_up[n], place.cost_before_down[n])
        path = path + jnp.clip(budget - before / slope, 0.0, price * extent / slope) / price
    return path * jnp.sqrt((1.0 - cosine) * (1.0 + cosine))


def segments(stack: Stack, site: Site, direction: Direction) -> tuple[list[Array], list[Array]]:
    """Path from ``site`` to where a track enters each layer, and path within it until it leaves, () um each."""
    ones = jnp.ones_like(stack.thickness)
    place = axial(stack, site, ones)
    side = distance_to_side(stack, site, direction)
    rises = direction.z > 0.0
    slope = jnp.maximum(jnp.abs(direction.z), SHALLOW)
    start, length = [], []
    for n in range(ones.size):
        enters = jnp.where(rises, place.cost_before_up[n], place.cost_before_down[n]) / slope
        extent = jnp.where(rises, place.up[n], place.down[n]) / slope
        start.append(jnp.minimum(enters, side))
        length.append(jnp.clip(side - enters, 0.0, extent))
    return start, length
