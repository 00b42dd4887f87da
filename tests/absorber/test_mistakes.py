"""What users get wrong in Python, and the sentence that they get; what they may leave to the package."""

import numpy as np
import pytest
import xarray as xr
from astropy import units

import xcal_jax as xcal
from xcal_jax import Absorber, Source


def on_gold(width=None, array=None, below=(), counts=False, **more):
    """Bismuth on gold of another width."""
    gold = {"material": "Au", "thickness": 1.0, "counts": counts, **more} | ({} if width is None else {"width": width})
    return Absorber.build([("Bi", 2.0), gold, *below], 10.0, 10.0, array=array)


def run_around(absorber, illuminate, **more):
    return xcal.simulate(absorber, Source.build("7 keV", illuminate=illuminate, **more), n=9)


@pytest.mark.parametrize(
    ("mistake", "kind", "said"),
    [
        (lambda: Source(7000.0), TypeError, r"Source is made by Source.build\('7 keV'\), not by Source\(...\)"),
        (lambda: Absorber("xifu"), TypeError, r"Absorber is made by Absorber.load\('xifu'\)"),
        (lambda: Source.build("7kev"), ValueError, "is '7kev': did you mean '7 keV'"),
        (lambda: Source.build("7,0keV"), ValueError, "`energy` must have a unit at every energy or at none"),
        (lambda: Source.build("7keV", at="1,5um,0um"), ValueError, "`at` must be 2 numbers separated by commas"),
        (lambda: Source.build("7keV", at=(1, 2, 3)), ValueError, "`at` must have 2 numbers, but has 3"),
        (lambda: Source.build(7 * units.um), ValueError, "must be a number with a unit like eV, but is '7.0 um'"),
        (lambda: xcal.simulate("xfu", "7 keV"), ValueError, "the nearest preset is 'xifu'"),
        (lambda: xcal.simulate(3, "7 keV"), TypeError, "`absorber` must be an Absorber"),
        (lambda: Absorber.build([("Bi", 5, 9780)], 1, 1), ValueError, "at most 30 g/cm3.*9780 kg/m3 are 9.78 g/cm3"),
        (lambda: Absorber.build(["Au", 5], 1, 1), ValueError, r"layer 0 must be \(material, thickness\)"),
        (lambda: Absorber.build("Au", 1, 1), ValueError, "`layers` must be a list of layers"),
        (lambda: Absorber.build([("Au", 1, 2, 3)], 1, 1), ValueError, r"layer 0 must be \(material, thickness\)"),
        (lambda: on_gold(counts=True, width="inf"), ValueError, r"layer 1 \(Au\) of it counts: give it counts = false"),
        (lambda: on_gold(width="-3 um"), ValueError, "`layers.1.width` in absorber must be positive"),
        (lambda: on_gold(offset=[1.0, 0.0]), ValueError, "`layers.1` in absorber must have a `width` beside"),
        (lambda: on_gold(width=9.0), ValueError, "`width` of `layers.1` in absorber must be at least 10 um to hold"),
        (
            lambda: on_gold(width=20.0, length=11.0, offset=[5.0, -1.0]),
            ValueError,
            "`length` of `layers.1` in absorber must be at least 12 um to hold the absorber, but is 11 um",
        ),
        (
            lambda: on_gold(width=30.0, array={"rows": 1, "columns": 3, "pitch": 12.0}),
            ValueError,
            "`width` of `layers.1` in absorber must be at least 34 um",
        ),
        (
            lambda: on_gold(width=20.0, below=[{"material": "Au", "thickness": 1.0, "counts": False, "width": 40.0}]),
            ValueError,
            "`layers.2` in absorber must not have a width of its own: it has that of layer 1",
        ),
        (
            lambda: xcal.simulate("xifu", Source.build("7 keV", disc=(10, 0, 200)), n=9),
            ValueError,
            "`disc` must have a radius of at most 134.75 um on absorber 'xifu', but has 200 um",
        ),
        (lambda: run_around("xifu", "all"), ValueError, "`illuminate` needs a substrate wider than the absorber"),
        (
            lambda: run_around(on_gold(width="inf"), "all"),
            ValueError,
            "`illuminate` of all needs a substrate with an end",
        ),
        (lambda: run_around(on_gold(width="inf"), "-1 um"), ValueError, "`illuminate` must be positive"),
        (
            lambda: run_around(on_gold(width="inf"), 9.0, at=(0, 0)),
            ValueError,
            "`at` and `illuminate` exclude each other",
        ),
        (lambda: run_around(on_gold(width="inf"), 9.0, pixel=(0, 0)), ValueError, "`illuminate` and `pixel` exclude"),
        (
            lambda: xcal.simulate("xifu", "7 keV", layer_spectra=True),
            ValueError,
            "`layer_spectra` needs an absorber with dead layers, which 'xifu' has not",
        ),
        (
            lambda: xcal.observables(on_gold(width="inf"), "7 keV"),
            ValueError,
            "an expected observable needs a substrate as wide as the absorber, but that of 'absorber' is \"inf\" wide",
        ),
        (lambda: Absorber.build([("BI", 1)], 1, 1), ValueError, "is 'Bi' meant, the element"),
        (
            lambda: Absorber.build([{"material": "Au", "thick": 1}], 1, 1),
            ValueError,
            "nearest valid key is `thickness`",
        ),
        (lambda: xcal.simulate("xifu", "7 keV", n=9, events="y.csv"), ValueError, "must end in one of .nc, .fits"),
        (lambda: xcal.quantum_efficiency("xifu", "7 um"), ValueError, "must be a number with a unit like eV"),
        (lambda: xcal.simulate("xifu", 7), ValueError, "numbers without a unit are in eV, was '7 keV' meant"),
        (
            lambda: xcal.simulate("xifu", energy="7 keV"),
            TypeError,
            "`simulate` takes no `energy`: it takes absorber,",
        ),
        (lambda: xcal.simulate("xifu", "7 keV", N=9), TypeError, "`simulate` takes no `N`: did you mean `n`"),
        (lambda: xcal.simulate("xifu"), TypeError, "`simulate`: missing a required argument: 'source'"),
        (lambda: xcal.simulate("XIFU", "7 keV"), ValueError, "the nearest preset is 'xifu'"),
        (lambda: xcal.heat_capacity("gold", 90), ValueError, "`temperature` must be positive and at most 4 K"),
        (lambda: xcal.heat_capacity("gold", "90 um"), ValueError, "must be a number with a unit like K"),
        (lambda: xr.Dataset().xcal.summary(), ValueError, "`.xcal` is of results of `simulate` and `sweep`"),
        (lambda: xcal.save(xr.Dataset(), "m.csv"), ValueError, "output must end in one of .nc, .*but is 'm.csv'"),
    ],
)
def test_a_mistake_is_one_sentence(mistake, kind, said):
    with pytest.raises(kind, match=said):
        mistake()


