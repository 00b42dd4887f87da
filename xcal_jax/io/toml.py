"""TOML files: read with one sentence for what is wrong, and unknown keys refused with the nearest valid one."""

import difflib
import json
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def read(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """The tables of the TOML file at ``path``. Raises ValueError when it is none, calling it ``what``."""
    return parse(read_text(path, what), f"{what} {str(path)!r}")


def read_text(path: str | os.PathLike[str], what: str) -> str:
    """The text of the TOML file at ``path``. Raises ValueError when it is missing or no text."""
    where = f"{what} {str(path)!r}"
    if not Path(path).is_file():
        raise ValueError(f"{where} must be a TOML file, but it does not exist")
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ValueError(f"{where} must be a TOML file in UTF-8, but is not text") from problem


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
