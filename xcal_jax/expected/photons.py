"""A photon on its way out: it leaks with a probability, exp(-optical depth), and is absorbed with the rest.

Which of the two is followed, and in which layer it is absorbed, is drawn with fixed probabilities and weighted with the
true ones, so that the weight carries the derivative; the place within the layer follows from the inverted law.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from xcal_jax.absorber.geometry import Direction, Site
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.tables import Tables
from xcal_jax.expected.tracks import segments

LEAST_CHOICE = 0.1  # of either fate


class Flight(NamedTuple):
    """escapes: () bool; weight: () of that fate, mean one; site: where it is absorbed if not."""

    escapes: Array
    weight: Array
    site: Site


def attenuation(tables: Tables, density: Array, energy: Array) -> list[Array]:
    """1/um by layer, () each, at ``energy`` () eV."""
    return tables.matter.attenuation_at(density, *tables.matter.attenuation.place(energy))


def fly(tables: Tables, parameters: Parameters, site: Site, direction: Direction, energy: Array, u: Array) -> Flight:
    """A photon from ``site``, for u (3,)."""
    mu = attenuation(tables, parameters.density, energy)
    start, length = segments(parameters.stack, site, direction)
    depth = [m * s for m, s in zip(mu, length, strict=True)]
    rises = direction.z > 0.0
    absorbed = []
    for n in range(len(mu)):
        others = range(n + 1, len(mu)), range(n)
        before = [sum((depth[m] for m in those), jnp.zeros_like(energy)) for those in others]
        absorbed.append(jnp.exp(-jnp.where(rises, *before)) * -jnp.expm1(-depth[n]))
    leaks = jnp.exp(-sum(depth))
    choice = jnp.clip(stop_gradient(leaks), LEAST_CHOICE, 1.0 - LEAST_CHOICE)
    escapes = u[0] < choice

    chance = jnp.stack(absorbed)
    ends = jnp.cumsum(stop_gradient(chance))
    layer = jnp.minimum(jnp.sum((u[1] * ends[-1] >= ends).astype(jnp.int32)), len(mu) - 1)
    fixed = stop_gradient(chance[layer])
    fixed = jnp.where(fixed > 0.0, fixed, 1.0)
    absorption = chance[layer] / fixed * ends[-1] / (1.0 - choice)

    there, price = jnp.stack(depth)[layer], jnp.stack(mu)[layer]
    inside = -jnp.log1p(u[2] * jnp.expm1(-there)) / price
    thickness = parameters.thickness[layer]
    entry = jnp.where(layer == site.layer, site.depth, jnp.where(rises, thickness, 0.0))
    distance = jnp.stack(start)[layer] + inside
    end = Site(
        site.x + direction.x * distance,
        site.y + direction.y * distance,
        jnp.clip(entry - direction.z * inside, 0.0, thickness),
        layer,
    )
    return Flight(escapes, jnp.where(escapes, leaks / choice, absorption), end)
