"""Rows of a redistribution matrix: the components of a response, seen with the detector's energy resolution.

A row is the mean over its photon energies. The full-energy peak and the escape peaks are Gaussians, averaged over
the row and integrated over the channels in closed form (`line_shape`): the part of a peak below x is
[I(x - low) - I(x - high)] / (high - low), where I is the integral of the distribution about the peak. The loss
continuum is even within its cells: where its density rises by D at y, the part below x gains D max(x - y, 0), and
D I(x - y) as the detector sees it. Both may have a tail of trapped heat. Channels may differ in width. Each row sums
to 1, a part of a row to its fraction; what falls into the channels at all goes with the effective area.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from xcal_jax.response.line_shape import gaussian_integral, integral_below
from xcal_jax.response.resolution import Resolution
from xcal_jax.response.rows import Row, Store, whole
from xcal_jax.simulation.trapping import Trapping

SIGMAS = 6.0  # to which a peak's Gaussian is followed: 2e-9 lie beyond
TAIL = 21.0  # mean losses to which the tail of trapped heat is followed: 1e-9 lie beyond
LEAST = 1e-10  # of the photons, that the detector moves across an edge in the continuum, to be reckoned with
EVEN = 0.01  # relative differences of widths that are rounding alone: energies in files are in single precision
NO_TRAPPING = Trapping(0.0, 1.0)


@dataclass(frozen=True)
class Part:
    """What of a response the rows hold: full-energy peak, escape peaks, loss continuum.

    peaks: whether each escape peak of each row (R, L) is in it, or all of them, or none.
    """

    core: bool = True
    peaks: Bool[np.ndarray, "R L"] | bool = True
    continuum: bool = True


ALL, LOSSES = Part(), Part(core=False)


def check_covers(
    channels: Float[np.ndarray, " C"], boundaries: Float[np.ndarray, " B"], resolution: Resolution
) -> None:
    """Raise ValueError unless ``channels`` eV hold all rows, between ``boundaries`` eV, and the ``resolution``."""
    widest = float(np.max(resolution.fwhm))
    if widest > channels[-1] - channels[0]:
        raise ValueError(
            f"the FWHM must be less than the range of `channels`, {channels[-1] - channels[0]:g} eV, "
            f"but is {widest:g} eV"
        )
    if channels[0] > boundaries[0] or channels[-1] < boundaries[-1]:
        raise ValueError(
            f"`channels` must cover the grid, {boundaries[0]:g} to {boundaries[-1]:g} eV, "
            f"but run from {channels[0]:g} to {channels[-1]:g} eV"
        )


def check_trapping(channels: Float[np.ndarray, " C"], trapping: Trapping) -> None:
    """Raise ValueError where there is ``trapping`` and the ``channels`` (eV), but for the last, differ in width."""
    width = np.diff(channels)[:-1]
    if trapping.fraction and width.size and np.ptp(width) > EVEN * width[0]:
        raise ValueError(
            f"`trapping` needs channels of one width, but they are {width.min():g} to {width.max():g} eV wide"
        )


def row_ends(
    boundaries: Float[np.ndarray, " B"], channels: Float[np.ndarray, " C"], resolution: Resolution
) -> Int[np.ndarray, " R"]:
    """The channel after the last of each row: rows reach from the first channel to their full-energy peak."""
    top = boundaries[1:] + SIGMAS * resolution.sigma(boundaries[1:])
    return np.clip(np.searchsorted(channels, top), 1, channels.size - 1)


def without_losses(response: xr.Dataset) -> xr.Dataset:
    """A ``response`` with the full-energy peak alone."""
    return response.assign({name: 0.0 * response[name] for name in ("partial", "peaks", "continuum")})


def fold(
    response: xr.Dataset,
    channels: Float[np.ndarray, " C"],
    resolution: Resolution,
    trapping: Trapping = NO_TRAPPING,
    part: Part = ALL,
    store: Store = whole,
) -> Iterator[Row]:
    """Yield the rows of ``response`` in channels whose boundaries are ``channels`` eV.

    part: what of the response they hold; store: makes a `Row` of its number, its values by channel and the fraction of
    the photons that is contained in the channels.
    """
    values = {name: response[name].values for name in ("low", "high", "energy", "partial", "peaks", "continuum")}
    boundaries = np.append(values["low"], values["high"][-1])
    cells = np.append(response.cell_low.values, 1.0)
    line_energy = response.line_energy.values
    taken = np.broadcast_to(np.asarray(part.peaks), values["peaks"].shape)
    for r, end in enumerate(row_ends(boundaries, channels, resolution)):
        energy, edges = values["energy"][r], channels[: end + 1]
        seen = (values["peaks"][r] > 0.0) & (line_energy < energy)
        lost = np.append(0.0, line_energy[seen])
        intensity = np.append(1.0 - values["partial"][r], values["peaks"][r][seen])
        low, high, sigma = values["low"][r] - lost, values["high"][r] - lost, resolution.sigma(energy - lost)
        inside = np.append(part.core, taken[r][seen])
        lines, others = (
            peaks_in_channels(low[at], high[at], sigma[at], intensity[at], edges, trapping) for at in (inside, ~inside)
        )
        continuum = continuum_in_channels(values["continuum"][r], cells * energy, edges, resolution, trapping)
        contained = float(lines.sum() + others.sum() + continuum.sum())
        row = lines + continuum if part.continuum else lines
        yield store(r, np.maximum(row, 0.0) / contained, contained)


def peaks_in_channels(
    low: Float[np.ndarray, " P"],
    high: Float[np.ndarray, " P"],
    sigma: Float[np.ndarray, " P"],
    intensity: Float[np.ndarray, " P"],
    channels: Float[np.ndarray, " C"],
    trapping: Trapping = NO_TRAPPING,
) -> Float[np.ndarray, " c"]:
    """Sum of peaks of ``intensity`` in the ``channels`` (eV), their places uniform from ``low`` to ``high`` eV."""
    if not low.size:
        return np.zeros(channels.size - 1)
    tail = TAIL * trapping.scale if trapping.fraction else 0.0
    at = _edges_near(low - SIGMAS * sigma - tail, high + SIGMAS * sigma, channels)
    x = channels[at]
    low, high, sigma = low[:, None], high[:, None], sigma[:, None]
    below = (integral_below(x - low, sigma, trapping) - integral_below(x - high, sigma, trapping)) / (high - low)
    content = intensity[:, None] * np.diff(below, axis=1)
    return np.bincount(np.maximum(at[:, 1:] - 1, 0).ravel(), content.ravel(), channels.size - 1)


def continuum_in_channels(
    continuum: Float[np.ndarray, " K"],
    cells: Float[np.ndarray, " k"],
    channels: Float[np.ndarray, " C"],
    resolution: Resolution,
    trapping: Trapping = NO_TRAPPING,
) -> Float[np.ndarray, " c"]:
    """The ``continuum``, even within cells whose boundaries are ``cells`` eV, in the ``channels`` (eV).

    With trapping, all channels but the last must have one width.
    """
    rises = np.diff(continuum / np.diff(cells), prepend=0.0, append=0.0)
    below = np.interp(channels, cells, np.append(0.0, np.cumsum(continuum)))
    sigma = resolution.sigma(cells)
    sharp = np.abs(rises) * sigma > LEAST
    if sharp.any():
        cells, rises, sigma = cells[sharp], rises[sharp], sigma[sharp]
        at = _edges_near(cells - SIGMAS * sigma, cells + SIGMAS * sigma, channels)
        away = channels[at] - cells[:, None]
        blurred = rises[:, None] * (gaussian_integral(away, sigma[:, None]) - np.maximum(away, 0.0))
        once = np.diff(at, prepend=-1) > 0  # an edge at the end of the channels may stand in a window several times
        below += np.bincount(at[once], blurred[once], channels.size)
    return trapping.spread(np.diff(below), channels[1] - channels[0]) if trapping.fraction else np.diff(below)


def _edges_near(low: np.ndarray, high: np.ndarray, channels: np.ndarray) -> Int[np.ndarray, "P W"]:
    """Boundaries of channels, by number, from the last below ``low`` to the first above ``high``, as many for all."""
    first = np.searchsorted(channels, low, side="right") - 1
    width = int(np.max(np.searchsorted(channels, high) - first))
    return np.clip(first[:, None] + np.arange(width + 1), 0, channels.size - 1)
