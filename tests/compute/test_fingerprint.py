"""The fingerprint of the physics: what changes a count changes it, and prose, types and other rooms do not."""

import shutil

import pytest

from xcal_jax.compute.fingerprint import check_compatible, environment, modules_hash, physics_hash


@pytest.fixture
def package(root, tmp_path):
    """A copy of the package's modules."""
    shutil.copytree(root / "xcal_jax", tmp_path / "xcal_jax", ignore=shutil.ignore_patterns("*.nc", "__pycache__"))
    return tmp_path / "xcal_jax"


MODULE = '''"""Prose."""

from xcal_jax.compute.shapes import Real

LIMIT = 0.5
"""What it is."""


def half(x):
    """Half of it."""
    return x * LIMIT
'''


def with_module(package, text, name="physics/new.py"):
    """The hash with a module of that ``text``."""
    (package / name).write_text(text)
    return modules_hash(package)


def test_a_copy_has_the_same_physics(package):
    assert modules_hash(package) == physics_hash() and len(physics_hash()) == 16
    assert with_module(package, MODULE) != physics_hash()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("constants.py", True),
        ("atomic/element.py", True),
        ("compute/random.py", True),
        ("compute/lanes.py", True),
        ("physics/electrons/straight.py", True),
        ("physics/geometry.py", True),
        ("absorber/matter.py", True),
        ("montecarlo/transport.py", True),
        ("simulation/counting.py", True),
        ("simulation/results.py", False),
        ("compute/devices.py", False),
        ("expected/history.py", False),
        ("cli/main.py", False),
    ],
)
def test_modules_that_count(package, name, counts):
    text = (package / name).read_text()
    assert (with_module(package, f"{text}\nEXTRA = 1\n", name) != physics_hash()) == counts


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("0.5", "0.25", False),
        ("x * LIMIT", "x + LIMIT", False),
        ("def half(x)", "def half(x, y=1)", False),
        ("Prose", "Other prose", True),
        ("Half", "A half", True),
        ("What", "That", True),
        ("0.5", "0.5  # a comment", True),
        ("(x)", "(x: Real) -> Real", True),
        ("x * LIMIT", "(\n        x * LIMIT\n    )", True),
    ],
)
def test_prose_types_and_layout_do_not_matter(package, old, new, same):
    assert old in MODULE
    before = with_module(package, MODULE)
    assert (with_module(package, MODULE.replace(old, new, 1)) == before) == same


@pytest.mark.parametrize("name", ["physics", "atomic tables", "JAX version", "precision"])
def test_a_process_that_counts_differently_refuses(name):
    check_compatible(environment())
    check_compatible({**environment(), "backend": "another"})
    with pytest.raises(
        ValueError, match=f"must count like the one that asks, but one has {name} {environment()[name]}"
    ):
        check_compatible({**environment(), name: "another"})
