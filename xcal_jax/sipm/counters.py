"""What the counters of a detector can do: how many counts a channel holds, and for how long they are dead.

The depth of the counters is `counter_full` (counts) in the attributes of the spectra, where a file or the satellite's
TOML states it. Without it, a largest count of the archive that is exactly 2^16 - 1, 2^24 - 1 or 2^32 - 1 is taken for a
full counter. A full counter has lost an unknown number of counts, so its spectrum has no dark count rate.
"""

import numpy as np
import xarray as xr
from jaxtyping import Int

from xcal_jax.io.datasets import variable
from xcal_jax.spectra.dataset import reject
from xcal_jax.units import parse_quantity

FULL, MOSTLY_DEAD, BAD_LIVE = 2, 16, 32
DEPTHS = tuple(float(2**bits - 1) for bits in (16, 24, 32))
ROUNDING = 1.001  # live times over real times up to here are rounded


def full_counter(spectra: xr.Dataset) -> float:
    """Counts of a full channel; infinite where nothing tells."""
    stated = spectra.attrs.get("counter_full")
    if stated is not None:
        return float(stated)
    largest = float(spectra["counts"].max())
    return largest if largest in DEPTHS else np.inf


def counter_flags(spectra: xr.Dataset, full: float | None = None) -> Int[np.ndarray, " n"]:
    """Flags of each spectrum: `FULL`, `MOSTLY_DEAD`, `BAD_LIVE`. full: counts, as `full_counter` if none."""
    full = full_counter(spectra) if full is None else full
    flags = np.where((spectra["counts"].values >= full).any(1), FULL, 0)
    if "real_time" in spectra:
        live, real = spectra["exposure"].values, spectra["real_time"].values
        flags |= np.where(live < 0.5 * real, MOSTLY_DEAD, 0) | np.where(live > ROUNDING * real, BAD_LIVE, 0)
    return flags


def live_spectra(spectra: xr.Dataset, dead_time: float) -> xr.Dataset:
    """The spectra with live times as exposures: real time less ``dead_time`` (s) for every count.

    Spectra whose file states a real time have a live time already, and stay. Raises ValueError for a dead time that is
    not positive, or where the counts leave no live time.
    """
    dead_time = parse_quantity(dead_time, "s", "dead_time", above=0.0)
    real = spectra["exposure"].values
    stated = np.isfinite(spectra["real_time"].values)
    live = np.where(stated, real, real - dead_time * spectra["counts"].values.sum(1))
    reject(live <= 0, f"`dead_time` of {dead_time} s must leave some of the exposure", real)
    given = np.where(stated, spectra["real_time"].values, real)
    return spectra.assign(
        exposure=variable("spectrum", live, "s", "exposure, live time"),
        real_time=variable("spectrum", given, "s", "real time of the exposure"),
    )