def test_a_layer_thinner_than_an_atom_is_warned_of():
    """As 3 um come out where they are given in metres."""
    with pytest.warns(UserWarning, match="the thickest layer of absorber is 3e-06 um, less than an atom's size"):
        Absorber.build([("Bi", 3e-6), ("Au", 1e-6)], 1.0, 1.0)
    Absorber.build([("Bi", 3e-6), ("Au", 1.0)], 1.0, 1.0)


@pytest.mark.parametrize("formula", ["BI", "CU", "SI", "PB", "SN"])
def test_elements_in_capitals_are_compounds_and_said_to_be(formula):
    with pytest.warns(UserWarning, match=f"is a compound of . and .: the element is {formula.capitalize()!r}"):
        if formula == "PB":
            Absorber.build([(formula, 1.0, 5.0)], 1.0, 1.0)
        else:
            Absorber.build([(formula, 1.0, 2.0)], 1.0, 1.0)


@pytest.mark.parametrize(("density", "warned"), [(4.8, True), (5.0, False), (19.4, False), (19.6, True)])
def test_densities_beyond_a_factor_of_two_are_doubted(density, warned, recwarn):
    """The tables have 9.747 g/cm3."""
    Absorber.build([("Bi", 1.0, density)], 1.0, 1.0)
    assert bool(recwarn.list) is warned


