"""Pulse-height spectra as a Dataset: built with every check, selected, stacked to rates.

Channels are counted from 1, exposures are in s, temperatures in degC.
"""

import numpy as np
import xarray as xr
from jaxtyping import Bool
from numpy.typing import ArrayLike

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.units import as_numbers, shown


@checked
def build_spectra(
    counts: ArrayLike,
    exposure: ArrayLike,
    time: ArrayLike | None = None,
    readout: ArrayLike = "",
    temperature: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    since_exit: ArrayLike | None = None,
    **attrs,
) -> xr.Dataset:
    """A checked archive of n spectra.

    counts: (n, C) cnt, or (C,) of one spectrum. exposure: (n,) s. time: (n,) UTC, NaT where unknown. readout: (n,)
    names. temperature: (n, 3) degC of the boards. bias: (n,) setting. since_exit: (n,) s since the last exit of the
    South Atlantic Anomaly, NaN where it does not matter. One value may stand for all n. attrs: satellite, synthetic,
    source, seed, ...

    Raises ValueError for counts that are no table, are NaN or negative, and exposures that are not positive.
    """
    counts = np.atleast_2d(as_numbers(counts, "counts"))
    if counts.ndim != 2:
        raise ValueError(f"`counts` must be (spectra, channels), but have {counts.ndim} dimensions")
    n, channels = counts.shape

    def column(values, missing, name, kind=float):
        try:
            values = np.asarray(missing if values is None else values, kind)
            return np.broadcast_to(values, (n,))
        except (ValueError, TypeError, OverflowError) as problem:
            rule = {str: "text", float: "a number"}.get(kind, "a time in UTC")
            raise ValueError(f"`{name}` must be {rule} for each of {n} spectra, but is {shown(values)}") from problem

    boards = np.full((n, 3), np.nan) if temperature is None else as_numbers(temperature, "temperature")
    if boards.shape != (n, 3):
        raise ValueError(f"`temperature` must be of three boards for each of {n} spectra, but is {shown(boards.shape)}")
    names = column(readout, "", "readout", str).astype(object)
    start = column(time, "NaT", "time", "datetime64[ns]")
    spectra = xr.Dataset(
        {
            "counts": variable(("spectrum", "channel"), counts, "count", "counts per channel"),
            "exposure": variable("spectrum", column(exposure, np.nan, "exposure"), "s", "exposure"),
            "time": variable("spectrum", start, None, "start of exposure, UTC"),
            "readout": variable("spectrum", names, "1", "readout channel"),
            "temperature": variable(("spectrum", "board"), boards, "degC", "temperature of the boards"),
            "bias": variable("spectrum", column(bias, np.nan, "bias"), "1", "bias setting"),
            "since_exit": variable(
                "spectrum", column(since_exit, np.nan, "since_exit"), "s", "time since the exit of the SAA"
            ),
        },
        {"channel": variable("channel", np.arange(1, channels + 1), "1", "ADC channel")},
        attrs,
    )
    return check_spectra(spectra)


@checked
def check_spectra(spectra: xr.Dataset) -> xr.Dataset:
    """``spectra`` unchanged. Raises ValueError, naming the first bad spectrum, if an analysis could not use them."""
    for name in ("counts", "exposure", "channel"):
        if name not in spectra.variables:
            raise ValueError(f"`spectra` must have the variable `{name}`, but it is missing")
    if spectra.sizes.get("spectrum", 0) == 0:
        raise ValueError("`spectra` must hold at least one spectrum, but is empty")
    counts, exposure = spectra["counts"].values, spectra["exposure"].values
    for bad, rule in ((~np.isfinite(counts), "be finite"), (counts < 0, "not be negative")):
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise ValueError(f"`counts` must {rule}, but spectrum {row} channel {column + 1} has {counts[row, column]}")
    reject(~(np.isfinite(exposure) & (exposure > 0)), "`exposure` must be positive, in s", exposure)
    return spectra


@checked
def select(spectra: xr.Dataset, readout: str) -> xr.Dataset:
    """The spectra (or values) of one readout channel. Raises ValueError when there are none."""
    chosen = spectra.isel({spectra["readout"].dims[0]: spectra["readout"].values == readout})
    if 0 in chosen.sizes.values():
        names = ", ".join(sorted(set(map(str, spectra["readout"].values))))
        raise ValueError(f"`readout` must be one of {names}, but is {shown(readout)}")
    return chosen


@checked
def stack(spectra: xr.Dataset, weights: str = "exposure") -> xr.Dataset:
    """Mean rate of many spectra and its Poisson error, cnt/s: (channel,).

    weights: "exposure" sums counts and exposures (the maximum-likelihood mean of one rate);
    "variance" weights each rate by its inverse Poisson variance, an empty channel counting as one count.
    Raises ValueError for other weights.
    """
    check_spectra(spectra)
    counts, exposure = spectra["counts"].values, spectra["exposure"].values[:, None]
    if weights == "exposure":
        total, seconds = counts.sum(0), float(exposure.sum())
        rate, variance = total / seconds, np.maximum(total, 1.0) / seconds**2
    elif weights == "variance":
        inverse = exposure**2 / np.maximum(counts, 1.0)
        rate, variance = (counts / exposure * inverse).sum(0) / inverse.sum(0), 1.0 / inverse.sum(0)
    else:
        raise ValueError(f'`weights` must be "exposure" or "variance", but is {shown(weights)}')
    return xr.Dataset(
        {
            "rate": variable("channel", rate, "count/s", "stacked count rate"),
            "rate_error": variable("channel", np.sqrt(variance), "count/s", "Poisson error of the rate"),
        },
        {"channel": spectra["channel"]},
        {**spectra.attrs, "exposure_s": float(exposure.sum()), "spectra": spectra.sizes["spectrum"]},
    )


def reject(where: Bool[np.ndarray, " n"], rule: str, value: np.ndarray) -> None:
    """Raise ValueError where any of ``where`` is true: the rule, the first such spectrum and its ``value`` (n,)."""
    if where.any():
        first = int(np.argmax(where))
        raise ValueError(f"{rule}, but spectrum {first} has {value[first]}")
