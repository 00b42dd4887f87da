"""What all figures of the report share: panels, labels, and the mark of synthetic data."""

from matplotlib.figure import Figure

from xcal_jax.sipm.pipeline import Ageing

LABEL = {
    "threshold_adu": "threshold (ADC channel)",
    "threshold_kev": "threshold (keV)",
    "dcr": "dark count rate (cnt/s)",
}
DAYS = "days since launch"


def panels(ageing: Ageing, rows: int = 1, height: float = 4.0):
    """A figure with a column per readout channel: figure and axes (rows, channels); synthetic data are
    marked.
    """
    figure = Figure(figsize=(6.0 * len(ageing.channels), height * rows), layout="constrained")
    axes = figure.subplots(rows, len(ageing.channels), squeeze=False)
    for axis, name in zip(axes[0], ageing.channels, strict=True):
        axis.set_title(f"{ageing.mission.name} {name}")
    return mark(ageing, figure), axes


def single(ageing: Ageing, count: int = 1, height: float = 4.0):
    """A figure of ``count`` panels, two a row: figure and axes (count,)."""
    rows, columns = -(-count // 2), min(count, 2)
    figure = Figure(figsize=(6.0 * columns, height * rows), layout="constrained")
    return mark(ageing, figure), figure.subplots(rows, columns, squeeze=False).ravel()[:count]


def mark(ageing: Ageing, figure: Figure) -> Figure:
    """Write "synthetic data" on the figure where the data are that."""
    if int(ageing.files.spectra.attrs.get("synthetic", 0)):
        figure.suptitle("synthetic data", color="firebrick", fontsize=9, x=0.01, ha="left")
    return figure
