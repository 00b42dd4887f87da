"""The site of the first interaction: stratified over zones of every layer, with no layer left to chance.

Let mu be the attenuation of a layer, t its thickness and c the electron range that a um of it uses up; tau the optical
depth above the layer, C and C' the range that the layers above and below it use up, and R the range of the fastest
electron. The layer then has five zones, from its top (z = 0) to its bottom (z = t):

    zone    from z       to z         electrons from there
    1       0            a            may leave by the top           a = (R - C) / c, within 0 .. t
    2       a            a + 3/4 d    stay                           d = t - a - b
    3       a + 3/4 d    a + 3/4 d    stay                           extent 0
    4       a + 3/4 d    t - b        stay
    5       t - b        t            may leave by the bottom        b = (R - C') / c, within 0 .. t

(a and b shrink by a common factor where a + b > t.) The zones 1 and 2 keep their distances from the top of the layer,
the zones 4 and 5 theirs from its bottom, and all four their extents when the thickness varies. Zone 3 carries the
derivative with respect to thickness, the material that a thicker layer has more: its extent is zero, but has the
derivative 1.

With dead layers, C and C' are the range up to where the layers that count end, seen from inside these, or begin, seen
from outside. Where nothing that counts lies that way, C or C' is infinite.

A zone is drawn with a fixed probability p (`zone_probabilities`). Let z0 be its distance from the face, e its extent. A
uniform number u places the site at the distance z0 + e u^2 from the face, in zone 3 at z0. With its depth z, the weight
is the probability density of a first interaction over that with which the site was drawn:

    w = mu exp(- tau - mu z) 2 e u / p        zone 3: w = mu exp(- tau - mu z) e / p

The mean of w is the interaction probability. A uniform impact is drawn alike in x and in y: see `_across`.
"""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xcal_jax.absorber.matter import Matter
from xcal_jax.compute.shapes import Real
from xcal_jax.expected.incidence import deepest, slope
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import attenuation
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.layers import cumulative, cumulative_upwards, depth_in_stack

ESCAPE, DEEP = 0.2, 0.02  # worth of an interaction at a face, to an electron that escapes, and anywhere
SHADED = 0.3  # of the points go where layers above take photons away: what derivatives depend on
PLAIN = 0.3  # of the points go where photons interact, so that no weight is large
SPLIT = 0.75  # of what lies deep belongs to zone 2
ZONES = 5  # of a layer
TINY = 1e-30
SLICE = 0.06  # of the points, before normalising, to each zone 3
SIDE = (0.12, 0.12)  # of the points are added within electrons' reach of a side, and within photons'
EDGE = 0.06  # and to the rest where slanting light may leave next to nothing of it, so that no slope is large
PHOTONS = 20.0  # photons' reach over electrons'


def first_site(
    matter: Matter, parameters: Parameters, energy: Real, direction: Direction, u: Float[Array, "4"]
) -> tuple[Site, Real]:
    """(site, weight) of the first interaction of a photon of ``energy`` eV that comes in along ``direction``.

    u: zone, place in the zone, x, y. The mean weight is P(interaction).
    """
    mu = attenuation(matter, parameters.density, energy)
    cost = matter.electrons.per_um(parameters.density)
    reach = parameters.fixed(parameters.range_scale * matter.electrons.maximum_range(parameters.highest_energy))
    farthest = reach / parameters.fixed(jnp.min(cost[parameters.counting]))
    if not parameters.slants:
        layer, depth, weight = _depth(parameters, mu, cost, reach, None, u[0], u[1])
        shift_x = shift_y = jnp.zeros_like(depth)
    else:
        path, along_x, along_y = slope(direction)
        limit = None if parameters.uniform else deepest(parameters, direction)
        layer, depth, weight = _depth(parameters, [path * each for each in mu], cost, reach, limit, u[0], u[1])
        down = depth_in_stack(parameters.thickness, layer, depth)
        shift_x, shift_y = along_x * down, along_y * down
    if not parameters.uniform:
        return Site(parameters.x + shift_x, parameters.y + shift_y, depth, layer), weight
    x, weight_x = _across(parameters, parameters.width, farthest, shift_x, u[2])
    y, weight_y = _across(parameters, parameters.length, farthest, shift_y, u[3])
    return Site(x, y, depth, layer), weight * weight_x * weight_y


