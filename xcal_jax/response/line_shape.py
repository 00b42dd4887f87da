"""The spectrum of a narrow line as a detector shows it: expected counts per channel, differentiable.

Full-energy peak and escape peaks stand where the energies say, with expected intensities; what electrons take out is a
continuum between the thresholds. All is folded with a Gaussian; the narrow components may have an exponential tail to
low energies (trapping: a share of the events loses an exponentially distributed part of the heat, as `tail_frac` and
`tail_tau` in the NIST fits).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import log_ndtr, ndtr

from xcal_jax.constants import FWHM_PER_SIGMA


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Components:
    """Per interacting photon. peaks: (K,) and loss_above: (A,) as in `Figures`; energy: () eV of the photon."""

    peaks: Array
    loss_above: Array
    energy: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Detector:
    """fwhm: () eV; tail_frac: () share of events with a loss by trapping; tail_tau: () eV, its mean."""

    fwhm: Array | float
    tail_frac: Array | float
    tail_tau: Array | float


def fold(parts: Components, lines: Array, thresholds: Array, detector: Detector, edges: Array) -> Array:
    """Probability per channel (C,), given an interaction.

    lines: (K,) eV that each peak lost; thresholds: (A,) eV, ascending from 0 to the photon's energy at least;
    edges: (C + 1,) eV of the channels.
    """
    sigma = detector.fwhm / FWHM_PER_SIGMA
    full = 1.0 - parts.loss_above[0]
    places = parts.energy - jnp.append(jnp.zeros_like(lines[:1]), lines)
    narrow = jnp.append(full[None], parts.peaks)
    cumulative = jax.vmap(lambda place: _peak(edges - place, sigma, detector))(places)
    counts = narrow @ jnp.diff(cumulative, axis=1)
    # what no single photon explains, spread evenly between thresholds
    single = jnp.sum(jnp.where(lines[None, :] > thresholds[:, None], parts.peaks[None, :], 0.0), axis=1)
    rest = parts.loss_above - single
    mass = rest - jnp.append(rest[1:], jnp.zeros_like(rest[:1]))
    low = parts.energy - jnp.append(thresholds[1:], jnp.maximum(parts.energy, 2.0 * thresholds[-1])[None])
    high = parts.energy - thresholds
    low = jnp.maximum(low, 0.0)
    width = jnp.maximum(high - low, 1e-9)
    ramp = jax.vmap(lambda a, b: _ramp(edges - a, sigma) - _ramp(edges - b, sigma))(low, high)
    return counts + (mass / width) @ jnp.diff(ramp, axis=1)


def _peak(x: Array, sigma: Array, detector: Detector) -> Array:
    """Cumulative of a Gaussian at 0, a share of it with an exponential tail to the left."""
    t = detector.tail_tau
    inside = x / sigma
    # P(G - Exp(tau) < x) = Phi(x/s) + exp(x/t + s^2/2t^2) Phi(-x/s - s/t)
    tail = ndtr(inside) + jnp.exp(x / t + 0.5 * (sigma / t) ** 2 + log_ndtr(-inside - sigma / t))
    return ndtr(inside) + detector.tail_frac * (tail - ndtr(inside))


def _ramp(x: Array, sigma: Array) -> Array:
    """Integral of the cumulative Gaussian, () eV: x Phi(x/s) + s phi(x/s)."""
    z = x / sigma
    return x * ndtr(z) + sigma * jnp.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
