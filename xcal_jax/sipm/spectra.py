"""Pulse-height spectra as a Dataset: built with every check, turned into rates, stacked, made into templates.

Steps 1 and 2 of the chain. Channels are counted from 1, exposures are in s, temperatures in degC.
"""

import hashlib

import numpy as np
import xarray as xr

from xcal_jax.sipm.labels import labelled, reject

TEMPLATE_RULE = (
    "noise peak replaced by the rate of the first channel right of its maximum from which the mean of the "
    "next five channels is not lower by more than one sigma"
)


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
            "counts": labelled(("spectrum", "channel"), counts, "count", "counts per channel"),
            "exposure": labelled("spectrum", exposure, "s", "exposure"),
            "time": xr.Variable("spectrum", time, {"long_name": "start of exposure, UTC"}),
            "readout": labelled("spectrum", names, "1", "readout channel"),
            "temperature": labelled(("spectrum", "board"), boards, "degC", "temperature of the boards"),
            "bias": labelled("spectrum", setting, "1", "bias setting"),
            "since_exit": labelled("spectrum", after, "s", "time since the exit of the SAA"),
        },
        {"channel": labelled("channel", np.arange(1, channels + 1), "1", "ADC channel")},
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
            "rate": labelled("channel", rate, "count/s", "stacked count rate"),
            "rate_error": labelled("channel", np.sqrt(variance), "count/s", "Poisson error of the rate"),
        },
        {"channel": spectra["channel"]},
        {**spectra.attrs, "exposure_s": float(exposure.sum()), "spectra": spectra.sizes["spectrum"]},
    )


def peak_end(counts: np.ndarray) -> int:
    """Index of the first channel right of the noise peak, by `TEMPLATE_RULE`. counts: (C,) cnt.

    Raises ValueError when the fall from the maximum never ends.
    """
    start = int(np.argmax(counts))
    for i in range(start + 1, counts.size - 5):
        after = counts[i + 1 : i + 6].mean()
        if counts[i] - after <= np.sqrt(counts[i] + after / 5.0):
            return i
    raise ValueError(f"`template` must fall to a background right of channel {start + 1}, but never does")


def build_template(spectra: xr.Dataset, end: int | None = None) -> xr.Dataset:
    """Template rates, one per readout channel (step 2): early quiet spectra without their noise peak.

    Spectra of one readout are summed. end: the first channel right of the peak, found by `TEMPLATE_RULE` if
    none. Returns `rate`, `rate_error` (readout, channel) cnt/s, `exposure` s,
    `time`, `peak_end` (first channel right of the peak) and `checksum` (of the counts), by readout.
    """
    check_spectra(spectra)
    if end is not None and not 1 <= end <= spectra.sizes["channel"]:
        raise ValueError(f"`end` must be a channel from 1 to {spectra.sizes['channel']}, but is {end}")
    rows = []
    for name in sorted(set(map(str, spectra["readout"].values))):
        chosen = select(spectra, name)
        total, seconds = chosen["counts"].values.sum(0), float(chosen["exposure"].values.sum())
        first = peak_end(total) if end is None else end - 1
        rate, error = total / seconds, np.sqrt(np.maximum(total, 1.0)) / seconds
        rate[:first], error[:first] = rate[first], error[first]
        digest = hashlib.sha256(np.ascontiguousarray(total, "<f8").tobytes()).hexdigest()
        rows.append((name, rate, error, seconds, chosen["time"].values[0], first + 1, digest))
    names, rates, errors, exposures, times, ends, digests = zip(*rows, strict=True)
    return xr.Dataset(
        {
            "rate": labelled(("readout", "channel"), rates, "count/s", "template count rate"),
            "rate_error": labelled(("readout", "channel"), errors, "count/s", "error of the template rate"),
            "exposure": labelled("readout", exposures, "s", "exposure"),
            "time": xr.Variable("readout", np.array(times), {"long_name": "start of exposure, UTC"}),
            "peak_end": labelled("readout", ends, "1", "first channel right of the noise peak"),
            "checksum": labelled("readout", np.array(digests, object), "1", "SHA-256 of the summed counts"),
        },
        {
            "readout": labelled("readout", np.array(names, object), "1", "readout channel"),
            "channel": spectra["channel"],
        },
        {
            **spectra.attrs,
            "rule": TEMPLATE_RULE if end is None else f"noise peak below channel {end} replaced",
        },
    )


def template_rows(spectra: xr.Dataset, template: xr.Dataset) -> np.ndarray:
    """Row of ``template`` that belongs to each spectrum: (n,).

    Raises ValueError for a template of another readout channel, satellite or channel count.
    """
    if spectra.sizes["channel"] != template.sizes["channel"]:
        raise ValueError(
            f"`template` must have {spectra.sizes['channel']} channels as the spectra, "
            f"but has {template.sizes['channel']}"
        )
    ours, theirs = spectra.attrs.get("satellite"), template.attrs.get("satellite")
    if ours and theirs and ours != theirs:
        raise ValueError(f"`template` must be of {ours} as the spectra, but is of {theirs}")
    names = list(map(str, template["readout"].values))
    readouts = list(map(str, spectra["readout"].values))
    for name in readouts:
        if name not in names:
            raise ValueError(f"`template` must have the readout channel {name!r}, but has {', '.join(names)}")
    return np.array([names.index(name) for name in readouts])
