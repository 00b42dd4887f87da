"""Files of spectra and events -> Datasets. Formats: CSV and netCDF archives, SPE, N42, RadiaCode XML, FITS
PHA, and the public GRBAlpha event text.

SPE is read by becquerel and FITS by astropy (the extra `readers`); N42 and RadiaCode XML, for which no kept
library was found, by the standard library. The device's own energy calibration, where a file has one, is kept
in the attribute `device_calibration` (keV, polynomial in the channel counted from 0).

CSV archive: a header line, then one spectrum a line. Columns: `utc` (ISO 8601), `exposure_s`, `readout`,
`temperature_1_degC` to `_3_degC`, `bias`, `since_exit_s`, then `c1` ... `cN`, the counts. Only `exposure_s`
and the counts must be there; an empty cell is an unknown. Lines that start with `#` are `# key: value`
attributes.
"""

import csv
import xml.etree.ElementTree as ElementTree
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.sipm.labels import labelled
from xcal_jax.sipm.spectra import build_spectra, check_spectra

CSV_COLUMNS = ("utc", "exposure_s", "readout", "bias", "since_exit_s")
BOARDS = tuple(f"temperature_{n}_degC" for n in (1, 2, 3))


def read_spectra(path: str | Path) -> xr.Dataset:
    """Read spectra from a file by its suffix: .nc .csv .spe .n42 .xml .pha .pi .fits .fit.

    Raises ValueError, naming the file, for another suffix or content that is not what the suffix says.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"`spectra` file must exist, but {path} does not")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"`spectra` file must end in one of {', '.join(READERS)}, but is {path.name}")
    try:
        return reader(path)
    except (KeyError, IndexError, ElementTree.ParseError, OSError, TypeError, UnicodeDecodeError) as problem:
        raise ValueError(
            f"{path.name} must be a {path.suffix} file of spectra, but: {problem!r}"
        ) from problem
    except ValueError as problem:
        raise ValueError(f"{path.name}: {problem}") from problem


def read_netcdf(path: Path) -> xr.Dataset:
    """An archive as `write_spectra` leaves it."""
    with xr.open_dataset(path, engine="netcdf4") as archive:
        return check_spectra(archive.load())


def read_csv(path: Path) -> xr.Dataset:
    """A CSV archive, as the module's docstring tells."""
    attrs, lines = {}, []
    with path.open(newline="") as file:
        for line in file:
            if line.startswith("#"):
                key, _, value = line[1:].partition(":")
                attrs[key.strip()] = value.strip()
            elif line.strip():
                lines.append(line)
    if len(lines) < 2:
        raise ValueError("a CSV archive needs a header line and at least one spectrum")
    rows = list(csv.DictReader(lines))
    header = [name.strip() for name in lines[0].split(",")]
    known = set(CSV_COLUMNS) | set(BOARDS)
    names = [name for name in header if name not in known]
    if names != [f"c{n}" for n in range(1, len(names) + 1)] or not names:
        wrong = next((n for k, n in enumerate(names) if n != f"c{k + 1}"), "none")
        raise ValueError(f"columns of counts must be c1, c2, ... in order, but one is {wrong!r}")
    for number, row in enumerate(rows):
        if None in row or None in row.values():
            raise ValueError(
                f"every line must have {len(header)} columns, but spectrum {number} has another number"
            )

    def column(name, default="nan"):
        try:
            return np.array([float(row.get(name) or default) for row in rows])
        except ValueError as problem:
            raise ValueError(f"column {name} must hold numbers, but: {problem}") from problem

    if "exposure_s" not in header:
        raise ValueError("the column exposure_s must be there, but is missing")
    return build_spectra(
        np.stack([column(name) for name in names], 1),
        column("exposure_s"),
        [np.datetime64((row.get("utc") or "NaT").rstrip("Z"), "ns") for row in rows],
        [row.get("readout") or "" for row in rows],
        np.stack([column(name) for name in BOARDS], 1),
        column("bias"),
        column("since_exit_s"),
        **attrs,
    )


def read_spe(path: Path) -> xr.Dataset:
    """One spectrum of an ASCII SPE file (IAEA / ORTEC), live time as exposure."""
    try:
        from becquerel import Spectrum
    except ImportError as problem:
        raise ValueError('SPE files need becquerel: pip install "xcal-jax[readers]"') from problem
    with redirect_stdout(StringIO()):
        one = Spectrum.from_file(str(path))
    start = np.datetime64(one.start_time, "ns") if one.start_time is not None else None
    return build_spectra(one.counts_vals, one.livetime, start, source=path.name)