def test_quantities_may_have_units_of_any_kind():
    source = Source.build("7 keV", at=("134.7 um", "0 um"), angle="30 deg")
    assert source == Source.build(7000.0, at="134.7um,0um", angle=30.0)
    assert source == Source.build(7 * units.keV, at=(0.1347 * units.mm, 0), angle=np.float32(30.0))
    assert source != Source.build(7000.0, at="134.7um,0um")
    assert Source.build([5.9, 6.49] * units.keV, [2, 1]) == Source.build("5.9keV:2,6.49keV:1")
    layers = [{"material": "Au", "thickness": "40 nm"}, ("Bi", 5.15 * units.um, "9780 kg/m3")]
    built = Absorber.build(layers, "0.2695 mm", 269.5)
    assert built == Absorber.build([("Au", 0.04), ("Bi", 5.15, 9.78)], 269.5, 269.5)
    assert len({built, Absorber.load(built)}) == 1 and built != Absorber.load(built, "scattering")
    assert repr(built) == "<Absorber 'absorber': 0.04 um Au / 5.15 um Bi, 269.5 x 269.5 um, physics: paper>"


def test_a_square_needs_no_length():
    bismuth = [("Bi", "1 um")]
    assert Absorber.build(bismuth, "100 um") == Absorber.build(bismuth, "100 um", "100 um")
    text = 'name = "absorber"\nwidth = "100 um"\n[[layers]]\nmaterial = "Bi"\nthickness = "1 um"\n'
    assert Absorber.from_toml(text) == Absorber.build(bismuth, "100 um")


@pytest.mark.parametrize(
    ("thickness", "sentence"),
    [
        (2.0, "`thickness` must be 2 lengths, one for each layer, but is 2.0"),
        ([1.0], r"`thickness` must be 2 lengths, one for each layer, but is \[1.0\]"),
        ([-1.0, 2.0], "`thickness.0` must be positive and at most"),
        (["2 um", "3 kg"], "`thickness.1` must be a number with a unit like um, but is '3 kg'"),
    ],
)
def test_wrong_thicknesses(thickness, sentence):
    absorber = Absorber.build([("Au", "40 nm"), ("Bi", "5 um")], "250 um")
    with pytest.raises(ValueError, match=sentence):
        absorber.with_thickness(thickness)


def test_other_thicknesses_take_units():
    absorber = Absorber.build([("Au", "40 nm"), ("Bi", "5 um")], "250 um")
    np.testing.assert_allclose(absorber.with_thickness(["50 nm", 3 * units.um]).thickness, [0.05, 3.0])


def test_a_line_in_the_place_of_an_energy():
    with pytest.raises(ValueError, match=r"for a natural line take Source.build\(line='MnKa'\)"):
        xcal.simulate("gold", "MnKa", n=10)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"energy": "7keV:2,3keV:1", "isotropic": True}, "<Source: 7000, 3000 eV, isotropic>"),
        ({"line": "MnKa", "at": (0, 0)}, "<Source: MnKa, point>"),
    ],
)
def test_a_source_shows_itself_in_a_line(source, text):
    assert repr(Source.build(**source)) == text


def test_every_netcdf_file_is_loaded_and_others_are_told(tmp_path):
    made = xr.Dataset({"tid": ("segment", [1.0])}, attrs={"kind": "any"})
    xcal.save(made, tmp_path / "any.nc")
    assert xcal.load(tmp_path / "any.nc").tid == 1.0
    (tmp_path / "x.fits").write_bytes(b"SIMPLE  =                    T")
    with pytest.raises(ValueError, match=r"is a FITS file: `astropy\.io\.fits` reads it"):
        xcal.load(tmp_path / "x.fits")
