"""The rows of a matrix as they are stored: groups of neighbouring channels, all channels or a sample of them.

A fine matrix is large because of its loss continuum, which is smooth and small: 1e-7 in most channels. `Thinning`
stores it as a systematic sample. The channels of a row stand in blocks, as wide as the resolution. Blocks that hold
more than a mass m, and those on the flank of a peak, are stored as they are. Of the others, which hold M together, some
hold m' = M / n each, where n is M / m rounded: those in which the cumulative mass passes a whole number of m', counted
from a phase that moves on by the golden ratio from row to row. So a row keeps its sum, and the mean over neighbouring
rows is the continuum in every channel; but of a line that is narrower than a few rows, the far continuum stands in some
channels only.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)
UNEVEN = 1.5  # times the mean of its channels: with more in one of them, a block is on the flank of a peak
NEAR = 2  # channels between two groups, which then become one: another group would take as much room


@dataclass(frozen=True)
class Row:
    """One row of the matrix: ``size`` (G,) channels from channel ``first`` (G,), from 0, in each of its groups, int32.

    values: (V,) float32, of all groups one after another. contained: the fraction of all photons of the row that falls
    into channels.
    """

    first: np.ndarray
    size: np.ndarray
    values: np.ndarray
    contained: float

    @classmethod
    def build(cls, values: Float[np.ndarray, " C"], stored: Bool[np.ndarray, " C"], contained: float) -> "Row":
        """The row of ``values`` by channel, with those ``stored`` and the few between neighbouring groups of them."""
        at = np.flatnonzero(stored)
        if not at.size:
            return cls(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), contained)
        breaks = np.flatnonzero(np.diff(at) > NEAR + 1)
        first, last = at[np.append(0, breaks + 1)], at[np.append(breaks, at.size - 1)]
        inside = np.zeros(values.size + 1, int)
        inside[first], inside[last + 1] = 1, -1
        kept = values[np.cumsum(inside[:-1]) > 0].astype(np.float32)
        return cls(first.astype(np.int32), (last + 1 - first).astype(np.int32), kept, contained)

    def by_channel(self, count: int) -> Float[np.ndarray, " C"]:
        """The row in all of ``count`` channels."""
        values = np.zeros(count)
        values[self.channels] = self.values
        return values

    @property
    def channels(self) -> np.ndarray:
        """The channels (V,) of its values, from 0."""
        start = np.repeat(self.first - np.cumsum(self.size) + self.size, self.size)
        return start + np.arange(self.values.size)


Store = Callable[[int, np.ndarray, float], Row]


def whole(number: int, values: Float[np.ndarray, " C"], contained: float) -> Row:
    """The row of ``values`` by channel as one group, from its first channel to its last."""
    there = np.flatnonzero(values > 0.0)
    stored = np.zeros(values.size, bool)
    stored[there[0] : there[-1] + 1] = True
    return Row.build(values, stored, contained)


@dataclass(frozen=True)
class Above:
    """Stores the channels with more than ``least``, scaled so that their sum is that of all."""

    least: float

    def __call__(self, number: int, values: Float[np.ndarray, " C"], contained: float) -> Row:
        """The row of ``values`` by channel."""
        stored = values > self.least
        scale = values.sum() / values[stored].sum() if stored.any() else 1.0
        return Row.build(np.where(stored, scale * values, 0.0), stored, contained)


@dataclass(frozen=True)
class Thinning:
    """Stores blocks of ``block`` channels with more than ``mass``, and a systematic sample of the others."""

    block: int
    mass: float

    def __call__(self, number: int, values: Float[np.ndarray, " C"], contained: float) -> Row:
        """The row of that ``number``, of ``values`` by channel."""
        starts = np.arange(0, values.size, self.block)
        held = np.add.reduceat(values, starts)
        even = np.maximum.reduceat(values, starts) * self.block <= UNEVEN * held
        small = np.where(even & (held < self.mass), held, 0.0)
        total = small.sum()
        scale = np.ones(held.size)
        if total > 0.0:
            each = total / max(1, round(total / self.mass))
            passed = np.floor(np.cumsum(small) / each + number * GOLDEN % 1.0 + 1e-9)
            chosen = np.diff(passed, prepend=0.0) > 0.0
            scale[small > 0.0] = 0.0
            scale[chosen] = each / held[chosen]
        kept = values * np.repeat(scale, np.diff(np.append(starts, values.size)))
        return Row.build(kept, kept > 0.0, contained)
