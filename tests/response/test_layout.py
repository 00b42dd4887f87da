"""Rows and channels that follow the resolution, those of files, and how wide a line is through them."""

import numpy as np
import pytest
import xarray as xr

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.response.components import in_rows, rows_of, simulate_response
from xcal_jax.response.energy_grid import adapt, round_width, rows_between
from xcal_jax.response.layout import layout
from xcal_jax.response.matrix import fold, without_losses
from xcal_jax.response.nodes import Settings
from xcal_jax.response.resolution import Resolution

XIFU = Absorber.preset("xifu")


def test_presets_state_their_resolution():
    assert {name: Absorber.preset(name).fwhm for name in ("xifu", "xifu-thick", "resolve", "gold")} == {
        "xifu": 2.5,
        "xifu-thick": 2.5,
        "resolve": 5.0,
        "gold": None,
    }
    assert Absorber.from_toml(XIFU.to_toml()).fwhm == 2.5
    with pytest.raises(ValueError, match="`fwhm` in absorber must be positive, but is -1 eV"):
        Absorber.build([("Au", 1.0)], 1.0, 1.0, fwhm="-1 eV")


@pytest.mark.parametrize("width", ["0.7eV", "2.5eV", "5eV"])
@pytest.mark.parametrize("energy", [500.0, 1000.0, 7000.0, 12_000.0])
def test_a_line_is_as_wide_as_the_resolution(width, energy):
    """The standard deviation of a row of the default matrix, core alone, without and with the channels' width."""
    resolution = Resolution.build(width)
    asked, exact = layout("0.2:12.1", None, None, resolution)
    assert not exact
    at = np.searchsorted(asked.rows, energy)
    rows = asked.rows[at : at + 2]
    response = without_losses(simulate_response(XIFU, rows, Settings(photons=100)))
    [row] = fold(response, asked.channels, resolution)
    values = row.by_channel(asked.channels.size - 1)
    middle = 0.5 * (asked.channels[1:] + asked.channels[:-1]) - energy
    mean = values @ middle
    fwhm = 2.0 * np.sqrt(2.0 * np.log(2.0)) * np.sqrt(values @ (middle - mean) ** 2)
    assert fwhm == pytest.approx(resolution.at(energy), rel=0.02)
    assert fwhm == pytest.approx(resolution.through(rows, asked.channels)[0], rel=1e-3)
    assert mean == pytest.approx(rows.mean() - energy, abs=1e-3)


def test_rows_follow_a_resolution_that_changes(tmp_path):
    (tmp_path / "fwhm.txt").write_text("200 2\n12000 6\n")
    resolution = Resolution.build(file=tmp_path / "fwhm.txt")
    asked, _ = layout("0.2:12", None, None, resolution)
    middle, width = 0.5 * (asked.rows[1:] + asked.rows[:-1]), np.diff(asked.rows)
    assert np.all(width < 1.001 * resolution.at(middle) / 5.0) and np.all(width > 0.99 * resolution.at(middle) / 5.0)
    assert asked.rows[[0, -1]] == pytest.approx([200.0, 12_000.0])
    assert np.diff(asked.channels).max() < 2.0 / 6.0 + 1e-3
    assert np.max(resolution.through(asked.rows, asked.channels) / resolution.at(middle)) < 1.02


def test_steps_are_round():
    for widest, found in ((0.5, 0.5), (0.4999, 0.4), (0.41, 0.4), (1.0, 1.0), (99.0, 80.0), (0.0249, 0.02)):
        assert round_width(widest) == pytest.approx(found)
    np.testing.assert_allclose(rows_between(200.0, 201.2, lambda e: 0.0 * e + 0.5), [200, 200.5, 201, 201.2])
    with pytest.raises(ValueError, match="at most 1048576"):
        rows_between(200.0, 12_000.0, lambda e: 0.0 * e + 1e-3)


