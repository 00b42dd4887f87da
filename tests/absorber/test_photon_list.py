"""Photons that the user lists: drawn by their weights, at their places and directions; what is wrong with a file."""

import numpy as np
import pytest
import xarray as xr

from tests.absorber.test_source import draw
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.absorber.photon_list import alias_table, photon_list
from xcal_jax.absorber.source import Source, given_interaction
from xcal_jax.simulation.simulate import events, simulate

SLAB = Absorber.build([("Bi", 1.0)], 200.0, 200.0)
SINE = 0.6
ROWS = {
    "energy": [5000.0, 7000.0, 7000.0],
    "x": [-50.0, 20.0, 60.0],
    "y": [0.0, 30.0, -90.0],
    "dx": [0.0, 0.0, SINE],
    "dy": [0.0, 0.0, 0.0],
    "dz": [-1.0, -1.0, -0.8],
    "weight": [1.0, 2.0, 1.0],
}


def csv(path, rows=ROWS):
    lines = zip(*rows.values(), strict=True)
    path.write_text("\n".join([",".join(rows), *(",".join(map(str, line)) for line in lines)]) + "\n")
    return path


def test_an_alias_table_has_the_weights():
    weight = np.random.default_rng(1).exponential(size=1000)
    weight[::7] = 0.0
    threshold, alias = alias_table(weight)
    share = threshold + np.bincount(alias, 1.0 - threshold, weight.size)
    np.testing.assert_allclose(share / share.sum(), weight / weight.sum(), atol=1e-12)


def test_photons_are_drawn_by_their_weights_as_they_are(chi_square):
    """Given an interaction, a row has its weight times 1 - exp(-tau / cos)."""
    source = Source.build(photon_list=ROWS)
    energy, line, x, y, direction = draw(source)
    row = np.searchsorted(ROWS["x"], x)
    chi_square(np.bincount(row), ROWS["weight"])
    assert set(line) == {0.0}
    for name, found in zip(("energy", "y", "dx", "dy", "dz"), (energy, y, *direction), strict=True):
        np.testing.assert_allclose(found, np.array(ROWS[name])[row], rtol=1e-6)
    given, mean = given_interaction(source, np.array([1000.0, 9000.0]), np.array([0.9, 0.9]))
    expected = ROWS["weight"] * -np.expm1(-0.9 / np.array([1.0, 1.0, 0.8]))
    np.testing.assert_allclose(given.weight, expected)
    assert mean == pytest.approx(expected.sum() / 4.0)
    chi_square(np.bincount(np.searchsorted(ROWS["x"], draw(given)[2])), expected)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_photons_of_a_list_interact_along_their_way(chi_square):
    source, n = Source.build(photon_list=ROWS), 20000
    rows = events(SLAB, source, n)
    efficiency = [float(quantum_efficiency(SLAB, energy)) for energy in ROWS["energy"]]
    efficiency[2] = -np.expm1(np.log1p(-efficiency[2]) / 0.8)
    which = np.select([rows.energy == 5000.0, rows.y == 30.0], [0, 1], 2)
    chi_square(np.bincount(which), np.array(ROWS["weight"]) * efficiency)
    slanted = rows.isel(photon=which == 2)
    np.testing.assert_allclose(slanted.x - 60.0, -slanted.z * SINE / 0.8, atol=1e-4)
    assert float(slanted.z.min()) < -0.5
    probability = float(simulate(SLAB, source, 1000).source_probability)
    assert probability == pytest.approx(np.average(efficiency, weights=ROWS["weight"]), rel=1e-5)


def test_files_hold_what_columns_do(tmp_path):
    """CSV in eV and um, netCDF in units of its own; without directions and weights, straight down and alike."""
    built = Source.build(photon_list=ROWS)
    assert Source.build(photon_list=csv(tmp_path / "photons.csv")) == built
    columns = {name: ("photon", np.array(values)) for name, values in ROWS.items()}
    dataset = xr.Dataset(columns)
    dataset["energy"] = dataset.energy / 1000.0
    dataset["x"] = dataset.x / 1000.0
    dataset.energy.attrs["units"], dataset.x.attrs["units"], dataset.y.attrs["units"] = "keV", "mm", "um"
    dataset.to_netcdf(tmp_path / "photons.nc")
    read = photon_list(tmp_path / "photons.nc")
    np.testing.assert_allclose(read[0]["energy"], ROWS["energy"])
    np.testing.assert_allclose(read[0]["x"], ROWS["x"])
    few = {name: ROWS[name] for name in ("energy", "x", "y")}
    _, way, weight = photon_list(few)
    assert way.tolist() == [[0.0, 0.0, -1.0]] * 3 and weight.tolist() == [1.0] * 3
    assert Source.build(photon_list=few) != built and hash(built) == hash(Source.build(photon_list=ROWS))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"x": None}, "must be a list of photons with the columns energy, x, y and"),
        ({"colour": [1, 2, 3]}, "its columns are energy, x, y, dx, dy, dz, weight, colour"),
        ({"dz": None}, r"\(dx, dy, dz together\)"),
        ({"energy": [1, 2]}, "must have columns of one length"),
        ({"energy": [5000, 5, 5000]}, "`photon_list.energy` must be within the tables, .*, but is 5 eV"),
        ({"y": [0, 0, np.nan]}, "`y` in `photons` must be finite, but that of photon 2 is nan"),
        ({"dx": [0, 0.3, SINE]}, "must be a vector of length 1, but that of photon 1 is 0.3, 0, -1"),
        ({"dz": [-1, 1, -0.8]}, "`dz` in `photons` must be negative, as photons come from above, but .* photon 1 is 1"),
        ({"weight": [1, -1, 1]}, "`weight` in `photons` must be finite and not negative, but that of photon 1 is -1"),
        ({"weight": [0, 0, 0]}, "`weight` in `photons` must not be all zero"),
    ],
)
def test_wrong_columns(change, sentence):
    rows = {name: values for name, values in (ROWS | change).items() if values is not None}
    with pytest.raises(ValueError, match=sentence):
        Source.build(photon_list=rows)


def test_what_does_not_go_with_a_list(tmp_path):
    wide = Source.build(photon_list=ROWS | {"x": [-50.0, 101.0, 0.0]})
    with pytest.raises(ValueError, match="x of photon 1 of the list must be within 100 um of the centre"):
        simulate(SLAB, wide, 1000)
    with pytest.raises(ValueError, match="`photon_list` has the places, directions and weights"):
        Source.build(photon_list=ROWS, at=(0.0, 0.0))
    with pytest.raises(ValueError, match="a list of photons needs an absorber without `filters`"):
        filters = [{"material": "Al", "thickness": 0.1}]
        simulate(Absorber.build([("Bi", 1.0)], 200.0, 200.0, filters=filters), Source.build(photon_list=ROWS), 1000)
    with pytest.raises(ValueError, match=r"line 3 of photon list '.*bad.csv' must hold numbers, but its x is 'left'"):
        Source.build(photon_list=csv(tmp_path / "bad.csv", ROWS | {"x": [0, "left", 0]}))


def test_the_command_reads_a_list(call):
    code, _, err = call("simulate", "xifu", "--photon-list", "none.csv", "-o", "result.nc")
    assert code == 2 and err == "error: photon list 'none.csv' must be a CSV file, but does not exist\n"
