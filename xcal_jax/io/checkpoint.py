"""Checkpoints: what is done of a long run, kept so that the same run, and no other, can go on from there.

A checkpoint is a file, or a folder with a file for each part of the run that is done. Each file is written whole or
not at all and holds arrays, with the facts of what they belong to and a check sum. All commands keep theirs at
OUTPUT.part. A folder is of one run at a time: it is locked, which the system undoes when the process ends.
"""

import fcntl
import hashlib
import json
import os
import re
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


def checkpoint_of(output: str | os.PathLike[str]) -> Path:
    """Where the commands keep the checkpoint of a run to the file ``output``."""
    return Path(f"{output}{SUFFIX}")


@dataclass(frozen=True)
class Checkpoint:
    """A file at ``path``, or a folder there, locked (its descriptor: ``lock``); nothing is kept where it is None."""

    path: Path | None
    lock: int | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None, resume: bool, folder: bool = False) -> "Checkpoint":
        """The checkpoint at ``path``, emptied unless ``resume``. folder: whether it has a file for each part.

        Raises ValueError where nothing can be written there, or where something stands that is no such checkpoint.
        """
        if path is None:
            return cls(None)
        path = Path(path)
        if not folder:
            if not resume:
                remove_checkpoint(path)
            check_writable(path)
            return cls(path)
        if os.path.exists(path) and not path.is_dir():
            raise ValueError(f"checkpoint {shown_path(path)} must be a folder, but is a file")
        path.mkdir(parents=True, exist_ok=True)
        lock = _locked(path)
        if not resume:
            _remove_own(path)
        return cls(path, lock)

    def close(self) -> None:
        """Let another run have the folder; the end of the process does so too."""
        if self.lock is not None:
            os.close(self.lock)

    def load(self, facts: dict[str, str], part: int | None = None) -> dict[str, np.ndarray]:
        """The arrays that are kept of the run, or of its ``part``, that ``facts`` describe; none if there are none.

        Raises ValueError, naming what differs, where the file is of another run, and where it is no checkpoint.
        """
        file = self._file(part)
        if file is None or not file.exists():
            return {}
        kept, arrays = _read(file)
        differing = [name for name in facts if kept.get(name) != facts[name]]
        if differing:
            problem = f"is of another run (another {', '.join(differing)}): remove it to start anew"
            raise ValueError(f"checkpoint {shown_path(self.path)} {problem}")
        return arrays

    def save(self, facts: dict[str, str], arrays: dict[str, np.ndarray], part: int | None = None) -> None:
        """Keep ``arrays`` of the run, or of its ``part``. A kill at any moment leaves the old file or the new one."""
        path = self._file(part)
        if path is None:
            return
        about = json.dumps({"facts": facts, "sum": _sum(arrays)})
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, about=np.array(about), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())

    def _file(self, part: int | None) -> Path | None:
        return self.path if self.path is None or part is None else self.path / f"{part}{SUFFIX}"


def remove_checkpoint(path: str | os.PathLike[str]) -> None:
    """Remove the checkpoint at ``path``, if there is one: its own files, and its folder if nothing else is in it.

    Raises ValueError where ``path`` is a file, but no checkpoint.
    """
    path = Path(path)
    if path.is_dir():
        _remove_own(path)
        if not any(path.iterdir()):
            path.rmdir()
    elif path.exists():
        _read(path)
        path.unlink()


def _remove_own(folder: Path) -> None:
    """Remove from ``folder`` what a checkpoint has written there. Raises ValueError where another run is at work."""
    for own in [inner for inner in folder.iterdir() if OWN.fullmatch(inner.name)]:
        if own.is_dir() and not own.is_symlink():
            os.close(_locked(own))
            remove_checkpoint(own)
        else:
            own.unlink()


def _locked(folder: Path) -> int:
    """A descriptor of ``folder`` that holds its lock, until it is closed or the process ends, however it does.

    Raises ValueError where another run holds it.
    """
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        os.close(lock)
        raise ValueError(
            f"checkpoint {shown_path(folder)} must be of one run at a time, but another is at work"
        ) from problem
    return lock


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
