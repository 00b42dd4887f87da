"""The map that moves interaction sites with the parameters, so that tracks of scattering electrons need no derivative.

Whether a scattering electron escapes depends on every deflection of its track, which has no derivative. But a track
measured in ranges is the same wherever it starts the same number of ranges from the faces within its reach. Interaction
sites are therefore moved with the parameters by a piecewise linear map that preserves, near each face, the distance to
it in units of the electron range. Tracks stay as drawn, and every derivative is one of weights.

A prime marks a number as it depends on the parameters. Without a prime it is the value used for sampling decisions
(`Parameters.fixed`). Both have the same value, so the map is the identity, but it has derivatives. In a layer of
thickness t and density rho, with f the scale on ranges and r the range in um of the fastest electron, let

    s = (f' / rho') / (f / rho),    a = min(r, t / 2)

The depth z in the layer moves with the nodes 0, a, t - a, t:

    z    0 .. a                 z' = s z                                      slope s
         a .. t - a             z' = s a + (z - a) (t' - 2 s a) / (t - 2 a)   slope (t' - 2 s a) / (t - 2 a)
         t - a .. t             z' = t' - s (t - z)                           slope s

Across, in an absorber of half width h (half length for y), with the impact at x0 (0 where it is uniform), r now the
largest of all layers, and

    g = min(r, h / 2),    m = x0 limited to (g - h) .. (h - g)

x moves linearly between the nodes

    x    -h      g - h       m                  h - g       h
    x'   -h'     s g - h'    m + (x0' - x0)     h' - s g    h'

Slanting light leaves a strip along a side dark, which grows with the depth (`incidence`). For a first interaction of
uniform light the edge of what is lit is one more node, in the place of those in the dark: it stays the edge.

The weight of a site is a ratio of densities, with J the product of the slopes in depth, x and y:

    first interaction     q = mu exp(- tau(z) / c) J / (c w l)            weight q' / q
    absorption            q = mu exp(- tau) J / (4 pi d^2)                weight q' / q
      after scattering    q = mu exp(- tau) (dz' / dz) / |cos theta|      weight q' / q

mu: attenuation at the site; tau: optical depth to it; c: cosine of incidence; w l: area of a uniform impact (an impact
at one point has q = mu exp(- tau(z) / c) (dz' / dz) / c); d: distance from the place where a fluorescence photon is
emitted. A scattered photon keeps its direction, at theta to the normal, down to the depth z'.

This is exact where every layer whose thickness or density changes is at least 2 r thick: tracks at one end of it are
then independent of the other end. Elsewhere, and in the thickness of a gap, which no range measures, a derivative would
be wrong: `inexact`. The photons' energy moves no site, but changes a track: see `scattering`.

Two kinds of electrons do not quite keep their tracks. When the density of one layer alone changes, those that cross an
interface and then leave by a side: 3e-4 of the electrons that escape from the X-IFU absorber at 7 keV, 2e-3 from four
layers 60 um wide. And electrons of photons that were scattered before they were absorbed near a side, which are fewer.
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xcal_jax.absorber.matter import Matter
from xcal_jax.compute.lanes import choose
from xcal_jax.compute.shapes import Real
from xcal_jax.expected.first_collision import first_site
from xcal_jax.expected.incidence import incident_direction, slope
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import Flight, attenuation
from xcal_jax.expected.random_numbers import DIMENSIONS
from xcal_jax.expected.state import Photon
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.layers import between, cumulative, depth_in_stack
from xcal_jax.physics.path_lengths import SHALLOW
from xcal_jax.physics.relaxation import NONE


class Moved(NamedTuple):
    """A site as it depends on the parameters; deeper, wider: () slopes of the map in depth, and in x times y."""

    site: Site
    deeper: Array
    wider: Array


def reach(matter: Matter, parameters: Parameters) -> Float[Array, " L"]:
    """The range of the fastest electron in each layer, um; 0 in vacuum."""
    electrons = matter.electrons
    cost = electrons.per_um(parameters.density)
    if parameters.dead:
        cost = jnp.where(parameters.density > 0.0, cost, jnp.inf)
    return parameters.range_scale * electrons.maximum_range(parameters.highest_energy) / cost


def move(matter: Matter, parameters: Parameters, site: Site, aside: tuple[Real, Real] | None = None) -> Moved:
    """``site``, which has no derivative, moved to where it is for ``parameters``.

    aside: um along x and y for every um of depth, of slanting light that is uniform over the top and lights ``site``.
    """
    fixed, n = parameters.fixed, site.layer
    frozen = parameters.frozen
    far = reach(matter, frozen)
    scale = (parameters.range_scale / parameters.density / (frozen.range_scale / frozen.density))[n]
    old, new = frozen.thickness[n], parameters.thickness[n]
    near = jnp.minimum(far[n], 0.5 * old)
    zero = jnp.zeros_like(near)
    depth, deeper = piecewise_linear(
        site.depth,
        jnp.stack([zero, near, old - near, old]),
        jnp.stack([zero, near * scale, new - near * scale, new]),
    )

    def across(place, side, impact, shift):
        impact = fixed(impact) if parameters.uniform else impact
        half, half_now = 0.5 * fixed(side), 0.5 * side
        gap = jnp.minimum(jnp.max(far), 0.5 * half)
        middle = jnp.clip(fixed(impact), gap - half, half - gap)
        nodes = jnp.stack([-half, gap - half, middle, half - gap, half])
        moved = jnp.stack(
            [-half_now, gap * scale - half_now, middle + impact - fixed(impact), half_now - gap * scale, half_now]
        )
        if shift is not None:
            held = fixed(shift)
            for lit, lit_now, dark in (
                (held - half, shift - half_now, (held > 0.0) & (nodes <= held - half)),
                (half + held, half_now + shift, (held < 0.0) & (nodes >= half + held)),
            ):
                nodes, moved = jnp.where(dark, lit, nodes), jnp.where(dark, lit_now, moved)
        return piecewise_linear(place, nodes, moved)

    shifts: list[Real | None] = [None, None]
    if aside is not None:
        down = depth_in_stack(parameters.thickness, n, depth)
        shifts = [way * down for way in aside]
    x, wider_x = across(site.x, parameters.width, parameters.x, shifts[0])
    y, wider_y = across(site.y, parameters.length, parameters.y, shifts[1])
    return Moved(Site(x, y, depth, n), deeper, wider_x * wider_y)


def piecewise_linear(place: Real, old: Float[Array, " N"], new: Float[Array, " N"]) -> tuple[Real, Real]:
    """``place`` after the map that takes the nodes ``old`` to ``new``, and the slope of the map there."""
    k = jnp.sum((place >= old[1:-1]).astype(jnp.int32))
    extent = old[k + 1] - old[k]
    slope = jnp.where(extent > 0.0, (new[k + 1] - new[k]) / jnp.where(extent > 0.0, extent, 1.0), 1.0)
    return new[k] + slope * (place - old[k]), slope


def moved_first_site(
    matter: Matter, parameters: Parameters, energy: Real, direction: Direction, u: Float[Array, "4"]
) -> tuple[Site, Real]:
    """(site, weight) of a first interaction, as `first_collision.first_site` has it, moved with the parameters."""
    frozen = parameters.frozen
    held, way = jax.tree.map(parameters.fixed, (energy, direction))
    drawn, weight = first_site(matter, frozen, held, way, u)
    path, *aside = slope(direction)
    lit = (aside[0], aside[1]) if parameters.slants and parameters.uniform else None
    site, deeper, wider = move(matter, parameters, drawn, lit)
    mu = [path * each for each in attenuation(matter, parameters.density, energy)]
    above, _ = cumulative(mu, parameters.thickness)
    here = jnp.stack(mu)[site.layer]
    density = here * jnp.exp(-jnp.stack(above)[site.layer] - here * site.depth) * deeper
    if parameters.uniform:
        density = density * wider / (parameters.width * parameters.length)
    else:
        down = depth_in_stack(parameters.thickness, site.layer, site.depth)
        x, y = (at + way * down for at, way in zip((parameters.x, parameters.y), aside, strict=True))
        site = Site(x, y, site.depth, site.layer)
    return site, weight * _relative(parameters, density)


def _relative(parameters: Parameters, density: Real) -> Real:
    """``density`` over its value for sampling decisions; 1 where that is 0."""
    held = parameters.fixed(density)
    return jnp.where(held > 0.0, density / jnp.where(held > 0.0, held, 1.0), 1.0)


def moved_absorption(
    matter: Matter, parameters: Parameters, photon: Photon, way: Direction, flight: Flight
) -> tuple[Site, Direction, Real]:
    """(site, direction, weight) of a ``photon`` sent out along ``way`` and absorbed at the end of its ``flight``.

    Fluorescence is emitted in any direction: it flies to where the site has moved. A scattered photon keeps its
    direction, down to the depth where the site has moved.
    """
    fixed, free = parameters.fixed, photon.line != NONE
    origin, end = photon.site, jax.tree.map(fixed, flight.site)
    there, deeper, wider = move(matter, parameters, end)
    mu = attenuation(matter, parameters.density, photon.energy)
    thickness = parameters.thickness
    low = depth_in_stack(thickness, origin.layer, origin.depth)
    high = depth_in_stack(thickness, end.layer, there.depth)
    down = high - low
    slope = jnp.where(way.z == 0.0, SHALLOW, way.z)
    straight = Site(origin.x - way.x * down / slope, origin.y - way.y * down / slope, there.depth, end.layer)
    site = choose(free, there, straight)
    x, y = site.x - origin.x, site.y - origin.y
    square = x * x + y * y + down * down
    length = jnp.sqrt(jnp.where(square > 0.0, square, 1.0))
    inclined = down != 0.0
    parts = [
        jnp.where(inclined, inside / jnp.where(inclined, jnp.abs(down), 1.0), jnp.where(end.layer == n, 1.0, 0.0))
        for n, inside in enumerate(between(thickness, low, high))
    ]
    depth = length * cumulative(mu, parts)[1]
    spread = jnp.where(free, wider / jnp.where(square > 0.0, square, 1.0), 1.0 / jnp.abs(slope))
    density = jnp.stack(mu)[end.layer] * jnp.exp(-depth) * deeper * spread
    weight = fixed(flight.stays) * _relative(parameters, density)
    return site, choose(free, Direction(x / length, y / length, -down / length), way), weight


def inexact(matter: Matter, parameters: Parameters) -> Parameters:
    """The parameters in which the map does not preserve tracks, so that derivatives would be wrong: leaves of bool."""
    far = reach(matter, parameters)
    thin = (parameters.thickness < 2.0 * far) | (parameters.density == 0.0)
    widest = jnp.max(far)
    half = 0.5 * parameters.width, 0.5 * parameters.length
    close, no = jnp.minimum(*half) < 2.0 * widest, jnp.zeros((), bool)
    leaves = no  # a ray to one point comes within reach of a side
    if not parameters.uniform:
        down = jnp.sum(parameters.thickness)
        _, *aside = slope(incident_direction(parameters, jnp.full(DIMENSIONS, 0.5)))
        for h, at, way in zip(half, (parameters.x, parameters.y), aside, strict=True):
            close = close | (h - jnp.abs(at) < widest)
            if parameters.slants:
                ends = h - jnp.abs(at + way * down) < widest
                leaves = leaves | (h - jnp.abs(at) < widest) | ends | parameters.isotropic
    close = close | leaves
    return replace(
        parameters,
        thickness=thin | leaves,
        density=thin | close,
        width=close,
        length=close,
        energy=jnp.zeros_like(parameters.energy, bool),
        weight=None if parameters.weight is None else jnp.zeros_like(parameters.weight, bool),
        angle=None if parameters.angle is None else leaves,
        x=close,
        y=close,
        yield_scale=no,
        range_scale=jnp.any(thin) | close,
    )
