"""Figure of current-voltage curves."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from xcal_jax.sipm.iv_curves import breakdown


def iv_figure(curves: dict[str, xr.Dataset]) -> Figure:
    """Curves by their names, with the breakdown voltage of each where it is found."""
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axis = figure.subplots()
    for k, (name, curve) in enumerate(curves.items()):
        try:
            found = breakdown(curve)
            label = f"{name}: {float(found['breakdown']):.2f} ± {float(found['breakdown_error']):.2f} V"
            axis.axvline(float(found["breakdown"]), color=f"C{k}", lw=0.7, ls=":")
        except ValueError:
            label = f"{name}: no breakdown"
        current = curve["current"].values
        axis.plot(curve["voltage"], np.where(current > 0, current, np.nan), f".-C{k}", ms=3, lw=0.8, label=label)
    axis.set(xlabel="bias voltage (V)", ylabel="dark current (A)", yscale="log", title="dark current and breakdown")
    axis.legend(fontsize=7)
    return figure
