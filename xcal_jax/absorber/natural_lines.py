"""Natural lines as energy bins in the angle phi, with energy = centre + fwhm / 2 tan(phi).

A Lorentzian is uniform in phi, so that a uniform number becomes an energy in closed form: its distribution function is
inverted. The probability of an interaction varies along the wings, and jumps at edges. The angle is therefore cut at
`NODES` and at all rows of the attenuation table, between which the weighted density is linear, as that of a spectrum.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.atomic import ENERGY_LIMITS
from xcal_jax.atomic.lines import LineShape
from xcal_jax.compute.shapes import Real, Whole

CUT = 100.0  # FWHM from its centre where a Lorentzian ends; 0.32 % of it would lie beyond
STEPS = np.geomspace(0.1, 2.0 * CUT, 20)
NODES = np.arctan(np.concatenate([-STEPS[-2::-1], [0.0], STEPS[:-1]]))  # rad; finest in energy at the centre
Values = Float[np.ndarray, " K"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Lorentzians:
    """K bins in phi, the parts of natural lines.

    centre, half_width: (K,) eV; line: (K,) int32, the line of the source that a bin belongs to.
    """

    centre: Array
    half_width: Array
    line: Array

    def energy(self, phi: Real, k: Whole) -> Real:
        """Energy in eV at the angle ``phi`` of bin ``k``."""
        return self.centre[k] + self.half_width[k] * jnp.tan(phi)


class NaturalBins(NamedTuple):
    """Bins of the angle and their Lorentzians: all (K,); low, high: rad; at_low, at_high: density in them."""

    low: Values
    high: Values
    at_low: Values
    at_high: Values
    weight: Values
    lorentzians: Lorentzians


def natural_bins(lines: Sequence[tuple[LineShape, float]]) -> NaturalBins:
    """One bin for each Lorentzian of the ``lines`` with their weights, cut at `CUT` and where the tables end."""
    parts = [(shape, weight, n) for n, (shape, weight) in enumerate(lines)]
    centre = np.concatenate([shape.energy for shape, _, _ in parts])
    half = 0.5 * np.concatenate([shape.fwhm for shape, _, _ in parts])
    weight = np.concatenate([weight * shape.share for shape, weight, _ in parts])
    line = np.concatenate([np.full(shape.energy.size, n, np.int32) for shape, _, n in parts])
    low, high = (np.arctan((end - centre) / np.maximum(half, 1e-9)) for end in ENERGY_LIMITS)
    widest = np.arctan(2.0 * CUT)
    low, high = np.maximum(low, -widest), np.minimum(high, widest)
    density = weight / (high - low)
    columns: Any = (centre, half, line)
    return NaturalBins(low, high, density, density, weight, Lorentzians(*columns))


def weighted_bins(
    bins: NaturalBins, energy: Values, at_energy: Values, probability: Callable[[np.ndarray], np.ndarray]
) -> NaturalBins:
    """The ``bins`` cut into smaller ones, their density times the ``probability``.

    energy, at_energy: rows of a table of it, where two at one energy are an edge.
    """
    parts, kept = [], []
    found = bins.lorentzians
    for k, (centre, half) in enumerate(zip(found.centre, found.half_width, strict=True)):
        low, high = bins.low[k], bins.high[k]
        nodes = np.array([low, *NODES[(half > 0.0) & (NODES > low) & (NODES < high)], high])
        place = np.arctan((energy - centre) / half) if half > 0.0 else np.zeros(0)
        rows = np.flatnonzero((place > low) & (place < high))
        angle = np.concatenate([nodes, place[rows]])
        order = np.argsort(angle, kind="stable")
        values = np.concatenate([probability(centre + half * np.tan(nodes)), at_energy[rows]])[order]
        parts.append((angle[order], bins.at_low[k] * values))
        kept.append(np.full(angle.size - 1, k))
    low = np.concatenate([angle[:-1] for angle, _ in parts])
    high = np.concatenate([angle[1:] for angle, _ in parts])
    at_low = np.concatenate([density[:-1] for _, density in parts])
    at_high = np.concatenate([density[1:] for _, density in parts])
    own = np.concatenate(kept)
    columns: Any = [np.asarray(column)[own] for column in (found.centre, found.half_width, found.line)]
    lorentzians = Lorentzians(*columns)
    return NaturalBins(low, high, at_low, at_high, 0.5 * (at_low + at_high) * (high - low), lorentzians)
