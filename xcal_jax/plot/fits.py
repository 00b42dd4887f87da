"""The plot of fitted lines, which a fit has as its method `plot`; the package imports this file with `fit_lines`."""

from matplotlib.figure import Figure

from xcal_jax.plot.expected import line_figure
from xcal_jax.response.fitted_complex import FittedLines


def plot_fit(found: FittedLines, spectrum: int = 0) -> Figure:
    """Counts, model and residuals of the fit to one ``spectrum``; `savefig` writes it."""
    names = ", ".join(line.name for line in found.lines)
    return line_figure(found.counts[spectrum], found.model[spectrum], found.edges, names)


FittedLines.plot = plot_fit  # type: ignore[attr-defined]
