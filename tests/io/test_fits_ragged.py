"""FITS tables with arrays of any length: the bytes are those that astropy writes, without copies of the arrays."""

import tracemalloc

import numpy as np
import pytest
from astropy.io import fits

from xcal_jax.io.fits_files import write_fits
from xcal_jax.io.fits_ragged import Ragged

ENDS = [fits.Column("LOW", "E", "keV", array=np.arange(200.0)), fits.Column("N", "I", array=np.arange(200) % 7)]


def arrays(seed, least, most, kind):
    random = np.random.default_rng(seed)
    return [random.uniform(0, 1e6, size).astype(kind) for size in random.integers(least, most, 200)]


def boxed(parts):
    values = np.empty(len(parts), dtype=object)
    values[:] = parts
    return values


@pytest.mark.parametrize("least", [0, 1])
def test_bytes_are_those_of_astropy(tmp_path, monkeypatch, least):
    """Two columns of arrays, some of them empty, before another table."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first, values = arrays(1, least, 9, np.int32), arrays(2, least, 400, np.float32)
    ragged = Ragged(fits.BinTableHDU.from_columns(ENDS, name="M"), {"FIRST": first, "VALUES": values})
    columns = [fits.Column("FIRST", "PJ()", array=boxed(first)), fits.Column("VALUES", "PE()", array=boxed(values))]
    other = fits.BinTableHDU.from_columns([*ENDS, *columns], name="M")
    for name, table in (("ours.fits", ragged), ("theirs.fits", other)):
        write_fits(tmp_path / name, table, fits.BinTableHDU.from_columns(ENDS, name="SECOND"))
    assert (tmp_path / "ours.fits").read_bytes() == (tmp_path / "theirs.fits").read_bytes()
    with fits.open(tmp_path / "ours.fits", checksum=True) as file:  # a wrong sum warns, which is an error here
        assert [unit.name for unit in file] == ["PRIMARY", "M", "SECOND"]
        np.testing.assert_array_equal(file["M"].data["VALUES"][199], values[199])


def test_memory_does_not_grow_with_the_arrays(tmp_path):
    values = 2000 * [np.ones(5000, np.float32)]  # 40 MB in the file
    table = fits.BinTableHDU.from_columns([fits.Column("LOW", "E", "keV", array=np.arange(2000.0))])
    tracemalloc.start()
    try:
        write_fits(tmp_path / "a.fits", Ragged(table, {"VALUES": values}))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "a.fits").stat().st_size > 40e6 and most < 10e6
