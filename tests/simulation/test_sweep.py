"""Sweeps: each point is the run of `simulate`, one program serves many, kills cost nothing, nonsense is refused."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

from xcal_jax import Absorber, Source, quantum_efficiency, simulate
from xcal_jax.absorber.matter import Matter
from xcal_jax.compute.devices import in_parallel
from xcal_jax.io.checkpoint import remove_checkpoint
from xcal_jax.io.datasets import save
from xcal_jax.montecarlo.batch import run_block
from xcal_jax.simulation.results import ESCAPES, partial_count
from xcal_jax.simulation.sweep import BATCHES, _sentences, paired_difference, sweep
from xcal_jax.simulation.sweep_grid import Grid

N = BATCHES * 4096
TEXT = f"""
absorber = "xifu"
n = {N}
seed = 3
[grid]
energy = ["3 keV", "7 keV"]
at = [["0 um", "0 um"], ["134.7 um", "134.7 um"]]
layers.1.thickness = ["2 um", "5.15 um"]
"""


def grid_of(tmp_path, text=TEXT):
    (tmp_path / "sweep.toml").write_text(text)
    return Grid.load(tmp_path / "sweep.toml")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The sweep, and how many programs it compiled."""
    before = len(run_block.loaded)
    result = sweep(grid_of(tmp_path_factory.mktemp("sweep")))
    return result, len(run_block.loaded) - before


def test_one_program_serves_all_points(swept):
    assert swept[1] <= 1


def test_dimensions(swept):
    result = swept[0]
    assert result.partial.dims == ("photon_energy", "position", "thickness_1")
    assert result.partial.shape == (2, 2, 2)
    np.testing.assert_array_equal(result.photon_energy, [3000.0, 7000.0])
    np.testing.assert_array_equal(result.x, [0.0, 134.7])
    np.testing.assert_array_equal(result.thickness_1, [2.0, 5.15])
    assert result.spectrum.dims == (*result.partial.dims, "energy")
    for variable in (*result.data_vars.values(), *result.coords.values()):
        assert "units" in variable.attrs and variable.attrs["long_name"], variable.name


def test_a_sweep_shows_itself(swept):
    """As a table of its points and as curves; what is of one run says so."""
    result = swept[0]
    table = result.xcal.table()
    assert set(list(table)[:5]) == {"photon_energy", "position", "x", "y", "thickness_1"}
    assert list(table)[5:8] == ["interaction_probability", "partial", "partial_err"]
    last = result.isel(photon_energy=1, position=1, thickness_1=1)
    met = float(quantum_efficiency(Absorber.preset("xifu"), 7000.0))
    assert table.iloc[-1].interaction_probability == pytest.approx(met, rel=1e-5)
    assert table.iloc[-1].photon_escape == last.photon_escape / last.interacting
    assert table.iloc[-1].partial == pytest.approx(table.iloc[-1][list(ESCAPES)].sum())
    assert "134.7" in repr(result.xcal)
    (axes,) = result.xcal.plot().axes
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(named) == 4 and named[0].endswith("thickness of layer 1: 2 um")
    for one_run in (result.xcal.summary, result.xcal.peaks, lambda: result.xcal.plot(fwhm="2 eV")):
        with pytest.raises(ValueError, match="is of one run, but this is a sweep"):
            one_run()
    with pytest.raises(ValueError, match="`table` is of a sweep"):
        simulate("xifu", "7 keV", n=100).xcal.table()


def test_a_grid_in_python():
    """Dotted keys, as the documentation names them; an absorber of one's own."""
    mine = Absorber.build([("Bi", 3.0), ("Au", 1.0)], 250.0, 250.0, name="mine")
    axes = {"energy": ["6 keV"], "layers.0.thickness": ["2 um", 3], "layers.1.thickness": [1]}
    grid = Grid.load({"absorber": mine, "grid": axes})
    assert grid.absorber is mine and grid.axes["layers.0.thickness"] == [2.0, 3.0]
    nested = {"energy": ["6 keV"], "layers": {"0": {"thickness": ["2 um", 3]}, "1": {"thickness": [1]}}}
    assert Grid.load({"absorber": mine, "grid": nested}).axes == grid.axes
    with pytest.raises(ValueError, match="unknown key"):
        Grid.load({"absorber": mine, "grid": {"energy": [6000.0], "layers.0.thicknes": [1]}})
    mixed = {"energy": ["6 keV"], "layers": {"0": {"thickness": ["2 um", 3]}}, "layers.1.thickness": [1]}
    assert Grid.load({"absorber": mine, "grid": mixed}).axes == grid.axes and list(mixed["layers"]) == ["0"]
    with pytest.raises(ValueError, match=r"`grid.energy` in the sweep must be values or a table, but is both"):
        Grid.load({"absorber": mine, "grid": {"energy": [6000.0], "energy.low": [1]}})


