"""Datasets: one way to make a variable, to save and to load them.

Files follow the CF conventions (cfconventions.org). Their units are read by udunits, which knows no ADU, which is a
number of channels, and takes "rad" for radians: doses are in cGy (1 cGy = 1 rad).
"""

import os
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.io.arguments import checked
from xcal_jax.io.files import MARK, NETCDF, check_own, check_writable, replacing
from xcal_jax.units import shown_path

CONVENTIONS = "CF-1.11"
ADU = "ADU"
STANDARD_NAMES = {None: "time", "degrees_north": "latitude", "degrees_east": "longitude"}


def variable(dims: Hashable, values: Any, units: str | None, long_name: str, **attrs: Any) -> xr.Variable:
    """A variable over ``dims`` that says what it is: `units`, `long_name`, and the `standard_name` where CF has one.

    units: "1" for a pure number; None for times, whose unit is xarray's to write.
    """
    known = {"long_name": long_name} | ({} if units is None else {"units": units})
    if units in STANDARD_NAMES:
        known["standard_name"] = STANDARD_NAMES[units]
    return xr.Variable(dims, values, attrs | known)


def flags(dims: Hashable, values: Any, meanings: dict[int, str], long_name: str) -> xr.Variable:
    """A variable whose bits say what is wrong. meanings: by bit, in words."""
    words = ["_".join("".join(sign if sign.isalnum() else " " for sign in text).split()) for text in meanings.values()]
    values = np.asarray(values, np.int64)
    masks = np.array(list(meanings), np.int64)
    return variable(dims, values, "1", long_name, flag_masks=masks, flag_meanings=" ".join(words))


def in_cf(dataset: xr.Dataset) -> xr.Dataset:
    """``dataset`` with units that udunits reads; `units_label` keeps those in ADU."""
    out = dataset.copy()
    for one in out.variables.values():
        units = str(one.attrs.get("units", ""))
        if ADU in units:
            one.attrs |= {"units": units.replace(ADU, "1"), "units_label": units}
    return out.assign_attrs({"history": f"written by {MARK.decode()}", "Conventions": CONVENTIONS} | dataset.attrs)


def from_cf(dataset: xr.Dataset) -> xr.Dataset:
    """The Dataset as `in_cf` was given it."""
    if MARK.decode() in str(dataset.attrs.get("history")):
        del dataset.attrs["history"]
        dataset.attrs.pop("Conventions", None)
    for one in dataset.variables.values():
        if "units_label" in one.attrs:
            one.attrs["units"] = one.attrs.pop("units_label")
    return dataset


@checked
def save(dataset: xr.Dataset, path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Write ``dataset`` as netCDF-4, its arrays compressed, whole or not at all.

    overwrite: whether a file of another program may be replaced. Raises ValueError where there is one and it may not,
    when the name does not end in .nc or like it, and when the folder is missing; OSError when the disk is full.

    >>> import tempfile, xcal_jax as xcal
    >>> xcal.save(xcal.simulate("xifu", "7 keV", n=1000), f"{tempfile.mkdtemp()}/result.nc")
    """
    check_writable(path, NETCDF)
    if not overwrite:
        check_own(path)
    packed: dict[Hashable, dict[str, Any]] = {
        name: {"zlib": True} for name, of in dataset.data_vars.items() if of.ndim and of.dtype.kind in "fiub"
    }
    packed |= {name: {"_FillValue": None} for name, of in dataset.coords.items() if of.dtype.kind in "fM"}
    with replacing(path) as temporary:
        in_cf(dataset).to_netcdf(temporary, engine="netcdf4", encoding=packed)


@checked
def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset in the file ``path``, a netCDF file of this program, all of it.

    Raises ValueError when it is missing or cannot be read.

    >>> import tempfile, xcal_jax as xcal
    >>> result, path = xcal.simulate("xifu", "7 keV", n=1000), f"{tempfile.mkdtemp()}/result.nc"
    >>> xcal.save(result, path)
    >>> load(path).identical(result)
    True
    """
    return read(path, "a netCDF file of this program")


def read(path: str | os.PathLike[str], what: str, kinds: Iterable[str] = (), needed: Iterable[str] = ()) -> xr.Dataset:
    """Read a Dataset, all of it, and close the file.

    what: the kind of file in words, for the errors ("a result of `xcal-jax simulate`"); kinds: what its attribute
    `kind` may be, anything if empty; needed: variables that must be there. Raises ValueError when ``path`` is missing,
    cannot be read, or is no such file.
    """
    with _opened(path, what, tuple(kinds)) as file:
        dataset = from_cf(file.load())
    if missing := sorted(set(needed) - set(map(str, dataset.variables))):
        made_by = f" (it is of version {dataset.attrs['version']})" if "version" in dataset.attrs else ""
        raise ValueError(f"{shown_path(path)} must be {what}, but has no {', '.join(missing)}{made_by}: make it anew")
    return dataset


def kind_of(path: str | os.PathLike[str], what: str, kinds: Iterable[str]) -> str:
    """The attribute `kind` of the Dataset in a file, one of ``kinds``. Arguments and errors are those of `read`."""
    with _opened(path, what, tuple(kinds)) as file:
        return str(file.attrs["kind"])


@contextmanager
def _opened(path: str | os.PathLike[str], what: str, kinds: tuple[str, ...]) -> Iterator[xr.Dataset]:
    if not os.path.isfile(path):
        raise ValueError(f"{shown_path(path)} must be {what}, but does not exist")
    with Path(path).open("rb") as start:
        if start.read(6) == b"SIMPLE":
            raise ValueError(f"{shown_path(path)} must be {what}, but is a FITS file: `astropy.io.fits` reads it")
    other = False
    try:
        with xr.open_dataset(path, engine="netcdf4") as dataset:
            other = bool(kinds) and dataset.attrs.get("kind") not in kinds
            if not other:
                yield dataset
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError) as problem:
        raise ValueError(f"{shown_path(path)} must be {what}, but cannot be read (is it truncated?)") from problem
    if other:
        raise ValueError(f"{shown_path(path)} must be {what}, but is not")
