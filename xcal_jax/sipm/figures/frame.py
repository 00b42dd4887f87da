"""Panels, labels, and the mark of synthetic data for all figures of the report."""

import numpy as np
from matplotlib.figure import Figure

from xcal_jax.sipm.pipeline import Ageing, Setting
from xcal_jax.sipm.setting import Gain

LABEL = {
    "threshold_adu": "threshold (ADC channel)",
    "threshold_kev": "threshold (keV)",
    "dcr": "dark count rate (cnt/s)",
}
DAYS = "days since launch"


def titled(setting: Setting | Gain) -> str:
    """Readout and bias of a setting, as every panel says them."""
    return f"{setting.readout}, {'bias unknown' if np.isnan(setting.bias) else f'bias {setting.bias:g}'}"


def panels(ageing: Ageing, rows: int = 1, height: float = 4.0) -> tuple[Figure, np.ndarray]:
    """A figure with a column per setting, marked if its data are synthetic, and its axes (rows, settings)."""
    figure = Figure(figsize=(6.0 * len(ageing.settings), height * rows), layout="constrained")
    axes = figure.subplots(rows, len(ageing.settings), squeeze=False)
    for axis, name in zip(axes[0], ageing.settings, strict=True):
        axis.set_title(f"{ageing.mission.name} {titled(ageing.settings[name])}")
    return mark(ageing, figure), axes


def single(ageing: Ageing, count: int = 1, height: float = 4.0) -> tuple[Figure, np.ndarray]:
    """A figure of ``count`` panels, two a row, marked if its data are synthetic, and its axes (count,)."""
    rows, columns = -(-count // 2), min(count, 2)
    figure = Figure(figsize=(6.0 * columns, height * rows), layout="constrained")
    return mark(ageing, figure), figure.subplots(rows, columns, squeeze=False).ravel()[:count]


def mark(ageing: Ageing, figure: Figure) -> Figure:
    """The figure, with "synthetic data" written on it where they are that."""
    if int(ageing.files.spectra.attrs.get("synthetic", 0)):
        figure.suptitle("synthetic data", color="firebrick", fontsize=9, x=0.01, ha="left")
    return figure