@pytest.mark.parametrize("point", [(0, 1, 0), (1, 0, 1)])
def test_a_point_is_a_run_of_simulate(swept, point):
    energy, place, thickness = ((3000.0, 7000.0), (0.0, 134.7), (2.0, 5.15))
    energy, place, thickness = energy[point[0]], place[point[1]], thickness[point[2]]
    absorber = Absorber.build([("Au", 0.04, 19.3), ("Bi", thickness, 9.78), ("Au", 1.22, 19.3)], 269.5, 269.5)
    source = Source.build(energy, at=(place, place))
    alone = simulate(absorber, source, n=N, seed=3, lanes=4096).isel(source_energy=0)
    here = swept[0].isel(dict(zip(("photon_energy", "position", "thickness_1"), point, strict=True)))
    for name in ("interacting", *ESCAPES, "scattered", "loss_above", "incident", "summed_loss"):
        np.testing.assert_array_equal(here[name], alone[name], name)
    np.testing.assert_array_equal(here.spectrum[: alone.energy.size], alone.spectrum)
    assert int(here.spectrum[alone.energy.size :].sum()) == 0
    assert swept[0].attrs["compared"] == alone.attrs["compared"] and swept[0].attrs["outside"] == ""
    seen = {str(line): int(count) for line, count in zip(here.line.values, here.peaks.values, strict=True) if count}
    assert seen == {str(line): int(c) for line, c in zip(alone.line.values, alone.peaks.values, strict=True) if c}
    assert float(here.source_probability) == pytest.approx(float(alone.source_probability), rel=1e-12)


def test_sentences_of_any_point_are_said_once():
    points = [xr.Dataset(attrs={"outside": text}) for text in ("", "below", "below\nbeyond")]
    assert _sentences(points, "outside") == ["below", "beyond"]


def test_batches_add_up(swept):
    result = swept[0]
    assert result.sizes["batch"] == BATCHES
    lost = partial_count(result)
    np.testing.assert_array_equal(result.partial_in_batch.sum("batch"), lost)
    np.testing.assert_array_equal(result.interacting_in_batch.sum("batch"), result.interacting)
    np.testing.assert_allclose(result.partial, lost / result.interacting)


def test_differences_of_common_random_numbers(swept):
    result = swept[0]
    centre = result.isel(position=0)
    found = paired_difference(centre, "thickness_1").isel(photon_energy=1, thickness_1=1)
    partial, error = centre.partial[1].values, centre.partial_err[1].values
    assert float(found.difference) == partial[1] - partial[0]
    assert 0 < float(found.error) < 0.9 * np.hypot(*error)
    by_batch = (centre.partial_in_batch / centre.interacting_in_batch)[1].values
    expected = np.std(by_batch[1] - by_batch[0], ddof=1) / np.sqrt(BATCHES)
    assert float(found.error) == pytest.approx(expected)
    with pytest.raises(ValueError, match="`dimension` must be one of photon_energy"):
        paired_difference(centre, "thickness")


def test_killed_and_resumed(swept, tmp_path):
    """SIGKILL after the first points; what is there is not done again, and the Dataset is the same."""
    grid = grid_of(tmp_path)
    command = [sys.executable, "-m", "xcal_jax", "sweep", "sweep.toml", "-o", "out.nc"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    part, until = tmp_path / "out.nc.part", time.monotonic() + 120
    while not list(part.glob("?.part")):
        assert run.poll() is None and time.monotonic() < until, run.stderr.read()
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=60)
    assert not (tmp_path / "out.nc").exists()
    done, counted = len(list(part.glob("?.part"))), []

    def watched(work, tasks):
        return in_parallel(lambda task: counted.append(task) or work(task), tasks)

    resumed = sweep(grid, part, executor=watched)
    assert len(counted) == BATCHES * (grid.size - done) < BATCHES * grid.size
    xr.testing.assert_identical(resumed, swept[0])
    other = grid_of(tmp_path, TEXT.replace("seed = 3", "seed = 4"))
    with pytest.raises(ValueError, match=r"another run \(another seed\)"):
        sweep(other, part)
    remove_checkpoint(part)
    save(resumed, tmp_path / "out.nc")
    assert sorted(os.listdir(tmp_path)) == ["out.nc", "sweep.toml"]
    with xr.open_dataset(tmp_path / "out.nc") as again:
        xr.testing.assert_equal(again.load(), resumed)


