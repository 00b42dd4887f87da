"""Natural lines fitted: the truth comes back with honest errors, from any file; what is on a bound; what is refused."""

import json
import os
from importlib import import_module
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from astropy import units
from astropy.io import fits

from xcal_jax.absorber.natural_lines import CUT
from xcal_jax.atomic.lines import load_line
from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.response.fit_lines import fit_lines
from xcal_jax.response.fitted_line import background_within
from xcal_jax.response.measured import read_events

ROOT = Path(__file__).parents[2]
SPECTRA, COUNTS, FWHM, OFFSET, TAIL = 48, 20_000, 2.5, 3.2, (0.2, 9.0)
EDGES = np.arange(5830.0, 5951.0, 1.0)
FIT = ("offset", "fwhm", "tail_frac", "tail_tau")


def drawn(rng, n, tail=TAIL):
    """Measured energies of Mn K alpha, photon by photon: Lorentzian, noise, trapped heat."""
    shape = load_line("MnKa")
    part = rng.choice(shape.energy.size, n, p=shape.share)
    angle = np.arctan(2.0 * CUT) * (2.0 * rng.random(n) - 1.0)
    energy = shape.energy[part] + 0.5 * shape.fwhm[part] * np.tan(angle)
    heat = np.where(rng.random(n) < tail[0], rng.exponential(tail[1], n), 0.0)
    return energy + OFFSET + rng.normal(0.0, FWHM / FWHM_PER_SIGMA, n) - heat


@pytest.fixture(scope="module")
def spectra():
    rng = np.random.default_rng(5)
    counts = [
        np.histogram(drawn(rng, rng.poisson(COUNTS)), EDGES)[0] + rng.poisson(2.0, EDGES.size - 1)
        for _ in range(SPECTRA)
    ]
    return np.array(counts, float)


@pytest.fixture(scope="module")
def fitted(spectra):
    return fit_lines((spectra, EDGES), "MnKa", fit=FIT)


def test_pulls_of_a_batch(fitted):
    """Starts are found without help; pulls have mean 0 and width 1, within 4 sigma of so few."""
    true = {
        "MnKa": COUNTS,
        "offset": OFFSET,
        "fwhm": FWHM,
        "tail_frac": TAIL[0],
        "tail_tau": TAIL[1],
        "background": 2.0,
    }
    assert fitted.parameters == tuple(true) and np.all(fitted.converged)
    pulls = (fitted.values - list(true.values())) / fitted.errors
    assert np.all(np.abs(pulls.mean(0)) < 4.0 / np.sqrt(SPECTRA))
    assert np.all(np.abs(pulls.std(0, ddof=1) - 1.0) < 4.0 / np.sqrt(2.0 * SPECTRA))
    assert np.all(fitted.chance > 1e-5) and 0.3 < fitted.chance.mean() < 0.7


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize(("counts", "width"), [(1e5, (0.9, 1.1)), (1e3, (0.85, 1.15))])
def test_pulls_of_two_hundred_spectra_with_losses(monkeypatch, counts, width):
    """Mn K alpha through the X-IFU absorber: pulls of every parameter, of those that are on no bound.

    Of 1e3 photons about six lose energy within the window: the range then has no normal errors. Its pulls are the
    signed roots of the rise of the deviance where it is held at the truth, of which intervals are made.
    """
    monkeypatch.syspath_prepend(ROOT / "analysis")
    study = import_module("line_fits")
    shape = study.NaturalShape.build([study.LINE], study.DEEP, 0.6 * study.FWHM, [study.losses()])
    true = study.truth(shape, counts)
    found, chosen = study.fitted(shape, study.drawn(shape, true, 200, 11), {"MnKa", "offset", "fwhm", "range"})
    pulls = study.pulls(found, true, chosen)
    if counts < 1e4:
        pulls[:, 3] = study.signed_roots(shape, study.drawn(shape, true, 200, 11), found, true, chosen, "range")
        assert abs(np.mean(np.abs(pulls[:, 3]) < 1.0) - 0.683) < 0.1  # three binomial sigmas
    assert np.all(found.converged) and chosen.sum() == 4 and np.all(np.isfinite(pulls))
    spread = pulls.std(axis=0, ddof=1)
    assert np.all(np.abs(pulls.mean(axis=0)) < 0.2)
    assert np.all((width[0] < spread) & (spread < width[1]))


def test_one_spectrum_alone_is_the_same(spectra, fitted):
    alone = fit_lines((spectra[3], EDGES), "MnKa", fit=FIT)
    np.testing.assert_allclose(alone.values[0], fitted.values[3], rtol=1e-6)
    table = alone.table()
    assert table.loc["offset", "unit"] == "eV" and not table.on_bound.any()
    assert "deviance" in str(alone) and "Hoelzer 1997" in str(alone)


