"""What the tests of this room share."""

import jax
import pytest


@pytest.fixture
def folder(tmp_path):
    """An empty folder, in which this process keeps things."""
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)
