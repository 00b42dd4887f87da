"""Seconds from a command to its answer, in fresh processes, beside those of importing JAX alone.

    python analysis/benchmarks/first_answer.py [-n 1e6] [--repeats 3]

Each case is run with a folder of kept programs of its own: cold, with nothing in it; a new absorber, with what an
absorber of as many layers, but of other elements and thicknesses, has left there; and the same absorber again. Best of
``--repeats`` (cold: once), wall and CPU seconds, and how many times as long as importing JAX.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from xcal_jax.constants import PHYSICS

ABSORBER = 'width = "250 um"\nlength = "250 um"\n'
LAYER = '[[layers]]\nmaterial = "{}"\nthickness = "{} um"\n'
BEFORE, NEW = (("Bi", 3.97), ("Au", 1.13)), (("Ta", 2.51), ("Cu", 1.08))
HEADER = f"{'case':44}{'wall (s)':>10}{'CPU (s)':>10}{'/ import':>10}"


def seconds(folder: Path, *arguments: str) -> tuple[float, float]:
    """Wall and CPU seconds of a fresh Python with ``arguments``, which keeps its programs in ``folder``."""
    kept = {name: value for name, value in os.environ.items() if "COMPILATION_CACHE" not in name}
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, env=kept | {"XDG_CACHE_HOME": str(folder)}
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def toml(folder: Path, layers: tuple[tuple[str, float], ...]) -> str:
    """The path of an absorber of ``layers``, top first: element and thickness in um."""
    path = folder / f"{'-'.join(element for element, _ in layers)}.toml"
    path.write_text(ABSORBER + "".join(LAYER.format(*layer) for layer in layers))
    return str(path)


def cases(folder: Path, n: int, repeats: int):
    """Rows (case, wall and CPU seconds), the first that of importing JAX."""
    yield "import jax", min(seconds(folder, "-c", "import jax") for _ in range(repeats))
    for physics in PHYSICS:
        own = folder / physics
        own.mkdir()
        options = "--energy", "7 keV", "-n", str(n), "--physics", physics, "-o", str(own / "r.nc"), "--overwrite"

        def run(layers, own=own, options=options):
            return seconds(own, "-m", "xcal_jax", "simulate", toml(own, layers), *options)

        yield f"simulate, {physics} physics, cold", run(BEFORE)
        yield f"simulate, {physics} physics, a new absorber", run(NEW)
        yield f"simulate, {physics} physics, the same again", min(run(NEW) for _ in range(repeats))


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=float, default=1e6, help="photons of a run")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the best counts")
    arguments = parser.parse_args()
    print(HEADER)
    alone = None
    with tempfile.TemporaryDirectory() as folder:
        for case, (wall, cpu) in cases(Path(folder), int(arguments.n), arguments.repeats):
            alone = alone or wall
            print(f"{case:44}{wall:10.2f}{cpu:10.2f}{wall / alone:10.1f}", flush=True)


if __name__ == "__main__":
    main()
