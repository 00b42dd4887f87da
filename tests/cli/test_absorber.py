"""The command line: what works, and that bad input leaves one sentence, exit code 2 and no file."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import xarray as xr

from xcal_jax.absorber.absorber import presets
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.simulation.results import load, partial_count

ABSORBER = """
width = "100 um"
length = "100 um"
[[layers]]
material = "Bi"
thickness = "1 um"
"""


def write(tmp_path, name, text):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def refused(call, tmp_path, *words):
    """The sentence of a command that must fail, leaving the folder as it was."""
    before = sorted(os.listdir(tmp_path))
    code, out, err = call(*words)
    assert code == 2, (code, out, err)
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), err
    assert len(lines[0]) > 20
    assert sorted(os.listdir(tmp_path)) == before
    return lines[0]


GOOD = {"absorber": "xifu", "--energy": "7keV", "-n": "1000", "-o": "out.nc"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"absorber": "xifuu"}, "nearest preset is 'xifu'"),
        ({"absorber": "nothing.toml"}, "a TOML file, but is 'nothing.toml'"),
        ({"absorber": "."}, "a preset"),
        ({"absorber": ""}, "a preset"),
        ({"absorber": "x" * 5000}, "x"),
        ({"--energy": None}, "needs one of `energy`, `spectrum`, `line`, `radioactive` and `photon_list`"),
        ({"--energy": "99eV"}, "100 eV to 1e\\+06 eV, but is 99 eV"),
        ({"--energy": "1.01MeV"}, "100 eV to 1e\\+06 eV, but is 1.01e\\+06 eV"),
        ({"--energy": "-7keV"}, "within the tables"),
        ({"--energy": "0"}, "within the tables"),
        ({"--energy": "nan"}, "finite"),
        ({"--energy": "7um"}, "unit like eV"),
        ({"--energy": "7,0keV"}, "`--energy` must have a unit at every energy or at none"),
        ({"--energy": "seven"}, "unit like eV"),
        ({"--energy": "7keV:1:2"}, "ENERGY or ENERGY:WEIGHT"),
        ({"--energy": "7keV:-1"}, "not negative"),
        ({"--energy": "7keV:x"}, "--energy weight"),
        ({"--energy": ","}, "unit like eV"),
        ({"--energy": "7keV)"}, "unit like eV"),
        ({"--energy": "1/0 eV"}, "unit like eV"),
        ({"-n": "0"}, "`n` must be at least 1"),
        ({"-n": "-5"}, "`n` must be at least 1"),
        ({"-n": "1e30"}, "at most 1e\\+13"),
        ({"-n": "2.5"}, "whole number"),
        ({"-n": "nan"}, "finite"),
        ({"-n": "inf"}, "finite"),
        ({"-n": "many"}, "`-n` must be a number"),
        ({"-n": ""}, "`-n` must be a number"),
        ({"-n": "5keV"}, "`-n` must be a number"),
        ({"--seed": "-1"}, "`seed` must be at least 0"),
        ({"--seed": str(2**64)}, "`seed` must be at least 0"),
        ({"--seed": "abc"}, "seed"),
        ({"--yields": "best"}, "'best' is not one of 'eadl', 'krause'"),
        ({"--electrons": "straight"}, "'straight' is not one of 'range', 'scattering'"),
        ({"--loss-above": "50eV,1um"}, "`--loss-above` must be a number with a unit like eV, but is '1um'"),
        ({"--loss-above": ""}, "`--loss-above` must be a number"),
        ({"--loss-above": "0"}, "`loss_above` must be positive and finite, but has 0 eV"),
        ({"--loss-above": "1keV,1000"}, "`loss_above` must have each threshold once"),
        ({"--bin": "0"}, "`bin_width` must be positive"),
        ({"--bin": "-1eV"}, "`bin_width` must be positive"),
        ({"--bin": "nan"}, "finite"),
        ({"--bin": "1e-9eV"}, "at most 16777216 bins"),
        ({"--bin": "1um"}, "unit like eV"),
        ({"--at": "134.76um,0"}, "impact x must be within 134.75 um"),
        ({"--at": "0,-200"}, "impact y must be within"),
        ({"--at": "0"}, "2 numbers separated by commas"),
        ({"--at": "0,0,0"}, "2 numbers"),
        ({"--at": "nan,0"}, "finite"),
        ({"--at": "1keV,0"}, "unit like um"),
        ({"--spot": "0,0,0"}, "positive standard deviation"),
        ({"--spot": "0,0,-1um"}, "positive standard deviation"),
        ({"--spot": "0,0"}, "3 numbers"),
        ({"--spot": "500,0,1"}, "impact x must be within"),
        ({"--at": "0,0", "--spot": "0,0,1"}, "exclude each other"),
        ({"--angle": "90deg"}, "below 90 deg"),
        ({"--angle": "2rad"}, "below 90 deg"),
        ({"--angle": "-1"}, "at least 0"),
        ({"--angle": "1keV"}, "unit like deg"),
        ({"--angle": "10", "--isotropic": True}, "exclude each other"),
        ({"--spectrum": "none.txt"}, "and not both"),
        ({"--energy": None, "--spectrum": "."}, "must be a text file"),
        ({"--energy": None, "--spectrum": "none.txt"}, "none.txt"),
        ({"-o": None}, "output"),
        ({"-o": "none/out.nc"}, "output folder must exist, but 'none' does not"),
        ({"-o": "."}, "must be a file, but '.' is a folder"),
        ({"--events": "none/e.nc"}, "output folder must exist"),
        ({"--plot": "none/p.png"}, "output folder must exist"),
        ({"--plot": "p.gif"}, "must end in one of .png, .pdf, .svg"),
        ({"--plot": "p"}, "must end in one of .png, .pdf, .svg"),
        ({"--events": "./out.nc"}, "must be another file than the output"),
        ({"--plot": "out.nc"}, "must end in"),
        ({"--events": "y.csv"}, "output must end in one of .nc, .fits"),
        ({"--events": "e.nc", "--resume": True}, "`--resume` and `--events` exclude each other"),
        ({"--resume": "yes"}, "yes"),
        ({"--unknown": "1"}, "--unknown"),
        ({"--sed": "1"}, "--seed"),
    ],
    ids=lambda value: " ".join(f"{k} {v}"[:40] for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_bad_input(call, tmp_path, change, sentence):
    options = {**GOOD, **change}
    words = ["simulate", options.pop("absorber")]
    for option, value in options.items():
        words += [] if value is None else [option] if value is True else [option, value]
    assert re.search(sentence, refused(call, tmp_path, *words))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ABSORBER.replace('"1 um"', '"0 um"'), "`layers.0.thickness` in absorber .* must be positive"),
        (ABSORBER.replace('"1 um"', '"-1 um"'), "but is -1 um"),
        (ABSORBER.replace('"1 um"', "nan"), "must be finite"),
        (ABSORBER.replace('"1 um"', "inf"), "must be finite"),
        (ABSORBER.replace('"1 um"', '"1 keV"'), "unit like um"),
        (ABSORBER.replace('"Bi"', '"Bb"'), "element 'Bb'"),
        (ABSORBER.replace("thickness", "thicknes"), "unknown key `layers.0.thicknes` .* is `thickness`"),
        (ABSORBER.replace("width", "Width"), "unknown key `Width` .* is `width`"),
        (ABSORBER.split("[[")[0], "`layers` is missing"),
        (ABSORBER.split("[[")[0] + "layers = []", "a list of 1 or more"),
        (ABSORBER[:-10], "must be valid TOML"),
        (b"\x00\x01\xff", "TOML"),
        (b"\x89HDF", "TOML"),
        ("", "`width` is missing"),
    ],
)
def test_bad_absorbers(call, tmp_path, text, sentence):
    write(tmp_path, "a.toml", text)
    found = refused(call, tmp_path, "simulate", "a.toml", "--energy", "7keV", "-n", "100", "-o", "out.nc")
    assert re.search(sentence, found) and "a.toml" in found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "two columns"),
        ("# nothing\n", "two columns"),
        ("1000 1\n", "at least two"),
        ("1000 nan\n2000 1\n", "finite"),
        ("nan 1\n2000 1\n", "nan eV"),
        ("2000 1\n1000 1\n", "each above the one before"),
        ("1000 1\n2000 -1\n", "not negative"),
        ("1 1\n2000 1\n", "but is 1 eV"),
        ("1000 1 1\n2000 1 1\n", "but line 1 is '1000 1 1'"),
        ("1000 1\n2000\n", "two columns"),
        (b"\xff\xfe\x00\x01", "is not text"),
    ],
)
def test_bad_spectra(call, tmp_path, text, sentence):
    write(tmp_path, "s.txt", text)
    found = refused(call, tmp_path, "simulate", "xifu", "--spectrum", "s.txt", "-n", "100", "-o", "out.nc")
    assert re.search(sentence, found)


@pytest.mark.parametrize(
    "words",
    [
        ("simulate",),
        ("show",),
        ("nothing",),
        ("show", "a.nc", "--plot", "no/p.png"),
        ("sweep",),
        ("sweep", "none.toml", "-o", "out.nc"),
        ("sweep", ".", "-o", "out.nc"),
        ("sweep", "s.toml", "-o", "no/out.nc"),
    ],
)
def test_bad_words(call, tmp_path, words):
    refused(call, tmp_path, *words)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A small run through the door: its folder."""
    folder = tmp_path_factory.mktemp("run")
    words = "simulate xifu --energy 7keV -n 2e4 --seed 5 --at 134.7um,134.7um --events e.nc --plot p.png -o out.nc"
    done = subprocess.run(
        [sys.executable, "-m", "xcal_jax", *words.split()], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run(result):
    assert sorted(os.listdir(result)) == ["e.nc", "out.nc", "p.png"]
    counts = load(result / "out.nc")
    assert int(counts.photons) == 20_000 and counts.attrs["seed"] == "5"
    with xr.open_dataset(result / "e.nc") as events:
        assert events.sizes["photon"] == 20_000
        assert int((events.deposited < 6999.999).sum()) == int(partial_count(counts))
    assert (result / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_show_as_json(call, tmp_path, result):
    code, out, err = call("show", str(result / "out.nc"), "--json")
    assert code == 0 and err == ""
    facts = json.loads(out)
    keys = "energy n interaction_probability partial partial_err photon_escape electron_escape both "
    keys += "mean_deposit peaks loss_above seed version"
    assert set(keys.split()) <= set(facts)
    assert set(facts["peaks"][0]) >= {"line", "energy", "line_energy", "intensity", "intensity_err"}
    assert facts["energy"] == 7000 and facts["n"] == 20_000 and facts["seed"] == 5
    assert 0.35 < facts["partial"] < 0.45


def test_show_as_text_and_plot(call, tmp_path, result):
    code, out, err = call("show", str(result / "out.nc"), "--plot", "again.png")
    assert code == 0 and err == "written: again.png\n" and (tmp_path / "again.png").stat().st_size > 10_000
    assert "interaction probability  90.2" in out and "Bi M5-N7" in out


def test_show_of_an_absorber(call, tmp_path):
    """A preset, and a file: layers, areal density, heat capacity and quantum efficiency."""
    (tmp_path / "mine.toml").write_text(
        'width = 100\nlength = 100\n[[layers]]\nmaterial = "HgTe"\nthickness = "2 um"\n'
        '[[layers]]\nmaterial = "Au"\nthickness = "1 um"\n'
    )
    for name, first in (("gold", "Au "), ("mine.toml", "HgTe ")):
        code, out, _ = call("show", name)
        assert code == 0 and out.splitlines()[2].startswith(first)
    assert "unknown" in out.splitlines()[2] and out.splitlines()[3].endswith("0.06115 pJ/K")
    expected = quantum_efficiency(str(tmp_path / "mine.toml"), 3000.0)
    assert f"quantum efficiency at 3 keV         {expected:.4f}" in out
    (tmp_path / "other.toml").write_text("a = 1\n")
    assert "unknown key" in refused(call, tmp_path, "show", "other.toml")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_show_of_truncated_files(call, tmp_path, result, share):
    content = (result / "out.nc").read_bytes()
    write(tmp_path, "t.nc", content[: int(share * len(content))])
    assert "cannot be read" in refused(call, tmp_path, "show", "t.nc")


@pytest.mark.parametrize("name", ["none.nc", ".", "text.nc"])
def test_show_of_other_files(call, tmp_path, result, name):
    write(tmp_path, "text.nc", "hello")
    refused(call, tmp_path, "show", name)


def test_show_with_an_impossible_plot_prints_nothing(call, tmp_path, result):
    assert ".png, .pdf, .svg" in refused(call, tmp_path, "show", str(result / "out.nc"), "--plot", "p.gif")


def test_absorbers(call):
    code, out, _ = call("absorbers")
    assert code == 0
    assert re.search(r"xifu +1\.0000 +1\.0000 +0\.902\d", out)
    assert [line.split()[0] for line in out.splitlines()[1:]] == presets()


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("simulate", "--help"), ("show", "-h")])
def test_help(call, words):
    code, out, err = call(*words)
    assert code == 0 and err == "" and len(out) > 10


