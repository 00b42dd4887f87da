"""What a mission meets outside its shield: segments -> positions -> L, B/B0 -> fluence spectra of protons
and electrons.
"""

from collections.abc import Iterable

import numpy as np
import xarray as xr
from tqdm import tqdm

from xcal_jax.constants import VERSION
from xcal_jax.orbit.elements import Altitudes, Elements
from xcal_jax.orbit.months import SWITCH, Segment, monthly_segments
from xcal_jax.orbit.trapped import (
    ENERGY_EDGES,
    FieldMap,
    differential_flux,
    field_epoch,
    geomagnetic_coordinates,
    integral_flux,
    spectrum_energies,
)

NAMED = {
    "p>10MeV": ("proton", 10.0),
    "p>50MeV": ("proton", 50.0),
    "p>100MeV": ("proton", 100.0),
    "e>1MeV": ("electron", 1.0),
}
MAP_POINTS = 73 * 90 * 4
CHUNK = 100_000


def step_seconds(segment: Segment, step: float) -> np.ndarray:
    """Middles (n,) of equal steps of about ``step`` seconds that fill ``segment``, in seconds from its
    start.
    """
    length = segment.days * 86400
    count = max(1, round(length / step))
    return (np.arange(count) + 0.5) * (length / count)


def average_flux(positions: Iterable[np.ndarray], field, particle: str, solar: str, energy) -> np.ndarray:
    """Mean flux (E,) above ``energy`` (E,) MeV over ``positions``, blocks of (n, 3) km; ``field`` gives L
    and B/B0.
    """
    total, count = np.zeros(len(energy)), 0
    for block in positions:
        shell, ratio = field(block)
        total += integral_flux(shell, ratio, energy, particle, solar).sum(0)
        count += len(block)
    return total / count


def mission_fluence(
    orbit: Elements | Altitudes,
    start=None,
    end=None,
    activity: str = SWITCH,
    step: float = 60.0,
    progress: bool = False,
) -> xr.Dataset:
    """Fluxes and fluences of trapped protons and electrons on ``orbit``, month by month.

    ``start`` and ``end`` default to the span of ``orbit``; ``activity`` is "min", "max" or the date from
    which solar activity is maximum; ``step`` is in seconds. Per ``segment``: start, end, length (d), days
    (d, from the start of the mission to its end), altitude (km), solar; integral flux at the models'
    energies, 1/(cm2 s); differential flux and fluence at the energies of the fold, 1/(cm2 [s] MeV); the
    fluxes ``named`` in reports. Raises ValueError for dates that ``orbit`` does not reach and orbits
    outside the models.
    """
    if not step > 0:
        raise ValueError(f"`step` must be positive, but is {step} s")
    first, last = orbit.span
    segments = monthly_segments(first if start is None else start, last if end is None else end, activity)
    altitude = np.array([orbit.altitude(segment) for segment in segments])
    fields = _fields(orbit, segments, step)
    energies = {
        particle: np.concatenate([edges, [e for kind, e in NAMED.values() if kind == particle]])
        for particle, edges in ENERGY_EDGES.items()
    }
    flux: dict[str, list[np.ndarray]] = {particle: [] for particle in energies}
    for segment in tqdm(segments, desc="trapped flux", unit="month", disable=not progress):
        for particle, energy in energies.items():
            blocks = _blocks(orbit, segment, step)
            field = fields[field_epoch(particle, segment.solar)]
            flux[particle].append(average_flux(blocks, field, particle, segment.solar, energy))
    return _dataset(segments, altitude, {particle: np.array(rows) for particle, rows in flux.items()}, step)


def _blocks(orbit, segment: Segment, step: float) -> Iterable[np.ndarray]:
    seconds = step_seconds(segment, step)
    for begin in range(0, len(seconds), CHUNK):
        yield orbit.position(segment, seconds[begin : begin + CHUNK])


def _fields(orbit, segments: list[Segment], step: float) -> dict:
    """For each epoch of the models' fields: tracing for short work, a map for long."""
    days = sum(segment.days for segment in segments)
    needed = {field_epoch(p, s.solar): (p, s.solar) for s in segments for p in ENERGY_EDGES}
    if days * 86400 / step < MAP_POINTS:
        return {epoch: lambda at, of=of: geomagnetic_coordinates(at, *of) for epoch, of in needed.items()}
    radii = [np.linalg.norm(block, axis=1) for s in segments for block in _blocks(orbit, s, max(step, 600.0))]
    lowest, highest = min(r.min() for r in radii) - 2, max(r.max() for r in radii) + 2
    return {epoch: FieldMap.build(lowest, highest, *of) for epoch, of in needed.items()}


def _dataset(segments: list[Segment], altitude, flux: dict[str, np.ndarray], step: float) -> xr.Dataset:
    days = np.array([segment.days for segment in segments])
    variables: dict = {
        "end": ("segment", np.array([s.end for s in segments]), {"long_name": "end (UTC)"}),
        "length": ("segment", days, {"units": "d", "long_name": "length"}),
        "days": ("segment", np.cumsum(days), {"units": "d", "long_name": "days from the start to the end"}),
        "altitude": ("segment", altitude, {"units": "km", "long_name": "altitude above the equatorial radius"}),
        "solar": ("segment", [s.solar for s in segments], {"long_name": "solar activity of AP-8 and AE-8"}),
    }
    coordinates: dict = {"start": ("segment", np.array([s.start for s in segments]), {"long_name": "start (UTC)"})}
    named = []
    for particle, rows in flux.items():
        edges = ENERGY_EDGES[particle]
        integral, extra = rows[:, : len(edges)], rows[:, len(edges) :]
        spectrum = differential_flux(integral, particle)
        units = {"units": "MeV", "long_name": f"{particle} energy"}
        coordinates[f"{particle}_threshold"] = (f"{particle}_threshold", edges, units)
        coordinates[f"{particle}_energy"] = (f"{particle}_energy", spectrum_energies(particle), units)
        variables[f"{particle}_integral_flux"] = (
            ("segment", f"{particle}_threshold"),
            integral,
            {"units": "1/(cm2 s)", "long_name": f"omnidirectional {particle} flux above the energy"},
        )
        variables[f"{particle}_flux"] = (
            ("segment", f"{particle}_energy"),
            spectrum,
            {"units": "1/(cm2 s MeV)", "long_name": f"omnidirectional differential {particle} flux"},
        )
        variables[f"{particle}_fluence"] = (
            ("segment", f"{particle}_energy"),
            spectrum * days[:, None] * 86400,
            {"units": "1/(cm2 MeV)", "long_name": f"{particle} fluence of the segment"},
        )
        named.append(extra)
    variables["named_flux"] = (
        ("segment", "named"),
        np.concatenate(named, 1),
        {"units": "1/(cm2 s)", "long_name": "omnidirectional flux above an energy"},
    )
    coordinates["named"] = ("named", list(NAMED))
    attributes = {
        "title": "Trapped particles on an orbit",
        "models": "AP-8 and AE-8 (aep8), in their own magnetic fields of 1960 and 1970",
        "step_s": step,
        "version": VERSION,
    }
    return xr.Dataset(variables, coordinates, attributes)
