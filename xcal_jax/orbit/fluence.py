"""Fluence spectra of protons and electrons outside the shield: months -> positions -> L, B/B0 -> fluxes."""

import warnings
from collections.abc import Callable, Iterable

import numpy as np
import xarray as xr
from jaxtyping import Float

from xcal_jax.compute.progress import Bar
from xcal_jax.constants import VERSION
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.orbit.activity import flux_at
from xcal_jax.orbit.elements import Altitudes, Circle, Elements, ElementSet, positions
from xcal_jax.orbit.galactic import MODEL as GALACTIC
from xcal_jax.orbit.galactic import RIGIDITY, galactic_dose
from xcal_jax.orbit.months import SWITCH, Segment, monthly_segments
from xcal_jax.orbit.solar_protons import MODEL, YEAR, active_days, rigidity_of, solar_fluences, transmission
from xcal_jax.orbit.trapped import (
    ENERGY_EDGES,
    FieldMap,
    differential_flux,
    field_epoch,
    geomagnetic_coordinates,
    integral_flux,
    spectrum_energies,
)
from xcal_jax.units import parse_quantity

NAMED = {
    "p>10MeV": ("proton", 10.0),
    "p>50MeV": ("proton", 50.0),
    "p>100MeV": ("proton", 100.0),
    "e>1MeV": ("electron", 1.0),
}
FLUX_ENERGIES = {
    particle: np.concatenate([edges, [e for kind, e in NAMED.values() if kind == particle]])
    for particle, edges in ENERGY_EDGES.items()
}
"""MeV at which integral fluxes are wanted: the edges of the fold's bins, then those of `NAMED`."""
MODELS = "AP-8 and AE-8 (aep8), in their own magnetic fields of 1960 and 1970"
MODEL_FACTOR = 2.0  # how far AP-8 and AE-8 may be off, either way (Sawyer and Vette 1976; Vette 1991)
MAP_POINTS = 73 * 90 * 4  # positions from which on a map of L and B/B0 costs less than tracing each
CHUNK = 100_000  # positions held at once
SHORTEST_STEP, LONGEST_STEP = 1.0, 600.0  # s; an orbit takes 5400 s or more


def step_seconds(segment: Segment, step: float) -> Float[np.ndarray, " n"]:
    """Middles of equal steps of about ``step`` seconds that fill ``segment``, in seconds from its start."""
    length = segment.days * 86400
    count = max(1, round(length / step))
    return (np.arange(count) + 0.5) * (length / count)


def average_flux(
    positions: Iterable[Float[np.ndarray, "_ 3"]],
    field: Callable,
    particle: str,
    solar: str,
    energy: Float[np.ndarray, " E"],
) -> Float[np.ndarray, " E"]:
    """Mean flux above ``energy`` MeV over ``positions``, blocks in km; ``field`` gives L and B/B0 at one block."""
    total, count = np.zeros(len(energy)), 0
    for block in positions:
        shell, ratio = field(block)
        total += integral_flux(shell, ratio, energy, particle, solar).sum(0)
        count += len(block)
    return total / count


@checked
def mission_fluence(
    orbit: Elements | Altitudes,
    start: str | np.datetime64 | None = None,
    end: str | np.datetime64 | None = None,
    activity: str = SWITCH,
    step: float = 60.0,
    progress: bool = False,
    solar_protons: float | None = None,
    galactic: bool = False,
) -> xr.Dataset:
    """Fluxes and fluences of trapped protons and electrons on ``orbit``, month by month, and of solar protons.

    start, end: dates, the span of ``orbit`` if none. activity: "min", "max", "cycle", "blend", or the date from which
    solar activity is maximum. step: seconds, at most a ninth of an orbit. Returns per ``segment`` start, end, length
    (d), days (d, from the start of the mission to its end), altitude (km) and solar activity; the integral flux at the
    models' energies, 1/(cm2 s); the differential flux and the fluence at the energies of the fold, 1/(cm2 [s] MeV); and
    the fluxes `named` in reports. solar_protons: a confidence from 0.5 to 0.99; then also the fluence of protons of
    solar events that the mission does not exceed with it, by ESP (`solar_proton_fluence`), and that with the opposite
    one (`_low`). galactic: add the dose by galactic nuclei (`tid_galactic`).
    Raises ValueError for dates that ``orbit`` does not reach, orbits outside the models, a step that does not
    resolve the orbit, and another confidence.
    """
    parse_quantity(step, "s", "step", least=SHORTEST_STEP, most=LONGEST_STEP)
    if solar_protons is not None:
        solar_protons = parse_quantity(solar_protons, "", "solar_protons", least=0.5, most=0.99)
    first, last = orbit.span
    segments = monthly_segments(first if start is None else start, last if end is None else end, activity)
    flights: list[tuple[Segment, ElementSet | Circle]] = list(zip(segments, orbit.flights(segments), strict=True))
    altitude = np.array([flown.altitude for _, flown in flights])
    fields = _fields(flights, step)
    flux: dict[str, list[np.ndarray]] = {particle: [] for particle in FLUX_ENERGIES}
    arriving: list[np.ndarray] = []
    nuclei: list[float] = []
    with Bar(len(flights), " months", progress) as bar:
        for segment, flown in flights:
            for particle, energy in FLUX_ENERGIES.items():
                total = np.zeros(energy.size)
                for solar, weight in segment.mixture.items():
                    blocks, field = _blocks(flown, segment, step), fields[field_epoch(particle, solar)]
                    total += weight * average_flux(blocks, field, particle, solar, energy)
                flux[particle].append(total)
            if solar_protons is not None:
                field = fields[field_epoch("proton", next(iter(segment.mixture)))]
                rigidity = rigidity_of(spectrum_energies("proton"))
                arriving.append(transmission(_blocks(flown, segment, step), field, rigidity))
            if galactic:
                field = fields[field_epoch("proton", next(iter(segment.mixture)))]
                share = transmission(_blocks(flown, segment, step), field, RIGIDITY)
                nuclei.append(galactic_dose(flux_at(segment.middle), share) * segment.days)
            bar.update()
    rows = {particle: np.array(found) for particle, found in flux.items()}
    result = fluence_dataset(segments, altitude, rows, MODELS, MODEL_FACTOR).assign_attrs(step_s=step)
    inclination = [flown.inclination for _, flown in flights]
    result["inclination"] = variable("segment", inclination, "degrees", "angle between the orbit and the equator")
    if orbit.name:
        result.attrs["satellite"] = orbit.name
    if galactic:
        what = "total ionising dose in Si by galactic nuclei, without a shield"
        result["tid_galactic"] = variable("segment", nuclei, "cGy", what)
        result.attrs["galactic"] = GALACTIC
    if solar_protons is None:
        return result
    years = active_days(segments).sum() / YEAR
    if 0 < years < 1:
        warnings.warn(
            f"solar protons are those of a whole active year, since the mission has {years:.2g} of one and the model "
            "is of no less",
            stacklevel=2,
        )
    for name, confidence in (("solar_proton_fluence", solar_protons), ("solar_proton_fluence_low", 1 - solar_protons)):
        fluence = solar_fluences(segments, np.array(arriving), confidence)
        what = f"solar protons, not exceeded with {100 * confidence:g} %"
        result[name] = variable(("segment", "proton_energy"), fluence, "1/(cm2 MeV)", what)
    return result.assign_attrs(solar_protons=MODEL, solar_protons_confidence=solar_protons)


