"""What one device does, in one table: is it right, how fast is it, where does the time go.

    make gpu-wheels     # once, where there is a network: all that the other machine needs, in out/wheels
    make bench-gpu      # on the machine with the GPU, without a network

Counts of the same photons on the device and on this machine's CPU (integers; rounding may move a photon to the next
bin or across a face). Photons/s by block of photons and electron model, best of five blocks, and the shares of the time
(first flight, histogram, histories at risk). Whole runs, from input to Dataset; a matrix; derivatives. The kernels of
one block that take longest, and how long they run in all. The peak memory of the device. Without a GPU the script runs
on the CPU, with fewer photons and smaller blocks.
"""

import argparse
import datetime
import gzip
import json
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import stages
import xarray as xr

from xcal_jax import Absorber, Source, simulate, summary
from xcal_jax.compute.devices import packing
from xcal_jax.constants import ELECTRONS
from xcal_jax.expected.estimate import estimate
from xcal_jax.response.components import rows_of, simulate_response
from xcal_jax.response.matrix import Resolution, fold
from xcal_jax.response.nodes import Settings
from xcal_jax.simulation.counting import Prepared, Run

ENERGY = 7000.0  # eV
SMALLEST = 18  # log2 of photons in the smallest block
REPEATS = 5
COMPARED = ("interacting", "photon_escape", "electron_escape", "both", "scattered")
KERNELS = 8
PROCESS_AND_THREAD = ("process_name", "thread_name")


def rows(most: int, photons: int) -> Iterator[str]:
    """The lines of the table. most: log2 of photons in the largest block; photons: of a whole run."""
    device, source = jax.devices()[0], Source.build(ENERGY)
    yield f"{device.device_kind}, driver {driver()}, JAX {jax.__version__}, {datetime.date.today()}"
    models = {electrons: Absorber.load("xifu", electrons) for electrons in ELECTRONS}
    yield "\nThe same photons on the device and on the CPU"
    for electrons, absorber in models.items():
        yield f"  {electrons:12}{agreement(absorber, source, min(2**22, photons))}"
    yield f"\n{'photons/s':14}{'block':>10}{'photons/s':>12}{'flight':>9}{'count':>9}{'walk':>9}{'compile (s)':>13}"
    for electrons, absorber in models.items():
        for log2 in range(SMALLEST, most + 1, 2):
            yield f"  {electrons:12}{f'2^{log2}':>10}{by_block(Run.build(absorber, source, lanes=2**log2))}"
    yield f"\n{'whole runs':24}{'photons':>10}{'photons/s':>12}{'partial (%)':>20}"
    for electrons, absorber in models.items():
        simulate(absorber, source, 1000)
        seconds, result = timed(lambda absorber=absorber: simulate(absorber, source, photons, seed=2))
        facts = summary(result)
        partial = f"{100 * facts['partial']:.4f} ± {100 * facts['partial_err']:.4f}"
        yield f"  {electrons:22}{photons:10.0e}{photons / seconds:12.2e}{partial:>20}"
    yield f"\n{'seconds':24}{'first':>10}{'again':>12}"
    for name, work in {"matrix, 2376 rows": matrix, "derivatives, 2^17": derivatives}.items():
        yield f"  {name:22}{timed(work)[0]:10.1f}{timed(work)[0]:12.2f}"
    yield f"\nOne block of 2^{most}, where the time goes"
    yield from profile(Run.build(models["range"], source, lanes=2**most))
    memory = (device.memory_stats() or {}).get("peak_bytes_in_use")
    yield f"\nPeak memory of the device: {f'{memory / 1e6:.0f} MB' if memory else 'not reported'}"


def driver() -> str:
    """The version of the GPU's driver."""
    if shutil.which("nvidia-smi") is None:
        return "none"
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split("\n")[0]


