"""FITS tables with columns of variable length, such as a matrix: arrays go to the file one after another, uncopied."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.io import fits

LETTERS = {"i": "J", "f": "E"}  # of FITS, for 32-bit numbers of numpy
AT_ONCE = 2**6  # arrays that are copied and written at a time


@dataclass(frozen=True)
class Ragged:
    """A table whose last columns have an array of its own length in each row; they go to a file without a copy of all.

    table: the other columns, with the header; columns: by name, 32-bit arrays of one type, one for each row.
    """

    table: fits.BinTableHDU
    columns: Mapping[str, Sequence[np.ndarray]]

    @property
    def header(self) -> fits.Header:
        """The header of the table without its columns of variable length."""
        return self.table.header

    def append_to(self, path: str | os.PathLike[str]) -> None:
        """Write the table behind what the file at ``path`` has: its rows, then all arrays, column by column."""
        sizes = np.array([[part.size for part in parts] for parts in self.columns.values()])
        ends = 4 * np.cumsum(sizes).reshape(sizes.shape)
        places = np.stack([sizes, ends - 4 * sizes], axis=2)
        described = [fits.Column(name, "2J", array=place) for name, place in zip(self.columns, places, strict=True)]
        whole = fits.BinTableHDU.from_columns([*self.table.columns, *described], header=self.header)
        for number, (parts, size) in enumerate(zip(self.columns.values(), sizes, strict=True), len(self.table.columns)):
            whole.header[f"TFORM{number + 1}"] = f"P{LETTERS[parts[0].dtype.kind]}({size.max()})"
        whole.header["PCOUNT"] = int(ends.max())
        rows = whole.data.view(np.ndarray).astype(whole.columns.dtype.newbyteorder(">"))
        with fits.StreamingHDU(os.fspath(path), whole.header) as file:
            file.write(rows.view(np.uint8))
            for parts in self.columns.values():
                for first in range(0, len(parts), AT_ONCE):
                    piece = np.concatenate(parts[first : first + AT_ONCE])
                    if piece.size:
                        file.write(piece.astype(piece.dtype.newbyteorder(">")).view(np.uint8))
