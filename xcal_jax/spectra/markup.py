"""XML of spectra: N42 (ANSI N42.42 of 2006 and of 2011) and the format that RadiaCode and BecqMoni share.

No kept library reads either. Elements are known by their names without a prefix, so that files whose prefixes are not
declared (InterSpec's) can be read. Channels have no numbers here: the first is channel 1.
"""

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np
import xarray as xr

from xcal_jax.spectra.dataset import build_spectra, polynomial_energy
from xcal_jax.spectra.spe import MOST_CHANNELS
from xcal_jax.spectra.times import UNKNOWN, seconds, utc
from xcal_jax.units import shown, words_as_numbers

SECTIONS = ("RadMeasurement", "Measurement")
KEV = {"eV": 1e-3, "keV": 1.0, "MeV": 1e3}


def read_markup(path: Path) -> xr.Dataset:
    """The spectra of an N42 or a RadiaCode (BecqMoni) file, whichever it is.

    Raises ValueError for XML that is neither or is broken, and as `read_n42` and `read_becqmoni`.
    """
    root = parse(path.read_bytes())
    if root.tag == "ResultDataFile" or within(root, "ResultData"):
        return read_becqmoni(root, path.name)
    return read_n42(root, path.name)


def parse(data: bytes) -> Element:
    """Root of the XML in ``data``, with names without prefixes. Raises ValueError where it is not well-formed."""
    encoding = None
    if b"encoding" not in data[:200]:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            encoding = "iso-8859-1"
    builder = TreeBuilder()
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: builder.start(name.rpartition(":")[2], attributes)
    parser.EndElementHandler = lambda name: builder.end(name.rpartition(":")[2])
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data.lstrip(), True)
    except expat.ExpatError as problem:
        raise ValueError(f"the file must be XML, but: {problem}") from problem
    return builder.close()


def within(element: Element, name: str) -> list[Element]:
    """All elements of that name below ``element``."""
    return list(element.iter(name))


def text_of(element: Element, *names: str) -> str | None:
    """Text of the first element below ``element`` that has one of the ``names``; None where there is none."""
    for name in names:
        found = next(element.iter(name), None)
        if found is not None and (found.text or "").strip():
            return (found.text or "").strip()
    return None


def numbers(text: str | None, what: str) -> list[float]:
    """White-space separated numbers. Raises ValueError, calling them ``what``, where one is none."""
    return words_as_numbers((text or "").split(), what)


def unzeroed(values: list[float]) -> list[float]:
    """Counts from N42's CountedZeroes, where the number after a zero says how many zeros it stands for.

    Raises ValueError where that number is missing, not whole or not positive, or the channels are more than 2^24.
    """
    out: list[float] = []
    feed = iter(values)
    for value in feed:
        run = next(feed, None) if value == 0 else 1.0
        if run is None or run < 1 or run != int(run) or len(out) + run > MOST_CHANNELS:
            raise ValueError(
                f"after a 0 in CountedZeroes there must be the number of zeros, 1 to {MOST_CHANNELS}, but there is "
                f"{'nothing' if run is None else f'{run:g}'}"
            )
        out.extend([0.0] * int(run) if value == 0 else [value])
    return out


def polynomials(root: Element) -> dict[str, list[float]]:
    """Coefficients, keV, of every energy calibration below ``root`` by its id ("" for one without)."""
    found = {}
    for one in within(root, "EnergyCalibration"):
        found[one.get("id", "")] = numbers(text_of(one, "CoefficientValues"), "CoefficientValues")
    for one in within(root, "Calibration"):
        if one.get("Type", "Energy") == "Energy":
            unit = one.get("EnergyUnits", "keV")
            if unit not in KEV:
                raise ValueError(f"EnergyUnits must be one of {', '.join(KEV)}, but is {shown(unit)}")
            values = numbers(text_of(one, "Coefficients"), "Coefficients")
            found[one.get("ID", one.get("id", ""))] = [KEV[unit] * value for value in values]
    return found


def calibration_of(spectrum: Element, known: dict[str, list[float]]) -> list[float]:
    """Coefficients of the calibration that a ``spectrum`` holds or names, or of the only one that is known."""
    own = list(polynomials(spectrum).values())
    if own:
        return own[0]
    names = (spectrum.get("energyCalibrationReference") or spectrum.get("CalibrationIDs") or "").split()
    chosen = [known[name] for name in names if name in known]
    if not names and len(known) == 1:
        chosen = list(known.values())
    return chosen[0] if chosen else []


