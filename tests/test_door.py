"""The front door: names one dot away, imports that change nothing, examples that run, programs that are kept."""

import doctest
import os
import re
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

import xcal_jax as xcal

DEAR = {
    "design",
    "fit_line",
    "fit_lines",
    "observables",
    "report",
    "response",
    "sensitivity",
    "sweep",
}  # compile programs of their own
DEAREST = {"fit_line", "report"}
CALLABLES = [name for name in xcal.__all__ if name not in {"__version__", "orbit", "plot", "sipm"}]


def python(code, **environment):
    """What ``code`` prints in a fresh process, in which only ``environment`` says where JAX keeps programs."""
    others = {name: value for name, value in os.environ.items() if "COMPILATION_CACHE" not in name}
    run = subprocess.run(
        [sys.executable, "-c", code], env=others | environment, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_dir_offers_public_names_and_nothing_else():
    assert set(dir(xcal)) == set(xcal.__all__)
    wanted = "Absorber Source simulate events sweep response sensitivity design fit_line quantum_efficiency load save"
    assert set(f"{wanted} fit_lines merge summary dose observables sipm orbit plot".split()) <= set(xcal.__all__)
    assert all(callable(getattr(xcal, name)) for name in CALLABLES)


def test_names_of_the_readme_resolve_after_the_plain_import(root):
    text = "".join(path.read_text() for path in (root / "README.md", *(root / "notebooks").rglob("*.md")))
    names = sorted(set(re.findall(r"(?<![\w./])xcal_jax(?:\.[A-Za-z_]\w*)+", text)))
    assert "xcal_jax.simulation.sweep.paired_difference" in names
    code = "\n".join(["import xcal_jax", *names])
    python(code)


def test_importing_loads_no_jax_and_changes_nothing():
    loaded, before, after = python(
        "import sys, xcal_jax; print('jax' in sys.modules)\n"
        "import jax; print(dict(jax.config.values))\n"
        "import xcal_jax.simulation.simulate, xcal_jax.expected.function; print(dict(jax.config.values))"
    )
    assert loaded == "False" and before == after


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="xcal_jax has no 'simualte': did you mean 'simulate'"):
        xcal.simualte  # noqa: B018
    assert not hasattr(xcal, "__wrapped__")


@pytest.mark.parametrize("room", ["design", "response"])
def test_a_room_is_called_like_its_function(room):
    module = import_module(f"xcal_jax.{room}")
    assert isinstance(module, ModuleType) and getattr(xcal, room) is module and callable(module)
    assert room in dir(module)
    with pytest.raises((TypeError, ValueError)):
        module("no such absorber, no such file")


def examples(name):
    """The doctests of a public name and its methods."""
    thing = getattr(xcal, name)
    function = getattr(thing, name) if isinstance(thing, ModuleType) else thing
    scope = vars(import_module(function.__module__)) | {"__name__": function.__module__}
    found = doctest.DocTestFinder(recurse=isinstance(function, type)).find(function, name, globs=scope)
    return [test for test in found if test.examples]


def run(tests):
    assert tests, "a public name needs an example"
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        assert runner.run(test).failed == 0, test.name


@pytest.mark.parametrize("name", sorted(set(CALLABLES) - DEAR))
def test_examples_run(name):
    run(examples(name))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.exhaustive if n in DEAREST else ()) for n in sorted(DEAR)]
)
def test_dear_examples_run(name):
    run(examples(name))


def test_every_dear_name_has_an_example():
    assert all(examples(name) for name in DEAR)


@pytest.mark.parametrize("module", ["units", "compute.kept", "plot.notebook"])
def test_examples_of_a_module_run(module):
    found = import_module(f"xcal_jax.{module}")
    assert doctest.testmod(found).failed == 0 < len(doctest.DocTestFinder().find(found))


KEEP = """
import jax
jax.numpy.arange(3) + 1  # somebody's program, compiled before
from xcal_jax.compute.kept import keep_compiled_programs
keep_compiled_programs()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.jit(lambda x: x * 2 + 1)(1.0)
print(jax.config.values["jax_compilation_cache_dir"])
"""


def test_programs_are_kept_where_the_user_keeps_such_things(tmp_path):
    (folder,) = python(KEEP, XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path))
    assert folder.startswith(str(tmp_path)) and folder.endswith("programs") and os.listdir(folder)


@pytest.mark.parametrize("setting", ["JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"])
def test_the_users_own_settings_of_jax_win(tmp_path, setting):
    own = tmp_path / "own"
    value = str(own) if setting.endswith("DIR") else "false"
    (folder,) = python(KEEP, XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path), **{setting: value})
    assert folder == (str(own) if setting.endswith("DIR") else "None")
    assert not (tmp_path / "xcal_jax").exists()


def test_the_package_says_that_it_has_types(root):
    assert (root / "xcal_jax" / "py.typed").is_file()
