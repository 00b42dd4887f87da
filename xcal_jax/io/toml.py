"""TOML files, read through a schema: a `TypedDict` whose fields have the types of `xcal_jax.io.schema`.

A schema says once which keys a table has and what stands behind each: types, units, limits. What comes back is the
table with its quantities as plain numbers, which the type checker knows key by key. pydantic does the checking. It was
chosen over msgspec, which starts 0.04 s sooner, because it reports an error as data (place, kind, value), of which a
sentence can be made, and lets a type have a rule of its own, such as a unit. What is wrong is one sentence with the
key, the rule and the value; an unknown key comes with the nearest valid one.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import is_typeddict

from xcal_jax.io.files import read_text
from xcal_jax.units import shown, shown_path

Table = TypeVar("Table")
RULES = {
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a table",
    "list_type": "a list",
    "date_type": "a date like 2021-03-22",
}


def read(path: str | os.PathLike[str], what: str, schema: type[Table]) -> Table:
    """The TOML file at ``path`` by ``schema``. Raises ValueError where it is none or differs, calling it ``what``."""
    where = f"{what} {shown_path(path)}"
    return parse(read_text(path, where, "TOML"), where, schema)


def parse(text: str, where: str, schema: type[Table]) -> Table:
    """The TOML in ``text`` by ``schema``. Raises ValueError where it is none or differs, calling it ``where``."""
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"{where} must be valid TOML: {problem}") from problem
    return check(found, where, schema)


def check(table: Mapping[str, Any], where: str, schema: type[Table]) -> Table:
    """``table`` by ``schema``, quantities as numbers. Raises ValueError, calling it ``where``, for the first fault."""
    try:
        return cast(Table, _checker(cast(Any, schema)).validate_python(table, strict=True, extra="forbid"))
    except ValidationError as problem:
        faults = problem.errors(include_url=False)
        first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
        raise ValueError(_sentence(first, table, where, schema)) from None


@cache
def _checker(schema: Any) -> TypeAdapter[Any]:
    return TypeAdapter(schema)


def _sentence(fault: ErrorDetails, table: Mapping[str, Any], where: str, schema: Any) -> str:
    kind, (*above, last) = fault["type"], fault["loc"]
    for part in above:
        schema = _inner(schema, part)
    key = _path(fault["loc"], table)
    if kind == "extra_forbidden":
        (nearest,) = difflib.get_close_matches(str(last), get_type_hints(_bare(schema)), 1, cutoff=0.0)
        return f"unknown key `{key}` in {where}; the nearest valid key is `{nearest}`"
    if kind == "missing":
        return f"`{key}` is missing in {where}"
    if kind == "value_error":
        return f"`{key}` in {where} {fault['ctx']['error']}"
    rule = RULES[kind]
    if is_typeddict(_bare(_inner(_inner(schema, last), 0))) and kind == "list_type":
        rule = f"[[{key}]] tables"
    return f"`{key}` in {where} must be {rule}, but is {shown(fault['input'])}"


def _path(place: tuple[int | str, ...], table: Any) -> str:
    """``layers.1.thickness``; the number of a value that stands alone where a list may stand is left out."""
    parts: list[str] = []
    for part in place:
        if isinstance(part, str) or isinstance(table, list | tuple):
            parts.append(shown(str(part))[1:-1])
            table = table.get(str(part)) if isinstance(table, Mapping) else table[int(part)]
    return ".".join(parts)


def _bare(schema: Any) -> Any:
    """A type without what is annotated."""
    return _bare(get_args(schema)[0]) if get_origin(schema) is Annotated else schema


def _inner(schema: Any, part: int | str) -> Any:
    """The type of ``part`` of a table or a list."""
    schema = _bare(schema)
    if is_typeddict(schema):
        return get_type_hints(schema).get(str(part))
    inside = get_args(schema)
    return inside[-1] if inside else None


def quoted(text: str) -> str:
    """``text`` as a TOML string: JSON's, but for pairs of surrogates and the delete character, which TOML refuses."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
