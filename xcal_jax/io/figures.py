"""Figures written as they are: names that come from files are text, never mathematics, and no glyph is missed aloud."""

import io
import os
import warnings
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

from xcal_jax.io.files import MARK, PLOTS, check_writable, replacing

COLOURS = 128


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a PNG, PDF or SVG, by the suffix of ``path``, whole or not at all. Raises ValueError for others.

    A file at ``path`` is replaced; `save`, and every command, refuse to replace a file of another program.
    """
    check_writable(path, PLOTS)
    kind = Path(path).suffix.lower().removeprefix(".")
    buffer = io.BytesIO()  # matplotlib hides the error of a disk that is full
    _write(figure, buffer, format=kind, dpi=150, metadata={"Software" if kind == "png" else "Creator": MARK.decode()})
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def as_png(figure: Figure, dpi: float) -> bytes:
    """A figure as a PNG of ``dpi`` dots an inch and few `COLOURS`, for a page: a third of the size of all colours."""
    from PIL import Image

    whole, small = io.BytesIO(), io.BytesIO()
    _write(figure, whole, format="png", dpi=dpi)
    with Image.open(whole) as image:
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(small, "png", optimize=True)
    return small.getvalue()


def _write(figure: Figure, target: Any, **options: Any) -> None:
    axes = [axis for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)]
    ticks = {text for axis in axes for text in (*axis.get_ticklabels(which="both"), axis.get_offset_text())}
    for text in set(figure.findobj(Text)) - ticks:
        text.set_parse_math(False)
        text.set_text("".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text.get_text()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)  # of a script that the font lacks
        figure.savefig(target, **options)
