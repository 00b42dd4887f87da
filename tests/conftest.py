"""For the whole suite: strict numerics, checked types, one compilation cache, one measure of statistical agreement.

False alarms. Every random test has a fixed seed, so it passes or fails for good on given versions. Its limits are
two-sided and such that a correct program with another seed would miss one comparison in 1e5 (4.4 sigmas); the
suite holds about 300 of them, so a change that reshuffles the random numbers has a chance of 0.3 % to break it.
"""

import os
import sys
import tempfile

CACHE = tempfile.TemporaryDirectory(prefix="xcal-jax-tests-")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", CACHE.name)  # programs compiled here serve the subprocesses too
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")  # of quick ones as well

import csv  # noqa: E402
from pathlib import Path  # noqa: E402

import hypothesis  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402
import pytest  # noqa: E402
from scipy import stats  # noqa: E402

from tests import typecheck  # noqa: E402

FALSE_ALARM = 1e-5
MEMORY = 5e9  # bytes: of one process of the suite, before it forgets compiled programs
DEAR = (  # files that take longest, dearest first
    "test_notebooks.py",
    "test_door.py",
    "test_analysis.py",
    "expected/test_function.py",
    "sipm/test_closure.py",
    "expected/test_scattering.py",
    "response/test_linefit.py",
    "simulation/test_pixels.py",
    "expected/test_observables.py",
    "simulation/test_simulate.py",
    "montecarlo/test_scattering_electrons.py",
    "cli/test_absorber.py",
    "compute/test_cluster.py",
    "montecarlo/test_transport.py",
    "montecarlo/test_array.py",
    "simulation/test_impacts.py",
    "response/test_rmf.py",
    "design/test_optimise.py",
    "test_docs.py",
    "clients/test_clients.py",
    "sipm/test_missions_of_others.py",
    "response/test_official.py",
    "cli/test_environments.py",
    "fuzz/test_fuzz.py",
)
SIGMAS = float(stats.norm.isf(FALSE_ALARM / 2))

typecheck.install()
hypothesis.settings.register_profile("house", derandomize=True, max_examples=40, deadline=None, database=None)
hypothesis.settings.load_profile("house")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


def pytest_collection_modifyitems(items):
    """Dear files begin first, so that the workers of `make test` end together; the dearest tests must be asked for."""
    rank = {Path(__file__).parent / name: n for n, name in enumerate(DEAR)}
    items.sort(key=lambda item: rank.get(item.path, len(DEAR)))
    if not os.environ.get("XCAL_JAX_EXHAUSTIVE"):
        for item in items:
            if item.get_closest_marker("exhaustive"):
                item.add_marker(pytest.mark.skip(reason="one of the dearest tests: set XCAL_JAX_EXHAUSTIVE"))


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Compiled programs serve the next modules too, until they fill the memory."""
    yield
    if psutil.Process().memory_info().rss > MEMORY:
        jax.clear_caches()


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def reference(root):
    """Rows of a table in data/reference, numbers as floats."""

    def number(text):
        try:
            return float(text)
        except ValueError:
            return text

    def read(name):
        with (root / "data" / "reference" / name).open() as file:
            return [{key: number(value) for key, value in row.items()} for row in csv.DictReader(file)]

    return read


@pytest.fixture(scope="session")
def agrees():
    """``found`` within the statistical error of ``expected``, and within ``relative`` of it on top."""

    def check(found, expected, error, relative=0.0):
        limit = SIGMAS * np.asarray(error) + relative * np.abs(expected)
        np.testing.assert_array_less(np.abs(np.asarray(found) - expected), limit + 1e-300)

    return check


@pytest.fixture(scope="session")
def chi_square():
    """Counts follow the expected shares: neither worse nor better than chance. Cells below 10 are put together."""

    def check(counts, shares):
        counts, shares = np.ravel(counts).astype(float), np.ravel(shares).astype(float)
        assert np.all(counts[shares == 0] == 0)
        expected = shares / shares.sum() * counts.sum()
        rare = expected < 10
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
        counts, expected = counts[expected > 0], expected[expected > 0]
        assert expected.size > 1
        chance = stats.chi2.sf(np.sum((counts - expected) ** 2 / expected), expected.size - 1)
        assert FALSE_ALARM / 2 < chance < 1 - FALSE_ALARM / 2

    return check


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    """Run a command in an empty folder: (exit code, stdout, stderr)."""
    from xcal_jax.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["xcal-jax", *words])
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code or 0
        out, err = capfd.readouterr()
        return code, out, err

    return run
