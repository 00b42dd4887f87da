"""Spectra -> OGIP PHA files of type I (OGIP/92-007), as XSPEC, sherpa and others read them."""

import os

import numpy as np
from astropy.io import fits
from jaxtyping import Int

from xcal_jax.io.fits_files import NAMES, write_fits

CARDS = {
    "HDUCLASS": "OGIP",
    "HDUCLAS1": "SPECTRUM",
    "HDUCLAS2": "TOTAL",
    "HDUCLAS3": "COUNT",
    "HDUVERS": "1.2.1",
    "CHANTYPE": "PI",
    "BACKFILE": "none",
    "CORRFILE": "none",
    "CORRSCAL": 1.0,
    "AREASCAL": 1.0,
    "BACKSCAL": 1.0,
    "SYS_ERR": 0,
    "QUALITY": 0,
    "GROUPING": 0,
    "POISSERR": True,
}


def write_pha(
    path: str | os.PathLike[str],
    counts: Int[np.ndarray, " C"],
    first: int,
    exposure: float,
    rmf: str | os.PathLike[str],
    arf: str | os.PathLike[str] | None = None,
    cards: dict | None = None,
    history: tuple[str, ...] = (),
) -> None:
    """Write ``counts`` in channels from number ``first``, of an ``exposure`` in s, whole or not at all.

    rmf, arf: files that belong to it, named in the header; cards: of the instrument; history: lines on how it was made.
    Raises ValueError when the folder is missing.
    """
    last = first + counts.size - 1
    columns = [
        fits.Column("CHANNEL", "J", array=np.arange(first, last + 1, dtype=np.int32)),
        fits.Column("COUNTS", "J", "count", array=counts.astype(np.int32)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    files = {"RESPFILE": os.path.basename(rmf), "ANCRFILE": os.path.basename(arf) if arf else "none"}
    sizes = {"EXPOSURE": (exposure, "[s]"), "DETCHANS": counts.size, "TLMIN1": first, "TLMAX1": last}
    table.header.update(NAMES | (cards or {}) | CARDS | files | sizes)
    for line in history:
        table.header.add_history(line)
    write_fits(path, table)
