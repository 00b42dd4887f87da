import json
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr

from xcal_jax.orbit.elements import Altitudes
from xcal_jax.orbit.fluence import mission_fluence

DATA = Path(__file__).parents[2] / "data"
SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="session")
def reference() -> dict:
    return json.loads((DATA / "reference/orbit_reference_values.json").read_text())


@pytest.fixture(scope="session")
def shieldose2() -> xr.Dataset:
    with xr.open_dataset(DATA / "reference/shieldose2.nc") as table:
        return table.load()


@pytest.fixture(scope="session")
def grbalpha_tle() -> Path:
    return DATA / "orbit/grbalpha.tle"


@pytest.fixture(scope="session")
def vzlusat_tle() -> Path:
    return DATA / "orbit/vzlusat2.tle"


def circular(altitude: float, days: int = 5) -> Altitudes:
    dates = np.datetime64("2021-01-01", "s") + np.array([0, days * 86400]).astype("m8[s]")
    return Altitudes(dates, np.array([altitude, altitude]), np.array([97.5, 97.5]))


@pytest.fixture(scope="session")
def five_days():
    """Fluence of five days on a circular orbit, cached: (altitude, activity) -> Dataset."""
    cache = {}

    def at(altitude: float, activity: str) -> xr.Dataset:
        if (altitude, activity) not in cache:
            cache[altitude, activity] = mission_fluence(circular(altitude), activity=activity)
        return cache[altitude, activity]

    return at
