"""FITS PHA files (OGIP), type I (one spectrum) and II (many).

The channels keep the file's place: channel 1 here is the detector's first, which TLMIN of the CHANNEL column calls 0 or
1. A file with EBOUNDS beside its spectra (or E_MIN and E_MAX in them) has the device's own energies.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.spectra.dataset import build_spectra
from xcal_jax.spectra.times import UNKNOWN, utc, utc_of_date
from xcal_jax.units import shown


def read_pha(path: Path) -> xr.Dataset:
    """The spectra of an OGIP PHA file: COUNTS (or RATE) and EXPOSURE of its SPECTRUM extension.

    The start is the column TSTART (or TIME) with MJDREF, or else DATE-OBS with TIME-OBS, or else the keyword TSTART,
    in the scale of TIMESYS.
    Raises ValueError without that extension, EXPOSURE, COUNTS and RATE, and for channels that do not join.
    """
    from astropy.io import fits

    try:
        with warnings.catch_warnings(action="ignore"), fits.open(path) as units:  # damage is refused here
            return spectra_in(units, path.name)
    except fits.VerifyError as problem:
        raise ValueError(f"a PHA file needs the headers of FITS, but: {problem}") from problem


def spectra_in(units: Any, source: str) -> xr.Dataset:
    """The spectra of the ``units`` of an open FITS file called ``source``. Raises ValueError as `read_pha`."""
    spectrum = next((u for u in units if u.name == "SPECTRUM" or u.header.get("HDUCLAS1") == "SPECTRUM"), None)
    if spectrum is None or spectrum.data is None:
        raise ValueError("a PHA file needs a SPECTRUM extension with rows, but has none")
    header, columns = spectrum.header, spectrum.columns.names
    if "EXPOSURE" not in columns and "EXPOSURE" not in header:
        raise ValueError("the SPECTRUM extension needs EXPOSURE, but has none")
    exposure = np.array(spectrum.data["EXPOSURE"] if "EXPOSURE" in columns else header["EXPOSURE"], float)
    if "COUNTS" in columns:
        counts = np.array(spectrum.data["COUNTS"], float)
    elif "RATE" in columns:
        counts = np.array(spectrum.data["RATE"], float) * np.reshape(exposure, (-1, 1) if exposure.ndim else ())
    else:
        raise ValueError("the SPECTRUM extension needs COUNTS or RATE, but has neither")
    first = first_channel(spectrum) if "CHANNEL" in columns else 1
    starts = start_times(spectrum)
    energy = channel_energies(units, spectrum, counts.shape[-1])
    places = {"first_channel": first, "device_energy": energy}
    return build_spectra(counts, exposure, starts, header.get("DETNAM", ""), **places, source=source)


def first_channel(spectrum: Any) -> int:
    """Place of the first channel, 1 for the detector's first. Raises ValueError where channels do not join."""
    numbers = np.atleast_2d(np.array(spectrum.data["CHANNEL"], int))
    if (np.diff(numbers, axis=1) != 1).any() or (numbers != numbers[:1]).any():
        raise ValueError("CHANNEL must count up by one, alike in every spectrum, but does not")
    place = spectrum.columns.names.index("CHANNEL") + 1
    lowest = spectrum.header.get(f"TLMIN{place}", min(int(numbers[0, 0]), 1))
    if numbers[0, 0] < lowest:
        raise ValueError(f"CHANNEL must begin at TLMIN{place} = {lowest} or above, but begins at {numbers[0, 0]}")
    return int(numbers[0, 0]) - int(lowest) + 1


def start_times(spectrum: Any) -> np.ndarray | np.datetime64:
    """Start, UTC, of every spectrum, or one for all; NaT where the file does not say it.

    Raises ValueError for an unknown TIMESYS, and as `utc_of`.
    """
    from astropy.time import Time

    header, columns = spectrum.header, spectrum.columns.names
    scale = str(header.get("TIMESYS", "UTC")).strip().lower()
    if scale not in Time.SCALES:
        raise ValueError(f"TIMESYS must be one of {', '.join(Time.SCALES).upper()}, but is {shown(scale.upper())}")
    date, clock = str(header.get("DATE-OBS", "")).strip(), str(header.get("TIME-OBS", "")).strip()
    dated = any(map(str.isdigit, date))
    column = next((name for name in ("TSTART", "TIME") if name in columns), None)
    elapsed = spectrum.data[column] if column else None if dated else header.get("TSTART")
    if elapsed is not None and ("MJDREF" in header or "MJDREFI" in header):
        unit = 86_400.0 if str(header.get("TIMEUNIT", "s")).strip().lower() in ("s", "sec") else 1.0
        days = (np.array(elapsed, float) + header.get("TIMEZERO", 0.0)) / unit + header.get("MJDREFF", 0.0)
        whole = header.get("MJDREF", header.get("MJDREFI", 0))
        return utc_of(Time(whole, days, format="mjd", scale=scale))
    if not dated:
        return UNKNOWN
    start = utc_of_date(date if not clock or "T" in date else f"{date} {clock}", day_first=True)
    return start if scale == "utc" else utc_of(Time(start, scale=scale))


def utc_of(time: Any) -> np.ndarray:
    """UTC of an astropy Time, to 1 ns: (n,), n = 1 for a single one. Raises ValueError as `times.utc`.

    It goes through text, for astropy's own datetime64 of years before 1678 or after 2262 is another time.
    """
    from astropy.time import Time

    return np.array([utc(text) for text in np.atleast_1d(Time(time.utc, precision=9).isot)])


def channel_energies(units: Any, spectrum: Any, channels: int) -> np.ndarray | None:
    """Energies (channels,), keV, of the middles of the channels; None where the file has none for so many channels."""
    from astropy.units import Unit

    for table in (spectrum, *(u for u in units if u.name == "EBOUNDS")):
        names = table.columns.names
        if "E_MIN" in names and "E_MAX" in names:
            low, high = (
                np.array(table.data[name], float) * Unit(table.columns[name].unit or "keV").to("keV")
                for name in ("E_MIN", "E_MAX")
            )
            if low.shape == (channels,):
                return 0.5 * (low + high)
    return None
