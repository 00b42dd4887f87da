"""OGIP files of any telescope -> arrays: redistribution matrices, their rows and channels, effective areas.

Energies are in eV here, keV in the files. A matrix may stand in several MATRIX extensions, whose sum it is.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from jaxtyping import Float
from scipy.sparse import csr_array

from xcal_jax.io.tables import read_table
from xcal_jax.units import shown_path

JOINED = 1e-5  # relative gap between rows or channels, up to which they join: energies are in single precision
CARDS = ("TELESCOP", "INSTRUME", "DETNAM", "FILTER")


@dataclass(frozen=True)
class Matrix:
    """One MATRIX extension. boundaries: (R + 1,) eV of its rows; values: (R, C)."""

    boundaries: np.ndarray
    values: csr_array


@dataclass(frozen=True)
class Layout:
    """Rows and channels of a matrix. rows: (R + 1,) and channels: (C + 1,) eV; first: number of the first channel.

    cards: the header's words for the instrument, and its `FWHM` and others that `xcal-jax rmf` has written.
    """

    rows: np.ndarray
    channels: np.ndarray
    first: int
    cards: dict


def read_layout(path: str | os.PathLike) -> Layout:
    """Rows, channels and instrument of the matrix in the file ``path``.

    Raises ValueError when it is none, or rows or channels do not join and ascend.
    """
    with _opened(path, "a redistribution matrix") as file:
        return _layout(file, path)


def read_matrix(path: str | os.PathLike) -> tuple[Layout, list[Matrix]]:
    """Layout and extensions of the matrix in the file ``path``. Raises ValueError as `read_layout`."""
    with _opened(path, "a redistribution matrix") as file:
        layout = _layout(file, path)
        count = layout.channels.size - 1
        parts = []
        for table in _matrices(file):
            first = int(table.header.get(f"TLMIN{table.columns.names.index('F_CHAN') + 1}", layout.first))
            boundaries = _boundaries(table.data["ENERG_LO"], table.data["ENERG_HI"], path)
            parts.append(Matrix(boundaries, _sparse(table.data, first, count)))
        return layout, parts


def read_area(path: str | os.PathLike) -> tuple[Float[np.ndarray, " B"], Float[np.ndarray, " R"]]:
    """Boundaries (eV) of the rows of the ARF in the file ``path``, and its area (cm2). Raises ValueError for others."""
    with _opened(path, "an effective area (ARF)") as file:
        table = file["SPECRESP"]
        boundaries = _boundaries(table.data["ENERG_LO"], table.data["ENERG_HI"], path)
        area = np.asarray(table.data["SPECRESP"], float)
        unit = str(table.columns["SPECRESP"].unit or "cm2").replace("**", "").replace("^", "")
        if unit not in ("cm2", "m2"):
            raise ValueError(f"the area in {shown_path(path)} must be in cm2 or m2, but is in {unit}")
        return boundaries, area * (1e4 if unit == "m2" else 1.0)


def read_boundaries(path: str | os.PathLike, what: str) -> Float[np.ndarray, " B"]:
    """Boundaries in eV of the "rows" or "channels", ``what``, in the file ``path``: an OGIP file, or CSV.

    A CSV table has the columns low_ev and high_ev. Raises ValueError for other files, and where they do not join.
    """
    if Path(path).suffix.lower() == ".csv":
        table = read_table(path, shown_path(path))
        if tuple(table.columns) != ("low_ev", "high_ev") or table.empty:
            raise ValueError(f"{shown_path(path)} must have the columns low_ev,high_ev and at least one line")
        return _boundaries(1e-3 * table["low_ev"].to_numpy(), 1e-3 * table["high_ev"].to_numpy(), path)
    with _opened(path, f"an OGIP file with {what}") as file:
        if what == "channels":
            return _boundaries(file["EBOUNDS"].data["E_MIN"], file["EBOUNDS"].data["E_MAX"], path)
        table = next(table for table in file[1:] if "ENERG_LO" in table.columns.names)
        return _boundaries(table.data["ENERG_LO"], table.data["ENERG_HI"], path)


@contextmanager
def _opened(path: str | os.PathLike, what: str) -> Iterator[fits.HDUList]:
    if not Path(path).is_file():
        raise ValueError(f"{shown_path(path)} must be {what}, but does not exist")
    try:
        with fits.open(path, memmap=False) as file:
            yield file
    except (OSError, KeyError, TypeError, IndexError, AttributeError, StopIteration) as problem:
        raise ValueError(f"{shown_path(path)} must be {what}, but is not") from problem


def _matrices(file: fits.HDUList) -> list[fits.BinTableHDU]:
    found = [table for table in file[1:] if table.name in ("MATRIX", "SPECRESP MATRIX")]
    return found or [file["MATRIX"]]


def _layout(file: fits.HDUList, path: str | os.PathLike) -> Layout:
    table, bounds = _matrices(file)[0], file["EBOUNDS"]
    own = ("FWHM", "TRAPPING", "ELECTRON")
    return Layout(
        _boundaries(table.data["ENERG_LO"], table.data["ENERG_HI"], path),
        _boundaries(bounds.data["E_MIN"], bounds.data["E_MAX"], path),
        int(bounds.data["CHANNEL"][0]),
        {name: table.header[name] for name in (*CARDS, *own) if name in table.header},
    )


def _boundaries(low: np.ndarray, high: np.ndarray, path: str | os.PathLike) -> Float[np.ndarray, " B"]:
    """Boundaries in eV of intervals from ``low`` to ``high`` keV. Raises ValueError unless they join and ascend."""
    low, high = 1e3 * np.asarray(low, float), 1e3 * np.asarray(high, float)
    apart = np.flatnonzero(np.abs(low[1:] - high[:-1]) > JOINED * high[:-1])
    if apart.size:
        n = apart[0]
        raise ValueError(
            f"rows and channels in {shown_path(path)} must join, but one ends at {high[n]:g} eV and the next begins at "
            f"{low[n + 1]:g} eV"
        )
    boundaries = np.append(low, high[-1:])
    if not np.all(np.diff(boundaries) > 0.0):
        raise ValueError(f"rows and channels in {shown_path(path)} must ascend in energy")
    return boundaries


def _sparse(rows: np.ndarray, first: int, count: int) -> csr_array:
    """The matrix (R, ``count``) of the groups in the table ``rows``, whose channels begin with number ``first``."""
    values, channels, ends = [np.zeros(0)], [np.zeros(0, int)], [0]
    for groups, starts, sizes, row in zip(
        *(rows[name] for name in ("N_GRP", "F_CHAN", "N_CHAN", "MATRIX")), strict=True
    ):
        starts, sizes = (
            np.atleast_1d(part)[:groups].astype(int) - shift for part, shift in ((starts, first), (sizes, 0))
        )
        total = int(sizes.sum())
        channels.append(np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(total))
        values.append(np.atleast_1d(row)[:total].astype(float))
        ends.append(ends[-1] + total)
    return csr_array((np.concatenate(values), np.concatenate(channels), np.array(ends)), shape=(len(rows), count))
