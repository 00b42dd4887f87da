"""Straight tracks through the layers as sums instead of comparisons, so that they have derivatives.

Everything is a list with one entry a layer. The axis is the normal of the layers; `Axial` holds what lies between a
place and the two large faces, from which any inclined track follows.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from xcal_jax.physics.geometry import Direction, Site, Stack, distance_to_side

SHALLOW = 1e-9  # the least |cosine| that a track is told from a horizontal one by


class Axial(NamedTuple):
    """Along the normal, () each per layer: extent up and down in um, and the cost passed before the layer."""

    up: list[Array]
    down: list[Array]
    cost_before_up: list[Array]
    cost_before_down: list[Array]
    cost_up: Array
    cost_down: Array


def axial(stack: Stack, site: Site, cost: list[Array]) -> Axial:
    """What lies above and below ``site``; cost: of a um in each layer."""
    layers = range(len(cost))
    zero = jnp.zeros_like(site.depth)
    up, down = [], []
    for n in layers:
        t = stack.thickness[n]
        up.append(jnp.where(site.layer > n, t, jnp.where(site.layer == n, site.depth, 0.0)))
        down.append(jnp.where(site.layer < n, t, jnp.where(site.layer == n, t - site.depth, 0.0)))
    before_up, before_down = [zero] * len(cost), [zero] * len(cost)
    total_up = total_down = zero
    for n in reversed(layers):
        before_up[n] = total_up
        total_up = total_up + cost[n] * up[n]
    for n in layers:
        before_down[n] = total_down
        total_down = total_down + cost[n] * down[n]
    return Axial(up, down, before_up, before_down, total_up, total_down)


def radius(place: Axial, cost: list[Array], cosine: Array, budget: Array) -> Array:
    """How far () um a track of ``budget`` gets sideways if it ends before the large faces; cosine: to the z axis."""
    rises = cosine > 0.0
    slope = jnp.maximum(jnp.abs(cosine), SHALLOW)
    path = jnp.zeros_like(budget)
    for n, price in enumerate(cost):
        extent = jnp.where(rises, place.up[n], place.down[n])
        before = jnp.where(rises, place.cost_before_up[n], place.cost_before_down[n])
        path = path + jnp.clip(budget - before / slope, 0.0, price * extent / slope) / price
    return path * jnp.sqrt((1.0 - cosine) * (1.0 + cosine))


def segments(stack: Stack, site: Site, direction: Direction) -> tuple[list[Array], list[Array]]:
    """Where a track from ``site`` enters each layer and how far it goes there before it leaves, () um of path each."""
    ones = [jnp.ones_like(site.depth)] * stack.thickness.shape[0]
    place = axial(stack, site, ones)
    side = distance_to_side(stack, site, direction)
    rises = direction.z > 0.0
    slope = jnp.maximum(jnp.abs(direction.z), SHALLOW)
    start, length = [], []
    for n in range(len(ones)):
        enters = jnp.where(rises, place.cost_before_up[n], place.cost_before_down[n]) / slope
        extent = jnp.where(rises, place.up[n], place.down[n]) / slope
        start.append(jnp.minimum(enters, side))
        length.append(jnp.clip(side - enters, 0.0, extent))
    return start, length
