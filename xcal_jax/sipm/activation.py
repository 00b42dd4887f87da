"""Spectra after exits of the South Atlantic Anomaly (SAA): stacks by epoch, their lines, and the lines' decay.

The exits of one epoch are aligned on the exit time (`since_exit`). The rate of a quiet stack is subtracted, so that the
lines stand on their own continuum alone (step 4: 260 keV at the nominal bias, 511 keV at a lower one).
"""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jaxtyping import Float, Real

from xcal_jax import fit
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.grouping import board_mean, group_index
from xcal_jax.sipm.lines import fit_lines
from xcal_jax.spectra import stack


def at_bias(spectra: xr.Dataset, bias: float) -> xr.Dataset:
    """The spectra at one bias setting. Raises ValueError when there are none."""
    chosen = spectra.isel(spectrum=np.flatnonzero(spectra["bias"].values == bias))
    if not chosen.sizes["spectrum"]:
        settings = ", ".join(f"{b:g}" for b in np.unique(spectra["bias"].values))
        raise ValueError(f"`bias` must be one of {settings}, but is {bias:g}")
    return chosen


def stacks_by(
    spectra: xr.Dataset, index: Real[np.ndarray, " n"], dim: str, quiet: xr.Dataset | None = None
) -> xr.Dataset:
    """One stack per value of ``index``, less the quiet stack: `rate`, `rate_error` (dim, channel), `quiet`, cnt/s."""
    each = [stack(spectra.isel(spectrum=index == value)) for value in np.unique(index)]
    out = xr.concat([s.drop_attrs(deep=False) for s in each], dim)
    out = out.assign(exposure=variable(dim, [s.attrs["exposure_s"] for s in each], "s", "exposure of the stack"))
    if quiet is not None:
        out["rate"] = out["rate"].copy(data=out["rate"].values - quiet["rate"].values)
        out["quiet"] = quiet["rate"].variable
        error = np.hypot(out["rate_error"].values, quiet["rate_error"].values)
        out["rate_error"] = out["rate_error"].copy(data=error)
    return out


def by_epoch(spectra: xr.Dataset, quiet: xr.Dataset | None = None, width: float = 5.0) -> xr.Dataset:
    """Stacks of the spectra of each epoch (days within ``width``), and the epochs' mean `days`: (epoch,).

    `temperature` is the mean of the spectra that have one, degC, weighted with their exposures.
    """
    days = spectra["days"].values
    index = group_index(days, width)
    mean = np.bincount(index, days) / np.bincount(index)
    stacks = stacks_by(spectra, index, "epoch", quiet)
    warm, exposure = board_mean(spectra), spectra["exposure"].values
    known = np.isfinite(warm)
    weight = np.bincount(index, np.where(known, exposure, 0.0))
    total = np.bincount(index, np.where(known, warm * exposure, 0.0))
    warm = np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)
    return stacks.assign(
        days=variable("epoch", mean, "d", "time since launch"),
        temperature=variable("epoch", warm, "degC", "mean board temperature"),
    )


@jax.jit
def fit_decay(
    delay: Float[Array, " N"], exposure: Float[Array, " N"], rate: Float[Array, " N"], sigma: Float[Array, " N"]
) -> fit.Fit:
    """Fit of ln A and ln T_half in A 2^(-t/T_half), averaged over each exposure. Times in s, rates in cnt/s."""

    def residuals(p, _):
        constant = jnp.log(2.0) / jnp.exp(p[1])
        mean = jnp.exp(-constant * delay) * -jnp.expm1(-constant * exposure) / (constant * exposure)
        return (jnp.exp(p[0]) * mean - rate) / sigma

    start = jnp.log(jnp.stack([2.0 * jnp.maximum(jnp.max(rate), 1e-6), 2.0 * jnp.mean(delay)]))
    return fit.scaled(fit.least_squares(residuals, start, None, fit.count_points(sigma)))


def line_decay(
    spectra: xr.Dataset, quiet: xr.Dataset | None, window: tuple[float, float], fwhm: float | None = None
) -> xr.Dataset:
    """Rate of one line against time since the exit, and its decay.

    spectra: after exits, of one bias and few days. quiet: to be taken off, if any. window: first and last channel.
    Returns `since_exit` s, `rate` and `rate_error` cnt/s in the line (delay,), `half_life` s and `rate_at_exit` cnt/s
    with errors. Raises ValueError with fewer than three delays at which the line is seen.
    """
    delays = spectra["since_exit"].values
    if not np.isfinite(delays).all():
        raise ValueError("a decay needs `since_exit` of every spectrum, but some are missing")
    values = np.unique(delays)
    stacks = stacks_by(spectra, delays, "delay", quiet)
    lines = fit_lines(stacks, [window], fwhm).isel(line=0)
    area, area_error = lines["area"].values, lines["area_error"].values
    seen = np.isfinite(area)
    if seen.sum() < 3:
        raise ValueError(f"a decay needs the line at three delays at least, but it is seen at {seen.sum()}")
    first = np.searchsorted(values, delays)
    exposure = np.bincount(first, spectra["exposure"].values) / np.bincount(first)
    with fit.double_precision():
        decay = fit_decay(values[seen], exposure[seen], area[seen], area_error[seen])
        decay = jax.tree.map(np.asarray, decay)
        start, half_life = np.exp(decay.parameters)
        errors = decay.errors * np.exp(decay.parameters)
    return xr.Dataset(
        {
            "since_exit": variable("delay", values[seen], "s", "time since the exit of the SAA"),
            "exposure": variable("delay", exposure[seen], "s", "exposure"),
            "rate": variable("delay", area[seen], "count/s", "rate in the line"),
            "rate_error": variable("delay", area_error[seen], "count/s", "its error"),
            "rate_at_exit": variable((), start, "count/s", "rate at the exit"),
            "rate_at_exit_error": variable((), errors[0], "count/s", "its error"),
            "half_life": variable((), half_life, "s", "half-life of the line"),
            "half_life_error": variable((), errors[1], "s", "its error"),
        },
        attrs=spectra.attrs,
    )
