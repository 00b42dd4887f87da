"""Results: what they hold, how they add, what comes back from a file, what is refused."""

import numpy as np
import pytest
import xarray as xr

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.atomic import table_hash
from xcal_jax.io.datasets import save
from xcal_jax.simulation.results import ADDED, load, merge, partial_count, summary
from xcal_jax.simulation.simulate import simulate

XIFU = Absorber.preset("xifu")
N = 20_000


def corner(seed, n=N, **more):
    return simulate(XIFU, Source.build(7000.0, at=(134.7, 134.7)), n=n, seed=seed, **more)


@pytest.fixture(scope="module")
def results():
    return [corner(seed) for seed in (1, 2, 3)]


def test_every_variable_says_what_it_is(results):
    for name, variable in results[0].variables.items():
        assert "units" in variable.attrs and variable.attrs["long_name"], name
    assert {"kind", "title", "version", "absorber", "electrons", "source", "seed", "atomic_tables", "complete"} <= set(
        results[0].attrs
    )
    assert results[0].attrs["atomic_tables"] == table_hash()
    assert Absorber.from_toml(results[0].attrs["absorber"]).to_toml() == XIFU.to_toml()
    assert results[0].attrs["seed"] == "1" and results[0].attrs["complete"] == 1


def test_summary_is_the_asked_for_object(results):
    s = summary(results[0])
    asked = "energy n interaction_probability partial partial_err photon_escape electron_escape both "
    asked += "mean_deposit peaks loss_above seed version"
    assert set(asked.split()) <= set(s)
    assert list(s["loss_above"]) == ["50", "100", "200", "500", "1000", "2000", "3000", "5000"]
    assert {"line", "energy", "line_energy", "intensity", "intensity_err"} <= set(s["peaks"][0])
    assert s["energy"] == 7000.0 and s["n"] == N and s["seed"] == 1
    assert s["partial"] == float(partial_count(results[0])) / N
    assert s["partial_err"] == pytest.approx(np.sqrt(s["partial"] * (1 - s["partial"]) / N))
    assert s["mean_deposit"] == pytest.approx(7000 - float(results[0].summed_loss) / N)
    assert s["loss_above"]["500"] == int(results[0].loss_above[3]) / N


def test_sums(results):
    """Counts add up, line by line though some lines are in one only; order does not matter."""
    merged = merge(*results)
    for name in ADDED:
        assert float(merged[name].sum()) == pytest.approx(sum(float(r[name].sum()) for r in results), rel=1e-12)
    np.testing.assert_array_equal(merged.spectrum, sum(r.spectrum.values for r in results))
    assert set(merged.line.values) == set().union(*(set(r.line.values) for r in results))
    assert len({len(r.line) for r in [merged, *results]}) > 1
    for line in merged.line.values:
        parts = [int(r.peaks.sel(line=line).sum()) for r in results if line in r.line.values]
        assert int(merged.peaks.sel(line=line).sum()) == sum(parts)
        energies = {float(r.line_energy.sel(line=line)) for r in results if line in r.line.values}
        assert energies == {float(merged.line_energy.sel(line=line))}
    assert summary(merged)["seed"] == [1, 2, 3]
    again = merge(merge(results[2], results[0]), results[1])
    for name in ADDED:
        assert float(again[name].sum()) == float(merged[name].sum())
    xr.testing.assert_equal(again.sortby("line").drop_attrs(), merged.sortby("line").drop_attrs())
    for name, variable in merged.variables.items():
        assert variable.attrs.get("units") is not None and variable.attrs["long_name"], name


def test_two_halves_are_a_whole(results):
    """Partial fractions of a merged run are the mean."""
    shares = [summary(r)["partial"] for r in results]
    s = summary(merge(*results))
    assert s["n"] == 3 * N and s["partial"] == pytest.approx(np.mean(shares))


def test_same_seeds_do_not_add(results):
    for same in ((results[0], results[0]), (merge(*results[:2]), results[1])):
        with pytest.raises(ValueError, match="must have different seeds"):
            merge(*same)


