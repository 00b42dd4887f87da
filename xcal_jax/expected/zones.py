"""Where the first interaction is: every layer counted, none drawn by chance.

A layer has three zones: within an electron's reach of the top, of the bottom, and between. A place is tied to the face
it is near to, so that it moves with that face when a thickness changes; all that depends on the thickness is then in
the weight and in smooth functions of the place. The same across the width and the length, for a uniform impact.
Which zone a point of the sequence falls into is a choice without derivative.
"""

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from xcal_jax.absorber import electron
from xcal_jax.absorber.geometry import Site
from xcal_jax.expected.parameters import Parameters

DEEP = 0.04  # worth of a deep place against one that electrons escape from
LEAST = 0.02  # share of the points that every zone gets at least, before normalising
SIDE = (0.12, 0.12)  # share of the points within electrons' reach of a side, and within photons'
PHOTONS = 20.0  # photons' reach over electrons'


def optical_depth(thickness: Array, attenuation: list[Array]) -> tuple[list[Array], Array]:
    """Above each layer and in all, () each; attenuation: 1/um by layer."""
    above, total = [], jnp.zeros_like(attenuation[0])
    for n, mu in enumerate(attenuation):
        above.append(total)
        total = total + mu * thickness[n]
    return above, total


def first_site(parameters: Parameters, attenuation: list[Array], cost: list[Array], uniform: bool, u: Array):
    """(site, weight): a first interaction for u (4,), and its weight, () summing to the interaction probability."""
    reach = stop_gradient(parameters.range_scale * electron.scaled_range(parameters.energy))
    layer, depth, weight = _depth(parameters.thickness, attenuation, cost, reach, u[0], u[1])
    if not uniform:
        return Site(parameters.x, parameters.y, depth, layer), weight
    least = stop_gradient(jnp.min(jnp.stack(cost)))
    x, weight_x = _across(parameters.width, reach / least, u[2])
    y, weight_y = _across(parameters.length, reach / least, u[3])
    return Site(x, y, depth, layer), weight * weight_x * weight_y


def _depth(thickness, attenuation, cost, reach, u_zone, u):
    above, _ = optical_depth(thickness, attenuation)
    layers = len(cost)
    passed = [sum((cost[m] * thickness[m] for m in range(n)), jnp.zeros_like(reach)) for n in range(layers)]
    left = [sum((cost[m] * thickness[m] for m in range(n + 1, layers)), jnp.zeros_like(reach)) for n in range(layers)]
    starts, ends, worth = [], [], []
    for n, (mu, price) in enumerate(zip(attenuation, cost, strict=True)):
        t = thickness[n]
        near = stop_gradient(jnp.clip((reach - passed[n]) / price, 0.0, t))
        far = stop_gradient(jnp.clip((reach - left[n]) / price, 0.0, t))
        thin = near + far >= stop_gradient(t)
        share = near / jnp.where(thin, near + far, 1.0)
        first = jnp.where(thin, t * share, near)
        second = jnp.where(thin, first, t - far)
        begin, end = [jnp.zeros_like(t), first, second], [first, second, t]
        starts += begin
        ends += end
        for zone, (a, b) in enumerate(zip(begin, end, strict=True)):
            met = jnp.exp(-above[n] - mu * a) * -jnp.expm1(-mu * (b - a))
            hidden = (passed[n], reach, left[n])[zone] / reach
            worth.append(met * (jnp.maximum(0.2 * (1.0 - hidden), 0.0) + DEEP))
    score = stop_gradient(jnp.stack(worth))
    score = score / jnp.sum(score)
    score = jnp.where(score > 0.0, score + LEAST, 0.0)
    share = score / jnp.sum(score)
    zone = jnp.minimum(jnp.sum((u_zone >= jnp.cumsum(share)).astype(jnp.int32)), share.size - 1)
    start, end = jnp.stack(starts)[zone], jnp.stack(ends)[zone]
    layer, kind = zone // 3, zone % 3
    extent = end - start
    s = jnp.where(kind == 1, u * u * (3.0 - 2.0 * u), u * u)
    depth = jnp.where(kind == 2, end - extent * s, start + extent * s)
    stretch = extent * jnp.where(kind == 1, 6.0 * u * (1.0 - u), 2.0 * u)
    mu = jnp.stack(attenuation)[layer]
    weight = mu * jnp.exp(-jnp.stack(above)[layer] - mu * depth) * stretch / share[zone]
    return layer, depth, weight


def _across(side: Array, reach: Array, u: Array) -> tuple[Array, Array]:
    """A place () um from the centre of a ``side`` () um, and its weight; dense where ``reach`` () um gets out."""
    half = 0.5 * side
    first = _within(reach, half)
    second = _within(PHOTONS * reach, half)
    share = jnp.array(SIDE, dtype=half.dtype)
    share = jnp.append(share, 1.0 - jnp.sum(share))
    extents = jnp.stack([first, second - first, half - second])
    share = jnp.where(stop_gradient(extents) > 0.0, share, 0.0)
    share = share / jnp.sum(share)
    v = jnp.abs(2.0 * u - 1.0)
    ends = jnp.cumsum(share)
    zone = jnp.minimum(jnp.sum((v >= ends).astype(jnp.int32)), 2)
    s = jnp.clip((v - ends[zone] + share[zone]) / share[zone], 0.0, 1.0)
    extent = extents[zone]
    gap = jnp.stack([jnp.zeros_like(first), first, second])[zone] + extent * jnp.where(zone == 0, s * s, s)
    weight = extent * jnp.where(zone == 0, 2.0 * s, 1.0) / half / share[zone]
    return jnp.where(u < 0.5, -1.0, 1.0) * (half - gap), weight


def _within(reach: Array, half: Array) -> Array:
    """``reach``, fixed, or all of ``half``, which moves."""
    return jnp.where(reach < half, stop_gradient(reach), half)


def share_by_layer(parameters: Parameters, attenuation: list[Array]) -> Array:
    """Probability (L,) of a first interaction in each layer, in closed form."""
    above, _ = optical_depth(parameters.thickness, attenuation)
    depths = [mu * parameters.thickness[n] for n, mu in enumerate(attenuation)]
    return jnp.stack([jnp.exp(-a) * -jnp.expm1(-d) for a, d in zip(above, depths, strict=True)])
