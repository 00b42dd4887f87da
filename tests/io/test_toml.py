"""TOML files: what a schema converts, what it refuses in one sentence; a byte-order mark is no error."""

import datetime
from typing import Annotated, NotRequired

import pytest
from typing_extensions import TypedDict

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.io import toml
from xcal_jax.io.schema import Density, Energy, Length, OneOrMore, Pair, Place, Some, one_of, whole
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


class Layer(TypedDict):
    thickness: Length
    density: NotRequired[Density]


class Shape(TypedDict):
    width: Length
    sides: NotRequired[Pair[Place]]
    energies: NotRequired[OneOrMore[Energy]]
    model: NotRequired[Annotated[str, one_of("range", "scattering")]]
    n: NotRequired[Annotated[int, whole(least=1, most=10**6)]]
    day: NotRequired[datetime.date]
    plain: NotRequired[bool]
    layers: Some[Layer]
    by_name: NotRequired[dict[str, Layer]]


GOOD = {"width": "1 mm", "layers": [{"thickness": 5}]}


def test_a_schema_converts():
    whole_table = GOOD | {"sides": [1, "2 mm"], "energies": "7 keV", "model": "range", "n": "1e3", "plain": True}
    found = toml.check(whole_table | {"by_name": {"x": {"thickness": "1 nm", "density": 3}}}, "here", Shape)
    assert found == {
        "width": 1000.0,
        "sides": [1.0, 2000.0],
        "energies": [7000.0],
        "model": "range",
        "n": 1000,
        "plain": True,
        "layers": [{"thickness": 5.0}],
        "by_name": {"x": {"thickness": 1e-3, "density": 3.0}},
    }
    assert isinstance(found["n"], int)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"witdh": 1}, "unknown key `witdh` in here; the nearest valid key is `width`"),
        ({"layers": [{"thickness": 1, "thikness": 1}]}, "unknown key `layers.0.thikness` in here; .* is `thickness`"),
        ({"by_name": {"x": {"densty": 1}}}, "unknown key `by_name.x.densty` in here; .* is `density`"),
        ({"layers": [{}]}, "`layers.0.thickness` is missing in here"),
        ({"layers": 3}, r"`layers` in here must be \[\[layers\]\] tables, but is 3"),
        ({"layers": {"a": 1}}, r"`layers` in here must be \[\[layers\]\] tables, but is \{'a': 1\}"),
        ({"layers": [3]}, "`layers.0` in here must be a table, but is 3"),
        ({"layers": []}, r"`layers` in here must be a list of 1 or more, but is \[\]"),
        ({"layers": [{"thickness": "2 km"}]}, "`layers.0.thickness` in here must be positive and at most 1e.06 um"),
        ({"width": None}, "`width` in here must be a number with a unit like um, but is None"),
        ({"width": "nan um"}, "`width` in here must be finite, but is 'nan um'"),
        ({"width": -1}, "`width` in here must be positive .* but is -1 um"),
        ({"sides": [1]}, r"`sides` in here must be a list of 2, but is \[1.0\]"),
        ({"sides": 1}, "`sides` in here must be a list, but is 1"),
        ({"energies": ["1 keV", "1 um"]}, "`energies.1` in here must be a number with a unit like eV, but is '1 um'"),
        ({"energies": "1 um"}, "`energies` in here must be a number with a unit like eV, but is '1 um'"),
        ({"energies": []}, "`energies` in here must be a list of 1 or more"),
        ({"model": "magic"}, "`model` in here must be one of range, scattering, but is 'magic'"),
        ({"model": 1}, "`model` in here must be text, but is 1"),
        ({"n": 1.5}, "`n` in here must be a whole number, but is 1.5"),
        ({"n": 1e7}, "`n` in here must be at least 1 and at most 1e.06, but is 10000000"),
        ({"n": True}, "`n` in here must be a number, but is True"),
        ({"day": "today"}, "`day` in here must be a date like 2021-03-22, but is 'today'"),
        ({"day": datetime.datetime(2021, 1, 1, 12)}, "`day` in here must be a date like 2021-03-22"),
        ({"plain": 1}, "`plain` in here must be true or false, but is 1"),
        ({"model": "m" * 10_000}, "`model` in here must be one of .* but is 'm{39} [.]{3} m{11}'"),
    ],
)
def test_what_a_schema_refuses_is_one_sentence(changed, sentence):
    with pytest.raises(ValueError, match=sentence + ".*$"):
        toml.check(GOOD | changed, "here", Shape)


@pytest.mark.parametrize("key", ["width", "layers"])
def test_a_needed_key_is_named(key):
    with pytest.raises(ValueError, match=f"`{key}` is missing in here"):
        toml.check({name: value for name, value in GOOD.items() if name != key}, "here", Shape)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "design 'x.toml' must be a TOML file, but does not exist"),
        (b"\xff\xfe", "design 'x.toml' must be a TOML file in UTF-8, but is not text"),
        (b"a = [", "design 'x.toml' must be valid TOML: "),
        (b"a = " + b"[" * 5000, "design 'x.toml' must be valid TOML: "),
        (b"a = " + b"9" * 5000, "design 'x.toml' must be valid TOML: "),
    ],
    ids=["missing", "binary", "cut", "deep", "long"],
)
def test_what_is_no_toml_is_one_sentence(tmp_path, monkeypatch, content, sentence):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(ValueError) as problem:
        toml.read("x.toml", "design", Shape)
    assert str(problem.value).startswith(sentence) and "\n" not in str(problem.value)
