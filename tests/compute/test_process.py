"""The fingerprint of the physics: what changes a count changes it, and prose, types and other rooms do not."""

import shutil

import pytest

from xcal_jax.compute.process import check_compatible, environment, modules_hash, physics_hash


@pytest.fixture
def package(root, tmp_path):
    """A copy of the package's modules."""
    shutil.copytree(root / "xcal_jax", tmp_path / "xcal_jax", ignore=shutil.ignore_patterns("*.nc", "__pycache__"))
    return tmp_path / "xcal_jax"


def edited(package, name, old, new):
    """The hash after ``old`` has become ``new`` in a file."""
    text = (package / name).read_text()
    assert old in text
    (package / name).write_text(text.replace(old, new, 1))
    return modules_hash(package)


def test_a_copy_has_the_same_physics(package):
    assert modules_hash(package) == physics_hash() and len(physics_hash()) == 16


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("constants.py", "510998.95", "510998.96"),
        ("atomic/element.py", "0.602214076", "0.602214075"),
        ("compute/random.py", "(13, 15", "(13, 14"),
        ("compute/lanes.py", "WORD = 32", "WORD = 16"),
        ("physics/electrons/straight.py", ", 0.31104, 0.07773", ", -0.31104, 0.07773"),
        ("physics/geometry.py", "\nimport jax\n", "\nimport jax\n\nHALF = 0.5\n"),
        ("absorber/matter.py", "1e-4", "2e-4"),
        ("montecarlo/transport.py", "\nimport jax\n", "\nimport jax\n\nHALF = 0.5\n"),
        ("simulation/counting.py", "1e-6", "1e-5"),
    ],
)
def test_code_that_counts_changes_it(package, name, old, new):
    assert edited(package, name, old, new) != physics_hash()


def test_a_new_module_changes_it(package):
    (package / "physics" / "new.py").write_text("")
    assert modules_hash(package) != physics_hash()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("physics/geometry.py", '"""', '"""Other prose. '),
        ("physics/geometry.py", "\nimport", "\n# a comment\nimport"),
        ("compute/random.py", "(key: Key, draw", "(key, draw"),
        ("simulation/counting.py", ") -> Tally:", "):"),
        ("simulation/results.py", "1.0", "2.0"),
        ("compute/devices.py", "AHEAD = 2", "AHEAD = 3"),
    ],
)
def test_prose_types_and_other_rooms_do_not(package, name, old, new):
    assert edited(package, name, old, new) == physics_hash()


@pytest.mark.parametrize("name", ["physics", "atomic tables", "JAX version", "precision"])
def test_a_process_that_counts_differently_refuses(name):
    check_compatible(environment())
    check_compatible({**environment(), "backend": "another"})
    with pytest.raises(
        ValueError, match=f"must count like the one that asks, but one has {name} {environment()[name]}"
    ):
        check_compatible({**environment(), name: "another"})
