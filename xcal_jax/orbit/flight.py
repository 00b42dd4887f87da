"""The dose of a satellite in one call: from where it has flown and what shields it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.io.arguments import checked
from xcal_jax.orbit.dose import dose_behind, mission_dose
from xcal_jax.orbit.elements import MAX_AGE, Altitudes, Elements
from xcal_jax.orbit.flux_tables import read_fluxes
from xcal_jax.orbit.mass_model import MassModel
from xcal_jax.orbit.orbit_files import read_altitudes, read_tle, shipped_altitudes
from xcal_jax.orbit.shielding import Shield, parse_sectors
from xcal_jax.units import Quantity, parse_quantity, shown


def flown(
    satellite: str | int | None = None,
    tle: str | os.PathLike[str] | None = None,
    altitudes: str | os.PathLike[str] | None = None,
    max_age: float = MAX_AGE,
    strict: bool = False,
) -> Elements | Altitudes:
    """The orbit of element sets, of a table of altitudes, or of a shipped ``satellite``: one of them.

    satellite, max_age and strict: beside ``tle`` as of `read_tle`. Raises ValueError unless exactly one is given, and
    what its reader raises.
    """
    given = [name for name in (tle, altitudes, satellite if tle is None else None) if name is not None]
    if len(given) != 1:
        raise ValueError(f"orbit must come from one of tle, altitudes, satellite, but {len(given)} are given")
    if tle is not None:
        return read_tle(tle, satellite, strict, max_age)
    return shipped_altitudes(str(satellite)) if altitudes is None else read_altitudes(altitudes)


def shield_of(
    shield: str | Shield | None, model: str | os.PathLike[str] | None
) -> MassModel | Shield | list[tuple[float, Shield]]:
    """The shield in front of the silicon, read. Raises ValueError unless exactly one is given, and as its reader."""
    if model is None and shield is not None:
        return parse_sectors(shield) if isinstance(shield, str) else shield
    if model is not None and shield is None:
        return MassModel.load(model)
    raise ValueError(f"give one of shield and model, but {'neither is' if shield is None else 'both are'} given")


@checked
def dose(
    shield: str | Shield | None = None,
    satellite: str | int | None = None,
    tle: str | os.PathLike[str] | None = None,
    altitudes: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    geometry: str | None = None,
    sides: int | None = None,
    start: str | np.datetime64 | None = None,
    end: str | np.datetime64 | None = None,
    activity: str | None = None,
    reactions: bool = False,
    step: Quantity | None = None,
    rays: int | None = None,
    max_age: float | None = None,
    strict: bool = False,
    progress: bool = False,
    fluxes: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    solar_protons: float | None = None,
    galactic: bool = False,
) -> xr.Dataset:
    """Ionising dose and displacement damage in silicon behind ``shield``, month by month: see `dose_behind`.

    shield: outermost first, "Al:1mm,Pb:2.5mm"; sectors of a solid sphere, "0.3*Al:1mm; 0.7*Al:5mm". model: in its place
    a satellite of boxes, GRBAlpha, VZLUSAT-2 or a TOML file, looked at along so many ``rays``. The orbit is that of
    tle, two-line elements or OMM (of ``satellite``, if there are several; ``max_age``, days, and ``strict`` as of
    `read_tle`); or of altitudes, a CSV table; or of satellite alone, GRBAlpha or VZLUSAT-2, whose altitudes are shipped
    (partly assumed: see the file). fluxes: in place of an orbit, files as of `read_fluxes`. geometry: of layers, "slab"
    (the default) with 1 or 2 sides, or "sphere". start, end: UTC dates, those of the orbit if none. activity: "min",
    "max", "cycle", "blend", or the date from which the Sun is at its maximum. solar_protons: adds those of solar events
    that the mission does not exceed with this confidence, 0.5 to 0.99. reactions: count nuclear reactions of protons.
    step: seconds between positions. What is None has the default of `mission_dose` and `read_tle`. The attribute
    `satellite` is the name in the element sets or of the model; where they have none, ``satellite`` or the file's.
    Raises ValueError for what makes no sense, and for an argument that would have no effect beside the others.

    >>> found = dose("Al:1mm,Pb:2.5mm", satellite="GRBAlpha", start="2022-01-01", end="2022-01-03", step=600)
    >>> found.tid.attrs["units"], bool(found.tid.sum() > 0)
    ('cGy', True)
    """
    behind = shield_of(shield, model)
    step = None if step is None else parse_quantity(step, "s", "step")
    of_orbit, of_elements = {"activity": activity, "step": step}, {"max_age": max_age, "strict": strict or None}
    if fluxes is not None:
        if any(one is not None for one in (satellite, tle, altitudes)):
            raise ValueError("`fluxes` stand in place of an orbit, but tle, altitudes or satellite is given, too")
        if solar_protons is not None or galactic:
            raise ValueError("`solar_protons` and `galactic` need an orbit, but `fluxes` are given")
        check_effect(of_orbit | of_elements, "with `fluxes`")
    elif tle is None:
        check_effect(of_elements, "without `tle`")
    if model is None:
        check_effect({"rays": rays}, "without `model`")
    else:
        check_effect({"geometry": geometry, "sides": sides}, "with `model`")
    if geometry == "sphere":
        check_effect({"sides": sides}, "in a sphere")
    looks = given(geometry=geometry, sides=sides, rays=rays) | {"reactions": reactions}
    if fluxes is not None:
        source = fluxes if isinstance(fluxes, str | os.PathLike) else fluxes[0]
        result = dose_behind(read_fluxes(fluxes, start, end), behind, **looks)
    else:
        source = tle or altitudes or ""
        orbit = flown(satellite, tle, altitudes, strict=strict, **given(max_age=max_age))
        flight = given(start=start, end=end, solar_protons=solar_protons, **of_orbit)
        flight |= {"galactic": galactic, "progress": progress}
        result = mission_dose(orbit, behind, **looks, **flight)
    result.attrs.setdefault("satellite", str(satellite or Path(source).stem))
    return result


def given(**arguments: Any) -> dict[str, Any]:
    """The arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def check_effect(arguments: dict[str, Any], where: str) -> None:
    """Raise ValueError for one of the arguments that is given, though it has no effect ``where``."""
    for name, value in given(**arguments).items():
        raise ValueError(f"`{name}` has no effect {where}, but is {shown(value)}")
