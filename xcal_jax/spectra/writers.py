"""Archives of spectra -> CSV, whole or not at all. `io.datasets.save` writes them as netCDF."""

import csv
from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.io.files import MARK, replacing
from xcal_jax.spectra.readers import BOARDS


def write_csv(spectra: xr.Dataset, path: str | Path) -> Path:
    """Write spectra as the CSV that `readers.read_csv` reads, numbers to 12 digits and NaN as an empty cell; its path.

    Raises ValueError when the folder is missing.
    """

    def cell(value) -> str:
        return "" if np.isnan(value) else f"{value:.12g}"

    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        file.write(f"# written by {MARK.decode()}\n")
        for key, value in spectra.attrs.items():
            if isinstance(value, (str, int, float, np.number)):
                file.write(f"# {key}: {value}\n")
        out = csv.writer(file, lineterminator="\n")
        names = ["utc", "exposure_s", "readout", *BOARDS, "bias", "since_exit_s"]
        out.writerow([*names, *(f"c{n}" for n in range(1, spectra.sizes["channel"] + 1))])
        for k in range(spectra.sizes["spectrum"]):
            one = {name: spectra[name].values[k] for name in ("time", "exposure", "readout", "temperature", "counts")}
            utc = "" if np.isnat(one["time"]) else str(one["time"])
            after = [spectra["bias"].values[k], spectra["since_exit"].values[k], *one["counts"]]
            out.writerow([utc, cell(one["exposure"]), one["readout"], *map(cell, [*one["temperature"], *after])])
    return Path(path)
