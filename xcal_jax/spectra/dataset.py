"""Pulse-height spectra as a Dataset: built with every check, selected, stacked to rates.

Channels are counted from 1, exposures are in s, temperatures in degC.
"""

import numpy as np
import xarray as xr

from xcal_jax.io.datasets import variable


def build_spectra(
    counts,
    exposure,
    time=None,
    readout="",
    temperature=None,
    bias=None,
    since_exit=None,
    **attrs,
) -> xr.Dataset:
    """Return a checked archive of spectra.

    counts: (n, C) cnt. exposure: (n,) s. time: (n,) UTC, NaT where unknown. readout: (n,) or one name.
    temperature: (n, 3) degC of the boards. bias: (n,) setting. since_exit: (n,) s since the last exit of the
    South Atlantic Anomaly, NaN where it does not matter. attrs: satellite, synthetic, source, seed, ...

    Raises ValueError for counts that are not a table, NaN or negative counts, exposures that are not
    positive.
    """
    counts = np.atleast_2d(np.asarray(counts, float))
    n, channels = counts.shape
    exposure = np.broadcast_to(np.asarray(exposure, float), (n,))
    missing = np.full(n, np.datetime64("NaT", "ns"))
    time = missing if time is None else np.broadcast_to(np.asarray(time, "datetime64[ns]"), (n,))
    boards = np.full((n, 3), np.nan) if temperature is None else np.asarray(temperature, float)
    setting = np.full(n, np.nan) if bias is None else np.broadcast_to(np.asarray(bias, float), (n,))
    after = np.full(n, np.nan) if since_exit is None else np.broadcast_to(np.asarray(since_exit, float), (n,))
    names = np.broadcast_to(np.asarray(readout, dtype=str), (n,)).astype(object)
    spectra = xr.Dataset(
        {
            "counts": variable(("spectrum", "channel"), counts, "count", "counts per channel"),
            "exposure": variable("spectrum", exposure, "s", "exposure"),
            "time": xr.Variable("spectrum", time, {"long_name": "start of exposure, UTC"}),
            "readout": variable("spectrum", names, "1", "readout channel"),
            "temperature": variable(("spectrum", "board"), boards, "degC", "temperature of the boards"),
            "bias": variable("spectrum", setting, "1", "bias setting"),
            "since_exit": variable("spectrum", after, "s", "time since the exit of the SAA"),
        },
        {"channel": variable("channel", np.arange(1, channels + 1), "1", "ADC channel")},
        attrs,
    )
    return check_spectra(spectra)


def check_spectra(spectra: xr.Dataset) -> xr.Dataset:
    """Return ``spectra`` unchanged; raise ValueError, naming the first bad one, if an analysis could not use
    it.
    """
    for name in ("counts", "exposure", "channel"):
        if name not in spectra.variables:
            raise ValueError(f"`spectra` must have the variable `{name}`, but it is missing")
    if spectra.sizes.get("spectrum", 0) == 0:
        raise ValueError("`spectra` must hold at least one spectrum, but is empty")
    counts, exposure = spectra["counts"].values, spectra["exposure"].values
    bad = ~np.isfinite(counts)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"`counts` must be finite, but spectrum {row} channel {column + 1} has {counts[row, column]}")
    if (counts < 0).any():
        row, column = np.argwhere(counts < 0)[0]
        raise ValueError(
            f"`counts` must not be negative, but spectrum {row} channel {column + 1} has {counts[row, column]}"
        )
    reject(~(np.isfinite(exposure) & (exposure > 0)), "`exposure` must be positive, in s", exposure)
    return spectra


def select(spectra: xr.Dataset, readout: str) -> xr.Dataset:
    """The spectra (or values) of one readout channel. Raises ValueError when there are none."""
    chosen = spectra.isel({spectra["readout"].dims[0]: spectra["readout"].values == readout})
    if 0 in chosen.sizes.values():
        names = ", ".join(sorted(set(map(str, spectra["readout"].values))))
        raise ValueError(f"`readout` must be one of {names}, but is {readout!r}")
    return chosen


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
        raise ValueError(f'`weights` must be "exposure" or "variance", but is {weights!r}')
    return xr.Dataset(
        {
            "rate": variable("channel", rate, "count/s", "stacked count rate"),
            "rate_error": variable("channel", np.sqrt(variance), "count/s", "Poisson error of the rate"),
        },
        {"channel": spectra["channel"]},
        {**spectra.attrs, "exposure_s": float(exposure.sum()), "spectra": spectra.sizes["spectrum"]},
    )


def reject(where: np.ndarray, rule: str, value) -> None:
    """Raise ValueError where any of ``where`` (n,) is true: the rule, the first such spectrum and its value."""
    where = np.asarray(where)
    if where.any():
        first = int(np.argmax(where))
        raise ValueError(f"{rule}, but spectrum {first} has {np.asarray(value)[first]}")
