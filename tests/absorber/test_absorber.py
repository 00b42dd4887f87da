"""Absorbers as TOML: read, written, and every way to get one wrong."""

import re

import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber, presets
from xcal_jax.absorber.matter import elements_of, interaction_by_layer, quantum_efficiency
from xcal_jax.atomic import Material
from xcal_jax.expected.function import observables

GOOD = """
name = "mine"
width = "0.2695 mm"
length = 269.5
[[layers]]
material = "Au"
thickness = "40 nm"
[[layers]]
material = "Bi2Te3"
thickness = 5.15
density = "7.8 g/cm^3"
"""


def test_toml():
    absorber = Absorber.from_toml(GOOD)
    assert absorber.formulas == ("Au", "Bi2Te3")
    np.testing.assert_allclose(absorber.thickness, [0.04, 5.15], rtol=1e-12)
    np.testing.assert_allclose(absorber.density, [19.3, 7.8], rtol=2e-3)
    assert float(absorber.width) == pytest.approx(269.5) == float(absorber.length)
    assert (absorber.name, absorber.electrons, absorber.rayleigh) == ("mine", "range", False)


def test_one_word_chooses_the_physics(tmp_path):
    """In a TOML file, in Python and when a file is loaded; single models can be chosen beside it."""
    full, paper = Absorber.from_toml('physics = "full"\n' + GOOD), Absorber.from_toml('physics = "paper"\n' + GOOD)
    assert (full.physics, full.electrons, full.compton, full.rayleigh) == ("full", "scattering", "impulse", True)
    assert (paper.physics, paper.electrons, paper.compton, paper.rayleigh) == (
        "paper",
        "range",
        "waller-hartree",
        False,
    )
    mixed = Absorber.from_toml('physics = "full"\nelectrons = "range"\n' + GOOD)
    assert (mixed.physics, mixed.electrons, mixed.compton, mixed.rayleigh) == ("mixed", "range", "impulse", True)
    (tmp_path / "a.toml").write_text('physics = "full"\nrayleigh = false\n' + GOOD)
    assert Absorber.load(tmp_path / "a.toml").rayleigh is False
    assert Absorber.load(tmp_path / "a.toml", physics="paper").physics == "paper"
    assert Absorber.load(tmp_path / "a.toml", "range", "full").to_toml() == mixed.to_toml()
    assert Absorber.from_toml(full.to_toml()).physics == "full"


@pytest.mark.parametrize("name", presets())
def test_presets_come_back_from_their_toml(name):
    absorber = Absorber.preset(name)
    again = Absorber.from_toml(absorber.to_toml())
    assert absorber.name == name == again.name
    assert absorber.to_toml() == again.to_toml()
    np.testing.assert_array_equal(absorber.thickness, again.thickness)


def test_names_survive_toml():
    absorber = Absorber.build([("Au", 1)], 10, 10, name='a "b" \\ c\nä\u007f')
    assert Absorber.from_toml(absorber.to_toml()).name == absorber.name


def test_shipped_presets():
    assert presets() == ["gold", "resolve", "xifu", "xifu-membrane", "xifu-thick"]
    assert Absorber.preset("xifu-membrane").dead == (3, 4)
    np.testing.assert_allclose(Absorber.preset("xifu").thickness, [0.04, 5.15, 1.22])
    assert Absorber.preset("xifu").formulas == ("Au", "Bi", "Au")
    assert [e.symbol for e in elements_of(Absorber.preset("resolve"))] == ["Te", "Hg"]


