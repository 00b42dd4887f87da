"""The shape of a line as a detector with a Gaussian resolution and trapped heat shows it.

A deposit at 0 is seen at G - T: G is normal with standard deviation s, T is 0 or, for a fraction of the events,
exponential with mean t (`Trapping`). With the normal distribution Phi, its density phi and z = x / s,

    P(G < x) = Phi(z)                   and its integral up to x is x Phi(z) + s phi(z) = I(x)
    P(G - T < x) = Phi(z) + exp(x / t + s^2 / 2 t^2) Phi(-z - s / t) = F(x)
                                        and its integral up to x is I(x) + t F(x)

The matrix integrates peaks over the energies of a row, on NumPy arrays; line fits differentiate, on JAX arrays. The
functions of x take either and stay in its library. A whole line is its full-energy peak, its escape peaks, and the
continuum of what electrons take out, which has no trapping.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special
import numpy as np
import scipy.special
from jax import Array
from jaxtyping import Float

from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.io.arguments import checked
from xcal_jax.simulation.trapping import Trapping
from xcal_jax.units import parse_quantity

Numbers = Array | np.ndarray | float
NARROWEST = 1e-9  # eV, of a part of the continuum


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Components:
    """Per interacting photon. peaks: (K,) and loss_above: (A,) as in `Observables`; energy: () eV of the photon."""

    peaks: Array
    loss_above: Array
    energy: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Detector:
    """What a detector does to a line: a Gaussian resolution, ``fwhm`` () eV, and the tail of trapped heat."""

    fwhm: Array | float
    trapping: Trapping

    @classmethod
    @checked
    def build(cls, fwhm: float, trapping: Trapping) -> "Detector":
        """A detector of numbers that make sense.

        Raises ValueError unless the ``fwhm`` and the scale of the trapping are positive and its fraction is one.
        """
        parse_quantity(trapping.fraction, "", "trapping.fraction", least=0.0, most=1.0)
        parse_quantity(trapping.scale, "eV", "trapping.scale", above=0.0)
        return cls(parse_quantity(fwhm, "eV", "fwhm", above=0.0), trapping)

    @property
    def numbers(self) -> dict[str, Array | float]:
        """Its numbers by the names that a fit calls them: `fwhm`, `tail_frac` and `tail_tau`, as in the NIST fits."""
        return {"fwhm": self.fwhm, "tail_frac": self.trapping.fraction, "tail_tau": self.trapping.scale}

    def changed(self, numbers: dict[str, Array]) -> "Detector":
        """The same detector with some of its ``numbers`` changed."""
        fwhm, fraction, scale = (self.numbers | numbers).values()
        return Detector(fwhm, Trapping(fraction, scale))


def gaussian_integral(x: Any, sigma: Numbers) -> Any:
    """I(x), in eV: the integral up to ``x`` of the probability that an event without trapping is seen below it."""
    numbers, special = _library(x)
    z = x / sigma
    return x * special.ndtr(z) + sigma * numbers.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def trapped_below(x: Any, sigma: Numbers, scale: Numbers) -> Any:
    """F(x): the probability that a trapped event is seen below ``x``; sigma, scale: eV, as ``x``."""
    numbers, special = _library(x)
    z = x / sigma
    late = x / scale + 0.5 * (sigma / scale) ** 2 + special.log_ndtr(-z - sigma / scale)
    return special.ndtr(z) + numbers.exp(numbers.minimum(late, 0.0))


def below(x: Any, sigma: Numbers, trapping: Trapping) -> Any:
    """The probability that an event is seen below ``x`` eV."""
    _, special = _library(x)
    free = special.ndtr(x / sigma)
    return free + trapping.fraction * (trapped_below(x, sigma, trapping.scale) - free)


def integral_below(x: Any, sigma: Numbers, trapping: Trapping) -> Any:
    """The integral of `below` up to ``x``, in eV; ``trapping`` has numbers of the host, no tracers."""
    free = gaussian_integral(x, sigma)
    if not trapping.fraction:
        return free
    return free + trapping.fraction * trapping.scale * trapped_below(x, sigma, trapping.scale)


def line_in_channels(
    parts: Components,
    lines: Float[Array | np.ndarray, " K"],
    thresholds: Float[Array | np.ndarray, " A"],
    detector: Detector,
    edges: Float[Array | np.ndarray, " E"],
) -> Float[Array, " C"]:
    """The probability of each channel between the ``edges`` eV, given an interaction.

    lines: eV that each peak lost; thresholds: eV, ascending from 0 to the photon's energy at least.
    """
    lines, thresholds, edges = map(jnp.asarray, (lines, thresholds, edges))
    sigma = detector.fwhm / FWHM_PER_SIGMA
    places = parts.energy - jnp.append(jnp.zeros_like(lines[:1]), lines)
    narrow = jnp.append(1.0 - parts.loss_above[:1], parts.peaks)
    cumulative = jax.vmap(lambda place: below(edges - place, sigma, detector.trapping))(places)
    counts = narrow @ jnp.diff(cumulative, axis=1)
    # what no single photon explains, even between thresholds
    single = jnp.sum(jnp.where(lines[None, :] > thresholds[:, None], parts.peaks[None, :], 0.0), axis=1)
    rest = parts.loss_above - single
    mass = rest - jnp.append(rest[1:], jnp.zeros_like(rest[:1]))
    low = parts.energy - jnp.append(thresholds[1:], jnp.maximum(parts.energy, 2.0 * thresholds[-1])[None])
    low, high = jnp.maximum(low, 0.0), parts.energy - thresholds
    width = jnp.maximum(high - low, NARROWEST)
    ramp = jax.vmap(lambda a, b: gaussian_integral(edges - a, sigma) - gaussian_integral(edges - b, sigma))(low, high)
    return counts + (mass / width) @ jnp.diff(ramp, axis=1)


def _library(x: Any) -> tuple[Any, Any]:
    """(array functions, special functions) of the library that ``x`` belongs to."""
    return (jnp, jax.scipy.special) if isinstance(x, Array) else (np, scipy.special)
