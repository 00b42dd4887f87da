"""Run the cases, all in this process, and print each that fails: ``python -m tests.fuzz [--only WORD] [--share 0.1]``.

A case fails where it ends with anything but a result, `Reached`, or an error of one sentence (for the command line:
exit code 2, one line on stderr, nothing on stdout), where it takes more than `LIMIT`, warns, leaves a file, or changes
one of the inputs.
"""

import argparse
import io
import os
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import cases, doors
from xcal_jax import Absorber, Source, load, save, simulate, summary
from xcal_jax.cli.main import main
from xcal_jax.design.specification import load as load_design
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.sensitivity import read_uncertainties
from xcal_jax.orbit import list_passes, mission_dose, parse_sectors, read_altitudes, read_tle
from xcal_jax.response.line_shape import Detector
from xcal_jax.response.matrix import Resolution
from xcal_jax.response.measured import read_line
from xcal_jax.simulation.impacts import filter_impacts
from xcal_jax.simulation.sweep_grid import Grid
from xcal_jax.simulation.trapping import Trapping
from xcal_jax.sipm import build_spectra, build_template, group, load_mission, synthesize, threshold
from xcal_jax.sipm.damage import read_fluence
from xcal_jax.sipm.time_series import read_series
from xcal_jax.spectra import read_spectra

LIMIT = 20  # s, of one case
LONGEST = 500  # characters of an error
# warnings that the program gives on purpose
MEANT = ("electrons dominate", "where the tables have", "element sets of", "less than an atom's size")
SIGNS = (  # of errors that Python and libraries word
    "could not convert", "invalid literal", "NoneType", "object has no attribute", "not subscriptable", "unpack",
    "unexpected keyword", "could not be broadcast", "must be real number", "unhashable", "ufunc", "[Errno",
    "required positional", "not iterable", "not supported between", "unsupported operand", "isn't understood",
)  # fmt: skip


class TooLong(BaseException):
    """A case took more than `LIMIT`."""


def command(*words: str) -> Any:
    """The command line in this process. Raises AssertionError where it ends in an unclean way."""
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["xcal-jax", *words]
    code: Any = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
    text = err.getvalue()
    assert code in (0, 2), f"exit code {code}: {text[:200]}"
    if code == 2:
        assert not out.getvalue(), f"stdout before the error: {out.getvalue()[:100]!r}"
        lines = [line for line in text.splitlines() if not line.startswith("matrix: ")]
        assert len(lines) == 1 and lines[0].startswith("error: ") and len(lines[0]) > 15, text[:300]
        raise ValueError(lines[0])
    assert "Warning" not in text and "Traceback" not in text, text[:300]
    return code


def vague(problem: Exception) -> bool:
    """Whether an error is no sentence that helps: empty, several lines, endless, or the words of a library."""
    text = str(problem)
    return len(text) < 10 or "\n" in text.strip() or len(text) > LONGEST or any(sign in text for sign in SIGNS)


def functions() -> dict[str, Any]:
    """Public functions with arguments that are accepted."""
    xifu = Absorber.preset("xifu")
    spectra, elements = read_spectra("spectra.nc"), read_tle("orbit.tle")
    of = {
        "Absorber.build": (Absorber.build, {"layers": [("Au", 1.0)], "width": 10, "length": 10}),
        "Absorber.load": (Absorber.load, {"name": "xifu"}),
        "Absorber.from_toml": (Absorber.from_toml, {"text": xifu.to_toml()}),
        "Source.build": (Source.build, {"energy": 7000.0}),
        "simulate": (simulate, {"absorber": xifu, "source": 7000.0, "n": 100}),
        "load": (load, {"path": "result.nc"}),
        "summary": (summary, {"result": load("result.nc")}),
        "save": (save, {"dataset": load("result.nc"), "path": "out.nc"}),
        "Trapping.build": (Trapping.build, {"text": "0.05:12eV"}),
        "Detector.build": (Detector.build, {"fwhm": 2.5, "trapping": Trapping(0.1, 10.0)}),
        "Resolution.build": (Resolution.build, {"fwhm": "2.5eV"}),
        "Grid.load": (Grid.load, {"path": "sweep.toml"}),
        "load_design": (load_design, {"path": "design.toml"}),
        "read_tle": (read_tle, {"path": "orbit.tle"}),
        "read_altitudes": (read_altitudes, {"path": "altitudes.csv"}),
        "parse_sectors": (parse_sectors, {"text": "Al:1mm"}),
        "list_passes": (list_passes, {"orbit": elements, "day": "2021-05-20"}),
        "mission_dose": (mission_dose, {"orbit": elements, "shield": "Al:1mm"}),
        "load_mission": (load_mission, {"name": "grbalpha"}),
        "synthesize": (synthesize, {"mission": load_mission("small.toml")}),
        "read_spectra": (read_spectra, {"path": "spectra.nc"}),
        "build_spectra": (build_spectra, {"counts": np.ones(8), "exposure": 1.0, "time": None, "readout": "a"}),
        "build_template": (build_template, {"spectra": spectra}),
        "threshold": (threshold, {"spectra": spectra, "template": build_template(read_spectra("template.nc"))}),
        "group": (group, {"values": spectra}),
        "filter_impacts": (filter_impacts, {"source": "impacts.fits", "target": "out.fits", "absorber": xifu}),
    }
    return of


