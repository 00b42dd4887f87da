"""Files of spectra -> the Dataset of `spectra.dataset`. Formats: CSV and netCDF archives, SPE, N42, RadiaCode XML, FITS
PHA.

SPE is read by becquerel (the extra `readers`) and FITS by astropy; N42 and RadiaCode XML, for which no kept
library was found, by the standard library. The device's own energy calibration, where a file has one, is kept
in the attribute `device_calibration` (keV, polynomial in the channel counted from 0).

CSV archive: a header line, then one spectrum a line. Columns: `utc` (ISO 8601), `exposure_s`, `readout`,
`temperature_1_degC` to `_3_degC`, `bias`, `since_exit_s`, then `c1` ... `cN`, the counts. Only `exposure_s`
and the counts must be there; an empty cell is an unknown. Lines that start with `#` are `# key: value`
attributes.
"""

import os
import warnings
import xml.etree.ElementTree as ElementTree
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import load
from xcal_jax.io.tables import read_table
from xcal_jax.spectra.dataset import build_spectra, check_spectra
from xcal_jax.units import as_numbers, parse_whole, shown, shown_path

MOST_CHANNELS = 2**24
CSV_COLUMNS = ("utc", "exposure_s", "readout", "bias", "since_exit_s")
BOARDS = tuple(f"temperature_{n}_degC" for n in (1, 2, 3))


