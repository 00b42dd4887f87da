"""The response over energy, the matrix folded from it, and its files: against the simulation, formulas, clients."""

import os
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from scipy.special import ndtr

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter, interaction_by_layer, quantum_efficiency
from xcal_jax.cli.main import main
from xcal_jax.compute import cluster
from xcal_jax.compute.devices import in_parallel
from xcal_jax.io.datasets import save
from xcal_jax.montecarlo.batch import Event
from xcal_jax.plot.files import figure_of
from xcal_jax.response.components import (
    SMOOTHED,
    rows_of,
    simulate_response,
    smoothing,
    to_components,
)
from xcal_jax.response.energy_grid import node_weights, nodes_between, parse_grid
from xcal_jax.response.matrix import fold, peaks_in_channels
from xcal_jax.response.nodes import CELL_EDGES, Node, Settings, simulate_nodes
from xcal_jax.response.ogip import check_fits_memory
from xcal_jax.response.resolution import Resolution
from xcal_jax.response.uncertainty import relative_errors
from xcal_jax.simulation.events import event_file
from xcal_jax.simulation.results import ESCAPES, line_names, summary
from xcal_jax.simulation.simulate import simulate

XIFU = Absorber.preset("xifu")
CHANNELS = parse_grid("0.2:7.6:2eV", "--channels")
GRID = ["--grid", "6.8:7.2:5eV", "--channels", "0.2:7.6:2eV"]