def test_densities_share_their_tables(tmp_path, monkeypatch):
    """They do not depend on them: a sweep over density builds them once, as one over thickness does."""
    build, built = Matter.build, []
    monkeypatch.setattr(Matter, "build", lambda *arguments: built.append(arguments) or build(*arguments))
    text = 'absorber = "resolve"\nn = 1000\nenergy = "7 keV"\nyields = "krause"\n[grid]\n'
    result = sweep(grid_of(tmp_path, text + "layers.0.density = [7.1, 7.5, 8.1]\nlayers.0.thickness = [8, 9]"))
    assert len(built) == 1
    assert np.all(np.diff(result.source_probability) > 0) and np.all(np.diff(result.source_probability.T) > 0)


def test_materials_take_their_own_density_and_models_their_name(tmp_path):
    """Points are built in order, the last dimension fastest; a material on the grid brings its density."""
    text = 'absorber = "xifu"\nenergy = "7 keV"\nangle = 30\n[grid]\nelectrons = ["range"]\nwidth = [100, "0.2 mm"]\n'
    grid = grid_of(tmp_path, text + 'layers.1.material = ["Bi", "Au", "HgTe"]\nlayers.1.density = [1.0]')
    assert grid.shape == {"electrons": 1, "width": 2, "material_1": 3, "density_1": 1}
    assert all(float(grid.point(k)[0].density[1]) == 1.0 for k in range(6))
    grid = grid_of(tmp_path, text + 'layers.1.material = ["Bi", "Au"]')
    assert [float(grid.point(k)[0].width) for k in range(4)] == [100.0, 100.0, 200.0, 200.0]
    assert [grid.point(k)[0].formulas[1] for k in range(4)] == ["Bi", "Au"] * 2
    assert float(grid.point(1)[0].density[1]) == pytest.approx(19.3, rel=0.01)
    assert float(grid.point(0)[0].density[0]) == 19.3
    assert -float(grid.point(0)[1].direction.z) == pytest.approx(np.cos(np.pi / 6))
    assert grid.highest_energy == 7000.0


def test_the_documented_sweep_is_one(root):
    (path,) = (root / "analysis" / "sweeps").glob("*.toml")
    assert Grid.load(path).shape == {"photon_energy": 3, "thickness_1": 3}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("absorber", "absorbr"), "unknown key `absorbr` .* is `absorber`"),
        (('"xifu"', '"xifuu"'), "nearest preset is 'xifu'"),
        (('"xifu"', "3"), "`absorber` in .* must be text, but is 3"),
        ((f"n = {N}", "n = 0"), "`n` in .* at least 1"),
        ((f"n = {N}", 'n = "1.5"'), "whole number"),
        (("seed = 3", "seed = -1"), "`seed` in .* must be at least 0"),
        (("seed = 3", 'bin = "0 eV"'), "`bin` in .* must be positive"),
        (("seed = 3", 'bin = "1e-6 eV"'), "fewer or wider bins"),
        (("seed = 3", 'yields = "new"'), "yields"),
        (("seed = 3", 'energy = "7 keV"'), "`energy` .* fixed or in the grid, but is both"),
        (("energy =", "angle ="), "unit like deg"),
        (("energy =", "enrgy ="), "unknown key `grid.enrgy` in .* is `energy`"),
        (('["3 keV", "7 keV"]', "[]"), "`grid.energy` in .* must be a list"),
        (('["3 keV", "7 keV"]', '"3 keV"'), "`grid.energy` in .* must be a list"),
        (('["3 keV", "7 keV"]', '["3 keV", "3000 eV"]'), "each value once"),
        (('["3 keV", "7 keV"]', '["3 keV", "7 um"]'), "unit like eV"),
        (('["3 keV", "7 keV"]', '["3 keV", "9 eV"]'), "within the tables"),
        (('["3 keV", "7 keV"]', '["3 keV", "nan"]'), "finite"),
        (("layers.1", "layers.3"), "`grid.layers.3` in .* from 0 to 2"),
        (('"2 um"', '"-2 um"'), "must be positive"),
        (('["0 um", "0 um"]', '["0 um"]'), "must be a list of 2, but is"),
        (('["0 um", "0 um"]', '["200 um", "0 um"]'), "impact x must be within"),
        (("[grid]", "[grids]"), "unknown key `grids`"),
        ((TEXT[TEXT.index("[grid]") :], 'energy = "7keV"'), "`grid` is missing"),
        ((TEXT[TEXT.index("[grid]") :], 'energy = "7keV"\n[grid]'), "at least one thing"),
        ((TEXT[TEXT.index("energy") : TEXT.index("at =")], ""), "must have one of `energy` and `line`"),
        (("[grid]", "[grid"), "valid TOML"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_before_any_point_is_begun(tmp_path, change, sentence):
    assert change[0] in TEXT
    with pytest.raises(ValueError, match=sentence):
        sweep(grid_of(tmp_path, TEXT.replace(*change)), tmp_path / "part", executor=print)
    assert not (tmp_path / "part").exists()
