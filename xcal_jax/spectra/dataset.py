"""Pulse-height spectra as a Dataset: built with every check, selected, stacked to rates.

Channels are counted from 1, the detector's first, exposures are in s, temperatures in degC.
"""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.spectra.times import YEARS, beyond_years
from xcal_jax.units import as_numbers, parse_whole, shown


@checked
def build_spectra(counts: ArrayLike, exposure: ArrayLike, *values: Any, **attrs: Any) -> xr.Dataset:
    """A checked archive of n spectra. The arguments are those of `assemble_spectra`.

    Raises ValueError for counts that are no table, are NaN or negative, and exposures that are not positive.
    """
    return check_spectra(assemble_spectra(counts, exposure, *values, **attrs))


@checked
def assemble_spectra(
    counts: ArrayLike,
    exposure: ArrayLike,
    time: ArrayLike | None = None,
    readout: ArrayLike = "",
    temperature: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    since_exit: ArrayLike | None = None,
    real_time: ArrayLike | None = None,
    first_channel: int = 1,
    device_energy: ArrayLike | None = None,
    **attrs,
) -> xr.Dataset:
    """An archive of n spectra, whose values nobody has checked.

    counts: (n, C) cnt, or (C,) of one spectrum. exposure: (n,) s, the live time. time: (n,) UTC, NaT where unknown.
    readout: (n,) names. temperature: (n, B) degC of the boards. bias: (n,) setting. since_exit: (n,) s since the last
    exit of the South Atlantic Anomaly, NaN where it does not matter. real_time: (n,) s, dead time included. One value
    may stand for all n. first_channel: number of the first channel. device_energy: (n, C) or (C,) keV, each channel's
    by the device's own calibration. attrs: satellite, synthetic, source, seed, ...

    Raises ValueError for counts that are no table, columns that are not of as many spectra, and times before 1678 or
    after 2261, which no 64-bit count of nanoseconds reaches.
    """
    counts = np.atleast_2d(as_numbers(counts, "counts"))
    first = parse_whole(first_channel, "first_channel", least=1)
    if counts.ndim != 2:
        raise ValueError(f"`counts` must be (spectra, channels), but have {counts.ndim} dimensions")
    n, channels = counts.shape

    def column(values, missing, name, kind=float):
        try:
            return np.broadcast_to(np.asarray(missing if values is None else values, kind), (n,))
        except (ValueError, TypeError, OverflowError) as problem:
            rule = {str: "text", float: "a number"}.get(kind, "a time in UTC")
            raise ValueError(f"`{name}` must be {rule} for each of {n} spectra, but is {shown(values)}") from problem

    boards = np.full((n, 3), np.nan) if temperature is None else as_numbers(temperature, "temperature")
    if boards.ndim != 2 or len(boards) != n:
        raise ValueError(f"`temperature` must be (spectra, boards) of {n} spectra, but has shape {boards.shape}")
    names = column(readout, "", "readout", str).astype(object)
    seconds = column(time, "NaT", "time", "datetime64[s]")
    reject(beyond_years(seconds), f"`time` {YEARS}", seconds)
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
            "real_time": variable("spectrum", column(real_time, np.nan, "real_time"), "s", "real time of the exposure"),
        },
        {"channel": variable("channel", first + np.arange(channels), "1", "ADC channel")},
        attrs,
    )
    if device_energy is not None:
        energy = as_numbers(device_energy, "device_energy")
        if energy.shape not in ((channels,), (n, channels)):
            rule = f"of {channels} channels, or of each of {n} spectra too"
            raise ValueError(f"`device_energy` must be {rule}, but has shape {energy.shape}")
        energy = np.broadcast_to(energy, (n, channels))
        own = variable(("spectrum", "channel"), energy, "keV", "energy by the device's own calibration")
        spectra = spectra.assign(device_energy=own)
    return spectra


def polynomial_energy(coefficients: list[float], first: int, channels: int) -> Float[np.ndarray, " C"]:
    """Energies of ``channels`` channels from ``first`` on, by a polynomial that counts channels from 0: (C,)."""
    return np.polynomial.polynomial.polyval(first + np.arange(channels), coefficients)


def faults(spectra: xr.Dataset) -> list[tuple[int, str]]:
    """Place and fault of every spectrum that an analysis could not use: counts or exposures that are none."""
    counts, exposure = spectra["counts"].values, spectra["exposure"].values
    found: dict[int, str] = {}
    channel = spectra["channel"].values
    for bad, rule in ((~np.isfinite(counts), "be finite"), (counts < 0, "not be negative")):
        for row in np.flatnonzero(bad.any(1)):
            place = int(np.argmax(bad[row]))
            found.setdefault(
                int(row), f"`counts` must {rule}, but {{}} channel {channel[place]} has {counts[row, place]}"
            )
    for row in np.flatnonzero(~(np.isfinite(exposure) & (exposure > 0))):
        found.setdefault(int(row), f"`exposure` must be positive, in s, but {{}} has {exposure[row]}")
    return sorted(found.items())


@checked
def check_spectra(spectra: xr.Dataset) -> xr.Dataset:
    """``spectra`` unchanged. Raises ValueError, naming the first bad spectrum, if an analysis could not use them."""
    for name in ("counts", "exposure", "channel"):
        if name not in spectra.variables:
            raise ValueError(f"`spectra` must have the variable `{name}`, but it is missing")
    if spectra.sizes.get("spectrum", 0) == 0:
        raise ValueError("`spectra` must hold at least one spectrum, but is empty")
    for row, fault in faults(spectra)[:1]:
        raise ValueError(fault.format(f"spectrum {row}"))
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
