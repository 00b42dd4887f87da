"""A matrix split in two: what is sharp on fine rows, what is smooth on coarse ones.

The sharp part is the full-energy peak and the escape peaks that stand out; the smooth one is the loss continuum, with
the faint peaks. Rows of both parts for one photon energy together sum to 1. Channels are those of all rows: a spectrum
has one set of them.
"""

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from xcal_jax.response.components import in_rows
from xcal_jax.response.matrix import Part

WIDTH = 0.005  # of a coarse row, of its energy
FAINT = 3e-5  # of the photons: an escape peak below it is smooth
SMALL = 1e-7  # of a row: channels with less are not stored in the sharp part


def coarse_rows(response: xr.Dataset) -> Float[np.ndarray, " B"]:
    """Boundaries in eV of the coarse rows: some of those of ``response``, the absorption edges among them."""
    fine = np.append(response.low.values, response.high.values[-1])
    count = max(1, int(np.ceil(np.log(fine[-1] / fine[0]) / WIDTH)))
    wanted = np.append(np.geomspace(fine[0], fine[-1], count + 1), response.edge.values)
    return fine[np.unique(np.abs(np.searchsorted(0.5 * (fine[1:] + fine[:-1]), wanted)))]


def parts(response: xr.Dataset, coarse: xr.Dataset) -> tuple[Part, Part]:
    """The sharp part of ``response`` and the smooth part of ``coarse``, the same in rows of `coarse_rows`."""
    stand_out: Bool[np.ndarray, "r L"] = coarse.peaks.values >= FAINT
    group = np.searchsorted(coarse.low.values, response.energy.values) - 1
    return Part(peaks=stand_out[group], continuum=False), Part(core=False, peaks=~stand_out)


def coarsened(response: xr.Dataset) -> xr.Dataset:
    """The ``response`` in its `coarse_rows`."""
    return in_rows(response, coarse_rows(response))
