"""Compiled programs kept between runs of the command line: the second start costs no compilation."""

from contextlib import suppress

from platformdirs import user_cache_path


def keep_compiled_programs() -> None:
    """Let JAX keep what it compiles in the user's cache folder, unless JAX_COMPILATION_CACHE_DIR names another.

    Where that folder cannot be made, nothing is kept.
    """
    import jax

    folder = user_cache_path("xcal_jax") / "programs"
    if jax.config.values["jax_compilation_cache_dir"] is None:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            jax.config.update("jax_compilation_cache_dir", str(folder))