def test_errors_are_those_of_fisher(monkeypatch):
    """Of spectra without noise, 1e5 to 1e7 counts: the information of another program's model, by its differences.

    Where the fit puts the background on its bound, errors are those with it known, and smaller.
    """
    monkeypatch.syspath_prepend(ROOT / "analysis")
    peer_model = import_module("line_fits").peer_model
    centres, many = 0.5 * (EDGES[1:] + EDGES[:-1]), np.geomspace(1e5, 1e7, SPECTRA)
    true = np.array([1.0, OFFSET, FWHM, *TAIL, 2e-3])

    def errors(values, known=()):
        step = 1e-4 * np.diag(np.maximum(values, 1e-3))
        slope = np.array([peer_model(centres, *(values + s)) - peer_model(centres, *(values - s)) for s in step])
        slope = np.delete(slope / (2.0 * np.diag(step))[:, None], known, axis=0)
        return np.diag(np.linalg.inv(slope / peer_model(centres, *values) @ slope.T)) ** 0.5

    spectra = many[:, None] * peer_model(centres, *true)
    lacking = peer_model(centres, *true[:-1], 0.0) - 5e-5
    spectra[1::2] = many[1::2, None] * lacking
    found = fit_lines((spectra, EDGES), "MnKa", fit=FIT)
    unit = np.array([many, *[many**0.0] * 4, many]).T
    of_one = found.errors / unit * many[:, None] ** 0.5
    np.testing.assert_allclose(of_one[::2], np.tile(errors(true), (SPECTRA // 2, 1)), rtol=0.01)
    held = (found.values / unit)[1]
    assert np.all(held[-1] == 0.0) and np.all(np.isnan(of_one[1::2, -1]))
    np.testing.assert_allclose(of_one[1::2, :-1], np.tile(errors(held, 5), (SPECTRA // 2, 1)), rtol=0.01)
    assert errors(held)[4] > 1.1 * errors(held, 5)[4]


def test_what_is_on_a_bound_is_said():
    rng = np.random.default_rng(8)
    counts = np.array([np.histogram(drawn(rng, COUNTS, (0.0, 1.0)), EDGES)[0] for _ in range(SPECTRA)], float)
    found = fit_lines((counts, EDGES), "MnKa", fit=FIT)
    fraction = found.values[:, 3]
    bound = np.isnan(found.errors[:, 3])
    assert np.all(fraction >= 0.0) and np.any(bound) and np.all(fraction[bound] == 0.0)
    first = int(np.argmax(bound))
    alone = fit_lines((counts[first], EDGES), "MnKa", fit=FIT)
    assert "tail_frac" in alone.table().query("on_bound").index and "on its bound" in str(alone)


def test_a_fit_draws_itself(fitted):
    """The counts of the spectrum that is asked for, the model, and residuals."""
    import xcal_jax as xcal

    assert xcal.fit_lines
    above, below = fitted.plot(1).axes
    assert above.get_title() == "MnKa" and above.get_ylabel() == "counts per eV"
    np.testing.assert_allclose(
        below.lines[0].get_ydata(), (fitted.counts[1] - fitted.model[1]) / fitted.model[1] ** 0.5
    )


@pytest.fixture(scope="module")
def event_files(tmp_path_factory):
    """The same events in each kind of file, in eV or with a unit."""
    folder = tmp_path_factory.mktemp("events")
    energies = drawn(np.random.default_rng(2), 4000)
    (folder / "a.csv").write_text("energy,x\n" + "".join(f"{e!r},1\n" for e in energies.tolist()))
    with netCDF4.Dataset(folder / "a.h5", "w") as file:
        group = file.createGroup("events")
        group.createDimension("n", energies.size)
        group.createVariable("energy", "f8", ("n",))[:] = energies
    xr.Dataset({"energy": ("n", energies / 1e3, {"units": "keV"})}).to_netcdf(folder / "a.nc")
    fits.BinTableHDU.from_columns([fits.Column("ENERGY", "D", "keV", array=energies / 1e3)]).writeto(folder / "a.fits")
    return folder, energies


@pytest.mark.parametrize(
    ("name", "column"), [("a.csv", "energy"), ("a.h5", "events/energy"), ("a.nc", "energy"), ("a.fits", "ENERGY")]
)
def test_events_of_any_file(event_files, name, column):
    folder, energies = event_files
    np.testing.assert_allclose(read_events(folder / name, column), energies, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "column", "words"),
    [
        ("a.csv", "none", "must have the column none, but has energy, x"),
        ("a.h5", "energy", "in the column energy"),
        ("a.fits", "PHA", "in the column PHA"),
        ("b.csv", "energy", "does not exist"),
    ],
)
def test_events_that_are_not_there(event_files, name, column, words):
    with pytest.raises(ValueError, match=words):
        read_events(event_files[0] / name, column)


def test_events_in_python(event_files):
    """As the file has them, in eV or with a unit, and counts whose edges have one."""
    folder, energies = event_files
    given = {"background": "none", "window": (5830.0, 5950.0)}
    wanted = fit_lines(folder / "a.csv", "MnKa", events="energy", **given)
    for spectrum in (energies, energies / 1e3 * units.keV):
        np.testing.assert_allclose(fit_lines(spectrum, "MnKa", **given).values, wanted.values)
    counts, edges = np.histogram(energies, np.arange(5830.0, 5951.0))
    found = fit_lines((counts, edges / 1e3 * units.keV), "MnKa", background="none")
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-4)


@pytest.mark.parametrize(
    ("spectrum", "words"),
    [
        (np.array([]), "`spectrum` must hold finite energies, but has none"),
        (np.array([5900.0, np.nan]), "`spectrum` must hold finite energies, but has NaN"),
        (np.array([5.9, 5.89]), "are they in keV"),
        (([1.0, 2.0],), "a spectrum must be a file or"),
        (np.array([5900.0]) * units.um, "`spectrum` must hold numbers"),
    ],
)
def test_events_that_are_none(spectrum, words):
    with pytest.raises(ValueError, match=words):
        fit_lines(spectrum, "MnKa")


def test_command(call, event_files, tmp_path):
    """From events to a table, JSON, a netCDF file and a plot."""
    events, out, plot = event_files[0] / "a.fits", tmp_path / "fit.nc", tmp_path / "fit.png"
    command = (
        "linefit",
        events,
        "--events",
        "ENERGY",
        "--line",
        "MnKa",
        "--window",
        "5830,5950",
        "--background",
        "none",
    )
    more = ("--fit", "offset,fwhm", "--trapping", "0.2:9eV", "--json", "-o", out, "--plot", plot)
    code, text, err = call(*map(str, command + more))
    assert code == 0, err
    facts = json.loads(text)
    offset = facts["parameters"]["offset"]
    assert abs(offset["value"] - OFFSET) < 5 * offset["err"] and offset["unit"] == "eV"
    with xr.open_dataset(out) as saved:
        assert saved.value.sel(parameter="offset").item() == pytest.approx(offset["value"])
    assert os.path.getsize(plot) > 1000


HUMP = np.round(4000.0 * np.exp(-0.5 * ((EDGES[:-1] - 5850.0) / 3.0) ** 2) + 30.0)


@pytest.mark.slow
def test_a_measured_background():
    """A peak of it that is higher than the line is not taken for the line; its scale comes back, within 4 sigma."""
    rng = np.random.default_rng(6)
    lines = [np.histogram(drawn(rng, rng.poisson(4000), (0.0, 1.0)), EDGES)[0] for _ in range(32)]
    counts = np.array(lines) + rng.poisson(0.5 * HUMP, (32, HUMP.size)).astype(float)
    told = {"fit": FIT[:2], "background": "none", "background_table": (HUMP, EDGES)}
    found = fit_lines((counts, EDGES), "MnKa", **told)
    true = {"MnKa": 4000.0, "offset": OFFSET, "fwhm": FWHM, "background_scale": 0.5}
    assert found.parameters == tuple(true) and np.all(found.converged)
    pulls = (found.values - list(true.values())) / found.errors
    assert np.all(np.abs(pulls.mean(0)) < 4.0 / np.sqrt(32))
    assert np.all(np.abs(pulls.std(0, ddof=1) - 1.0) < 4.0 / np.sqrt(2.0 * 32))
    assert 0.3 < found.chance.mean() < 0.7
    alone = fit_lines((counts[0], EDGES), "MnKa", **told, background_scale=0.5)
    assert alone.parameters == found.parameters[:3] and alone.errors[0, 0] < found.errors[0, 0]
    assert np.all(np.abs(alone.values[0] - list(true.values())[:3]) < 4.0 * alone.errors[0])


@pytest.mark.slow
def test_parameters_shared_by_spectra():
    """All shared: the fit of the sum. The FWHM alone: the weighted mean of separate fits, and its error."""
    rng = np.random.default_rng(9)
    moves, told = np.array([-20.0, 0.0, 15.0]), {"line": "MnKa", "fit": FIT[:2], "background": "none"}
    same, apart = (
        np.array([np.histogram(drawn(rng, 8000, (0.0, 1.0)) + move, EDGES)[0] for move in some], float)
        for some in (0.0 * moves, moves)
    )
    all_shared = fit_lines((same, EDGES), **told, shared=("MnKa", *FIT[:2]))
    whole = fit_lines((same.sum(0), EDGES), **told)
    times = np.array([3.0, 1.0, 1.0])
    np.testing.assert_allclose(all_shared.values * times, np.repeat(whole.values, 3, axis=0), rtol=1e-5)
    np.testing.assert_allclose(all_shared.errors * times, np.repeat(whole.errors, 3, axis=0), rtol=1e-4)
    one = fit_lines((apart, EDGES), **told, shared=("fwhm",))
    each = [fit_lines((row, EDGES), **told) for row in apart]
    assert np.ptp(one.values[:, 2]) == 0.0 and "of one value in all spectra: fwhm" in str(one)
    assert np.all(np.abs(one.values[:, 1] - OFFSET - moves) < 4.0 * one.errors[:, 1])
    values, weight = np.array([(alone.values[0, 2], alone.errors[0, 2] ** -2.0) for alone in each]).T
    assert one.errors[0, 2] == pytest.approx(weight.sum() ** -0.5, rel=0.03)
    mean = weight @ values / weight.sum()
    assert one.values[0, 2] == pytest.approx(mean, abs=0.3 * one.errors[0, 2])


def test_channels_of_a_background():
    """Counts are kept in channels of any width; a flat one is flat."""
    within = background_within(
        (np.array([6.0, 2.0, 4.0]), np.array([0.0, 3.0, 4.0, 8.0])), None, np.arange(1.0, 7.0, 2.0)
    )
    np.testing.assert_allclose(within, [4.0, 3.0], rtol=1e-12)
    np.testing.assert_array_equal(background_within((HUMP, EDGES), None, EDGES[20:40]), HUMP[20:39])


FLAT = np.ones(EDGES.size - 1)


@pytest.mark.parametrize(
    ("counts", "edges", "given", "words"),
    [
        (0 * FLAT, EDGES, {}, "must have counts, but has none"),
        (FLAT[:1], EDGES[:2], {}, "parameters need more channels than there are, 1"),
        (-FLAT, EDGES, {}, "finite and not negative"),
        (np.nan * FLAT, EDGES, {}, "finite and not negative"),
        (FLAT, EDGES / 1e3, {}, r"outside the spectrum, 5\.83 to 5\.95 eV \(are its energies in keV\?\)"),
        (FLAT, EDGES + 500.0, {}, "line MnKa at 5894.4 eV lies outside the spectrum, 6330 to 6450 eV"),
        (FLAT, EDGES[::-1], {}, "must ascend"),
        (FLAT, np.append(EDGES[:-1], EDGES[-1] + 5.0), {}, "channels of one width"),
        (FLAT, EDGES, {"fit": ("range",), "fwhm": 2.5}, "needs `absorber`"),
        (FLAT, EDGES, {"fit": ("offset",)}, "`fwhm` must be given where it is not fitted"),
        (FLAT, EDGES, {"background": "square"}, "`background` must be one of none, constant, linear"),
        (FLAT, EDGES, {"shared": ("fwhm",)}, "`shared` needs several spectra, but there is one"),
        (FLAT, EDGES, {"shared": ("gain",)}, "`shared` has gain, not fitted here"),
        (FLAT, EDGES, {"background_scale": 0.5}, "`background_scale` needs `background_table`"),
        (
            FLAT,
            EDGES,
            {"background_table": (FLAT, EDGES), "background_scale": 0.0},
            "`background_scale` must be positive, but is 0",
        ),
        (FLAT, EDGES, {"background_table": (-FLAT, EDGES)}, "background must be finite and not negative"),
        (FLAT, EDGES, {"background_table": (0 * FLAT, EDGES)}, "have counts in the channels of the spectrum"),
        (FLAT, EDGES, {"background_table": (FLAT, EDGES[:-1])}, "must be one spectrum"),
        (FLAT, EDGES, {"background_table": (FLAT[1:], EDGES[1:])}, "reaches from 5831 to 5950 eV"),
        (FLAT, EDGES, {"line": "MnKq"}, "did you mean"),
        (FLAT, EDGES, {"window": "5900 eV,5901 eV"}, "more channels than there are, 1"),
    ],
)
def test_what_is_refused(counts, edges, given, words):
    with pytest.raises(ValueError, match=words):
        fit_lines((counts, edges), **({"line": "MnKa"} | given))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--line", "MnKa", "--energy", "6keV"), "one of `--line` and `--energy`"),
        (("--energy", "6keV", "--fwhm", "2eV"), "`--absorber` must be given"),
        (("--energy", "6keV", "--background", "none"), "`--background` goes with `--line`"),
        (("--energy", "6keV", "--background-table", "b.csv"), "`--background-table` goes with `--line`"),
        (("--line", "MnKa", "--incident", "5"), "`--incident` goes with `--energy`"),
        (("--line", "MnKa", "--events", "energy"), "are they in keV"),
    ],
)
def test_what_the_command_refuses(call, tmp_path, arguments, words):
    (tmp_path / "a.csv").write_text("energy\n5.9\n5.8\n")
    code, _, err = call("linefit", "a.csv", *arguments)
    assert code == 2 and words in err