@pytest.fixture(scope="module")
def response():
    return simulate_response(XIFU, rows_of(XIFU, parse_grid("6.8:7.2:5eV", "--grid")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A matrix with all that goes with it, by the command line."""
    path = tmp_path_factory.mktemp("rmf")
    before = os.getcwd()
    os.chdir(path)
    try:
        with pytest.MonkeyPatch.context() as patch:
            more = ["--area", "2.5cm^2", "--arf", "a.arf", "--nc", "a.nc", "--plot", "a.png", "-o", "a.rmf"]
            patch.setattr("sys.argv", ["xcal-jax", "rmf", "xifu", *GRID, *more])
            main()
    finally:
        os.chdir(before)
    return path


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Run a command that must fail: its one sentence, after which the folder is as before."""

    def run(*words):
        monkeypatch.chdir(tmp_path)
        before = sorted(os.listdir(tmp_path))
        monkeypatch.setattr("sys.argv", ["xcal-jax", *words])
        with pytest.raises(SystemExit) as problem:
            main()
        assert problem.value.code == 2
        assert sorted(os.listdir(tmp_path)) == before
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert last.startswith("error: ")
        return last

    return run


def test_response_is_the_simulation(response, agrees):
    """Partial fraction and peaks at 7 keV, against an independent run of another seed."""
    result = simulate(XIFU, 7002.5, n=4 * 10**6, seed=7)
    found, expected = response.sel(energy=7002.5), summary(result)
    agrees(found.partial, expected["partial"], np.hypot(found.partial_err, expected["partial_err"]))
    assert float(found.partial_err) < 1.01e-4
    for name in ESCAPES:
        error = np.hypot(float(found[f"{name}_err"]), np.sqrt(expected[name] / 4e6))
        agrees(float(found[name]), expected[name], error)
    for peak in expected["peaks"][:8]:
        at = found.sel(line=peak["line"])
        assert float(at.line_energy) == pytest.approx(peak["line_energy"])
        agrees(float(at.peaks), peak["intensity"], np.hypot(float(at.peaks_err), peak["intensity_err"]))
    assert float(found.partial_err) == pytest.approx(1e-4, rel=0.5)  # not better than asked for by much


def test_counts_become_shares():
    """Nodes with known counts, linear in the logarithm of the energy: rows have exactly their shares."""
    boundaries = rows_of(XIFU, parse_grid("6.8:7.2:5eV", "--grid"))
    edges = np.empty(0)
    energy, stretch = nodes_between(boundaries[0], boundaries[-1], edges)
    bi, n = 200, 10**6
    parts = [round(n * (0.02 - 0.1 * np.log(e / 7000.0))) for e in energy]
    line = np.flatnonzero(line_names(XIFU, Matter.build(XIFU))[0] == "Bi M5-N7")
    cells = [np.bincount([bi], weights=[part - part // 4], minlength=CELL_EDGES.size - 1) for part in parts]
    made = [
        Node(n, n, part, part // 2, part // 4, line, np.array([part // 4]), cell)
        for part, cell in zip(parts, cells, strict=True)
    ]
    weights = node_weights(0.5 * (boundaries[1:] + boundaries[:-1]), energy, stretch, edges)
    rows = to_components(XIFU, boundaries, edges, energy, made, weights, Settings())
    expected = 0.02 - 0.1 * np.log(rows.energy.values / 7000.0)
    for name, share in (
        ("partial", 1),
        ("photon_escape", 0.5),
        ("electron_escape", 0.25),
        ("both", 0.25),
        ("peak_total", 0.25),
    ):
        np.testing.assert_allclose(rows[name], share * expected, rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(rows.peaks.sel(line="Bi M5-N7"), 0.25 * expected, rtol=1e-3)
    np.testing.assert_allclose(rows.continuum.sum("deposited_fraction"), 0.75 * expected, rtol=1e-3)
    place = 0.5 * (CELL_EDGES[bi] + CELL_EDGES[bi + 1])
    np.testing.assert_allclose(rows.continuum @ rows.deposited_fraction / (0.75 * expected), place, rtol=2e-3)
    alone = np.sqrt(expected * (1.0 - expected) / n)
    assert np.all((rows.partial_err < 1.2 * alone) & (rows.partial_err > 0.4 * alone))


def test_photons_that_dead_layers_take_are_missing_from_the_area():
    """Of a node's photons, which all meet something, a part meets or comes back to what counts: that is the area's."""
    capped = Absorber.build([{"material": "Au", "thickness": 0.1, "counts": False}, ("Bi", 2.0)], 50.0, 50.0)
    boundaries = rows_of(capped, parse_grid("6.8:7.2:50eV", "--grid"))
    energy, stretch = nodes_between(boundaries[0], boundaries[-1], np.empty(0))
    none, drawn, met = np.array([], int), 10**6, 930_000
    made = [Node(drawn, met, 0, 0, 0, none, none, np.zeros(CELL_EDGES.size - 1)) for _ in energy]
    weights = node_weights(0.5 * (boundaries[1:] + boundaries[:-1]), energy, stretch, np.empty(0))
    rows = to_components(capped, boundaries, np.empty(0), energy, made, weights, Settings())
    anywhere = quantum_efficiency(replace(capped, dead=()), rows.energy.values)
    np.testing.assert_allclose(rows.interaction_probability, anywhere * met / drawn, rtol=1e-4)
    np.testing.assert_array_equal(rows.interaction_by_layer[:, 0], 0.0)
    assert np.all(rows.interaction_by_layer[:, 1] == rows.interaction_probability)


def test_nodes_are_independent():
    """Two nodes of one energy have other photons: what rows average over them gets more precise."""
    one, two = simulate_nodes(XIFU, np.array([7000.0, 7000.0]), np.ones(2), Settings(photons=20_000))
    assert one.photons == two.photons and not np.array_equal(one.cells, two.cells)


def test_matrix_is_the_simulation(response, agrees):
    """The row of 7 keV, in wide windows: the four peaks, and all that lost more than 50, 500 and 2000 eV."""
    row = list(fold(response, CHANNELS, Resolution.build("2.5eV")))[40]
    values = row.contained * row.by_channel(CHANNELS.size - 1)
    result = simulate(XIFU, 7002.5, n=4 * 10**6, seed=7)
    n = float(result.interacting)
    middle = 0.5 * (CHANNELS[1:] + CHANNELS[:-1])
    edge = result.energy.values + 1.0
    for loss in (50.0, 500.0, 2000.0):
        counts = float(result.spectrum.values[(edge < 7002 - loss) & (edge > 202)].sum())
        agrees(values[middle < 7002 - loss].sum(), counts / n, 1.5 * np.sqrt(counts) / n, 0.005)
    for place in (4580.1, 4473.9, 4879.6, 4795.8):
        near = slice(place - 15, place + 15)
        counts = float(result.spectrum.sel(energy=near).sum())
        agrees(values[np.abs(middle - place) < 15].sum(), counts / n, 1.6 * np.sqrt(counts) / n)
        top = middle[np.abs(middle - place) < 15][np.argmax(values[np.abs(middle - place) < 15])]
        assert abs(top - place) < 4.0


def test_rows_are_normalised(response):
    for width in ("2.5eV", "0.05eV", "200eV"):
        rows = list(fold(response, CHANNELS, Resolution.build(width)))
        assert len(rows) == response.sizes["energy"]
        for row in rows:
            assert float(row.values.sum(dtype=float)) == pytest.approx(1.0, abs=1e-6)
            assert np.all(row.values >= 0) and row.values.dtype == np.float32
            assert 0.99 < row.contained <= 1.0 + 1e-9
            assert row.first.size == 1 and row.first[0] + row.size[0] <= CHANNELS.size - 1


def test_a_peak_in_channels():
    """Against a sum over many monochromatic lines; narrow and wide beside the row."""
    channels = np.arange(900.0, 1100.5, 0.5)
    for sigma in (0.3, 1.1, 20.0):
        found = peaks_in_channels(*(np.array([v]) for v in (997.0, 1002.0, sigma, 0.7)), channels)
        places = 997.0 + 5.0 * (np.arange(2000) + 0.5) / 2000
        expected = 0.7 * np.mean([np.diff(ndtr((channels - p) / sigma)) for p in places], axis=0)
        np.testing.assert_allclose(found, expected, atol=3e-7)


def test_peaks_outside_the_channels_do_not_count():
    channels = np.arange(900.0, 1100.5, 0.5)
    low, high = np.array([500.0, 899.0, 1098.0, 2000.0]), np.array([505.0, 901.0, 1102.0, 2005.0])
    found = peaks_in_channels(low, high, np.full(4, 0.1), np.ones(4), channels)
    assert found.sum() == pytest.approx(0.5 + 0.5, abs=1e-6)


def test_smoothing_keeps_what_there_is():
    kernel = smoothing()
    np.testing.assert_allclose(kernel.sum(axis=1), 1.0)
    flat = np.diff(CELL_EDGES) @ kernel / np.diff(CELL_EDGES)
    np.testing.assert_allclose(flat[np.abs(CELL_EDGES[1:] - 0.5) < 0.4], 1.0, atol=0.02)
    middle = np.argmin(np.abs(CELL_EDGES - 0.5))
    at = 0.5 * (CELL_EDGES[1:] + CELL_EDGES[:-1])
    assert kernel[middle] @ at == pytest.approx(at[middle], abs=2e-3)
    spread = np.sqrt(kernel[middle] @ (at - at[middle]) ** 2)
    assert spread == pytest.approx(SMOOTHED[0] + 0.5 * SMOOTHED[1], rel=0.1)


def test_layers_add_up():
    energy = np.array([500.0, 3000.0, 7000.0])
    by_layer = interaction_by_layer(XIFU, energy)
    np.testing.assert_allclose(by_layer.sum(axis=1), quantum_efficiency(XIFU, energy), rtol=1e-12)
    assert np.all(by_layer >= 0) and by_layer[2].argmax() == 1


def stopping(after):
    """An executor that is interrupted when it has done so many nodes."""

    def executor(work, tasks):
        for done, result in enumerate(in_parallel(work, tasks)):
            if done == after:
                raise KeyboardInterrupt
            yield result

    return executor


def test_interrupted_nodes_go_on(tmp_path):
    """What was done is kept, and the end is the same as without the interruption; another run is refused by name."""
    energy, weight = np.array([3000.0, 5000.0, 7000.0]), np.ones(3)
    settings = Settings(photons=3000)
    whole = simulate_nodes(XIFU, energy, weight, settings)
    part, counted = tmp_path / "part", []

    def watched(work, tasks):
        return in_parallel(lambda task: counted.append(task) or work(task), tasks)

    with pytest.raises(KeyboardInterrupt):
        simulate_nodes(XIFU, energy, weight, settings, part, executor=stopping(2))
    again = simulate_nodes(XIFU, energy, weight, settings, part, executor=watched)
    assert len(counted) == 1  # one energy was left
    for one, two in zip(whole, again, strict=True):
        assert (one.photons, one.partial, one.electron_escape) == (two.photons, two.partial, two.electron_escape)
        np.testing.assert_array_equal(one.cells, two.cells)
        np.testing.assert_array_equal(one.line, two.line)
        assert one.partial == one.count.sum() + one.cells.sum()
    for other, named in (
        (Settings(photons=3000, seed=2), "seed"),
        (Settings(photons=3000, yields="krause"), "yields"),
        (Settings(photons=3000, electron_range=1.1), "electron ranges"),
        (Settings(photons=3001), "number of photons"),
        (Settings(photons=3000, tolerance=1e-3), "tolerance"),
    ):
        with pytest.raises(ValueError, match=rf"another run \(another {named}\)"):
            simulate_nodes(XIFU, energy, weight, other, part)
    simulate_nodes(XIFU, energy, weight, Settings(photons=3000, seed=2), part, resume=False, executor=watched)
    assert len(counted) == 4
    file = part / "0.part"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read: remove it"):
        simulate_nodes(XIFU, energy, weight, Settings(photons=3000, seed=2), part)


@pytest.mark.exhaustive
def test_an_interrupted_matrix_goes_on(tmp_path, monkeypatch, capsys):
    """Ctrl-C says how; --resume takes up the matrix and each cause of its uncertainty; without it all begins anew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "946684800")
    words = "rmf gold --fwhm 5eV --grid 6.9:7:50eV --channels 6:8:10eV -n 2000 --uncertainty u.nc -o a.rmf".split()
    counted = []

    def run(executor, *more):
        """How many nodes were counted, and the exit code."""
        before = len(counted)
        monkeypatch.setattr(cluster, "in_parallel", executor)
        monkeypatch.setattr("sys.argv", ["xcal-jax", *words, *more])
        try:
            main()
        except SystemExit as problem:
            return len(counted) - before, problem.code
        return len(counted) - before, 0

    def watched(work, tasks):
        return in_parallel(lambda task: counted.append(task) or work(task), tasks)

    nodes, code = run(watched)
    nodes //= 5  # the matrix, other yields, longer ranges, the other electron model, other moves of L vacancies
    content = (tmp_path / "a.rmf").read_bytes()
    assert code == 0 and nodes >= 3 and sorted(os.listdir()) == ["a.rmf", "u.nc"]
    os.remove("a.rmf")
    assert run(stopping(2)) == (0, 130)
    assert "interrupted: the same command with --resume goes on from a.rmf.part" in capsys.readouterr().err
    assert sorted(os.listdir("a.rmf.part")) == ["0.part", "1.part"] and not os.path.exists("a.rmf")
    assert run(lambda work, tasks: stopping(nodes - 2)(work, tasks), "--resume") == (0, 130)
    assert len(os.listdir("a.rmf.part")) == nodes + 1  # and the folder of a cause, in which so many are done
    assert run(watched, "--resume", "--seed", "2")[1] == 2
    assert "another run (another seed)" in capsys.readouterr().err
    assert run(watched, "--resume") == (4 * nodes - (nodes - 2), 0)
    assert (tmp_path / "a.rmf").read_bytes() == content and sorted(os.listdir()) == ["a.rmf", "u.nc"]
    assert run(stopping(1)) == (0, 130)
    assert run(watched) == (5 * nodes, 0)


@pytest.mark.slow
def test_uncertainty_by_cause(response):
    """Longer ranges let more electrons out; Krause's yields have fewer M photons in Bi; peaks do not know of ranges."""
    rows = np.append(response.low.values, response.high.values[-1])
    errors = relative_errors(XIFU, response, rows, Settings())
    at = errors.sel(energy=7002.5)
    counts, longer = at.sel(cause="counts"), at.sel(cause="electron ranges x 1.1")
    assert float(counts.partial) == pytest.approx(float(response.partial_err[40] / response.partial[40]))
    assert float(longer.continuum_total) == pytest.approx(0.1, abs=0.03)
    assert abs(float(longer.peaks.sel(line="Bi M5-N7"))) < 5 * float(counts.peaks.sel(line="Bi M5-N7"))
    krause = float(at.sel(cause="yields: krause").peaks.sel(line="Bi M5-N7"))
    assert krause == pytest.approx(-0.13, abs=5 * float(counts.peaks.sel(line="Bi M5-N7")))


def test_files_keep_the_rules(folder):
    with fits.open(folder / "a.rmf") as file:
        file.verify("exception")
        matrix, bounds = file["MATRIX"], file["EBOUNDS"]
        assert len(file) == 3 and matrix.columns.names == "ENERG_LO ENERG_HI N_GRP F_CHAN N_CHAN MATRIX".split()
        asked = {"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": "RSP_MATRIX", "HDUCLAS3": "REDIST"}
        asked |= {"HDUVERS": "1.3.0", "RMFVERSN": "1992a", "CHANTYPE": "PI", "DETCHANS": 3700, "TLMIN4": 1}
        asked |= {"NUMGRP": 80, "LO_THRES": 0.0, "ELECTRON": "range"}
        assert {key: matrix.header[key] for key in asked} == asked
        assert {"TELESCOP", "INSTRUME", "FILTER"} <= set(matrix.header) & set(bounds.header)
        assert bounds.header["CHANTYPE"] == "PI" and bounds.header["TLMIN1"] == 1
        history = "".join(matrix.header["HISTORY"])
        assert "Each row sums to 1" in history and "Compared: straight electrons, 2 to 10 keV" in history
        assert matrix.columns["F_CHAN"].format == matrix.columns["N_CHAN"].format == "J"
        rows = matrix.data
        assert rows["ENERG_LO"][0] == np.float32(6.8)
        np.testing.assert_array_equal(rows["ENERG_LO"][1:], rows["ENERG_HI"][:-1])
        assert np.all(rows["N_GRP"] == 1) and np.all(rows["F_CHAN"] >= 1)
        assert np.all(rows["F_CHAN"] + rows["N_CHAN"] - 1 <= 3700)
        assert [v.size for v in rows["MATRIX"]] == rows["N_CHAN"].tolist()
        assert matrix.header["NUMELT"] == rows["N_CHAN"].sum()
        assert np.abs(np.array([v.sum(dtype=float) for v in rows["MATRIX"]]) - 1).max() < 1e-6
        np.testing.assert_array_equal(bounds.data["CHANNEL"], np.arange(1, 3701))
    with fits.open(folder / "a.arf") as file:
        file.verify("exception")
        table = file["SPECRESP"]
        assert table.header["HDUCLAS2"] == "SPECRESP" and table.columns["SPECRESP"].unit == "cm**2"
        middle = 500.0 * (table.data["ENERG_LO"].astype(float) + table.data["ENERG_HI"])
        np.testing.assert_allclose(table.data["SPECRESP"], 2.5 * quantum_efficiency(XIFU, middle), rtol=2e-3)
    with xr.open_dataset(folder / "a.nc") as kept:
        assert Absorber.from_toml(kept.attrs["absorber"]).to_toml() == XIFU.to_toml()
        for name, variable in kept.variables.items():
            assert "units" in variable.attrs and variable.attrs["long_name"], name
    assert (folder / "a.png").stat().st_size > 10_000
    assert sorted(os.listdir(folder)) == ["a.arf", "a.nc", "a.png", "a.rmf"]


def test_soxs_finds_the_line_again(folder, monkeypatch, response):
    """Events of a line at 7.0008 keV, drawn by soxs: centroid, number in the line, and share that lost energy."""
    soxs = pytest.importorskip("soxs")
    monkeypatch.chdir(folder)
    rmf, arf = soxs.RedistributionMatrixFile("a.rmf"), soxs.AuxiliaryResponseFile("a.arf")
    assert (rmf.n_e, rmf.n_ch, rmf.cmin) == (80, 3700, 1)
    np.testing.assert_allclose(rmf.weights, 1.0, atol=2e-6)
    n = 400_000
    events = rmf.scatter_energies({"energy": np.full(n, 7.0008)}, prng=np.random.RandomState(1))
    found = 1000.0 * np.sort(events["energy"])
    line = found[found > 6950.0]
    at = response.sel(energy=7002.5)
    assert line.mean() == pytest.approx(7002.5, abs=4.4 * line.std() / np.sqrt(n) + 0.05)
    assert line.std() == pytest.approx(np.sqrt(2.5**2 / 5.545 + 25 / 12 + 4 / 6), rel=0.02)
    expected = float(at.partial) * n
    assert abs(n - line.size - expected) < 4.4 * np.sqrt(expected) + 0.01 * expected
    spectrum = soxs.Spectrum.from_powerlaw(1.7, 0.0, 1e-2, 6.7, 7.3, 1200)
    folded = soxs.ConvolvedSpectrum.convolve(spectrum, arf)
    counts = rmf.convolve_spectrum(folded, 1000.0, noisy=False)
    e = np.linspace(6.8025, 7.1975, 6001)  # soxs takes the area to be zero beyond the middles of the outer rows
    area = 2.5 * quantum_efficiency(XIFU, 1000.0 * e)
    assert counts.sum() == pytest.approx(1000.0 * np.trapezoid(1e-2 * e**-1.7 * area, e), rel=3e-3)
    inside = slice(3320, 3480)
    smooth = np.polyval(np.polyfit(np.arange(160), counts[inside], 2), np.arange(160))
    assert np.abs(counts[inside] / smooth - 1.0).max() < 2e-3  # rows averaged over their width leave no ripple


def test_sixty_thousand_channels(tmp_path, monkeypatch, capsys):
    """Channel numbers and counts beyond 16 bits."""
    monkeypatch.chdir(tmp_path)
    grid = ["--grid", "11:11.02:5eV", "--channels", "0.2:12.2:0.2eV", "-n", "20000"]
    monkeypatch.setattr("sys.argv", ["xcal-jax", "rmf", "xifu", *grid, "-o", "a.rmf"])
    main()
    assert "4 rows, 60000 channels" in capsys.readouterr().err
    with fits.open("a.rmf") as file:
        assert file["MATRIX"].header["DETCHANS"] == 60000
        assert np.all(file["MATRIX"].data["N_CHAN"] > 2**15)
        assert file["EBOUNDS"].data["CHANNEL"][-1] == 60000


@pytest.mark.slow
def test_every_file_has_its_figure(folder, tmp_path, monkeypatch):
    """Axes with labels and units; PNG, PDF and SVG; what is no file of this program is refused."""
    simulate(XIFU, 7000.0, n=1000).pipe(save, tmp_path / "r.nc")
    event = Event(*(np.full(50, v, np.float32) for v in (7000.0, 7000.0)), np.zeros(50, int), *np.zeros((3, 50)))
    for name in ("e.nc", "e.fits"):
        with event_file(tmp_path / name, {"absorber": XIFU.to_toml(), "source": "{}", "seed": "1"}, 50) as append:
            append(event)
    files = [(folder / "a.rmf", None), (folder / "a.nc", "escape"), (folder / "a.nc", "efficiency")]
    for path, what in [*files, *((tmp_path / name, None) for name in ("r.nc", "e.nc", "e.fits"))]:
        figure = figure_of(path, what)
        for axes in figure.axes:
            assert axes.get_ylabel() and ("(" in axes.get_ylabel() or "per " in axes.get_ylabel())
        assert any("(" in axes.get_xlabel() for axes in figure.axes)
        assert "range" in figure.axes[0].get_title()
    monkeypatch.chdir(tmp_path)
    for name in ("a.pdf", "a.svg"):
        monkeypatch.setattr("sys.argv", ["xcal-jax", "plot", str(folder / "a.rmf"), "-o", name])
        main()
        assert (tmp_path / name).stat().st_size > 10_000
    (tmp_path / "text").write_text("hello")
    fits.PrimaryHDU().writeto(tmp_path / "other.fits")
    assert "cm²" in figure_of(folder / "a.arf").axes[0].get_ylabel()
    for path in ("text", "other.fits", "none"):
        with pytest.raises(ValueError, match="must be"):
            figure_of(path)
    with pytest.raises(ValueError, match="must be escape or efficiency"):
        figure_of(folder / "a.nc", "map")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--grid", "12:0.2:5eV"], "must run upwards"),
        (["--fwhm", "0eV"], "the FWHM must be positive"),
        (["--fwhm", "-1eV"], "the FWHM must be positive"),
        (["--fwhm", "nan"], "must be finite"),
        (["--fwhm", "1MeV", "--channels", "0.2:12.5:2eV"], "must be less than the range of `channels`, 12300 eV"),
        (["--fwhm-file", "none.txt"], "none.txt"),
        (["--fwhm", "2eV", "--fwhm-file", "x"], "not both"),
        (["--thin", "0", "--channels", "0.2:12.5:0.02eV"], "the matrix must be at most 2.15 GB"),
        (["--channels", "0.2:12.5:1e-3eV"], "at most 1048576 intervals"),
        (["--channels", "1:12.5:2eV"], "must cover the grid"),
        (["--grid", "0.05:12:5eV"], "within the tables"),
        (["--tolerance", "0"], "tolerance` must be"),
        (["--tolerance", "nan"], "tolerance` must be"),
        (["-n", "0"], "photons per energy must be"),
        (["-n", "1.5"], "must be a whole number"),
        (["--thin", "1"], "`--thin` must be at least 0 and at most 0.01, but is 1"),
        (["--core", "--losses-only"], "exclude each other"),
        (["--like", "none.rmf"], "'none.rmf' must be a redistribution matrix, but does not exist"),
        (["--card", "OBJECT=Crab"], "must be NAME=VALUE with one of TELESCOP"),
        (["--card", "DETNAM="], "must be 1 to 60 ASCII characters"),
        (["--filter", "Al"], "`filters` must be MATERIAL:THICKNESS"),
        (["--filter", "Al:1keV"], "unit like um"),
        (["--area-file", "none.arf"], "'none.arf' must be an effective area (ARF), but does not exist"),
        (["--first-channel", "2"], "2 is not in the range 0<=x<=1"),
        (["--split", "out.rmf"], "must be another file than the output"),
        (["--area", "0cm^2"], "`--area` must be positive"),
        (["--yields", "best"], "'best' is not one of 'eadl', 'krause'"),
        (["--arf", "out.rmf"], "must be another file than the output"),
        (["--plot", "a.gif"], ".png, .pdf, .svg"),
        (["--arf", "none/a.arf"], "folder must exist"),
    ],
)
def test_bad_input_is_one_sentence(refused, words, sentence):
    assert sentence in refused("rmf", "xifu", *words, "-o", "out.rmf")


@pytest.mark.parametrize(
    "text", ["", "1000 2.5\n", "1000 2.5\n900 2.5\n", "100 2\n900 0\n", "100 2\n900 nan\n", "a b\n"]
)
def test_bad_resolutions(refused, tmp_path, text):
    (tmp_path / "fwhm.txt").write_text(text)
    if text.count("\n") == 1 and text[0] == "1":
        Resolution.build(file=tmp_path / "fwhm.txt")  # one width is a resolution
        return
    assert "fwhm" in refused("rmf", "xifu", "--fwhm-file", "fwhm.txt", "-o", "out.rmf").lower()


def test_resolution_between_and_beyond(tmp_path):
    (tmp_path / "fwhm.txt").write_text("# eV eV\n1000 2\n3000 4\n")
    resolution = Resolution.build(file=tmp_path / "fwhm.txt")
    np.testing.assert_allclose(resolution.sigma(np.array([0.0, 2000.0, 9000.0])) * np.sqrt(8 * np.log(2)), [2, 3, 4])


def test_memory_is_asked_first(monkeypatch):
    monkeypatch.setattr("xcal_jax.response.ogip.free_memory", lambda: 1e8)
    check_fits_memory(4 * 10**7)
    with pytest.raises(ValueError, match=r"more than the 0\.10 GB that are free"):
        check_fits_memory(6 * 10**7)
