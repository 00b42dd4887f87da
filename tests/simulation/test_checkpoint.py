"""Long runs: killed at any moment and resumed, they count the same, bit by bit; nothing foreign is taken up."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
import xarray as xr

from xcal_jax import Absorber, Source, load, merge, simulate
from xcal_jax.compute import fingerprint
from xcal_jax.io.checkpoint import Checkpoint
from xcal_jax.simulation import simulate as running

XIFU = Absorber.preset("xifu")
N = 4 * 10**7  # more than is done before the latest signal
# the command line, saving after every block instead of every 10 s
COMMAND = (
    "from xcal_jax.simulation import simulate; from xcal_jax.cli.main import main; simulate.SAVED_EVERY = 0.0; main()"
)


def test_a_run_goes_on_from_where_it_was(tmp_path, monkeypatch):
    """More photons are still the same run, with blocks elsewhere; a finished one alone is the result."""
    monkeypatch.setattr(running, "SAVED_EVERY", 0.0)
    path = tmp_path / "c.part"
    half = simulate(XIFU, 7000.0, n=200_000, checkpoint=path)
    whole = simulate(XIFU, 7000.0, n=300_001)
    xr.testing.assert_identical(simulate(XIFU, 7000.0, n=300_001, checkpoint=path), whole)
    xr.testing.assert_identical(simulate(XIFU, 7000.0, n=300_001, checkpoint=path), whole)
    with pytest.raises(ValueError, match="holds 300001 photons, more than `n`, which is 200000"):
        simulate(XIFU, 7000.0, n=200_000, checkpoint=path)
    xr.testing.assert_identical(simulate(XIFU, 7000.0, n=200_000, checkpoint=path, resume=False), half)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2}, "seed"),
        ({"source": 6000.0}, "source"),
        ({"source": Source.build(7000.0, forced=False)}, "source"),
        ({"bin_width": 2.0}, "bin width"),
        ({"yields": "krause"}, "yields"),
        ({"loss_above": (50.0, 1000.0)}, "loss thresholds"),
        ({"absorber": Absorber.preset("xifu-thick")}, "absorber"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_refuses_the_checkpoint_of_another(tmp_path, monkeypatch, change, named):
    monkeypatch.setattr(running, "SAVED_EVERY", 0.0)
    arguments = {"absorber": XIFU, "source": 7000.0, "n": 1000, "checkpoint": tmp_path / "c.part"}
    simulate(**arguments)
    with pytest.raises(ValueError, match=rf"another run \(another {named}\)"):
        simulate(**{**arguments, **change})


def test_a_run_refuses_the_checkpoint_of_other_physics(tmp_path, monkeypatch):
    """One line of the physics is changed: the checkpoint of before is refused, and results of both do not merge."""
    monkeypatch.setattr(running, "SAVED_EVERY", 0.0)
    before = simulate(XIFU, 7000.0, n=1000, checkpoint=tmp_path / "c.part")
    monkeypatch.setattr(fingerprint, "physics_hash", lambda: "another")
    with pytest.raises(ValueError, match=r"another run \(another physics\)"):
        simulate(XIFU, 7000.0, n=1000, checkpoint=tmp_path / "c.part")
    after = before.assign_attrs(seed="2", physics="another")
    with pytest.raises(ValueError, match="same physics"):
        merge(before, after)


def test_events_are_not_resumed(tmp_path):
    with pytest.raises(ValueError, match="exclude each other"):
        simulate(XIFU, 7000.0, n=1000, checkpoint=tmp_path / "c.part", on_events=print)


def test_two_runs_to_one_checkpoint_are_refused(tmp_path):
    path = tmp_path / "c.part"
    for resume in (True, False):
        with closing(Checkpoint.open(path, resume=True)), pytest.raises(ValueError, match="but another is at work"):
            simulate(XIFU, 7000.0, n=1000, checkpoint=path, resume=resume)
    simulate(XIFU, 7000.0, n=1000, checkpoint=path)
    assert not path.exists()  # it took no 10 s


def start(folder, *more):
    words = ["simulate", "xifu", "--energy", "7keV", "-n", f"{N:g}", "-o", "out.nc", *more]
    command = [sys.executable, "-c", COMMAND, *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop_underway(run, part, stop, after, delay):
    """Send the signal ``stop`` to the run, ``delay`` s after its checkpoint is newer than ``after``; its new time."""
    until = time.monotonic() + 120
    while not part.exists() or part.stat().st_mtime_ns <= after:
        assert run.poll() is None and time.monotonic() < until, run.stderr.read()
        time.sleep(0.005)
    time.sleep(delay)
    run.send_signal(stop)
    _, err = run.communicate(timeout=60)
    assert "Traceback" not in err
    return part.stat().st_mtime_ns, err


@pytest.mark.slow
def test_killed_interrupted_and_resumed(tmp_path):
    """SIGKILL at a random moment, each signal that asks to end at another, then to the end: nothing is lost.

    The photons of one run after the other are more, and the last has the Dataset of a run that nobody stopped.
    """
    part, done = tmp_path / "out.nc.part" / "0.part", 0
    run = start(tmp_path)
    saved, _ = stop_underway(run, part, signal.SIGKILL, 0, np.random.default_rng().uniform(0.0, 0.15))
    assert run.returncode == -signal.SIGKILL and not (tmp_path / "out.nc").exists()
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        run = start(tmp_path, "--resume")
        saved, err = stop_underway(run, part, stop, saved, np.random.default_rng().uniform(0.0, 0.15))
        assert run.returncode == 128 + stop
        assert "the same command with --resume goes on from out.nc.part" in err
        interrupted = load(tmp_path / "out.nc")
        assert interrupted.attrs["complete"] == 0 and done < int(interrupted.photons) < N
        done = int(interrupted.photons)
        with np.load(part) as kept:
            assert kept["done"] == done
    run = start(tmp_path, "--resume")
    _, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert os.listdir(tmp_path) == ["out.nc"]
    xr.testing.assert_identical(load(tmp_path / "out.nc"), simulate(XIFU, 7000.0, n=N))


def test_an_interruption_is_raised_after_the_checkpoint_or_handed_back(tmp_path):
    """A loop in Python stops at Ctrl-C; only who asks gets what is done; the checkpoint goes on from there."""

    def stopped(work, tasks):
        yield work(next(iter(tasks)))
        raise KeyboardInterrupt

    part, n = tmp_path / "part", 2**18
    with pytest.raises(KeyboardInterrupt):
        simulate(XIFU, 7000.0, n=n, executor=stopped, checkpoint=part)
    resumed = simulate(XIFU, 7000.0, n=n, checkpoint=part)
    xr.testing.assert_identical(resumed, simulate(XIFU, 7000.0, n=n))
    handed = simulate(XIFU, 7000.0, n=n, executor=stopped, hand_back=True)
    assert handed.attrs["complete"] == 0 and int(handed.photons) == n // 2