def local_name(element: ElementTree.Element) -> str:
    """The tag without its namespace."""
    return element.tag.rpartition("}")[2]


def within(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """All elements of that local name below ``element``, in document order."""
    return [child for child in element.iter() if local_name(child) == name]


def only(element: ElementTree.Element, name: str) -> str:
    """Text of the first element of that name. Raises ValueError when there is none."""
    found = within(element, name)
    if not found:
        raise ValueError(f"the element {name} must be there, but is missing")
    return (found[0].text or "").strip()


def numbers(text: str) -> list[float]:
    """White-space separated numbers."""
    return [float(word) for word in text.split()]


def duration(text: str) -> float:
    """Seconds of an ISO 8601 duration of days, hours, minutes, seconds, such as PT1H2M3.5S."""
    seconds, number, unit = 0.0, "", {"D": 86400.0, "H": 3600.0, "M": 60.0, "S": 1.0}
    for character in text.upper().removeprefix("P"):
        if character == "T":
            continue
        if character in unit:
            seconds, number = seconds + float(number) * unit[character], ""
        else:
            number += character
    return seconds


def unzeroed(values: list[float]) -> list[float]:
    """Expand N42's CountedZeroes: a zero is followed by how many zeros it stands for."""
    out, feed = [], iter(values)
    for value in feed:
        out.extend([0.0] * int(next(feed)) if value == 0 else [value])
    return out


def read_n42(path: Path) -> xr.Dataset:
    """All spectra of an ANSI N42.42-2011 file: counts, live time, start time, class code as `readout`."""
    root = ElementTree.parse(path).getroot()
    counts, exposure, time, names = [], [], [], []
    for measurement in within(root, "RadMeasurement"):
        start = np.datetime64(only(measurement, "StartDateTime")[:19], "ns")
        kind = only(measurement, "MeasurementClassCode")
        for spectrum in within(measurement, "Spectrum"):
            data = within(spectrum, "ChannelData")[0]
            values = numbers(data.text or "")
            counts.append(unzeroed(values) if data.get("compressionCode") == "CountedZeroes" else values)
            exposure.append(duration(only(spectrum, "LiveTimeDuration")))
            time.append(start)
            names.append(kind)
    if not counts:
        raise ValueError("an N42 file needs a RadMeasurement with a Spectrum, but has none")
    if len({len(row) for row in counts}) > 1:
        raise ValueError("all spectra must have as many channels, but they differ")
    coefficients = within(root, "CoefficientValues")
    own = {"device_calibration": numbers(coefficients[0].text or "")} if coefficients else {}
    return build_spectra(counts, exposure, time, names, source=path.name, **own)


def read_radiacode(path: Path) -> xr.Dataset:
    """The spectrum of a RadiaCode XML file; a background spectrum in it becomes a second one, `readout`
    background.
    """
    root = ElementTree.parse(path).getroot()
    rows, names = [], []
    for tag, name in (("EnergySpectrum", "foreground"), ("BackgroundEnergySpectrum", "background")):
        for spectrum in within(root, tag)[:1]:
            points = [float(point.text or "nan") for point in within(spectrum, "DataPoint")]
            expected = int(only(spectrum, "NumberOfChannels"))
            if len(points) != expected:
                raise ValueError(f"the {name} must have {expected} channels, but has {len(points)}")
            coefficients = [float(c.text or "nan") for c in within(spectrum, "Coefficient")]
            rows.append((points, float(only(spectrum, "MeasurementTime")), coefficients))
            names.append(name)
    if not rows:
        raise ValueError("a RadiaCode file needs an EnergySpectrum, but has none")
    starts = within(root, "StartTime")
    start = np.datetime64((starts[0].text or "NaT").strip()[:19], "ns") if starts else None
    return build_spectra(
        [row[0] for row in rows],
        [row[1] for row in rows],
        start,
        names,
        source=path.name,
        device_calibration=rows[0][2],
    )


def read_pha(path: Path) -> xr.Dataset:
    """An OGIP PHA file: the SPECTRUM extension's COUNTS and EXPOSURE, type I (one) or II (many)."""
    try:
        from astropy.io import fits
    except ImportError as problem:
        raise ValueError('FITS files need astropy: pip install "xcal-jax[readers]"') from problem
    with fits.open(path) as units:
        spectrum = next((unit for unit in units if unit.name == "SPECTRUM"), None)
        if spectrum is None:
            raise ValueError("a PHA file needs a SPECTRUM extension, but has none")
        header, columns = spectrum.header, spectrum.columns.names
        exposure = spectrum.data["EXPOSURE"] if "EXPOSURE" in columns else header["EXPOSURE"]
        if "COUNTS" in columns:
            counts = np.array(spectrum.data["COUNTS"], float)
        elif "RATE" in columns:
            counts = np.array(spectrum.data["RATE"], float) * np.reshape(
                exposure, (-1, 1) if np.ndim(exposure) else ()
            )
        else:
            raise ValueError("the SPECTRUM extension needs COUNTS or RATE, but has neither")
        begin = header.get("DATE-OBS")
        start = np.datetime64(begin.rstrip("Z"), "ns") if begin else None
        return build_spectra(
            counts, np.array(exposure, float), start, header.get("DETNAM", ""), source=path.name
        )


def read_event(path: str | Path) -> xr.Dataset:
    """A public GRBAlpha event: `data.txt`, or its folder, with `info.txt` beside it.

    Returns `rate` (time, band) and `rate_sum` (time) cnt/s, `exposure` s, `start` and `end` UTC, band edges
    `low`, `high` keV; the lines of `info.txt` become attrs. Raises ValueError for another layout.
    """
    path = Path(path)
    path = path / "data.txt" if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"an event file must exist, but {path} does not")
    lines = path.read_text().splitlines()
    if len(lines) < 4 or lines[0].split()[:4] != ["start_time", "end_time", "sec_from_start", "exposure"]:
        raise ValueError(f"{path.name} must be a GRBAlpha event table, but its header is not that of one")
    edges = [word.removesuffix("keV").split("-") for word in lines[1].split() if word.endswith("keV")]
    rows = [line.split() for line in lines[3:] if line.strip()]
    for number, row in enumerate(rows):
        if len(row) != 6 + len(edges):
            raise ValueError(
                f"{path.name} must have {6 + len(edges)} columns, but line {number + 4} has {len(row)}"
            )
    bands = np.array(edges[:-1], float)
    values = np.array([row[4:] for row in rows], float)
    start = np.array([np.datetime64(f"{row[0]}T{row[1]}", "ns") for row in rows])
    end = np.array([np.datetime64(f"{row[2]}T{row[3]}", "ns") for row in rows])
    info = path.with_name("info.txt")
    text = info.read_text().splitlines() if info.is_file() else []
    attrs = {
        key.removeprefix("("): value.strip()
        for key, _, value in (line.partition("):") for line in text)
        if value
    }
    return xr.Dataset(
        {
            "rate": labelled(("time", "band"), values[:, 2:-1], "count/s", "count rate in the band"),
            "rate_sum": labelled("time", values[:, -1], "count/s", "count rate in all bands"),
            "exposure": labelled("time", values[:, 1], "s", "exposure"),
            "start": xr.Variable("time", start, {"long_name": "start of the bin, UTC"}),
            "end": xr.Variable("time", end, {"long_name": "end of the bin, UTC"}),
            "low": labelled("band", bands[:, 0], "keV", "lower edge of the band"),
            "high": labelled("band", bands[:, 1], "keV", "upper edge of the band"),
        },
        attrs={"satellite": "GRBAlpha", "source": path.parent.name, **attrs},
    )