def _depth(parameters: Parameters, attenuations, cost, reach, limit, u_zone, u):
    """(layer, depth, weight) of a first interaction, for two uniform numbers ().

    attenuations: 1/um of depth; limit: () um, the depth where the photon leaves by a side, None if it does nowhere.
    """
    thickness, fixed = parameters.thickness, parameters.fixed
    above, _ = cumulative(attenuations, thickness)
    passed, left = to_faces(parameters, cost)
    tops, _ = cumulative(jnp.ones_like(thickness), thickness)
    offsets, extents, worth, natural = [], [], [], []
    for n, (mu, price) in enumerate(zip(attenuations, cost, strict=True)):
        t = fixed(thickness[n])
        near = fixed(jnp.clip((reach - passed[n]) / price, 0.0, t))
        far = fixed(jnp.clip((reach - left[n]) / price, 0.0, t))
        scale = jnp.where(near + far > t, t / jnp.where(near + far > t, near + far, 1.0), 1.0)
        near, far = scale * near, scale * far
        deep = jnp.maximum(t - near - far, 0.0)
        upper, lower = SPLIT * deep, (1.0 - SPLIT) * deep
        slice_ = thickness[n] - t  # zero, but with a derivative
        offset = [jnp.zeros_like(t), near, near + upper, far, jnp.zeros_like(t)]
        within = [near, upper, slice_, lower, far]
        if limit is not None:
            offset, within = _above(limit - tops[n], thickness[n], offset, within)
        offsets += offset
        extents += within
        begins, faces = (0.0 * t, near, near + upper, near + upper, t - far), (passed[n], *(reach,) * 3, left[n])
        for extent, begin, hidden in zip(within, begins, faces, strict=True):
            met = jnp.exp(-above[n] - mu * begin) * -jnp.expm1(-mu * extent)
            natural.append(met)
            worth.append(met * (ESCAPE * jnp.maximum(1.0 - hidden / reach, 0.0) + DEEP))
    probability, moving = zone_probabilities(
        fixed(jnp.stack(natural)), fixed(jnp.stack(worth)), fixed(jnp.stack(above))
    )
    zone = jnp.minimum(jnp.sum((u_zone >= jnp.cumsum(probability)).astype(jnp.int32)), probability.size - 1)
    layer, from_bottom = zone // ZONES, zone % ZONES > ZONES // 2
    extent = jnp.stack(extents)[zone]
    even = moving[zone]
    distance = jnp.stack(offsets)[zone] + extent * jnp.where(even, 0.5, u * u)
    depth = jnp.where(from_bottom, thickness[layer] - distance, distance)
    mu = jnp.stack(attenuations)[layer]
    density = mu * jnp.exp(-jnp.stack(above)[layer] - mu * depth)
    return layer, depth, density * extent * jnp.where(even, 1.0, 2.0 * u) / probability[zone]


def _above(limit: Real, thickness: Real, offset: list[Array], extent: list[Array]) -> tuple[list[Array], list[Array]]:
    """The offsets and extents of a layer's zones as far as they lie above ``limit`` um below its top."""
    found = []
    for zone, (first, long) in enumerate(zip(offset, extent, strict=True)):
        if zone < ZONES // 2:
            found.append((first, jnp.clip(limit - first, 0.0, long)))
        elif zone == ZONES // 2:
            found.append((first, jnp.where(first < limit, long, 0.0)))
        else:
            begin = jnp.clip(thickness - limit, first, first + long)
            found.append((begin, first + long - begin))
    begins, extents = zip(*found, strict=True)
    return list(begins), list(extents)


