"""Where interactions move to when a parameter changes, so that electrons that turn round need no derivative.

Whether such an electron escapes hangs on every turn of its track; no derivative passes that. But a track measured in
ranges is the same wherever it starts the same number of ranges from the faces within its reach. So sites are carried
along: within reach of a face, an interface or a side they keep their distance to it in ranges, in between the layer
stretches (piecewise linear in depth, x and y). Tracks stay as drawn, and every derivative is one of weights: of the
density of first interactions in depth, and of the density mu exp(-tau) / (4 pi r^2) with which a photon made at one
site so moved is absorbed at another. This is exact where every layer whose thickness or density changes is at least
twice an electron's reach thick: tracks at its one end then know nothing of the other. Elsewhere a derivative would be
wrong and is refused (`check`), or NaN (`guard`). The photons' energy moves no site, but changes a track: see `turning`.

Two kinds of electrons do not keep their tracks quite. When the density of one layer alone changes, those that cross an
interface and then leave by a side: 3e-4 of the electrons that escape from the X-IFU absorber at 7 keV, 2e-3 from four
layers 60 um wide. And electrons of photons that were scattered before they were absorbed near a side, which are fewer.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.expected.first_collision import first_site as draw_first_site
from xcal_jax.expected.first_collision import optical_depth
from xcal_jax.expected.parameters import Parameters, names
from xcal_jax.expected.path_lengths import SHALLOW
from xcal_jax.expected.photons import Flight, attenuation
from xcal_jax.expected.scattering import RAISED
from xcal_jax.expected.state import Photon, either
from xcal_jax.expected.tables import Tables
from xcal_jax.physics.electrons.scattering import HIGHEST
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.relaxation import NONE

HIGHEST_RAISED = HIGHEST / (1.0 + max(RAISED))  # eV; within the electrons' tables when raised


class Carried(NamedTuple):
    """A site where it is now; deeper, wider: by how much, (), space is stretched there, in depth and across."""

    site: Site
    deeper: Array
    wider: Array


def reach(tables: Tables, parameters: Parameters) -> Array:
    """How far (L,) um the fastest electron gets in each layer."""
    electrons = tables.matter.electrons
    return parameters.range_scale * electrons.maximum_range(parameters.energy) / electrons.per_um(parameters.density)


def carry(tables: Tables, parameters: Parameters, site: Site) -> Carried:
    """``site``, without derivative, carried to where it is for ``parameters``."""
    fixed, n = parameters.fixed, site.layer
    frozen = parameters.frozen
    far = reach(tables, frozen)
    scale = (parameters.range_scale / parameters.density / (frozen.range_scale / frozen.density))[n]
    old, new = frozen.thickness[n], parameters.thickness[n]
    near = jnp.minimum(far[n], 0.5 * old)
    zero = jnp.zeros_like(near)
    depth, deeper = stretched(
        site.depth,
        jnp.stack([zero, near, old - near, old]),
        jnp.stack([zero, near * scale, new - near * scale, new]),
    )

    def across(place, side, impact):
        half, half_now = 0.5 * fixed(side), 0.5 * side
        gap = jnp.minimum(jnp.max(far), 0.5 * half)
        middle = jnp.clip(fixed(impact), gap - half, half - gap)
        return stretched(
            place,
            jnp.stack([-half, gap - half, middle, half - gap, half]),
            jnp.stack(
                [-half_now, gap * scale - half_now, middle + impact - fixed(impact), half_now - gap * scale, half_now]
            ),
        )

    x, wider_x = across(site.x, parameters.width, fixed(parameters.x) if tables.uniform else parameters.x)
    y, wider_y = across(site.y, parameters.length, fixed(parameters.y) if tables.uniform else parameters.y)
    return Carried(Site(x, y, depth, n), deeper, wider_x * wider_y)


def stretched(place: Array, old: Array, new: Array) -> tuple[Array, Array]:
    """``place`` () among the nodes ``old`` (N,) when they move to ``new``, and the slope of the map, ()."""
    k = jnp.sum((place >= old[1:-1]).astype(jnp.int32))
    extent = old[k + 1] - old[k]
    slope = jnp.where(extent > 0.0, (new[k + 1] - new[k]) / jnp.where(extent > 0.0, extent, 1.0), 1.0)
    return new[k] + slope * (place - old[k]), slope


def first_site(tables: Tables, parameters: Parameters, u: Array) -> tuple[Site, Array]:
    """As `zones.first_site`: (site, weight) of a first interaction, for u (4,)."""
    frozen = parameters.frozen
    drawn, weight = draw_first_site(tables, frozen, u)
    site, deeper, wider = carry(tables, parameters, drawn)
    mu = attenuation(tables, parameters.density, parameters.energy)
    above, _ = optical_depth(parameters.thickness, mu)
    here = jnp.stack(mu)[site.layer]
    density = here * jnp.exp(-jnp.stack(above)[site.layer] - here * site.depth) * deeper
    if tables.uniform:
        density = density * wider / (parameters.width * parameters.length)
    else:
        site = Site(parameters.x, parameters.y, site.depth, site.layer)
    return site, weight * density / parameters.fixed(density)


def absorbed(tables: Tables, parameters: Parameters, photon: Photon, way: Direction, flight: Flight):
    """(site, direction, weight) of a ``photon`` sent out along ``way`` and absorbed at the end of its ``flight``.

    Fluorescence, which goes anywhere, flies to where the site is carried; a scattered photon keeps to its way, down to
    the depth where the site is carried.
    """
    fixed, free = parameters.fixed, photon.line != NONE
    origin, end = photon.site, jax.tree.map(fixed, flight.site)
    there, deeper, wider = carry(tables, parameters, end)
    mu = attenuation(tables, parameters.density, photon.energy)
    top = jnp.append(jnp.zeros(1, origin.depth.dtype), jnp.cumsum(parameters.thickness))
    low, high = top[origin.layer] + origin.depth, top[end.layer] + there.depth
    down = high - low
    slope = jnp.where(way.z == 0.0, SHALLOW, way.z)
    straight = Site(origin.x - way.x * down / slope, origin.y - way.y * down / slope, there.depth, end.layer)
    site = either(free, there, straight)
    x, y = site.x - origin.x, site.y - origin.y
    square = x * x + y * y + down * down
    length = jnp.sqrt(jnp.where(square > 0.0, square, 1.0))
    inclined = down != 0.0
    depth = jnp.zeros_like(length)
    for n, price in enumerate(mu):
        inside = jnp.minimum(jnp.maximum(low, high), top[n + 1]) - jnp.maximum(jnp.minimum(low, high), top[n])
        share = jnp.maximum(inside, 0.0) / jnp.where(inclined, jnp.abs(down), 1.0)
        depth = depth + price * length * jnp.where(inclined, share, jnp.where(end.layer == n, 1.0, 0.0))
    spread = jnp.where(free, wider / jnp.where(square > 0.0, square, 1.0), 1.0 / jnp.abs(slope))
    density = jnp.stack(mu)[end.layer] * jnp.exp(-depth) * deeper * spread
    some = fixed(density) > 0.0
    weight = fixed(flight.stays) * jnp.where(some, density / jnp.where(some, fixed(density), 1.0), 1.0)
    return site, either(free, Direction(x / length, y / length, -down / length), way), weight


def wrong(tables: Tables, parameters: Parameters) -> Parameters:
    """Which derivatives would be wrong at ``parameters``: trees of bool, shaped as these."""
    far = reach(tables, parameters)
    thin = parameters.thickness < 2.0 * far
    widest = jnp.max(far)
    half = 0.5 * parameters.width, 0.5 * parameters.length
    gaps = [h - jnp.abs(at) for h, at in zip(half, (parameters.x, parameters.y), strict=True)]
    close = jnp.minimum(*half) < 2.0 * widest
    if not tables.uniform:
        close = close | (jnp.minimum(*gaps) < widest)
    return Parameters(
        thickness=thin,
        density=thin | close,
        width=close,
        length=close,
        energy=parameters.energy > HIGHEST_RAISED,
        x=close,
        y=close,
        yield_scale=jnp.zeros((), bool),
        range_scale=jnp.any(thin) | close,
        choices=parameters.choices,
    )


def guard(tables: Tables, parameters: Parameters, in_energy: bool) -> Parameters:
    """``parameters``, whose derivatives are NaN where they would be wrong, and those in energy unless ``in_energy``."""
    bad = wrong(tables, parameters.frozen)
    return jax.tree.map(_guarded, parameters, replace(bad, energy=bad.energy | (not in_energy)))


@jax.custom_jvp
def _guarded(value: Array, bad: Array) -> Array:
    return value


@_guarded.defjvp
def _guard(primals, tangents):
    value, bad = primals
    return value, jnp.where(bad & (tangents[0] != 0.0), jnp.nan, tangents[0])


def check(tables: Tables, parameters: Parameters, asked: Sequence[str]) -> None:
    """Raises ValueError if a derivative with respect to a parameter ``asked`` by name would be wrong."""
    if not tables.turning:
        return
    bad = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(wrong(tables, parameters))])
    known = dict(zip(names(parameters), bad.tolist(), strict=True))
    refused = [name for name in asked if known[name]]
    if refused:
        far = ", ".join(f"{r:.3g}" for r in reach(tables, parameters))
        right = ", ".join(name for name, other in known.items() if not other)
        raise ValueError(
            f"derivatives with respect to {', '.join(refused)} would be wrong with `scattering` electrons, which reach "
            f"{far} um in the layers (a layer must be twice as thick, the sides must be farther away, the energy at "
            f"most {HIGHEST_RAISED:.6g} eV): ask for {right}, and take differences of values for the others"
        )
