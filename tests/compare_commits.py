"""Two commits side by side: the same commands, and how far their numbers lie apart.

    python tests/compare_commits.py BASE [HEAD] [--only WORD] [--kept FOLDER] [--renamed OLD=NEW ...]

A change of structure must not move a number. Every case below runs the command line of both commits on this machine,
with the same seeds; every array of the results is compared. Counts must be the same bit by bit, weighted estimates (and
fits to them) to 1e-12. HEAD is the working tree where it is not given. What BASE printed is kept in FOLDER, if one is
given, for the next comparison.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
SHOWN = 8  # names that are not found
STACK = """
name = "stack"
width = "60 um"
length = "80 um"
rayleigh = true
[[layers]]
material = "Au"
thickness = "0.5 um"
[[layers]]
material = "HgTe"
thickness = "2 um"
[[layers]]
material = "Si"
thickness = "3 um"
[[layers]]
material = "Bi"
thickness = "4 um"
"""
ARRAY = '[array]\nrows = 3\ncolumns = 3\npitch = "62 um"\n'
SWEEP = """
absorber = "xifu"
n = 3e4
[grid]
energy = ["3 keV", "7 keV"]
layers.1.thickness = ["4 um", "5 um"]
"""
FILES = {
    "stack.toml": STACK,
    "array.toml": STACK.replace('"80 um"', '"60 um"').replace("[[layers]]", ARRAY + "[[layers]]", 1),
    "sweep.toml": SWEEP,
}
MATRIX = "rmf stack.toml --grid 2:8:50eV --channels 1:9:10eV -n 20000 --fwhm 5eV"
CASES = {  # name: (tolerance, command, what it writes; its standard output where nothing)
    "range": (0.0, "simulate xifu --energy 7keV -n 4e5 --seed 3 -o {}", "range.nc"),
    "range at a corner": (0.0, "simulate xifu --energy 12keV --at 134.7um,134.7um -n 2e5 -o {}", "corner.nc"),
    "scattering": (0.0, "simulate xifu --energy 7keV -n 2e5 --electrons scattering -o {}", "scattering.nc"),
    "Rayleigh, four layers": (0.0, "simulate stack.toml --energy 30keV --yields krause -n 2e5 -o {}", "rayleigh.nc"),
    "free, inclined": (
        0.0,
        "simulate stack.toml --energy 5.9keV:2,6.49keV:1 --free --angle 30deg -n 2e5 -o {}",
        "f.nc",
    ),
    "array, range": (0.0, "simulate array.toml --energy 20keV -n 1e5 -o {}", "array.nc"),
    "array, scattering": (0.0, "simulate array.toml --energy 12keV -n 5e4 --electrons scattering -o {}", "array_s.nc"),
    "events": (0.0, "simulate xifu --energy 7keV --spot 130um,0um,5um -n 5e4 --events {} -o events_result.nc", "ev.nc"),
    "events, scattering": (
        0.0,
        "simulate array.toml --energy 12keV -n 2e4 --electrons scattering --events {} -o events_result.nc",
        "ev_s.nc",
    ),
    "sweep": (0.0, "sweep sweep.toml -o {}", "sweep_result.nc"),
    "matrix": (
        1e-6,
        "rmf stack.toml --grid 2:8:50eV --channels 1:9:10eV -n 20000 --fwhm 5eV --arf m.arf -o {}",
        "m.rmf",
    ),
    "components": (
        1e-12,
        "rmf stack.toml --grid 2:8:50eV --channels 1:9:10eV -n 20000 --fwhm 5eV --nc {} -o n.rmf",
        "m.nc",
    ),
    "expected": (
        1e-12,
        "sensitivity stack.toml --energy 12keV --wrt thickness,density,width,length,energy,yield,range -n 16384 --json",
        None,
    ),
    "expected at a point": (
        1e-12,
        "sensitivity xifu --energy 7keV --at 134um,0um --wrt thickness,energy,x,yield,range -n 16384 --json",
        None,
    ),
    "expected, scattering": (
        1e-12,
        "sensitivity xifu --energy 7keV --wrt thickness[1],width,energy,yield --electrons scattering -n 8192 --json",
        None,
    ),
    "line fit": (1e-9, "linefit range.nc --absorber xifu --energy 7keV --fwhm 2.5eV -n 4096 --json", None),
    "dose": (1e-12, "dose --satellite GRBAlpha --shield Al:1mm,Pb:2.5mm --end 2021-05-01 -o {} --json", "dose.nc"),
}


THRESHOLDS = "--loss-above 50eV,100eV,200eV,500eV,1keV,2keV,3keV,5keV"  # of every commit before they were the user's


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """Every number in a file: netCDF variables, FITS columns, or the leaves of a JSON object."""
    if path.suffix == ".nc":
        import xarray as xr

        with xr.open_dataset(path) as file:
            return {str(name): variable.values for name, variable in file.load().variables.items()}
    if path.suffix == ".rmf":
        from astropy.io import fits

        with fits.open(path, memmap=False) as file:
            return {
                f"{table.name} {name}": np.concatenate([np.ravel(row) for row in table.data[name]])
                for table in file[1:]
                for name in table.columns.names
            }

    def leaves(name, value):
        if isinstance(value, dict | list):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in pairs:
                yield from leaves(f"{name}/{key}", item)
        elif isinstance(value, int | float):
            yield name, np.array(value, float)

    return dict(leaves("", json.loads(path.read_text())))


def run(tree: Path, folder: Path, only: str) -> None:
    """Run every case with the package in ``tree``, in ``folder``; what is there already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    environment = os.environ | {"PYTHONPATH": str(tree)}
    for case, (_, command, target) in CASES.items():
        result = folder / (target or f"{case}.json")
        if only not in case or result.exists():
            continue
        words = [word.format(target) for word in command.split()]
        if words[0] == "simulate" and (tree / "xcal_jax" / "simulation" / "loss_thresholds.py").exists():
            words += THRESHOLDS.split()
        print(f"{tree.name}: {case}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "xcal_jax", *words], cwd=folder, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{case} failed in {tree}: {done.stderr}")
        if target is None:
            result.write_text(done.stdout)


