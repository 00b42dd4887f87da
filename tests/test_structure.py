"""The house: imports go down the map only, sisters stay apart, no path of one machine."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = [
    {"constants", "units", "files", "fit", "checkpoint", "parallel", "cluster"},
    {"atomic"},
    {"absorber", "sipm", "orbit"},
    {"process"},
    {"response"},
    {"expected"},
    {"counting", "plot", "grid"},
    {"run", "sweep"},
    {"plot_response"},
    {"cli"},
    {"__main__"},
]
SISTERS = {"photoelectric", "scattering", "relaxation", "electrons"}


def imports(path):
    """Modules of the package that a file imports, wherever in it, as dotted names without `xcal_jax`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("xcal_jax."):
            yield node.module.removeprefix("xcal_jax.")
            yield from (f"{node.module}.{a.name}".removeprefix("xcal_jax.") for a in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("xcal_jax.") for a in node.names if a.name.startswith("xcal_jax."))


def modules():
    for path in sorted((ROOT / "xcal_jax").rglob("*.py")):
        yield ".".join(path.relative_to(ROOT / "xcal_jax").with_suffix("").parts), path


def floor(name):
    return next(n for n, rooms in enumerate(FLOORS) if name.split(".")[0] in rooms)


def test_imports_go_down():
    upwards = {
        (name, target.split(".")[0])
        for name, path in modules()
        if name != "__init__"
        for target in imports(path)
        if floor(target) > floor(name)
        or (floor(target) == floor(name) == 2 and target.split(".")[0] != name.split(".")[0])
    }
    assert not upwards


def test_sisters_never_import_each_other():
    for name, path in modules():
        if name.startswith("absorber.") and name.split(".")[1] in SISTERS:
            met = {target.split(".")[1] for target in imports(path) if target.startswith("absorber.")}
            assert not met & (SISTERS - {name.split(".")[1]}), name


def test_the_library_knows_no_tests():
    for name, path in modules():
        assert not re.search(r"^\s*(from|import) (tests|pytest)\b", path.read_text(), re.MULTILINE), name


def test_no_path_of_one_machine():
    kinds = {".py", ".toml", ".md", ".ipynb", ".yaml", ".yml", ".cfg"}
    rooms = [ROOT / r for r in ("xcal_jax", "tests", "analysis", "data", "notebooks") if (ROOT / r).exists()]
    files = [p for room in rooms for p in room.rglob("*") if p.suffix in kinds]
    files += [p for p in ROOT.iterdir() if p.suffix in kinds or p.name == "Makefile"]
    assert len(files) > 40
    for path in files:
        found = re.search(r"(?<![\w.])/(home|root|tmp|Users|work|opt|mnt)/\w", path.read_text())
        assert not found, f"{path.relative_to(ROOT)}: {found and found[0]}"
