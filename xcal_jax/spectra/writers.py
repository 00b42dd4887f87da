"""Archives of spectra -> CSV, one spectrum -> OGIP PHA, whole or not at all. `io.datasets.save` writes netCDF."""

import csv
import os
from pathlib import Path

import numpy as np
import xarray as xr
from astropy.io import fits
from jaxtyping import Int

from xcal_jax.io.files import MARK, replacing
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


def write_csv(spectra: xr.Dataset, path: str | Path) -> Path:
    """Write spectra as the CSV that `archives.read_csv` reads, numbers to 12 digits and NaN as an empty cell; its path.

    A file at ``path`` is replaced. Raises ValueError when the folder is missing.
    """

    def cell(value) -> str:
        return "" if np.isnan(value) else f"{value:.12g}"

    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        file.write(f"# written by {MARK.decode()}\n")
        for key, value in spectra.attrs.items():
            if isinstance(value, (str, int, float, np.number)):
                file.write(f"# {key}: {value}\n")
        out = csv.writer(file, lineterminator="\n")
        boards = [f"temperature_{n}_degC" for n in range(1, spectra.sizes["board"] + 1)]
        names = ["utc", "exposure_s", "real_time_s", "readout", *boards, "bias", "since_exit_s"]
        out.writerow([*names, *(f"c{n}" for n in spectra["channel"].values)])
        columns = [spectra[name].values for name in ("time", "exposure", "real_time", "readout", "temperature")]
        columns += [spectra[name].values for name in ("bias", "since_exit", "counts")]
        for time, exposure, real, readout, temperature, bias, since, counts in zip(*columns, strict=True):
            utc = "" if np.isnat(time) else str(time)
            after = map(cell, [*temperature, bias, since, *counts])
            out.writerow([utc, cell(exposure), cell(real), readout, *after])
    return Path(path)


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
    """Write ``counts`` in channels from number ``first``, ``exposure`` in s, as a PHA file of type I (OGIP/92-007).

    rmf, arf: files that belong to it, named in the header; cards: of the instrument; history: lines on how it was made.
    A file at ``path`` is replaced. Raises ValueError when the folder is missing.
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
