"""Quantities with units, as users write them ("7keV", "5.15 um"), turned into the plain floats of the kernels.

Only readers and the command line call this; inside the library a float has the unit its docstring states.
The number is read here, strictly. `astropy.units`, imported when it is needed, reads only the name of the unit.
"""

import re
from functools import cache
from math import isfinite

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf)"
UNIT = r"[^\W\d_][\w/*^-]*"


@cache
def _factor(found: str, unit: str) -> float:
    """How many ``unit`` are one ``found``, to 15 digits, so that 1 mm is 1000 um. Raises where they do not compare."""
    from astropy.units import Unit

    def read(text: str):
        over, *under = text.split("/")  # astropy takes one slash: J/mol/K^2 is J/(mol*K^2)
        return Unit(f"{over}/({'*'.join(under)})" if under else over)

    return float(f"{read(found).to(read(unit)):.15g}")


def parse_quantity(text: str | float, unit: str, name: str) -> float:
    """Return ``text`` as a finite float in ``unit``; a bare number is taken to be in ``unit`` already.

    unit: such as "eV" or "g/cm3"; "" or "1" for a pure number. Raises ValueError, naming ``name``, when ``text`` is no
    number, has another dimension or is not finite.
    """
    unit = "" if unit == "1" else unit
    wrong = ValueError(f"`{name}` must be a number{f' with a unit like {unit}' if unit else ''}, but is {text!r}")
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise wrong
    parts = re.fullmatch(rf"\s*({NUMBER})\s*({UNIT})?\s*", str(text))
    if not parts:
        raise wrong
    value = float(parts[1])
    if parts[2]:
        try:
            value *= _factor(parts[2], unit)
        except (ValueError, TypeError, ArithmeticError) as problem:
            raise wrong from problem
    if not isfinite(value):
        raise ValueError(f"`{name}` must be finite, but is {text!r}")
    return value


def parse_quantities(text: str, units: tuple[str, ...], name: str) -> tuple:
    """ "30um,0" as floats in ``units``. Raises ValueError, naming ``name``, for another number of them."""
    parts = text.split(",")
    if len(parts) != len(units):
        raise ValueError(f"`{name}` must be {len(units)} numbers separated by commas, but is {text!r}")
    return tuple(parse_quantity(part, unit, name) for part, unit in zip(parts, units, strict=True))


def parse_whole(text: str, name: str) -> int:
    """ "1e7" as an integer. Raises ValueError, naming ``name``, for anything that is not whole."""
    number = parse_quantity(text, "", name)
    if number != int(number):
        raise ValueError(f"`{name}` must be a whole number, but is {text}")
    return int(number)
