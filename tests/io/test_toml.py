"""TOML files: a byte-order mark is no error, and what is wrong is one sentence."""

import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.io import toml
from xcal_jax.simulation.sweep_grid import Grid

MARK = b"\xef\xbb\xbf"


def test_a_byte_order_mark_is_read_over(tmp_path):
    """Editors on Windows write one."""
    xifu = Absorber.preset("xifu")
    (tmp_path / "a.toml").write_bytes(MARK + xifu.to_toml().encode())
    (tmp_path / "s.toml").write_bytes(MARK + b'absorber = "a.toml"\n[grid]\nenergy = ["7 keV"]\n')
    assert Absorber.load(tmp_path / "a.toml").to_toml() == xifu.to_toml()
    grid = Grid.load(tmp_path / "s.toml")
    assert grid.text.startswith("absorber") and grid.point(0)[0].to_toml() == xifu.to_toml()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "design 'x.toml' must be a TOML file, but does not exist"),
        (b"\xff\xfe", "design 'x.toml' must be a TOML file in UTF-8, but is not text"),
        (b"a = [", "design 'x.toml' must be valid TOML: "),
    ],
)
def test_what_is_no_toml_is_one_sentence(tmp_path, monkeypatch, content, sentence):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(ValueError) as problem:
        toml.read("x.toml", "design")
    assert str(problem.value).startswith(sentence) and "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"witdh": 1, "layers": 2}, "unknown key `witdh` in here; the nearest valid key is `width`"),
        ({"width": 1}, "`layers` is missing in here"),
        ([1], r"here must be a table, but is \[1\]"),
    ],
)
def test_keys_are_checked(table, sentence):
    with pytest.raises(ValueError, match=sentence):
        toml.check_keys(table, ("width", "layers"), ("layers",), "here")


@pytest.mark.parametrize("value", [3, {"a": 1}, [{"a": 1}, 2]])
def test_a_list_of_tables_is_one(value):
    assert toml.table_list([{"a": 1}], "layers", "here") == [{"a": 1}]
    with pytest.raises(ValueError, match=r"`layers` in here must be \[\[layers\]\] tables"):
        toml.table_list(value, "layers", "here")
