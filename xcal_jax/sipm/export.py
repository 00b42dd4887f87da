"""Tables of an analysis as files that other programs open: ECSV (text) or FITS, by astropy."""

from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.io.files import check_writable, replacing
from xcal_jax.sipm.pipeline import Ageing, Channel

SUFFIXES = (".ecsv", ".fits")
UNITS = {"ADU": "adu", "count/s": "ct / s", "degC": "deg_C", "d": "d", "keV": "keV", "s": "s", "count": "ct"}


def columns_of(data: xr.Dataset, dim: str) -> xr.Dataset:
    """The variables of ``data`` over ``dim`` alone: what a table can hold."""
    return data[[name for name, one in data.data_vars.items() if one.dims == (dim,)]]


def write_table(data: xr.Dataset, dim: str, path: str | Path, **meta: str | float) -> Path:
    """Write the variables of ``data`` over ``dim`` as one table, by the suffix of ``path``; its path.

    Columns have units and descriptions. meta: remarks in the head. Raises ValueError for another suffix or a folder
    that is missing.
    """
    from astropy.table import Column, Table

    path = Path(path)
    check_writable(path, SUFFIXES)
    table = Table(meta=dict(meta))
    for name, one in columns_of(data, dim).data_vars.items():
        values = one.values
        if values.dtype.kind == "M":
            values = np.where(np.isnat(values), "", np.datetime_as_string(values, "ms"))
        values = values.astype(str) if values.dtype.kind == "O" else values
        units = UNITS.get(one.attrs.get("units", ""))
        table[str(name)] = Column(values, unit=units, description=one.attrs.get("long_name", ""))
    with replacing(path) as temporary:
        table.write(temporary, format="ascii.ecsv" if path.suffix == ".ecsv" else "fits", overwrite=True)
    return path


def write_tables(ageing: Ageing, folder: str | Path, suffix: str = ".ecsv") -> list[Path]:
    """Write the spectra's values and the groups of every setting into ``folder``; the paths.

    Raises ValueError for another suffix than .ecsv and .fits.
    """
    folder = Path(folder)
    if suffix not in SUFFIXES:
        raise ValueError(f"`suffix` must be one of {', '.join(SUFFIXES)}, but is {suffix!r}")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, channel in ageing.channels.items():
        stem = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name)
        for what, data, dim in tables_of(channel):
            path = folder / f"{stem}_{what}{suffix}"
            written.append(write_table(data, dim, path, mission=ageing.mission.name, setting=name))
    return written


def tables_of(channel: Channel) -> list[tuple[str, xr.Dataset, str]]:
    """Name, data and dimension of every table of a setting."""
    return [("spectra", channel.values, "spectrum"), ("groups", channel.groups, "group")]