def _blocks(flown: ElementSet | Circle, segment: Segment, step: float) -> Iterable[np.ndarray]:
    seconds = step_seconds(segment, step)
    for begin in range(0, len(seconds), CHUNK):
        yield positions(flown, segment, seconds[begin : begin + CHUNK])


def _fields(flights: list[tuple[Segment, ElementSet | Circle]], step: float) -> dict:
    """L and B/B0 of positions by the epoch of the models' fields: traced for short work, read off a map for long."""
    days = sum(segment.days for segment, _ in flights)
    needed = {field_epoch(p, solar): (p, solar) for s, _ in flights for solar in s.mixture for p in ENERGY_EDGES}
    if days * 86400 / step < MAP_POINTS:
        return {epoch: lambda at, of=of: geomagnetic_coordinates(at, *of) for epoch, of in needed.items()}
    radii = [np.linalg.norm(block, axis=1) for s, flown in flights for block in _blocks(flown, s, max(step, 600.0))]
    lowest, highest = min(r.min() for r in radii) - 2, max(r.max() for r in radii) + 2
    return {epoch: FieldMap.build(lowest, highest, *of) for epoch, of in needed.items()}


def fluence_dataset(
    segments: list[Segment],
    altitude: Float[np.ndarray, " S"],
    flux: dict[str, Float[np.ndarray, "S J"]],
    models: str,
    factor: float,
) -> xr.Dataset:
    """The Dataset of `mission_fluence`. altitude: km. flux: by particle, 1/(cm2 s) above its `FLUX_ENERGIES`.

    models: where the fluxes are from, in words. factor: how far they may be off, either way.
    """
    days = np.array([segment.days for segment in segments])
    variables = {
        "end": variable("segment", np.array([s.end for s in segments]), None, "end (UTC)"),
        "length": variable("segment", days, "d", "length"),
        "days": variable("segment", np.cumsum(days), "d", "days from the start to the end"),
        "altitude": variable("segment", altitude, "km", "altitude above the equatorial radius"),
        "solar": variable("segment", [s.solar for s in segments], "1", "solar activity of AP-8 and AE-8"),
        "share_of_maximum": variable(
            "segment", [s.mixture.get("max", 0.0) for s in segments], "1", "share of solar maximum in it"
        ),
    }
    coordinates = {"start": variable("segment", np.array([s.start for s in segments]), None, "start (UTC)")}
    omni, named = "omnidirectional", []
    for particle, rows in flux.items():
        edges = ENERGY_EDGES[particle]
        spectrum = differential_flux(rows[:, : len(edges)], particle)
        for part, values in (("threshold", edges), ("energy", spectrum_energies(particle))):
            name = f"{particle}_{part}"
            coordinates[name] = variable(name, values, "MeV", f"{particle} energy")
        above, at = ("segment", f"{particle}_threshold"), ("segment", f"{particle}_energy")
        columns = {
            "integral_flux": (above, rows[:, : len(edges)], "1/(cm2 s)", f"{omni} {particle} flux above the energy"),
            "flux": (at, spectrum, "1/(cm2 s MeV)", f"{omni} differential {particle} flux"),
            "fluence": (at, spectrum * days[:, None] * 86400, "1/(cm2 MeV)", f"{particle} fluence of the segment"),
        }
        variables |= {f"{particle}_{name}": variable(*column) for name, column in columns.items()}
        named.append(rows[:, len(edges) :])
    flux_above = np.concatenate(named, 1)
    variables["named_flux"] = variable(("segment", "named"), flux_above, "1/(cm2 s)", f"{omni} flux above an energy")
    coordinates["named"] = variable("named", list(NAMED), "1", "particle and energy")
    attributes = {
        "title": "Trapped particles on an orbit",
        "models": models,
        "model_factor": factor,
        "version": VERSION,
    }
    return xr.Dataset(variables, coordinates, attributes)
