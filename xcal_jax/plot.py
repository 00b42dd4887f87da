"""Plots of results, on matplotlib figures without a display."""

import os

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.files import replacing
from xcal_jax.response.results import peaks

LABELLED = 8  # of the most intense escape peaks
APART = 25  # labels closer than the width over this are merged into the most intense one


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
    axes.set_title(f"{absorber.name}: {layers}\n{n:.3g} interacting photons, electrons: {absorber.electrons}", fontsize=10)
    named: list[float] = []
    for peak in peaks(result):
        energy = peak["energy_ev"]
        if energy is None or len(named) == LABELLED or any(abs(energy - e) < edges[-1] / APART for e in named):
            continue
        named.append(energy)
        height = peak["intensity"] / width
        axes.annotate(
            f"{peak['line']}\n{energy:.0f} eV",
            (energy, height),
            xytext=(0, 10),
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=7,
        )
    return figure


def save_figure(figure: Figure, path: str | os.PathLike) -> None:
    """Write a PNG, PDF or SVG, by the suffix of ``path``, whole or not at all. Raises ValueError for others."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in (".png", ".pdf", ".svg"):
        raise ValueError(f"a plot must end in .png, .pdf or .svg, but is {str(path)!r}")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)