def read_series(path: str | Path) -> xr.Dataset:
    """A time series to correlate with: CSV with a first column `utc` or `days` and one column a quantity.

    Returns one variable a quantity over `sample`, with `time` (UTC) or `days` (since launch).
    Raises ValueError for another layout or cells that are not numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"a series file must exist, but {path} does not")
    rows = [row for row in csv.reader(path.read_text().splitlines()) if row and not row[0].startswith("#")]
    if len(rows) < 2 or rows[0][0].strip() not in ("utc", "days") or len(rows[0]) < 2:
        raise ValueError(f"{path.name} must start with a header `utc` or `days` and at least one quantity")
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(f"{path.name} must have {len(rows[0])} columns in every line, but has not")
    names = [name.strip() for name in rows[0]]
    try:
        values = np.array([[float(cell or "nan") for cell in row[1:]] for row in rows[1:]])
        if names[0] == "days":
            axis = labelled("sample", [float(row[0]) for row in rows[1:]], "d", "time since launch")
        else:
            times = np.array([row[0].strip().rstrip("Z") for row in rows[1:]], "datetime64[ns]")
            axis = xr.Variable("sample", times, {"long_name": "time, UTC"})
    except ValueError as problem:
        raise ValueError(f"{path.name} must hold numbers and times, but: {problem}") from problem
    series = {name: labelled("sample", values[:, k], "1", name) for k, name in enumerate(names[1:])}
    return xr.Dataset({"time" if names[0] == "utc" else "days": axis, **series}, attrs={"source": path.name})


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
