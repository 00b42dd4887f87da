"""Plots of sensitivities and of trade-offs, on matplotlib figures without a display."""

import numpy as np
from matplotlib.figure import Figure as Canvas

SHOWN = ("interaction_probability", "partial", "photon_escape", "electron_escape", "mean_loss_ev")
TITLES = {
    "interaction_probability": "interaction\nprobability",
    "partial": "partial\ndeposition",
    "photon_escape": "photon\nescape",
    "electron_escape": "electron\nescape",
    "mean_loss_ev": "mean loss",
}


def sensitivity_figure(relative: dict, parameters, title: str) -> Canvas:
    """Relative sensitivities of the main figures, a panel each, a bar a parameter."""
    canvas = Canvas(figsize=(11, 1.6 + 0.28 * len(parameters)), layout="constrained")
    panels = canvas.subplots(1, len(SHOWN), sharey=True)
    place = np.arange(len(parameters))
    for name, panel in zip(SHOWN, panels, strict=True):
        value, error = relative[name]
        colours = np.where(value > 0, "tab:blue", "tab:red")
        panel.barh(place, value, xerr=error, color=colours, height=0.7, error_kw={"lw": 1})
        panel.axvline(0.0, color="k", lw=0.8)
        panel.margins(x=0.12)
        panel.set_title(TITLES[name], fontsize=10)
        panel.set_yticks(place, parameters)
        panel.tick_params(labelsize=8)
        panel.grid(axis="x", lw=0.3)
    panels[0].invert_yaxis()
    canvas.supxlabel("change of the figure (%) for a change of the parameter by 1 %", fontsize=10)
    canvas.suptitle(title, fontsize=11)
    return canvas
