"""Archives of spectra -> CSV, whole or not at all. `io.datasets.save` writes them as netCDF."""

import csv
from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.io.files import replacing


def write_csv(spectra: xr.Dataset, path: str | Path) -> Path:
    """Write spectra as the CSV that `archives.read_csv` reads, numbers to 12 digits and NaN as an empty cell; its path.

    Raises ValueError when the folder is missing.
    """

    def cell(value) -> str:
        return "" if np.isnan(value) else f"{value:.12g}"

    with replacing(path) as temporary, temporary.open("w", newline="") as file:
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
