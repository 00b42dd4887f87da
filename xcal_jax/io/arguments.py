"""Arguments of public functions: each is of the type that the signature declares, or one sentence says so.

Without this `simulate("xifu", 7000.0)` ends deep inside, in words of Python. Numbers may be those of Python, NumPy or
JAX; a sequence may be an array; what a signature does not tell in such simple words is left to the function.
"""

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, wraps
from numbers import Real
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from xcal_jax.units import shown

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
WORDS = {
    float: "a number",
    int: "a number",
    str: "text",
    bool: "true or false",
    os.PathLike: "a path",
    NoneType: "None",
}


def checked(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """``function``, which raises TypeError where an argument is not of the declared type."""
    signature = inspect.signature(function)

    @cache
    def hints() -> dict[str, Any]:
        return get_type_hints(function)

    def bound(*given: Any, **named: Any) -> dict[str, Any]:
        """The arguments by name. Raises TypeError, which names the function, where they do not fit."""
        takes = [name for name, one in signature.parameters.items() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        if len(takes) == len(signature.parameters):
            for name in set(named) - set(takes):
                near = get_close_matches(name.lower(), takes, 1)
                hint = f"did you mean `{near[0]}`?" if near else f"it takes {', '.join(takes)}"
                raise TypeError(f"`{function.__name__}` takes no `{name}`: {hint}")
        try:
            return signature.bind(*given, **named).arguments
        except TypeError as problem:
            raise TypeError(f"`{function.__name__}`: {problem}") from problem

    @wraps(function)
    def call(*given: Arguments.args, **named: Arguments.kwargs) -> Result:
        for name, value in bound(*given, **named).items():
            hint, kind = hints().get(name, Any), signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                continue
            for one in value if kind is inspect.Parameter.VAR_POSITIONAL else [value]:
                if not _fits(one, hint):
                    raise TypeError(f"`{name}` must be {_words(hint)}, but is {shown(one)}")
        return function(*given, **named)

    return call


def _fits(value: Any, hint: Any) -> bool:
    origin, inside = get_origin(hint), get_args(hint)
    if hint is Any or type(hint).__module__.startswith("jaxtyping"):
        return True
    if origin in (Union, UnionType):
        return any(_is_protocol(one) or _fits(value, one) for one in inside)
    if hint in (float, int):
        return _is_number(value)
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if origin in (tuple, list, Sequence, Iterable):
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            return False
        if isinstance(value, Sequence) and inside:
            return all(_fits(one, kind) for one, kind in zip(value, _kinds(inside, len(value)), strict=False))
        return getattr(value, "dtype", np.dtype(float)).kind in "iufO"
    return not isinstance(origin or hint, type) or isinstance(value, origin or hint)


def _is_protocol(hint: Any) -> bool:
    """Whether the type is of those that make up NumPy's ArrayLike, of which isinstance knows nothing."""
    return bool(getattr(get_origin(hint) or hint, "_is_protocol", False))


def _kinds(inside: tuple[Any, ...], size: int) -> Iterable[Any]:
    return inside if len(inside) > 1 and Ellipsis not in inside else [inside[0]] * size


def _is_number(value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return False
    return isinstance(value, Real) or (hasattr(value, "dtype") and np.ndim(value) == 0 and value.dtype.kind in "iuf")


def _words(hint: Any) -> str:
    """A type in words: "an Absorber", "a number or None", "a list of text"."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_words, inside)))
    if origin in (tuple, list, Sequence, Iterable):
        return "a list of text" if inside[:1] == (str,) else "a list"
    name = getattr(origin or hint, "__name__", str(hint))
    return WORDS.get(origin or hint, f"{'an' if name[0] in 'AEIOU' else 'a'} {name}")
