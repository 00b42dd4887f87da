"""The files of numbers, read by many threads at once."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from xcal_jax.atomic import table_hash
from xcal_jax.atomic.tables import FILES, read_tables

THREADS = """
from concurrent.futures import ThreadPoolExecutor
from xcal_jax.atomic import tables

with ThreadPoolExecutor(8) as pool:
    for _ in range(30):
        tables._tables.cache_clear()
        found = list(pool.map(tables.read_tables, tables.FILES * 4))
        assert all(len(table) == len(found[n % 2]) > 5 for n, table in enumerate(found))
"""


def test_threads_read_in_turn():
    """In a process of its own: what the library does otherwise may be a crash."""
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FILES)
def test_tables_are_read_once_and_for_all(name):
    tables = read_tables(name)
    assert read_tables(name) is tables
    values = next(v for v in tables.values() if v.dtype == float)
    with pytest.raises(ValueError, match="read-only"):
        values[...] = 0.0
    assert not any(v.dtype == np.float32 for v in tables.values())


def test_hash_names_both_files(root):
    content = b"".join((root / "xcal_jax" / "atomic" / name).read_bytes() for name in ("elements.nc", "electrons.nc"))
    assert table_hash() == hashlib.sha256(content).hexdigest()[:16]
