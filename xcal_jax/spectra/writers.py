"""Archives of spectra -> CSV, whole or not at all. `io.datasets.save` writes them as netCDF."""

import csv
from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.io.files import replacing
from xcal_jax.spectra.readers import BOARDS


def write_csv(spectra: xr.Dataset, path: str | Path) -> Path:
    """Write spectra as the CSV that `readers.read_csv` reads: counts in full, NaN as an empty cell."""
    channels = spectra.sizes["channel"]

    def cell(value) -> str:
        return "" if np.isnan(value) else f"{value:.12g}"

    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        for key, value in spectra.attrs.items():
            if isinstance(value, (str, int, float, np.number)):
                file.write(f"# {key}: {value}\n")
        out = csv.writer(file, lineterminator="\n")
        names = ["utc", "exposure_s", "readout", *BOARDS, "bias", "since_exit_s"]
        out.writerow([*names, *(f"c{n}" for n in range(1, channels + 1))])
        for k in range(spectra.sizes["spectrum"]):
            one = spectra.isel(spectrum=k)
            utc = "" if np.isnat(one["time"].values) else str(one["time"].values)
            numbers = [*one["temperature"].values, one["bias"].values, one["since_exit"].values]
            row = [utc, cell(one["exposure"].values), str(one["readout"].values), *map(cell, numbers)]
            out.writerow([*row, *map(cell, one["counts"].values)])
    return Path(path)