def to_faces(parameters: Parameters, cost: Float[Array, " L"]) -> tuple[list[Real], list[Real]]:
    """Range that the layers above and below each layer use up, L of () each, up to where what counts begins or ends.

    cost: of a um in each layer. Infinite where nothing that counts lies that way.
    """
    above, below, counting = [], [], parameters.counting
    for layers in (slice(0, counting.start), counting, slice(counting.stop, len(cost))):
        if layers.start < layers.stop:
            price, thickness = cost[layers], parameters.thickness[layers]
            above += cumulative(price, thickness)[0]
            below += cumulative_upwards(price, thickness)[0]
    never = jnp.full_like(cost[0], jnp.inf)
    above[: counting.start] = [never] * counting.start
    below[counting.stop :] = [never] * (len(cost) - counting.stop)
    return above, below


def zone_probabilities(
    natural: Float[Array, " Z"], worth: Float[Array, " Z"], above: Float[Array, " L"]
) -> tuple[Array, Array]:
    """Probability (Z,) with which each of the 5 L zones is drawn, and whether it is a zone 3, (Z,) bool.

    A mixture: 1 - SHADED - PLAIN in proportion to ``worth``; SHADED in proportion to worth times the optical depth
    ``above`` the layer; PLAIN in proportion to ``natural``, the probability of a first interaction in the zone; and
    SLICE for every zone 3, but in vacuum.
    """
    score = worth / jnp.sum(worth)
    shaded = score * jnp.repeat(above, ZONES)
    score = (1.0 - SHADED - PLAIN) * score + SHADED * shaded / jnp.maximum(jnp.sum(shaded), TINY)
    score = score + PLAIN * natural / jnp.sum(natural)
    moving = jnp.arange(score.size, dtype=jnp.int32) % ZONES == ZONES // 2
    some = jnp.sum(natural.reshape(-1, ZONES), axis=1) > 0.0
    score = jnp.where(moving, jnp.where(jnp.repeat(some, ZONES), SLICE, 0.0), score)
    return score / jnp.sum(score), moving


def _across(parameters: Parameters, side: Array, reach: Array, shift: Array, u: Array) -> tuple[Array, Array]:
    """A place () um from the centre of a ``side`` () um, and its weight.

    Each half has three zones by the gap g to the side: g < r, within the electrons' ``reach`` r () um, where g = r s^2;
    g < 20 r, within photons' reach; and the rest; g is linear in s, uniform on (0, 1), in the last two. Extents that
    are reaches are fixed, the last one takes what a wider absorber has more. Photons that have come sideways by
    ``shift`` um leave a strip as wide dark, and all zones end at it.
    """
    half = 0.5 * side
    first = _within(parameters, reach, half)
    second = _within(parameters, PHOTONS * reach, half)
    nodes = jnp.stack([jnp.zeros_like(first), first, second, half])
    lower, dark = u < 0.5, jnp.abs(shift)
    faces_light = lower == (shift > 0.0)
    low, high = jnp.where(faces_light, jnp.minimum(dark, half), 0.0), jnp.where(faces_light, half, side - dark)
    if parameters.slants:
        nodes = jnp.clip(nodes, low, jnp.clip(high, 0.0, half))
    extents = nodes[1:] - nodes[:-1]
    plain = parameters.fixed(extents / half)
    drawn = jnp.where(
        plain > 0.0, jnp.array((*SIDE, EDGE if parameters.slants else 0.0), half.dtype) + (1.0 - sum(SIDE)) * plain, 0.0
    )
    drawn = drawn / jnp.maximum(jnp.sum(drawn), TINY)
    v = jnp.abs(2.0 * u - 1.0)
    ends = jnp.cumsum(drawn)
    zone = jnp.minimum(jnp.sum((v >= ends).astype(jnp.int32)), 2)
    chosen = jnp.where(drawn[zone] > 0.0, drawn[zone], 1.0)
    s = jnp.clip((v - ends[zone] + drawn[zone]) / chosen, 0.0, 1.0)
    extent = extents[zone]
    gap = nodes[zone] + extent * jnp.where(zone == 0, s * s, s)
    weight = extent * jnp.where(zone == 0, 2.0 * s, 1.0) / half / chosen
    return jnp.where(lower, -1.0, 1.0) * (half - gap), weight


def _within(parameters: Parameters, reach: Array, half: Array) -> Array:
    """``reach``, which is fixed, or all of ``half``, which moves."""
    return jnp.where(reach < parameters.fixed(half), reach, half)
