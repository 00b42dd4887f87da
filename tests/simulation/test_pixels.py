"""Results of arrays: one pixel is the single absorber bit by bit, counts close, files and figures hold them."""

import json
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.compute.random import photon_key, words
from xcal_jax.io.datasets import save
from xcal_jax.montecarlo.batch import CAUGHT, PHOTON_ESCAPED, Event
from xcal_jax.plot.results import result_figure
from xcal_jax.simulation.events import FIRST_PIXEL, event_file, load_events
from xcal_jax.simulation.impacts import filter_impacts
from xcal_jax.simulation.pixels import ADDED
from xcal_jax.simulation.results import load, merge, summary
from xcal_jax.simulation.simulate import simulate

XIFU = Absorber.preset("xifu")
SMALL = Absorber.build([("Au", 0.04), ("Bi", 5.15), ("Au", 1.22)], 20, 20, "small")
N = 2**19
SEVEN = Source.build(7000.0)


def in_array(absorber, rows=3, columns=3, pitch=22.0):
    return Absorber.from_toml(f"{absorber.to_toml()}[array]\nrows = {rows}\ncolumns = {columns}\npitch = {pitch}\n")


@cache
def small(seed=1):
    return simulate(in_array(SMALL), SEVEN, n=N, seed=seed)


@pytest.mark.slow
def test_one_pixel_is_the_single_absorber():
    """The same photons, the same numbers, whatever the size of the blocks."""
    alone = simulate(XIFU, 7000.0, n=N)
    one = simulate(in_array(XIFU, 1, 1, 317.0), 7000.0, n=N, lanes=2**17)
    assert summary(alone)["partial"] > 0
    for name in alone.data_vars:
        xr.testing.assert_identical(one[name], alone[name])
    np.testing.assert_array_equal(one.summed_spectrum, alone.spectrum)
    np.testing.assert_array_equal(one.central_spectrum[1:], alone.spectrum[1:])
    assert int(one.pixel_hits.sum()) == N and not one.caught_spectrum.any() and int(one.shared) == 0
    assert float(one.escaped) == float(alone.summed_loss)


@pytest.mark.slow
def test_counts_close():
    """Hits, deposits, spectra, coincidences and energies are of the same photons."""
    r = small()
    hits, counts, caught = int(r.pixel_hits.sum()), int(r.pixel_counts.sum()), int(r.caught_spectrum.sum())
    assert hits == N == int(r.summed_spectrum.sum()) and caught > 1000
    assert counts == caught + int(r.coincidences[2, 2])
    beside = int(r.coincidences.sum()) - int(r.coincidences[2, 2])
    assert beside <= caught <= beside + 5  # without the rare photon that leaves nothing in the pixel hit
    assert 0 <= caught - int(r.shared) < 0.05 * caught
    middle = r.energy.values + 0.5
    lost = float(np.sum((7000.5 - middle) * r.summed_spectrum))
    assert float(r.escaped) == pytest.approx(lost, rel=5e-3)
    assert float(r.pixel_energy.sum() + r.escaped) == pytest.approx(7000.0 * N, rel=1e-7)
    energy = float(np.sum(middle * r.central_spectrum))
    assert energy == pytest.approx(float(r.pixel_energy[1, 1]) + 0.5 * int(r.pixel_counts[1, 1]), rel=2e-4)
    assert float(r.summed_loss) > float(r.escaped)


@pytest.mark.slow
def test_all_pixels_are_hit_alike(chi_square, agrees):
    """Uniform illumination; mirrored neighbours catch alike, nearer ones more; an inner pixel has most."""
    r = small()
    chi_square(r.pixel_hits.values, np.ones(9))
    near = r.coincidences.values[[1, 3, 2, 2], [2, 2, 1, 3]]
    far = r.coincidences.values[[1, 1, 3, 3], [1, 3, 1, 3]]
    for counts in (near, far):
        agrees(counts, np.full(4, counts.mean()), np.sqrt(counts.mean()))
    assert near.mean() > 3 * far.mean() > 10
    caught = (r.pixel_counts - r.pixel_hits).values
    assert caught[1, 1] > 1.2 * caught[[0, 0, 2, 2], [0, 2, 0, 2]].mean()


