"""Compiled programs kept between runs of the command line: the second start costs no compilation."""

from platformdirs import user_cache_path


def keep_compiled_programs() -> None:
    """Let JAX keep what it compiles in the user's cache folder, unless JAX_COMPILATION_CACHE_DIR names another."""
    import jax

    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(user_cache_path("xcal_jax") / "programs"))