@checked
def read_spectra(path: str | Path) -> xr.Dataset:
    """The spectra in a file of one of the formats, which its suffix tells: .nc .csv .spe .n42 .xml .pha .pi .fits .fit.

    Raises ValueError, naming the file, for another suffix or content that is not what the suffix says.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise ValueError(f"`spectra` file must exist, but {shown_path(path)} does not")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"`spectra` file must end in one of {', '.join(READERS)}, but is {path.name}")
    try:
        return reader(path)
    except (KeyError, IndexError, ElementTree.ParseError, OSError, TypeError, UnicodeDecodeError) as problem:
        raise ValueError(f"{path.name} must be a {path.suffix} file of spectra, but: {problem!r}") from problem
    except ValueError as problem:
        raise ValueError(str(problem) if path.name in str(problem) else f"{path.name}: {problem}") from problem


def read_netcdf(path: Path) -> xr.Dataset:
    """The archive in a netCDF file."""
    return check_spectra(load(path, "an archive of spectra"))


def read_csv(path: Path) -> xr.Dataset:
    """The archive in a CSV file, whose columns the module's docstring describes.

    Raises ValueError for columns of counts out of order, no exposures, no spectrum, or as `io.tables.read_table`.
    """
    table = read_table(path, path.name, words=("utc", "readout"))
    names = [name for name in table.columns if name not in (*CSV_COLUMNS, *BOARDS)]
    wrong = next((name for k, name in enumerate(names, 1) if name != f"c{k}"), None if names else "none")
    if wrong:
        raise ValueError(f"columns of counts must be c1, c2, ... in order, but one is {shown(wrong)}")
    if "exposure_s" not in table:
        raise ValueError("the column exposure_s must be there, but is missing")
    if table.empty:
        raise ValueError("a CSV archive needs a header line and at least one spectrum")
    return build_spectra(
        table[names],
        table["exposure_s"],
        [np.datetime64(text.rstrip("Z") or "NaT", "ns") for text in table["utc"]] if "utc" in table else None,
        table.get("readout", ""),
        table.reindex(columns=BOARDS),
        table.get("bias"),
        table.get("since_exit_s"),
        **table.attrs,
    )


def read_spe(path: Path) -> xr.Dataset:
    """The spectrum of an ASCII SPE file (IAEA / ORTEC), live time as exposure. Raises ValueError without becquerel."""
    try:
        from becquerel import Spectrum
    except ImportError as problem:
        raise ValueError('SPE files need becquerel: pip install "xcal-jax[readers]"') from problem
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings(action="ignore"):
            one = Spectrum.from_file(str(path))
    except Exception as problem:  # becquerel has many kinds
        raise ValueError(
            "an SPE file needs a live time, and as many counts as it states, but this has not"
        ) from problem
    start = np.datetime64(one.start_time, "ns") if one.start_time is not None else None
    return build_spectra(one.counts_vals, one.livetime, start, source=path.name)


def within(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """All elements of that name, in any namespace, below ``element``."""
    return element.findall(f".//{{*}}{name}")


def only(element: ElementTree.Element, name: str) -> str:
    """Text of the first element of that name below ``element``. Raises ValueError when there is none."""
    text = element.findtext(f".//{{*}}{name}")
    if text is None:
        raise ValueError(f"the element {name} must be there, but is missing")
    return text.strip()


def numbers(text: str | None) -> list[float]:
    """White-space separated numbers. Raises ValueError where a word is none."""
    return as_numbers((text or "").split(), "numbers of the file").tolist()


def unzeroed(values: list[float]) -> list[float]:
    """Counts from N42's CountedZeroes, where the number after a zero says how many zeros it stands for.

    Raises ValueError where that is missing or no such number.
    """
    out, feed = [], iter(values)
    for value in feed:
        if value == 0:
            zeros = parse_whole(next(feed, None), "number of zeros", least=1, most=MOST_CHANNELS)
            out.extend([0.0] * zeros)
        else:
            out.append(value)
    return out


def read_n42(path: Path) -> xr.Dataset:
    """All spectra of an ANSI N42.42-2011 file: counts, live time, start time, class code as `readout`.

    Raises ValueError when it has none, an element is missing, or the spectra differ in their number of channels.
    """
    root = ElementTree.parse(path).getroot()
    counts, exposure, time, names = [], [], [], []
    for measurement in within(root, "RadMeasurement"):
        start = np.datetime64(only(measurement, "StartDateTime")[:19], "ns")
        kind = only(measurement, "MeasurementClassCode")
        for spectrum in within(measurement, "Spectrum"):
            data = within(spectrum, "ChannelData")[0]
            values = numbers(data.text)
            counts.append(unzeroed(values) if data.get("compressionCode") == "CountedZeroes" else values)
            exposure.append(pd.Timedelta(only(spectrum, "LiveTimeDuration")).total_seconds())
            time.append(start)
            names.append(kind)
    if not counts:
        raise ValueError("an N42 file needs a RadMeasurement with a Spectrum, but has none")
    if len({len(row) for row in counts}) > 1:
        raise ValueError("all spectra must have as many channels, but they differ")
    coefficients = within(root, "CoefficientValues")
    own = {"device_calibration": numbers(coefficients[0].text)} if coefficients else {}
    return build_spectra(counts, exposure, time, names, source=path.name, **own)


def read_radiacode(path: Path) -> xr.Dataset:
    """The spectrum of a RadiaCode XML file; a background spectrum in it becomes a second one, `readout` background.

    Raises ValueError when it has none, an element is missing, or the number of channels is not the stated one.
    """
    root = ElementTree.parse(path).getroot()
    rows, names = [], []
    for tag, name in (("EnergySpectrum", "foreground"), ("BackgroundEnergySpectrum", "background")):
        for spectrum in within(root, tag)[:1]:
            points = numbers(" ".join(point.text or "nan" for point in within(spectrum, "DataPoint")))
            expected = parse_whole(only(spectrum, "NumberOfChannels"), "NumberOfChannels")
            if len(points) != expected:
                raise ValueError(f"the {name} must have {expected} channels, but has {len(points)}")
            coefficients = numbers(" ".join(c.text or "nan" for c in within(spectrum, "Coefficient")))
            rows.append((points, numbers(only(spectrum, "MeasurementTime"))[0], coefficients))
            names.append(name)
    if not rows:
        raise ValueError("a RadiaCode file needs an EnergySpectrum, but has none")
    starts = within(root, "StartTime")
    start = np.datetime64((starts[0].text or "NaT").strip()[:19], "ns") if starts else None
    counts, exposure, calibrations = zip(*rows, strict=True)
    return build_spectra(counts, exposure, start, names, source=path.name, device_calibration=calibrations[0])


def read_pha(path: Path) -> xr.Dataset:
    """The spectra of an OGIP PHA file: COUNTS and EXPOSURE of its SPECTRUM extension, type I (one) or II (many).

    Raises ValueError without that extension, or without COUNTS and RATE.
    """
    from astropy.io import fits

    with fits.open(path) as units:
        spectrum = next((unit for unit in units if unit.name == "SPECTRUM"), None)
        if spectrum is None:
            raise ValueError("a PHA file needs a SPECTRUM extension, but has none")
        header, columns = spectrum.header, spectrum.columns.names
        exposure = spectrum.data["EXPOSURE"] if "EXPOSURE" in columns else header["EXPOSURE"]
        if "COUNTS" in columns:
            counts = np.array(spectrum.data["COUNTS"], float)
        elif "RATE" in columns:
            counts = np.array(spectrum.data["RATE"], float) * np.reshape(exposure, (-1, 1) if np.ndim(exposure) else ())
        else:
            raise ValueError("the SPECTRUM extension needs COUNTS or RATE, but has neither")
        begin = header.get("DATE-OBS")
        start = np.datetime64(begin.rstrip("Z"), "ns") if begin else None
        return build_spectra(counts, np.array(exposure, float), start, header.get("DETNAM", ""), source=path.name)


READERS = {
    ".nc": read_netcdf,
    ".csv": read_csv,
    ".spe": read_spe,
    ".n42": read_n42,
    ".xml": read_radiacode,
    ".pha": read_pha,
    ".pi": read_pha,
    ".fits": read_pha,
    ".fit": read_pha,
}
