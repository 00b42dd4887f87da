"""Self-contained HTML pages: what comes from files stands there as text; they open offline and print."""

import base64
import html
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from xcal_jax.constants import VERSION
from xcal_jax.io.figures import as_png
from xcal_jax.io.files import replacing

DPI = 85
EXACT = 1e-9  # of a value: a smaller error is that of rounding
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
STYLE = """body{font-family:system-ui,sans-serif;max-width:78rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{margin-bottom:.2rem}h2{border-bottom:1px solid #bbb;margin-top:2.5rem}img{max-width:100%}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}.wide{overflow-x:auto}
td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:right}th{background:#f2f2f2}
td:first-child,th:first-child{text-align:left}caption{text-align:left;font-weight:600;padding:.3rem 0}
figure{margin:1rem 0;min-width:0}
.beside{display:grid;gap:0 1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr))}
figcaption{color:#555}.warning{background:#fbe9e7;border:1px solid #c62828;padding:.6rem 1rem}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}figure,tr{break-inside:avoid}.wide{overflow:visible}}"""


def number(value: float, error: float | None = None) -> str:
    """A value, with its error to two digits where it has one."""
    if not np.isfinite(value):
        return "-"
    if error is None:
        return f"{value:.4g}"
    if not (np.isfinite(error) and error > EXACT * abs(value)):
        return f"{value:.5g}"
    exponent = int(np.floor(np.log10(abs(value)))) if value else 0
    if exponent < -3 or exponent > 6:
        unit = 10.0**exponent
        return f"({number(value / unit, error / unit)}) × 10{str(exponent).translate(RAISED)}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of text; kind: "warning", or nothing."""
    of = f' class="{kind}"' if kind else ""
    return f"<p{of}>{html.escape(text, quote=False)}</p>"


def heading(text: str) -> str:
    """The heading of a section."""
    return f"<h2>{html.escape(text)}</h2>"


def table(caption: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """An HTML table of text, which scrolls by itself where it is wider than the page."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><caption>{html.escape(caption)}</caption><tr>{head}</tr>{body}</table></div>'


def captioned(drawing: str, caption: str) -> str:
    """A ``drawing``, HTML of this program, with a caption of text."""
    return f"<figure>{drawing}<figcaption>{html.escape(caption)}</figcaption></figure>"


def beside(parts: Iterable[str]) -> str:
    """Drawings side by side where the page is wide enough."""
    return f'<div class="beside">{"".join(parts)}</div>'


def picture(figure: Figure | None, caption: str, missing: str = "") -> str:
    """A figure as an inline PNG; or a sentence that says why there is none."""
    if figure is None:
        return paragraph(f"{caption}: not shown, for {missing}.")
    data = base64.b64encode(as_png(figure, DPI)).decode()
    return captioned(f'<img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">', caption)


def page(title: str, parts: Iterable[str], head: str = "") -> str:
    """The page of ``parts`` below its ``title``; head: scripts and styles of a drawing library."""
    said = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{said}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="generator" content="xcal_jax {VERSION}"><style>{STYLE}</style>{head}</head>'
        f"<body><h1>{said}</h1>{''.join(parts)}</body></html>\n"
    )


def write_page(text: str, path: str | os.PathLike[str]) -> Path:
    """Write a page to ``path``, where a file is replaced, and return that.

    Raises ValueError when the folder is missing or not writable.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)
