"""The pixels of a SIXTE detector's XML: which row and column of an array each PIXID is.

SIXTE numbers pixels in the order in which its XML has them, from 1. Each has its place as posx times delx, posy times
dely (m). Loops are written out, and sums and products computed, as SIXTE does.
"""

import ast
import operator
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int

from xcal_jax.physics.geometry import Pixels
from xcal_jax.units import shown_path

SUMS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
OFF = 0.05  # of the pitch, that a pixel may be from its place
UM_PER_M = 1e6


def pixel_order(path: str | os.PathLike[str], pixels: Pixels) -> Int[np.ndarray, " P"]:
    """Number (row x columns + column) in the array ``pixels`` of every pixel of the XML in the file ``path``, in order.

    Rows ascend along y and columns along x. Raises ValueError where the file is no such XML, or its pixels do not stand
    on the array's grid.
    """
    where = f"the detector {shown_path(path)}"
    if not Path(path).is_file():
        raise ValueError(f"{where} must be an XML file of SIXTE, but does not exist")
    try:
        places = np.array(list(_places(ElementTree.parse(path).getroot(), {}))).reshape(-1, 2)
    except (ElementTree.ParseError, KeyError, ValueError, SyntaxError) as problem:
        raise ValueError(
            f"{where} must be an XML file of SIXTE with the places of its pixels, but: {problem}"
        ) from problem
    if not len(places):
        raise ValueError(f"{where} must have pixels, each with a shape, but has none")
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


def _places(element: ElementTree.Element, values: dict[str, int]) -> Iterator[tuple[float, float]]:
    """Places (m) of the pixels in ``element``, of which loops have set variables to ``values``."""
    tag = element.tag.upper()
    given = {name.upper(): _filled(text, values) for name, text in element.attrib.items()}
    if tag == "LOOP":
        start, end, step = (int(given[name]) for name in ("START", "END", "INCREMENT"))
        if step == 0:
            raise ValueError("a loop must have an increment")
        for value in range(start, end + (1 if step > 0 else -1), step):
            for child in element:
                yield from _places(child, values | {given["VARIABLE"]: value})
    elif tag == "PIXEL":
        shape = next((child for child in element if child.tag.upper() == "SHAPE"), None)
        if shape is None:
            raise ValueError("a pixel has no shape")
        of = {name.upper(): _number(_filled(text, values)) for name, text in shape.attrib.items()}
        yield of["POSX"] * of["DELX"], of["POSY"] * of["DELY"]
    else:
        for child in element:
            yield from _places(child, values)


def _filled(text: str, values: dict[str, int]) -> str:
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(name, str(values[name]))
    return text


def _number(text: str) -> float:
    """The value of a sum or product of numbers. Raises ValueError for other text."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in SUMS:
            return float(SUMS[type(node.op)](value(node.left), value(node.right)))
        raise ValueError(f"{text!r} is no number")

    return value(ast.parse(text.strip(), mode="eval").body)
