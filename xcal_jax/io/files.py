"""Files: written beside their place and renamed, so that a reader sees a whole file or none; small ones read."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; on success it takes the place of ``path``.

    On any error, an interruption included, nothing is left behind and an older ``path`` stays as it was.
    Raises ValueError when the folder is missing or ``path`` is a folder.
    """
    path = Path(path)
    check_writable(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


PLOTS = (".png", ".pdf", ".svg")


def check_writable(path: str | os.PathLike[str], suffixes: tuple[str, ...] = ()) -> None:
    """Raise ValueError unless a file could be written at ``path``: asked before long work, not after it.

    suffixes: those that its kind of file may have, if not all.
    """
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise ValueError(f"output must end in one of {', '.join(suffixes)}, but is {str(path)!r}")
    if path.is_dir():
        raise ValueError(f"output must be a file, but {str(path)!r} is a folder")
    if not path.parent.is_dir():
        raise ValueError(f"output folder must exist, but {str(path.parent)!r} does not")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"output folder must be writable, but {str(path.parent)!r} is not")


def check_outputs(*paths: str | None) -> None:
    """Raise ValueError unless those of ``paths`` that are asked for could be written, and differ."""
    asked = [path for path in paths if path]
    for path in asked:
        check_writable(path)
    if len({os.path.realpath(path) for path in asked}) < len(asked):
        raise ValueError(f"outputs must be different files, but are {', '.join(asked)}")


def read_text(path: str | os.PathLike[str], where: str, kind: str) -> str:
    """The text of the file at ``path``, without a byte-order mark; ``where`` names it in errors, ``kind`` is "TOML".

    Raises ValueError when it is missing or no text.
    """
    if not Path(path).is_file():
        raise ValueError(f"{where} must be a {kind} file, but does not exist")
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ValueError(f"{where} must be a {kind} file in UTF-8, but is not text") from problem
