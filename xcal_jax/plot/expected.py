"""Plots of sensitivities, line fits and trade-offs, on matplotlib figures without a display."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Num
from matplotlib.figure import Figure as Canvas

from xcal_jax.simulation import vocabulary

SHOWN = ("interaction_probability", "partial", "photon_escape", "electron_escape", "mean_loss")


def sensitivity_figure(relative: dict, parameters: Sequence[str], title: str) -> Canvas:
    """Relative sensitivities of the main observables, a panel each, a bar a parameter."""
    canvas = Canvas(figsize=(11, 1.6 + 0.28 * len(parameters)), layout="constrained")
    panels = canvas.subplots(1, len(SHOWN), sharey=True)
    place = np.arange(len(parameters))
    for name, panel in zip(SHOWN, panels, strict=True):
        value, error = relative[name]
        colours = np.where(value > 0, "tab:blue", "tab:red")
        panel.barh(place, value, xerr=error, color=colours, height=0.7, error_kw={"lw": 1})
        panel.axvline(0.0, color="k", lw=0.8)
        panel.margins(x=0.12)
        panel.set_title(vocabulary.title(name).replace(" ", "\n"), fontsize=10)
        panel.set_yticks(place, parameters)
        panel.tick_params(labelsize=8)
        panel.grid(axis="x", lw=0.3)
    panels[0].invert_yaxis()
    canvas.supxlabel("change of the observable (%) for a change of the parameter by 1 %", fontsize=10)
    canvas.suptitle(title, fontsize=11)
    return canvas


def line_figure(
    counts: Num[np.ndarray, " C"], expected: Float[np.ndarray, " C"], edges: Float[np.ndarray, " E"], title: str
) -> Canvas:
    """Measured ``counts`` of a line, those expected by the fit, and their difference in standard deviations."""
    canvas = Canvas(figsize=(9, 5.5), layout="constrained")
    above, below = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    width = np.diff(edges)
    above.stairs(counts / width, edges, color="tab:grey", lw=0.8, label="measured")
    above.stairs(expected / width, edges, color="tab:red", lw=1.2, label="fit", baseline=None)
    above.set_yscale("log")
    density = (counts / width)[counts > 0]
    above.set_ylim(0.3 * density.min(), 3.0 * density.max())
    above.set_ylabel("counts per eV")
    above.legend(frameon=False)
    above.set_title(title, fontsize=10)
    below.plot(0.5 * (edges[1:] + edges[:-1]), (counts - expected) / np.sqrt(expected), ".", ms=2, color="tab:grey")
    below.axhline(0.0, color="tab:red", lw=1.0)
    below.set_ylabel("(counts - fit) / σ")
    below.set_xlabel("energy (eV)")
    return canvas


def front_figure(result) -> Canvas:
    """The trade-off front of a design, or where each start ended if no front was asked for."""
    canvas = Canvas(figsize=(7, 4.5), layout="constrained")
    axes = canvas.subplots()
    name, limited = (_with_unit(result.attrs, which) for which in ("objective", "varied"))
    if result.sizes["front"]:
        order = np.argsort(result.limit.values)
        axes.plot(result.limit.values[order], result.front_objective.values[order], "o-", label="best within the limit")
        for at in order:
            label = " / ".join(f"{t:.3g}" for t in result.front_thickness.values[at])
            place = result.limit.values[at], result.front_objective.values[at]
            axes.annotate(f"{label} µm", place, xytext=(6, 6), textcoords="offset points", fontsize=8)
        axes.margins(x=0.25, y=0.2)
        axes.set_xlabel(f"limit of {limited}")
    else:
        good = result.converged.values == 1
        starts = np.arange(good.size)
        axes.plot(starts[good], result.objective.values[good], "o", label="converged")
        axes.plot(starts[~good], result.objective.values[~good], "x", color="tab:red", label="not converged")
        axes.set_xticks(starts, ["/".join(m) for m in result.material.values], rotation=30, ha="right")
        axes.set_xlabel("start")
    axes.set_ylabel(name)
    axes.set_title(result.attrs["title"], fontsize=11)
    axes.legend()
    return canvas


def _with_unit(attrs: dict, which: str) -> str:
    unit = attrs[f"{which}_unit"]
    return attrs[which].replace("_", " ") + (f" ({unit})" if unit not in ("", "1") else "")
