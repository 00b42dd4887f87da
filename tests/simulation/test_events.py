"""Event files: rows block by block, whole or not at all."""

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.montecarlo.batch import PASSED, Event
from xcal_jax.simulation.events import COLUMNS, FITS_COLUMNS, event_file, load_events

XIFU = Absorber.preset("xifu")
RUN = {"absorber": XIFU.to_toml(), "source": '{"energy_ev": [7000.0]}' * 9, "seed": "1"}


def block(first, n):
    rows = np.arange(first, first + n, dtype=np.float32)
    return Event(rows, rows / 2, (rows % 4).astype(np.int32), rows + 0.25, -rows, np.where(rows == 3, np.nan, -rows))


@pytest.mark.parametrize("asked", [10, 11])
def test_rows_in_order(tmp_path, asked):
    path = tmp_path / "events.nc"
    with event_file(path, {**RUN, "seed": "1"}, asked) as append:
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
        assert file.loss_type.attrs["flag_masks"].tolist() == [1, 2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_leaves_nothing(tmp_path, error):
    def write():
        with event_file(tmp_path / "events.nc", RUN, 5) as append:
            append(block(0, 5))
            raise error

    with pytest.raises(error):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".fits", ".evt"])
def test_fits_rows(tmp_path, suffix):
    """Photons that interacted, with their truth, valid FITS; those that passed are counted in the header."""
    path = tmp_path / f"events{suffix}"
    passed = block(5, 1)
    passed.loss_type[:] = PASSED
    with event_file(path, RUN, 10) as append:
        for rows in (block(0, 5), passed, block(6, 4)):
            append(rows)
    with fits.open(path) as file:
        file.verify("exception")
        table, header = file["EVENTS"].data, file["EVENTS"].header
        assert file["EVENTS"].columns.names == [name for name, *_ in FITS_COLUMNS]
        assert [column.unit for column in file["EVENTS"].columns] == [unit for _, _, unit, *_ in FITS_COLUMNS]
        assert len(table) == 9 and (header["NPHOTONS"], header["NPASSED"], header["COMPLETE"]) == (10, 1, True)
        assert header["ELECTRON"] == "range" and header["SEED"] == "1"
        assert file["GTI"].data["STOP"][0] == header["TSTOP"] == 10.0
        np.testing.assert_array_equal(table["PH_ID"], [0, 1, 2, 3, 4, 6, 7, 8, 9])
        np.testing.assert_array_equal(table["TIME"], table["PH_ID"])
        np.testing.assert_allclose(table["E_TRUE"], table["PH_ID"] / 1000.0, rtol=1e-6)
        np.testing.assert_allclose(table["ENERGY"], table["PH_ID"] / 2000.0, rtol=1e-6)
        np.testing.assert_array_equal(table["E_DEP"], table["ENERGY"])
        np.testing.assert_array_equal(table["PI"], table["PH_ID"] // 2)
        np.testing.assert_array_equal(table["LOSS_TYPE"], table["PH_ID"] % 4)
        np.testing.assert_array_equal(table["X"], table["PH_ID"] + 0.25)
    again = load_events(path)
    np.testing.assert_allclose(again.energy, block(0, 10).energy[[0, 1, 2, 3, 4, 6, 7, 8, 9]], rtol=1e-6)
    assert Absorber.from_toml(again.attrs["absorber"]).to_toml() == XIFU.to_toml()


def test_a_list_cut_short_says_so(tmp_path):
    with event_file(tmp_path / "e.fits", RUN, 11) as append:
        append(block(0, 10))
    assert fits.getheader(tmp_path / "e.fits", "EVENTS")["COMPLETE"] is False


@pytest.mark.parametrize("name", ["no.fits", "no.nc", "text.fits", "text.nc", "other.fits"])
def test_other_files_are_no_lists(tmp_path, name):
    (tmp_path / "text.fits").write_text("hello")
    (tmp_path / "text.nc").write_text("hello")
    fits.PrimaryHDU().writeto(tmp_path / "other.fits")
    with pytest.raises(ValueError, match="must be an event list"):
        load_events(tmp_path / name)
