"""The dose of a satellite in one call: from where it has flown and what shields it."""

import os

import numpy as np
import xarray as xr

from xcal_jax.orbit.dose import mission_dose
from xcal_jax.orbit.elements import Altitudes, Elements
from xcal_jax.orbit.fluence import SWITCH
from xcal_jax.orbit.orbit_files import read_altitudes, read_tle, shipped_altitudes


def flown(
    satellite: str | None = None,
    tle: str | os.PathLike[str] | None = None,
    altitudes: str | os.PathLike[str] | None = None,
) -> Elements | Altitudes:
    """The orbit of a shipped ``satellite``, of element sets, or of a table of altitudes: one of them.

    Raises ValueError unless exactly one is given, and what its reader raises.
    """
    given = [name for name in (tle, altitudes, satellite) if name]
    if len(given) != 1:
        raise ValueError(f"orbit must come from one of tle, altitudes, satellite, but {len(given)} are given")
    if tle:
        return read_tle(tle)
    return read_altitudes(altitudes) if altitudes else shipped_altitudes(str(satellite))


def dose(
    shield: str,
    satellite: str | None = None,
    tle: str | os.PathLike[str] | None = None,
    altitudes: str | os.PathLike[str] | None = None,
    geometry: str = "slab",
    sides: int = 2,
    start: str | np.datetime64 | None = None,
    end: str | np.datetime64 | None = None,
    activity: str = SWITCH,
    nuclear_factor: float = 1.0,
    step: float = 60.0,
    progress: bool = False,
) -> xr.Dataset:
    """Ionising dose and displacement damage in silicon behind ``shield``, month by month: see `dose_behind`.

    shield: outermost first, "Al:1mm,Pb:2.5mm"; sectors of a solid sphere, "0.3*Al:1mm; 0.7*Al:5mm". satellite: GRBAlpha
    or VZLUSAT-2, whose altitudes are shipped (partly assumed: see the file); or tle: two-line elements or OMM; or
    altitudes: a CSV table. geometry: "slab" with 1 or 2 sides, or "sphere". start, end: UTC dates, those of the orbit
    if none. activity: "min", "max", or the date from which the Sun is at its maximum. nuclear_factor: multiplies the
    protons' ionising dose. step: seconds between positions. Raises ValueError for what makes no sense.

    >>> found = dose("Al:1mm,Pb:2.5mm", satellite="GRBAlpha", start="2022-01-01", end="2022-01-03", step=600)
    >>> found.tid.attrs["units"], bool(found.tid.sum() > 0)
    ('rad', True)
    """
    orbit = flown(satellite, tle, altitudes)
    flight = {"start": start, "end": end, "activity": activity, "step": step, "progress": progress}
    return mission_dose(orbit, shield, geometry, sides, nuclear_factor, **flight)
