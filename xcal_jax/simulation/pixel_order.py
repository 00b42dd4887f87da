"""The pixels of a SIXTE detector's XML: which row and column of an array each PIXID is.

SIXTE numbers pixels from 1 in the order in which its XML has them. Each stands at posx times delx, posy times dely (m).
What SIXTE does to the text before, in this order, is done here too (tried against its `piximpacts`, version 2.7.2):

- files are included, and loops written out, their variables replaced, from the outermost on;
- first products, then sums and differences of whole numbers without a sign are computed, from the left, whatever stands
  beside them: 2*3 is 6, but -1+2 becomes -3, and 1-0.5 becomes 1.5;
- a hexagonal loop sets $x and $y to the places of its pixels, and $p to their pitch;
- of two pixels that overlap or touch, the earlier one is taken away, and has no number.
"""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from xcal_jax.physics.geometry import Pixels
from xcal_jax.units import shown_path

OFF = 0.05  # of the pitch, that a pixel may be from its place
UM_PER_M = 1e6
SHAPE = ("POSX", "DELX", "POSY", "DELY", "WIDTH", "HEIGHT")
FAULTS = (ElementTree.ParseError, OSError, KeyError, ValueError)


def pixel_order(path: str | os.PathLike[str], pixels: Pixels) -> Int[np.ndarray, " P"]:
    """Number (row x columns + column) in the array ``pixels`` of every pixel of the XML in the file ``path``, in order.

    Rows ascend along y and columns along x. Raises ValueError where the file is no such XML, or its pixels do not stand
    on the array's grid.
    """
    where = f"the detector {shown_path(path)}"
    if not Path(path).is_file():
        raise ValueError(f"{where} must be an XML file of SIXTE, but does not exist")
    try:
        boxes = np.array(list(_boxes(_read(Path(path)), Variables()))).reshape(-1, 4)
    except FAULTS as problem:
        raise ValueError(
            f"{where} must be an XML file of SIXTE with the places of its pixels, but: {problem}"
        ) from problem
    if not len(boxes):
        raise ValueError(f"{where} must have pixels, each with a shape, but has none")
    places = boxes[~overlapped(boxes), :2]
    pitch = np.array([float(pixels.pitch_x), float(pixels.pitch_y)]) / UM_PER_M
    steps = (places - places.min(axis=0)) / pitch
    at = np.round(steps).astype(int)
    rows, columns = pixels.shape
    if np.any(np.abs(steps - at) > OFF) or at[:, 0].max() >= columns or at[:, 1].max() >= rows:
        size = np.ceil(steps.max(axis=0)).astype(int) + 1
        raise ValueError(
            f"pixels of {where} must stand on the [array] of {rows} x {columns} with a pitch of {1e6 * pitch[0]:g} x "
            f"{1e6 * pitch[1]:g} um, but they take {size[1]} x {size[0]} of it, or stand between"
        )
    order = at[:, 1] * columns + at[:, 0]
    if np.unique(order).size < order.size:
        raise ValueError(f"pixels of {where} must have places of their own, but two have the same")
    return order


def overlapped(boxes: Float[np.ndarray, "P 4"]) -> Bool[np.ndarray, " P"]:
    """Whether a later one of the ``boxes`` (x, y, width, height) overlaps or touches each."""
    low, high = boxes[:, :2] - 0.5 * boxes[:, 2:], boxes[:, :2] + 0.5 * boxes[:, 2:]
    apart = [(low[:, None, side] > high[:, side]) | (high[:, None, side] < low[:, side]) for side in (0, 1)]
    return np.any(np.tril(~(apart[0] | apart[1]), -1), axis=0)


@dataclass(frozen=True)
class Variables:
    """Texts in place of names: those of loops, the outermost first, and those of a hexagon, after sums."""

    loops: dict[str, str] = field(default_factory=dict)
    hexagon: dict[str, str] = field(default_factory=dict)

    def of(self, element: ElementTree.Element) -> dict[str, str]:
        """The attributes of ``element``, with names in capitals, as SIXTE reads them."""
        return {name.upper(): self._filled(text) for name, text in element.attrib.items()}

    def _filled(self, text: str) -> str:
        text = computed(_replaced(text, self.loops))
        return _replaced(text, self.hexagon)


