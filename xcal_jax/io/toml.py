"""TOML files: read with one sentence for what is wrong, and unknown keys refused with the nearest valid one."""

import difflib
import json
import os
import tomllib
from collections.abc import Sequence
from typing import Any

from xcal_jax.io.files import read_text


def read(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """The tables of the TOML file at ``path``. Raises ValueError when it is none, calling it ``what``."""
    where = f"{what} {str(path)!r}"
    return parse(read_text(path, where, "TOML"), where)


def parse(text: str, where: str) -> dict[str, Any]:
    """The tables of ``text``. Raises ValueError, calling it ``where``, when it is no TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ValueError(f"{where} must be valid TOML: {problem}") from problem


def check_keys(table: Any, known: Sequence[str], needed: Sequence[str], where: str) -> None:
    """Raise ValueError unless ``table`` is a table that has all keys ``needed`` and none but those ``known``."""
    if not isinstance(table, dict):
        raise ValueError(f"{where} must be a table, but is {table!r}")
    for key in table:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, 1, cutoff=0.0)
            raise ValueError(f"unknown key `{key}` in {where}; the nearest valid key is `{nearest[0]}`")
    for key in needed:
        if key not in table:
            raise ValueError(f"`{key}` is missing in {where}")


def table_list(value: Any, name: str, where: str) -> list[dict[str, Any]]:
    """``value``, if it is a list of tables. Raises ValueError, naming ``name`` in ``where``, otherwise."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ValueError(f"`{name}` in {where} must be [[{name}]] tables")
    return value


def quoted(text: str) -> str:
    """``text`` as a TOML string: JSON's, but for pairs of surrogates and the delete character, which TOML refuses."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
