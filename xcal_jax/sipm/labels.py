"""One way to write a Dataset variable, so that each has `units` and `long_name`."""

import numpy as np
import xarray as xr


def labelled(dims, values, units: str, long_name: str) -> xr.Variable:
    """Return ``values`` with dims, units and long name; units are those of `units`, "1" where there are
    none.
    """
    return xr.Variable(dims, np.asarray(values), {"units": units, "long_name": long_name})


def reject(where: np.ndarray, rule: str, value) -> None:
    """Raise ValueError at the first True of ``where``: the rule, the spectrum and its value, in one
    sentence.
    """
    where = np.asarray(where)
    if where.any():
        first = int(np.argmax(where))
        raise ValueError(f"{rule}, but spectrum {first} has {np.asarray(value)[first]}")
