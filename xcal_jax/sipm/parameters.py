"""Parameters of a fit as a Dataset, each in its own unit: slopes, powers and amplitudes of one fit differ in theirs."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

from xcal_jax.io.datasets import variable


def parameters_dataset(
    names: Sequence[str],
    values: Float[np.ndarray, "*over P"],
    covariance: Float[np.ndarray, "*over P P"],
    units: Sequence,
    over: tuple[str, ...] = (),
) -> xr.Dataset:
    """`parameters`, `errors` and `covariance` (..., P), and the coordinates `parameter` and `unit`.

    names: (P,). values and their covariance are in ``units``, (..., P), and products of these. over: dimensions of
    several fits.
    """
    dims = (*over, "parameter")
    errors = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    return xr.Dataset(
        {
            "parameters": variable(dims, values, "1", "parameters, each in its `unit`"),
            "errors": variable(dims, errors, "1", "their errors"),
            "covariance": variable((*dims, "parameter_"), covariance, "1", "covariance, products of the units"),
        },
        {
            "parameter": variable("parameter", list(names), "1", "parameter"),
            "unit": variable(dims, np.array(units, object), "1", "unit of the parameter"),
        },
    )
