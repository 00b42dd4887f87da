"""Photons per second on this machine beside a compiled scalar program (`scalar.py`), in one table.

    python analysis/benchmarks [-n 1e7] [--most 1e8]

Columns: seconds of the first run of 1000 photons, which compiles; photons/s of whole runs, input to Dataset, best of
three; how many times as long a run takes as with range electrons (median of three pairs run in turns); peak memory;
shares of the time by stage (first flight, histogram, histories at risk); photons/s of the scalar program on all cores,
plain and with unreachable faces left out, and of PENELOPE where the extra `penelope` is installed; how many times
faster we are than each; the partial fraction, and by how many standard errors the scalar program's differs. Times vary
with what else the machine does.
"""

import argparse
import os
import re
import resource
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import jax
import numpy as np
import penelope
import scalar
import stages
import xarray as xr
from tqdm import tqdm

from xcal_jax import Absorber, Source, simulate, summary
from xcal_jax.constants import ELECTRONS
from xcal_jax.simulation.counting import Run

ENERGIES = (1.0, 3.0, 7.0, 12.0, 30.0)  # keV
LAYERS = (1, 5, 20)
REPEATS = 3
OF_PENELOPE = 10_000  # photons
HEADER = (
    f"{'case':26}{'first (s)':>10}{'photons/s':>11}{'/ range':>9}{'MB':>7}{'flight':>8}{'count':>7}{'walk':>6}"
    f"{'numba/s':>10}{'x':>6}{'reject/s':>10}{'x':>6}{'PENELOPE/s':>12}{'x':>8}{'partial (%)':>18}{'sigmas':>8}"
)


def row(
    case: str,
    absorber: Absorber,
    source: Source,
    n: int,
    beside: Callable | None = None,
    peer: float | None = None,
    by_stage: bool = True,
    cheaper: Absorber | None = None,
) -> str:
    """One line of the table.

    beside: rates and partial fraction of the scalar programs, for ``n`` photons; peer: PENELOPE's photons/s;
    cheaper: the same absorber with range electrons, to be run in turns.
    """
    _forget_peak()
    start = time.perf_counter()
    simulate(absorber, source, 1000)
    first, took, ratios = time.perf_counter() - start, [], []
    if cheaper:
        simulate(cheaper, source, 1000)
    for seed in range(2, 2 + REPEATS):
        seconds, result = _timed(absorber, source, n, seed)
        took.append(seconds)
        if cheaper:
            ratios.append(seconds / _timed(cheaper, source, n, seed)[0])
    rate, facts = n / min(took), summary(result)
    text = f"{case:26}{first:10.2f}{rate:11.2e}"
    text += f"{np.median(ratios):9.2f}" if ratios else f"{'':9}"
    text += f"{_peak():7.0f}"
    text += "{:8.0%}{:7.0%}{:6.0%}".format(*stages.shares(Run.build(absorber, source), n)) if by_stage else f"{'':21}"
    share, error, sigmas = facts["partial"], facts["partial_err"], ""
    if beside:
        plain, rejecting, other, other_error = beside(n)
        text += f"{plain:10.1e}{rate / plain:6.1f}{rejecting:10.1e}{rate / rejecting:6.1f}"
        sigmas = f"{(other - share) / np.hypot(error, other_error):8.1f}"
    else:
        text += f"{'':32}"
    text += f"{peer:12.1e}{rate / peer:8.0f}" if peer else f"{'':20}"
    return f"{text}{f'{100 * share:10.4f} ±{100 * error:.4f}':>18}{sigmas}"


def _timed(absorber: Absorber, source: Source, n: int, seed: int) -> tuple[float, xr.Dataset]:
    start = time.perf_counter()
    result = simulate(absorber, source, n, seed=seed)
    return time.perf_counter() - start, result


def scalar_program(absorber: Absorber, energy: float) -> Callable:
    """The scalar programs as a function of the number of photons: (two rates, partial fraction, its error)."""
    plain, rejecting = (scalar.tables_of(absorber, rejecting) for rejecting in (False, True))

    def beside(n: int) -> tuple[float, float, float, float]:
        rates = []
        for tables in (plain, rejecting):
            scalar.run(tables, energy, 1000, 1, int(energy) + 1)
            start = time.perf_counter()
            _, partial = scalar.run(tables, energy, n, int(energy), int(energy) + 1)
            rates.append(n / (time.perf_counter() - start))
        return *rates, partial / n, np.sqrt(partial * (1 - partial / n)) / n

    return beside


def table(n: int, most: int) -> Iterator[str]:
    """The rows: by energy and electron model, by impact, by number of photons, by layers."""
    xifu = Absorber.preset("xifu")
    peers = {kev: _rate_of_penelope(xifu, 1000 * kev) for kev in ENERGIES}
    for electrons in ELECTRONS:
        absorber = Absorber.load("xifu", electrons)
        cheaper = None if electrons == "range" else xifu
        for kev in ENERGIES:
            beside = scalar_program(absorber, 1000 * kev) if electrons == "range" else None
            source = Source.build(1000 * kev)
            yield row(f"{kev:g} keV, {electrons}", absorber, source, n, beside, peers[kev], cheaper=cheaper)
        yield row(f"7 keV, {electrons}, corner", absorber, Source.build(7000.0, at=(134.7, 134.7)), n, cheaper=cheaper)
    for photons in sorted({n // 100, n // 10, most}):
        yield row(f"7 keV, n = {photons:.0e}", xifu, Source.build(7000.0), photons, by_stage=False)
    for count in LAYERS:
        bismuth = Absorber.build([("Bi", float(np.sum(xifu.thickness)) / count)] * count, 269.5, 269.5)
        yield row(f"7 keV, {count} layers of Bi", bismuth, Source.build(7000.0), n, scalar_program(bismuth, 7000.0))


def _rate_of_penelope(absorber: Absorber, energy: float) -> float | None:
    if find_spec("pyPenred") is None:
        return None
    found = penelope.in_penelope(absorber, energy, OF_PENELOPE)
    return found.photons / found.seconds


def _forget_peak() -> None:
    """Begin a new high-water mark of memory, where Linux lets us."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def _peak() -> float:
    """The high-water mark of memory in MB; on other systems than Linux, of the whole process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=float, default=1e7, help="photons of a timed run")
    parser.add_argument("--most", type=float, default=1e8, help="photons of the largest run")
    arguments = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, JAX {jax.__version__}, X-IFU absorber\n{HEADER}")
    with tqdm(table(int(arguments.n), int(arguments.most)), unit=" rows", disable=None, leave=False) as rows:
        for line in rows:
            tqdm.write(line)


if __name__ == "__main__":
    main()
