"""Files of current-voltage curves."""

from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.io.datasets import variable
from xcal_jax.io.tables import read_pairs


def read_iv(path: str | Path, compliance: float | None = None) -> xr.Dataset:
    """A curve from a text file of two columns, V and A, between commas or blanks: `voltage`, `current` over `step`.

    compliance: A, the limit of the source meter; points at it or above are left out. Lines that start with # are
    remarks. Raises ValueError for a missing file, other columns, or fewer than five points.
    """
    path = Path(path)
    table = read_pairs(path, f"curve {path.name}", "volts and amperes", commas=True)
    kept = table if compliance is None else table[np.abs(table[:, 1]) < 0.999 * compliance]
    if len(kept) < 5:
        raise ValueError(f"{path.name} must hold at least five points, but has {len(kept)} below the compliance")
    kept = kept[np.argsort(kept[:, 0], kind="stable")]
    return xr.Dataset(
        {
            "voltage": variable("step", kept[:, 0], "V", "bias voltage"),
            "current": variable("step", kept[:, 1], "A", "dark current"),
        },
        attrs={"source": path.name, "points_left_out": len(table) - len(kept)},
    )
