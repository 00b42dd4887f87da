"""Quantities with units, as users give them ("7keV", "5.15 um", `astropy.units.Quantity`), as plain floats.

Readers, builders and the command line call this; inside the library a float has the unit its docstring states.
The number is read here, strictly, and the name of a `USUAL` unit; `astropy.units`, imported when it is needed, reads
the names of all others.
Errors of `as_quantity`, `as_whole` and `limited` begin with "must": who calls puts the name before it.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf)"
UNIT = r"[^\W\d_][\w/*^-]*"
LONGEST_QUOTE, LONGEST_PATH = 60, 300  # characters of a value and of a path in an error

AnyNumber = TypeVar("AnyNumber", int, float)
Quantity = str | float | Any
"""A number, text with a unit, or what has a unit of its own: `astropy.units.Quantity`."""
USUAL = (
    {"eV": 1.0, "keV": 1e3, "MeV": 1e6},
    {"nm": 1e-3, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "km": 1e9},
    {"g/cm3": 1.0, "kg/m3": 1e-3},
    {"mK": 1e-3, "K": 1.0},
    {"deg": 1.0},
)
"""Units that compare, each in the first that is 1: most runs need no other, and not the import of astropy."""
KNOWN = (*(name for family in USUAL for name in family), "rad")


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
    for family in USUAL:
        if found in family and unit in family:
            return float(f"{family[found] / family[unit]:.15g}")
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
    if hasattr(value, "to_value"):
        number = _converted(value, unit)
    elif isinstance(value, str):
        number = _read(value, unit)
    elif isinstance(value, bool) or not (isinstance(value, Real) or getattr(value, "shape", None) == ()):
        raise _wrong(value, unit)
    else:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError) as problem:  # an array of one time, a number beyond all floats
            raise _wrong(value, unit) from problem
    if not isfinite(number):
        raise ValueError(f"must be finite, but is {shown(value)}")
    return number


def _wrong(value: Any, unit: str, hint: str = "") -> ValueError:
    return ValueError(f"must be a number{f' with a unit like {unit}' if unit else ''}, but is {shown(value)}{hint}")


def _converted(value: Any, unit: str) -> float:
    """A Quantity of astropy as a float."""
    try:
        return float(value.to_value(unit))
    except (ValueError, TypeError) as problem:
        raise _wrong(str(value), unit) from problem


def _read(text: str, unit: str) -> float:
    """Text as a float."""
    parts = re.fullmatch(rf"\s*({NUMBER})\s*({UNIT})?\s*", text)
    if not parts:
        point = re.sub(r"^(\s*[-+]?\d+),(\d)", r"\1.\2", text)
        raise _wrong(text, unit, f": write the decimal point, {shown(point)}" if point != text else "")
    number, found = float(parts[1]), parts[2]
    if not found:
        return number
    try:
        return number * _factor(found, unit)
    except (ValueError, TypeError, ArithmeticError) as problem:
        meant = [known for known in KNOWN if known.casefold() == found.casefold() and known != found]
        hint = f": did you mean {f'{parts[1]} {meant[0]}'!r}?" if meant else ""
        raise _wrong(text, unit, hint) from problem


def as_numbers(value: Any, name: str, unit: str = "") -> np.ndarray:
    """``value`` as an array of floats of any shape, in ``unit`` where it has one of its own.

    Raises ValueError, naming ``name``, where it is no such thing.

    >>> as_numbers([1, 2.5], "energy", "eV")
    array([1. , 2.5])
    """
    try:
        return np.asarray(value.to_value(unit) if hasattr(value, "to_value") else value, dtype=np.float64)
    except (ValueError, TypeError) as problem:
        raise ValueError(f"`{name}` must hold numbers, but is {shown(value)}") from problem


def words_as_numbers(words: Iterable[str], what: str) -> list[float]:
    """Numbers of the ``words`` of a file. Raises ValueError, calling their place ``what``, with the first that is none.

    >>> words_as_numbers("1 2.5".split(), "DATA")
    [1.0, 2.5]
    """
    found = []
    for word in words:
        try:
            found.append(float(word))
        except ValueError as problem:
            raise ValueError(f"{what} must hold numbers between blanks, but one is {shown(word)}") from problem
    return found


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

    >>> parse_quantity("7 keV", "eV", "energy")
    7000.0
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


def parse_each(given: Any, units: tuple[str, ...], name: str) -> tuple:
    """Quantities, a tuple or text like "30um,0", as floats in ``units``.

    Raises ValueError, naming ``name``, for another number of them.

    >>> parse_each(("134.7 um", 0), ("um", "um"), "at")
    (134.7, 0.0)
    """
    if isinstance(given, str):
        return parse_quantities(given, units, name)
    parts = list(given) if several(given) else [given]
    if len(parts) != len(units):
        raise ValueError(f"`{name}` must have {len(units)} numbers, but has {len(parts)}: {shown(given)}")
    return tuple(parse_quantity(part, unit, name) for part, unit in zip(parts, units, strict=True))


def parse_list(given: Any, unit: str, name: str) -> list[float]:
    """One quantity or several, in a sequence or as text like "50eV,1keV", as floats in ``unit``.

    Raises ValueError, naming ``name``, for what is no quantity.

    >>> parse_list("50eV,1keV", "eV", "loss_above")
    [50.0, 1000.0]
    """
    if isinstance(given, str):
        return list(parse_quantities(given, (unit,) * len(given.split(",")), name))
    return [parse_quantity(part, unit, name) for part in (given if several(given) else [given])]


def several(given: Any) -> bool:
    """Whether ``given`` is a list of quantities, and not one."""
    return "," in given if isinstance(given, str) else isinstance(given, Sequence) or bool(getattr(given, "shape", ()))


def parse_lines(text: str, name: str) -> tuple[list[float], list[float]]:
    """Energies in eV and weights of lines like "5.9keV:2,6.49keV:1". Raises ValueError, naming ``name``, for others.

    >>> parse_lines("5.9keV:2,6.49keV:1", "energy")
    ([5900.0, 6490.0], [2.0, 1.0])
    """
    lines = [part.split(":") for part in text.split(",")]
    if any(len(line) > 2 for line in lines):
        raise ValueError(f"`{name}` must be ENERGY or ENERGY:WEIGHT, separated by commas, but is {shown(text)}")
    bare = [line[0].strip()[-1:].isdigit() for line in lines]
    if any(bare) and not all(bare):
        raise ValueError(
            f"`{name}` must have a unit at every energy or at none (the decimal point is '.'), but is {shown(text)}"
        )
    energies = [parse_quantity(line[0], "eV", name) for line in lines]
    return energies, [parse_quantity(line[1], "", f"{name} weight") if len(line) == 2 else 1.0 for line in lines]


def parse_quantities(text: str, units: tuple[str, ...], name: str) -> tuple:
    """ "30um,0" as floats in ``units``. Raises ValueError, naming ``name``, for another number of them."""
    parts = text.split(",")
    if len(parts) != len(units):
        raise ValueError(f"`{name}` must be {len(units)} numbers separated by commas, but is {shown(text)}")
    return tuple(parse_quantity(part, unit, name) for part, unit in zip(parts, units, strict=True))
