"""One self-contained HTML page: figures of every step, a table of every fit with its errors, the flags.

The figures correspond to Figures 4-9, 11 and 14-18 of the paper. They are in the order of the steps of the analysis,
since the paper's own numbers of the figures are not legible in the copy at hand.
"""

import base64
import html
from collections.abc import Callable, Iterable
from pathlib import Path

from matplotlib.figure import Figure

from xcal_jax.constants import VERSION
from xcal_jax.io.figures import as_png
from xcal_jax.io.files import replacing
from xcal_jax.sipm import figures
from xcal_jax.sipm.pipeline import Ageing
from xcal_jax.sipm.report_tables import TABLES

DPI = 85
QUOTE = (
    "Of the two slopes with temperature, quote that of the joint fit. To subtract the trend and then fit, as the paper "
    "does, is biased where temperature drifts with time, for the trend has taken up part of the slope by then. Of the "
    "trends, quote that of the highest Akaike weight, and say the others where their weights are not small. Errors "
    "contain the scatter of the groups and what all of them share: the template's noise and, for keV, the calibration."
)
STYLE = """body{font-family:system-ui,sans-serif;max-width:78rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{margin-bottom:.2rem}h2{border-bottom:1px solid #bbb;margin-top:2.5rem}img{max-width:100%}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:right}th{background:#f2f2f2}
td:first-child,th:first-child{text-align:left}caption{text-align:left;font-weight:600;padding:.3rem 0}
.synthetic{background:#fbe9e7;border:1px solid #c62828;padding:.6rem 1rem}figcaption{color:#555}"""


def table(caption: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """An HTML table of text."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{html.escape(caption)}</caption><tr>{head}</tr>{body}</table>"


def picture(figure: Figure | None, caption: str, missing: str) -> str:
    """A figure as an inline PNG; or a sentence that says why there is none."""
    if figure is None:
        return f"<p>{html.escape(caption)}: not shown, for {html.escape(missing)}.</p>"
    data = base64.b64encode(as_png(figure, DPI)).decode()
    text = html.escape(caption)
    image = f'<img alt="{text}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def residuals(quantity: str) -> Callable[[Ageing], Figure | None]:
    """The figure of one quantity's residuals against temperature, as a function of the results."""
    return lambda ageing: figures.residuals_with_temperature(ageing, quantity)


FIGURES = (
    ("Spectra", figures.spectra_with_time, "Spectra from early to late, and the template", "no spectra"),
    ("Threshold", figures.threshold_construction, "Spectrum, template, difference, threshold", "no threshold"),
    ("Lines on ground", figures.ground_spectra, "Calibration sources on ground", "no ground spectra"),
    ("Calibration, Eq. 2", figures.linear_calibration_plot, "Linear calibration", "no ground spectra"),
    ("Lines after SAA exits", figures.activation_lines, "Activation lines and their decay", "no spectra after exits"),
    ("Gain, Eq. 3", figures.gain_with_time, "Gain with time", "no activation line or no b"),
    ("Threshold with time", figures.threshold_with_time, "Threshold with time and its trends", "no threshold"),
    ("Dark counts, Eq. 5", figures.dark_counts_with_time, "Dark count rate, trends, forecast", "no dark counts"),
    ("Temperature", figures.temperature_with_time, "Board temperature with time", "no temperatures"),
    ("Threshold and temperature", residuals("threshold_adu"), "Threshold residuals and temperature", "no temperatures"),
    ("Dark counts and temperature", residuals("dcr"), "Dark count residuals and temperature", "no temperatures"),
    ("Joint fit and steps", figures.joint_fits, "Residuals of the joint fits, and steps", "no temperatures"),
)


def render(ageing: Ageing) -> str:
    """The whole page as HTML."""
    attrs = ageing.files.spectra.attrs
    synthetic = int(attrs.get("synthetic", 0))
    title = f"SiPM ageing: {ageing.mission.name}"
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if synthetic:
        of = f"{attrs.get('source', '')}, seed {attrs.get('seed', '')}"
        note = f"Synthetic data ({of}): nothing here was measured."
        parts.append(f'<p class="synthetic">{html.escape(note)}</p>')
    spectra = sum(channel.values.sizes["spectrum"] for channel in ageing.channels.values())
    parts.append(
        f"<p>{spectra} spectra of {len(ageing.channels)} readout channels; launch "
        f"{str(ageing.mission.launch)[:10]}; xcal_jax {VERSION}. "
        "The analysis of Řípa et al. 2025, arXiv 2411.00607; the figures are ordered by its steps, "
        "not by the paper's numbers.</p>"
    )
    for heading, draw, caption, missing in FIGURES:
        if synthetic:
            caption = f"{caption} (synthetic data)"
        parts.append(f"<h2>{html.escape(heading)}</h2>{picture(draw(ageing), caption, missing)}")
    parts.append(f"<h2>Which numbers to quote</h2><p>{QUOTE}</p>")
    parts.append("<h2>Every fit</h2>")
    for caption, header, make in TABLES:
        rows = list(make(ageing))
        parts.append(table(caption, header, rows) if rows else f"<p>{html.escape(caption)}: none.</p>")
    unknown = ageing.mission.not_legible.get("names", [])
    if unknown:
        text = f"The paper's values of these are not legible in the copy at hand: {', '.join(unknown)}."
        parts.append(f"<h2>Not known</h2><p>{html.escape(text, quote=False)}</p>")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def write_report(ageing: Ageing, path: str | Path) -> Path:
    """Write the page to ``path``, where a file is replaced, and return that.

    Raises ValueError when the folder is missing or not writable.
    """
    with replacing(path) as temporary:
        temporary.write_text(render(ageing), encoding="utf-8")
    return Path(path)