@pytest.fixture
def long_run(tmp_path):
    """Begin a run that would take hours, in an empty folder."""
    begun = []

    def begin(*more):
        words = ["simulate", "xifu", "--energy", "7keV", "--at", "0,0", "-n", "1e11", "-o", "out.nc", *more]
        command = [sys.executable, "-m", "xcal_jax", *words]
        pipe = subprocess.PIPE
        begun.append(subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True))
        return begun[-1]

    yield begin
    for run in begun:
        run.kill()
        run.communicate()


def wait_for_blocks(folder, running):
    """Until an event file has grown: blocks are done."""
    until = time.monotonic() + 120
    while time.monotonic() < until and running.poll() is None:
        if any(path.stat().st_size > 10**6 for path in folder.glob(".e-*")):
            return
        time.sleep(0.2)
    raise AssertionError("no block was done")


@pytest.mark.exhaustive
@pytest.mark.slow
def test_interrupted_run_keeps_what_is_done(tmp_path, long_run):
    running = long_run("--events", "e.nc")
    wait_for_blocks(tmp_path, running)
    running.send_signal(signal.SIGINT)
    _out, err = running.communicate(timeout=60)
    assert "Traceback" not in err
    assert running.returncode == 130
    counts = load(tmp_path / "out.nc")
    assert counts.attrs["complete"] == 0
    assert 0 < int(counts.photons) < 1e11
    assert int(counts.spectrum.sum()) == int(counts.interacting) == int(counts.photons)
    with xr.open_dataset(tmp_path / "e.nc") as events:
        assert events.sizes["photon"] == int(counts.photons)
        assert events.attrs["complete"] == 0
    assert sorted(os.listdir(tmp_path)) == ["e.nc", "out.nc"]


def test_interrupted_before_the_first_block_leaves_none(tmp_path, long_run):
    running = long_run()
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode != 0 and "Traceback" not in err
    assert os.listdir(tmp_path) == []


@pytest.mark.exhaustive
@pytest.mark.slow
def test_killed_run_leaves_no_file_of_that_name(tmp_path, long_run):
    running = long_run("--events", "e.nc")
    wait_for_blocks(tmp_path, running)
    running.kill()
    running.communicate(timeout=60)
    assert not (tmp_path / "out.nc").exists() and not (tmp_path / "e.nc").exists()
