"""Dark count rate, Eq. 5 (step 6), and its correction for pile-up.

The sum runs from the first channel to the threshold; the channel in which the threshold lies counts by its fraction.
Pile-up makes the measured rate far less than the avalanche rate. The correction needs a dead time, which the user must
give: the paper's is not legible in the copy at hand.
"""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jaxtyping import Float
from scipy.special import lambertw

from xcal_jax.fit import double_precision
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.spectra.dataset import reject
from xcal_jax.units import parse_quantity, shown


@jax.jit
@jax.vmap
def rate_below(
    counts: Float[Array, " C"], exposure: Float[Array, ""], threshold: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Eq. 5 for one spectrum: rate and its Poisson error, cnt/s. exposure: s. threshold: channels from 1.

    The channels up to x1 = floor(threshold) count whole, channel x1 + 1 by the fraction threshold - x1.
    """
    weight = jnp.clip(threshold - jnp.arange(counts.size, dtype=threshold.dtype), 0.0, 1.0)
    return weight @ counts / exposure, jnp.sqrt(weight**2 @ counts) / exposure


@checked
def dark_count_rate(spectra: xr.Dataset) -> xr.Dataset:
    """The spectra with `dcr` and `dcr_error`, cnt/s: (spectrum,); NaN where the threshold is flagged.

    The error contains that of the counts and that of the threshold. Raises ValueError where `threshold` has not run.
    """
    if "threshold_adu" not in spectra:
        raise ValueError("`spectra` must have `threshold_adu` before a dark count rate, but it is missing")
    counts, exposure = spectra["counts"].values, spectra["exposure"].values
    edge = spectra["threshold_adu"].values - (spectra["channel"].values[0] - 1)
    edge_error = spectra["threshold_adu_error"].values
    with double_precision():
        rate, poisson = map(np.asarray, rate_below(counts, exposure, np.nan_to_num(edge)))
    last = np.clip(np.nan_to_num(edge).astype(int), 0, counts.shape[1] - 1)
    slope = counts[np.arange(edge.size), last] / exposure
    error = np.hypot(poisson, slope * edge_error)
    missing = np.isnan(edge)
    return spectra.assign(
        dcr=variable("spectrum", np.where(missing, np.nan, rate), "count/s", "dark count rate"),
        dcr_error=variable("spectrum", error, "count/s", "error of the dark count rate"),
    )


@checked
def correct_pile_up(values: xr.Dataset, dead_time: float, model: str = "paralysable") -> xr.Dataset:
    """The values with `dcr_true` and `dcr_true_error`, cnt/s: the rate n whose measured rate m is `dcr`.

    dead_time: s. model: "non-paralysable", m = n / (1 + n dead_time), or "paralysable", m = n exp(-n dead_time) on the
    branch below saturation. Source: Knoll, Radiation Detection and Measurement, ch. 4.
    Raises ValueError for a dead time that is not positive, an unknown model, or a rate no n could give.
    """
    dead_time = parse_quantity(dead_time, "s", "dead_time", above=0.0)
    measured = values["dcr"].values
    load = measured * dead_time
    if model == "non-paralysable":
        reject(load >= 1, f"`dcr` must stay below 1/dead_time = {1 / dead_time:.6g} cnt/s", measured)
        true = measured / (1 - load)
        slope = 1 / (1 - load) ** 2
    elif model == "paralysable":
        limit = np.exp(-1.0)
        reject(load >= limit, f"`dcr` must stay below 1/(e dead_time) = {limit / dead_time:.6g} cnt/s", measured)
        true = -np.real(lambertw(-load)) / dead_time
        slope = np.exp(true * dead_time) / (1 - true * dead_time)
    else:
        raise ValueError(f'`model` must be "paralysable" or "non-paralysable", but is {shown(model)}')
    dims = values["dcr"].dims
    error = slope * values["dcr_error"].values
    return values.assign(
        dcr_true=variable(dims, true, "count/s", f"dark count rate without pile-up ({model})"),
        dcr_true_error=variable(dims, error, "count/s", "error of the rate without pile-up"),
    ).assign_attrs(pile_up=f"{model}, dead time {dead_time} s")
