"""The types of functions are checked while tests run: a wrong shape is refused, where a dataclass is not looked at."""

import ast
import importlib
import sys
from inspect import getsource

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import TypeCheckError

from tests import typecheck

MODULE = '''
from dataclasses import dataclass
from functools import partial
import jax
from jax import Array
from jaxtyping import Float


def dot(a: Float[Array, "L"], b: Float[Array, "L"]) -> Float[Array, ""]:
    return a @ b

def halves(a: Float[Array, "L"]) -> Float[Array, "2"]:
    return a

def plain(a: float) -> int:
    return a

@partial(jax.jit, static_argnames="power")
def powers(a: Float[Array, "L"], power: int) -> Float[Array, "L"]:
    """Powers."""
    return a**power

@jax.custom_jvp
def square(x: Float[Array, ""]) -> Float[Array, ""]:
    return x * x

@square.defjvp
def _(primals, tangents):
    return square(*primals), 3 * tangents[0]

@partial(jax.tree_util.register_dataclass, data_fields=["rows"], meta_fields=[])
@dataclass(frozen=True)
class Table:
    rows: Float[Array, "R"]

    def times(self, weights: Float[Array, "R"] | None) -> Array:
        return self.rows * weights

    @classmethod
    def build(cls, rows: Float[Array, "R"]):
        return cls(rows)

    @property
    def total(self) -> Float[Array, ""]:
        return self.rows.sum()

    @property
    def halved(self) -> Float[Array, "R"]:
        return self.rows / 2
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """MODULE, imported as a part of a package that is checked."""
    (tmp_path / "someones").mkdir()
    (tmp_path / "someones" / "laws.py").write_text(MODULE)
    (tmp_path / "someones" / "__init__.py").write_text("")
    monkeypatch.setattr(typecheck, "PACKAGE", "someones")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("someones.laws")
    for name in ("someones", "someones.laws"):
        del sys.modules[name]


VECTOR = jnp.arange(3.0)


def test_a_wrong_shape_is_refused(module):
    assert module.dot(VECTOR, VECTOR) == 5
    with pytest.raises(TypeCheckError, match="dot"):
        module.dot(VECTOR, jnp.arange(4.0))


def test_a_wrong_dtype_is_refused(module):
    with pytest.raises(TypeCheckError, match="dot"):
        module.dot(VECTOR, jnp.arange(3))


def test_a_wrong_result_is_refused(module):
    assert module.halves(jnp.arange(2.0)).shape == (2,)
    with pytest.raises(TypeCheckError, match="return value"):
        module.halves(VECTOR)


def test_a_function_without_shapes_is_left_alone(module):
    assert module.plain("text") == "text"
    assert not hasattr(module.plain, "__wrapped__")


def test_methods_are_checked_and_fields_are_not(module):
    table = module.Table.build(VECTOR)
    assert table.times(VECTOR)[2] == 4 and table.total == 3
    assert jax.tree.map(lambda _: None, table).rows is None
    matrix = module.Table(jnp.arange(6.0).reshape(3, 2))
    for wrong in (lambda: module.Table.build(3.0), lambda: table.times(3.0), lambda: matrix.halved):
        with pytest.raises(TypeCheckError):
            wrong()


def test_the_checks_hold_under_transformations(module):
    assert jax.vmap(module.dot)(jnp.eye(3), jnp.eye(3)).shape == (3,)
    assert jax.jit(module.dot)(VECTOR, VECTOR) == 5
    assert jax.grad(module.square)(jnp.asarray(1.0)) == 3  # what `defjvp` says
    assert module.powers(VECTOR, power=2)[2] == 4
    for wrong in (lambda: jax.vmap(module.dot)(VECTOR, VECTOR), lambda: module.powers(jnp.eye(2), power=2)):
        with pytest.raises(TypeCheckError):
            wrong()


def test_names_documents_and_lines_stay(module):
    assert module.dot.__name__ == "dot" and module.powers.__doc__ == "Powers."
    assert getsource(module.dot).startswith("def dot(")
    ast.parse(getsource(module.Table))


def test_no_bytecode_with_checks_is_kept(module, tmp_path):
    assert not list(tmp_path.rglob("laws*.pyc"))


def test_the_package_is_checked():
    from xcal_jax.compute import lanes

    assert type(lanes.__loader__) is typecheck.Loader
    with pytest.raises(RuntimeError, match="before"):
        typecheck.install()
