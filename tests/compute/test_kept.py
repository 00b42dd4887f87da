"""What is kept in JAX's folder is made once, never half-written, and never another version's."""

import jax
import pytest

from xcal_jax.compute import kept as module
from xcal_jax.compute.kept import kept


def made():
    raise AssertionError("made again")


def test_a_value_is_made_once(folder):
    assert kept(lambda: {"a": (1, b"2")}, "value", "1") == {"a": (1, b"2")}
    assert kept(made, "value", "1") == {"a": (1, b"2")}
    assert kept(lambda: 3, "value", "2") == 3
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("harm", [lambda found: found[:-1], lambda found: found[:-1] + b"x", lambda found: b""])
def test_a_file_that_is_harmed_is_made_anew(folder, harm):
    kept(lambda: "right", "value")
    (path,) = folder.iterdir()
    path.write_bytes(harm(path.read_bytes()))
    assert kept(lambda: "right again", "value") == "right again"
    assert kept(made, "value") == "right again"


def test_other_code_makes_its_own(folder, monkeypatch):
    kept(lambda: "old", "value")
    monkeypatch.setattr(module, "_package", lambda: "other")
    assert kept(lambda: "new", "value") == "new"


def test_any_file_of_the_package_makes_a_difference(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", tmp_path)
    found = set()
    for name, text in (("a.py", "1"), ("a.py", "2"), ("b.nc", ""), ("__pycache__.pyc", "3")):
        (tmp_path / name).write_text(text)
        module._package.cache_clear()
        found.add(module._package())
    module._package.cache_clear()
    assert len(found) == 3


def test_nothing_is_kept_where_there_is_no_folder(folder):
    jax.config.update("jax_compilation_cache_dir", str(folder / "none"))
    assert [kept(lambda n=n: n, "value") for n in range(2)] == [0, 1]


def test_nothing_is_kept_where_the_user_keeps_nothing(folder):
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        assert [kept(lambda n=n: n, "value") for n in range(2)] == [0, 1]
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
    assert not list(folder.iterdir())


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    def full(path, content):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    assert kept(lambda: "value", "value") == "value"
    assert not list(folder.iterdir())