def test_other_runs_do_not_add(results):
    thinner = Absorber.build([("Au", 0.04), ("Bi", 5.0), ("Au", 1.22)], 269.5, 269.5)
    source = Source.build(7000.0, at=(134.7, 134.7))
    with pytest.raises(ValueError, match="the same absorber"):
        merge(results[0], simulate(thinner, source, n=100, seed=9))
    with pytest.raises(ValueError, match="the same source"):
        merge(results[0], simulate(XIFU, Source.build(7000.0, at=(134.6, 134.7)), n=100, seed=9))
    with pytest.raises(ValueError, match="the same bins"):
        merge(results[0], corner(9, 100, bin_width=0.9))
    with pytest.raises(ValueError, match="the same thresholds of the loss, but differ"):
        merge(results[0], corner(9, 100, loss_above=(50.0, 1000.0)))
    with pytest.raises(ValueError, match="the same physics"):
        merge(results[0], results[1].assign_attrs(physics="0123456789abcdef"))
    with pytest.raises(ValueError, match="the same atomic tables"):
        merge(results[0], results[1].assign_attrs(atomic_tables="0123456789abcdef"))


def test_versions_of_one_physics_add(results):
    other = results[1].assign_attrs(version="0.0.0")
    xr.testing.assert_equal(merge(results[0], other), merge(results[0], results[1]))


def test_an_interrupted_part_marks_the_sum(results):
    assert merge(results[0], results[1].assign_attrs(complete=0)).attrs["complete"] == 0


def test_files_bring_all_back(tmp_path, results):
    path = tmp_path / "a.nc"
    save(results[0], path)
    again = load(path)
    xr.testing.assert_equal(again, results[0])
    assert again.attrs == results[0].attrs
    for name, variable in results[0].variables.items():
        assert again[name].attrs == variable.attrs, name
    assert summary(again) == summary(results[0])
    save(merge(again, results[1]), path)
    assert summary(load(path)) == summary(merge(*results[:2]))


def test_a_run_without_peaks_is_a_result_too(tmp_path):
    result = simulate(XIFU, Source.build(7000.0, at=(0.0, 0.0)), n=1)
    assert result.sizes["line"] == 0
    save(result, tmp_path / "one.nc")
    s = summary(load(tmp_path / "one.nc"))
    assert s["peaks"] == [] and s["n"] == 1
    merged = merge(load(tmp_path / "one.nc"), simulate(XIFU, Source.build(7000.0, at=(0.0, 0.0)), n=20_000, seed=2))
    assert int(merged.photons) == 20_001 and merged.sizes["line"] > 0


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_truncated_files(tmp_path, results, share):
    path = tmp_path / "a.nc"
    save(results[0], path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="must be a result of `xcal-jax simulate`, but cannot be read"):
        load(path)


def test_other_files(tmp_path, results):
    text = tmp_path / "a.txt"
    text.write_text("hello")
    with pytest.raises(ValueError, match="cannot be read"):
        load(text)
    with pytest.raises(ValueError, match="does not exist"):
        load(tmp_path / "none.nc")
    with pytest.raises(ValueError, match="does not exist"):
        load(tmp_path)
    other = tmp_path / "other.nc"
    xr.Dataset({"a": 1}).to_netcdf(other)
    with pytest.raises(ValueError, match="must be a result of `xcal-jax simulate`, but is not"):
        load(other)
    results[0].drop_vars(["both"]).to_netcdf(other)
    with pytest.raises(ValueError, match="must be a result of `xcal-jax simulate`, but has no both"):
        load(other)


def test_a_result_of_an_older_version_is_refused_in_one_sentence(tmp_path, results):
    old = results[0].rename(photon_escape="photon", electron_escape="electron").assign_attrs(version="0.1.0")
    old.to_netcdf(tmp_path / "old.nc")
    sentence = r"but has no electron_escape, photon_escape \(it is of version 0.1.0\): make it anew$"
    with pytest.raises(ValueError, match=sentence):
        load(tmp_path / "old.nc")


def test_a_full_disk_leaves_nothing(tmp_path, results, monkeypatch):
    path = tmp_path / "a.nc"
    save(results[0], path)
    before = path.read_bytes()

    def full(self, where, **more):
        where.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    with pytest.raises(OSError, match="No space left"):
        save(results[1], path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.nc"]
