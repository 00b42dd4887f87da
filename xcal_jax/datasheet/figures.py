"""Figures of a data sheet, drawn by bokeh: they zoom, show numbers under the pointer, and need no network.

No text in them comes from a file but formulas, which have been read as formulas.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    DataTable,
    HoverTool,
    LabelSet,
    LogColorMapper,
    LogTicker,
    NumberFormatter,
    ScientificFormatter,
    StringFormatter,
    TableColumn,
    Whisker,
)
from bokeh.palettes import Category10_10, Viridis256
from bokeh.plotting import figure
from jaxtyping import Float

from xcal_jax.datasheet.contents import Contents
from xcal_jax.expected.sensitivity import Sensitivity
from xcal_jax.plot.labels import layers, with_room
from xcal_jax.plot.results import ENOUGH, LEAST_COUNTS, merged
from xcal_jax.response.tail import LOWEST, loss_spectrum
from xcal_jax.simulation.rebin import seen
from xcal_jax.simulation.results import peaks

HEIGHT = 340  # px
WIDEST = 720  # px: what a printed page has
TOOLS = "box_zoom,wheel_zoom,pan,reset,save"
NAMED = 8  # escape peaks of a spectrum
APART = 30  # a name closer than the width over this to another is left out: legible on a phone
ROW = 25  # px, of the table of escape peaks
MOST_ROWS = 60
LEAST_FRACTION = 1e-3  # the lowest colour of the map
BELOW = 0.1  # of the lowest density: where empty bins are drawn


def chart(across: str, up: str, **more: Any) -> figure:
    """An empty figure as wide as the page. Dragging scrolls the page, until a tool is chosen."""
    made = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        max_width=WIDEST,
        tools=TOOLS,
        active_drag=None,
        active_scroll=None,
        x_axis_label=across,
        y_axis_label=up,
        **more,
    )
    made.toolbar.logo = None
    return made


def _legend(drawn: figure, location: str) -> None:
    drawn.legend.location = location
    drawn.legend.click_policy = "hide"
    drawn.legend.label_text_font_size = "11px"
    drawn.legend.background_fill_alpha = 0.7


def efficiency_chart(sheet: Contents) -> figure:
    """Probability of an interaction over the photon energy: of all layers, and the first one in each."""
    drawn = chart("photon energy (keV)", "first interaction (% of photons)", x_axis_type="log", y_range=(0, 104))
    energy, each = 1e-3 * sheet.efficiency.energy.values, 100.0 * sheet.efficiency.interaction_by_layer.values
    names = [f"{n}: {layer}" for n, layer in enumerate(layers(sheet.absorber))]
    for name, values, colour in zip(names, each.T, _colours(len(names)), strict=True):
        drawn.line(energy, values, legend_label=name, color=colour, line_width=1.5)
    whole = drawn.line(energy, each.sum(axis=1), legend_label="all layers", color="black", line_width=2)
    drawn.add_tools(HoverTool(renderers=[whole], tooltips=[("energy", "@x{0.000} keV"), ("all layers", "@y{0.00} %")]))
    drawn.xaxis.ticker = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    _legend(drawn, "bottom_left")
    return drawn


def spectrum_chart(result: xr.Dataset, fwhm: float | None) -> figure:
    """The spectrum of deposited energies, through a detector of ``fwhm`` eV if one is given, its escape peaks named."""
    shown = result if fwhm is None else seen(result, fwhm)
    n, width = int(result.interacting), shown.energy.attrs["bin_width"]
    counts, edges = shown.spectrum.values, np.append(shown.energy.values, shown.energy.values[-1] + width)
    begins = merged(counts, ENOUGH)
    density = np.add.reduceat(counts, begins) / np.diff(np.append(begins, counts.size)) / n / width
    at = np.append(edges[begins], edges[-1])
    low, high = density[density > 0].min(), density.max()
    drawn = chart(
        "deposited energy (eV)" if fwhm is None else "measured energy (eV)",
        "per interacting photon and eV",
        y_axis_type="log",
        x_range=(0.0, 1.02 * edges[-1]),
        y_range=(0.4 * low, 300.0 * high),
    )
    drawn.line(*_stairs(at, density), color=Category10_10[0])
    strong = [peak for peak in peaks(result) if peak["intensity"] * n >= LEAST_COUNTS and peak["energy"] is not None]
    tops = [float(density[np.searchsorted(at, peak["energy"], side="right") - 1]) for peak in strong]
    source = ColumnDataSource({name: [peak[name] for peak in strong] for name in ("line", "energy", "intensity")})
    source.data["top"] = tops
    dots = drawn.scatter("energy", "top", source=source, size=5, color=Category10_10[3])
    about = [("line", "@line"), ("deposited", "@energy{0.0} eV"), ("intensity", "@intensity{0.00e+0}")]
    drawn.add_tools(HoverTool(renderers=[dots], tooltips=about))
    drawn.add_layout(_names([(p["line"], p["energy"], top) for p, top in zip(strong, tops, strict=True)], edges[-1]))
    return drawn


def _stairs(edges: Float[np.ndarray, " E"], density: Float[np.ndarray, " B"]) -> tuple[np.ndarray, np.ndarray]:
    """A histogram as a line; what is empty lies far below the rest, since the axis is logarithmic."""
    heights = np.where(density > 0, density, BELOW * np.min(density, where=density > 0, initial=np.inf))
    return np.repeat(edges, 2)[1:-1], np.repeat(heights, 2)


def _names(tops: list[tuple[str, float, float]], width: float) -> LabelSet:
    """Names of the peaks, upright above them, where there is room."""
    named = list(with_room(tops, width / APART, NAMED))
    columns = {key: [peak[n] for peak in named] for n, key in enumerate(("text", "x", "y"))}
    columns["text"] = [f"{line}  {energy:.0f} eV" for line, energy, _ in named]
    return LabelSet(
        x="x",
        y="y",
        text="text",
        source=ColumnDataSource(columns),
        angle=90,
        angle_units="deg",
        x_offset=5,
        y_offset=8,
        text_font_size="10px",
    )


def continuum_chart(sheet: Contents) -> figure:
    """The loss continuum at every energy, escape peaks left out, over the energy lost."""
    drawn = chart("energy lost (eV)", "per interacting photon and eV", x_axis_type="log", y_axis_type="log")
    for result, energy, colour in zip(sheet.results, sheet.energies, _colours(len(sheet.results)), strict=True):
        try:
            edges, counts, used = loss_spectrum(result, LOWEST[sheet.absorber.electrons], energy)
        except ValueError:  # too few losses
            continue
        begins = merged(counts, ENOUGH)
        exposure = np.add.reduceat(np.diff(edges) * used, begins) * int(result.interacting)
        density = np.divide(
            np.add.reduceat(counts, begins), exposure, where=exposure > 0, out=np.full(begins.size, np.nan)
        )
        at, label = np.append(edges[begins], edges[-1]), f"{energy / 1000:g} keV"
        drawn.line(*_stairs(at, density), legend_label=label, color=colour, line_width=1.3)
    if drawn.renderers:
        _legend(drawn, "bottom_left")
    else:
        drawn.title.text = "too few photons lose energy: take more"
        drawn.scatter([1.0], [1.0], alpha=0.0)  # bokeh warns of a chart without anything
    return drawn


def approach_chart(sheet: Contents) -> figure:
    """Losses against the distance to one edge, midway between the others, and to a corner, with errors."""
    drawn = chart("distance to the edge (µm)", "photons that lose energy (%)", x_axis_type="log", y_axis_type="log")
    for (name, distance, lost, error), colour in zip(_approaches(sheet.places), _colours(3), strict=True):
        known = lost > 0
        source = ColumnDataSource(
            {
                "x": distance[known],
                "y": 100.0 * lost[known],
                "low": 100.0 * np.maximum(lost - error, 0.5 * lost)[known],
                "high": 100.0 * (lost + error)[known],
            }
        )
        drawn.line("x", "y", source=source, color=colour, legend_label=name)
        dots = drawn.scatter("x", "y", source=source, color=colour, size=6, legend_label=name)
        drawn.add_layout(Whisker(base="x", lower="low", upper="high", source=source, line_color=colour))
        about = [("from the edge", "@x{0.000} µm"), ("lose energy", "@y{0.000} %")]
        drawn.add_tools(HoverTool(renderers=[dots], tooltips=about))
    _legend(drawn, "top_right")
    return drawn


def _approaches(places: xr.Dataset) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Ways to the rim: name, distance to the nearest edge (um), fraction lost, its error."""
    x, y = places.from_x.values, places.from_y.values
    lost, error = places.partial.values, places.partial_err.values
    yield "to the edge along x", x, lost[:, -1], error[:, -1]
    yield "to the edge along y", y, lost[-1], error[-1]
    yield "to a corner", np.minimum(x, y), np.diag(lost), np.diag(error)


