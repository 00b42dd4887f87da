"""Compton scattering on electrons that move: the impulse approximation, subshell by subshell.

An electron of subshell i is free but for its momentum. Its component p along the transfer of momentum (m c) has the
one-electron Compton profile J_i. It is hit only where it takes over more than its binding energy U, which is where p is
below p_max. With the Compton line E_C at the photon's angle and the occupancy f_i,

    d sigma_i / d cos dp = pi r_e^2 (E_C/E)^2 (E_C/E + E/E_C - sin^2) f_i J_i(p) (1 + a p),    p < p_max.

The profiles are J(p) = J(0) (1 + d) exp(1/2 - (1 + d)^2 / 2), d = 2 J(0) |p|, with the J(0) of Biggs, Mendelsohn and
Mann 1975. The factor 1 + a p, of the flux that a moving electron sees, is held beyond |p| = 0.2; over a whole profile
it averages to 1, and as in PENELOPE, whose model this is, it shapes the momenta but not the cross section of a subshell
at an angle, which is closed. A channel of the attenuation is a subshell: it is drawn first, then the angle, then the
momentum. The photon's energy follows from that, the vacancy relaxes, and the electron recoils along the transfer of
momentum with E - E' - U.

Source: D. Brusa, G. Stutz, J.A. Riveros, J.M. Fernandez-Varea, F. Salvat, Nucl. Instrum. Methods A 379, 167 (1996),
and PENELOPE-2018, NEA/MBDAV/R(2019)1, section 2.3. Left out: polarisation, the electron's momentum across the
transfer, and solids, whose conduction electrons have the profiles of free atoms here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.atomic import Element
from xcal_jax.atomic.element import Subshell
from xcal_jax.compute.shapes import Numbers, Real, Whole
from xcal_jax.constants import ELECTRON_REST_ENERGY as REST
from xcal_jax.constants import FINE_STRUCTURE
from xcal_jax.physics.photon_scattering import compton_energy, klein_nishina

LINEAR = 0.2  # m c; the factor 1 + a p holds up to this momentum, and stays there
ITERATIONS = 3  # of Newton's method
SMALL = 1e-30
LEAST_TRANSFER = 1e-6  # eV/c
SQRT_HALF = 0.5**0.5
HALF_ROOT = 0.5 * float(np.exp(0.5) * np.sqrt(0.5 * np.pi))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Impulse:
    """The Compton model "impulse". binding: (S,) eV; width: (S,) m c, 1 / (2 J(0)) of each subshell's profile."""

    binding: Array
    width: Array
    counters: ClassVar[int] = 2  # of the random numbers of a collision: two for the angles, two for the momentum
    ionises: ClassVar[bool] = True

    @classmethod
    def build(cls, elements: tuple[Element, ...]) -> "Impulse":
        """The model for the subshells of ``elements`` in a row."""
        subshells = [subshell for element in elements for subshell in element.subshells]
        return cls(
            jnp.asarray(np.array([subshell.binding for subshell in subshells])),
            jnp.asarray(np.array([profile_width(subshell) for subshell in subshells])),
        )

    @staticmethod
    def densities(element: Element) -> list[Callable[[np.ndarray, np.ndarray], np.ndarray]]:
        """Angular densities in barn/atom, one for each channel of ``element``: its subshells."""
        return [partial(impulse_density, subshell) for subshell in element.subshells]

    def scattered_energy(self, subshell: Whole, energy: Real, cosine: Real, u_momentum: Real, u_sign: Real) -> Real:
        """Energy in eV of a photon of ``energy`` eV scattered by an electron of ``subshell``; u_*: uniform numbers."""
        binding = self.binding[subshell]
        most = largest_momentum(energy, cosine, binding)
        momentum = sample_momentum(self.width[subshell], flux_slope(energy, cosine), most, u_momentum, u_sign)
        return jnp.clip(doppler_energy(energy, cosine, momentum), 0.0, jnp.maximum(energy - binding, 0.0))


def profile_width(subshell: Subshell) -> float:
    """1 / (2 J(0)) of an electron's profile, in m c."""
    return FINE_STRUCTURE / (2.0 * subshell.compton_profile)


