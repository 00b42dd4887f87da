"""The spectrum of natural lines that a detector shows, channel by channel, by its characteristic function.

A measured energy is a sum of independent parts: the natural line, Gaussian noise, trapped heat and what electrons and
photons take out of the absorber. Characteristic functions of sums are products. With the scale E -> E0 + s +
g (E - E0) + q (E - E0)^2, of slope g_j at a component, of share w, centre E and half width h, which is at E'_j there,

    F(k) = sum_j w_j exp(-i k E'_j - g_j h_j |k|)  exp(-k^2 sigma^2 / 2)  (1 - f + f / (1 - i k tau))  L(k)

where L(k) = <exp(i k loss)> is linear in the observables of `expected`, and so has their derivatives; sigma is that at
the mean energy of each line. The spectrum in channels of width b is the Fourier transform of F(k) sin(k b / 2) /
(k b / 2). It is a Voigt profile and its exponential tail, exact but for the period of the discrete transform: images of
the wings are taken off as a parabola. Lines end `natural_lines.CUT` widths from their centres, as those of a source do:
what would lie beyond, 0.32 % of a line, is taken off channel by channel. It would be a quarter of the continuum that
electrons lose.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Complex, Float
from scipy.fft import next_fast_len

from xcal_jax.absorber.natural_lines import CUT
from xcal_jax.atomic.lines import LineShape
from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.response.linefit import Linear

BESIDE = 3  # widths of the spectrum that are added to the period of the transform,
FAR = 2000.0  # eV, at most
INSIDE = 2.0 / np.pi * np.arctan(2.0 * CUT)  # of a Lorentzian, that lies within the cut
FINER = 2.5  # steps of the transform to the standard deviation of the sharpest noise
SCALE = ("offset", "gain", "curvature", "fwhm", "fwhm_slope", "tail_frac", "tail_tau")
BELOW = ("background", "slope", "background_scale")  # constant, linear, of a measured background


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NaturalShape:
    """K lines of J Lorentzians in C channels, of F frequencies and P parameters of an absorber.

    k: (F,) 1/eV; centre, half: (J,) eV; share: (K, J) of the Lorentzians before they are cut, zero for components of
    other lines; natural: (K, F), the
    characteristic function of the lines at a gain of 1; loss: (K, F), loss_slope: (K, P, F), that of the loss and its
    derivatives; origin: (P,); low, width: () eV, of the first channel; reference: () eV, that the gain leaves in its
    place; beneath: (C,) counts of a measured background, zero without one; stretched: whether gain or curvature are
    parameters; fine: steps of the transform to a channel.
    """

    k: Array
    centre: Array
    half: Array
    share: Array
    natural: Array
    loss: Array
    loss_slope: Array
    origin: Array
    low: Array
    width: Array
    reference: Array
    beneath: Array
    physics: tuple[str, ...] = field(metadata={"static": True})
    lines: tuple[str, ...] = field(metadata={"static": True})
    channels: int = field(metadata={"static": True})
    fine: int = field(metadata={"static": True})
    stretched: bool = field(metadata={"static": True})

    @classmethod
    def build(
        cls,
        lines: Sequence[LineShape],
        edges: Float[np.ndarray, " E"],
        sharpest: float,
        linear: Sequence[Linear] = (),
        stretched: bool = False,
        beneath: Float[np.ndarray, " C"] | None = None,
    ) -> "NaturalShape":
        """The shape of ``lines`` in channels of one width. sharpest: eV, the least FWHM of the noise that is needed.

        linear: what electrons and photons take out at the energy of each line, or nothing. stretched: whether the
        gain may differ from 1, or the scale be curved. beneath: counts of a measured background in the channels.
        """
        channels, width = edges.size - 1, float(np.diff(edges).mean())
        fine = max(1, int(np.ceil(FINER * width * FWHM_PER_SIGMA / sharpest)))
        span = channels * width
        size = 2 * next_fast_len(int(0.5 * fine * (span + min(BESIDE * span, FAR)) / width) + 1, real=True)
        k = 2.0 * np.pi * np.fft.rfftfreq(size, width / fine)
        owner = np.repeat(np.arange(len(lines)), [line.energy.size for line in lines])
        uncut = np.concatenate([line.share / np.where(line.fwhm > 0.0, INSIDE, 1.0) for line in lines])
        share = np.where(owner == np.arange(len(lines))[:, None], uncut, 0.0)
        names = linear[0].parameters if linear else ()
        loss, slope = np.ones((len(lines), k.size), complex), np.zeros((len(lines), len(names), k.size), complex)
        room = 0.5 * (size * width / fine - span)  # half of what the period has more than the channels
        for n, part in enumerate(linear):
            loss[n], slope[n] = loss_function(part, k, float(part.energy - edges[0]) + room)
        centre, half = (
            np.concatenate(part) for part in zip(*((line.energy, 0.5 * line.fwhm) for line in lines), strict=True)
        )
        reference = float(np.mean([line.mean_energy for line in lines]))
        arrays = (
            k,
            centre,
            half,
            share,
            share @ np.exp(-1j * np.outer(centre - reference, k) - np.outer(half, k)),
            loss,
            slope,
            np.asarray(linear[0].origin) if linear else np.zeros(0),
            float(edges[0]),
            width,
            reference,
            np.zeros(channels) if beneath is None else beneath,
        )
        fixed = (tuple(names), tuple(line.name for line in lines), channels, fine, stretched)
        everything: Any = [*map(np.asarray, arrays), *fixed]
        return cls(*everything)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters, in the order of `expected`: photons of each line, then the detector's and others."""
        return (*self.lines, *SCALE, *self.physics, *BELOW)

    def by_line(self, values: Float[Array, " T"]) -> Float[Array, "K C"]:
        """The share of the photons of each line that each channel has, at ``values`` of the `parameters`."""
        many = len(self.lines)
        offset, gain, curvature, fwhm, fwhm_slope, fraction, scale = values[many : many + len(SCALE)]
        step = values[many + len(SCALE) : many + len(SCALE) + len(self.physics)] - self.origin
        k, width = self.k, self.width
        kind = self.natural.dtype
        natural, apart = self.natural, self.centre - self.reference
        place, half = (gain + curvature * apart) * apart, (gain + 2.0 * curvature * apart) * self.half
        if self.stretched:
            wings = jnp.exp(-k[None, :] * half[:, None]).astype(kind)
            natural = self.share.astype(kind) @ (wings * rotation(-k[None, :] * place[:, None]))
        middle = (self.share @ apart) / jnp.sum(self.share, axis=1)
        sigma = (fwhm + fwhm_slope * middle) / FWHM_PER_SIGMA
        noise = jnp.exp(-0.5 * (k[None, :] * sigma[:, None]) ** 2) * jnp.sinc(k * width / (2.0 * jnp.pi))[None, :]
        part = fraction / (1.0 + (k * scale) ** 2)
        heat = jax.lax.complex(1.0 - fraction + part, part * k * scale)
        start = rotation(-k * (self.reference + offset - self.low - 0.5 * width))
        loss = self.loss + jnp.einsum("p,kpf->kf", step.astype(kind), self.loss_slope)
        whole = natural * loss * (self.fine * noise).astype(kind) * (heat * start)[None, :]
        size = 2 * (k.shape[0] - 1)
        spectrum = jnp.fft.irfft(whole, size, axis=1)[:, : self.channels * self.fine : self.fine]
        period = size * width / self.fine
        channel = self.low + width * (jnp.arange(self.channels, dtype=width.dtype) + 0.5) - offset - self.reference
        distance = channel[None, :] - place[:, None]
        beside = 1.0 / 3.0 + (jnp.pi * distance / period) ** 2 / 15.0  # of 1 / sin(x)^2 - 1 / x^2
        end, side = jnp.maximum(2.0 * CUT * half[:, None], width), 0.5 * width

        def within(low: Array, high: Array) -> Array:
            """Of half / (pi distance^2), what lies between two distances, and further out than the cut."""
            return 1.0 / jnp.maximum(low, end) - 1.0 / jnp.maximum(high, end)

        wings = within(distance - side, distance + side) + within(-distance - side, side - distance)
        gone = self.share @ (half[:, None] * (wings / jnp.pi + jnp.pi / period**2 * beside * width))
        return spectrum - gone * jnp.real(loss[:, :1])

    def expected(self, values: Float[Array, " T"]) -> Float[Array, " C"]:
        """Expected counts of each channel at ``values`` of the `parameters`."""
        background, slope, scale = values[-len(BELOW) :]
        half = 0.5 * (self.channels - 1)
        place = (jnp.arange(self.channels, dtype=self.width.dtype) - half) * self.width
        below = self.width * (background + slope * place) + scale * self.beneath
        return values[: len(self.lines)] @ self.by_line(values) + below


