"""A photon on its way out: it leaks with a probability, exp(-optical depth), and is absorbed with the rest.

The layer where it is absorbed is drawn with fixed probabilities and weighted with the true ones, so that the weight
carries the derivative. The place within the layer follows from the inverted law.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xcal_jax.absorber.matter import Matter
from xcal_jax.compute.shapes import Real
from xcal_jax.expected.parameters import Parameters
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.layers import absorbed_by_layer
from xcal_jax.physics.path_lengths import segments


class Flight(NamedTuple):
    """Both ends of a flight.

    leaks: () probability to get out; site: where the photon is absorbed if it does not; stays: () weight of that, of
    mean 1 - leaks.
    """

    leaks: Array
    stays: Array
    site: Site


def attenuation(matter: Matter, density: Float[Array, " L"], energy: Real) -> list[Real]:
    """Attenuation in each layer, 1/um, at ``energy`` eV; density: g/cm3."""
    return matter.attenuation_at(density, *matter.attenuation.place(energy))


def fly(
    matter: Matter, parameters: Parameters, site: Site, direction: Direction, energy: Real, u: Float[Array, "2"]
) -> Flight:
    """The flight of a photon of ``energy`` eV from ``site`` along ``direction``; u: its layer, its place there."""
    mu = attenuation(matter, parameters.density, energy)
    start, length = segments(parameters.stack, site, direction)
    depth = jnp.stack([m * s for m, s in zip(mu, length, strict=True)])
    rises = direction.z > 0.0
    upwards = absorbed_by_layer(mu[::-1], length[::-1])[::-1]
    probability = jnp.where(rises, upwards, absorbed_by_layer(mu, length))
    chosen = parameters.fixed(probability)
    ends = jnp.cumsum(chosen)
    layer = jnp.minimum(jnp.sum((u[0] * ends[-1] >= ends).astype(jnp.int32)), len(mu) - 1)
    stays = probability[layer] / jnp.where(chosen[layer] > 0.0, chosen[layer], 1.0) * ends[-1]

    there, price = depth[layer], jnp.stack(mu)[layer]
    inside = -jnp.log1p(u[1] * jnp.expm1(-there)) / jnp.where(price > 0.0, price, 1.0)  # 0 in vacuum
    thickness = parameters.thickness[layer]
    entry = jnp.where(layer == site.layer, site.depth, jnp.where(rises, thickness, 0.0))
    distance = jnp.stack(start)[layer] + inside
    end = Site(
        site.x + direction.x * distance,
        site.y + direction.y * distance,
        jnp.clip(entry - direction.z * inside, 0.0, thickness),
        layer,
    )
    return Flight(jnp.exp(-jnp.sum(depth)), stays, end)
