"""The effective area of a telescope with filters and an absorber, by rows of a matrix."""

import os
import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.filters import Filter, FilterTable, transmission
from xcal_jax.io import toml
from xcal_jax.response.ogip_reader import read_area
from xcal_jax.response.rows import Row
from xcal_jax.units import shown, shown_path


def effective_area(
    response: xr.Dataset, rows: Sequence[Row], telescope: str | float, filters: Sequence[str] = ()
) -> Float[np.ndarray, " R"]:
    """Area (R,) cm2 of the folded ``rows`` of a ``response``: what goes with them into an ARF.

    The area of the ``telescope``, a file with its ARF or a number in cm2, times the transmission of the ``filters`` and
    of those in the absorber's own description, the absorber's quantum efficiency, and the fraction of each row inside
    the channels.
    """
    energy = 0.5 * (response.low.values + response.high.values)
    own = Absorber.from_toml(response.attrs["absorber"]).filters
    area = telescope_area(telescope, energy) if isinstance(telescope, str) else np.full(energy.size, telescope)
    area = area * transmission([*own, *map(parse_filter, filters)], energy)
    return area * response.interaction_probability.values * np.array([row.contained for row in rows])


def telescope_area(path: str | os.PathLike, energy: Float[np.ndarray, " R"]) -> Float[np.ndarray, " R"]:
    """Area (R,) cm2 of the ARF in the file ``path`` at ``energy`` (R,) eV.

    It is linear between the middles of the file's rows, and 0 beyond its rows, which is warned of. Raises ValueError
    for no ARF.
    """
    boundaries, area = read_area(path)
    there = (energy >= boundaries[0]) & (energy <= boundaries[-1])
    if not np.all(there):
        warnings.warn(
            f"{shown_path(path)} has areas from {boundaries[0]:g} to {boundaries[-1]:g} eV: {np.sum(~there)} of "
            f"{there.size} rows lie beyond, where the area is 0",
            stacklevel=2,
        )
    return np.where(there, np.interp(energy, 0.5 * (boundaries[1:] + boundaries[:-1]), area), 0.0)


def parse_filter(text: str) -> Filter:
    """The filter that ``text`` describes, MATERIAL:THICKNESS[:DENSITY], such as "Al:30nm" or "C22H10N2O5:45nm:1.42".

    A density (g/cm3) may be left out where the tables know it. Raises ValueError for anything else.
    """
    parts = text.split(":")
    if len(parts) not in (2, 3):
        raise ValueError(f"`filters` must be MATERIAL:THICKNESS or MATERIAL:THICKNESS:DENSITY, but is {shown(text)}")
    table = dict(zip(("material", "thickness", "density"), parts, strict=False))
    try:
        return Filter.of(toml.check(table, "it", FilterTable))
    except ValueError as problem:
        raise ValueError(f"`filters` {shown(text)}: {problem}") from problem
