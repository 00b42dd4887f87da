"""Datasets: one way to make a variable, to save and to load them."""

import os
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import xarray as xr

from xcal_jax.io.arguments import checked
from xcal_jax.io.files import MARK, NETCDF, check_own, check_writable, replacing
from xcal_jax.units import shown_path


def variable(dims: Hashable, values: Any, units: str | None, long_name: str, **attrs: Any) -> xr.Variable:
    """A variable over ``dims`` that says what it is: `units` and `long_name`.

    units: "1" for a pure number; None for times, whose unit is xarray's to write.
    """
    return xr.Variable(dims, values, attrs | {"long_name": long_name} | ({} if units is None else {"units": units}))


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
    attrs = {"history": f"written by {MARK.decode()}"} | dataset.attrs
    packed = {name: {"zlib": True} for name, of in dataset.data_vars.items() if of.ndim and of.dtype.kind in "fiub"}
    with replacing(path) as temporary:
        dataset.assign_attrs(attrs).to_netcdf(temporary, engine="netcdf4", encoding=packed)


def load(path: str | os.PathLike[str], what: str, kinds: Iterable[str] = (), needed: Iterable[str] = ()) -> xr.Dataset:
    """Read a Dataset, all of it, and close the file.

    what: the kind of file in words, for the errors ("a result of `xcal-jax simulate`"); kinds: what its attribute
    `kind` may be, anything if empty; needed: variables that must be there. Raises ValueError when ``path`` is missing,
    cannot be read, or is no such file.
    """
    with _opened(path, what, tuple(kinds)) as file:
        dataset = file.load()
    if MARK.decode() in str(dataset.attrs.get("history")):
        del dataset.attrs["history"]
    if missing := sorted(set(needed) - set(map(str, dataset.variables))):
        made_by = f" (it is of version {dataset.attrs['version']})" if "version" in dataset.attrs else ""
        raise ValueError(f"{shown_path(path)} must be {what}, but has no {', '.join(missing)}{made_by}: make it anew")
    return dataset


def kind_of(path: str | os.PathLike[str], what: str, kinds: Iterable[str]) -> str:
    """The attribute `kind` of the Dataset in a file, one of ``kinds``. Arguments and errors are those of `load`."""
    with _opened(path, what, tuple(kinds)) as file:
        return str(file.attrs["kind"])


@contextmanager
def _opened(path: str | os.PathLike[str], what: str, kinds: tuple[str, ...]) -> Iterator[xr.Dataset]:
    if not os.path.isfile(path):
        raise ValueError(f"{shown_path(path)} must be {what}, but does not exist")
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
