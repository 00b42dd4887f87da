"""Values that are dear to make and the same for every process, kept in JAX's folder, which is chosen here alone."""

import hashlib
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jaxlib
from platformdirs import user_cache_path

from xcal_jax.io.files import replacing

PACKAGE = Path(__file__).parents[1]
DIGEST = hashlib.sha256().digest_size


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


def kept(make: Callable[[], Any], *what: str) -> Any:
    """The value of ``make()``, from JAX's folder of compiled programs if this or another process has kept it there.

    what: all that the value depends on, but for the files of this package and the versions of JAX, which are always
    compared. Whoever can write into that folder can run code in this process: so it is with what JAX keeps there.
    """
    path = _path(what)
    if path is None:
        return make()
    with suppress(OSError):
        found = path.read_bytes()
        if hashlib.sha256(found[DIGEST:]).digest() == found[:DIGEST]:
            return pickle.loads(found[DIGEST:])
    value = make()
    content = pickle.dumps(value)
    with suppress(OSError, ValueError), replacing(path) as part:
        part.write_bytes(hashlib.sha256(content).digest() + content)
    return value


def _path(what: tuple[str, ...]) -> Path | None:
    """The file of a kept value, or None where nothing is kept."""
    keep_compiled_programs()
    folder = jax.config.values["jax_compilation_cache_dir"]
    if not jax.config.values["jax_enable_compilation_cache"] or folder is None or not Path(folder).is_dir():
        return None
    versions = jax.__version__, jaxlib.__version__, _package()
    return Path(folder) / f"xcal_jax-{hashlib.sha256(repr((*versions, *what)).encode()).hexdigest()[:32]}"


@cache
def _package() -> str:
    """The sha256 of all modules and tables of this package."""
    files = sorted(path for path in PACKAGE.rglob("*") if path.suffix not in ("", ".pyc") and path.is_file())
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()
