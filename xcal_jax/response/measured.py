"""Files with the measured spectrum of a line -> counts and channel edges in eV; files of single events -> energies."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from xcal_jax.io.arguments import checked
from xcal_jax.io.tables import read_table
from xcal_jax.simulation import results
from xcal_jax.spectra.readers import READERS, read_spectra
from xcal_jax.units import parse_quantity, shown_path

COLUMNS = ("low_ev", "high_ev", "counts")
BY_CHANNEL = tuple(suffix for suffix in READERS if suffix not in (".csv", ".nc"))


@checked
def read_line(
    path: str | os.PathLike, bins: tuple[float, float] | None = None
) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " E"]]:
    """(counts by channel, edges in eV, one more) of one spectrum.

    A CSV table with the columns low_ev, high_ev and counts, a channel a line; the netCDF result of `simulate`; or a
    file of counts by channel (.spe .n42 .xml .pha .pi .fits .fit), where ``bins`` are the lower end of the first
    channel and the width of all, eV. Raises ValueError, naming the file, for another suffix, channels that
    do not join and ascend, counts that are no counts, and for more than one spectrum.
    """
    path = Path(path)
    where = f"the spectrum {shown_path(path)}"
    suffix = path.suffix.lower()
    if not os.path.isfile(path):
        raise ValueError(f"{where} does not exist")
    if (bins is not None) != (suffix in BY_CHANNEL):
        rule = "needs the channels' energies, such as --bins 0eV,1eV" if bins is None else "has energies of its own"
        raise ValueError(f"{where} {rule}")
    if suffix == ".csv":
        counts, edges = _table(path, where)
    elif suffix == ".nc":
        result = results.load(path)
        counts = result.spectrum.values.astype(float)
        edges = np.append(result.energy.values, result.energy.values[-1] + result.energy.attrs["bin_width"])
    elif bins is not None:
        spectra = read_spectra(path)
        if spectra.sizes["spectrum"] != 1:
            raise ValueError(f"{where} must be one, but the file has {spectra.sizes['spectrum']}")
        counts = spectra.counts.values[0]
        edges = bins[0] + bins[1] * np.arange(counts.size + 1)
    else:
        raise ValueError(f"{where} must end in one of .csv, .nc, {', '.join(BY_CHANNEL)}")
    if not (np.all(np.isfinite(edges)) and np.all(np.diff(edges) > 0)):
        raise ValueError(f"the channels of {where} must ascend in energy")
    if not (np.all(np.isfinite(counts)) and np.all(counts >= 0)):
        raise ValueError(f"the counts of {where} must be finite and not negative")
    return counts, edges


@checked
def read_events(path: str | os.PathLike, column: str) -> Float[np.ndarray, " n"]:
    """Energies in eV of the events in a file, by the name of their ``column``.

    A CSV table; a netCDF or HDF5 file, where ``column`` may have groups (``events/energy``); or the first table of a
    FITS file that has it. A unit that the file states is converted; without one they are eV. Raises ValueError, naming
    the file, for another suffix, a missing column, values that are no numbers, or none.
    """
    path = Path(path)
    where = f"the event list {shown_path(path)}"
    if not os.path.isfile(path):
        raise ValueError(f"{where} does not exist")
    suffix = path.suffix.lower()
    if suffix not in EVENT_READERS:
        raise ValueError(f"{where} must end in one of {', '.join(EVENT_READERS)}")
    try:
        values, unit = EVENT_READERS[suffix](path, column, where)
        factor = parse_quantity(f"1 {unit}", "eV", f"unit of {column}") if unit else 1.0
        energies = factor * np.asarray(values, dtype=float).ravel()
    except (KeyError, IndexError, OSError, TypeError, StopIteration) as problem:
        raise ValueError(f"{where} must have numbers in the column {column}, but: {problem}") from problem
    if energies.size == 0 or not np.all(np.isfinite(energies)):
        raise ValueError(f"{where} must have finite energies, but has {'NaN' if energies.size else 'none'}")
    return energies


def _csv_events(path: Path, column: str, where: str) -> tuple[Any, str]:
    table = read_table(path, where)
    if column not in table:
        raise ValueError(f"{where} must have the column {column}, but has {', '.join(table.columns)}")
    return table[column].to_numpy(), ""


def _netcdf_events(path: Path, column: str, where: str) -> tuple[Any, str]:
    from netCDF4 import Dataset

    with Dataset(path) as file:
        found = file[column]
        return np.ma.filled(np.ma.asarray(found[:], float), np.nan), str(getattr(found, "units", ""))


def _fits_events(path: Path, column: str, where: str) -> tuple[Any, str]:
    from astropy.io import fits

    with fits.open(path) as units:
        table = next(unit for unit in units if column in getattr(getattr(unit, "columns", None), "names", ()))
        return np.array(table.data[column], float), table.columns[column].unit or ""


EVENT_READERS = {
    ".csv": _csv_events,
    ".nc": _netcdf_events,
    ".h5": _netcdf_events,
    ".hdf5": _netcdf_events,
    ".fits": _fits_events,
    ".fit": _fits_events,
}


def _table(path: Path, where: str) -> tuple[np.ndarray, np.ndarray]:
    table = read_table(path, where)
    if tuple(table.columns) != COLUMNS:
        hint = ": events are named by `events`" if len(table.columns) == 1 else ""
        raise ValueError(f"{where} must have the columns {','.join(COLUMNS)}, but has {','.join(table.columns)}{hint}")
    if len(table) == 0:
        raise ValueError(f"{where} must have at least one channel, but has none")
    low, high, counts = table.to_numpy(float).T
    apart = np.flatnonzero(low[1:] != high[:-1])
    if apart.size:
        raise ValueError(
            f"channels of {where} must join, but one ends at {high[apart[0]]:g} and the next begins at "
            f"{low[apart[0] + 1]:g} eV"
        )
    return counts, np.append(low, high[-1])
