"""Fingerprint of how a process counts: the code of the physics, its tables, JAX and the precision.

Two processes that agree in these count the same photons to the same integers, bit by bit on the same kind of device.
Checkpoints, workers and `results.merge` compare them. The version of the program does not take part: most commits do
not touch the physics.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from xcal_jax.atomic import table_hash
from xcal_jax.compute.kept import PACKAGE, kept
from xcal_jax.constants import VERSION

COUNTING = (  # the modules that decide what is counted
    "constants.py",
    "atomic/**/*.py",
    "compute/lanes.py",
    "compute/random.py",
    "physics/**/*.py",
    "absorber/**/*.py",
    "montecarlo/**/*.py",
    "simulation/counting.py",
    "response/nodes.py",
)
TYPES = ("annotation", "returns")  # fields of a syntax tree that change nothing


def environment() -> dict[str, str]:
    """Physics, atomic tables, JAX version, backend and precision of this process, by name."""
    return {
        "physics": physics_hash(),
        "atomic tables": table_hash(),
        "JAX version": jax.__version__,
        "backend": jax.default_backend(),
        "precision": str(jnp.result_type(float)),
    }


def provenance() -> dict[str, str]:
    """Version, physics and atomic tables of this program: attributes of every file of counts."""
    return {"version": VERSION, "physics": physics_hash(), "atomic_tables": table_hash()}


def check_compatible(asked: dict[str, str]) -> None:
    """Raise ValueError unless this process counts as the one does whose `environment` was ``asked``.

    The backends may differ: then so does rounding, and nothing else.
    """
    here = environment()
    differing = [f"{name} {here[name]}" for name in here if name != "backend" and here[name] != asked[name]]
    if differing:
        raise ValueError(f"every process must count like the one that asks, but one has {', '.join(differing)}")


@cache
def physics_hash() -> str:
    """The `modules_hash` of this program as it is installed."""
    found: str = kept(lambda: modules_hash(PACKAGE), "physics")
    return found


def modules_hash(root: Path) -> str:
    """The first 16 hexadecimal digits of the sha256 of the modules in COUNTING, below the folder ``root``.

    Comments, docstrings, types and the layout of the text do not matter, nor does the version of Python.
    """
    paths = sorted({path for pattern in COUNTING for path in root.glob(pattern)})
    code = [(path.relative_to(root).as_posix(), syntax(ast.parse(path.read_text(encoding="utf-8")))) for path in paths]
    return hashlib.sha256(repr(code).encode()).hexdigest()[:16]


def syntax(node: Any) -> Any:
    """A syntax tree as nested tuples and lists, without docstrings and types; fields that are empty are left out."""
    if isinstance(node, list):
        return [syntax(part) for part in node if not _is_prose(part)]
    if not isinstance(node, ast.AST):
        return node
    fields = ((name, value) for name, value in ast.iter_fields(node) if name not in TYPES and value not in (None, []))
    return (type(node).__name__, *((name, syntax(value)) for name, value in fields))


def _is_prose(node: Any) -> bool:
    """Whether a statement is a string alone: a docstring, or one below a constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
