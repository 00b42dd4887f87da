"""Low-energy threshold of each spectrum: where it sinks to 10 cnt/s above the template (step 3, Eq. 1).

Eq. 1 interpolates linearly between the two channels around the crossing; on a steep flank that sits high by
0.05 to 0.1 channel. The logarithmic option is exact for an exponential flank. What cannot be measured is
flagged and has no number.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from xcal_jax.fit import double_precision
from xcal_jax.sipm.labels import labelled
from xcal_jax.sipm.spectra import check_spectra, template_rows

NO_CROSSING, SATURATED, SHORT, NOT_POSITIVE = 1, 2, 4, 8
FLAGS = {
    NO_CROSSING: "no crossing",
    SATURATED: "saturated",
    SHORT: "exposure too short",
    NOT_POSITIVE: "difference not positive where a logarithm is needed",
}


def linear_crossing(first: jax.Array, second: jax.Array, level: float | jax.Array) -> jax.Array:
    """Eq. 1 with x1 = 0, x2 = 1: () channels past x1, from D1 >= level > D2 in cnt/s."""
    return (level - first) / (second - first)


def logarithmic_crossing(first: jax.Array, second: jax.Array, level: float) -> jax.Array:
    """Eq. 1 on ln D: () channels past x1; NaN unless D2 > 0."""
    return linear_crossing(jnp.log(first), jnp.log(second), jnp.log(level))


CROSSINGS = {"linear": linear_crossing, "log": logarithmic_crossing}


@partial(jax.jit, static_argnames="interpolation")
@partial(jax.vmap, in_axes=(0, 0, 0, 0, None, None))
def crossing(counts, exposure, template, template_error, level, interpolation):
    """Threshold of one spectrum in channels counted from 1, its error, and whether there is a crossing.

    counts: (C,) cnt; exposure: () s; template, template_error: (C,) cnt/s; level: () cnt/s.
    """
    difference = counts / exposure - template
    variance = counts / exposure**2 + template_error**2
    channel = jnp.arange(counts.size)
    peak = jnp.argmax(counts)
    below = (channel > peak) & (difference < level)
    second = jnp.argmax(below)
    first = jnp.maximum(second - 1, 0)
    found = jnp.any(below) & (difference[first] >= level)
    past, slopes = jax.value_and_grad(CROSSINGS[interpolation], argnums=(0, 1))(
        difference[first], difference[second], level
    )
    error = jnp.sqrt(slopes[0] ** 2 * variance[first] + slopes[1] ** 2 * variance[second])
    return first.astype(past.dtype) + 1.0 + past, error, found


def threshold(
    spectra: xr.Dataset,
    template: xr.Dataset,
    level: float = 10.0,
    interpolation: str = "linear",
    min_exposure: float = 10.0,
    saturation: float = np.inf,
) -> xr.Dataset:
    """Add `threshold_adu`, `threshold_adu_error` (channels from 1) and `threshold_flag` to the spectra.

    level: cnt/s above the template. interpolation: "linear" (Eq. 1) or "log". min_exposure: s, below which a
    spectrum is flagged. saturation: counts at which the channel counter is full. The error holds the Poisson
    variance of spectrum and template. A flagged spectrum has NaN.

    Raises ValueError for unusable spectra, a template of another channel, and when nothing crosses at all.
    """
    check_spectra(spectra)
    if interpolation not in CROSSINGS:
        raise ValueError(f'`interpolation` must be "linear" or "log", but is {interpolation!r}')
    if not level > 0:
        raise ValueError(f"`level` must be positive, in cnt/s, but is {level}")
    rows = template_rows(spectra, template)
    counts, exposure = spectra["counts"].values, spectra["exposure"].values
    with double_precision():
        value, error, found = map(
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
    meaning = ", ".join(f"{bit}: {text}" for bit, text in FLAGS.items())
    return spectra.assign(
        threshold_adu=labelled("spectrum", np.where(flag, np.nan, value), "1", "threshold, ADC channel"),
        threshold_adu_error=labelled("spectrum", np.where(flag, np.nan, error), "1", "error of the threshold"),
        threshold_flag=labelled("spectrum", flag, "1", f"0: measured; bits {meaning}"),
    ).assign_attrs(threshold_rule=f"{interpolation} crossing of {level} cnt/s above the template")
