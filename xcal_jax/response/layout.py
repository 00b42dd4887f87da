"""Rows and channels of a matrix, as the user asks for them or as the detector's resolution wants them.

A line through a matrix is as wide as the resolution, the row and the channel together (`Resolution.through`). With rows
of a fifth and channels of a sixth of the FWHM it is at most 1.8 % wider than the resolution.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from xcal_jax.response.energy_grid import channels_between, parse_grid, rows_between
from xcal_jax.response.ogip_reader import CARDS, Layout, read_boundaries, read_layout
from xcal_jax.response.resolution import Resolution

ROWS_PER_FWHM, CHANNELS_PER_FWHM = 5.0, 6.0
LOWEST = 200.0  # eV, from which channels reach, unless the grid begins below
BEYOND = 5.0  # FWHM that channels reach further than the grid


def layout(grid: str, channels: str | None, like: str | None, resolution: Resolution) -> tuple[Layout, bool]:
    """Rows and channels as the options of `xcal-jax rmf` say, and whether the rows are to stay exactly as they are.

    Raises ValueError where an option makes no sense.
    """
    if like is not None:
        if channels is not None:
            raise ValueError("`like` and `channels` exclude each other: the official matrix has channels")
        official = read_layout(like)
        return replace(official, cards={name: official.cards[name] for name in CARDS if name in official.cards}), True
    exact = Path(grid).is_file()
    rows = read_boundaries(grid, "rows") if exact else parse_grid(grid, "grid")
    if not exact and grid.count(":") == 1:
        rows = rows_between(rows[0], rows[1], lambda energy: resolution.at(energy) / ROWS_PER_FWHM)
    return Layout(_stored(rows), _stored(_channels(channels, rows, resolution)), 1, {}), exact


def _stored(boundaries: np.ndarray) -> Float[np.ndarray, " B"]:
    """The ``boundaries`` in eV as a file has them, in keV and single precision."""
    return 1e3 * (boundaries / 1e3).astype(np.float32).astype(float)


def _channels(channels: str | None, rows: np.ndarray, resolution: Resolution) -> Float[np.ndarray, " C"]:
    if channels is not None and Path(channels).is_file():
        return read_boundaries(channels, "channels")
    if channels is not None and channels.count(":") != 1:
        return parse_grid(channels, "channels")
    if channels is None:
        lowest = min(LOWEST, float(rows[0]))
        low = max(0.5 * lowest, lowest - BEYOND * float(resolution.at(lowest)))
        high = float(rows[-1] + BEYOND * resolution.at(rows[-1]))
    else:
        low, high = parse_grid(channels, "channels")
    within = np.linspace(low, high, 2**12)
    return channels_between(low, high, float(np.min(resolution.at(within))) / CHANNELS_PER_FWHM)
