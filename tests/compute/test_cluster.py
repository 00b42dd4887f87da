"""Work on other processes: the same bits as in one, whoever dies on the way, and one sentence where it cannot be."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import xarray as xr

from xcal_jax import Absorber, load, simulate
from xcal_jax.cli.main import main
from xcal_jax.compute import cluster
from xcal_jax.compute.cluster import connect, in_cluster
from xcal_jax.response.nodes import Settings, simulate_nodes
from xcal_jax.simulation.counting import Run, Task, count
from xcal_jax.simulation.sweep import sweep
from xcal_jax.simulation.sweep_grid import Grid

pytestmark = pytest.mark.slow

distributed = pytest.importorskip("distributed", reason="extra `cluster` is not installed")
XIFU = Absorber.preset("xifu")
N = 12 * 2**17 + 5
SWEEP = 'absorber = "xifu"\nn = 1.1e6\n[grid]\nenergy = ["3 keV", "7 keV"]'


@pytest.fixture(scope="module")
def one_process():
    return simulate(XIFU, 7000.0, n=N)


@pytest.fixture(scope="module")
def client():
    """Two worker processes of one thread."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as local, distributed.Client(local, set_as_default=False) as client:
        yield client


def test_order_and_errors(client):
    assert list(in_cluster(client, abs, range(-100, 0))) == list(range(100, 0, -1))
    with pytest.raises(ZeroDivisionError):
        list(in_cluster(client, lambda n: 1 / n, [1, 0, 1]))


def test_workers_count_what_one_process_counts(client, one_process, tmp_path, monkeypatch, capfd):
    """Through the command line, at the scheduler's address."""
    monkeypatch.chdir(tmp_path)
    address = client.scheduler.address
    words = f"xcal-jax simulate xifu --energy 7keV -n {N} --scheduler {address} -o out.nc".split()
    monkeypatch.setattr("sys.argv", words)
    main()
    xr.testing.assert_identical(load("out.nc"), one_process)
    assert os.listdir(tmp_path) == ["out.nc"]


def test_nobody_else_can_use_the_workers():
    """They listen on this machine alone, and to those only who have the certificate of this run."""
    asks = """
import os, sys
from distributed import Client
try:
    Client(sys.argv[1], timeout=2.0)
    print("let in", flush=True)
except (OSError, TypeError):
    print("refused", flush=True)
os._exit(0)
"""
    with connect(workers=1) as executor:
        address = executor.args[0].scheduler.address
        assert list(executor(abs, [-1])) == [1] and address.startswith("tls://127.0.0.1:")
        for other in (address, address.replace("tls", "tcp")):
            done = subprocess.run([sys.executable, "-c", asks, other], capture_output=True, text=True, timeout=100)
            assert done.stdout == "refused\n"


def test_a_killed_worker_loses_nothing(client, one_process):
    """SIGKILL to one of two workers while all tasks are under way."""
    workers = client.run(os.getpid)
    assert len(workers) == 2 and os.getpid() not in workers.values()
    finished = []

    def killing(work, tasks):
        for result in in_cluster(client, work, tasks):
            finished.append(result)
            if len(finished) == 3:
                os.kill(next(iter(workers.values())), signal.SIGKILL)
            yield result

    xr.testing.assert_identical(simulate(XIFU, 7000.0, n=N, executor=killing), one_process)
    assert len(finished) == 13
    client.wait_for_workers(2, timeout=60)
    assert len(set(workers.values()) & set(client.run(os.getpid).values())) == 1


def test_a_sweep_on_workers(client, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    grid = Grid.load(tmp_path / "sweep.toml")
    there = sweep(grid, executor=partial(in_cluster, client))
    xr.testing.assert_identical(there, sweep(grid))


def test_nodes_of_a_response_on_workers(client):
    energy, settings = np.array([2000.0, 7000.0]), Settings(photons=150_000)
    here = simulate_nodes(XIFU, energy, np.ones(2), settings)
    there = simulate_nodes(XIFU, energy, np.ones(2), settings, executor=partial(in_cluster, client))
    for one, other in zip(here, there, strict=True):
        for name, value in vars(one).items():
            np.testing.assert_array_equal(getattr(other, name), value, name)
    assert here[0].partial != here[1].partial


def test_own_workers():
    """Processes of this machine that are gone afterwards."""
    with connect(workers=1) as executor:
        (pid,) = executor(lambda _: os.getpid(), [None])
        assert pid != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("fact", ["physics", "atomic tables", "JAX version"])
def test_a_worker_that_would_count_differently_refuses(fact):
    run = Run.build(XIFU, 7000.0)
    run = replace(run, environment={**run.environment, fact: "another"})
    with pytest.raises(ValueError, match=f"every process must count like the one that asks, but one has {fact}"):
        count(Task(run, 0, 10))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--scheduler", "tcp://127.0.0.1:9"], "no Dask scheduler answers at 'tcp://127.0.0.1:9'"),
        (["--scheduler", "nonsense://"], "no Dask scheduler answers"),
        (["--scheduler", ""], "no Dask scheduler answers"),
        (["--scheduler", "tcp://127.0.0.1:9", "--workers", "2"], "exclude each other"),
        (["--workers", "0"], "`workers` must be from 1 to 1024"),
        (["--workers", "two"], "'--workers'"),
        (["--workers", "2", "--events", "e.nc"], "`--events` are written by one process"),
    ],
)
def test_refused(options, sentence, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "CONNECTING", 0.5)
    monkeypatch.setattr("sys.argv", ["xcal-jax", "simulate", "xifu", "--energy", "7keV", "-o", "out.nc", *options])
    with pytest.raises(SystemExit) as stop:
        main()
    err = capfd.readouterr().err.strip()
    assert stop.value.code == 2 and sentence in err and err.count("\n") == 0
    assert os.listdir(tmp_path) == []
