"""Rows as they are stored: groups of channels, small values left out, blocks thinned."""

import numpy as np
import pytest
from scipy.special import ndtr

from xcal_jax.response.matrix import continuum_in_channels, peaks_in_channels
from xcal_jax.response.resolution import Resolution
from xcal_jax.response.rows import Above, Row, Thinning, whole

N = 900
VALUES = 1e-6 * (1.0 + np.sin(np.arange(N) / 50.0) ** 2)
VALUES[800:830] = 0.03
VALUES[400:403] = 1e-4


def test_groups_hold_what_is_stored():
    stored = np.zeros(12, bool)
    stored[[1, 2, 5, 9, 11]] = True  # 3 and 4, and 10, lie between near neighbours
    row = Row.build(np.arange(12.0), stored, 1.0)
    assert (row.first.tolist(), row.size.tolist()) == ([1, 9], [5, 3])
    assert row.values.tolist() == [1, 2, 3, 4, 5, 9, 10, 11] and row.channels.tolist() == [1, 2, 3, 4, 5, 9, 10, 11]
    assert row.by_channel(13).tolist() == [0, 1, 2, 3, 4, 5, 0, 0, 0, 9, 10, 11, 0]
    assert Row.build(np.zeros(3), np.zeros(3, bool), 0.5).by_channel(3).tolist() == [0, 0, 0]


def test_whole_rows_are_one_group():
    values = np.array([0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.8, 0.0])
    row = whole(0, values, 1.0)
    assert (row.first.tolist(), row.size.tolist()) == ([1], [6])
    np.testing.assert_allclose(row.by_channel(8), values, rtol=1e-7)


def test_small_values_are_left_out_and_the_sum_kept():
    row = Above(1e-5)(0, VALUES, 1.0)
    assert row.first.tolist() == [400, 800] and row.size.tolist() == [3, 30]
    assert row.values.sum(dtype=float) == pytest.approx(VALUES.sum())


def test_thinned_rows_keep_sums_and_means():
    thin = Thinning(6, 5e-5)
    rows = [thin(number, VALUES, 1.0) for number in range(400)]
    assert max(abs(row.values.sum(dtype=float) - VALUES.sum()) for row in rows) < 1e-6
    values = np.array([row.by_channel(N) for row in rows])
    assert np.mean(values > 0.0) < 0.3  # so many are stored
    kept = np.r_[396:408, 798:834]  # blocks with more than the mass
    np.testing.assert_allclose(values[:, kept], np.broadcast_to(VALUES[kept], (400, kept.size)), rtol=1e-6)
    np.testing.assert_allclose(values.mean(axis=0), VALUES, rtol=0.1)
    assert values[:, :396].max() < 2.5e-5  # no tooth stands out: the peak has 0.03
    near = np.array([values[n : n + 60].mean(axis=0).reshape(-1, 60).mean(axis=1) for n in range(0, 340, 20)])
    assert np.abs(near / VALUES.reshape(-1, 60).mean(axis=1) - 1.0).max() < 0.1  # also of a few rows


def test_a_row_with_little_keeps_it():
    values = np.zeros(60)
    values[50], values[7:10] = 0.9, 1e-7
    found = Thinning(6, 5e-5)(3, values, 1.0).by_channel(60)
    np.testing.assert_allclose(found, values, rtol=1e-6)


def test_channels_of_any_width():
    """Peaks and continuum in uneven channels are those of fine channels put together."""
    fine = np.arange(900.0, 1010.1, 0.5)
    uneven = fine[np.unique(np.r_[0:100:7, 100:180, 180:220:9, 220])]
    cells = np.linspace(0.0, 1000.0, 201)
    continuum = np.linspace(1.0, 3.0, 200) * 1e-3
    resolution = Resolution.build("2.5eV")
    starts = np.searchsorted(fine, uneven[:-1])
    peak = [np.array([value]) for value in (998.0, 1000.0, 1.1, 0.7)]
    for seen in (
        lambda channels: peaks_in_channels(*peak, channels),
        lambda channels: continuum_in_channels(continuum, cells, channels, resolution),
    ):
        np.testing.assert_allclose(seen(uneven), np.add.reduceat(seen(fine), starts), atol=1e-12)


def test_a_narrow_last_channel_has_its_own_share():
    """Against the normal distribution: .11 of the photons in a channel of .3 eV, where a whole one would have .33."""
    channels = np.append(np.arange(6980.0, 7000.5, 1.0), 7000.3)
    [low, high, sigma, one] = [np.array([value]) for value in (7000.0 - 1e-6, 7000.0 + 1e-6, 1.0616, 1.0)]
    found = peaks_in_channels(low, high, sigma, one, channels)[-1]
    expected = ndtr(0.3 / 1.0616) - ndtr(0.0)
    assert found == pytest.approx(expected, abs=1e-6)


def test_continuum_is_seen_with_the_resolution():
    """A cliff at 1000 eV, against the sum over many monochromatic lines."""
    channels = np.arange(980.0, 1020.1, 0.25)
    cells = np.array([0.0, 990.0, 1000.0])
    found = continuum_in_channels(np.array([0.0, 1.0]), cells, channels, Resolution.build("2.5eV"))
    places = 990.0 + 10.0 * (np.arange(4000) + 0.5) / 4000
    expected = np.mean([np.diff(ndtr((channels - place) / (2.5 / 2.3548200450309493))) for place in places], axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-7)
