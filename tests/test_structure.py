"""The house: imports go down the map only, sisters stay apart, no path of one machine."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = [  # from the ground up: a room knows those below it, and none beside it
    {"constants", "units", "fit"},
    {"io"},
    {"atomic"},
    {"compute"},
    {"physics"},
    {"absorber"},
    {"montecarlo"},
    {"spectra"},
    {"simulation", "sipm", "orbit"},
    {"expected"},
    {"design", "response"},
    {"plot"},
    {"datasheet"},
    {"cli"},
    {"__init__", "__main__"},
]
SISTERS = {"photoelectric", "photon_scattering", "relaxation", "electrons"}


def imports(path):
    """Modules of the package that a file imports, wherever in it, as dotted names; the package itself is `__init__`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "xcal_jax":
            yield from (f"{node.module}.{a.name}" for a in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "xcal_jax")


def modules():
    """Every file of the package by its dotted name; a folder's `__init__.py` is the folder."""
    for path in sorted((ROOT / "xcal_jax").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def arrows():
    """(file, file that it imports) by dotted names: a name that is no file belongs to the folder or file before it."""
    for name, path in MODULES.items():
        for target in imports(path):
            while target not in MODULES:
                target = target.rpartition(".")[0]
            yield name, target


ARROWS = list(arrows())


def room(name):
    return name.split(".")[1] if "." in name else "__init__"


def floor(name):
    (found,) = (n for n, rooms in enumerate(FLOORS) if room(name) in rooms)
    return found


def test_every_room_has_a_floor():
    assert {room(name) for name in MODULES} == set().union(*FLOORS)


def test_imports_go_down():
    upwards = {(a, b) for a, b in ARROWS if floor(b) >= floor(a) and room(a) != room(b)}
    assert not upwards


def test_no_files_of_a_room_import_each_other_in_a_circle():
    graph = {name: {b for a, b in ARROWS if a == name} for name in MODULES}
    TopologicalSorter(graph).prepare()


def test_few_files_stand_at_the_root():
    assert len(list((ROOT / "xcal_jax").glob("*.py"))) <= 5


def test_sisters_never_import_each_other():
    for a, b in ARROWS:
        if room(a) == room(b) == "physics":
            sisters = {name.split(".")[2] for name in (a, b)} & SISTERS
            assert len(sisters) < 2, (a, b)


def test_the_library_knows_no_tests():
    for name, path in MODULES.items():
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
