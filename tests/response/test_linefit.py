"""Physics fitted to simulated lines: the truth comes back, with honest errors."""

import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.io.datasets import save as save_result
from xcal_jax.response.line_shape import Detector, line_in_channels
from xcal_jax.response.linefit import fit_linear, linearise
from xcal_jax.response.measured import read_line
from xcal_jax.simulation.simulate import simulate
from xcal_jax.simulation.trapping import Trapping

TRIALS, PHOTONS = 50, 50_000
TRUTH = {"thickness[0]": 3.0, "yield": 1.0, "range": 1.0, "tail_frac": 0.03, "tail_tau": 40.0}
FWHM = 2.5  # eV
START, TRAPPING = Detector(FWHM, Trapping(0.02, 60.0)), ("tail_frac", "tail_tau")
FIGURES = 0.33  # sigmas that the expected figures' own error may shift all trials by
EDGES = np.concatenate([np.arange(100, 6600, 50.0), np.arange(6600, 6960, 10.0), np.arange(6960, 7021, 1.0)])


@pytest.fixture(scope="module")
def slab():
    return Absorber.build([("Bi", 3.0)], 50.0, 50.0, "slab")


@pytest.fixture(scope="module")
def linear(slab):
    return linearise(slab, 7000.0, ("thickness", "yield", "range"), n=2**15)


@pytest.fixture(scope="module")
def trials(slab):
    """Spectra of the Monte Carlo, with trapping and noise put on photon by photon: (TRIALS, C) counts."""
    blocks = []
    draw = np.random.default_rng(3)
    ends = np.cumsum(draw.poisson(PHOTONS, TRIALS))
    simulate(slab, 7000.0, n=int(ends[-1]), seed=11, on_events=lambda b: blocks.append(np.asarray(b.deposited)))
    deposited = np.concatenate(blocks).astype(float)
    trapped = draw.random(deposited.size) < TRUTH["tail_frac"]
    deposited -= np.where(trapped, draw.exponential(TRUTH["tail_tau"], deposited.size), 0.0)
    deposited += draw.normal(0.0, FWHM / np.sqrt(8 * np.log(2)), deposited.size)
    return np.stack([np.histogram(part, EDGES)[0] for part in np.split(deposited, ends[:-1])])


def pulls(found, truth):
    """(value - truth) / error, (TRIALS, P)."""
    assert all(fit.converged for fit in found)
    return np.array([(fit.values - truth) / fit.errors for fit in found])


def save(folder, counts, edges=EDGES):
    """The slab and a spectrum, as the command reads them."""
    layer = '[[layers]]\nmaterial = "Bi"\nthickness = "3 um"\n'
    (folder / "slab.toml").write_text(f'name = "slab"\nwidth = "50 um"\nlength = "50 um"\n{layer}')
    rows = (f"{low:.17g},{high:.17g},{n:g}\n" for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True))
    (folder / "line.csv").write_text("low_ev,high_ev,counts\n" + "".join(rows))


def check(pulls):
    """Every mean within 3 sigma of the truth, pulls neither wide nor narrow."""
    few = 3.0 / np.sqrt(len(pulls))
    assert np.all(np.abs(pulls.mean(axis=0)) < few + FIGURES)
    assert np.all(np.abs(pulls.std(axis=0, ddof=1) - 1.0) < 3.0 / np.sqrt(2 * len(pulls)))
    assert np.all(np.abs(pulls) < 4.5)


@pytest.mark.slow
def test_closure(slab, linear, trials):
    """50 trials with the incident photons known: thickness, yields, ranges and trapping all come back."""
    incident = PHOTONS / quantum_efficiency(slab, [7000.0])[0]
    found = [fit_linear(linear, counts, EDGES, START, TRAPPING, incident) for counts in trials]
    assert found[0].parameters == tuple(TRUTH)
    check(pulls(found, np.array([*TRUTH.values()])))
    assert np.mean([fit.errors[0] for fit in found]) < 0.06  # um
    reduced = np.mean([fit.deviance / (fit.channels - 5) for fit in found])
    assert 0.7 < reduced < 1.7  # above 1: few counts a channel, and a continuum in coarser steps than the truth's


@pytest.mark.slow
def test_closure_of_the_shape(linear, trials):
    """Without them, the thickness known."""
    keep = np.array([1, 2])
    names = {"parameters": linear.parameters[1:], "origin": linear.origin[keep]}
    slopes = {n: getattr(linear, n)[keep] for n in ("probability_slope", "peaks_slope", "loss_slope")}
    shape = replace(linear, **names, **slopes)
    found = [fit_linear(shape, counts, EDGES, START, TRAPPING) for counts in trials]
    assert found[0].parameters == (*list(TRUTH)[1:], "photons")
    check(pulls(found, np.array([*list(TRUTH.values())[1:], PHOTONS]))[:, :4])