@pytest.mark.slow
def test_neighbours_have_the_lines_that_escape(agrees):
    """Deposits at the fluorescence energies, in the ratio of the escape peaks of lines that fly alike."""
    r = small()
    lines = {line["line"]: line for line in summary(r)["array"]["caught_lines"]}
    peaks = {peak["line"]: peak for peak in summary(r)["peaks"]}
    one, two = "Bi M5-N7", "Bi M4-N6"
    assert list(lines)[:2] == [one, two] and lines[one]["energy"] == pytest.approx(2422.5, abs=0.1)
    assert int(r.central_spectrum.sel(energy=2422)) > 10 * float(
        r.central_spectrum.sel(energy=slice(2300, 2400)).mean()
    )
    share = [lines[name]["intensity"] / peaks[name]["intensity"] for name in (one, two)]
    errors = [
        s
        * np.hypot(lines[n]["intensity_err"] / lines[n]["intensity"], peaks[n]["intensity_err"] / peaks[n]["intensity"])
        for s, n in zip(share, (one, two), strict=True)
    ]
    agrees(share[0], share[1], np.hypot(*errors), relative=0.05)
    assert 0.01 < share[0] < 0.3


def test_one_pixel_can_be_hit_alone():
    """A source says which; all of them is the default and goes unsaid."""
    assert json.loads(Source.build(7000.0, pixel=(0, 2)).describe())["pixel"] == [0, 2]
    assert "pixel" not in json.loads(SEVEN.describe())
    stack = in_array(SMALL).stack
    for source, expected in ((Source.build(7000.0, pixel=(1, 2)), [5]), (SEVEN, range(9))):
        draw = jax.jit(
            jax.vmap(lambda source, n: source.photon(stack, photon_key(words(1), words(0), n))[2], (None, 0))
        )
        site = draw(jax.tree.map(jnp.asarray, source), jnp.arange(1000, dtype=jnp.uint32))
        assert np.unique(site.pixel).tolist() == list(expected)


@pytest.mark.slow
def test_results_add_and_are_kept(tmp_path):
    both = merge(small(), small(2))
    for name in ADDED:
        xr.testing.assert_allclose(both[name], small()[name] + small(2)[name])
    save(both, tmp_path / "both.nc")
    xr.testing.assert_identical(load(tmp_path / "both.nc"), both)
    figure = result_figure(both)
    named = [text.get_text() for text in figure.axes[0].texts]
    assert any("Bi M5-N7" in name for name in named)


@pytest.mark.parametrize("name", ["e.nc", "e.fits"])
def test_rows_of_those_who_catch(tmp_path, name):
    """After the row of the pixel hit, one for each other: its own energy, place and loss type."""
    place = np.array([1.0, 9.0, 2.0])
    block = Event(
        energy=np.full(3, 7000.0),
        deposited=np.array([7000.0, 4000.0, 5000.0]),
        loss_type=np.array([0, PHOTON_ESCAPED | CAUGHT, PHOTON_ESCAPED]),
        x=place,
        y=-place,
        z=-place,
        pixel=np.array([4, 4, 0]),
        catching=np.array([[-1, -1], [5, 7], [-1, -1]]),
        caught=np.array([[0.0, 0.0], [2422.5, 300.0], [0.0, 0.0]]),
    )
    with event_file(tmp_path / name, {"absorber": in_array(SMALL).to_toml(), "source": "{}", "seed": "1"}, 6) as append:
        append(block)
        append(block)
    events = load_events(tmp_path / name)
    assert events.photon_id.values.tolist() == [0, 1, 1, 1, 2, 3, 4, 4, 4, 5]
    again = events.isel(photon=slice(5, None))
    assert again.pixel.values.tolist() == [4, 4, 5, 7, 0]
    assert again.loss_type.values.tolist() == [0, 9, 8, 8, 1]
    assert again.deposited.values.tolist() == [7000.0, 4000.0, 2422.5, 300.0, 5000.0]
    assert again.x.values.tolist() == [1.0, 9.0, 9.0 - 22.0, 9.0, 2.0]
    assert again.y.values.tolist() == [-1.0, -9.0, -9.0, -9.0 - 22.0, -2.0]
    if name.endswith(".fits"):
        with fits.open(tmp_path / name) as file:
            file.verify("exception")
            header, table = file["EVENTS"].header, file["EVENTS"].data
            assert (header["NPHOTONS"], header["COMPLETE"]) == (6, True)
            assert table["PIXID"].tolist() == [FIRST_PIXEL + pixel for pixel in (4, 4, 5, 7, 0)] * 2
    else:
        assert events.attrs["complete"] == 1