def map_chart(sheet: Contents) -> figure:
    """Losses over the distances to two edges: the corner is at the lower left, the centre at the upper right."""
    places = sheet.places
    boundaries = [_between(places[name].values) for name in ("from_x", "from_y")]
    (left, bottom), (right, top) = ([side[cut] for side in boundaries] for cut in (slice(-1), slice(1, None)))
    x, y = np.meshgrid(places.from_x.values, places.from_y.values, indexing="ij")
    lost = places.partial.values
    columns = {"x": x, "y": y, "lost": 100.0 * lost, "error": 100.0 * places.partial_err.values}
    columns |= dict(zip(("left", "bottom"), np.meshgrid(left, bottom, indexing="ij"), strict=True))
    columns |= dict(zip(("right", "top"), np.meshgrid(right, top, indexing="ij"), strict=True))
    colours = LogColorMapper(Viridis256, low=100.0 * max(LEAST_FRACTION, lost.min()), high=100.0)
    drawn = chart("distance to the edge along x (µm)", "along y (µm)", x_axis_type="log", y_axis_type="log")
    cells = drawn.quad(
        left="left",
        right="right",
        bottom="bottom",
        top="top",
        source=ColumnDataSource({name: values.ravel() for name, values in columns.items()}),
        fill_color={"field": "lost", "transform": colours},
        line_color=None,
    )
    about = [("from the edges", "@x{0.000}, @y{0.000} µm"), ("lose energy", "@lost{0.000} ± @error{0.000} %")]
    drawn.add_tools(HoverTool(renderers=[cells], tooltips=about))
    drawn.add_layout(ColorBar(color_mapper=colours, ticker=LogTicker(), title="lose energy (%)", width=12), "right")
    drawn.x_range.range_padding = drawn.y_range.range_padding = 0
    return drawn


