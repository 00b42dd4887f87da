"""An absorber's data sheet: one self-contained HTML page that opens offline and prints."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from bokeh.embed import components
from bokeh.models import LayoutDOM
from bokeh.resources import Resources

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.compute.fingerprint import provenance
from xcal_jax.constants import VERSION
from xcal_jax.datasheet import figures
from xcal_jax.datasheet.contents import ENERGIES, HERE, HISTORIES, Contents, contents
from xcal_jax.design.heat import TEMPERATURE
from xcal_jax.expected.sensitivity import Sensitivity
from xcal_jax.io.arguments import checked
from xcal_jax.io.files import check_writable
from xcal_jax.io.page import beside, captioned, heading, number, page, paragraph, table, write_page
from xcal_jax.plot.drawing import absorber_html
from xcal_jax.plot.expected import SHOWN
from xcal_jax.plot.labels import layers
from xcal_jax.simulation.counting import MOST_PHOTONS
from xcal_jax.simulation.results import ESCAPES, summary
from xcal_jax.simulation.validity import validity
from xcal_jax.simulation.vocabulary import title
from xcal_jax.units import Quantity, parse_list, parse_quantity, parse_whole

HTML = (".html", ".htm")
MOST_ENERGIES = 8
LOSSES = [title(name) for name in ("interaction_probability", "partial", *ESCAPES, "mean_deposit")]
HEAT = (
    "Electrons and lattice of pure metals, where they are known here. Boundaries of grains, impurities and nuclear "
    "terms are left out, and can be several times as much."
)
CITE = (
    f"xcal_jax {VERSION}, which follows Lorenz et al. 2022, doi 10.1007/s10909-022-02754-4, with the atomic tables "
    "EADL and EPDL97 of LLNL and edges from xraylib; where electrons scatter, PENELOPE's tables of elastic scattering."
)


@checked
def report(
    absorber: Absorber | str | os.PathLike[str],
    path: str | os.PathLike[str],
    energies: Quantity | Sequence[Quantity] = ENERGIES,
    n: int | float | str = 1_000_000,
    seed: int = 1,
    yields: str = "eadl",
    fwhm: Quantity | None = None,
    temperature: Quantity = TEMPERATURE,
    electrons: str | None = None,
    physics: str | None = None,
    progress: bool = False,
) -> Path:
    """Write the data sheet of ``absorber`` to ``path``, an HTML file that is made or replaced, and return that.

    absorber: what `Absorber.load` takes. energies: of photons, eV or with a unit; the first is that of the losses by
    position and of the derivatives. n: photons at each energy. fwhm: eV, through which spectra are seen (default: the
    absorber's own, if any). temperature: K, of the heat capacity. Others: as for `simulate`.
    Raises ValueError where a number makes no sense, or ``path`` cannot be written.

    >>> import tempfile
    >>> report("gold", f"{tempfile.mkdtemp()}/gold.html", "7 keV", n=20_000).name
    'gold.html'
    """
    check_writable(path, HTML)
    target = Absorber.load(absorber, electrons, physics)
    target.check_alone("a data sheet")
    lines = parse_list(energies, "eV", "energies")
    if not 1 <= len(lines) <= MOST_ENERGIES:
        raise ValueError(f"`energies` must be 1 to {MOST_ENERGIES}, but are {len(lines)}")
    width = target.fwhm if fwhm is None else parse_quantity(fwhm, "eV", "fwhm", above=0.0)
    kelvin = parse_quantity(temperature, "K", "temperature", above=0.0)
    many = parse_whole(n, "n", least=1, most=MOST_PHOTONS)
    return write_page(render(contents(target, lines, many, seed, yields, width, kelvin, progress)), path)


def render(sheet: Contents) -> str:
    """The whole page as HTML."""
    script, places = components(_drawings(sheet))
    known = validity(sheet.absorber, min(sheet.energies), max(sheet.energies))
    main = f"{sheet.main / 1000:g} keV"
    peaks = (
        f"Energies in eV; intensities per interacting photon, where they are {figures.LEAST_COUNTS} counts or more. "
        "A click on a heading sorts."
    )
    approach = f"Midway between the other edges, and from centre to corner; {HERE:,} photons a point, errors of 1 σ."
    quarter = "A quarter of the absorber: the corner is at the lower left, the centre at the upper right."
    parts = [
        paragraph(_made(sheet)),
        *(paragraph(_sentence(text), "warning") for text in known.outside),
        heading("Layers"),
        absorber_html(sheet.absorber),
        paragraph(_resolution(sheet)),
        heading("Quantum efficiency"),
        captioned(places["efficiency"], "In closed form, at normal incidence. Names in a legend hide their curves."),
        heading("Losses"),
        table("Per interacting photon, errors of 1 σ", ["photon energy", *_titles(sheet)], _losses(sheet)),
        heading("Spectra"),
        beside(captioned(places[f"spectrum{n}"], _of_spectrum(sheet, n)) for n in range(len(sheet.results))),
        heading("Escape peaks"),
        captioned(places["peaks"], peaks),
        heading("Loss continuum"),
        captioned(places["continuum"], "Spectra below the full-energy peak, without the escape peaks."),
        heading(f"Losses by position, {main}"),
        beside([captioned(places["approach"], approach), captioned(places["map"], quarter)]),
        heading(f"What matters most, {main}"),
        *_what_matters(sheet, places),
        heading("Heat capacity"),
        table(_of_heat(sheet), ["layer", "pJ/K"], _heat(sheet)),
        paragraph(HEAT),
        heading("Where this was compared"),
        *(paragraph(_sentence(text)) for text in known.compared),
        heading("How to cite"),
        paragraph(CITE),
    ]
    library = Resources(mode="inline", components=["bokeh", "bokeh-widgets", "bokeh-tables"]).render()
    return page(f"Absorber {sheet.absorber.name}", parts, library + script)


def _sentence(text: str) -> str:
    """``text`` with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def _drawings(sheet: Contents) -> dict[str, LayoutDOM]:
    """Everything that bokeh draws, by name."""
    return {
        "efficiency": figures.efficiency_chart(sheet),
        **{f"spectrum{n}": figures.spectrum_chart(result, sheet.fwhm) for n, result in enumerate(sheet.results)},
        "peaks": figures.peaks_table(sheet),
        "continuum": figures.continuum_chart(sheet),
        "approach": figures.approach_chart(sheet),
        "map": figures.map_chart(sheet),
        **({} if sheet.changes is None else {"changes": figures.changes_chart(sheet.changes)}),
    }


def _made(sheet: Contents) -> str:
    """The origin of the sheet: models, photons, seed, version, tables."""
    facts, absorber, source = summary(sheet.results[0]), sheet.absorber, provenance()
    rayleigh = "with" if absorber.rayleigh else "without"
    return (
        f"Simulated by xcal_jax {source['version']} (physics {source['physics']}, atomic tables "
        f"{source['atomic_tables']}), seed {facts['seed']}: {facts['n']:,} photons at each energy, "
        f"uniform over the top, at normal incidence. Physics: {absorber.physics} (electrons: {absorber.electrons}, "
        f"compton: {absorber.compton}, {rayleigh} Rayleigh scattering; fluorescence yields: {facts['yields']}). "
        "Figures zoom: choose a tool beside one."
    )


def _resolution(sheet: Contents) -> str:
    """The detector's resolution, if it is known."""
    return "Resolution: not given." if sheet.fwhm is None else f"Resolution: {sheet.fwhm:g} eV FWHM at all energies."


def _of_spectrum(sheet: Contents, n: int) -> str:
    """The caption of a spectrum."""
    seen = "before the detector's resolution" if sheet.fwhm is None else f"seen with {sheet.fwhm:g} eV FWHM"
    return f"Photons of {sheet.energies[n] / 1000:g} keV, {seen}. Red: escape peaks; the strongest are named."


def _titles(sheet: Contents) -> list[str]:
    """The columns of the table of losses, with one more where layers are dead."""
    return [*LOSSES, title("stopped")] if sheet.absorber.dead else LOSSES


def _losses(sheet: Contents) -> Iterator[list[str]]:
    """A row an energy: how often photons interact, and lose energy."""
    for energy, facts in zip(sheet.energies, map(summary, sheet.results), strict=True):
        kinds = [f"{100 * facts[name]:.3f} %" for name in ESCAPES]
        lost = f"{number(100 * facts['partial'], 100 * facts['partial_err'])} %"
        efficiency = f"{100 * facts['interaction_probability']:.3f} %"
        row = [f"{energy / 1000:g} keV", efficiency, lost, *kinds, f"{facts['mean_deposit']:.2f} eV"]
        stopped = facts.get("dead_layers")
        yield (
            row
            if stopped is None
            else [
                *row,
                f"{number(100 * stopped['stopped'], 100 * stopped['stopped_err'])} %",
            ]
        )


def _what_matters(sheet: Contents, places: dict[str, str]) -> Iterator[str]:
    """The derivatives, as a chart and a table."""
    if sheet.changes is None:
        yield paragraph("Derivatives are not known where a dead layer or a gap parts layers that count.")
        return
    yield captioned(
        places["changes"], f"Change of the {title('partial')}. From {HISTORIES:,} weighted histories, errors of 1 σ."
    )
    yield table("Change (%) for 1 % of a parameter", ["parameter", *map(title, SHOWN)], _changes(sheet.changes))
    yield from (paragraph(_sentence(text)) for text in sheet.changes.notes)


def _changes(found: Sensitivity) -> Iterator[list[str]]:
    """A row a parameter: by how much the main observables change."""
    changes = [found.changes[name] for name in SHOWN]
    for n, parameter in enumerate(found.parameters):
        yield [parameter, *(number(float(value[n]), float(error[n])) for value, error in changes)]


def _heat(sheet: Contents) -> Iterator[list[str]]:
    """A row a layer, and the sum."""
    for name, value in zip(layers(sheet.absorber), sheet.heat, strict=True):
        yield [name, f"{value:.4g}" if np.isfinite(value) else "not known"]
    yield ["all layers", f"{sheet.heat.sum():.4g}" if np.isfinite(sheet.heat).all() else "not known"]


def _of_heat(sheet: Contents) -> str:
    """The caption of the heat capacities."""
    return f"At {1000 * sheet.temperature:g} mK"
