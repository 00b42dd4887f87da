"""The random numbers of a history: which belongs to what, and where they come from.

A point of the low-discrepancy sequence has `DIMENSIONS` numbers: `SITE_NUMBERS` for the first interaction (its zone,
the place within that, x and y), then a block of 2 `PAIRS` for each of the first flights and the first transitions.
Later steps take their blocks from the counter-based generator (`compute.random`), whose draws count up from 0; the
tracks of scattering electrons take theirs from keys of their own, at draws that count down from the last
(`track_key`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xcal_jax.compute.random import COUNTERS, Key, uniforms
from xcal_jax.compute.shapes import Word
from xcal_jax.expected.state import History

SITE_NUMBERS = 4
PAIRS = 8  # of random numbers a step
GOOD_FLIGHTS, GOOD_TRANSITIONS = 2, 2  # whose numbers come from the low-discrepancy sequence
DIMENSIONS = SITE_NUMBERS + 2 * PAIRS * (GOOD_FLIGHTS + GOOD_TRANSITIONS)
Point = Float[Array, " D"]  # of the low-discrepancy sequence, D = DIMENSIONS
Points = Float[Array, "n D"]


class StepNumbers(NamedTuple):
    """The numbers of one step, uniform on (0, 1), by their use.

    transition: () of the vacancy that relaxes; hit: (2,) row of the energy table and channel of what a photon hits;
    deflection: (2,) polar angle and azimuth of a scattered photon; direction: (2,) of fluorescence; flight: (2,) layer
    where a photon is absorbed and the depth there; end: () the end of a flight that is followed, where one is drawn;
    escape: (4,) directions of a straight electron's three ways out; electron: (2,) the direction in which it is drawn.
    """

    transition: Array
    hit: Array
    deflection: Array
    direction: Array
    flight: Array
    end: Array
    escape: Array
    electron: Array

    @classmethod
    def of(cls, u: Float[Array, " block"]) -> "StepNumbers":
        """The uses of a block of 2 PAIRS numbers; the last is spare.

        A step either relaxes the ion or lets a photon hit something: `transition` and `hit` share a number.
        """
        return cls(
            transition=u[0],
            hit=u[0:2],
            deflection=u[2:4],
            direction=u[4:6],
            flight=u[6:8],
            end=u[8],
            escape=u[9:13],
            electron=u[13:15],
        )


def step_numbers(key: Key, point: Point, history: History) -> StepNumbers:
    """The numbers of the next step of ``history``, which has a ``point`` of the low-discrepancy sequence."""
    transitions = history.steps - history.flights
    relaxes = history.relaxes
    n = jnp.where(relaxes, transitions, history.flights)
    good = n < jnp.where(relaxes, jnp.uint32(GOOD_TRANSITIONS), jnp.uint32(GOOD_FLIGHTS))
    block = jnp.where(good, n, 0).astype(jnp.int32) + jnp.where(relaxes, GOOD_FLIGHTS, 0)
    drawn = [u for k in range(PAIRS) for u in uniforms(key, PAIRS * history.steps + k)]
    chosen = jax.lax.dynamic_slice(point, (SITE_NUMBERS + 2 * PAIRS * block,), (2 * PAIRS,))
    return StepNumbers.of(jnp.where(good, chosen, jnp.stack(drawn)))


def incident_numbers(point: Point) -> Float[Array, "2"]:
    """The numbers of the direction in which a photon comes in: those of its first flight, which draws no other."""
    return StepNumbers.of(point[SITE_NUMBERS : SITE_NUMBERS + 2 * PAIRS]).direction


def track_key(key: Key, steps: Word) -> Key:
    """The key of the electron that waits after so many ``steps`` of the history with ``key``."""
    return key.child(COUNTERS - 1 - steps)
