"""Commands killed at random moments and given again: whether the files are those of a command that nobody killed.

    python analysis/kills.py [-n 50] [--seed 1]

Each of four commands (a simulation, a sweep, a matrix, an event list) runs to its end, twice since the first run
compiles. Then, in turn, each is begun in an empty folder, killed (SIGKILL) at a moment uniform over the time that the
second run took, and given again with --resume, but for event lists, which begin anew. Printed: the moment, how many
files and folders the kill left, and whether all files are the same afterwards, bit for bit, with nothing left over.
The exit code is the number of differences.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

GRID = """
n = 5e5
absorber = "xifu"
[grid]
energy = ["3 keV", "5 keV", "7 keV", "9 keV"]
"""
COMMANDS = {
    "simulate": "simulate xifu --energy 7keV -n 4e6 -o out.nc",
    "sweep": "sweep grid.toml -o out.nc",
    "rmf": "rmf gold --fwhm 5eV --grid 6.9:7:20eV --channels 6:8:10eV -n 5e4 --uncertainty u.nc -o out.rmf",
    "events": "simulate xifu --energy 7keV -n 5e5 --events events.nc -o out.nc",
}
AGAIN = {"simulate": ["--resume"], "sweep": ["--resume"], "rmf": ["--resume"], "events": []}
SAVING = "from xcal_jax.simulation import simulate; simulate.SAVED_EVERY = 0.0"  # after each block, not every 10 s
PROGRAM = f"{SAVING}; from xcal_jax.cli.main import main; main()"


def begin(folder: Path, name: str, *more: str) -> subprocess.Popen:
    """The command ``name``, begun in ``folder``."""
    (folder / "grid.toml").write_text(GRID)
    environment = os.environ | {"SOURCE_DATE_EPOCH": "946684800"}
    words = [sys.executable, "-c", PROGRAM, *COMMANDS[name].split(), *more]
    return subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def finish(run: subprocess.Popen, folder: Path) -> dict[str, bytes]:
    """What is in the files of ``folder`` when ``run`` has ended. Raises RuntimeError where it failed."""
    _, said = run.communicate()
    if run.returncode:
        raise RuntimeError(said)
    return {path.name: path.read_bytes() if path.is_file() else b"" for path in folder.iterdir()}


def trial(name: str, moment: float, expected: dict[str, bytes]) -> tuple[list[str], list[str]]:
    """The files that a kill after ``moment`` s left, and those that differ when the command has been given again."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run = begin(folder, name)
        time.sleep(moment)
        run.kill()
        run.communicate()
        left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "grid.toml")
        found = finish(begin(folder, name, *AGAIN[name]), folder)
    return left, sorted(file for file in found | expected if found.get(file) != expected.get(file))


def main() -> None:
    """Kill as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=50, help="kills")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    asked = parser.parse_args()
    draw, expected, lasting, differing = np.random.default_rng(asked.seed), {}, {}, 0
    for name in COMMANDS:
        for _ in range(2):
            with tempfile.TemporaryDirectory() as place:
                began = time.monotonic()
                expected[name] = finish(begin(Path(place), name), Path(place))
                lasting[name] = time.monotonic() - began
    for number in range(asked.n):
        name = list(COMMANDS)[number % len(COMMANDS)]
        moment = draw.uniform(0.0, lasting[name])
        left, other = trial(name, moment, expected[name])
        differing += bool(other)
        verdict = f"DIFFERS: {', '.join(other)}" if other else "the same"
        print(f"{name:9} killed at {moment:5.2f} of {lasting[name]:5.2f} s, left {len(left)} files: {verdict}")
    print(f"{asked.n} kills, {differing} with other files afterwards")
    sys.exit(differing)


if __name__ == "__main__":
    main()
