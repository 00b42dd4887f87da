"""Work on processes of this machine: who dies on the way, what listens, and what outlives the process that asked."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import psutil
import pytest
import xarray as xr

from xcal_jax import Absorber, simulate
from xcal_jax.compute.cluster import connect
from xcal_jax.compute.processes import DEATHS

pytestmark = pytest.mark.slow

XIFU = Absorber.preset("xifu")
N = 2 * 2**17 + 5


def dies(number: int, folder: Path, deaths: int) -> int:
    """``number``; but the process dies at 3, for the first so many times."""
    marks = sorted(folder.iterdir())
    if number == 3 and len(marks) < deaths:
        (folder / str(len(marks))).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def who(_: int) -> int:
    """The process that works."""
    return os.getpid()


@pytest.fixture(scope="module")
def processes():
    """Two of them."""
    with connect(workers=2) as executor:
        yield executor


def test_order_errors_and_counts(processes):
    """In the caller's order, errors as they are, counts bit for bit those of one process."""
    assert list(processes(abs, range(-100, 0))) == list(range(100, 0, -1))
    with pytest.raises(ZeroDivisionError):
        list(processes(partial(divmod, 1), [1, 0, 1]))
    workers = set(processes(who, range(50)))
    assert os.getpid() not in workers and 1 <= len(workers) <= 2
    xr.testing.assert_identical(simulate(XIFU, 7000.0, n=N, executor=processes), simulate(XIFU, 7000.0, n=N))


def test_what_a_dead_process_did_is_done_again(processes, tmp_path):
    assert list(processes(partial(dies, folder=tmp_path, deaths=1), range(8))) == list(range(8))
    assert len(os.listdir(tmp_path)) == 1


def test_work_that_kills_every_process_is_one_sentence(processes, tmp_path):
    """What was done before has been handed out, and the processes are good for other work."""
    found = []
    with pytest.raises(OSError, match="processes died of the same work, one after the other"):
        found.extend(processes(partial(dies, folder=tmp_path, deaths=100), range(8)))
    assert len(os.listdir(tmp_path)) == DEATHS
    assert list(processes(abs, [-1])) == [1]


def test_nobody_else_can_use_the_processes(processes):
    """No socket of theirs listens, on no interface and under no path."""
    assert list(processes(abs, [-1])) == [1]
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    assert len(family) >= 2
    assert [one for process in family[1:] for one in process.net_connections("all")] == []


def test_closing_does_not_wait_for_what_has_not_begun(processes):
    begun = time.monotonic()
    with closing(processes(time.sleep, [0.0] + [5.0] * 100)) as results:
        assert next(results) is None
    assert time.monotonic() - begun < 60.0


def test_they_end_with_the_process_that_asked(tmp_path):
    """SIGKILL to it, while they work."""
    asks = """
import time
from xcal_jax.compute.cluster import connect
if __name__ == "__main__":
    with connect(workers=1) as executor:
        results = executor(time.sleep, [0, 600])
        next(results)
        print("works", flush=True)
        next(results)
"""
    (tmp_path / "asks.py").write_text(asks)
    with subprocess.Popen([sys.executable, tmp_path / "asks.py"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "works\n"
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        process.kill()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
