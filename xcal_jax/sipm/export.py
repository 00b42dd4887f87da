"""Tables of an analysis as files that other programs open: ECSV (text) or FITS, by astropy."""

from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.constants import VERSION
from xcal_jax.io.arguments import checked
from xcal_jax.io.files import MARK, check_writable, replacing
from xcal_jax.sipm.pipeline import Ageing
from xcal_jax.units import shown

SUFFIXES = (".ecsv", ".fits")
UNITS = {"ADU": "adu", "count/s": "ct / s", "degC": "deg_C", "d": "d", "keV": "keV", "s": "s", "count": "ct"}


def columns_of(data: xr.Dataset, dim: str) -> xr.Dataset:
    """The variables of ``data`` over ``dim`` alone: what a table can hold."""
    return data[[name for name, one in data.data_vars.items() if one.dims == (dim,)]]


def write_table(data: xr.Dataset, dim: str, path: str | Path, **meta: str | float) -> Path:
    """Write the variables of ``data`` over ``dim`` as one table, by the suffix of ``path``; its path.

    Columns have units and descriptions. meta: remarks in the head. A file at ``path`` is replaced. Raises ValueError
    for another suffix or a folder that is missing.
    """
    from astropy.table import Column, Table

    path = Path(path)
    check_writable(path, SUFFIXES)
    table = Table(meta={"creator": f"{MARK.decode()} {VERSION}", **meta})
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


@checked
def write_tables(ageing: Ageing, folder: str | Path, suffix: str = ".ecsv") -> list[Path]:
    """Write the spectra's values and the groups of every setting into ``folder``; the paths.

    Raises ValueError for another suffix than .ecsv and .fits.
    """
    planned = planned_tables(ageing, folder, suffix)
    Path(folder).mkdir(parents=True, exist_ok=True)
    return [
        write_table(data, dim, path, mission=ageing.mission.name, setting=name)
        for path, (name, data, dim) in planned.items()
    ]


def planned_tables(ageing: Ageing, folder: str | Path, suffix: str) -> dict[Path, tuple[str, xr.Dataset, str]]:
    """Every file that `write_tables` writes, with the setting, data and dimension of its table.

    Raises ValueError for another suffix than .ecsv and .fits.
    """
    if suffix not in SUFFIXES:
        raise ValueError(f"`suffix` must be one of {', '.join(SUFFIXES)}, but is {shown(suffix)}")
    planned = {}
    for name, setting in ageing.settings.items():
        stem = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name)
        for what, data, dim in (("spectra", setting.values, "spectrum"), ("groups", setting.groups, "group")):
            planned[Path(folder) / f"{stem}_{what}{suffix}"] = name, data, dim
    return planned