def test_rows_of_a_file_stay(tmp_path):
    """Rows across the edge of bismuth at 2579.6 eV: no row more, and the mean over both sides of the edge."""
    (tmp_path / "rows.csv").write_text("low_ev,high_ev\n" + "".join(f"{e},{e + 8}\n" for e in range(2560, 2600, 8)))
    asked, exact = layout(str(tmp_path / "rows.csv"), None, None, Resolution.build("2.5eV"))
    assert exact and asked.rows == pytest.approx(np.arange(2560.0, 2601.0, 8.0))
    rows = rows_of(XIFU, asked.rows, keep=True)
    assert rows.size == asked.rows.size + 1 and 2579.6 in rows
    fine = simulate_response(XIFU, rows, Settings(photons=2000))
    wide = in_rows(fine, asked.rows)
    assert wide.energy.values == pytest.approx(np.arange(2564.0, 2600.0, 8.0))
    below, above = fine.isel(energy=2), fine.isel(energy=3)
    assert float(below.high) == pytest.approx(2579.6)
    q = [float(part.interaction_probability) for part in (below, above)]
    assert float(wide.interaction_probability[2]) == pytest.approx((3.6 * q[0] + 4.4 * q[1]) / 8.0, rel=1e-5)
    partial = (3.6 * q[0] * float(below.partial) + 4.4 * q[1] * float(above.partial)) / (3.6 * q[0] + 4.4 * q[1])
    assert float(wide.partial[2]) == pytest.approx(partial, rel=1e-5)
    for n in (0, 1, 3, 4):
        assert float(wide.partial[n]) == float(fine.partial[n + (n > 2)])


def test_wider_rows_are_means_over_the_photons_that_interact():
    names = {"low": [0.0, 1.0, 4.0], "high": [1.0, 4.0, 5.0], "interaction_probability": [0.2, 0.8, 0.5]}
    fine = xr.Dataset({name: ("energy", value) for name, value in names.items()}, {"energy": [0.5, 2.5, 4.5]})
    fine["partial"] = "energy", [0.1, 0.3, 0.7]
    fine["peaks"] = ("energy", "line"), [[0.0, 0.1], [0.2, 0.3], [0.4, 0.5]]
    wide = in_rows(fine, np.array([0.0, 4.0, 5.0]))
    np.testing.assert_allclose(wide.interaction_probability, [(0.2 + 3 * 0.8) / 4, 0.5])
    np.testing.assert_allclose(wide.partial, [(0.2 * 0.1 + 2.4 * 0.3) / 2.6, 0.7])
    np.testing.assert_allclose(wide.peaks, [[2.4 * 0.2 / 2.6, (0.2 * 0.1 + 2.4 * 0.3) / 2.6], [0.4, 0.5]])
    assert wide.low.values.tolist() == [0.0, 4.0] and wide.high.values.tolist() == [4.0, 5.0]
    assert wide.energy.values.tolist() == [2.0, 4.5]


def test_an_edge_next_to_a_boundary_makes_no_sliver():
    rows = adapt(np.array([2570.0, 2579.6001, 2590.0]), np.array([2579.6]), keep=True)
    assert rows.tolist() == [2570.0, 2579.6001, 2590.0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("low_ev,high_ev\n1,2\n3,4\n", "must join, but one ends at 2 eV and the next begins at 3 eV"),
        ("low_ev,high_ev\n2,1\n", "must ascend"),
        ("low,high\n1,2\n", "must have the columns low_ev,high_ev"),
        ("low_ev,high_ev\n", "at least one line"),
    ],
)
def test_no_rows(tmp_path, text, sentence):
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        layout(str(tmp_path / "rows.csv"), None, None, Resolution.build("2.5eV"))


def test_a_resolution_is_needed(call):
    code, _, said = call("rmf", "gold", "-o", "a.rmf")
    assert code == 2 and "needs `fwhm` or `fwhm_file`, or an absorber that states its `fwhm`" in said