def replaced(old, new):
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "`width` is missing"),
        ("layers = []\nwidth = 1\nlength = 1", "`layers` in absorber must be a list of 1 or more, but is []"),
        ("layers = 3\nwidth = 1\nlength = 1", "[[layers]] tables"),
        ("layers = [1]\nwidth = 1\nlength = 1", "`layers.0` in absorber must be a table, but is 1"),
        ("width = [", "valid TOML"),
        (replaced("width", "widht"), "unknown key `widht` in absorber; the nearest valid key is `width`"),
        (
            replaced("density", "densty"),
            "unknown key `layers.1.densty` in absorber; the nearest valid key is `den",
        ),
        (replaced('width = "0.2695 mm"\n', ""), "`width` is missing"),
        (replaced('material = "Au"\n', ""), "`layers.0.material` is missing in absorber"),
        (replaced("40 nm", "0 um"), "`layers.0.thickness` in absorber must be positive"),
        (replaced("40 nm", "-1 um"), "must be positive and at most 1e+06 um, but is -1 um"),
        (replaced("40 nm", "nan um"), "`layers.0.thickness` in absorber must be finite"),
        (replaced('"40 nm"', "nan"), "must be finite"),
        (replaced('"40 nm"', "inf"), "must be finite"),
        (replaced('"40 nm"', "true"), "must be a number with a unit like um"),
        (replaced('"40 nm"', "1979-05-27"), "must be a number with a unit like um"),
        (replaced('"40 nm"', "[1]"), "must be a number with a unit like um"),
        (replaced("40 nm", "40 eV"), "must be a number with a unit like um, but is '40 eV'"),
        (replaced("40 nm", "0,04 um"), "must be a number with a unit like um"),
        (replaced("40 nm", "2 m"), "at most 1e+06 um"),
        (replaced("0.2695 mm", "0 mm"), "`width` in absorber must be positive"),
        (replaced('"Au"', '"Xx"'), "element 'Xx'"),
        (replaced('"Au"', '"au"'), "did you mean 'Au'"),
        (replaced('"Au"', "79"), "`layers.0.material` in absorber must be text, but is 79"),
        (replaced("7.8 g/cm^3", "-7.8 g/cm^3"), "`layers.1.density` in absorber must be positive"),
        (replaced('"7.8 g/cm^3"', "0"), "`layers.1.density` in absorber must be positive"),
        (replaced("7.8 g/cm^3", "7.8 um"), "must be a number with a unit like g/cm^3"),
        (GOOD.replace("Bi2Te3", "PbTe").replace('density = "7.8 g/cm^3"', ""), "the density of PbTe is not known"),
        ('electrons = "magic"\n' + GOOD, "`electrons` in absorber must be one of range, scattering, but is 'magic'"),
        ('rayleigh = "yes"\n' + GOOD, "`rayleigh` in absorber must be true or false"),
        ('physics = "half"\n' + GOOD, "`physics` in absorber must be one of paper, full, but is 'half'"),
        ('compton = "free"\n' + GOOD, "`compton` in absorber must be one of waller-hartree, impulse, but is 'free'"),
        (replaced('"mine"', "3"), "`name` in absorber must be text"),
    ],
)
def test_refused(text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        Absorber.from_toml(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x00" * 100, b"\x89HDF\r\n\x1a\n" + bytes(range(256))])
def test_binary_files(tmp_path, content):
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"TOML"):
        Absorber.load(path)


def test_unknown_names():
    with pytest.raises(ValueError, match="the nearest preset is 'xifu'"):
        Absorber.load("xifuu")
    with pytest.raises(ValueError, match=r"a preset .* or a TOML file"):
        Absorber.load("/")
    with pytest.raises(ValueError, match="preset must be one of gold, resolve, xifu, xifu-membrane, xifu-thick"):
        Absorber.preset("silver")


SURROUNDED = """
width = 100
length = 100
[[layers]]
material = "Au"
thickness = "10 nm"
counts = false
[[layers]]
material = "HgTe"
thickness = 5
[[layers]]
material = "vacuum"
thickness = 2
[[layers]]
material = "Si"
thickness = 500
counts = false
"""


def test_dead_layers_and_vacuum():
    absorber = Absorber.from_toml(SURROUNDED)
    assert absorber.dead == (0, 2, 3) == Absorber.from_toml(absorber.to_toml()).dead
    assert Absorber.from_toml(absorber.to_toml()) == absorber
    np.testing.assert_array_equal(absorber.density == 0.0, [False, False, True, False])
    assert "0.01 um Au (dead) / 5 um HgTe / 2 um vacuum / 500 um Si (dead)" in repr(absorber)
    layers = [{"material": "Au", "thickness": 0.01, "counts": False}, ("HgTe", 5), ("vacuum", 2)]
    layers.append({"material": "Si", "thickness": 500, "counts": False})
    assert Absorber.build(layers, 100, 100) == absorber
    assert {element.symbol for element in elements_of(absorber)} == {"Au", "Hg", "Te", "Si"}
    assert Absorber.from_toml(GOOD).dead == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'material = "HgTe"',
            'material = "vacuum"',
            "`layers` in absorber must have one that counts",
        ),
        (
            "thickness = 2",
            "thickness = 2\ndensity = 1.0",
            "`layers.2` in absorber: vacuum holds no energy",
        ),
        ("thickness = 2", "thickness = 2\ncounts = true", "must not have `counts = true`"),
        ("counts = false", 'counts = "no"', "counts"),
    ],
)
def test_impossible_dead_layers(old, new, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Absorber.from_toml(SURROUNDED.replace(old, new))


def test_dead_top_takes_its_part_of_the_light():
    """Quantum efficiency below a dead top: exp(-mu t) of the top times 1 - exp(-mu t) of what counts."""
    absorber = Absorber.from_toml(SURROUNDED)
    energy = np.array([1234.0, 3000.0, 7000.0])
    top, below = (
        Material.build(f).mass_attenuation(energy, rayleigh=False) * 1e-4 * Material.build(f).density * t
        for f, t in (("Au", 0.01), ("HgTe", 5.0))
    )
    expected = np.exp(-top) * -np.expm1(-below)
    np.testing.assert_allclose(quantum_efficiency(absorber, energy), expected, rtol=1e-4)
    by_layer = interaction_by_layer(absorber, energy)
    np.testing.assert_array_equal(by_layer[:, [0, 2, 3]], 0.0)
    np.testing.assert_allclose(by_layer.sum(axis=1), expected, rtol=1e-4)


def test_derivatives_are_of_layers_that_touch():
    """Where they count; dead layers and gaps around them do not matter."""
    for text in (GOOD, SURROUNDED):
        Absorber.from_toml(text).check_touching("a derivative")
    parted = Absorber.build([("Bi", 1.0), {"material": "vacuum", "thickness": 1.0}, ("Bi", 1.0)], 9.0, 9.0)
    sentence = "a derivative needs layers that count to touch, but in 'absorber' layer 1 (vacuum) parts them"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parted.check_touching("a derivative")
    with pytest.raises(ValueError, match="an expected observable needs layers that count to touch"):
        observables(parted, 7000.0)
