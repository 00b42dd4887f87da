"""Polar angles sampled by inverting a table of quantiles: no rejection, for any law that is smooth in energy.

Quantiles are stored against v, where u = v^2 (3 - 2 v) is the uniform number. Where a density vanishes like sin^2, its
quantiles are square roots of u; since u is flat in v at both ends, they are smooth in v, and linear interpolation is
accurate (and exact for the sin^2 law of a non-relativistic photoelectron, cos = 2 v - 1).

The densities themselves are formulas, normalised or as cross sections: `photoelectric.sauter_density`,
`photon_scattering.compton_density` and `rayleigh_density`. A density read from the quantiles would be constant between
them, and so would have no derivative.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.compute.shapes import Real, Whole
from xcal_jax.constants import ENERGY_RANGE

ENERGIES = 121
QUANTILES = 129
STEPS = 2049  # of the grid on which a law is integrated


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AngularLaws:
    """Tables of angular laws. cosine: (laws, energies, v), quantiles; the energies are log-spaced over ENERGY_RANGE."""

    cosine: Array

    @classmethod
    def build(cls, *densities: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> "AngularLaws":
        """One law for each density: ``density(energy (E, 1) eV, cosine (C,))`` -> (E, C), in any units.

        Where a density is 0 at all angles, cosines are uniform.
        """
        energy = np.geomspace(*ENERGY_RANGE, ENERGIES)
        t = np.linspace(1.0, 0.0, STEPS)
        cosine = 1.0 - 2.0 * t**3 * (10.0 - 15.0 * t + 6.0 * t**2)  # dense at both ends
        return cls(
            jnp.asarray(np.stack([_quantiles(density(energy[:, None], cosine), cosine) for density in densities]))
        )

    def sample_cosine(self, law: Whole, energy: Real, u: Real) -> Real:
        """The cosine by ``law`` at ``energy`` eV for the uniform number ``u``."""
        _, rows, columns = self.cosine.shape
        low, high = np.log(ENERGY_RANGE)
        row, a = _place((jnp.log(energy) - low) * ((rows - 1) / (high - low)), rows)
        v = 0.5 - jnp.sin(jnp.arcsin(1.0 - 2.0 * u) / 3.0)
        column, b = _place(v * (columns - 1), columns)
        at = (law * rows + row) * columns + column
        table = self.cosine.reshape(-1)
        low = (1.0 - b) * table[at] + b * table[at + 1]
        high = (1.0 - b) * table[at + columns] + b * table[at + columns + 1]
        return (1.0 - a) * low + a * high


def _quantiles(density: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Quantiles (E, v) of densities (E, C) at ``cosine`` (C,)."""
    density = np.where(density.any(axis=1, keepdims=True), density, 1.0)
    steps = 0.5 * (density[:, 1:] + density[:, :-1]) * np.diff(cosine)
    cumulative = np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0)))
    v = np.linspace(0.0, 1.0, QUANTILES)
    u = v * v * (3.0 - 2.0 * v)
    return np.stack([np.interp(u * row[-1], row, cosine) for row in cumulative])


def _place(position: Array, points: int) -> tuple[Array, Array]:
    """The grid interval that holds ``position``, and the fraction of the interval before it; clamped to the grid."""
    position = jnp.clip(position, 0.0, points - 1)
    index = jnp.minimum(position.astype(jnp.int32), points - 2)
    return index, position - index.astype(position.dtype)