@pytest.mark.slow
def test_the_line_moves_with_the_energy(linear):
    """Photons of 3 eV more are seen 3 eV higher, whatever they lose."""
    more = 3.0
    shape = np.asarray(line_in_channels(linear.at(linear.origin), linear.lines, linear.thresholds, START, EDGES - more))
    slopes = {name: getattr(linear, name)[:1] * 0.0 for name in ("probability_slope", "peaks_slope", "loss_slope")}
    moving = replace(linear, parameters=("energy",), origin=np.array([7000.0]), **slopes)
    found = fit_linear(moving, PHOTONS * shape, EDGES, START)
    assert found.parameters == ("energy", "photons")
    assert found.values == pytest.approx([7000.0 + more, PHOTONS], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("counts", "edges", "also", "sentence"),
    [
        (np.ones(3), np.arange(3.0), (), "one more than the 3 channels"),
        (np.ones(3), np.array([0.0, 2.0, 1.0, 3.0]), (), "must ascend"),
        (np.zeros(3), np.arange(4.0), (), "not all zero"),
        (np.array([1.0, np.nan, 1.0]), np.arange(4.0), (), "finite"),
        (np.array([1.0, -1.0, 1.0]), np.arange(4.0), (), "not negative"),
        (np.ones(3), np.arange(4.0), ("gain",), "has gain"),
    ],
)
def test_refused(linear, counts, edges, also, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_linear(linear, counts, edges, Detector(FWHM, Trapping(0.02, 50.0)), also)


@pytest.mark.slow
def test_too_few_incident(linear):
    with pytest.raises(ValueError, match="at least the 3 photons counted, but is 2"):
        fit_linear(linear, np.ones(3), np.arange(4.0), START, incident=2.0)


@pytest.mark.slow
def test_command(call, tmp_path, slab, trials, linear):
    """The command finds what the library finds, from a table of channels, and draws it."""
    save(tmp_path, trials[0])
    words = "linefit line.csv --absorber slab.toml --energy 7keV --fwhm 2.5eV -n 32768 --json --plot line.png"
    fitted = "thickness[0],yield,range,tail_frac,tail_tau"
    incident = PHOTONS / quantum_efficiency(slab, [7000.0])[0]
    code, out, err = call(*words.split(), "--fit", fitted, "--incident", f"{incident:.9g}", "--trapping", "0.02:60eV")
    assert code == 0, err
    found = json.loads(out)
    mine = fit_linear(linear, trials[0], EDGES, START, TRAPPING, incident)
    assert list(found["parameters"]) == list(TRUTH) and found["channels"] == len(EDGES) - 1
    for name, value, error in zip(mine.parameters, mine.values, mine.errors, strict=True):
        part = found["parameters"][name]
        assert part["value"] == pytest.approx(value, abs=0.3 * error)  # linearised anew where the first fit ended
        assert part["err"] == pytest.approx(error, rel=0.2)
    assert found["parameters"]["thickness[0]"]["unit"] == "um"
    assert (tmp_path / "line.png").stat().st_size > 10_000


def test_spectra_are_read(tmp_path, slab):
    """A table, a result of `simulate`, and counts by channel are the same spectrum."""
    result = simulate(slab, 7000.0, n=20_000, seed=1, bin_width=10.0)
    save_result(result, tmp_path / "line.nc")
    counts, edges = read_line(tmp_path / "line.nc")
    np.testing.assert_array_equal(counts, result.spectrum.values)
    save(tmp_path, counts, edges)
    for found, expected in zip(read_line(tmp_path / "line.csv"), (counts, edges), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    table = fits.BinTableHDU.from_columns(
        [fits.Column("CHANNEL", "J", array=np.arange(counts.size)), fits.Column("COUNTS", "J", array=counts)]
    )
    table.header["EXTNAME"], table.header["EXPOSURE"] = "SPECTRUM", 10.0
    table.writeto(tmp_path / "line.pha")
    for found, expected in zip(read_line(tmp_path / "line.pha", (0.0, 10.0)), (counts, edges), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)


GOOD = "low_ev,high_ev,counts\n100,200,5\n200,300,7\n"


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        (GOOD.replace("low_ev", "low"), "", "must have the columns low_ev,high_ev,counts"),
        (GOOD.replace("5", "five"), "", "line 2 of the spectrum .* must hold numbers, but its counts is .five."),
        (GOOD.replace(",5", ""), "", "line 2 of the spectrum .* must have 3 columns as the header, but has 2"),
        (GOOD.replace("5", "nan"), "", "finite and not negative"),
        (GOOD.replace("5", "-5"), "", "finite and not negative"),
        (GOOD.replace("\n200", "\n210"), "", "must join, but one ends at 200 and the next begins at 210 eV"),
        (GOOD.replace("300", "150"), "", "must ascend in energy"),
        ("low_ev,high_ev,counts\n", "", "has none"),
        ("", "", "must have a header line"),
        (GOOD, "--bins 0eV,1eV", "has energies of its own"),
        (GOOD, "--window 1keV,2keV", "`window` must hold channels of 100 to 300 eV"),
        (GOOD, "--window 1keV", "2 numbers separated by commas"),
        (GOOD, "--fwhm 0eV", "`fwhm` must be positive, but is 0 eV"),
        (GOOD, "--trapping 2:10eV", "trapping fraction` must be at least 0 and at most 1, but is 2"),
        (GOOD, "--fit fwhm", "at least one parameter of the absorber"),
        (GOOD, "--fit thick", "'thick' is asked"),
        (GOOD, "--incident 3", "at least the 12 photons counted"),
        (GOOD, "-n 0", "`n` must be at least 1"),
        (GOOD, "--seed -1", "`seed` must be at least 0"),
        (GOOD, "--plot p.gif", "must end in one of"),
    ],
)
def test_bad_commands(call, tmp_path, text, words, sentence):
    (tmp_path / "line.csv").write_text(text)
    code, out, err = call(*"linefit line.csv --absorber xifu --energy 7keV --fwhm 2.5eV".split(), *words.split())
    assert code == 2 and out == "" and err.startswith("error: ") and len(err.strip().splitlines()) == 1
    assert re.search(sentence, err)
    assert os.listdir(tmp_path) == ["line.csv"]


def test_no_such_spectrum(tmp_path):
    for name, sentence in (("none.csv", "does not exist"), ("line.txt", "must end in one of")):
        (tmp_path / "line.txt").write_text("")
        with pytest.raises(ValueError, match=sentence):
            read_line(tmp_path / name)
