"""The probability that a straight electron from a dead layer enters the layers that count, and what it leaves there.

It enters if its track reaches their near face before a side and before its end. With C the scaled range that lies
between its start and that face along the normal, h the distance in um, b the range of the electron, and c the cosine of
its direction to the normal,

    P = 1/2 integral from C / b to 1 of (1 - A(r(c)) / (2 pi)) dc,    r(c) = h sqrt(1 - c^2) / c

where A(r) is the sum of the arcs in which a point at the horizontal distance r lies beyond a side (`escape`). A cosine
is drawn, and the integral over the azimuth is exact, so that P is continuous in every parameter.

What the electron leaves in the layers that count, g, is known along a direction that is drawn. It has derivatives, but
whether it exceeds a threshold has none: `score.exceeds` has that of its mean over a band about the threshold.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xcal_jax.compute.shapes import Real
from xcal_jax.expected.escape import gaps, half_arcs, pick, sauter, towards
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.score import BAND, TINY, Levels, exceeds
from xcal_jax.expected.state import Emission
from xcal_jax.physics.electrons import straight as electron
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.layers import cumulative, extents
from xcal_jax.physics.path_lengths import segments


class Entry(NamedTuple):
    """An electron of ``energy`` () eV that enters: probability (), exact in the azimuth; weight () and gain () eV along
    one direction.
    """

    energy: Array
    probability: Array
    weight: Array
    gain: Array

    def losses(self, parameters: Parameters, levels: Levels) -> tuple[Levels, Real, Real]:
        """(probability that it enters and loses more than each of ``levels``, mean eV and mean square eV2 of the loss).

        The loss is less than 0: what it brings, which is never more than its energy.
        """
        above = self.weight * exceeds(parameters, -self.gain, levels, BAND * jnp.abs(levels))
        always = levels < -self.energy
        mean, square = -self.weight * self.gain, self.weight * self.gain**2
        return jnp.where(always, self.probability, above), mean, square


def enter(parameters: Parameters, cost: Float[Array, " L"], emission: Emission, u: Float[Array, "2"]) -> Entry:
    """The entry of an electron that starts in a dead layer; cost: scaled range that a um uses up; u: of a direction."""
    site, counting = emission.site, parameters.counting
    falls = site.layer < counting.start
    up, down = extents(parameters.thickness, site.layer, site.depth)
    above, below = slice(0, counting.start), slice(counting.stop, len(up))
    one = jnp.ones_like(cost)  # of a um, its height
    height, between = (jnp.where(falls, spent(a, down, above), spent(a, up, below)) for a in (one, cost))
    least = jnp.minimum(between / reach_of(parameters, emission.energy), 1.0)
    cosine = least + (1.0 - least) * u[0]
    reach = height * jnp.sqrt((1.0 - cosine) * (1.0 + cosine)) / cosine
    fraction, weight, x, y = within(parameters, site, reach, u[1])
    direction = towards(jnp.where(falls, -cosine, cosine), x, y)
    factor, half = sauter(emission, direction), 0.5 * (1.0 - least)
    return Entry(
        emission.energy,
        half * (fraction + weight * (factor - 1.0)),
        half * weight * factor,
        energy_brought(parameters, cost, site, direction, emission.energy),
    )


def reach_of(parameters: Parameters, energy: Real) -> Real:
    """The scaled range after which an electron of ``energy`` eV is stopped."""
    whole = electron.scaled_range(energy) - electron.scaled_range(jnp.full_like(energy, electron.LEAST_ENERGY))
    return jnp.maximum(parameters.range_scale * whole, TINY)


def energy_brought(
    parameters: Parameters, cost: Float[Array, " L"], site: Site, direction: Direction, energy: Real
) -> Real:
    """Energy in eV that an electron of ``energy`` eV leaves where it counts, along ``direction`` from a dead layer."""
    counting = parameters.counting
    _, length = segments(parameters.stack, site, direction)
    before = jnp.where(
        site.layer < counting.start,
        spent(cost, length, slice(0, counting.start)),
        spent(cost, length, slice(counting.stop, len(length))),
    )
    after = before + spent(cost, length, counting)
    left = [electron.scaled_range(energy) - used / parameters.range_scale for used in (before, after)]
    return electron.energy_of_range(left[0]) - electron.energy_of_range(left[1])


def spent(cost: Float[Array, " L"], extent: list[Array], layers: slice) -> Real:
    """Scaled range that the ``extent`` in um of some ``layers`` uses up."""
    if layers.start == layers.stop:
        return jnp.zeros_like(extent[0])
    return cumulative(cost[layers], extent[layers])[1]


def within(parameters: Parameters, site: Site, reach: Real, u: Real) -> tuple[Real, Real, Real, Real]:
    """(fraction, weight, cos, sin): azimuths in which a point at the horizontal distance ``reach`` um is within all
    sides; as `escape.arcs`.
    """
    to_x, to_y = (half_arcs(gap, reach) for gap in gaps(parameters, site))
    right = 0.5 * jnp.pi
    length = jnp.stack([jnp.maximum(right - a - b, 0.0) for a in to_x for b in to_y])
    chosen, place, weight = pick(parameters, length, u)
    angle = jnp.stack(to_x)[chosen // 2] + length[chosen] * place
    x = jnp.where(chosen < 2, 1.0, -1.0) * jnp.cos(angle)
    y = jnp.where(chosen % 2 == 0, 1.0, -1.0) * jnp.sin(angle)
    return jnp.sum(length) / (2.0 * jnp.pi), weight / (2.0 * jnp.pi), x, y
