"""Work on the machines of a cluster: the same bits as of one, whoever dies on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from xcal_jax import Absorber, load, simulate
from xcal_jax.cli.main import main
from xcal_jax.compute import cluster
from xcal_jax.compute.cluster import in_cluster
from xcal_jax.compute.devices import in_parallel
from xcal_jax.io.checkpoint import Checkpoint
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


def two_workers(client):
    """The two workers' processes, by address, once both are alive."""
    for _ in range(60):
        with suppress(OSError):  # one of them has just died
            if len(found := client.run(os.getpid)) == 2:
                return found
        time.sleep(1.0)
    raise AssertionError("two workers must come back within a minute")


def test_order_and_errors(client):
    assert list(in_cluster(client, abs, range(-100, 0))) == list(range(100, 0, -1))
    with pytest.raises(ZeroDivisionError):
        list(in_cluster(client, lambda n: 1 / n, [1, 0, 1]))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """PEM files of two runs, each of an authority, a certificate and its key; the second is a stranger's."""
    folder, found = tmp_path_factory.mktemp("certificates"), []
    for owner in ("mine", "strange"):
        security = distributed.security.Security.temporary()
        texts = {"ca": security.tls_ca_file, "me": security.tls_client_cert, "key": security.tls_client_key}
        for name, text in texts.items():
            (folder / f"{owner}-{name}.pem").write_text(text)
        found.append(",".join(str(folder / f"{owner}-{name}.pem") for name in texts))
    return found


def test_a_scheduler_with_certificates(certificates, tmp_path, monkeypatch, capfd):
    """`dask scheduler` and `dask worker` at tls://, as a cluster has them: with the certificates the same bits."""
    mine, strange = certificates
    authority, own, key = mine.split(",")
    tls = ["--tls-ca-file", authority, "--tls-cert", own, "--tls-key", key]
    monkeypatch.chdir(tmp_path)
    dask, environment = [sys.executable, "-m", "dask"], os.environ | {"DASK_DISTRIBUTED__SCHEDULER__DASHBOARD": "False"}
    about = ["--protocol", "tls", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", "s.json"]
    serving = [subprocess.Popen([*dask, "scheduler", *about, *tls], env=environment, stderr=subprocess.DEVNULL)]
    try:
        for _ in range(600):
            if os.path.exists("s.json"):
                break
            time.sleep(0.1)
        address = json.loads(Path("s.json").read_text())["address"]
        assert address.startswith("tls://127.0.0.1:")
        work = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", *tls]
        serving.append(subprocess.Popen(work, env=environment, stderr=subprocess.DEVNULL))
        words = f"xcal-jax simulate xifu --energy 7keV -n 1000 --scheduler {address} -o out.nc".split()
        monkeypatch.setattr("sys.argv", [*words, "--certificates", mine])
        main()
        xr.testing.assert_identical(load("out.nc"), simulate(XIFU, 7000.0, n=1000))
        monkeypatch.setattr(cluster, "CONNECTING", 2.0)
        capfd.readouterr()
        for others in (["--certificates", strange], []):
            monkeypatch.setattr("sys.argv", [*words, *others])
            with pytest.raises(SystemExit) as stop:
                main()
            err = capfd.readouterr().err.strip()
            assert stop.value.code == 2 and f"no Dask scheduler answers at '{address}'" in err
            assert err.count("\n") == 0
    finally:
        for process in serving:
            process.terminate()
        for process in serving:
            process.wait(timeout=60)


def test_work_that_kills_every_worker_is_one_sentence(client, one_process, tmp_path, monkeypatch, capfd):
    """And what was done before is in the checkpoint, from which the run goes on."""
    monkeypatch.chdir(tmp_path)

    def fatal(_):
        os.kill(os.getpid(), signal.SIGKILL)

    def executor(work, tasks):
        yield from in_parallel(work, islice(tasks, 4))
        yield from in_cluster(client, fatal, [0])

    monkeypatch.setattr("sys.argv", f"xcal-jax simulate xifu --energy 7keV -n {N} -o out.nc".split())
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(cluster, "connect", lambda *_: nullcontext(executor))
        main()
    assert stop.value.code == 2 and os.listdir(tmp_path) == ["out.nc.part"]
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert said == ["error: the cluster's workers died of the same work, one after the other (too little memory?)"]
    with closing(Checkpoint.open("out.nc.part", True)) as kept:
        done = int(kept.load(Run.build(XIFU, 7000.0).facts())["done"])
    assert 0 < done < N
    monkeypatch.setattr("sys.argv", [*sys.argv, "--resume"])
    main()
    xr.testing.assert_identical(load("out.nc"), one_process)
    assert os.listdir(tmp_path) == ["out.nc"]


def test_a_killed_worker_loses_nothing(client, one_process):
    """SIGKILL to one of two workers while all tasks are under way."""
    workers = two_workers(client)  # others may have died in the test before
    assert os.getpid() not in workers.values()
    finished = []

    def killing(work, tasks):
        for result in in_cluster(client, work, tasks):
            finished.append(result)
            if len(finished) == 3:
                os.kill(next(iter(workers.values())), signal.SIGKILL)
            yield result

    xr.testing.assert_identical(simulate(XIFU, 7000.0, n=N, executor=killing), one_process)
    assert len(finished) == 13
    assert len(set(workers.values()) & set(two_workers(client).values())) == 1


@pytest.mark.exhaustive
def test_a_sweep_on_workers(client, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    grid = Grid.load(tmp_path / "sweep.toml")
    there = sweep(grid, executor=partial(in_cluster, client))
    xr.testing.assert_identical(there, sweep(grid))


@pytest.mark.exhaustive
def test_nodes_of_a_response_on_workers(client):
    energy, settings = np.array([2000.0, 7000.0]), Settings(photons=150_000)
    here = simulate_nodes(XIFU, energy, np.ones(2), settings)
    there = simulate_nodes(XIFU, energy, np.ones(2), settings, executor=partial(in_cluster, client))
    for one, other in zip(here, there, strict=True):
        for name, value in vars(one).items():
            np.testing.assert_array_equal(getattr(other, name), value, name)
    assert here[0].partial != here[1].partial


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