def rotation(angle: Float[Array, "..."]) -> Complex[Array, "..."]:
    """exp(i ``angle``)."""
    return jax.lax.complex(jnp.cos(angle), jnp.sin(angle))


def loss_function(
    linear: Linear, k: Float[np.ndarray, " F"], deepest: float
) -> tuple[Complex[np.ndarray, " F"], Complex[np.ndarray, "P F"]]:
    """<exp(i k loss)> (F,) at the origin of ``linear``, and its derivatives (P, F).

    Losses of more than ``deepest`` eV lie below the spectrum and are left out. Escape peaks are Lorentzians of the
    widths of their levels; the continuum is flat between thresholds, as in `line_shape.line_in_channels`.
    """
    lines, half, thresholds = (np.asarray(part) for part in (linear.lines, 0.5 * linear.line_widths, linear.thresholds))
    energy = float(linear.energy)
    ends = np.append(thresholds[1:], max(energy, 2.0 * thresholds[-1]))
    high = np.minimum(np.minimum(ends, energy), deepest)
    part = np.clip((high - thresholds) / np.maximum(np.minimum(ends, energy) - thresholds, 1e-9), 0.0, 1.0)
    centre, span = 0.5 * (thresholds + high), np.maximum(high - thresholds, 0.0)
    flat = np.exp(1j * np.outer(centre, k)) * np.sinc(np.outer(span, k) / (2.0 * np.pi)) * part[:, None]
    single = np.exp(1j * np.outer(lines, k) - np.outer(half, np.abs(k))) * (lines < deepest)[:, None]

    def function(peaks: np.ndarray, loss_above: np.ndarray, one: float) -> np.ndarray:
        rest = loss_above - (lines > thresholds[:, None]) @ peaks
        mass = rest - np.append(rest[1:], 0.0)
        return (one - loss_above[0]) + peaks @ single + mass @ flat

    value = function(np.asarray(linear.peaks), np.asarray(linear.loss_above), 1.0)
    pairs = zip(np.asarray(linear.peaks_slope), np.asarray(linear.loss_slope), strict=True)
    slopes = [function(peaks, above, 0.0) for peaks, above in pairs]
    return value, np.array(slopes, complex).reshape(len(slopes), k.size)
