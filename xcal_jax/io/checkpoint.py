"""Checkpoints: what is done of a long run, kept so that the same run, and no other, can go on from there.

A checkpoint is a folder with a file for each part of the run that is done; a run that has no parts keeps one file.
Each file is written whole or not at all and holds arrays, with the facts of what they belong to and a check sum. All
commands keep theirs at OUTPUT.part. The folder is of one run at a time: it is locked, which the system undoes when the
process ends.
"""

import fcntl
import hashlib
import json
import os
import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from xcal_jax.io.files import check_writable, replacing
from xcal_jax.units import shown_path

SAVED_EVERY = 10.0  # s
SUFFIX = ".part"  # of a checkpoint, and of the files in its folder
OWN = re.compile(
    r"\d+|\d+\.part|\.\d+-[\w-]+\.part"
)  # what a checkpoint's folder holds: folders, files, unfinished files


def checkpoint_of(output: str | os.PathLike[str]) -> Path | None:
    """Where the commands keep the checkpoint of a run to the file ``output``; nowhere if that is a device or a pipe."""
    return Path(f"{output}{SUFFIX}") if os.path.isfile(output) or not os.path.exists(output) else None


@dataclass(frozen=True)
class Checkpoint:
    """The folder ``path``, locked (its descriptor: ``lock``); nothing is kept where it is None."""

    path: Path | None
    lock: int | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None, resume: bool) -> "Checkpoint":
        """The checkpoint at ``path``, emptied unless ``resume``.

        Raises ValueError where nothing can be written there, where a file stands, and where another run is at work.
        """
        if path is None:
            return cls(None)
        path = Path(path)
        if os.path.lexists(path) and not path.is_dir():
            raise ValueError(f"checkpoint {shown_path(path)} must be a folder, but is a file")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise ValueError(
                f"checkpoint {shown_path(path)} cannot be made: {(problem.strerror or str(problem)).lower()}"
            ) from problem
        check_writable(path / f"0{SUFFIX}")
        kept = cls(path, _locked(path))
        try:
            if not resume:
                _remove_own(path)
        except ValueError:
            kept.close()
            raise
        return kept

    def close(self) -> None:
        """Let another run have the folder, which is removed if nothing is in it; a process that ends lets it, too."""
        if self.path is not None and self.lock is not None:
            _remove_empty(self.path)
            os.close(self.lock)

    def load(self, facts: dict[str, str], part: int = 0) -> dict[str, np.ndarray]:
        """The arrays that are kept of the ``part`` of the run that ``facts`` describe; none if there are none.

        Raises ValueError, naming what differs, where the file is of another run, and where it is no checkpoint.
        """
        if self.path is None or not (file := self._file(part)).exists():
            return {}
        kept, arrays = _read(file)
        differing = [name for name in facts if kept.get(name) != facts[name]]
        if differing:
            problem = f"is of another run (another {', '.join(differing)}): remove it to start anew"
            raise ValueError(f"checkpoint {shown_path(self.path)} {problem}")
        return arrays

    def save(self, facts: dict[str, str], arrays: dict[str, np.ndarray], part: int = 0) -> None:
        """Keep ``arrays`` of the ``part`` of the run. A kill at any moment leaves the old file or the new one."""
        if self.path is None:
            return
        about = json.dumps({"facts": facts, "sum": _sum(arrays)})
        with replacing(self._file(part)) as temporary, temporary.open("wb") as file:
            np.savez(file, about=np.array(about), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())

    def _file(self, part: int) -> Path:
        assert self.path is not None
        return self.path / f"{part}{SUFFIX}"


def remove_checkpoint(path: str | os.PathLike[str] | None) -> None:
    """Remove the checkpoint at ``path``, if there is one: its own files, and its folder if nothing else is in it.

    Raises ValueError where ``path`` is a file, and where another run is at work.
    """
    if path is None:
        return
    path = Path(path)
    if path.is_dir():
        with closing(Checkpoint(path, _locked(path))):
            _remove_own(path)
    elif path.exists():
        raise ValueError(f"checkpoint {shown_path(path)} must be a folder, but is a file")


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _remove_own(folder: Path) -> None:
    """Remove from ``folder`` what a checkpoint has written there. Raises ValueError where another run is at work."""
    own_names = [inner for inner in folder.iterdir() if OWN.fullmatch(inner.name)]
    for own in sorted(own_names, key=Path.is_file):  # folders first: one of them may be locked
        if own.is_dir() and not own.is_symlink():
            remove_checkpoint(own)
        else:
            own.unlink()


def _locked(folder: Path) -> int:
    """A descriptor of ``folder`` that holds its lock, until it is closed or the process ends, however it does.

    Raises ValueError where another run holds it, or has just removed it.
    """
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(folder)):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    raise ValueError(f"checkpoint {shown_path(folder)} must be of one run at a time, but another is at work")


def _sum(arrays: dict[str, np.ndarray]) -> str:
    """The check sum of ``arrays``: names, types, shapes and values."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return found.hexdigest()


def _read(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The facts and the arrays of a file. Raises ValueError where it is no checkpoint, or is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = dict(content)
        about = json.loads(str(arrays.pop("about")))
        if about["sum"] != _sum(arrays):
            raise ValueError("its check sum differs")
        return dict(about["facts"]), arrays
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as problem:
        raise ValueError(f"checkpoint {shown_path(path)} cannot be read: remove it to start anew") from problem
