"""Dead layers in results, summaries and event lists: one run of gold on bismuth, its events and its sums."""

import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.absorber.source import Source
from xcal_jax.datasheet.contents import contents
from xcal_jax.datasheet.sheet import render
from xcal_jax.io.page import number
from xcal_jax.montecarlo.batch import BESIDE, CAUGHT, PASSED, STOPPED
from xcal_jax.simulation.events import load_events, rows_of
from xcal_jax.simulation.report import report
from xcal_jax.simulation.results import merge, summary
from xcal_jax.simulation.simulate import simulate
from xcal_jax.simulation.sweep import sweep

N = 30000
GOLD = {"material": "Au", "thickness": "0.1 um", "counts": False}
ABSORBER = Absorber.build([GOLD, ("Bi", "2 um")], 50.0, 50.0, name="capped")


@pytest.fixture(scope="module")
def run():
    """A result, and the columns of its events."""
    blocks = []
    keep = lambda block: blocks.append(rows_of(block, 0, None))  # noqa: E731
    result = simulate(ABSORBER, Source.build(7000.0), N, on_events=keep, layer_spectra=True)
    return result, {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def test_sums_are_those_of_the_events(run):
    result, rows = run
    kept, left = rows["deposited"], rows["in_dead_layers"][:, 0]
    met, stopped = kept > 0, left > 1e-3
    assert int(result.interacting) == met.sum() and 0 < (~met).sum() < N / 4
    assert int(result.stopped) == np.sum(met & stopped) and int(result.dead_alone) == np.sum(~met & stopped)
    np.testing.assert_array_equal(stopped, (rows["loss_type"] & STOPPED) > 0)
    np.testing.assert_array_equal(~met, (rows["loss_type"] & PASSED) > 0)
    assert np.all(np.isfinite(rows["x"]) == (met | stopped))
    np.testing.assert_allclose(result.dead_energy, [left[met].sum(dtype=float)], rtol=1e-5)
    assert np.all(kept + left <= 7000.0 * (1 + 1e-5))
    assert float(result.summed_loss) > float(result.dead_energy.sum())
    assert result.dead_layer.values.tolist() == [0] and result.dead_energy.attrs["units"] == "eV"


def test_summary_says_what_dead_layers_keep(run, agrees):
    result, _ = run
    facts = summary(result)
    dead = facts["dead_layers"]
    assert list(dead["mean_energy"]) == [0] and dead["mean_energy"][0] > 1.0
    assert 0 < dead["stopped"] < facts["partial"] and dead["alone"] > 0
    text = "\n".join(report(facts))
    assert "stopped in a dead layer" in text and "layer 0: " in text and "in dead layers alone" in text
    # electrons and photons of the gold reach the bismuth, so that a few more interact than the closed form says
    alone = float(quantum_efficiency(ABSORBER, 7000.0))
    assert alone < facts["interaction_probability"] < alone + facts["interaction_probability"] * dead["stopped"]


@pytest.mark.slow
def test_the_data_sheet_has_what_dead_layers_keep(run, monkeypatch):
    """Its derivatives are left out here: they would be compiled for this absorber alone."""
    monkeypatch.setattr("xcal_jax.datasheet.contents.sensitivity", lambda *args, **more: None)
    monkeypatch.setattr("xcal_jax.datasheet.contents.PLACES", 2)
    monkeypatch.setattr("xcal_jax.datasheet.contents.HERE", 4096)
    page = render(contents(ABSORBER, [7000.0], N, 1, "eadl", None, 0.09, False))
    stopped = summary(run[0])["dead_layers"]
    assert f"{number(100 * stopped['stopped'], 100 * stopped['stopped_err'])} %" in page
    assert "stopped in a dead layer" in page and "Au (dead)" in page


def test_results_with_dead_layers_add_up(run):
    result, _ = run
    other = simulate(ABSORBER, 7000.0, N, seed=2, layer_spectra=True)
    both = merge(result, other)
    for name in ("stopped", "dead_alone", "dead_energy", "dead_spectrum"):
        np.testing.assert_array_equal(both[name], result[name] + other[name])
    with pytest.raises(ValueError, match="must all have `layer_spectra` or none"):
        merge(result, other.drop_vars("dead_spectrum"))


@pytest.mark.parametrize("name", ["events.nc", "events.fits"])
def test_event_lists_have_what_dead_layers_keep(run, name, tmp_path):
    """A FITS list has the photons that interact, a netCDF list all of them."""
    simulate(ABSORBER, Source.build(7000.0), N, events=tmp_path / name, layer_spectra=True)
    found, (_, rows) = load_events(tmp_path / name), run
    listed = rows["deposited"] > 0 if name.endswith("fits") else np.ones(N, bool)
    assert found.in_dead_layers.dims == ("photon", "dead_layer") and found.in_dead_layers.attrs["units"] == "eV"
    np.testing.assert_allclose(found.in_dead_layers, rows["in_dead_layers"][listed], rtol=1e-6)
    np.testing.assert_array_equal(found.loss_type, rows["loss_type"][listed])


def test_spectra_of_dead_layers(run):
    """They are those of the events that count."""
    result, rows = run
    left = rows["in_dead_layers"][:, 0][(rows["deposited"] > 0) & (rows["in_dead_layers"][:, 0] > 1e-3)]
    assert result.dead_spectrum.dims == ("dead_layer", "energy") and left.size > 100
    np.testing.assert_array_equal(result.dead_spectrum[0], np.bincount(left.astype(int), minlength=result.energy.size))


@pytest.mark.exhaustive
@pytest.mark.parametrize("electrons", ["range", "scattering"])
@pytest.mark.parametrize("array", [None, {"rows": 2, "columns": 2, "pitch": 26.0}])
def test_hits_beside_the_absorber_are_its_background(electrons, array, agrees, tmp_path):
    """How many there are by areas; results and events agree; hits of absorbers are those of a run on them alone."""
    gold, side, around, n = {**GOLD, "thickness": "1 um", "width": 200.0}, 25.0, 100.0, 200_000
    absorber = Absorber.build([("Bi", 2.0), gold], side, side, electrons=electrons, array=array)
    beam = Source.build(14000.0, illuminate=around)
    result = simulate(absorber, beam, n, events=tmp_path / "events.nc")
    rows = load_events(tmp_path / "events.nc")
    share = (1 if array is None else 4) * side**2 / around**2
    p = (1 - share) * float(1 - quantum_efficiency(Absorber.build([("Au", 1.0)], side, side), 14000.0))
    p = 1 - share - p
    agrees(int(result.beside) / n, p, np.sqrt(p * (1 - p) / n))
    beside, some = (rows.loss_type & BESIDE) > 0, rows.deposited > 0
    of_photons = (rows.loss_type & ~BESIDE) != CAUGHT  # not those of pixels that caught some
    assert int((beside & of_photons).sum()) == int(result.beside)
    assert int((beside & some).sum()) == int(result.background_spectrum.sum()) >= int(result.background) > 30
    alone = simulate(absorber, Source.build(14000.0, forced=False), n, seed=2)
    for name in ("interacting", "dead_alone"):
        found, expected = int(result[name]), int(alone[name])
        agrees(found / share, expected, np.sqrt(found / share**2 + expected))
    assert summary(result)["background"]["beside"] == int(result.beside)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_pixels_share_the_books_of_dead_layers(agrees):
    """Touching pixels with a dead top are one wide absorber with it: what interacts, what gold keeps, what escapes."""
    layers, n = [{**GOLD, "thickness": 0.05}, ("Bi", 1.0)], 20000
    array = {"rows": 2, "columns": 2, "pitch": 4.0}
    pixels, one = (
        simulate(Absorber.build(layers, side, side, array=array if side == 4.0 else None), 7000.0, n, seed=seed)
        for side, seed in ((4.0, 1), (8.0, 2))
    )
    met = [int(np.sum(pixels.summed_spectrum)), int(one.interacting)]
    agrees(met[0], met[1], np.sqrt(2 * (n - met[1])))
    alone = [int(pixels.dead_alone), int(one.dead_alone)]
    agrees(alone[0], alone[1], np.sqrt(sum(alone)))
    assert float(pixels.escaped) > float(pixels.dead_energy.sum()) > 0


@pytest.mark.exhaustive
def test_a_sweep_over_the_thickness_of_a_dead_layer(tmp_path):
    """The thicker the gold, the fewer photons interact below it, and the more it keeps alone."""
    (tmp_path / "capped.toml").write_text(ABSORBER.to_toml())
    (tmp_path / "sweep.toml").write_text(
        'absorber = "capped.toml"\nn = 30000\nenergy = 7000\n[grid]\nlayers.0.thickness = [0.1, 0.4]\n'
    )
    swept = sweep(tmp_path / "sweep.toml")
    assert swept.dead_energy.dims == ("thickness_0", "dead_layer")
    thin, thick = (swept.isel(thickness_0=k) for k in (0, 1))
    assert int(thick.dead_alone) > 2 * int(thin.dead_alone) > 0
    assert int(thick.interacting) < int(thin.interacting) and int(thin.interacting) + int(thin.dead_alone) <= N
