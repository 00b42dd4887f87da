"""Low-energy threshold of each spectrum: where it sinks to 10 cnt/s above the template (step 3).

Eq. 1, the default, interpolates linearly between the two channels around the crossing. On a steep flank its result is
too high by 0.05 to 0.1 channel, always by about as much, which is more than half of the statistical error of a spectrum
of 60 s. `interpolation="log"` interpolates the logarithm by a parabola through the last three channels, which is exact
on an exponential or Gaussian flank. A threshold that cannot be measured is flagged and has no number.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jaxtyping import Float, Int

from xcal_jax.fit import double_precision
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.template import template_rows
from xcal_jax.spectra import check_spectra
from xcal_jax.units import parse_quantity, shown

NO_CROSSING, SATURATED, SHORT, NOT_POSITIVE = 1, 2, 4, 8
FLAGS = {
    NO_CROSSING: "no crossing",
    SATURATED: "saturated",
    SHORT: "exposure too short",
    NOT_POSITIVE: "difference not positive where a logarithm is needed",
}


def linear_crossing(around: Float[Array, "3"], level: Float[Array, ""] | float) -> Float[Array, ""]:
    """Eq. 1 with x1 = 0, x2 = 1: channels past x1. around: D at x1 - 1, x1, x2, cnt/s, where D1 >= level > D2."""
    return (level - around[1]) / (around[2] - around[1])


def logarithmic_crossing(around: Float[Array, "3"], level: Float[Array, ""] | float) -> Float[Array, ""]:
    """Channels past x1 at which the parabola through ln D at x1 - 1, x1, x2 sinks to the level; NaN unless D2 > 0.

    It is a straight line through ln D1 and ln D2 where the flank has no third channel.
    """
    before, first, second = around
    second = jnp.where(second > 0, second, jnp.nan)
    before = jnp.where(before > first, before, first**2 / second)
    above = jnp.log(first / level)
    slope = 0.5 * jnp.log(second / before)
    bend = 0.5 * jnp.log(second * before / first**2)
    return 2.0 * above / (-slope + jnp.sqrt(slope**2 - 4.0 * bend * above))


CROSSINGS = {"linear": linear_crossing, "log": logarithmic_crossing}


@partial(jax.jit, static_argnames="interpolation")
@partial(jax.vmap, in_axes=(0, 0, 0, 0, None, None))
def crossing(
    counts: Float[Array, " C"],
    exposure: Float[Array, ""],
    template: Float[Array, " C"],
    template_error: Float[Array, " C"],
    level: Float[Array, ""],
    interpolation: str,
) -> tuple[Array, ...]:
    """Threshold of one spectrum in channels counted from 1, its error, whether there is a crossing, and its slopes.

    The last two results are the place x1 - 1 of its first channel, and the derivatives (3,) of the threshold with
    respect to the differences at x1 - 1, x1 and x2. exposure: s. template, its error and level: cnt/s.
    """
    difference = counts / exposure - template
    variance = counts / exposure**2 + template_error**2
    channel = jnp.arange(counts.size)
    peak = jnp.argmax(counts)
    below = (channel > peak) & (difference < level)
    second = jnp.argmax(below)
    first = jnp.maximum(second - 1, 0)
    found = jnp.any(below) & (difference[first] >= level)
    around = jnp.stack([jnp.maximum(first - 1, 0), first, second])
    past, slopes = jax.value_and_grad(CROSSINGS[interpolation])(difference[around], level)
    error = jnp.sqrt(slopes**2 @ variance[around])
    return first.astype(past.dtype) + 1.0 + past, error, found, first, slopes


def template_shifts(
    first: Int[np.ndarray, " n"],
    slopes: Float[np.ndarray, "n 3"],
    error: Float[np.ndarray, "n C"],
    end: Int[np.ndarray, " n"],
) -> Float[np.ndarray, "n K"]:
    """Shift of every threshold, in channels, by one sigma of each of the K template channels that matter.

    first, slopes: of `crossing`. error: cnt/s of the template rate. end: place of the first channel right of the
    template's noise peak, whose rate stands for all before it.
    """
    channels = np.stack([first - 1, first, first + 1], 1)
    source = np.maximum(channels, end[:, None])
    row = np.arange(first.size)[:, None]
    used, column = np.unique(source, return_inverse=True)
    shifts = np.zeros((first.size, used.size))
    np.add.at(shifts, (row, column.reshape(source.shape)), -slopes * error[row, source])
    return shifts


@checked
def threshold(
    spectra: xr.Dataset,
    template: xr.Dataset,
    level: float = 10.0,
    interpolation: str = "linear",
    min_exposure: float = 10.0,
    saturation: float = np.inf,
) -> xr.Dataset:
    """The spectra with `threshold_adu`, `threshold_adu_error` (channels from 1) and `threshold_flag`.

    level: cnt/s above the template. interpolation: "linear" (the paper's Eq. 1) or "log". min_exposure: s, below which
    a spectrum is flagged. saturation: counts at which the channel counter is full. The error contains the Poisson
    variance of spectrum and template. The template's part, which the spectra share, stands in `threshold_adu_shared`
    (spectrum, adu_mode), one column a template channel. A flagged spectrum has NaN.

    Raises ValueError for unusable spectra, a template of another channel, and when nothing crosses at all.
    """
    check_spectra(spectra)
    if interpolation not in CROSSINGS:
        raise ValueError(f'`interpolation` must be "linear" or "log", but is {shown(interpolation)}')
    parse_quantity(level, "", "level", above=0.0)
    parse_quantity(min_exposure, "s", "min_exposure", least=0.0)
    if not saturation > 0:
        raise ValueError(f"`saturation` must be positive, but is {saturation}")
    rows = template_rows(spectra, template)
    counts, exposure = spectra["counts"].values, spectra["exposure"].values
    with double_precision():
        value, error, found, first, slopes = map(
            np.asarray,
            crossing(
                counts,
                exposure,
                template["rate"].values[rows],
                template["rate_error"].values[rows],
                level,
                interpolation,
            ),
        )
    flag = np.where(found, 0, NO_CROSSING)
    flag |= np.where((counts >= saturation).any(1), SATURATED, 0)
    flag |= np.where(exposure < min_exposure, SHORT, 0)
    flag |= np.where(found & ~np.isfinite(value), NOT_POSITIVE, 0)
    if (flag & NO_CROSSING).all():
        raise ValueError(f"`spectra` must sink through {level} cnt/s above the template, but none of {flag.size} does")
    measured = flag == 0
    slopes = np.where(measured[:, None], slopes, 0.0)
    end = template["peak_end"].values[rows] - 1
    shifts = template_shifts(first, slopes, template["rate_error"].values[rows], end)
    meaning = ", ".join(f"{bit}: {text}" for bit, text in FLAGS.items())
    return spectra.assign(
        threshold_adu=variable("spectrum", np.where(measured, value, np.nan), "1", "threshold, ADC channel"),
        threshold_adu_error=variable("spectrum", np.where(measured, error, np.nan), "1", "error of the threshold"),
        threshold_adu_shared=variable(
            ("spectrum", "adu_mode"), shifts, "1", "shift by one sigma of each template channel"
        ),
        threshold_flag=variable("spectrum", flag, "1", f"0: measured; bits {meaning}"),
    ).assign_attrs(threshold_rule=f"{interpolation} crossing of {level} cnt/s above the template")