def all_cases() -> list[cases.Case]:
    """Every case, in a folder with the good files."""
    point = Parameters.of(Absorber.preset("xifu"), 7000.0)
    tables = {
        "absorber.toml": lambda: Absorber.load("absorber.toml"),
        "sweep.toml": lambda: Grid.load("sweep.toml"),
        "design.toml": lambda: load_design("design.toml"),
        "mission.toml": lambda: load_mission("mission.toml"),
        "uncertainties.toml": lambda: read_uncertainties("uncertainties.toml", point),
    }
    readers: dict[str, Any] = dict.fromkeys(
        ("a.n42", "a.xml", "a.spe", "a.pha", "template.csv", "template.nc"), read_spectra
    )
    readers |= {name: Absorber.load for name in ("absorber.toml",)}
    readers |= {"orbit.tle": read_tle, "omm.csv": read_tle, "altitudes.csv": read_altitudes, "result.nc": load}
    readers |= {"photons.txt": lambda path: Source.build(spectrum=path), "series.csv": read_series}
    readers |= {"fwhm.txt": lambda path: Resolution.build(None, path), "line.csv": lambda path: read_line(path, None)}
    readers |= {"fluence.csv": read_fluence, "sweep.toml": Grid.load, "mission.toml": load_mission}
    readers |= {"impacts.fits": lambda path: filter_impacts(path, "out.fits", Absorber.preset("xifu"))}
    found = [
        *cases.of_commands(command),
        *cases.of_tables(tables),
        *cases.of_files(readers, seed=1, each=40),
        *cases.of_functions(functions()),
    ]
    return found


def state() -> dict[str, tuple[int, int]]:
    """Size and time of every file here, and zeros for a folder."""
    found = {}
    for path in Path().rglob("*"):
        status = path.lstat()
        found[str(path)] = (0, 0) if path.is_dir() else (status.st_size, status.st_mtime_ns)
    return found


def remove(paths: list[Path]) -> None:
    """Remove files and folders, the innermost first."""
    for path in sorted(paths, reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def attempt(case: cases.Case) -> tuple[str, str]:
    """How a case ended ("result", "reached", "refused", or a fault), and the words for it."""
    signal.alarm(LIMIT)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            case.work()
        end, text = "result", ""
    except doors.Reached:
        end, text = "reached", ""
    except TooLong:
        end, text = "HANG", ""
    except (ValueError, TypeError) as problem:
        end, text = "VAGUE" if vague(problem) else "refused", str(problem)
    except AssertionError as problem:
        end, text = "UNCLEAN", str(problem)
    except BaseException as problem:
        end, text = "TRACEBACK", f"{type(problem).__name__}: {problem}"
    finally:
        signal.alarm(0)
    own = [str(one.message) for one in caught if issubclass(one.category, UserWarning | RuntimeWarning)]
    own = [message for message in own if not any(meant in message for meant in MEANT)]
    return ("NOISE", own[0]) if own and end in ("result", "reached", "refused") else (end, text)


def main_() -> int:
    """Run the cases; 1 where one failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--share", type=float, default=1.0, help="of the cases, evenly taken")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    arguments = parser.parse_args()

    def too_long(number, frame):
        raise TooLong

    signal.signal(signal.SIGALRM, too_long)
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        cases.writes_good_files(Path(folder))
        chosen = [case for case in all_cases() if arguments.only in case.name][
            arguments.first :: round(1 / arguments.share)
        ]
        read_spectra("a.pha")  # imports a library that must not be interrupted
        before, began = state(), time.process_time()
        with doors.closed():
            for case in chosen:
                end, text = attempt(case)
                after = state()
                new = [Path(name) for name in after if name not in before]
                changed = [name for name, stamp in before.items() if after.get(name) != stamp]
                if changed or (new and end == "refused"):
                    end, text = "FILES", str(changed or new)
                remove(new)
                before = state() if changed else before
                ends[end] += 1
                if end.isupper():
                    print(f"{end}: {case.name[:200]!r}: {text[:300]}", flush=True)
        print(f"{len(chosen)} cases in {time.process_time() - began:.0f} s of a processor: {dict(ends)}")
        os.chdir("/")
    return int(any(end.isupper() for end in ends))


if __name__ == "__main__":
    sys.exit(main_())