def impacts(path, pixel):
    """Impacts of 7 keV near the right edges of pixels."""
    n = len(pixel)
    u, v = np.full(n, 9.9e-6), np.linspace(-9e-6, 9e-6, n)
    columns = {"ENERGY": ("E", "keV", np.full(n, 7.0)), "U": ("D", "m", u), "V": ("D", "m", v)}
    columns |= {"PH_ID": ("J", None, np.arange(n)), "PIXID": ("J", None, pixel)}
    made = [fits.Column(name, form, unit, array=array) for name, (form, unit, array) in columns.items()]
    fits.BinTableHDU.from_columns(made, name="PIXELIMPACT").writeto(path)
    return path


@pytest.mark.slow
def test_impacts_of_neighbours(tmp_path, agrees):
    """A row for each pixel that catches: its PIXID, its deposit, the place seen from it; as often as simulated."""
    n = 60_000
    pixel = np.tile([5, 4, 6], n // 3)  # the central pixel, its left neighbour, and one with nobody on the right
    source = impacts(tmp_path / "in.fits", pixel)
    done = filter_impacts(source, tmp_path / "out.fits", in_array(SMALL), forced=True)
    after = fits.getdata(tmp_path / "out.fits")
    assert done.kept == n and len(after) == n + done.caught and done.caught > 300
    assert np.all(np.diff(after["PH_ID"]) >= 0)
    beside = after["PIXID"] != pixel[after["PH_ID"]]
    assert beside.sum() == done.caught
    total = np.bincount(after["PH_ID"], after["ENERGY"].astype(float), n)
    assert np.all(total < 7.00001) and np.mean(total[after["PH_ID"][beside]] > 6.999) > 0.5
    right = beside & (after["PIXID"] == pixel[after["PH_ID"]] + 1)
    assert right.sum() > 0.9 * beside.sum() and np.all(pixel[after["PH_ID"][right]] != 6)
    np.testing.assert_allclose(after["U"][right], 9.9e-6 - 22e-6, rtol=1e-6)
    share = [np.sum(pixel[after["PH_ID"][right]] == p) / (n / 3) for p in (5, 4)]
    agrees(share[0], share[1], np.sqrt(sum(share) * 3 / n))


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        ("rows = 0\ncolumns = 3\npitch = 30", "`array.rows` in absorber must be at least 1 and at most 64, but is 0"),
        ("rows = 3\ncolumns = 2.5\npitch = 30", "`array.columns` in absorber must be a whole number"),
        ("rows = true\ncolumns = 2\npitch = 30", "`array.rows` in absorber must be a number, but is True"),
        ("rows = 3\ncolumns = 65\npitch = 30", "at least 1 and at most 64, but is 65"),
        ("rows = 3\ncolumns = 3\npitch = 19.9", "at least the width, 20 um, but is 19.9 um"),
        ("rows = 3\ncolumns = 3\npitch = [30, 15]", "at least the length, 20 um, but is 15 um"),
        ("rows = 3\ncolumns = 3\npitch = [30, 30, 30]", "must be a list of 1 to 2, but is"),
        ("rows = 3\ncolumns = 3\npitch = 'wide'", "`array.pitch` in absorber must be a number"),
        ("rows = 3\ncolumns = 3\npitch = nan", "must be finite"),
        ("rows = 3\ncolumns = 3", "`array.pitch` is missing"),
        ("rows = 3\ncolumns = 3\npitch = 30\ngap = 3", "unknown key `array.gap`"),
    ],
)
def test_bad_arrays_are_refused(array, sentence):
    with pytest.raises(ValueError, match=sentence):
        Absorber.from_toml(f"{SMALL.to_toml()}[array]\n{array}\n")


