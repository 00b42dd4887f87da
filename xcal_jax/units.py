"""Quantities with units, as users write them ("7keV", "5.15 um"), turned into the plain floats of the kernels.

Only readers and the command line call this; inside the library a float has the unit its docstring states.
"""

from functools import cache
from math import isfinite


@cache
def _registry():
    import pint

    return pint.UnitRegistry(cache_folder=":auto:")


def parse_quantity(text: str | float, unit: str, name: str) -> float:
    """Return ``text`` as a finite float in ``unit``; a bare number is taken to be in ``unit`` already.

    Raises ValueError, naming ``name``, when it is no number, has another dimension or is not finite.
    """
    import pint

    try:
        quantity = _registry().Quantity(text)
        value = float(quantity.magnitude if quantity.dimensionless else quantity.to(unit).magnitude)
    except (pint.PintError, TypeError, ValueError, AttributeError, AssertionError) as problem:
        raise ValueError(f"`{name}` must be a number with a unit like {unit}, but is {text!r}") from problem
    if not isfinite(value):
        raise ValueError(f"`{name}` must be finite, but is {text!r}")
    return value
