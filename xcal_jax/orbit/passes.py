"""Times when a satellite is outside the radiation belts, and when it leaves the South Atlantic Anomaly going north.

Quiet spectra need low background, activation lines need the minutes after the anomaly. The models place the anomaly
at its longitude of the 1960s, so the times are off by minutes and whole passes may change, unless ``drift`` turns it
west.
"""

import numpy as np
import xarray as xr
from jaxtyping import Bool

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.orbit.elements import Elements, positions
from xcal_jax.orbit.ephemeris import geodetic
from xcal_jax.orbit.fluence import LONGEST_STEP, SHORTEST_STEP
from xcal_jax.orbit.months import DAY, Segment, parse_date
from xcal_jax.orbit.trapped import drifted, geomagnetic_coordinates, integral_flux
from xcal_jax.units import parse_quantity, shown

CAVEAT = (
    "AP-8 and AE-8 place the South Atlantic Anomaly at its longitude of the 1960s; since then it has drifted "
    "west by about 0.3 degrees a year: without `drift` the times of passes are wrong"
)
ANOMALY_PROTONS = 1.0  # 1/(cm2 s) above 10 MeV, from which a place is in the anomaly
QUIET_ELECTRONS = 1.0  # 1/(cm2 s) above 1 MeV, below which a place is quiet
MOST_DAYS, MOST_DRIFT = 366.0, 10.0  # d; degrees a year


def _runs(mask: Bool[np.ndarray, " n"]) -> list[tuple[int, int]]:
    """First index and one past the last of every run of True in ``mask``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@checked
def list_passes(
    orbit: Elements,
    day: str | np.datetime64,
    days: float = 1.0,
    solar: str = "max",
    drift: float = 0.0,
    step: float = 30.0,
    shortest: float = 5.0,
) -> xr.Dataset:
    """Quiet windows and exits from the anomaly from the start of ``day`` (UTC) on, for so many ``days``.

    Quiet: AP-8 above 10 MeV and AE-8 above 1 MeV both below 1/(cm2 s) for at least ``shortest`` minutes.
    Exit: protons above 10 MeV fall below 1/(cm2 s). drift: degrees a year that the anomaly has moved west (today about
    0.3). step: seconds. Returns by `window` start, end and the latitudes there; by `pass` the exit's time, latitude,
    longitude, whether it goes north, and the protons' fluence of the pass, 1/cm2. Raises ValueError for a day far from
    the elements, a ``solar`` other than "min" and "max", and a number out of range.
    """
    if solar not in ("min", "max"):
        raise ValueError(f"`solar` must be min or max, but is {shown(solar)}")
    days = parse_quantity(days, "d", "days", above=0.0, most=MOST_DAYS)
    step = parse_quantity(step, "s", "step", least=SHORTEST_STEP, most=LONGEST_STEP)
    drift = parse_quantity(drift, "deg", "drift", least=-MOST_DRIFT, most=MOST_DRIFT)
    shortest = parse_quantity(shortest, "min", "shortest", least=0.0, most=60.0 * 24.0 * days)
    start = parse_date(day, "day")
    segment = Segment(start, start + np.timedelta64(round(days * 86400), "s"), solar)
    seconds = np.arange(0, days * 86400, step)
    time = start + np.round(seconds).astype("m8[s]")
    position = positions(orbit.at(segment), segment, seconds)
    latitude, longitude, _ = geodetic(position)
    year = 1970 + float((segment.middle - np.datetime64("1970-01-01", "s")) / DAY) / 365.25

    def flux(particle: str, energy: float):
        at = drifted(position, year, particle, solar, drift) if drift else position
        return integral_flux(*geomagnetic_coordinates(at, particle, solar), np.array([energy]), particle, solar)[:, 0]

    protons, electrons = flux("proton", 10.0), flux("electron", 1.0)
    anomaly = _runs(protons >= ANOMALY_PROTONS)
    exits = np.array([end for _, end in anomaly if end < len(time)], int)
    fluence = np.array([protons[a:b].sum() * step for a, b in anomaly if b < len(time)])
    calm = _runs((protons < ANOMALY_PROTONS) & (electrons < QUIET_ELECTRONS))
    calm = [(a, b - 1) for a, b in calm if (b - a) * step >= shortest * 60]
    first, last = np.array(calm, int).reshape(-1, 2).T
    north = latitude[exits] > latitude[exits - 1] if len(exits) else np.zeros(0, bool)
    return xr.Dataset(
        {
            "start": variable("window", time[first], None, "start of a quiet window (UTC)"),
            "end": variable("window", time[last], None, "end of a quiet window (UTC)"),
            "start_latitude": variable("window", latitude[first], "degrees_north", "latitude at the start"),
            "end_latitude": variable("window", latitude[last], "degrees_north", "latitude at the end"),
            "exit": variable("pass", time[exits], None, "exit from the anomaly (UTC)"),
            "exit_latitude": variable("pass", latitude[exits], "degrees_north", "latitude of the exit"),
            "exit_longitude": variable("pass", longitude[exits], "degrees_east", "longitude of the exit"),
            "northward": variable("pass", north, "1", "going north"),
            "proton_fluence": variable("pass", fluence, "1/cm2", "protons above 10 MeV during the pass"),
        },
        attrs={
            "title": "Quiet windows and exits from the South Atlantic Anomaly",
            "caveat": CAVEAT if drift == 0 else f"anomaly of the 1960s turned west by {drift:g} degrees a year",
            "drift_deg_per_year": drift,
            "solar": solar,
        },
    )
