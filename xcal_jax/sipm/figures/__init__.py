"""Figures of the report: each function returns a matplotlib figure of the results and needs no display."""

from xcal_jax.sipm.figures.gain import (
    activation_lines,
    draw_line,
    gain_with_time,
    ground_spectra,
    linear_calibration_plot,
)
from xcal_jax.sipm.figures.spectra import spectra_with_time, threshold_construction
from xcal_jax.sipm.figures.trends import (
    dark_counts_with_time,
    joint_fits,
    residuals_with_temperature,
    temperature_with_time,
    threshold_with_time,
)

__all__ = [
    "activation_lines",
    "dark_counts_with_time",
    "draw_line",
    "gain_with_time",
    "ground_spectra",
    "joint_fits",
    "linear_calibration_plot",
    "residuals_with_temperature",
    "spectra_with_time",
    "temperature_with_time",
    "threshold_construction",
    "threshold_with_time",
]