def _between(values: Float[np.ndarray, " P"]) -> Float[np.ndarray, " E"]:
    """Boundaries of cells about ``values``, which are even in their logarithm."""
    half = np.sqrt(values[1] / values[0])
    return np.append(values / half, values[-1] * half)


def changes_chart(found: Sensitivity) -> figure:
    """The change of partial depositions with each parameter, the largest on top."""
    parameters = np.array(found.parameters)
    change, error = (np.nan_to_num(part) for part in found.changes["partial"])
    order = np.argsort(np.abs(change))
    names = parameters[order].tolist()
    drawn = chart("change (%) for 1 % of the parameter", "", y_range=names)
    colours = np.where(change[order] > 0, Category10_10[0], Category10_10[3])
    columns = {"y": names, "right": change[order], "colour": colours, "error": error[order]}
    source = ColumnDataSource(columns | {"low": (change - error)[order], "high": (change + error)[order]})
    bars = drawn.hbar(y="y", right="right", height=0.7, color="colour", source=source)
    drawn.add_layout(Whisker(base="y", lower="low", upper="high", dimension="width", source=source))
    drawn.add_tools(HoverTool(renderers=[bars], tooltips=[("@y", "@right{0.000} ± @error{0.000} %")]))
    return drawn


def peaks_table(sheet: Contents) -> DataTable:
    """Escape peaks at every energy, the most intense first; a click on a heading sorts them by it."""
    found = [
        peak | {"photon": energy}
        for result, energy in zip(sheet.results, sheet.energies, strict=True)
        for peak in peaks(result)
        if peak["intensity"] * int(result.interacting) >= LEAST_COUNTS
    ]
    found = sorted(found, key=lambda peak: -peak["intensity"])[:MOST_ROWS]
    small = ScientificFormatter(precision=2, power_limit_high=0, power_limit_low=0, text_align="right")
    energy = NumberFormatter(format="0.0", text_align="right")
    columns = [
        TableColumn(field="line", title="line", formatter=StringFormatter(), width=90),
        TableColumn(field="photon", title="photon", formatter=energy, width=80),
        TableColumn(field="line_energy", title="energy", formatter=energy, width=70),
        TableColumn(field="energy", title="deposited", formatter=energy, width=90),
        TableColumn(field="intensity", title="intensity", formatter=small, width=75),
        TableColumn(field="intensity_err", title="± 1 σ", formatter=small, width=70),
    ]
    source = ColumnDataSource({column.field: [peak[column.field] for peak in found] for column in columns})
    return DataTable(
        source=source,
        columns=columns,
        index_position=None,
        row_height=ROW,
        height=ROW * (len(found) + 2),
        sizing_mode="stretch_width",
        max_width=WIDEST,
        selectable=False,
        reorderable=False,
    )


def _colours(many: int) -> list[str]:
    """So many colours, from the start again after ten."""
    return [Category10_10[n % len(Category10_10)] for n in range(many)]
