"""How photons come in: their direction, what it lights, and the probability of a first interaction in each layer.

A ray at the angle theta to the normal has 1 / cos theta um of path, and moves sideways by (k_x, k_y) um, for every um
of depth. A uniform impact therefore lights, at the depth z, all of a cross section w x l but a strip along each side
where light comes from. With mu the attenuation at z and tau the optical depth down to z, both along the normal,

    P = integral (mu / cos theta) exp(- tau / cos theta) (1 - |k_x| z / w) (1 - |k_y| z / l) dz

over a layer, as far as the brackets are positive. With v = (mu / cos theta) x (z - top of the layer), the product of
the brackets is a polynomial in v, whose moments under exp(-v) are incomplete gamma functions. A ray that hits one point
interacts along its path up to the bottom or a side.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammainc
from jaxtyping import Float

from xcal_jax.absorber.matter import Matter
from xcal_jax.compute.shapes import Real
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import attenuation
from xcal_jax.expected.random_numbers import Point, Points, incident_numbers
from xcal_jax.physics.geometry import Direction, Site, distance_to_side, isotropic, ratio
from xcal_jax.physics.layers import absorbed_by_layer, cumulative
from xcal_jax.physics.path_lengths import segments


def incident_direction(parameters: Parameters, point: Point) -> Direction:
    """The direction in which the photon of ``point`` comes in."""
    if parameters.isotropic:
        u_cosine, u_azimuth = incident_numbers(point)
        return isotropic(0.5 * u_cosine, u_azimuth)
    zero = jnp.zeros_like(parameters.width)
    if parameters.angle is None:
        return Direction(zero, zero, zero - 1.0)
    angle, azimuth = jnp.radians(parameters.angle), jnp.radians(zero + parameters.azimuth)
    return Direction(jnp.sin(angle) * jnp.cos(azimuth), jnp.sin(angle) * jnp.sin(azimuth), -jnp.cos(angle))


def slope(direction: Direction) -> tuple[Real, Real, Real]:
    """(path, way along x, way along y) in um of a ray for every um of depth."""
    path = -1.0 / direction.z
    return path, direction.x * path, direction.y * path


def deepest(parameters: Parameters, direction: Direction) -> Real:
    """The depth, um, at which the ray that hits one point leaves by a side; infinite for vertical ones."""
    zero = jnp.zeros_like(parameters.x)
    top = Site(parameters.x, parameters.y, zero, jnp.zeros((), jnp.int32))
    return distance_to_side(parameters.stack, top, direction) * -direction.z


def first_interactions(matter: Matter, parameters: Parameters, points: Points) -> Float[Array, "K L"]:
    """Probability of the first interaction in each of L layers for each of K lines, dead layers included.

    Exact for one direction; the mean over those of the ``points`` for isotropic light.
    """

    def at(energy):
        mu = attenuation(matter, parameters.density, energy)
        if parameters.isotropic:
            each = jax.vmap(lambda point: by_layer(parameters, mu, incident_direction(parameters, point)))(points)
            return jnp.mean(each, axis=0)
        return by_layer(parameters, mu, incident_direction(parameters, points[0]))

    return jax.vmap(at)(jnp.atleast_1d(parameters.energy))


def by_layer(parameters: Parameters, mu: list[Real], direction: Direction) -> Float[Array, " L"]:
    """Probability of the first interaction in each layer, of photons that fly along ``direction``; mu: 1/um."""
    if not parameters.slants:
        return absorbed_by_layer(mu, parameters.thickness)
    if not parameters.uniform:
        top = Site(parameters.x, parameters.y, jnp.zeros_like(parameters.x), jnp.zeros((), jnp.int32))
        return absorbed_by_layer(mu, segments(parameters.stack, top, direction)[1])
    path, along_x, along_y = slope(direction)
    across = jnp.abs(along_x) / parameters.width, jnp.abs(along_y) / parameters.length
    lit = jnp.minimum(*(ratio(jnp.ones_like(part), part) for part in across))
    tops, _ = cumulative(jnp.ones_like(parameters.thickness), parameters.thickness)
    extent = jnp.stack([jnp.clip(lit - top, 0.0, t) for top, t in zip(tops, parameters.thickness, strict=True)])
    rate = path * jnp.stack(mu)
    above, _ = cumulative(rate, parameters.thickness)
    depth, some = rate * extent, rate * extent > 0.0
    per = jnp.where(some, 1.0 / jnp.where(some, rate, 1.0), 0.0)  # um of depth for an optical depth of 1
    one, two = (1.0 - jnp.stack(tops) * part for part in across)
    moments = -jnp.expm1(-depth), *(gammainc(order, jnp.where(some, depth, 1.0)) for order in (2.0, 3.0))
    linear, square = -per * (across[0] * two + across[1] * one), 2.0 * per * per * across[0] * across[1]
    found = one * two * moments[0] + linear * moments[1] + square * moments[2]
    return jnp.exp(-jnp.stack(above)) * jnp.where(some, found, 0.0)
