"""Photons per second on this machine, by energy and impact, and the memory that a run takes.

    python analysis/benchmarks.py [-n 1e7] [--most 1e8]

The first run of each case compiles and is timed apart. These are wall-clock times of whole runs, input to Dataset.
"""

import argparse
import os
import resource
import time

import jax
from tqdm import tqdm

from xcal_jax import Absorber, Source, simulate

CASES = {
    "1 keV, uniform": {"energy": 1000.0},
    "3 keV, uniform": {"energy": 3000.0},
    "7 keV, uniform": {"energy": 7000.0},
    "12 keV, uniform": {"energy": 12000.0},
    "30 keV, uniform": {"energy": 30000.0},
    "7 keV, corner (134.7, 134.7) um": {"energy": 7000.0, "at": (134.7, 134.7)},
}
REPEATS = 3


def seconds(absorber: Absorber, source: Source, n: int, seed: int) -> float:
    """Wall-clock time of one run."""
    start = time.perf_counter()
    simulate(absorber, source, n, seed=seed)
    return time.perf_counter() - start


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=float, default=1e7, help="photons of a timed run")
    parser.add_argument("--most", type=float, default=1e8, help="photons of the largest run of the memory table")
    arguments = parser.parse_args()
    n, most = int(arguments.n), int(arguments.most)
    absorber = Absorber.preset("xifu")
    machine = f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, JAX {jax.__version__}"
    print(f"{machine}: X-IFU absorber, range electrons")
    print(f"\n{'case':34}{'first run (s)':>14}{f'{n:.0e} photons (s)':>20}{'photons/s':>12}")
    for name, facts in CASES.items():
        source = Source.build(**facts)
        first = seconds(absorber, source, 1000, seed=1)
        best = min(seconds(absorber, source, n, seed) for seed in range(2, 2 + REPEATS))
        print(f"{name:34}{first:14.2f}{best:20.2f}{n / best:12.2e}")
    print(f"\n{'photons':>10}{'time (s)':>12}{'peak memory (MB)':>20}")
    for photons in tqdm([10**6, 10**7, most], disable=None, leave=False):
        took = seconds(absorber, Source.build(7000.0), photons, seed=9)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{photons:10.0e}{took:12.2f}{peak:20.0f}")


if __name__ == "__main__":
    main()
