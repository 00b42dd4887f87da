"""The files of numbers that come with the package, read once each.

The library under netCDF is not made for threads, and a run has many: they read in turn.
"""

import hashlib
from functools import cache
from importlib.resources import files
from threading import Lock

import numpy as np

FILES = ("elements.nc", "electrons.nc")

_reading = Lock()


def read_tables(name: str) -> dict[str, np.ndarray]:
    """Every variable of the file ``name``, read-only, floats as float64."""
    with _reading:
        return _tables(name)


@cache
def table_hash() -> str:
    """The first 16 hexadecimal digits of the sha256 of all files: the name of this set of data."""
    return hashlib.sha256(b"".join(_content(name) for name in FILES)).hexdigest()[:16]


def _content(name: str) -> bytes:
    return (files("xcal_jax.atomic") / name).read_bytes()


@cache
def _tables(name: str) -> dict[str, np.ndarray]:
    from netCDF4 import Dataset

    with Dataset(name, memory=_content(name)) as data:
        data.set_auto_mask(False)
        tables = {key: variable[...] for key, variable in data.variables.items()}
    tables = {key: a.astype(float) if a.dtype == np.float32 else a for key, a in tables.items()}
    for values in tables.values():
        values.flags.writeable = False
    return tables
