"""Plain figures of files: effective areas, PHA spectra, sweeps, fits, thresholds, archives of spectra."""

import itertools
from pathlib import Path

import numpy as np
import xarray as xr
from astropy.io import fits
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.plot.expected import line_figure
from xcal_jax.simulation.vocabulary import title

MOST_CURVES = 12


def _axes(**labels_: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.set(**labels_)
    return figure, axes


def area_figure(path: Path) -> Figure:
    """The effective area in an ARF."""
    figure, axes = _axes(xlabel="photon energy (keV)", ylabel="effective area (cm²)", xscale="log")
    with fits.open(path) as file:
        rows = file["SPECRESP"].data
        axes.stairs(rows["SPECRESP"], np.append(rows["ENERG_LO"], rows["ENERG_HI"][-1]), baseline=None)
    axes.set_title(f"Effective area: {path.name}")
    return figure


def pha_figure(path: Path) -> Figure:
    """The counts in a PHA file."""
    figure, axes = _axes(xlabel="channel", ylabel="counts", yscale="log")
    with fits.open(path) as file:
        rows = file["SPECTRUM"].data
        name = "COUNTS" if "COUNTS" in rows.names else "RATE"
        channel = np.asarray(rows["CHANNEL"], dtype=float)
        axes.stairs(rows[name], np.append(channel - 0.5, channel[-1] + 0.5))
        axes.set_ylabel("counts" if name == "COUNTS" else "counts per second")
    axes.set_title(f"Spectrum: {path.name}")
    return figure


def sweep_figure(sweep: xr.Dataset) -> Figure:
    """Partial depositions over the longest dimension of a sweep that is a number, a curve for each of the others."""
    own = [name for name in map(str, sweep.partial.dims)]
    numbers = [name for name in own if name in sweep.coords and sweep[name].dtype.kind in "fiu"]
    across = max(numbers or own, key=lambda name: sweep.sizes[name])
    others = [name for name in own if name != across]
    unit = sweep[across].attrs.get("units", "")
    figure, axes = _axes(
        xlabel=f"{sweep[across].attrs.get('long_name', across)} ({unit})" if unit else across,
        ylabel=f"{title('partial')} (% of interacting photons)",
    )
    places = itertools.product(*(range(sweep.sizes[name]) for name in others))
    for place in itertools.islice(places, MOST_CURVES):
        at = dict(zip(others, place, strict=True))
        one = sweep.isel(at)
        named = ", ".join(_valued(one, name) for name in others)
        x = one[across].values if across in numbers else np.arange(one.sizes[across])
        axes.errorbar(x, 100 * one.partial, 100 * one.partial_err, fmt="o-", ms=4, capsize=2, label=named or None)
    if across not in numbers:
        each = [_valued(sweep.isel({across: n}), across).rpartition(": ")[2] for n in range(sweep.sizes[across])]
        axes.set_xticks(np.arange(sweep.sizes[across]), each)
    if others:
        axes.legend(fontsize=8)
    axes.set_title(f"Sweep of absorber {Absorber.from_toml(sweep.attrs['absorber']).name!r}", fontsize=10)
    return figure


def _valued(point: xr.Dataset, name: str) -> str:
    """The values that vary at a ``point`` of a sweep, in words: "thickness of layer 0: 2 um"."""
    if name not in point.coords:  # a position
        return f"x, y: {point.x.item():g}, {point.y.item():g} um"
    value, attrs = point[name].item(), point[name].attrs
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{attrs.get('long_name', name)}: {number} {attrs.get('units', '')}".strip()


def fit_figure(fits_: xr.Dataset) -> Figure:
    """The first of the fits of `linefit`: counts, model, residuals."""
    low = fits_.channel.values
    edges = np.append(low, 2 * low[-1] - low[-2])
    names = ", ".join(line.split(":")[0] for line in str(fits_.attrs["lines"]).split("; "))
    return line_figure(fits_.counts.values[0], fits_.model.values[0], edges, names)


def threshold_figure(values: xr.Dataset) -> Figure:
    """Thresholds over the days since launch, a colour for each readout."""
    figure, axes = _axes(xlabel="days since launch", ylabel="threshold (ADC channels)")
    for readout in np.unique(values["readout"].values):
        of = values["readout"].values == readout
        axes.plot(values["days"].values[of], values["threshold_adu"].values[of], ".", ms=4, label=str(readout))
    axes.legend(fontsize=8)
    return figure


def spectra_figure(spectra: xr.Dataset) -> Figure:
    """Rates of an archive of spectra, the mean and its extremes."""
    figure, axes = _axes(xlabel="ADC channel", ylabel="counts per second and channel", yscale="log")
    rate = (spectra["counts"] / spectra["exposure"]).transpose("spectrum", ...).values
    rate = rate.reshape(rate.shape[0], -1)
    channel = np.arange(rate.shape[1])
    axes.fill_between(channel, rate.min(axis=0), rate.max(axis=0), alpha=0.3, lw=0, step="mid", label="extremes")
    axes.step(channel, rate.mean(axis=0), where="mid", lw=1, label=f"mean of {rate.shape[0]} spectra")
    axes.legend()
    return figure
