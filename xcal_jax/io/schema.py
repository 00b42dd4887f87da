"""Types of values in TOML files, of which schemas are made: each is read, converted and limited in one place.

A schema is a `typing_extensions.TypedDict` (that of `typing` needs Python 3.12 for pydantic)::

    class LayerTable(TypedDict):
        material: str
        thickness: Annotated[float, quantity("um", above=0.0, most=1e6)]
        density: NotRequired[Density]

A rule of one's own is a function of the value, which raises a ValueError that begins with "must": see `rule`.
"""

from collections.abc import Callable
from typing import Annotated, Any, NotRequired, TypeVar, cast

from pydantic import AfterValidator, BeforeValidator, ValidatorFunctionWrapHandler, WrapValidator
from typing_extensions import TypedDict

from xcal_jax.units import as_quantity, as_whole, limited, shown

Item = TypeVar("Item")
LONGEST = 1e6  # um; a metre of absorber is a typing error


def quantity(unit: str, **limits: float) -> BeforeValidator:
    """A number in ``unit`` or text with a unit of its own, within ``limits`` (see `xcal_jax.units.limited`)."""
    return BeforeValidator(lambda value: limited(as_quantity(value, unit), unit, **limits))


def _or_infinite(unit: str) -> BeforeValidator:
    """A positive number in ``unit``, or "inf"."""
    infinite = ("inf", float("inf"))
    return BeforeValidator(
        lambda value: float("inf") if value in infinite else limited(as_quantity(value, unit), unit, above=0.0)
    )


def whole(**limits: float) -> BeforeValidator:
    """A whole number, such as 3 or 1e6, within ``limits`` (see `xcal_jax.units.limited`)."""
    return BeforeValidator(lambda value: limited(as_whole(value), "", **limits))


def one_of(*words: str) -> AfterValidator:
    """One of a few words."""

    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}, but is {shown(value)}")
        return value

    return AfterValidator(check)


def rule(check: Callable[[Any], Any]) -> AfterValidator:
    """A rule on a value that has its type: ``check`` returns it or raises ValueError, beginning with "must"."""
    return AfterValidator(check)


def listed(least: int, most: int | None = None) -> AfterValidator:
    """A list of ``least`` to ``most`` values."""

    def check(values: list[Any]) -> list[Any]:
        if len(values) < least or (most is not None and len(values) > most):
            number = f"{least} or more" if most is None else f"{least}" if least == most else f"{least} to {most}"
            raise ValueError(f"must be a list of {number}, but is {shown(values)}")
        return values

    return AfterValidator(check)


def optional_keys(types: dict[str, Any]) -> type[dict[str, Any]]:
    """The schema of a table whose keys are known only when it is read: each may be there, with its type."""
    fields = {key: NotRequired[kind] for key, kind in types.items()}
    return cast(type[dict[str, Any]], cast(Any, TypedDict)("Table", fields))


def _in_file_order(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    found = read(value)
    return {key: found[key] for key in value}


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _different(values: list[Any]) -> list[Any]:
    if any(value in values[:n] for n, value in enumerate(values)):
        raise ValueError("must have each value once, but repeats one")
    return values


Length = Annotated[float, quantity("um", above=0.0, most=LONGEST)]
Extent = Annotated[float, _or_infinite("um")]
Place = Annotated[float, quantity("um")]
Density = Annotated[float, quantity("g/cm^3", above=0.0)]
Energy = Annotated[float, quantity("eV", above=0.0)]
Number = Annotated[float, quantity("")]
Positive = Annotated[float, quantity("", above=0.0)]
NotNegative = Annotated[float, quantity("", least=0.0)]

Some = Annotated[list[Item], listed(1)]  # a list that is not empty
OneOrMore = Annotated[list[Item], listed(1), BeforeValidator(_as_list)]
Pair = Annotated[list[Item], listed(2, 2)]
Different = Annotated[Some[Item], rule(_different)]
InFileOrder = Annotated[Item, WrapValidator(_in_file_order)]  # a table whose keys stay in the order of the file
