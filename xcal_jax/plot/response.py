"""Figures of responses and event lists: the matrix as an image, escape and efficiency over energy, the rim's map."""

import os

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.montecarlo.batch import CAUGHT, ELECTRON_ESCAPED, PASSED, PHOTON_ESCAPED
from xcal_jax.plot import labels
from xcal_jax.response.ogip_reader import read_matrix
from xcal_jax.simulation import vocabulary

PIXELS = 700  # of an image's side, at most
DECADES = 8  # of an image's colours
DRAWN = 8  # escape peaks, the most intense
LEAST_DISTANCE = 1e-3  # um from an edge: nearer photons are drawn there
CELLS = 24  # of a map's side
LEAST_EVENTS = 100  # of a cell that is drawn
LEAST_FRACTION = 0.1  # %, the lowest colour
COLOURS = {"partial": "black", "electron_escape": "tab:orange", "photon_escape": "tab:blue", "both": "tab:green"}


def matrix_figure(path: str | os.PathLike) -> Figure:
    """The matrix in file ``path``: probability per keV against photon and measured energy, the mean in a pixel."""
    layout, parts = read_matrix(path)
    energy, channels = 1e-3 * layout.rows, 1e-3 * layout.channels
    across, up = (_pixel_edges(boundaries) for boundaries in (energy, channels))
    pixel = np.searchsorted(up, channels[:-1], side="right") - 1
    image = np.zeros((up.size - 1, across.size - 1))
    for part in parts:
        first = np.searchsorted(part.boundaries, 1e3 * across[:-1] * (1.0 + 1e-9)) - 1
        last = np.searchsorted(part.boundaries, 1e3 * across[1:] * (1.0 - 1e-9))
        for column, (low, high) in enumerate(zip(np.maximum(first, 0), last, strict=True)):
            seen = part.values[low:high].sum(axis=0) / (high - low)
            image[:, column] += np.bincount(pixel, seen, up.size - 1) / np.diff(up)
    figure = Figure(figsize=(8, 6.5), layout="constrained")
    axes = figure.subplots()
    top = image.max()
    mesh = axes.pcolormesh(
        across, up, np.ma.masked_less_equal(image, 0.0), norm=LogNorm(top * 10.0**-DECADES, top), cmap="magma_r"
    )
    axes.set(xlabel="photon energy (keV)", ylabel="measured energy (keV)")
    model = layout.cards.get("ELECTRON", "not stated")
    axes.set_title(f"Redistribution matrix: {energy.size - 1} rows, {channels.size - 1} channels, electrons: {model}")
    figure.colorbar(mesh, label="probability per keV")
    return figure


def escape_figure(response: xr.Dataset) -> Figure:
    """Fraction of interacting photons that lose energy, by what leaves, and the strongest escape peaks."""
    figure = Figure(figsize=(8, 8), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    energy = response.energy.values / 1000.0
    for name, colour in COLOURS.items():
        value, error = 100.0 * response[name].values, 100.0 * response[f"{name}_err"].values
        above.plot(energy, np.where(value > 0, value, np.nan), color=colour, lw=1.2, label=vocabulary.title(name))
        above.fill_between(energy, np.maximum(value - error, 0.0), value + error, color=colour, alpha=0.25, lw=0)
    floor = 100.0 * float(response.partial.max())
    above.set(yscale="log", ylim=(1e-4 * floor, 3.0 * floor), ylabel="photons that lose energy (%)")
    above.legend(fontsize=8, ncol=2)
    for name in response.line.values[np.argsort(-response.peaks.max("energy").values)][:DRAWN]:
        intensity = response.peaks.sel(line=name).values
        below.plot(energy, np.where(intensity > 0, intensity, np.nan), lw=1.2, label=str(name))
    below.set(yscale="log", xscale="log", xlabel="photon energy (keV)", ylabel="escape peak per interacting photon")
    most = float(response.peaks.max()) if response.sizes["line"] else 1.0
    below.set_ylim(1e-4 * most, 3.0 * most)
    below.legend(fontsize=8, ncol=2)
    _plain_energies(below)
    above.set_title(_title(response), fontsize=10)
    return figure


def efficiency_figure(response: xr.Dataset) -> Figure:
    """Quantum efficiency, and the part of it in each layer."""
    absorber = Absorber.from_toml(response.attrs["absorber"])
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    energy = response.energy.values / 1000.0
    numbered = [f"{n}: {layer}" for n, layer in enumerate(labels.layers(absorber), 1)]
    axes.stackplot(energy, 100.0 * response.interaction_by_layer.values.T, labels=numbered, alpha=0.6)
    axes.plot(energy, 100.0 * response.interaction_probability.values, "k", lw=1.2, label="all layers")
    axes.set(xlabel="photon energy (keV)", ylabel="first interaction (% of photons)", xscale="log", ylim=(0, 105))
    axes.margins(x=0)
    _plain_energies(axes)
    axes.legend(title="layer, from the top", fontsize=8, loc="lower left")
    axes.set_title(_title(response), fontsize=10)
    return figure


def map_figure(events: xr.Dataset) -> Figure:
    """Fraction of events that lost energy, by the distances of the impact to the nearest edges along x and y."""
    absorber = Absorber.from_toml(events.attrs["absorber"])
    kind = events.loss_type.values
    met = ((kind & PASSED) == 0) & (kind != CAUGHT)
    lost = (kind & (PHOTON_ESCAPED | ELECTRON_ESCAPED)) > 0
    halves = 0.5 * float(absorber.width), 0.5 * float(absorber.length)
    distance = [
        np.maximum(half - np.abs(events[name].values), LEAST_DISTANCE)
        for name, half in zip(("x", "y"), halves, strict=True)
    ]
    cells = [np.geomspace(LEAST_DISTANCE, half, CELLS + 1) for half in halves]
    all_, part = (np.histogram2d(distance[0][use], distance[1][use], bins=cells)[0] for use in (met, met & lost))
    fraction = np.ma.masked_where(all_ < LEAST_EVENTS, 100.0 * part / np.maximum(all_, 1.0))
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    mesh = axes.pcolormesh(
        *cells, np.maximum(fraction.T, LEAST_FRACTION), norm=LogNorm(LEAST_FRACTION, 100.0), cmap="viridis"
    )
    axes.set(xscale="log", yscale="log", aspect="equal")
    axes.set(xlabel="distance to the nearest edge along x (µm)", ylabel="distance to the nearest edge along y (µm)")
    facts = f"{absorber.name}: {int(met.sum()):.3g} events, electrons: {absorber.electrons}"
    axes.set_title(f"{facts}\nwhite: fewer than {LEAST_EVENTS} events", fontsize=10)
    figure.colorbar(mesh, label="events that lost energy (%)", format="%g")
    return figure


def _plain_energies(axes: Axes) -> None:
    """0.2, 0.5, 1, 2 keV ... in place of powers of ten."""
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _pixel_edges(boundaries: np.ndarray) -> np.ndarray:
    """Those of the ``boundaries`` of rows or channels at which pixels end."""
    count = boundaries.size - 1
    return boundaries[np.unique(np.arange(min(count, PIXELS) + 1) * count // min(count, PIXELS))]


def _title(response: xr.Dataset) -> str:
    absorber = Absorber.from_toml(response.attrs["absorber"])
    return f"{labels.title(absorber)}\nelectrons: {absorber.electrons}, yields: {response.attrs['yields']}"
