"""Tables for other programs, the TOML of a new satellite, and curves of irradiated sensors."""

import numpy as np
import pytest
import xarray as xr
from astropy.table import Table

from xcal_jax import sipm
from xcal_jax.io.files import check_own
from xcal_jax.sipm.correlations import window_means
from xcal_jax.sipm.export import write_table
from xcal_jax.sipm.figures import iv_figure
from xcal_jax.sipm.iv_curves import activation_energy, breakdown, current_at, damage_constant
from xcal_jax.sipm.iv_file import read_iv
from xcal_jax.sipm.mission import new_mission


@pytest.mark.parametrize("suffix", [".ecsv", ".fits"])
def test_a_table_comes_back_with_its_units(tmp_path, suffix):
    data = sipm.build_spectra(np.ones((2, 4)), [10.0, 20.0], np.datetime64("2024-01-02"), ["a", "b"])
    data = data.assign(threshold_adu=("spectrum", [41.5, np.nan], {"units": "ADU", "long_name": "threshold"}))
    path = write_table(data, "spectrum", tmp_path / f"t{suffix}", mission="X")
    check_own(path)
    table = Table.read(path)
    np.testing.assert_array_equal(np.asarray(table["exposure"]), [10, 20])
    assert str(table["exposure"].unit) == "s" and str(table["threshold_adu"].unit) == "adu"
    assert list(table["readout"]) == ["a", "b"] and "counts" not in table.colnames
    assert not np.isfinite(np.ma.filled(table["threshold_adu"], np.nan)[1]) and str(table["time"][0]).startswith(
        "2024-01-02"
    )
    with pytest.raises(ValueError, match=r"must end in one of \.ecsv, \.fits"):
        write_table(data, "spectrum", tmp_path / "t.txt")


def test_the_toml_of_a_new_satellite_is_read_as_it_is(tmp_path):
    path = tmp_path / "new.toml"
    path.write_text(new_mission('My "Sat"'))
    mission = sipm.load_mission(path)
    assert mission.name == 'My "Sat"' and mission.channels == 1024 and len(mission.readouts) == 4
    with pytest.raises(ValueError, match="must not be empty"):
        new_mission(" ")


def test_a_series_is_averaged_to_the_values():
    """Hourly samples around each group's day, and monthly ones whose interval holds it."""
    hours = np.arange(0, 100, 1 / 24)
    means = window_means(np.array([20.0, 50.0, 300.0]), hours, hours**2, 5.0)
    np.testing.assert_allclose(means[:2], [20**2 + 25 / 12, 50**2 + 25 / 12], rtol=1e-3)
    assert np.isnan(means[2])
    np.testing.assert_array_equal(
        window_means(np.array([40.0]), np.array([0.0, 30, 60]), np.array([1.0, 2, 3]), 5), [2]
    )


def curve(breakdown_voltage, scale=1e-6, power=2.0):
    voltage = np.arange(30.0, 41.0, 0.05)
    over = np.maximum(voltage - breakdown_voltage, 0.0)
    current = 1e-11 * voltage / 30 + scale * over**power
    return xr.Dataset({"voltage": ("step", voltage), "current": ("step", current)})


def test_breakdown_of_a_drawn_curve():
    found = breakdown(curve(38.0))
    assert float(found["breakdown"]) == pytest.approx(38.0, abs=0.05)
    assert float(found["power"]) == pytest.approx(2.0, rel=0.05)
    assert current_at(curve(38.0), 39.0) == pytest.approx(1e-6, rel=1e-3)
    with pytest.raises(ValueError, match="must lie within the curve"):
        current_at(curve(38.0), 50.0)
    assert len(iv_figure({"a": curve(38.0), "b": curve(37.0)}).axes[0].lines) == 4


def test_activation_energy_and_damage_constant():
    celsius = np.array([-30.0, -20.0, -10.0, 0.0, 10.0, 22.0])
    kelvin = celsius + 273.15
    found = activation_energy(celsius, kelvin**2 * np.exp(-0.6 / (8.617333e-5 * kelvin)))
    assert found["activation_energy"][0] == pytest.approx(0.6, rel=1e-6)
    assert found["doubling"][0] == pytest.approx(np.log(2) / (2 / 273.15 + 0.6 / (8.617333e-5 * 273.15**2)))
    line = damage_constant(np.array([0.0, 1e13, 5e13, 2e14]), 1e-9 + 2e-17 * np.array([0.0, 1e13, 5e13, 2e14]))
    assert line["per_fluence"][0] == pytest.approx(2e-17, rel=1e-6)
    with pytest.raises(ValueError, match="three temperatures"):
        activation_energy(celsius[:2], np.ones(2))
    with pytest.raises(ValueError, match="three fluences"):
        damage_constant(np.ones(2), np.ones(2))


def test_files_of_curves(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("# V, A\n" + "".join(f"{v},{1e-9 * v}\n" for v in range(8)) + "9,3e-3\n")
    found = read_iv(path, compliance=3e-3)
    assert found.sizes["step"] == 8 and found.attrs["points_left_out"] == 1
    path.write_text("1,2,3\n")
    with pytest.raises(ValueError, match=r"curve a\.csv must hold volts and amperes, but line 1 is"):
        read_iv(path)
    path.write_text("1,2\n")
    with pytest.raises(ValueError, match="at least five points, but has 1"):
        read_iv(path)
