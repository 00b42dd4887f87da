"""The package with other versions of what it depends on: the lowest that are declared, and the newest.

Each is a fresh environment filled by uv from the package index, which takes minutes and 2 GB: it is done where the
environment variable XCAL_JAX_VERSIONS says which, `lowest` or `newest`, or both with a comma between them.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from tests.fuzz import cases

pytestmark = pytest.mark.slow

FAMILIES = [  # one command of each family, on the good files of `tests/fuzz`; its line.csv holds no line to fit
    "show",
    "sweep",
    "rmf",
    "tail",
    "sensitivity",
    "dose --tle",
    "orbit passes",
    "sipm report",
]
RESOLUTION = {"lowest": "lowest-direct", "newest": "highest"}
ASKED = [name for name in os.environ.get("XCAL_JAX_VERSIONS", "").split(",") if name]


@pytest.fixture(scope="module", params=RESOLUTION)
def environment(request, root, tmp_path_factory):
    """A Python with this package and the declared versions. Skipped where it is not asked for, or cannot be had."""
    if request.param not in ASKED:
        pytest.skip(f"XCAL_JAX_VERSIONS does not ask for {request.param!r}")
    folder = tmp_path_factory.mktemp(request.param) / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=200)
    python = folder / "bin" / "python"
    got = subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], capture_output=True, text=True, timeout=300)
    if got.returncode:
        pytest.skip(f"uv cannot be installed, perhaps for want of a network: {got.stderr.strip()[-200:]}")
    uv = [folder / "bin" / "uv", "pip", "install", "--quiet", "--python", python]
    chosen = ["--resolution", RESOLUTION[request.param], "--upgrade"]
    done = subprocess.run([*uv, *chosen, f"{root}[orbit]"], capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr
    yield request.param, python
    shutil.rmtree(folder)


def test_the_versions_are_those_declared(environment, root):
    name, python = environment
    if name != "lowest":
        pytest.skip("the newest versions are what the index has")
    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    names, least = zip(*(re.fullmatch(r"([\w-]+)>=([\d.]+)", text).groups() for text in declared), strict=True)
    asks = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    found = subprocess.run([python, "-c", asks, *names], capture_output=True, text=True, check=True)
    for name, version, low in zip(names, found.stdout.split(), least, strict=True):
        assert version == low or version.startswith(f"{low}."), name


def test_a_command_of_each_family_runs(environment, tmp_path):
    _, python = environment
    cases.writes_good_files(tmp_path)
    for family in FAMILIES:
        line = next(good for good in cases.GOOD if good.startswith(family))
        command = [python.parent / "xcal-jax", *line.split()]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0 and "Traceback" not in done.stderr, f"{line}: {done.stderr[-2000:]}"
