"""Figures of the report, and of irradiated sensors: each function returns a matplotlib figure and needs no display."""

from xcal_jax.sipm.figures.gain import (
    activation_figure,
    calibration_figure,
    draw_line,
    gain_figure,
    ground_figure,
)
from xcal_jax.sipm.figures.iv_curves import iv_figure
from xcal_jax.sipm.figures.spectra import crossing_figure, spectra_figure
from xcal_jax.sipm.figures.trends import (
    dark_counts_figure,
    joint_figure,
    residuals_figure,
    temperature_figure,
    threshold_figure,
)

__all__ = [
    "activation_figure",
    "calibration_figure",
    "crossing_figure",
    "dark_counts_figure",
    "draw_line",
    "gain_figure",
    "ground_figure",
    "iv_figure",
    "joint_figure",
    "residuals_figure",
    "spectra_figure",
    "temperature_figure",
    "threshold_figure",
]
