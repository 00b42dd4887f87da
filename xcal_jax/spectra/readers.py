"""Files of spectra -> the Dataset of `spectra.dataset`. Formats: CSV and netCDF archives, SPE, N42 (2006 and 2011),
RadiaCode and BecqMoni XML, FITS PHA; each also compressed by gzip.

Times are UTC: offsets are taken off. The device's own energy calibration, where a file has one, is `device_energy`, keV
of every channel.
"""

import gzip
import os
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import xarray as xr

from xcal_jax.io.arguments import checked
from xcal_jax.spectra.archives import read_csv, read_netcdf
from xcal_jax.spectra.markup import read_markup
from xcal_jax.spectra.pha import read_pha
from xcal_jax.spectra.spe import read_spe
from xcal_jax.units import shown_path

ARCHIVES: dict[str, Callable] = {".nc": read_netcdf, ".csv": read_csv}
READERS: dict[str, Callable] = {
    **ARCHIVES,
    ".spe": read_spe,
    ".n42": read_markup,
    ".xml": read_markup,
    ".pha": read_pha,
    ".pi": read_pha,
    ".fits": read_pha,
    ".fit": read_pha,
}


@checked
def read_spectra(path: str | Path, strict: bool = False) -> xr.Dataset:
    """The spectra in a file of one of the formats, which its suffix tells (and .gz may follow).

    strict: a bad spectrum of an archive is an error. Otherwise it is left out, and the attribute `skipped` says so.
    Raises ValueError, naming the file, for another suffix or content that is not what the suffix says.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise ValueError(f"`spectra` file must exist, but {shown_path(path)} does not")
    if path.suffix.lower() == ".gz":
        return read_compressed(path, strict)
    suffix = path.suffix.lower()
    reader = READERS.get(suffix)
    if reader is None:
        raise ValueError(f"`spectra` file must end in one of {', '.join(READERS)}, but is {path.name}")
    try:
        return reader(path, strict) if suffix in ARCHIVES else reader(path)
    except (KeyError, IndexError, OSError, TypeError, UnicodeDecodeError) as problem:
        raise ValueError(f"{path.name} must be a {path.suffix} file of spectra, but: {problem!r}") from problem
    except ValueError as problem:
        raise ValueError(str(problem) if path.name in str(problem) else f"{path.name}: {problem}") from problem


def read_compressed(path: Path, strict: bool) -> xr.Dataset:
    """The spectra in a file that gzip has compressed. Raises ValueError where it is none, and as `read_spectra`."""
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / path.stem
        try:
            inner.write_bytes(gzip.decompress(path.read_bytes()))
        except (OSError, EOFError, zlib.error) as problem:
            raise ValueError(f"{path.name} must be compressed by gzip, but: {problem}") from problem
        return read_spectra(inner, strict)
