"""A table file of the package: built, and written or compared with the one that is shipped."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[2] / "xcal_jax" / "atomic"

Tables = dict[str, np.ndarray]


def ship(name: str, build: Callable[[], Tables], write: Callable[[Tables, Path], None], about: str, sizes) -> None:
    """Write file ``name``, or say whether the one that is there has the same bytes; print ``sizes(tables)``.

    about: what the script that does so says of itself.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the shipped file, write nothing")
    check, shipped, tables = parser.parse_args().check, FOLDER / name, build()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name if check else shipped
        write(tables, path)
        same = path.read_bytes() == shipped.read_bytes()
    print(sizes(tables))
    sys.exit(None if same else f"{name} is not what this script builds with these library versions")