def distance(old: np.ndarray, new: np.ndarray, size: float = 0.0) -> float:
    """The largest difference of two arrays relative to them, or to ``size`` where that is larger.

    It is infinite where their shapes or texts differ.
    """
    if old.shape != new.shape:
        return np.inf
    if old.dtype.kind not in "fiub":
        return 0.0 if np.array_equal(old, new) else np.inf
    old, new = old.astype(float), new.astype(float)
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.where(same, 0.0, np.abs(new - old) / np.maximum(np.abs(old), max(np.abs(old).max() * 1e-6, size)))
    return float(apart.max(initial=0.0))


def compare(base: Path, head: Path, only: str, renamed: dict[str, str]) -> int:
    """Print a line a case; the number of cases in which numbers have moved."""
    wrong = 0
    print(f"{'case':24}{'arrays':>8}{'alike':>8}{'largest difference':>22}   limit")
    for case, (limit, _, target) in CASES.items():
        if only not in case:
            continue
        name = target or f"{case}.json"
        old, new = arrays_of(base / name), arrays_of(head / name)
        missing, apart = [], {}
        for key, values in old.items():
            for before, after in renamed.items():
                key = re.sub(rf"(?<!\w)(?:{before})(?!\w)", after, key)
            if key in new:  # an error is compared with its value: that of a closed form is rounding
                value = new.get(f"{key.removesuffix('/err')}/value", 0.0)
                apart[key] = distance(values, new[key], float(np.abs(value)) if key.endswith("/err") else 0.0)
            else:
                missing.append(key)
        worst = max(apart, key=lambda key: apart[key])
        bad = apart[worst] > limit or missing
        wrong += bool(bad)
        same = sum(d == 0.0 for d in apart.values())
        print(f"{case:24}{len(old):8}{same:8}{apart[worst]:22.3g}   {limit:g}{'   MOVED: ' + worst if bad else ''}")
        if missing:
            print(f"    not found, {len(missing)}: {', '.join(missing[:SHOWN])}")
    return wrong


def main() -> None:
    """Compare, and exit with 1 where a number has moved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("head", nargs="?")
    parser.add_argument("--only", default="", help="cases whose name has this word")
    parser.add_argument("--kept", type=Path, help="folder that keeps what BASE printed")
    parser.add_argument(
        "--renamed",
        nargs="*",
        default=[],
        help="OLD=NEW, of whole names in the results: a regular expression and what replaces it",
    )
    asked = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="xcal-jax-compare-"))
    trees = []
    try:

        def tree(commit: str | None) -> Path:
            if commit is None:
                return ROOT
            trees.append(scratch / commit.replace("/", "-"))
            subprocess.run(["git", "worktree", "add", "-q", "--detach", trees[-1], commit], cwd=ROOT, check=True)
            return trees[-1]

        base = asked.kept or scratch / "base"
        run(tree(asked.base), base, asked.only)
        run(tree(asked.head), scratch / "head", asked.only)
        sys.exit(
            min(1, compare(base, scratch / "head", asked.only, dict(pair.split("=", 1) for pair in asked.renamed)))
        )
    finally:
        for path in trees:
            subprocess.run(["git", "worktree", "remove", "--force", path], cwd=ROOT, check=False)
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
