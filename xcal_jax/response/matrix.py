"""Rows of a redistribution matrix: the components of a response, seen with the detector's energy resolution.

A row is the mean over its photon energies. The full-energy peak and the escape peaks are Gaussians, averaged over
the row and integrated over the channels in closed form (`line_shape`): the part of a peak below x is
[I(x - low) - I(x - high)] / (high - low), where I is the integral of the distribution about the peak. The loss
continuum, linear within its cells, is spread by a Gaussian filter. Both may have a tail of trapped heat. Each row sums
to 1; the fraction of the photons that falls into the channels goes with the effective area.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter1d

from xcal_jax.absorber.source import read_spectrum
from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.io.arguments import checked
from xcal_jax.response.line_shape import integral_below
from xcal_jax.simulation.trapping import Trapping
from xcal_jax.units import parse_quantity, shown_path

SIGMAS = 6.0  # to which a peak's Gaussian is followed: 2e-9 lie beyond
TAIL = 21.0  # mean losses to which the tail of trapped heat is followed: 1e-9 lie beyond
NO_TRAPPING = Trapping(0.0, 1.0)


@dataclass(frozen=True)
class Resolution:
    """Full width at half maximum (F,) eV at energies (F,) eV, linear between them and constant beyond the ends."""

    energy: np.ndarray
    fwhm: np.ndarray

    @classmethod
    @checked
    def build(cls, fwhm: str | float | None = None, file: str | os.PathLike | None = None) -> "Resolution":
        """One width for all energies, or those of a two-column ``file`` (energy, FWHM, both eV).

        Raises ValueError unless exactly one is given and all widths are positive.
        """
        if (fwhm is None) == (file is None):
            raise ValueError("a resolution needs `--fwhm` or `--fwhm-file`, and not both")
        if fwhm is not None:
            energy, width = np.zeros(1), np.array([parse_quantity(fwhm, "eV", "--fwhm")])
        elif file is not None:
            energy, width = read_spectrum(file)
            if not np.all(np.isfinite(energy)) or np.any(np.diff(energy) <= 0):
                raise ValueError(f"energies in {shown_path(file)} must be finite and ascend")
        if not np.all(np.isfinite(width) & (width > 0)):
            worst = width[~(np.isfinite(width) & (width > 0))][0]
            raise ValueError(f"the FWHM must be positive and finite, but is {worst:g} eV")
        return cls(energy, width)

    def sigma(self, energy: np.ndarray | float) -> np.ndarray:
        """Standard deviation in eV at ``energy`` in eV."""
        return np.interp(energy, self.energy, self.fwhm) / FWHM_PER_SIGMA


@dataclass(frozen=True)
class Row:
    """One row of the matrix. first: its first channel, from 0; values: (C,) float32, of its channels, which sum to 1.

    contained: the fraction of all photons that falls into channels; left_out: the part of these below a threshold.
    """

    first: int
    values: np.ndarray
    contained: float
    left_out: float


def check_covers(
    channels: Float[np.ndarray, " C"], boundaries: Float[np.ndarray, " B"], resolution: Resolution
) -> None:
    """Raise ValueError unless ``channels`` eV hold all rows, between ``boundaries`` eV, and the ``resolution``."""
    widest = float(np.max(resolution.fwhm))
    if widest > channels[-1] - channels[0]:
        raise ValueError(
            f"the FWHM must be less than the range of `--channels`, {channels[-1] - channels[0]:g} eV, "
            f"but is {widest:g} eV"
        )
    if channels[0] > boundaries[0] or channels[-1] < boundaries[-1]:
        raise ValueError(
            f"`--channels` must cover the grid, {boundaries[0]:g} to {boundaries[-1]:g} eV, "
            f"but run from {channels[0]:g} to {channels[-1]:g} eV"
        )


def row_ends(
    boundaries: Float[np.ndarray, " B"], channels: Float[np.ndarray, " C"], resolution: Resolution
) -> Int[np.ndarray, " R"]:
    """The channel after the last of each row: rows reach from the first channel to their full-energy peak."""
    top = boundaries[1:] + SIGMAS * resolution.sigma(boundaries[1:])
    return np.clip(np.searchsorted(channels, top), 1, channels.size - 1)


def fold(
    response: xr.Dataset,
    channels: Float[np.ndarray, " C"],
    resolution: Resolution,
    threshold: float = 0.0,
    trapping: Trapping = NO_TRAPPING,
) -> Iterator[Row]:
    """Yield the rows of ``response`` in channels of one width, whose boundaries are ``channels`` eV.

    threshold: channels with less are left out, from the lowest up to the first that has more.
    """
    values = {name: response[name].values for name in ("low", "high", "energy", "partial", "peaks", "continuum")}
    boundaries = np.append(values["low"], values["high"][-1])
    cells = np.append(response.cell_low.values, 1.0)
    line_energy = np.append(0.0, response.line_energy.values)
    step = channels[1] - channels[0]
    for r, end in enumerate(row_ends(boundaries, channels, resolution)):
        energy = values["energy"][r]
        intensity = np.append(1.0 - values["partial"][r], values["peaks"][r])
        seen = (intensity > 0.0) & (line_energy < energy)
        spread = resolution.sigma(energy - line_energy[seen])
        row = peaks_in_channels(
            values["low"][r] - line_energy[seen],
            values["high"][r] - line_energy[seen],
            spread,
            intensity[seen],
            channels[: end + 1],
            trapping,
        )
        below = np.append(0.0, np.cumsum(values["continuum"][r]))
        continuum = np.diff(np.interp(channels[: end + 1], cells * energy, below))
        row += gaussian_filter1d(trapping.spread(continuum, step), resolution.sigma(energy) / step, mode="constant")
        yield _cut(row, threshold)


def peaks_in_channels(
    low: Float[np.ndarray, " P"],
    high: Float[np.ndarray, " P"],
    sigma: Float[np.ndarray, " P"],
    intensity: Float[np.ndarray, " P"],
    channels: Float[np.ndarray, " C"],
    trapping: Trapping = NO_TRAPPING,
) -> Float[np.ndarray, " c"]:
    """Sum of peaks of ``intensity`` in the ``channels`` (eV), their places uniform from ``low`` to ``high`` eV."""
    step = channels[1] - channels[0]
    count = channels.size - 1
    tail = TAIL * trapping.scale if trapping.fraction else 0.0
    start = np.maximum(0, np.floor((low - SIGMAS * sigma - tail - channels[0]) / step).astype(int))
    width = min(count, int(np.max((high - low + 2.0 * SIGMAS * sigma + tail) / step)) + 2)
    at = start[:, None] + np.arange(width + 1)
    x = channels[0] + step * at
    low, high, sigma = low[:, None], high[:, None], sigma[:, None]
    below = (integral_below(x - low, sigma, trapping) - integral_below(x - high, sigma, trapping)) / (high - low)
    content = intensity[:, None] * np.diff(below, axis=1)
    inside = at[:, :-1] < count
    return np.bincount(at[:, :-1][inside], content[inside], minlength=count)


def _cut(row: np.ndarray, threshold: float) -> Row:
    row = np.maximum(row, 0.0)
    contained = float(row.sum())
    kept = np.flatnonzero(row / contained > threshold)
    first, last = int(kept[0]), int(kept[-1]) + 1
    part = row[first:last]
    return Row(first, (part / part.sum()).astype(np.float32), contained, 1.0 - float(part.sum()) / contained)
