"""Low-energy threshold of each spectrum: where it sinks to 10 cnt/s above the template (step 3).

Eq. 1 interpolates linearly between the two channels around the first crossing. On a steep flank its result is too high
by 0.05 to 0.1 channel, and where the noise of a channel is not small beside the flank's slope, the first crossing is
one that noise made: the result is then too low, and its error too small. The default therefore fits the flank. It has
the same definition of the threshold, the place where the expected difference is the level L:

    D(x) = L exp(-s u - c u^2 - q u^3) with u = x - threshold,  counts ~ Poisson(exposure (template + D)).

An exponential and a Gaussian flank are of this form without q. The fit sees about e^2 of the flank above the
level and below it. A threshold that cannot be measured is flagged and has no number.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jaxtyping import Float, Int

from xcal_jax import fit
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import flags, variable
from xcal_jax.sipm.counters import BAD_LIVE, FULL, MOSTLY_DEAD, counter_flags
from xcal_jax.sipm.template import template_rows
from xcal_jax.spectra import check_spectra
from xcal_jax.units import parse_quantity, shown

NO_CROSSING, SATURATED, SHORT, NO_FIT = 1, FULL, 4, 8
FLAGS = {
    NO_CROSSING: "no crossing",
    SATURATED: "a counter is full",
    SHORT: "exposure too short",
    NO_FIT: "the fit of the flank does not converge",
    MOSTLY_DEAD: "dead for more than half of the real time",
    BAD_LIVE: "live time longer than real time",
}
RULES = ("flank", "linear")
STEPS = 30  # of Fisher scoring
RIDGE = np.array([0.0, 1e-9, 1e-3, 1e-2])  # weak priors on threshold, s, c and q over the span of the window
ABOVE = 2.0  # e-folds over the level where the window of a flank begins
FEWEST = 3  # channels of a window on each side of the crossing, at least


def smoothed(values: Float[Array, " C"], width: int) -> Float[Array, " C"]:
    """Running mean over ``width`` channels (odd), of fewer at the ends."""
    total = jnp.cumsum(jnp.concatenate([jnp.zeros(1, values.dtype), values]))
    place = jnp.arange(values.size)
    low, high = jnp.maximum(place - width // 2, 0), jnp.minimum(place + width // 2 + 1, values.size)
    return (total[high] - total[low]) / (high - low).astype(values.dtype)


@partial(jax.jit, static_argnames="width")
@partial(jax.vmap, in_axes=(0, 0, 0, None, None))
def crossing(
    counts: Float[Array, " C"],
    exposure: Float[Array, ""],
    template: Float[Array, " C"],
    level: Float[Array, ""],
    width: int,
) -> tuple[Array, ...]:
    """Place x1 - 1 of the first crossing right of the noise peak, whether there is one, and the flank's window.

    The window is from where the difference, averaged over ``width`` channels, last stands e^2 above the level (or from
    the peak) to as far below the crossing: first place, last place. exposure: s. template and level: cnt/s.
    """
    difference = smoothed(counts / exposure - template, width)
    place = jnp.arange(counts.size)
    peak = jnp.argmax(counts)
    right = place > peak
    below = right & (difference < level)
    second = jnp.argmax(below)
    first = jnp.maximum(second - 1, 0)
    found = jnp.any(below) & (difference[first] >= level)
    top = jnp.max(jnp.where((place < second) & (difference > level * np.exp(ABOVE)), place, peak))
    reach = jnp.maximum(second - top, FEWEST)
    return first, found, jnp.maximum(second - reach, peak), jnp.minimum(second + reach - 1, counts.size - 1)


def linear_crossing(
    difference: Float[Array, " K"], start: Float[Array, ""], level: Float[Array, ""]
) -> tuple[Array, Array, Array]:
    """Eq. 1: threshold in places from the window's first, its slopes with respect to the differences, and success.

    start: x1 as a place of the window. difference: cnt/s.
    """
    first = jnp.clip(start.astype(int), 0, difference.size - 2)

    def place(values):
        d1, d2 = values[first], values[first + 1]
        return start + (level - d1) / (d2 - d1)

    past, slopes = jax.value_and_grad(place)(difference)
    return past, slopes, jnp.isfinite(past)


def flank_crossing(
    difference: Float[Array, " K"],
    template: Float[Array, " K"],
    seconds: Float[Array, ""],
    inside: Float[Array, " K"],
    start: Float[Array, ""],
    level: Float[Array, ""],
) -> tuple[Array, Array, Array]:
    """Threshold by the fit of the flank, as `linear_crossing`. inside: 1 for channels of the window, else 0.

    Maximum likelihood by Fisher's scoring from ``start``; a step moves the threshold by two channels' worth at most.
    """
    place = jnp.arange(difference.size, dtype=difference.dtype)
    counts = seconds * (difference + template)
    span = jnp.maximum(jnp.sum(inside), 4.0)

    def expected(p):
        u = (place - p[0]) / span
        return template + level * jnp.exp(jnp.clip(-p[1] * u - p[2] * u**2 - p[3] * u**3, -30.0, 12.0))

    def information(p):
        model = jnp.maximum(seconds * expected(p), 1e-9)
        jacobian = seconds * jax.jacfwd(expected)(p) * inside[:, None]
        weighted = jacobian / model[:, None]
        return fit.inverse(weighted.T @ jacobian + jnp.diag(jnp.asarray(RIDGE))), weighted, model

    def step(_, p):
        inverse, weighted, model = information(p)
        move = inverse @ (weighted.T @ (counts - model) - jnp.asarray(RIDGE) * p)
        largest = jnp.array([0.1, 0.5, 0.5, 0.5]) * jnp.stack([span, *jnp.maximum(jnp.abs(p[1]), 1.0) * jnp.ones(3)])
        scale = jnp.minimum(1.0, jnp.min(largest / jnp.maximum(jnp.abs(move), 1e-30)))
        return p + scale * move

    steepness = span / jnp.maximum(start, 1.0) * jnp.log(jnp.maximum(difference[0] / level, 2.0))
    first = jnp.stack([start, steepness, jnp.zeros_like(start), jnp.zeros_like(start)])
    best = jax.lax.fori_loop(0, STEPS, step, first)
    inverse, weighted, _ = information(best)
    slopes = seconds * (inverse @ weighted.T)[0]
    last = step(0, best)
    good = jnp.all(jnp.isfinite(best)) & (jnp.abs(last[0] - best[0]) < 0.1 * jnp.sqrt(inverse[0, 0])) & (best[1] > 0)
    return best[0], slopes, good & (jnp.abs(best[0] - start) < span)


@partial(jax.jit, static_argnames="rule")
def measure(
    rule: str,
    difference: Float[Array, "n K"],
    template: Float[Array, "n K"],
    seconds: Float[Array, " n"],
    inside: Float[Array, "n K"],
    start: Float[Array, " n"],
    level: Float[Array, ""],
) -> tuple[Array, Array, Array]:
    """Threshold, slopes and success of every window, by one of `RULES`."""
    if rule == "linear":
        return jax.vmap(linear_crossing, (0, 0, None))(difference, start, level)
    every = (difference, template, seconds, inside, start)
    return jax.vmap(flank_crossing, (0, 0, 0, 0, 0, None))(*every, level)


def template_shifts(
    channels: Int[np.ndarray, "n K"],
    slopes: Float[np.ndarray, "n K"],
    error: Float[np.ndarray, "n C"],
    end: Int[np.ndarray, " n"],
    rows: Int[np.ndarray, " n"],
) -> Float[np.ndarray, "n M"]:
    """Shift of every threshold, in channels, by one sigma of each of the M template channels that matter.

    channels, slopes: places of every window, and the threshold's derivatives with respect to the differences there.
    error: cnt/s of the template rate. end: place of the first channel right of the template's noise peak, whose rate
    stands for all before it. rows: which template each spectrum has.
    """
    source = np.maximum(channels, end[:, None])
    row = np.arange(len(channels))[:, None]
    used, column = np.unique(rows[:, None] * error.shape[1] + source, return_inverse=True)
    shifts = np.zeros((len(channels), used.size))
    np.add.at(shifts, (row, column.reshape(source.shape)), -slopes * error[row, source])
    return shifts[:, (shifts != 0).any(0)]


def window_size(widest: int) -> int:
    """Places of the windows of one batch: a power of two from 16 on, so that few sizes are ever compiled."""
    return max(16, 1 << int(np.ceil(np.log2(widest))))


@checked
def threshold(
    spectra: xr.Dataset,
    template: xr.Dataset,
    level: float = 10.0,
    interpolation: str = "flank",
    min_exposure: float = 10.0,
    saturation: float | None = None,
) -> xr.Dataset:
    """The spectra with `threshold_adu`, `threshold_adu_error` (channels) and `threshold_flag`.

    level: cnt/s above the template. interpolation: "flank" (a fit) or "linear" (the paper's Eq. 1). min_exposure: s,
    below which a spectrum is flagged. saturation: counts at which the channel counter is full; if none, that of
    `counters.full_counter`. The error contains the Poisson variance of spectrum and template. The template's part,
    which the spectra share, stands in `threshold_adu_shared` (spectrum, adu_mode), one column a template channel. A
    flagged spectrum has NaN.

    Raises ValueError for unusable spectra, a template of another channel or bias, and when nothing crosses at all.
    """
    check_spectra(spectra)
    if interpolation not in RULES:
        raise ValueError(f'`interpolation` must be "flank" or "linear", but is {shown(interpolation)}')
    parse_quantity(level, "", "level", above=0.0)
    parse_quantity(min_exposure, "s", "min_exposure", least=0.0)
    if saturation is not None:
        parse_quantity(saturation, "", "saturation", above=0.0)
    rows = template_rows(spectra, template)
    counts, exposure = spectra["counts"].values, spectra["exposure"].values
    quiet, noise = template["rate"].values[rows], template["rate_error"].values[rows]
    width = 1 if interpolation == "linear" else 2 * (counts.shape[1] // 512) + 1
    with fit.double_precision():
        first, found, low, high = map(np.asarray, crossing(counts, exposure, quiet, level, width))
        if interpolation == "linear":
            low, high = first, first + 1
        size = window_size(int((high - low).max()) + 1)
        places = low[:, None] + np.arange(size)
        inside = (places <= high[:, None]).astype(float)
        places = np.minimum(places, counts.shape[1] - 1)
        at = np.take_along_axis(counts, places, 1)
        of_template = np.take_along_axis(quiet, places, 1)
        variance = at / exposure[:, None] ** 2
        difference = at / exposure[:, None] - of_template
        start = (first - low).astype(float)
        data = (difference, of_template, exposure, inside, start)
        value, slopes, good = map(np.asarray, measure(interpolation, *data, level))
    slopes = np.where(inside > 0, slopes, 0.0)
    counting = np.sqrt((slopes**2 * variance).sum(1))
    value = value + low + spectra["channel"].values[0]
    flag = np.where(found, 0, NO_CROSSING) | counter_flags(spectra, saturation)
    flag |= np.where(exposure < min_exposure, SHORT, 0)
    flag |= np.where(found & ~(good & np.isfinite(counting)), NO_FIT, 0)
    if (flag & NO_CROSSING).all():
        raise ValueError(f"`spectra` must sink through {level} cnt/s above the template, but none of {flag.size} does")
    measured = flag == 0
    slopes = np.where(measured[:, None], slopes, 0.0)
    end = template["peak_end"].values[rows] - spectra["channel"].values[0]
    shifts = template_shifts(places, slopes, noise, end, rows)
    error = np.hypot(counting, np.sqrt((shifts**2).sum(1)))
    return spectra.assign(
        threshold_adu=variable("spectrum", np.where(measured, value, np.nan), "ADU", "threshold, ADC channel"),
        threshold_adu_error=variable("spectrum", np.where(measured, error, np.nan), "ADU", "error of the threshold"),
        threshold_adu_shared=variable(
            ("spectrum", "adu_mode"), shifts, "ADU", "shift by one sigma of each template channel"
        ),
        threshold_flag=flags("spectrum", flag, FLAGS, "why there is no threshold; 0: there is one"),
    ).assign_attrs(threshold_rule=f"{interpolation} crossing of {level} cnt/s above the template")
