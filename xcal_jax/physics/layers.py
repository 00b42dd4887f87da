"""Sums over the layers of a stack: what lies above each, between two depths, and around a site.

A rate is what a um costs in each of the L layers (optical depth, electron range, or 1 for lengths), an extent how many
um there are of each layer; both are sequences of L scalars, the top layer first. Every function is differentiable.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xcal_jax.compute.shapes import Real, Whole


def cumulative(rate: Sequence[Array] | Array, extent: Sequence[Array] | Array) -> tuple[list[Array], Array]:
    """Sum of rate times extent over the layers above each layer, L of (), and over all layers, ()."""
    above, total = [], jnp.zeros_like(rate[0])
    for n in range(len(rate)):
        above.append(total)
        total = total + rate[n] * extent[n]
    return above, total


def cumulative_upwards(rate: Sequence[Array] | Array, extent: Sequence[Array] | Array) -> tuple[list[Array], Array]:
    """Sum of rate times extent over the layers below each layer, L of (), and over all layers, ()."""
    below, total = cumulative(rate[::-1], extent[::-1])
    return below[::-1], total


def absorbed_by_layer(attenuation: Sequence[Array] | Array, extent: Sequence[Array] | Array) -> Float[Array, " L"]:
    """Probability that a photon from above is absorbed (or scattered) first in each layer; attenuation: 1/um.

    exp(-sum_(m < n) mu_m t_m) (1 - exp(-mu_n t_n)) in layer n.
    """
    above, _ = cumulative(attenuation, extent)
    return jnp.stack([jnp.exp(-above[n]) * -jnp.expm1(-attenuation[n] * extent[n]) for n in range(len(above))])


def extents(thickness: Float[Array, " L"], layer: Whole, depth: Real) -> tuple[list[Array], list[Array]]:
    """How many um of each layer lie above, and below, a site at ``depth`` um in ``layer``."""
    up, down = [], []
    for n in range(thickness.shape[0]):
        t = thickness[n]
        up.append(jnp.where(layer > n, t, jnp.where(layer == n, depth, 0.0)))
        down.append(jnp.where(layer < n, t, jnp.where(layer == n, t - depth, 0.0)))
    return up, down


def depth_in_stack(thickness: Float[Array, " L"], layer: Whole, depth: Real) -> Real:
    """Depth () um below the top of the stack of a site at ``depth`` um in ``layer``."""
    return sum(extents(thickness, layer, depth)[0], jnp.zeros_like(depth))


def between(thickness: Float[Array, " L"], one: Real, other: Real) -> list[Array]:
    """How many um of each layer lie between two depths () um below the top of the stack, in either order."""
    top, found = jnp.zeros_like(one), []
    for n in range(thickness.shape[0]):
        bottom = top + thickness[n]
        inside = jnp.minimum(jnp.maximum(one, other), bottom) - jnp.maximum(jnp.minimum(one, other), top)
        found.append(jnp.maximum(inside, 0.0))
        top = bottom
    return found
