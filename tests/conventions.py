"""What a checker of the CF conventions would say about a Dataset as `xcal_jax.io.datasets.save` writes it."""

import dataclasses
import re

import cf_units
import netCDF4
import numpy as np
import xarray as xr

from xcal_jax.io.datasets import load, save

CANONICAL = {"latitude": "degrees_north", "longitude": "degrees_east"}
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def of_variable(name, one, file):
    """Rules of CF 1.11 that the variable ``one`` of an open file breaks, in words."""
    attrs = {key: one.getncattr(key) for key in one.ncattrs()}
    if not NAME.fullmatch(name):
        yield f"{name}: not a name"
    if not attrs.get("long_name"):
        yield f"{name}: no long_name"
    if one.dtype is not str:
        try:
            unit = cf_units.Unit(attrs.get("units", ""), calendar=attrs.get("calendar"))
        except ValueError:
            yield f"{name}: udunits does not know {attrs['units']}"
            return
        if unit.is_unknown():
            yield f"{name}: no units"
        standard = attrs.get("standard_name")
        fits = unit.is_time_reference() if standard == "time" else unit.is_convertible(CANONICAL.get(standard, unit))
        if not fits:
            yield f"{name}: {attrs['units']} is no unit of {standard}"
        if re.search(r"\bdose\b", attrs["long_name"]) and not unit.is_convertible("Gy") | unit.is_convertible("Gy/s"):
            yield f"{name}: {attrs['units']} is no unit of a dose"
    if one.dimensions == (name,) and one.dtype is not str:
        steps = np.diff(np.asarray(one[:], float))
        if not ((steps > 0).all() or (steps < 0).all()):
            yield f"{name}: a coordinate that is not monotonic"
        if "_FillValue" in attrs:
            yield f"{name}: a coordinate with _FillValue"
    if "flag_masks" in attrs:
        masks = np.atleast_1d(attrs["flag_masks"])
        if masks.dtype != one.dtype or len(attrs["flag_meanings"].split()) != masks.size:
            yield f"{name}: flags without their meanings"
    for other in attrs.get("coordinates", "").split():
        if other not in file.variables:
            yield f"{name}: no coordinate {other}"


def faults(data, path):
    """Rules of CF 1.11 that ``data``, saved at ``path``, breaks; also whether it comes back as it was."""
    save(data, path)
    with netCDF4.Dataset(path) as file:
        found = [] if file.Conventions.startswith("CF-") else ["no Conventions"]
        for name, one in file.variables.items():
            found += of_variable(name, one, file)
    back = load(path)
    for name, one in data.variables.items():
        if one.attrs.get("units") != back[name].attrs.get("units"):
            found.append(f"{name}: came back in {back[name].attrs.get('units')}")
    return found


def datasets_in(value, place=""):
    """Every Dataset in dataclasses and dicts within ``value``, by its place."""
    if isinstance(value, xr.Dataset):
        yield place, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from datasets_in(one, f"{place}/{key}")
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from datasets_in(getattr(value, field.name), f"{place}/{field.name}")
