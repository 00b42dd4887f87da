"""Event files: rows block by block, whole or not at all."""

import numpy as np
import pytest
import xarray as xr

from xcal_jax.absorber.batch import Event
from xcal_jax.response.events import COLUMNS, event_file


def block(first, n):
    rows = np.arange(first, first + n, dtype=np.float32)
    return Event(rows, rows / 2, (rows % 4).astype(np.int32), rows + 0.25, -rows, np.where(rows == 3, np.nan, -rows))


@pytest.mark.parametrize("asked", [10, 11])
def test_rows_in_order(tmp_path, asked):
    path = tmp_path / "events.nc"
    with event_file(path, {"seed": "1"}, asked) as append:
        for first, n in ((0, 5), (5, 1), (6, 4)):
            append(block(first, n))
        assert not path.exists()
    with xr.open_dataset(path) as file:
        assert file.sizes == {"photon": 10} and file.attrs["seed"] == "1"
        assert file.attrs["complete"] == (asked == 10)
        expected = block(0, 10)
        for name in COLUMNS:
            np.testing.assert_array_equal(file[name], getattr(expected, name))
            assert "units" in file[name].attrs and file[name].attrs["long_name"]
        assert file.loss_type.attrs["flag_masks"].tolist() == [1, 2, 4, 16]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_leaves_nothing(tmp_path, error):
    def write():
        with event_file(tmp_path / "events.nc", {}, 5) as append:
            append(block(0, 5))
            raise error

    with pytest.raises(error):
        write()
    assert list(tmp_path.iterdir()) == []