def read_n42(root: Element, source: str) -> xr.Dataset:
    """All spectra of an N42 file: counts, live time (or else real time), start, its own calibration.

    `readout` is the class code (of 2006: the source type), with the detector's name after it where there are several.
    A spectrum without channels, as of a detector that only counts, is left out where others have some.
    Raises ValueError when there is none, a duration is missing, or the numbers of channels differ.
    """
    known = polynomials(root)
    sections = [s for s in root.iter() if s.tag in SECTIONS]
    rows = [(s, spectrum) for s in sections for spectrum in within(s, "Spectrum")]
    if not rows:
        raise ValueError(
            "the file needs a RadMeasurement (in 2006 a Measurement) with a Spectrum, or an EnergySpectrum"
        )
    detectors = [detector_of(s, spectrum) for s, spectrum in rows]
    found = []
    for (section, spectrum), detector in zip(rows, detectors, strict=True):
        counts = channel_data(spectrum)
        if not counts:
            continue
        live, real = (duration(spectrum, section, f"{kind}Duration", kind) for kind in ("LiveTime", "RealTime"))
        if live is None and real is None:
            raise ValueError("the element LiveTimeDuration must be there, but is missing, as is RealTimeDuration")
        own_start = text_of(spectrum, "StartTime", "StartDateTime")
        start = utc(own_start or text_of(section, "StartDateTime", "StartTime"))
        kind = text_of(section, "MeasurementClassCode") or text_of(spectrum, "SourceType") or section.get("Type") or ""
        name = f"{kind} {detector}".strip() if len(set(detectors)) > 1 else kind
        found.append((counts, real if live is None else live, start, name, real, calibration_of(spectrum, known)))
    return build_rows(found, source, "ChannelData")


def detector_of(section: Element, spectrum: Element) -> str:
    """Name of the detector of a ``spectrum``, "" where it has none."""
    own = spectrum.get("radDetectorInformationReference") or spectrum.get("Detector") or spectrum.get("DetectorID")
    if own:
        return own
    holders = [m for m in within(section, "DetectorMeasurement") if spectrum in m.iter("Spectrum")]
    return holders[0].get("DetectorIDs", holders[0].get("Detector", "")) if holders else ""


def channel_data(spectrum: Element) -> list[float]:
    """Counts of a ``spectrum``; empty where it has no channels."""
    data = next(spectrum.iter("ChannelData"), None)
    if data is None:
        return []
    values = numbers(data.text, "ChannelData")
    code = data.get("compressionCode") or data.get("Compression") or "None"
    if code.lower() not in ("none", "countedzeroes", "countedzeros"):
        raise ValueError(f"ChannelData must be compressed as CountedZeroes or not at all, but as {shown(code)}")
    return values if code.lower() == "none" else unzeroed(values)


def duration(spectrum: Element, section: Element, *names: str) -> float | None:
    """Seconds of the first duration of the ``names`` in a ``spectrum``, or else in its ``section``; None without."""
    text = text_of(spectrum, *names) or text_of(section, *names)
    return None if text is None else seconds(text)


def read_becqmoni(root: Element, source: str) -> xr.Dataset:
    """The spectra of every ResultData of a RadiaCode or BecqMoni file, `readout` foreground and background.

    The exposure is the live time, or else the measurement time. The start is that of the foreground; of a background
    the file states none unless it stands within it. An empty background is left out.
    Raises ValueError when there is none, an element is missing, or the number of channels is not the stated one.
    """
    rows = []
    for result in within(root, "ResultData"):
        for tag, name in (("EnergySpectrum", "foreground"), ("BackgroundEnergySpectrum", "background")):
            for spectrum in within(result, tag)[:1]:
                points = [(p.text or "").strip() for p in within(spectrum, "DataPoint")]
                counts = numbers(" ".join(points), "DataPoint")
                stated = numbers(text_of(spectrum, "NumberOfChannels"), "NumberOfChannels") or [float(len(counts))]
                if len(counts) != stated[0]:
                    raise ValueError(f"the {name} must have {stated[0]:.0f} channels, but has {len(counts)}")
                if not counts:
                    continue
                live, real = (numbers(text_of(spectrum, tag), tag) for tag in ("LiveTime", "MeasurementTime"))
                exposure = [t for t in (*live, *real) if t > 0]
                if not exposure:
                    raise ValueError(f"MeasurementTime or LiveTime of the {name} must be positive, but is missing or 0")
                start = text_of(spectrum, "StartTime")
                if start is None and name == "foreground":
                    start = text_of(result, "StartTime")
                calibration = numbers(" ".join(c.text or "nan" for c in within(spectrum, "Coefficient")), "Coefficient")
                rows.append((counts, exposure[0], utc(start), name, real[0] if real else None, calibration))
    if not rows:
        raise ValueError("a RadiaCode file needs an EnergySpectrum with channels, but has none")
    return build_rows(rows, source, "DataPoint")


def build_rows(rows: list[tuple], source: str, what: str) -> xr.Dataset:
    """The spectra of ``rows``: counts, exposure, start, name, real time, coefficients. ``what`` holds the counts.

    Raises ValueError when there is none, or the numbers of channels differ.
    """
    if not rows:
        raise ValueError(f"a spectrum must have channels, but every {what} is empty")
    sizes = sorted({len(row[0]) for row in rows})
    if len(sizes) > 1:
        raise ValueError(f"all spectra must have as many channels, but they have {' and '.join(map(str, sizes))}")
    counts, exposure, start, names, real, coefficients = (list(column) for column in zip(*rows, strict=True))
    energies = None
    if any(any(c[1:]) for c in coefficients):
        unknown = np.full(sizes[0], np.nan)
        energies = np.array([polynomial_energy(c, 0, sizes[0]) if any(c[1:]) else unknown for c in coefficients])
    return build_spectra(
        counts,
        exposure,
        np.array([UNKNOWN if s is None else s for s in start]),
        names,
        real_time=[np.nan if r is None else r for r in real],
        device_energy=energies,
        source=source,
    )
