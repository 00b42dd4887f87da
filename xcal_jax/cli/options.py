"""What long runs of the command line share: programs kept compiled, checkpoints, and others that do the work."""

import sys
from contextlib import suppress
from os import PathLike
from typing import NoReturn

import click
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


def on_a_cluster(command):
    """Options ``--scheduler`` and ``--workers`` for `xcal_jax.compute.cluster.connect`."""
    for option in (
        click.option("--workers", type=int, help="Count in so many processes of this machine."),
        click.option("--scheduler", help="Count on the workers of the Dask scheduler at this address."),
    ):
        command = option(command)
    return command


resumable = click.option("--resume", is_flag=True, help="Go on from OUTPUT.part, which an interrupted run has left.")


def interrupted(part: PathLike, done: str = "") -> NoReturn:
    """End the command after Ctrl-C, saying what is ``done`` and how to go on from the checkpoint ``part``."""
    click.echo(f"interrupted: {done}the same command with --resume goes on from {part}", err=True)
    sys.exit(130)
