"""What is written is read back: quantities, absorbers as TOML, archives of spectra as CSV, tallies as arrays."""

from datetime import datetime

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.constants import COMPTON, ELECTRONS
from xcal_jax.montecarlo.tally import Tally
from xcal_jax.physics.geometry import Pixels
from xcal_jax.spectra.archives import read_csv
from xcal_jax.spectra.dataset import build_spectra
from xcal_jax.spectra.writers import write_csv
from xcal_jax.units import parse_quantities, parse_quantity, parse_whole

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
lengths = st.floats(1e-6, 1e6)
LENGTHS = {"nm": 1e-3, "um": 1.0, "micron": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}  # um


@given(finite, st.sampled_from(["", " ", "  "]))
def test_a_number_in_its_own_unit_is_read_exactly(value, space):
    for text in (repr(value), f" {value!r}{space}um "):
        assert parse_quantity(text, "um", "thickness") == value


@given(st.floats(-1e100, 1e100), st.sampled_from(sorted(LENGTHS)), st.sampled_from(sorted(LENGTHS)))
def test_units_of_a_length_convert_into_each_other(value, given_in, asked):
    found = parse_quantity(f"{value!r} {given_in}", asked, "thickness")
    assert found == pytest.approx(value * LENGTHS[given_in] / LENGTHS[asked], rel=1e-14)


@given(st.lists(finite, min_size=1, max_size=4))
def test_several_numbers(values):
    text = ",".join(map(repr, values))
    assert parse_quantities(text, ("um",) * len(values), "at") == tuple(values)


@given(st.integers(-(2**53), 2**53))
def test_whole_numbers(number):
    assert parse_whole(str(number), "n") == parse_whole(f"{number}.0", "n") == number


layers = st.tuples(
    st.sampled_from(["Au", "Bi", "HgTe", "SiO2", "Bi2Te3", "Si"]), lengths, st.none() | st.floats(1e-3, 30.0)
)


@st.composite
def absorbers(draw):
    width, length = draw(lengths), draw(lengths)
    pitch = st.tuples(st.floats(width, 1e6), st.floats(length, 1e6)).map(list)
    array = st.fixed_dictionaries({"rows": st.integers(1, 64), "columns": st.integers(1, 64), "pitch": pitch})
    return Absorber.build(
        [
            layer if layer[2] or layer[0] != "Bi2Te3" else (*layer[:2], 7.7)
            for layer in draw(st.lists(layers, min_size=1, max_size=5))
        ],
        width,
        length,
        name=draw(st.text()),
        electrons=draw(st.sampled_from(ELECTRONS)),
        compton=draw(st.sampled_from(COMPTON)),
        rayleigh=draw(st.booleans()),
        array=draw(st.none() | array),
    )


@pytest.mark.filterwarnings("ignore:.*the density of", "ignore:the thickest layer of")
@given(absorbers())
def test_an_absorber_survives_its_toml(absorber):
    again = Absorber.from_toml(absorber.to_toml())
    assert jax.tree.structure(again) == jax.tree.structure(absorber)  # names, formulas, models
    for found, expected in zip(jax.tree.leaves(again), jax.tree.leaves(absorber), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert again == absorber and hash(again) == hash(absorber)


words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=8)
quantities = st.none() | st.floats(-1e6, 1e6)
spectra = st.lists(
    st.fixed_dictionaries(
        {
            "exposure": st.floats(1e-3, 1e6),
            "time": st.none() | st.datetimes(datetime(1678, 1, 1), datetime(2261, 12, 31)),
            "readout": words,
            "temperature": st.lists(quantities, min_size=3, max_size=3),
            "bias": quantities,
            "since_exit": quantities,
        }
    ),
    min_size=1,
    max_size=4,
)


@given(spectra, st.integers(1, 5), st.integers(0, 2**32), words)
def test_an_archive_of_spectra_survives_its_csv(tmp_path_factory, rows, channels, seed, satellite):
    counts = np.random.default_rng(seed).integers(0, 10**11, (len(rows), channels)).astype(float)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["time"] = np.array([t if t is None else np.datetime64(t) for t in columns["time"]], "datetime64[us]")
    archive = build_spectra(
        counts,
        columns["exposure"],
        columns["time"],
        columns["readout"],
        np.array(columns["temperature"], float),
        np.array(columns["bias"], float),
        np.array(columns["since_exit"], float),
        satellite=satellite,
    )
    again = read_csv(write_csv(archive, tmp_path_factory.mktemp("archive") / "spectra.csv"))
    assert again.attrs == archive.attrs and set(again.variables) == set(archive.variables)
    for name in archive.variables:
        if archive[name].dtype.kind == "f" and name != "counts":
            np.testing.assert_allclose(again[name], archive[name], rtol=1e-11)
        else:
            np.testing.assert_array_equal(again[name], archive[name])


@given(st.booleans(), st.integers(0, 2**32))
def test_a_tally_survives_its_arrays(in_array, seed):
    rng = np.random.default_rng(seed)
    pixels = Pixels(np.float64(5.0), np.float64(6.0), 2, 3) if in_array else None
    tally = jax.tree.map(lambda zeros: rng.integers(0, 2**62, zeros.shape), Tally.empty(7, 2, 3, pixels))
    again = Tally.from_arrays(tally.arrays())
    assert jax.tree.structure(again) == jax.tree.structure(tally)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, strict=True), again, tally)