def _replaced(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def computed(text: str) -> str:
    """The ``text`` after SIXTE has computed products, then sums and differences, of digits that stand side by side."""
    for operators in ("*", "+-"):
        while found := re.search(rf"(\d+)([{operators}])(\d+)", text):
            one, sign, two = int(found[1]), found[2], int(found[3])
            result = one * two if sign == "*" else one + two if sign == "+" else one - two
            text = text[: found.start()] + str(result) + text[found.end() :]
    return text


def _read(path: Path, around: tuple[Path, ...] = ()) -> ElementTree.Element:
    """The root of the XML in the file ``path``, with the files that it includes; ``around``: those that include it."""
    if path.resolve() in around:
        raise ValueError(f"{path.name} includes itself")
    root = ElementTree.parse(path).getroot()
    for parent in list(root.iter()):
        for place, child in enumerate(parent):
            if child.tag.upper() == "INCLUDE":
                named = {name.upper(): text for name, text in child.attrib.items()}["FILENAME"]
                parent[place] = _read(path.parent / named, (*around, path.resolve()))
    return root


def _boxes(element: ElementTree.Element, variables: Variables) -> Iterator[tuple[float, float, float, float]]:
    """Places and sizes (m) of the pixels in ``element``: x, y, width, height."""
    tag, given = element.tag.upper(), variables.of(element)
    if tag == "LOOP":
        for value in _values(given):
            inner = Variables(variables.loops | {given["VARIABLE"]: value}, variables.hexagon)
            for child in element:
                yield from _boxes(child, inner)
    elif tag == "HEXAGONLOOP":
        pitch = float(given["PIXELPITCH"])
        for x, y in _hexagon(float(given["RADIUS"]), pitch, given.get("CROSS", "0") == "1"):
            inner = Variables(variables.loops, {"$p": f"{pitch:g}", "$x": f"{x:g}", "$y": f"{y:g}"})
            for child in element:
                yield from _boxes(child, inner)
    elif tag == "PIXEL":
        shape = next((child for child in element if child.tag.upper() == "SHAPE"), None)
        if shape is None:
            raise ValueError("a pixel has no shape")
        of = variables.of(shape)
        x, step_x, y, step_y, width, height = (float(of[name]) for name in SHAPE)
        yield x * step_x, y * step_y, width, height
    else:
        for child in element:
            yield from _boxes(child, variables)


def _values(loop: dict[str, str]) -> Iterator[str]:
    """What the variable of a ``loop`` with these attributes is replaced by, in turn. Raises ValueError for no loop."""
    start, end, step = (int(loop[name]) for name in ("START", "END", "INCREMENT"))
    if step == 0 or (end - start) * step < 0:
        raise ValueError("a loop must have an increment, which leads from its start to its end")
    offset = float(loop.get("OFFSET", "0"))
    for value in range(start, end + (1 if step > 0 else -1), step):
        yield f"{value + offset:f}" if offset else str(value)


def _hexagon(radius: float, pitch: float, cross: bool) -> Iterator[tuple[float, float]]:
    """Places of the pixels in a hexagon, in units of the ``pitch``: lines from the middle up, then from there down.

    radius: of the hexagon, to the ends of its middle line; cross: whether the middle is a corner of four pixels. Raises
    ValueError where the hexagon is no larger than a pixel.
    """
    if radius <= pitch:
        raise ValueError(f"a hexagon must be larger than its pixels, but has a radius of {radius:g}, pitch {pitch:g}")
    for sign, line in ((1.0, 0.5 if cross else 0.0), (-1.0, 0.5 if cross else 1.0)):
        height = line * pitch
        while height < 0.5 * radius * np.sqrt(3.0):
            reach = (radius - height / np.tan(np.pi / 3.0)) / pitch
            count = 2 * int(reach + 0.5) if cross else 2 * int(reach) + 1
            for number in range(count):
                yield number - 0.5 * (count - 1), sign * line
            line, height = line + 1.0, height + pitch
