"""Plots of results, on matplotlib figures without a display."""

import os

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.files import PLOTS, check_writable, replacing
from xcal_jax.response.results import peaks

LABELLED = 12  # of the most intense escape peaks
LEAST_COUNTS = 25  # of a labelled peak
APART = 95  # a label closer than the width over this to a stronger peak's is left out


def spectrum_figure(result: xr.Dataset) -> Figure:
    """Deposited-energy spectrum per interacting photon on a log axis, its escape peaks named."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    width = result.energy.attrs["bin_width"]
    edges = np.append(result.energy.values, result.energy.values[-1] + width)
    n = max(1, int(result.interacting))
    axes.stairs(result.spectrum.values / n / width, edges, color="tab:blue", lw=0.8)
    axes.set_yscale("log")
    top = float(result.spectrum.max()) / n / width
    axes.set_ylim(0.5 / n / width, 30 * top)
    axes.set_xlim(0, edges[-1] * 1.02)
    axes.set_xlabel("deposited energy (eV)")
    axes.set_ylabel("per interacting photon and eV")
    absorber = Absorber.from_toml(result.attrs["absorber"])
    layers = " / ".join(f"{t:g} µm {f}" for t, f in zip(absorber.thickness, absorber.formulas, strict=True))
    facts = f"{n:.3g} interacting photons, electrons: {absorber.electrons}"
    if "trapping" in result.attrs:
        facts += f", trapping: {result.attrs['trapping']}"
    axes.set_title(f"{absorber.name}: {layers}\n{facts}", fontsize=10)
    named: list[float] = []
    for peak in peaks(result):
        energy, counts = peak["energy_ev"], peak["intensity"] * n
        if energy is None or counts < LEAST_COUNTS or any(abs(energy - e) < edges[-1] / APART for e in named):
            continue
        named.append(energy)
        axes.annotate(
            f"{peak['line']}  {energy:.0f} eV",
            (energy, peak["intensity"] / width),
            xytext=(0, 6),
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=7,
        )
        if len(named) == LABELLED:
            break
    return figure


def save_figure(figure: Figure, path: str | os.PathLike) -> None:
    """Write a PNG, PDF or SVG, by the suffix of ``path``, whole or not at all. Raises ValueError for others."""
    check_writable(path, PLOTS)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)
