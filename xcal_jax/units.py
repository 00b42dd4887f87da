"""Quantities with units, as users write them ("7keV", "5.15 um"), turned into the plain floats of the kernels.

Only readers and the command line call this; inside the library a float has the unit its docstring states.
The number is read here, strictly. `astropy.units`, imported when it is needed, reads only the name of the unit.
Errors of `as_quantity`, `as_whole` and `limited` begin with "must": who calls puts the name before it.
"""

import re
from functools import cache
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf)"
UNIT = r"[^\W\d_][\w/*^-]*"
LONGEST_QUOTE, LONGEST_PATH = 60, 300  # characters of a value and of a path in an error

AnyNumber = TypeVar("AnyNumber", int, float)


def shown(value: Any) -> str:
    """``value`` as errors quote it: its `repr`, with the middle of a long one left out."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST_QUOTE else f"{text[:40]} ... {text[-12:]}"


def shown_path(path: Any) -> str:
    """A path as errors quote it, in full where it could be one."""
    text = repr(str(path))
    return text if len(text) <= LONGEST_PATH else f"{text[:200]} ... {text[-40:]}"


@cache
def _factor(found: str, unit: str) -> float:
    """How many ``unit`` are one ``found``, to 15 digits, so that 1 mm is 1000 um. Raises where they do not compare."""
    from astropy.units import Unit

    def read(text: str):
        over, *under = text.split("/")  # astropy takes one slash: J/mol/K^2 is J/(mol*K^2)
        return Unit(f"{over}/({'*'.join(under)})" if under else over)

    return float(f"{read(found).to(read(unit)):.15g}")


def as_quantity(value: Any, unit: str) -> float:
    """``value`` as a finite float in ``unit``; a bare number is taken to be in ``unit`` already.

    unit: such as "eV" or "g/cm3"; "" or "1" for a pure number. Raises ValueError when ``value`` is no number, has
    another dimension or is not finite.
    """
    unit = "" if unit == "1" else unit
    wrong = ValueError(f"must be a number{f' with a unit like {unit}' if unit else ''}, but is {shown(value)}")
    if isinstance(value, bool) or not isinstance(value, str | Real):
        raise wrong
    parts = re.fullmatch(rf"\s*({NUMBER})\s*({UNIT})?\s*", str(value))
    if not parts:
        raise wrong
    number = float(parts[1])
    if parts[2]:
        try:
            number *= _factor(parts[2], unit)
        except (ValueError, TypeError, ArithmeticError) as problem:
            raise wrong from problem
    if not isfinite(number):
        raise ValueError(f"must be finite, but is {shown(value)}")
    return number


def as_numbers(value: Any, name: str) -> np.ndarray:
    """``value`` as an array of floats of any shape. Raises ValueError, naming ``name``, where it is no such thing."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError) as problem:
        raise ValueError(f"`{name}` must hold numbers, but is {shown(value)}") from problem


def as_whole(value: Any) -> int:
    """ "1e7" as an integer. Raises ValueError for anything that is not whole."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    number = as_quantity(value, "")
    if number != int(number):
        raise ValueError(f"must be a whole number, but is {shown(value)}")
    return int(number)


def limited(
    value: AnyNumber,
    unit: str = "",
    *,
    above: float = -inf,
    least: float = -inf,
    below: float = inf,
    most: float = inf,
) -> AnyNumber:
    """``value`` if it is more than ``above``, not less than ``least``, less than ``below`` and not more than ``most``.

    Raises ValueError with the limits and ``unit`` otherwise; nan is outside.
    """
    if above < value < below and least <= value <= most:
        return value
    unit = f" {unit}" if unit not in ("", "1") else ""
    limits = {"above": above, "at least": least, "below": below, "at most": most}
    rules = [f"{word} {limit:g}{unit}" for word, limit in limits.items() if isfinite(limit)]
    if above == 0.0:
        rules[0] = "positive"
    found = f"{value:g}" if isinstance(value, float) else shown(value)
    raise ValueError(f"must be {' and '.join(rules)}, but is {found}{unit}")


def parse_quantity(value: Any, unit: str, name: str, **limits: float) -> float:
    """``value`` as a finite float in ``unit`` within ``limits``.

    Raises ValueError as `as_quantity` and `limited` do, naming ``name``.
    """
    try:
        return limited(as_quantity(value, unit), unit, **limits)
    except ValueError as problem:
        raise ValueError(f"`{name}` {problem}") from problem


def parse_whole(value: Any, name: str, **limits: float) -> int:
    """``value`` as an integer within ``limits``. Raises ValueError as `as_whole` and `limited` do, naming ``name``."""
    try:
        return limited(as_whole(value), "", **limits)
    except ValueError as problem:
        raise ValueError(f"`{name}` {problem}") from problem


def parse_quantities(text: str, units: tuple[str, ...], name: str) -> tuple:
    """ "30um,0" as floats in ``units``. Raises ValueError, naming ``name``, for another number of them."""
    parts = text.split(",")
    if len(parts) != len(units):
        raise ValueError(f"`{name}` must be {len(units)} numbers separated by commas, but is {shown(text)}")
    return tuple(parse_quantity(part, unit, name) for part, unit in zip(parts, units, strict=True))