def agreement(absorber: Absorber, source: Source, n: int) -> str:
    """How far the counts of ``n`` photons differ between the device and the CPU."""
    here = simulate(absorber, source, n)
    with jax.default_device(jax.devices("cpu")[0]):
        there = simulate(absorber, source, n)
    differ = {name: int(here[name]) - int(there[name]) for name in COMPARED}
    moved = int(np.abs(here.spectrum - there.spectrum).sum()) // 2
    error = np.sqrt(2.0 * float(summary(there)["partial"]) * n)
    sigmas = (differ["photon_escape"] + differ["electron_escape"] + differ["both"]) / error
    counts = ", ".join(f"{name} {difference:+d}" for name, difference in differ.items())
    return f"of {n} photons {moved} are in another bin; {counts}; partial {sigmas:+.2f} sigmas"


def by_block(run: Run) -> str:
    """Photons/s of one block after another, and the shares of the time."""
    block = blocks(run)
    compiling, _ = timed(lambda: block(0))
    seconds = min(timed(lambda k=k: block(k))[0] for k in range(1, REPEATS + 1))
    shares = stages.shares(run, 2 * run.block)
    return f"{run.block / seconds:12.2e}{shares[0]:9.0%}{shares[1]:9.0%}{shares[2]:9.0%}{compiling:13.1f}"


def blocks(run: Run) -> Callable:
    """A function that counts the k-th block of ``run``."""
    prepared = Prepared.build(run)
    return lambda k: prepared.tally(k * run.block, (k + 1) * run.block)


def matrix() -> list:
    """The rows of a matrix of the X-IFU absorber."""
    absorber, channels = Absorber.preset("xifu"), np.arange(200.0, 12501.0, 2.0)
    edges = rows_of(absorber, np.arange(200.0, 12001.0, 5.0))
    return list(fold(simulate_response(absorber, edges, Settings()), channels, Resolution.build("2.5eV")))


def derivatives() -> object:
    """The observables of the X-IFU absorber and their derivatives in thickness and density."""
    return estimate(Absorber.preset("xifu"), ENERGY, ("thickness", "density"))


def timed(work: Callable) -> tuple[float, xr.Dataset]:
    """Seconds that ``work`` takes, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def profile(run: Run) -> Iterator[str]:
    """The kernels of one block that take longest, and the time in which none runs."""
    block = blocks(run)
    block(0)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, create_perfetto_trace=True):
            seconds, _ = timed(lambda: block(1))
        found = next(Path(folder).rglob("perfetto_trace.json.gz"))
        events = json.loads(gzip.decompress(found.read_bytes()))["traceEvents"]
    devices = {e["pid"] for e in events if e.get("name") == "process_name" and "/device:" in e["args"]["name"]}
    kernels: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    for event in events:
        if event.get("pid") in devices and "dur" in event and not event["name"].startswith("jit_"):
            kernel = kernels[event["name"].split(".")[0]]
            kernel[0] += 1
            kernel[1] += event["dur"] * 1e-6
    if not kernels:
        yield f"  {1e3 * seconds:.1f} ms; this platform reports no kernels"
        return
    busy, launches = (sum(kernel[k] for kernel in kernels.values()) for k in (1, 0))
    yield f"  {1e3 * seconds:.1f} ms with the profiler; {launches} kernels and copies run in {1e3 * busy:.1f} ms of it"
    for name, (count, took) in sorted(kernels.items(), key=lambda item: -item[1][1])[:KERNELS]:
        yield f"  {1e3 * took:9.2f} ms {count:7d} x {name}"


def main() -> None:
    """Print the table, line by line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    on_cpu = packing().block < 2**24
    parser.add_argument("--most", type=int, default=19 if on_cpu else 24, help="log2 of photons in the largest block")
    parser.add_argument("-n", type=float, default=1e6 if on_cpu else 1e9, help="photons of a whole run")
    arguments = parser.parse_args()
    for line in rows(arguments.most, int(arguments.n)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
