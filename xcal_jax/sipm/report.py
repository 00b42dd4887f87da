"""One self-contained HTML page: figures of every step, a table of every fit with its errors, the flags.

The figures correspond to Figures 4-9, 11 and 14-18 of the paper. They are in the order of the steps of the analysis,
since the paper's own numbers of the figures are not legible in the copy at hand.
"""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from xcal_jax.constants import VERSION
from xcal_jax.io.page import heading, page, paragraph, picture, table, write_page
from xcal_jax.sipm import figures
from xcal_jax.sipm.pipeline import Ageing
from xcal_jax.sipm.report_tables import TABLES

QUOTE = (
    "Of the two slopes with temperature, quote that of the joint fit. To subtract the trend and then fit, as the paper "
    "does, is biased where temperature drifts with time, for the trend has taken up part of the slope by then. Of the "
    "trends, quote that of the highest Akaike weight, and say the others where their weights are not small. Errors "
    "contain the scatter of the groups and what all of them share: the template's noise and, for keV, the calibration."
)


def residuals(quantity: str) -> Callable[[Ageing], Figure | None]:
    """The figure of one quantity's residuals against temperature, as a function of the results."""
    return lambda ageing: figures.residuals_figure(ageing, quantity)


FIGURES = (
    ("Spectra", figures.spectra_figure, "Spectra from early to late, and the template", "no spectra"),
    ("Threshold", figures.crossing_figure, "Spectrum, template, difference, threshold", "no threshold"),
    ("Lines on ground", figures.ground_figure, "Calibration sources on ground", "no ground spectra"),
    ("Calibration, Eq. 2", figures.calibration_figure, "Linear calibration", "no ground spectra"),
    ("Lines after SAA exits", figures.activation_figure, "Activation lines and their decay", "no spectra after exits"),
    ("Gain, Eq. 3", figures.gain_figure, "Gain with time", "no activation line or no b"),
    ("Threshold with time", figures.threshold_figure, "Threshold with time and its trends", "no threshold"),
    ("Dark counts, Eq. 5", figures.dark_counts_figure, "Dark count rate, trends, forecast", "no dark counts"),
    ("Temperature", figures.temperature_figure, "Board temperature with time", "no temperatures"),
    ("Threshold and temperature", residuals("threshold_adu"), "Threshold residuals and temperature", "no temperatures"),
    ("Dark counts and temperature", residuals("dcr"), "Dark count residuals and temperature", "no temperatures"),
    ("Joint fit and steps", figures.joint_figure, "Residuals of the joint fits, and steps", "no temperatures"),
)


def render(ageing: Ageing) -> str:
    """The whole page as HTML."""
    attrs = ageing.files.spectra.attrs
    synthetic = int(attrs.get("synthetic", 0))
    title = f"SiPM ageing: {ageing.mission.name}"
    parts = []
    if synthetic:
        of = f"{attrs.get('source', '')}, seed {attrs.get('seed', '')}"
        parts.append(paragraph(f"Synthetic data ({of}): nothing here was measured.", "warning"))
    spectra = sum(setting.values.sizes["spectrum"] for setting in ageing.settings.values())
    parts.append(
        paragraph(
            f"{spectra} spectra of {len(ageing.settings)} settings, each a readout channel at a bias; launch "
            f"{str(ageing.mission.launch)[:10]}; xcal_jax {VERSION}. "
            "The analysis of Řípa et al. 2025, arXiv 2411.00607; the figures are ordered by its steps, "
            "not by the paper's numbers."
        )
    )
    for name, draw, caption, missing in FIGURES:
        if synthetic:
            caption = f"{caption} (synthetic data)"
        parts += [heading(name), picture(draw(ageing), caption, missing)]
    parts += [heading("Which numbers to quote"), paragraph(QUOTE), heading("Every fit")]
    for caption, header, make in TABLES:
        rows = list(make(ageing))
        parts.append(table(caption, header, rows) if rows else paragraph(f"{caption}: none."))
    unknown = ageing.mission.not_legible.get("names", [])
    if unknown:
        text = f"The paper's values of these are not legible in the copy at hand: {', '.join(unknown)}."
        parts += [heading("Not known"), paragraph(text)]
    return page(title, parts)


def write_report(ageing: Ageing, path: str | Path) -> Path:
    """Write the page to ``path``, where a file is replaced, and return that.

    Raises ValueError when the folder is missing or not writable.
    """
    return write_page(render(ageing), path)