def impulse_density(subshell: Subshell, energy: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Compton d sigma / d cos of a ``subshell`` in barn/atom, at ``energy`` eV; 0 below its edge."""
    most = largest_momentum(energy, cosine, subshell.binding)
    beyond = share_beyond(profile_width(subshell), np.abs(most))
    share = np.where(most > 0.0, 1.0 - beyond, beyond)
    return np.where(energy > subshell.binding, klein_nishina(energy, cosine) * subshell.occupancy * share, 0.0)


def sample_momentum(width: Real, slope: Real, most: Real, u_momentum: Real, u_sign: Real) -> Real:
    """Momentum in m c below ``most``, for two uniform numbers.

    width: of the profile; slope: a of the factor 1 + a p. Momenta of either sign up to ``most`` are as frequent as the
    profile says, for a p cancels; more negative ones are found by Newton's method, which converges from one side.
    """
    size = jnp.abs(most)
    tail, outer = share_beyond(width, size), weight_beyond(width, slope, size)
    inner = jnp.where(most > 0.0, 1.0 - 2.0 * tail, 0.0)
    v = u_momentum * (inner + outer)

    near = size_beyond(width, 0.5 - (v - outer) / jnp.maximum(inner, SMALL) * (0.5 - tail))
    forwards = u_sign < 0.5 + 0.5 * slope * jnp.minimum(near, LINEAR)
    far = size_beyond(width, v / jnp.maximum(outer, SMALL) * tail)
    for _ in range(ITERATIONS):
        left = jnp.maximum(weight_beyond(width, slope, far), SMALL)
        density = profile(width, far) * (1.0 - slope * jnp.minimum(far, LINEAR))
        far = jnp.maximum(far + left * jnp.log(left / jnp.maximum(v, SMALL)) / jnp.maximum(density, SMALL), size)
    return jnp.where(v < outer, -far, jnp.where(forwards, near, -near))


def largest_momentum(energy: Numbers, cosine: Numbers, binding: Numbers | float) -> Numbers:
    """p_max in m c: of an electron that takes over no more than ``binding`` eV."""
    xp = jnp if isinstance(energy, Array) else np
    moved = energy * xp.maximum(energy - binding, 0.0) * (1.0 - cosine)
    return (moved - REST * binding) / (REST * xp.sqrt(2.0 * moved + binding * binding))


def profile(width: Numbers | float, size: Numbers) -> Numbers:
    """J of one electron at the momentum ``size`` >= 0 (m c), 1 / (m c)."""
    xp = jnp if isinstance(size, Array) else np
    d = size / width
    return (0.5 / width) * (1.0 + d) * xp.exp(-d * (1.0 + 0.5 * d))


def share_beyond(width: Numbers | float, size: Numbers) -> Numbers:
    """The integral of J from ``size`` (m c) on: the share of the electrons."""
    xp = jnp if isinstance(size, Array) else np
    d = size / width
    return 0.5 * xp.exp(-d * (1.0 + 0.5 * d))


def size_beyond(width: Real, share: Real) -> Real:
    """The momentum in m c beyond which a ``share`` of the electrons is: the inverse of `share_beyond`."""
    return width * (jnp.sqrt(1.0 - 2.0 * jnp.log(jnp.clip(2.0 * share, SMALL, 1.0))) - 1.0)


def weight_beyond(width: Numbers | float, slope: Numbers, size: Numbers) -> Numbers:
    """The integral of J(p) (1 + a p), p from minus infinity to minus ``size`` (m c); slope: a."""
    xp = jnp if isinstance(size, Array) else np
    inside = _moment_beyond(width, xp.minimum(size, LINEAR)) - _moment_beyond(width, LINEAR + xp.zeros_like(size))
    outside = LINEAR * share_beyond(width, xp.maximum(size, LINEAR))
    return share_beyond(width, size) - slope * (inside + outside)


def _moment_beyond(width: Numbers | float, size: Numbers) -> Numbers:
    """The integral of p J(p) from ``size`` (m c) on."""
    from scipy import special  # takes a tenth of a second to import; tables are mostly `kept`

    erfc = jax.scipy.special.erfc if isinstance(size, Array) else special.erfc
    t = 1.0 + size / width
    return width * ((t - 1.0) * share_beyond(width, size) + HALF_ROOT * erfc(t * SQRT_HALF))


def flux_slope(energy: Numbers, cosine: Numbers) -> Numbers:
    """a of the factor 1 + a p, with p in m c (Brusa et al. 1996, Eq. 16)."""
    xp = jnp if isinstance(energy, Array) else np
    line = compton_energy(energy, cosine)
    transfer = xp.sqrt((energy - line) ** 2 + 2.0 * energy * line * (1.0 - cosine))
    moved = xp.maximum(transfer, LEAST_TRANSFER)
    return (transfer + line * ((line - energy * cosine) / moved)) / energy


def doppler_energy(energy: Real, cosine: Real, momentum: Real) -> Real:
    """Energy in eV of a photon of ``energy`` eV scattered by an electron of ``momentum`` m c along the transfer."""
    ratio = compton_energy(energy, cosine) / energy
    tilted = (1.0 - ratio) ** 2 + 2.0 * ratio * (1.0 - cosine) - (momentum * ratio) ** 2 * (1.0 - cosine**2)
    root = momentum * jnp.sqrt(jnp.maximum(tilted, 0.0))
    squared = momentum * momentum
    return energy * ratio * (1.0 - squared * ratio * cosine + root) / (1.0 - squared * ratio * ratio)


def recoil_cosine(energy: Real, after: Real, cosine: Real) -> Real:
    """Cosine of the recoil of an electron along the transfer of momentum, against the photon's direction.

    energy, after: eV, of the photon before and after; cosine: of its deflection.
    """
    transfer = jnp.sqrt((energy - after) ** 2 + 2.0 * energy * after * (1.0 - cosine))
    return jnp.clip((energy - after * cosine) / jnp.maximum(transfer, LEAST_TRANSFER), -1.0, 1.0)
