"""Compiled programs kept between processes: the one place where the package changes a setting of JAX."""

import os
from contextlib import suppress
from functools import cache

import jax
from platformdirs import user_cache_path


@cache
def keep_compiled_programs() -> None:
    """Let JAX keep what it compiles in the folder ``xcal_jax/programs`` of the user's cache folder.

    Asked by everything that compiles a dear program, never by an import. The user's settings win: where JAX has a
    folder already (JAX_COMPILATION_CACHE_DIR, or `jax.config`), or is told to keep nothing
    (JAX_ENABLE_COMPILATION_CACHE=false), nothing is changed. Where the folder cannot be made or written, nothing is
    kept.

    >>> keep_compiled_programs()
    """
    settings = jax.config.values
    if settings["jax_compilation_cache_dir"] is not None or not settings["jax_enable_compilation_cache"]:
        return
    folder = user_cache_path("xcal_jax") / "programs"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            jax.config.update("jax_compilation_cache_dir", str(folder))
