"""One self-contained HTML page of a dose: orbit, shield, doses by part with their band, figures, tables, sources."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.constants import VERSION
from xcal_jax.io.page import beside, heading, number, page, paragraph, picture, table, write_page
from xcal_jax.orbit import plot
from xcal_jax.orbit.dose_curves import dose_against_altitude, dose_against_depth
from xcal_jax.orbit.mass_model import MassModel
from xcal_jax.orbit.rays import shielding_map
from xcal_jax.orbit.shielding import Shield
from xcal_jax.orbit.summary import band_in_words

PERCENT = (0, 10, 25, 50, 75, 90, 100)  # of the sky
PARTS = {  # rows of the table of doses: variables of TID and TNID
    "trapped protons": ("tid_proton", "neq_proton"),
    "trapped electrons": ("tid_electron", "neq_electron"),
    "of it by their photons": ("tid_bremsstrahlung", None),
    "solar protons": ("tid_solar", "neq_solar"),
    "galactic nuclei": ("tid_galactic", None),
}
WORDS = {"TID": "tid", "TNID": "neq"}
COLUMNS = (
    *(("TID", particle) for particle in ("proton", "electron", "photon", "solar")),
    *(("TNID", particle) for particle in ("proton", "electron", "solar")),
)
TIME = "Altitude, accumulated dose and damage (the paper's Fig. 12)"
HEIGHT = "Dose and damage a day behind this shield against altitude (the paper's Fig. 13)"
DEPTH = "Dose and damage of the whole mission at the centre of a solid sphere of aluminium, by particle"
SPECTRA = "Spectra outside and behind the shield; electrons outside alone"
SOURCES = (  # what, model and source, how far it was checked
    (
        "trapped particles",
        "AP-8 and AE-8 (Sawyer and Vette 1976; Vette 1991), each in its own magnetic field; or the user's own fluxes",
        "a factor 2 either way: the models' own estimate, and the band of this page",
    ),
    (
        "protons in the shield",
        "continuous slowing down on straight lines, ranges of NIST PSTAR",
        "within 3 % of SHIELDOSE-2 behind 0.5 to 20 mm of Al; straggling is left out",
    ),
    (
        "nuclear reactions",
        "if asked for: cross sections of Letaw et al. 1983; charged secondaries with 0.65 of the energy stop at once",
        "TID by depth within 2 % of SHIELDOSE-2's in Al; TNID is a lower edge, without nucleons from the shield",
    ),
    (
        "electrons in the shield",
        "depth-dose tables of PENELOPE-2018 in Al; in other materials depths count by their extrapolated ranges",
        "within 15 % of SHIELDOSE-2 in Al; in lead and tungsten some ten per cent too few",
    ),
    (
        "photons of electrons",
        "bremsstrahlung of Seltzer and Berger (1986); K x-rays by Kolbenstvedt (1967) and EADL; buildup by PENELOPE",
        "within 25 % of SHIELDOSE-2 in Al, as a half-space; not compared in other materials",
    ),
    (
        "displacement damage",
        "functions of Vasilescu and Lindstroem (protons: Summers 1993, Huhtinen; electrons: Summers 1993)",
        "5 to 20 % between published compilations; recoils of neutrons from the shield are left out",
    ),
    (
        "solar protons",
        "ESP of ECSS-E-ST-10-04C Rev. 1, cut-off 16 GV/L² below L = 5, shadow of the Earth",
        "within 0.6 % of the fluences of the standard; the confidence is the band",
    ),
    (
        "galactic nuclei",
        "Matthiä et al. 2013, hydrogen to nickel, without a shield; no displacement damage",
        "protons within 8 % of AMS-02 from 0.5 to 10 GeV; helium and heavier nuclei are unchecked; 30 % is a guess",
    ),
)


def render(result: xr.Dataset, shield: MassModel | Sequence[tuple[float, Shield]] | Shield, **looks: Any) -> str:
    """The whole page as HTML; arguments as of `write_report`."""
    attrs = result.attrs
    name, factor = attrs.get("satellite", "a satellite"), float(attrs["model_factor"])
    depths = dose_against_depth(result, bool(attrs["reactions"]))
    circles = dose_against_altitude(result, shield, **looks)
    parts = [paragraph(f"Take care: {attrs['warning']}.", "warning")] if "warning" in attrs else []
    parts += [
        paragraph(_flown(result)),
        heading("Dose and damage"),
        table(
            _of_doses(result), ["part", "TID (rad in Si)", "of it", "TNID (1 MeV n_eq/cm²)", "of it"], _doses(result)
        ),
        heading("The shield"),
        *_shield(result, shield),
        heading("With time, and against altitude"),
        beside(
            [
                picture(plot.dose_figure({name: result}), TIME, ""),
                picture(plot.altitude_figure(result, circles), HEIGHT, ""),
            ]
        ),
        heading("Behind aluminium, and spectra"),
        beside(
            [picture(plot.depth_figure(depths, factor), DEPTH, ""), picture(plot.spectra_figure(result), SPECTRA, "")]
        ),
        heading("Tables to copy"),
        table(
            "Month by month, behind this shield",
            ["start", "end", "km", "Sun", "TID (rad)", "TNID (n_eq/cm²)", "TID, accumulated", "p > 10 MeV (1/(cm² s))"],
            _months(result),
        ),
        table(
            "The whole mission behind aluminium, solid spheres, rad in Si and n_eq/cm²",
            ["mm", *(f"{particle}, {part}" for part, particle in COLUMNS)],
            _depths(depths),
        ),
        heading("What it rests on"),
        table("Models, sources, checks", ["what", "model and source", "how far it was checked"], SOURCES),
        paragraph(f"Not covered: {attrs['not_covered']}."),
    ]
    return page(f"Dose in orbit: {name}", parts)


def write_report(
    result: xr.Dataset,
    shield: MassModel | Sequence[tuple[float, Shield]] | Shield,
    path: str | os.PathLike[str],
    **looks: Any,
) -> Path:
    """Write the page of a dose to ``path``, where a file is replaced, and return that.

    result: of `dose_behind`. shield, looks: what it was given. Raises ValueError when the folder is missing or not
    writable.
    """
    return write_page(render(result, shield, **looks), path)


def _flown(result: xr.Dataset) -> str:
    """The orbit and the models in words."""
    attrs, heights = result.attrs, result.altitude.values
    start, end = (str(time)[:10] for time in (result.start.values[0], result.end.values[-1]))
    words = [f"{start} to {end}, {float(result.length.sum()):.1f} days in {result.sizes['segment']} segments"]
    if np.isfinite(heights).all():
        words.append(f"{heights.min():.0f} to {heights.max():.0f} km above the equatorial radius")
    if "inclination" in result:
        words.append(f"inclination {float(result.inclination.mean()):.1f} degrees")
    if "step_s" in attrs:
        words.append(f"positions every {attrs['step_s']:g} s")
    words.append(f"fluxes of {attrs['models']}")
    if attrs["reactions"]:
        words.append("with nuclear reactions of protons")
    return f"{'; '.join(words)}. Made by xcal_jax {VERSION}."


def _of_doses(result: xr.Dataset) -> str:
    """The caption of the table of doses."""
    band = band_in_words(result)
    return "Behind the shield, the whole mission" + (f"; the band is {band}" if band else "")


def _doses(result: xr.Dataset) -> Iterator[list[str]]:
    """A row for every part, the sum, its band, and the sum a day."""
    totals = [float(result[part].sum()) for part in ("tid", "neq")]
    for name, columns in PARTS.items():
        if columns[0] not in result:
            continue
        row = [name]
        for column, total in zip(columns, totals, strict=True):
            value = None if column is None else float(result[column].sum())
            row += ["-", "-"] if value is None else [number(value), f"{100 * value / total:.3g} %" if total else "-"]
        yield row
    yield ["all", number(totals[0]), "", number(totals[1]), ""]
    for edge in ("lower", "upper"):
        ionising, displacing = (number(float(result[f"{part}_{edge}"][-1])) for part in ("tid", "neq"))
        yield [f"{edge} edge of the band", ionising, "", displacing, ""]
    days = float(result.length.sum())
    yield ["all, per day", number(totals[0] / days), "", number(totals[1] / days), ""]


def _shield(result: xr.Dataset, shield: MassModel | Sequence[tuple[float, Shield]] | Shield) -> Iterator[str]:
    """The shield in words; of boxes also their picture, the map over the sphere and its percentiles."""
    yield paragraph(f"{result.attrs['shield'] or 'No shield'} ({result.attrs['geometry']}).")
    if not isinstance(shield, MassModel):
        return
    seen = shielding_map(shield)
    yield picture(plot.shielding_figure(shield, seen), "The boxes, and the mass per area around the detector")
    total = seen.areal_density.sum("material").values
    rows = [[f"{percent} %", f"{np.percentile(total, percent):.3f}"] for percent in PERCENT]
    yield table("Part of the sky that is behind at most", ["of the sky", "g/cm²"], rows)


def _months(result: xr.Dataset) -> Iterator[list[str]]:
    """A row for every segment."""
    for n in range(result.sizes["segment"]):
        one = result.isel(segment=n)
        dates = [str(one[edge].values)[:10] for edge in ("start", "end")]
        values = (one.tid, one.neq, one.tid_accumulated, one.named_flux.sel(named="p>10MeV"))
        yield [*dates, f"{float(one.altitude):.1f}", str(one.solar.values), *(number(float(value)) for value in values)]


def _depths(found: xr.Dataset) -> Iterator[list[str]]:
    """A row for every thickness."""
    for depth in found.depth.values:
        one = found.sel(depth=depth)
        values = (one[WORDS[part]].sel(particle=particle) for part, particle in COLUMNS)
        yield [f"{depth:.3g}", *(number(float(value)) for value in values)]
