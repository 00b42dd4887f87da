"""Files: written beside their place and renamed, so that a reader sees a whole file or none; small ones read."""

import codecs
import errno
import glob
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from xcal_jax.units import shown_path

HOST = re.sub(r"\W", "_", socket.gethostname())
MARK = b"xcal_jax"  # stands in every file that this program writes, which may therefore be written anew
LONGEST_NAME = 200  # bytes of a file's name, so that its checkpoint and unfinished file can have longer ones
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no space on the disk, none for this user, none in this file
LOOKED_AT = 2**18  # bytes at each end of a file where its mark may stand


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; on success it takes the place of ``path``.

    On any error, an interruption included, nothing is left behind and an older ``path`` stays as it was; what a killed
    process of this machine has left is removed. A link stays a link, to the new file; a device (``/dev/null``) or a
    pipe is written through. Raises ValueError when the folder is missing or ``path`` is a folder; OSError, which names
    ``path``, when the disk is full.
    """
    given, path = path, Path(os.path.realpath(path))
    check_writable(path)
    through = path.exists() and not path.is_file()
    folder = Path(tempfile.gettempdir()) if through else path.parent
    begin = f".{path.stem[:100]}-{HOST}-"
    _remove_left_over(folder, begin, path.suffix)
    handle, name = tempfile.mkstemp(dir=folder, prefix=f"{begin}{os.getpid()}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if through:
            with temporary.open("rb") as made, path.open("wb") as target:
                shutil.copyfileobj(made, target)
            return
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as problem:
        if problem.errno in FULL and problem.filename in (None, str(temporary)):
            problem.filename = os.fspath(given)
        raise
    except RuntimeError as problem:
        if str(problem).startswith("NetCDF: "):  # what netCDF4 says of a disk that is full
            reason = "it could not be written (is the disk full?)"
            raise OSError(errno.EIO, reason, os.fspath(given)) from problem
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _remove_left_over(folder: Path, begin: str, suffix: str) -> None:
    """Remove unfinished files of processes that are no more."""
    for left in folder.glob(f"{glob.escape(begin)}*{glob.escape(suffix)}"):
        found = re.fullmatch(rf"(\d+)-\w{{8}}{re.escape(suffix)}", left.name.removeprefix(begin))
        if found and not _runs(int(found[1])):
            left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def check_own(path: str | os.PathLike[str]) -> None:
    """Raise ValueError where a file stands at ``path`` that this program has not written: see `MARK`."""
    path = Path(path)
    if not os.path.isfile(path) or not path.stat().st_size:
        return
    with path.open("rb") as file:
        ends = file.read(LOOKED_AT)
        file.seek(max(0, path.stat().st_size - LOOKED_AT))
        if MARK not in ends and MARK not in file.read():
            raise ValueError(
                f"output {shown_path(path)} must be new or a file of this program: --overwrite replaces it"
            )


PLOTS = (".png", ".pdf", ".svg")
NETCDF = (".nc", ".nc4", ".cdf", ".h5")
FITS_EVENTS = (".fits", ".fit", ".evt")
EVENTS = (".nc", *FITS_EVENTS)


def check_writable(path: str | os.PathLike[str], suffixes: tuple[str, ...] = ()) -> None:
    """Raise ValueError unless a file could be written at ``path``: asked before long work, not after it.

    suffixes: those that its kind of file may have, if not all.
    """
    path = Path(path)
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise ValueError(f"output must have a name of at most {LONGEST_NAME} bytes, but is {shown_path(path)}")
    if path.is_dir():
        raise ValueError(f"output must be a file, but {shown_path(path)} is a folder")
    if path.exists() and not path.is_file() and os.access(path, os.W_OK):
        return  # a device or a pipe
    if suffixes and path.suffix.lower() not in suffixes:
        raise ValueError(f"output must end in one of {', '.join(suffixes)}, but is {shown_path(path)}")
    if not path.parent.is_dir():
        raise ValueError(f"output folder must exist, but {shown_path(path.parent)} does not")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"output folder must be writable, but {shown_path(path.parent)} is not")


def check_kept(inputs: Iterable[str | os.PathLike[str]], outputs: Iterable[str | os.PathLike[str]]) -> None:
    """Raise ValueError where one of the ``outputs`` is one of the ``inputs``, by whatever name, or another output.

    A device such as ``/dev/null`` may be given as often as one likes.
    """
    taken = {os.path.realpath(path): f"the input {shown_path(path)}" for path in inputs}
    for path in outputs:
        place = os.path.realpath(path)
        if place in taken:
            raise ValueError(f"output {shown_path(path)} must be another file than {taken[place]}, but is the same")
        if not os.path.exists(place) or os.path.isfile(place):
            taken[place] = f"the output {shown_path(path)}"


def read_text(path: str | os.PathLike[str], where: str, kind: str, wide: bool = False) -> str:
    """The text of the file at ``path``, without a byte-order mark; ``where`` names it in errors, ``kind`` is "TOML".

    wide: it may also be UTF-16 with such a mark, as Windows writes it. Raises ValueError when it is missing or no text.
    """
    if not os.path.isfile(path):
        raise ValueError(f"{where} must be a {kind} file, but does not exist")
    data = Path(path).read_bytes()
    is_wide = wide and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ValueError(f"{where} must be a {kind} file in UTF-8, but is not text") from problem
