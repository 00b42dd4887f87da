"""Bound Compton scattering as in the paper (section 2.2) and, which the paper leaves out, Rayleigh scattering.

Compton: Klein-Nishina x incoherent scattering function S(x, Z), with x = sin(theta/2) E / hc; the total is integrated
over the solid angle. The energy E - E' stays where the photon is scattered, and the vacancy is neglected; `impulse`
has another model.
Rayleigh: Thomson x squared form factor F(x, Z); the photon keeps its energy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import numpy as np
from jaxtyping import Float

from xcal_jax.atomic import Element
from xcal_jax.compute.shapes import Numbers, Real, Whole
from xcal_jax.constants import CLASSICAL_ELECTRON_RADIUS_SQUARED, ELECTRON_REST_ENERGY, HC


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class WallerHartree:
    """The Compton model "waller-hartree", the paper's: the electron stays where it is and leaves no vacancy."""

    counters: ClassVar[int] = 1  # of the random numbers of a collision: two for the angles
    ionises: ClassVar[bool] = False

    @classmethod
    def build(cls, elements: tuple[Element, ...]) -> "WallerHartree":
        """The model for any ``elements``."""
        return cls()

    @staticmethod
    def densities(element: Element) -> list[Callable[[np.ndarray, np.ndarray], np.ndarray]]:
        """Angular densities in barn/atom, one for each channel of ``element``: it has one."""
        return [partial(compton_density, element)]

    def scattered_energy(self, subshell: Whole, energy: Real, cosine: Real) -> Real:
        """Energy in eV of a photon of ``energy`` eV after its scattering, whatever the ``subshell``."""
        return compton_energy(energy, cosine)


def compton_energy(energy: Numbers, cosine: Numbers) -> Numbers:
    """Energy E' in eV of a photon of ``energy`` eV after Compton scattering by the angle of ``cosine``."""
    return energy / (1.0 + energy / ELECTRON_REST_ENERGY * (1.0 - cosine))


def compton_density(element: Element, energy: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Compton d sigma / d cos in barn/atom, at ``energy`` eV: Klein-Nishina x S(x, Z)."""
    s = _along(momentum_transfer(energy, cosine), element.scattering_x, element.scattering_function)
    return klein_nishina(energy, cosine) * s


def klein_nishina(energy: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Compton d sigma / d cos of a free electron at rest in barn, at ``energy`` eV."""
    ratio = 1.0 / (1.0 + energy / ELECTRON_REST_ENERGY * (1.0 - cosine))
    shape = ratio**2 * (ratio + 1.0 / ratio - 1.0 + cosine**2)
    return np.pi * CLASSICAL_ELECTRON_RADIUS_SQUARED * shape


def rayleigh_density(element: Element, energy: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Rayleigh d sigma / d cos in barn/atom, at ``energy`` eV: Thomson x F(x, Z)^2."""
    f = _along(momentum_transfer(energy, cosine), element.form_x, element.form_factor)
    return np.pi * CLASSICAL_ELECTRON_RADIUS_SQUARED * (1.0 + cosine**2) * f**2


def cross_section(
    density: Callable[[np.ndarray, np.ndarray], np.ndarray], energy: Float[np.ndarray, " E"]
) -> Float[np.ndarray, " E"]:
    """Cross section in barn at ``energy`` eV: an angular ``density`` integrated over the cosine (Gauss-Legendre)."""
    node, weight = np.polynomial.legendre.leggauss(64)
    return density(np.asarray(energy)[:, None], node) @ weight


def momentum_transfer(energy: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Momentum transfer x = sin(theta/2) / wavelength in 1/Angstrom, at ``energy`` eV."""
    return energy / HC * np.sqrt(np.maximum(0.5 * (1.0 - cosine), 0.0))


def _along(x: np.ndarray, grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A tabulated function at ``x``, interpolated log-log; below its grid extrapolated from its first two points."""
    log_x, log_grid, log_values = np.log(np.maximum(x, 1e-12)), np.log(grid), np.log(values)
    slope = (log_values[1] - log_values[0]) / (log_grid[1] - log_grid[0])
    below = np.minimum(log_x - log_grid[0], 0.0)
    return np.exp(np.interp(log_x, log_grid, log_values) + slope * below)