def test_pitch_takes_units_and_comes_back():
    text = f'{SMALL.to_toml()}[array]\nrows = 2\ncolumns = 5\npitch = ["0.03 mm", "25 um"]\n'
    absorber = Absorber.from_toml(text)
    assert absorber.array.shape == (2, 5) and absorber.array.central == 7
    np.testing.assert_allclose([absorber.array.pitch_x, absorber.array.pitch_y], [30.0, 25.0])
    assert Absorber.from_toml(absorber.to_toml()).to_toml() == absorber.to_toml()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["simulate", "array.toml", "--energy", "7keV", "--pixel", "3,0"], "row of `pixel` must be below 3"),
        (["simulate", "array.toml", "--energy", "7keV", "--pixel", "0,7"], "column of `pixel` must be below 3"),
        (["simulate", "array.toml", "--energy", "7keV", "--pixel", "-1,0"], "row and column from 0"),
        (["simulate", "array.toml", "--energy", "7keV", "--pixel", "1"], "must be ROW,COLUMN"),
        (["simulate", "array.toml", "--energy", "7keV", "--pixel", "a,b"], "`--pixel` must be a number"),
        (["simulate", "xifu", "--energy", "7keV", "--pixel", "0,0"], "needs an absorber with an [array]"),
        (["rmf", "array.toml"], "a matrix is of one absorber alone"),
        (["sensitivity", "array.toml", "--energy", "7keV"], "a derivative is of one absorber alone"),
        (["sweep", "sweep.toml"], "a sweep is of one absorber alone"),
        (["impacts", "far.fits", "--absorber", "array.toml"], "PIXID in 'far.fits' must be from 1 to 9"),
        (["impacts", "none.fits", "--absorber", "array.toml"], "must have a column PIXID"),
    ],
)
def test_commands_that_refuse(call, tmp_path, arguments, sentence):
    (tmp_path / "array.toml").write_text(in_array(SMALL).to_toml())
    (tmp_path / "sweep.toml").write_text('absorber = "array.toml"\n[grid]\nenergy = ["3 keV", "5 keV"]\n')
    impacts(tmp_path / "far.fits", np.array([1, 10]))
    kept = [column for column in fits.getdata(tmp_path / "far.fits").columns if column.name != "PIXID"]
    fits.BinTableHDU.from_columns(kept, name="PIXELIMPACT").writeto(tmp_path / "none.fits")
    before = sorted(path.name for path in tmp_path.iterdir())
    own = {"sensitivity": [], "impacts": ["out.fits"], "rmf": ["-o", "out.rmf"]}
    output = own.get(arguments[0], ["-o", "out.nc"])
    code, out, err = call(*arguments[:2], *output, *arguments[2:])
    assert code == 2 and out == "", err
    assert err.startswith("error: ") and sentence in err and len(err.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.exhaustive
@pytest.mark.slow
def test_too_many_pixels_for_one_photon_are_one_sentence():
    dust = Absorber.build([("Bi", 5.0)], 0.2, 0.2, "dust", array={"rows": 1, "columns": 33, "pitch": 0.2})
    with pytest.raises(ValueError, match=r"at most 8 pixels beside the one hit .* larger pixels, or lower energies"):
        simulate(dust, 30_000.0, n=1000, lanes=1024)
