"""Where a command runs: other settings of JAX, no UTF-8, no home, a cache that cannot be written, blanks in paths."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from xcal_jax import load, simulate

N = 1000
HOSTILE = {"JAX_ENABLE_X64": "1", "JAX_DEBUG_NANS": "1", "LANG": "C", "LC_ALL": "C"}


@pytest.mark.slow
def test_the_same_counts_in_a_hostile_environment(tmp_path):
    """All at once, in one process; what it says is the progress bar alone."""
    folder, cache = tmp_path / "my own folder", tmp_path / "a cache"
    (cache / "xcal_jax" / "programs").mkdir(parents=True)
    folder.mkdir()
    for place in (cache, *cache.rglob("*")):
        place.chmod(0o500)
    environment = {key: value for key, value in os.environ.items() if key != "HOME" and not key.startswith("JAX_")}
    environment |= HOSTILE | {"XDG_CACHE_HOME": str(cache)}
    words = ["simulate", "xifu", "--energy", "7keV", "-n", str(N), "-o", "my result.nc"]
    as_owner = ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []  # root could write anywhere
    if as_owner and not shutil.which("setpriv"):
        pytest.skip("root writes into any folder, and there is no setpriv (util-linux) to forbid it")
    command = [*as_owner, sys.executable, "-m", "xcal_jax", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"" and b"warning" not in done.stderr and b"Error" not in done.stderr
    assert os.listdir(folder) == ["my result.nc"] and os.listdir(cache / "xcal_jax" / "programs") == []
    found, expected = load(folder / "my result.nc"), simulate("xifu", "7 keV", n=N)
    counts = [name for name, of in expected.data_vars.items() if of.dtype.kind == "i"]
    assert len(counts) > 5
    for name in counts:
        np.testing.assert_array_equal(found[name].values, expected[name].values)
    xr.testing.assert_allclose(found, expected, rtol=1e-6)  # energies of lines, in double precision or single
