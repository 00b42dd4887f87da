"""Plots of results, on matplotlib figures without a display."""

import numpy as np
import xarray as xr
from jaxtyping import Float, Int, Real
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.plot import labels
from xcal_jax.plot.labels import name_peaks
from xcal_jax.response.tail import loss_spectrum, tail_density
from xcal_jax.simulation.pixels import caught_lines, has_pixels
from xcal_jax.simulation.results import peaks
from xcal_jax.simulation.vocabulary import title

LEAST_COUNTS = 25  # of an escape peak that is named
ENOUGH = 16  # counts of a bin that is drawn: 25 % of error, as far as the spectrum has so many


def spectrum_figure(result: xr.Dataset) -> Figure:
    """Deposited-energy spectrum per interacting photon on a log axis, its escape peaks named."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    _draw_spectra(axes, result, {"spectrum": "tab:blue"}, 30.0)
    axes.set_title(_title(result), fontsize=10)
    n, width = max(1, int(result.interacting)), result.energy.attrs["bin_width"]
    strong = (peak for peak in peaks(result) if peak["energy"] is not None and peak["intensity"] * n >= LEAST_COUNTS)
    name_peaks(axes, ((peak["line"], peak["energy"], peak["intensity"] / width) for peak in strong))
    return figure


def array_figure(result: xr.Dataset) -> Figure:
    """Spectra of the central pixel, of all pixels and of pixels that were not hit; coincidences of pixels."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=(2.2, 1))
    colours = {"summed_spectrum": "black", "central_spectrum": "tab:blue", "caught_spectrum": "tab:orange"}
    highest = _draw_spectra(axes, result, colours, 300.0)
    axes.legend(fontsize=8, loc="upper left", ncols=3)
    bins, width = result.energy.values, result.energy.attrs["bin_width"]
    caught = ((line["line"], line["energy"]) for line in caught_lines(result))
    name_peaks(axes, ((line, at, highest[abs(bins - at) < 2.0 * width].max()) for line, at in caught))
    coincident = np.ma.masked_equal(result.coincidences.values / max(1, int(result.interacting)), 0.0)
    sides = (np.append(side, side[-1] + 1) - 0.5 for side in (result.column_offset.values, result.row_offset.values))
    least = min(0.1, float(coincident.min())) if coincident.count() else 0.1
    mesh = beside.pcolormesh(*sides, coincident, norm=LogNorm(least, 1.0), cmap="viridis")
    beside.set(aspect="equal", xlabel="columns from the pixel hit", ylabel="rows from the pixel hit")
    beside.set_title("deposits here and in the pixel hit", fontsize=10)
    figure.colorbar(mesh, label="per interacting photon (white: none)", shrink=0.8)
    figure.suptitle(f"{_title(result)}, {result.sizes['row']} x {result.sizes['column']} pixels", fontsize=10)
    return figure


def _draw_spectra(axes: Axes, result: xr.Dataset, colours: dict[str, str], headroom: float) -> Float[np.ndarray, " B"]:
    """Draw the spectra that ``colours`` names, per interacting photon and eV; the highest in each bin.

    Bins with few counts are drawn together (`merged`). headroom: how far the axis reaches above them, a factor.
    """
    width, low = result.energy.attrs["bin_width"], result.energy.values
    edges = np.append(low, low[-1] + width)
    unit = 1.0 / max(1, int(result.interacting)) / width
    density = {name: unit * result[name].values for name in colours}
    lowest = []
    for name, colour in colours.items():
        begins = merged(result[name].values, ENOUGH)
        wide = np.diff(np.append(begins, low.size))
        drawn = np.add.reduceat(density[name], begins) / wide
        axes.stairs(drawn, np.append(edges[begins], edges[-1]), color=colour, lw=0.8, label=title(name))
        lowest.append(np.min(drawn[drawn > 0.0], initial=unit))
    highest = np.max(list(density.values()), axis=0)
    axes.set(yscale="log", xlim=(0, edges[-1] * 1.02), ylim=(0.3 * min(lowest), headroom * highest.max()))
    axes.set(
        xlabel=f"{'measured' if 'seen' in result.attrs else 'deposited'} energy (eV)",
        ylabel="per interacting photon and eV",
    )
    return highest


def merged(counts: Real[np.ndarray, " B"], least: float) -> Int[np.ndarray, " M"]:
    """First bins of the runs of bins that hold at least so many ``counts`` together; a bin that does so alone is one.

    What is left before such a bin, or at the end, is a run of its own, with fewer counts.
    """
    begins, held = [0], 0.0
    for n, count in enumerate(counts):
        if n > begins[-1] and (held >= least or count >= least):
            begins.append(n)
            held = 0.0
        held += count
    return np.array(begins)


def tail_figure(result: xr.Dataset, found: dict) -> Figure:
    """The loss continuum that `response.tail.fit_tails` has fitted, and the tails ``found``."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    low, high = found["range"]
    edges, counts, used = loss_spectrum(result, low, high)
    n = int(result.interacting)
    exposure = np.where(used > 0, n * np.diff(edges) * used, np.nan)
    middle = 0.5 * (edges[1:] + edges[:-1])
    density, error = counts / exposure, np.sqrt(counts) / exposure
    axes.errorbar(middle, density, error, fmt="k.", ms=3, lw=0.7, label="simulated, without escape peaks")
    loss = np.linspace(edges[0], edges[-1], 400)
    curves = []
    for tail in found["tails"]:
        curves.append(tail_density(tail, loss, found["range"]))
        label = f"no scale, {tail['fraction_in_range']:.2e} within the range"
        if tail["scale"] is not None:
            label = f"fraction {tail['fraction']:.2e}, scale {tail['scale']:.4g} ± {tail['scale_err']:.2g} eV"
        axes.plot(loss, curves[-1], "--" if len(found["tails"]) > 1 else "-", lw=1.5, label=label)
    if len(curves) > 1:
        axes.plot(loss, sum(curves), color="tab:red", lw=1.5, label="together")
    filled = density[counts > 0]
    axes.set(yscale="log", ylim=(0.3 * np.nanmin(filled), 3.0 * np.nanmax(filled)), xlim=(edges[0], edges[-1]))
    axes.set(xlabel="energy lost (eV)", ylabel="per interacting photon and eV")
    axes.legend(fontsize=8)
    axes.set_title(f"{_title(result)}, {found['energy']:g} eV", fontsize=10)
    return figure


def result_figure(result: xr.Dataset) -> Figure:
    """The figure of a result: of an array if it is one."""
    return array_figure(result) if has_pixels(result) else spectrum_figure(result)


def _title(result: xr.Dataset) -> str:
    absorber = Absorber.from_toml(result.attrs["absorber"])
    n = int(result.interacting)
    trapping = f", trapping: {result.attrs['trapping']}" if "trapping" in result.attrs else ""
    seen = f", seen with {result.attrs['seen']}" if "seen" in result.attrs else ""
    return f"{labels.title(absorber)}\n{n:.3g} interacting photons, electrons: {absorber.electrons}{trapping}{seen}"
