"""FITS tables row by row, so that memory does not grow with them: astropy makes headers, rows go as bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits

BLOCK = 2880  # bytes, of which every part of a FITS file is a whole number


@contextmanager
def table_rows(file: BinaryIO, header: fits.Header) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends rows (structured, big-endian) to a table at the end of ``file``.

    ``header`` may change meanwhile, as long as it keeps its length; its number of rows is set at the end.
    """
    start = file.tell()
    header["NAXIS2"] = 0
    size = len(header.tostring())
    file.write(header.tostring().encode("ascii"))

    def append(rows: np.ndarray) -> None:
        file.write(rows.tobytes())
        header["NAXIS2"] += len(rows)

    yield append
    end = file.tell()
    file.write(bytes(-(end - start) % BLOCK))
    file.seek(start)
    if len(header.tostring()) != size:
        raise RuntimeError("a FITS header has changed its length: this is a fault of the program")
    file.write(header.tostring().encode("ascii"))
    file.seek(0, 2)


def columns_dtype(header: fits.Header) -> np.dtype[Any]:
    """The big-endian type of a table's rows. Raises ValueError for columns of variable length."""
    if header.get("PCOUNT", 0):
        raise ValueError("a table must have no columns of variable length")
    dtype: np.dtype[Any] = fits.BinTableHDU(header=header, data=fits.DELAYED).columns.dtype.newbyteorder(">")
    return dtype
