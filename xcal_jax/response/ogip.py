"""Redistribution matrix and effective area as OGIP files (CAL/GEN/92-002 and 92-019), as soxs, sherpa and XSPEC read.

One MATRIX extension, 32-bit channel columns; a second one only where that is asked for. A matrix whose rows are stored
whole has one group a row. Each row sums to 1; the effective area holds the quantum efficiency times the fraction of
the row inside the channels.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

import numpy as np
import xarray as xr
from astropy.io import fits
from jaxtyping import Float, Int

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.io.fits_files import NAMES, write_fits
from xcal_jax.io.fits_ragged import Ragged
from xcal_jax.response.rows import Row

MOST_BYTES = 2**31 - 1  # that the 32-bit descriptors of a variable-length column reach
COPIES = 2  # of the matrix in memory: its rows, and the file, mapped while its checksums are found


@dataclass(frozen=True)
class Header:
    """What files of a matrix say besides numbers. first: number of the first channel, 0 or 1.

    cards: by name; history: lines on how it was made; comments: lines on the absorber.
    """

    first: int = 1
    cards: dict = field(default_factory=dict)
    history: Sequence[str] = ()
    comments: Sequence[str] = ()

    @classmethod
    def of(
        cls, response: xr.Dataset, history: Sequence[str] = (), first: int = 1, cards: dict | None = None
    ) -> "Header":
        """The header of files made from ``response``, with further ``cards``."""
        facts = response.attrs
        own = {
            "INSTRUME": _ascii(Absorber.from_toml(facts["absorber"]).name)[:60],
            "ELECTRON": (facts["electrons"], "electron model"),
            "YIELDS": (facts["yields"], "fluorescence yields"),
            "ATOMIC": (facts["atomic_tables"], "hash of the atomic tables"),
            "SEED": facts["seed"],
        }
        return cls(first, own | (cards or {}), history, facts["absorber"].splitlines())


def stored_bytes(rows: Sequence[Row]) -> int:
    """Size in bytes of ``rows`` in a file."""
    return sum(4 * row.values.size + (8 * row.first.size if row.first.size > 1 else 0) for row in rows)


def matrix_bytes(ends: Int[np.ndarray, " R"]) -> int:
    """Largest size in bytes of a matrix whose rows are stored whole and end before the channels ``ends``."""
    return 4 * int(np.sum(ends))


def check_fits_memory(size: int) -> None:
    """Raise ValueError where a matrix of ``size`` bytes is beyond the file format, or the memory that is free."""
    if size > MOST_BYTES:
        raise ValueError(
            f"the matrix must be at most {MOST_BYTES / 1e9:.2f} GB, the format's limit, but would be "
            f"{size / 1e9:.2f} GB: take a larger `thin`, wider `channels` or a coarser `grid`"
        )
    free = free_memory()
    if COPIES * size > free:
        raise ValueError(
            f"the matrix must leave memory to write it, but {COPIES} x {size / 1e9:.2f} GB are more than the "
            f"{free / 1e9:.2f} GB that are free: take a larger `thin`, wider `channels` or a coarser `grid`"
        )


def free_memory() -> float:
    """Bytes that can be had; all of the machine's where the system does not say."""
    facts = Path("/proc/meminfo")
    if facts.exists():
        lines = dict(line.split(":") for line in facts.read_text().splitlines())
        return 1024.0 * float(lines["MemAvailable"].split()[0])
    return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")


def write_rmf(
    path: str | os.PathLike,
    matrices: Sequence[tuple[Float[np.ndarray, " _"], Sequence[Row]]],
    channels: Float[np.ndarray, " C"],
    header: Header,
) -> None:
    """Write a matrix, whole or not at all; a file at ``path`` is replaced.

    matrices: for each MATRIX extension the boundaries of its rows, eV, and the rows; channels: boundaries, eV.
    """
    named = {"RMFVERSN": "1992a", "CHANTYPE": "PI", "DETCHANS": channels.size - 1}
    last = header.first + channels.size - 2
    tables = [_matrix(boundaries, rows, header, named, last) for boundaries, rows in matrices]
    if len(tables) > 1:
        for number, table in enumerate(tables, 1):
            table.table.ver = number
    numbers = np.arange(header.first, last + 1, dtype=np.int32)
    columns = [
        fits.Column("CHANNEL", "J", array=numbers),
        fits.Column("E_MIN", "E", "keV", array=channels[:-1] / 1000.0),
        fits.Column("E_MAX", "E", "keV", array=channels[1:] / 1000.0),
    ]
    ends = {"TLMIN1": header.first, "TLMAX1": last}
    write_fits(path, *tables, _table("EBOUNDS", columns, header, "EBOUNDS", "1.2.0", named | ends))


def write_arf(
    path: str | os.PathLike, boundaries: Float[np.ndarray, " B"], area: Float[np.ndarray, " R"], header: Header
) -> None:
    """Write the ``area`` (cm2) of rows between ``boundaries`` eV, whole or not at all; an older file is replaced."""
    columns = [*_energies(boundaries), fits.Column("SPECRESP", "E", "cm**2", array=area)]
    write_fits(path, _table("SPECRESP", columns, header, "SPECRESP", "1.1.0", {"ARFVERSN": "1992a"}))


def _matrix(boundaries: np.ndarray, rows: Sequence[Row], header: Header, named: dict, last: int) -> Ragged:
    groups = np.array([row.first.size for row in rows])
    first = [row.first + np.int32(header.first) for row in rows]
    columns = [*_energies(boundaries), fits.Column("N_GRP", "I", array=groups.astype(np.int16))]
    ragged = {"F_CHAN": first, "N_CHAN": [row.size for row in rows], "MATRIX": [row.values for row in rows]}
    if np.all(groups == 1):
        columns += [fits.Column(name, "J", array=np.concatenate(ragged.pop(name))) for name in ("F_CHAN", "N_CHAN")]
    sizes = {"NUMGRP": int(groups.sum()), "NUMELT": sum(row.values.size for row in rows), "LO_THRES": 0.0}
    ends = {"TLMIN4": header.first, "TLMAX4": last}
    cards = named | {"HDUCLAS3": "REDIST"} | sizes | ends
    return Ragged(_table("MATRIX", columns, header, "RSP_MATRIX", "1.3.0", cards), ragged)


def _energies(boundaries: np.ndarray) -> list[fits.Column]:
    """The columns of rows between ``boundaries`` eV, in keV."""
    ends = (boundaries / 1000.0).astype(np.float32)
    return [fits.Column(name, "E", "keV", array=at) for name, at in (("ENERG_LO", ends[:-1]), ("ENERG_HI", ends[1:]))]


def _table(
    name: str, columns: list[fits.Column], header: Header, kind: str, version: str, cards: dict
) -> fits.BinTableHDU:
    """An extension of OGIP's class RESPONSE: its ``kind`` and the ``version`` of its format, other ``cards``."""
    table = fits.BinTableHDU.from_columns(columns, name=name)
    table.header.update(NAMES | header.cards)
    table.header.update({"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": kind, "HDUVERS": version, **cards})
    for line in header.history:
        for piece in wrap(_ascii(line), 70):
            table.header.add_history(piece)
    for line in header.comments:
        table.header.add_comment(_ascii(line))
    return table


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
