"""Planning: when a satellite is outside the belts, and when it leaves the South Atlantic Anomaly going
north.

Quiet spectra want low background, activation lines want the minutes after the anomaly. The models place the
anomaly at its longitude of the 1960s, so the times are off by minutes and whole passes may change, unless
``drift`` turns it west.
"""

import numpy as np
import xarray as xr

from xcal_jax.orbit.elements import Elements
from xcal_jax.orbit.ephemeris import geodetic
from xcal_jax.orbit.months import DAY, Segment, parse_date
from xcal_jax.orbit.trapped import drifted, geomagnetic_coordinates, integral_flux

CAVEAT = (
    "AP-8 and AE-8 place the South Atlantic Anomaly at its longitude of the 1960s; since then it has drifted "
    "west by about 0.3 degrees a year: without `drift` the times of passes are wrong"
)
ANOMALY_PROTONS = 1.0
QUIET_ELECTRONS = 1.0


def _runs(mask) -> list[tuple[int, int]]:
    """First index and one past the last of every run of True in ``mask`` (n,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(mask, int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def list_passes(
    orbit: Elements,
    day,
    days: float = 1.0,
    solar: str = "max",
    drift: float = 0.0,
    step: float = 30.0,
    shortest: float = 5.0,
) -> xr.Dataset:
    """List quiet windows and exits from the anomaly from the start of ``day`` (UTC) on.

    Quiet: AP-8 above 10 MeV and AE-8 above 1 MeV both below 1/(cm2 s) for at least ``shortest`` minutes.
    Exit: protons above 10 MeV fall below 1/(cm2 s). ``drift``: degrees a year that the anomaly has moved
    west (0.3 is today's). Returns ``window``: start, end, the latitudes there; ``exit``: time, latitude,
    longitude, northward (bool), and the protons' fluence of the pass, 1/cm2. Raises ValueError for a day
    far from the elements and a ``solar`` that is none.
    """
    if solar not in ("min", "max"):
        raise ValueError(f"`solar` must be min or max, but is {solar!r}")
    for name, value in (("days", days), ("step", step)):
        if not value > 0:
            raise ValueError(f"`{name}` must be positive, but is {value}")
    start = parse_date(day, "day")
    segment = Segment(start, start + np.timedelta64(round(days * 86400), "s"), solar)
    seconds = np.arange(0, days * 86400, step)
    time = start + np.round(seconds).astype("m8[s]")
    position = orbit.position(segment, seconds)
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
    degrees = {"units": "degrees"}
    return xr.Dataset(
        {
            "start": ("window", time[first], {"long_name": "start of a quiet window (UTC)"}),
            "end": ("window", time[last], {"long_name": "end of a quiet window (UTC)"}),
            "start_latitude": ("window", latitude[first], degrees | {"long_name": "latitude at the start"}),
            "end_latitude": ("window", latitude[last], degrees | {"long_name": "latitude at the end"}),
            "exit": ("pass", time[exits], {"long_name": "exit from the anomaly (UTC)"}),
            "exit_latitude": ("pass", latitude[exits], degrees | {"long_name": "latitude of the exit"}),
            "exit_longitude": ("pass", longitude[exits], degrees | {"long_name": "longitude of the exit"}),
            "northward": ("pass", north, {"long_name": "going north"}),
            "proton_fluence": (
                "pass",
                fluence,
                {"units": "1/cm2", "long_name": "protons above 10 MeV during the pass"},
            ),
        },
        attrs={
            "title": "Quiet windows and exits from the South Atlantic Anomaly",
            "caveat": CAVEAT if drift == 0 else f"anomaly of the 1960s turned west by {drift:g} degrees a year",
            "drift_deg_per_year": drift,
            "solar": solar,
        },
    )
