"""What is done of a long run, kept in a file: whole or not at all, and taken up again by the same run only."""

import json
import os
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from xcal_jax.io.files import replacing

SAVED_EVERY = 10.0  # s


def save_checkpoint(path: str | os.PathLike, facts: dict[str, str], arrays: dict[str, np.ndarray]) -> None:
    """Write ``arrays`` of the run that ``facts`` describe. A kill at any moment leaves the old file or the new one."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, facts=np.array(json.dumps(facts)), **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(path: str | os.PathLike, facts: dict[str, str]) -> dict[str, np.ndarray]:
    """The arrays that ``path`` keeps of the run that ``facts`` describe; none if there is no such file.

    Raises ValueError, naming what differs, where it is of another run, and where it is no checkpoint.
    """
    if not Path(path).exists():
        return {}
    try:
        with np.load(path) as file:
            arrays = dict(file)
        kept = json.loads(str(arrays.pop("facts")))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as problem:
        raise ValueError(f"checkpoint {str(path)!r} cannot be read: remove it to start anew") from problem
    differing = [name for name in facts if kept.get(name) != facts[name]]
    if differing:
        raise ValueError(
            f"checkpoint {str(path)!r} is of another run (another {', '.join(differing)}): remove it to start anew"
        )
    return arrays
