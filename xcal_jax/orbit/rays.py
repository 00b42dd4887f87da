"""Rays from a detector over the sphere, and what lies on them: directions -> mass per area of each material, in JAX.

One ray is written; `jax.vmap` makes the rest. Directions are a Fibonacci lattice (Gonzalez 2010, doi
10.1007/s11004-009-9257-x), as even as points over a sphere can be; origins in a detector with a volume are those of
the R3 sequence (Roberts 2018), so that nothing is drawn at random.
"""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.orbit.mass_model import MassModel
from xcal_jax.orbit.shielding import Paths
from xcal_jax.units import parse_whole

RAYS, MOST_RAYS = 2000, 100_000
GOLDEN = (1 + 5**0.5) / 2
PLASTIC = 1.22074408460575947536  # the root of x^4 = x + 1: R3's ratio


def check_rays(count: int) -> None:
    """Raise ValueError for no rays, and for so many that they would fill the memory."""
    parse_whole(count, "rays", least=1, most=MOST_RAYS)


def directions(count: int) -> Float[np.ndarray, "n 3"]:
    """``count`` unit vectors, evenly over the sphere. Raises ValueError as `check_rays`."""
    check_rays(count)
    number = np.arange(count)
    z = 1 - (2 * number + 1) / count
    azimuth = 2 * np.pi * (number / GOLDEN % 1)
    return np.stack([np.sqrt(1 - z**2) * np.cos(azimuth), np.sqrt(1 - z**2) * np.sin(azimuth), z], -1)


def origins(model: MassModel, count: int) -> Float[jax.Array, "n 3"]:
    """``count`` points, evenly over the detector's volume, mm."""
    even = (0.5 + np.arange(count)[:, None] * PLASTIC ** -np.arange(1.0, 4.0)) % 1 - 0.5
    return model.detector[None, :] + jnp.asarray(even, model.low.dtype) * model.detector_size[None, :]


def path_in_solids(
    low: Float[jax.Array, "B 3"],
    high: Float[jax.Array, "B 3"],
    origin: Float[jax.Array, "3"],
    direction: Float[jax.Array, "3"],
) -> Float[jax.Array, " B"]:
    """Length of one ray in each of B axis-parallel solids, mm (the slab method of Kay and Kajiya 1986)."""
    slope = 1 / jnp.where(direction == 0, jnp.finfo(direction.dtype).tiny ** 0.5, direction)
    one, other = ((corner - origin[None, :]) * slope[None, :] for corner in (low, high))
    enters = jnp.minimum(one, other).max(-1)
    leaves = jnp.maximum(one, other).min(-1)
    return jnp.maximum(leaves - jnp.maximum(enters, 0.0), 0.0)


@jax.jit
def areal_density(
    model: MassModel, origin: Float[jax.Array, "n 3"], direction: Float[jax.Array, "n 3"]
) -> Float[jax.Array, "n M"]:
    """Mass per area of each of the model's materials on n rays, g/cm2. Differentiable in ``model.thickness``."""
    low, high = model.corners()
    made_of = np.equal.outer(np.array(model.made_of), np.arange(len(model.materials)))
    of_material = model.density[:, None] / 10 * jnp.asarray(made_of, low.dtype)

    def one(origin, direction):
        return path_in_solids(low, high, origin, direction) @ of_material

    return jax.vmap(one)(origin, direction)


def rays_of(model: MassModel, count: int = RAYS) -> Paths:
    """``count`` rays over the sphere as paths of equal weight, each through all materials, the outermost first.

    The order of the materials is that of their mean distances: of layers that alternate, it is not that of the ray.
    """
    towards = jnp.asarray(directions(count), model.low.dtype)
    areal = areal_density(model, origins(model, count), towards)
    return Paths(areal, jnp.full(count, 1 / count, areal.dtype), model.materials)


@checked
def shielding_map(model: MassModel, count: int = 10_000) -> xr.Dataset:
    """Mass per area over the sphere around the detector, by `ray` and `material`, g/cm2, with the directions."""
    towards = directions(count)
    areal = areal_density(model, origins(model, count), jnp.asarray(towards, model.low.dtype))
    around = np.degrees(np.arctan2(towards[:, 1], towards[:, 0]))
    return xr.Dataset(
        {
            "areal_density": variable(("ray", "material"), np.asarray(areal), "g/cm2", "mass per area on the ray"),
            "elevation": variable("ray", np.degrees(np.arcsin(towards[:, 2])), "degrees", "angle above the x-y plane"),
            "azimuth": variable("ray", around, "degrees", "angle from x to y"),
        },
        {"material": variable("material", list(model.materials), "1", "material")},
        {"title": f"Shielding of {model.name}", "solids": "; ".join(model.solids)},
    )
