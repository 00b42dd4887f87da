"""Where the first interaction is: every layer counted, none drawn by chance.

A layer has zones of fixed extent: within an electron's reach of its top, and beyond, down to `SPLIT`; the same
from its bottom. Each is tied to its face and moves with it when a thickness changes. What a thicker layer has more is
a fifth zone between, of no extent, but with a derivative. Which zone a point of the sequence falls into is a
choice without derivative. Across the width and the length, of a uniform impact, the same in three zones.
"""

import jax.numpy as jnp
from jax import Array

from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import attenuation
from xcal_jax.expected.tables import Tables
from xcal_jax.physics.geometry import Site

ESCAPE, DEEP = 0.2, 0.02  # worth of a place that electrons escape from, and of any
SHADED = 0.3  # of the points go where layers above take photons away: what derivatives hang on
PLAIN = 0.3  # and where photons interact, so that no weight is large
SPLIT = 0.75  # of what lies deep belongs to the top
ZONES = 5  # of a layer
TINY = 1e-30
SLICE = 0.06  # share of the points, before normalising, of a zone without extent
SIDE = (0.12, 0.12)  # share of the points added within electrons' reach of a side, and within photons'
PHOTONS = 20.0  # photons' reach over electrons'


def optical_depth(thickness: Array, mu: list[Array]) -> tuple[list[Array], Array]:
    """Above each layer and in all, () each; mu: 1/um by layer."""
    above, total = [], jnp.zeros_like(mu[0])
    for n, price in enumerate(mu):
        above.append(total)
        total = total + price * thickness[n]
    return above, total


def first_site(tables: Tables, parameters: Parameters, u: Array) -> tuple[Site, Array]:
    """(site, weight): a first interaction for u (4,), and its weight, () summing to the interaction probability."""
    mu, cost = attenuation(tables, parameters.density, parameters.energy), tables.electron_cost(parameters)
    reach = parameters.fixed(parameters.range_scale * tables.matter.electrons.maximum_range(parameters.energy))
    layer, depth, weight = _depth(parameters, mu, cost, reach, u[0], u[1])
    if not tables.uniform:
        return Site(parameters.x, parameters.y, depth, layer), weight
    farthest = reach / parameters.fixed(jnp.min(jnp.stack(cost)))
    x, weight_x = _across(parameters, parameters.width, farthest, u[2])
    y, weight_y = _across(parameters, parameters.length, farthest, u[3])
    return Site(x, y, depth, layer), weight * weight_x * weight_y


def _depth(parameters: Parameters, attenuations, cost, reach, u_zone, u):
    thickness, fixed = parameters.thickness, parameters.fixed
    above, _ = optical_depth(thickness, attenuations)
    layers = len(cost)
    passed = [sum((cost[m] * thickness[m] for m in range(n)), jnp.zeros_like(reach)) for n in range(layers)]
    left = [sum((cost[m] * thickness[m] for m in range(n + 1, layers)), jnp.zeros_like(reach)) for n in range(layers)]
    offsets, extents, worth, natural = [], [], [], []
    for n, (mu, price) in enumerate(zip(attenuations, cost, strict=True)):
        t = fixed(thickness[n])
        near = fixed(jnp.clip((reach - passed[n]) / price, 0.0, t))
        far = fixed(jnp.clip((reach - left[n]) / price, 0.0, t))
        scale = jnp.where(near + far > t, t / jnp.where(near + far > t, near + far, 1.0), 1.0)
        near, far = scale * near, scale * far
        deep = jnp.maximum(t - near - far, 0.0)
        upper, lower = SPLIT * deep, (1.0 - SPLIT) * deep
        slice_ = thickness[n] - t  # nothing, but it has a derivative
        offsets += [jnp.zeros_like(t), near, near + upper, far, jnp.zeros_like(t)]
        extents += [near, upper, slice_, lower, far]
        for extent, begin, hidden in (
            (near, 0.0 * t, passed[n]),
            (upper, near, reach),
            (slice_, near + upper, reach),
            (lower, near + upper, reach),
            (far, t - far, left[n]),
        ):
            met = jnp.exp(-above[n] - mu * begin) * -jnp.expm1(-mu * extent)
            natural.append(met)
            worth.append(met * (ESCAPE * jnp.maximum(1.0 - hidden / reach, 0.0) + DEEP))
    score = fixed(jnp.stack(worth))
    score = score / jnp.sum(score)
    shaded = score * jnp.repeat(fixed(jnp.stack(above)), ZONES)
    plain = fixed(jnp.stack(natural))
    score = (1.0 - SHADED - PLAIN) * score + SHADED * shaded / jnp.maximum(jnp.sum(shaded), TINY)
    score = score + PLAIN * plain / jnp.sum(plain)
    moving = jnp.arange(score.size, dtype=jnp.int32) % ZONES == ZONES // 2
    score = jnp.where(moving, SLICE, score)
    share = score / jnp.sum(score)
    zone = jnp.minimum(jnp.sum((u_zone >= jnp.cumsum(share)).astype(jnp.int32)), share.size - 1)
    layer, from_bottom = zone // ZONES, zone % ZONES > ZONES // 2
    extent = jnp.stack(extents)[zone]
    even = moving[zone]
    distance = jnp.stack(offsets)[zone] + extent * jnp.where(even, 0.5, u * u)
    depth = jnp.where(from_bottom, thickness[layer] - distance, distance)
    mu = jnp.stack(attenuations)[layer]
    weight = mu * jnp.exp(-jnp.stack(above)[layer] - mu * depth) * extent * jnp.where(even, 1.0, 2.0 * u) / share[zone]
    return layer, depth, weight


def _across(parameters: Parameters, side: Array, reach: Array, u: Array) -> tuple[Array, Array]:
    """A place () um from the centre of a ``side`` () um, and its weight; dense where ``reach`` () um gets out."""
    half = 0.5 * side
    first = _within(parameters, reach, half)
    second = _within(parameters, PHOTONS * reach, half)
    extents = jnp.stack([first, second - first, half - second])
    plain = parameters.fixed(extents / half)
    share = jnp.where(plain > 0.0, jnp.array((*SIDE, 0.0), dtype=half.dtype) + (1.0 - sum(SIDE)) * plain, 0.0)
    share = share / jnp.sum(share)
    v = jnp.abs(2.0 * u - 1.0)
    ends = jnp.cumsum(share)
    zone = jnp.minimum(jnp.sum((v >= ends).astype(jnp.int32)), 2)
    s = jnp.clip((v - ends[zone] + share[zone]) / share[zone], 0.0, 1.0)
    extent = extents[zone]
    gap = jnp.stack([jnp.zeros_like(first), first, second])[zone] + extent * jnp.where(zone == 0, s * s, s)
    weight = extent * jnp.where(zone == 0, 2.0 * s, 1.0) / half / share[zone]
    return jnp.where(u < 0.5, -1.0, 1.0) * (half - gap), weight


def _within(parameters: Parameters, reach: Array, half: Array) -> Array:
    """``reach``, which is fixed, or all of ``half``, which moves."""
    return jnp.where(reach < parameters.fixed(half), reach, half)


def share_by_layer(parameters: Parameters, mu: list[Array]) -> Array:
    """Probability (L,) of a first interaction in each layer, in closed form; mu: 1/um by layer."""
    above, _ = optical_depth(parameters.thickness, mu)
    depths = [price * parameters.thickness[n] for n, price in enumerate(mu)]
    return jnp.stack([jnp.exp(-a) * -jnp.expm1(-d) for a, d in zip(above, depths, strict=True)])
