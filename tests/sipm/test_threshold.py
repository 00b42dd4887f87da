import numpy as np
import pytest
import xarray as xr

from xcal_jax.sipm import (
    build_spectra,
    build_template,
    correct_pile_up,
    dark_count_rate,
    threshold,
    with_days,
)
from xcal_jax.sipm.threshold import NO_CROSSING, NOT_POSITIVE, SATURATED, SHORT

X = np.arange(1.0, 129)


def template_of(rate):
    one = build_template(build_spectra(np.full(128, 1000.0) + 1000 * (X == 2), 100.0, readout="a"))
    one["rate"].values[:] = rate
    one["rate_error"].values[:] = 0.0
    return one


def exponential(edge, slope, exposure, quiet=5.0):
    """Noise that falls through 10 cnt/s at ``edge`` exactly, on a quiet background."""
    rate = np.where(X >= 20, 10 * np.exp(-slope * (X - edge)), 0.0)
    return build_spectra((rate + quiet) * exposure, exposure, readout="a")


def test_log_crossing_is_exact_on_an_exponential():
    for edge in (40.0, 40.3, 40.99):
        values = threshold(exponential(edge, 0.7, 60.0), template_of(5.0), interpolation="log")
        assert values["threshold_adu"].item() == pytest.approx(edge, abs=1e-9)


def test_log_crossing_is_exact_on_a_gaussian_flank():
    for edge in (40.0, 40.3, 40.99):
        rate = 10 * np.exp(0.5 * ((edge - 25) / 6) ** 2 - 0.5 * ((X - 25) / 6) ** 2)
        one = build_spectra((rate + 5) * 60, 60.0, readout="a")
        values = threshold(one, template_of(5.0), interpolation="log")
        assert values["threshold_adu"].item() == pytest.approx(edge, abs=1e-9)


def test_log_crossing_without_a_third_channel_is_a_straight_line():
    """The flank starts at its maximum, channel 20, so the parabola has nothing to hold on to."""
    rate = np.where(X >= 20, 10 * np.exp(-1.5 * (X - 20.4)), 0.0)
    one = build_spectra((rate + 5) * 60, 60.0, readout="a")
    assert threshold(one, template_of(5.0), interpolation="log")["threshold_adu"].item() == pytest.approx(
        20.4, abs=1e-9
    )


def test_what_thresholds_share_is_the_shift_by_a_noisy_template():
    """One sigma more in any one channel of the template moves every threshold by its column of `shared`."""
    archive = xr.concat([exponential(e, 0.7, 60.0) for e in (40.3, 41.6, 44.2)], "spectrum", combine_attrs="override")
    template = template_of(5.0)
    template["peak_end"].values[:] = 42
    template["rate_error"].values[:] = 1e-5 * X
    for rule in ("linear", "log"):
        values = threshold(archive, template, interpolation=rule)
        columns = []
        for channel in range(42, 46):
            noisy = template.copy(deep=True)
            moved = (X <= 42) if channel == 42 else (channel == X)
            noisy["rate"].values[:] += moved * 1e-5 * channel
            columns.append(threshold(archive, noisy, interpolation=rule)["threshold_adu"] - values["threshold_adu"])
        np.testing.assert_allclose(values["threshold_adu_shared"], np.stack(columns, 1), rtol=1e-3, atol=1e-10)


def test_equation_one():
    """x1 + (10 - D1)(x2 - x1)/(D2 - D1), by hand."""
    one = exponential(40.3, 0.7, 60.0)
    d1, d2 = 10 * np.exp(0.7 * 0.3), 10 * np.exp(-0.7 * 0.7)
    values = threshold(one, template_of(5.0), interpolation="linear")
    assert values["threshold_adu"].item() == pytest.approx(40 + (10 - d1) / (d2 - d1))
    v1, v2 = (d1 + 5) / 60, (d2 + 5) / 60
    error = np.hypot((10 - d2) * np.sqrt(v1), (d1 - 10) * np.sqrt(v2)) / (d2 - d1) ** 2
    assert values["threshold_adu_error"].item() == pytest.approx(error)


def test_the_error_is_the_scatter():
    rng = np.random.default_rng(3)
    expected = exponential(40.3, 0.7, 60.0)["counts"].values
    many = build_spectra(rng.poisson(np.tile(expected, (4000, 1))), 60.0, readout="a")
    for rule in ("linear", "log"):
        values = threshold(many, template_of(5.0), interpolation=rule)
        ratio = values["threshold_adu"].std().item() / values["threshold_adu_error"].mean().item()
        assert 0.93 < ratio < 1.12


def test_flags_have_no_number():
    good, flat = exponential(40.3, 0.7, 60.0), build_spectra(np.full(128, 300.0), 60.0, readout="a")
    short = exponential(40.3, 0.7, 5.0)
    full = exponential(40.3, 0.7, 60.0)
    full["counts"].values[0, 25] = 1e12
    sudden = np.where(X < 40, 6000.0, 0.0) + 300.0 * (X < 40)
    cliff = build_spectra(sudden, 60.0, readout="a")

    archive = xr.concat([good, flat, short, full, cliff], "spectrum", combine_attrs="override")
    values = threshold(archive, template_of(5.0), interpolation="log", saturation=1e12)
    assert values["threshold_flag"].values.tolist() == [0, NO_CROSSING, SHORT, SATURATED, NOT_POSITIVE]
    assert np.isfinite(values["threshold_adu"].values).tolist() == [True, False, False, False, False]
    values = values.pipe(dark_count_rate)
    assert np.isfinite(values["dcr"].values).tolist() == [True, False, False, False, False]


def test_equation_five():
    one = build_spectra(np.full(128, 60.0), 60.0, readout="a")
    one = one.assign(
        threshold_adu=("spectrum", [40.25]),
        threshold_adu_error=("spectrum", [0.0]),
    )
    values = dark_count_rate(one)
    assert values["dcr"].item() == pytest.approx(40.25)
    assert values["dcr_error"].item() == pytest.approx(np.sqrt(60 * (40 + 0.25**2)) / 60)


@pytest.mark.parametrize("model", ["paralysable", "non-paralysable"])
def test_pile_up_is_undone(model):
    true, dead = np.array([1e3, 5e4, 1.5e5]), 2e-6
    seen = true * np.exp(-true * dead) if model == "paralysable" else true / (1 + true * dead)
    values = build_spectra(np.ones((3, 4)), 1.0).assign(
        dcr=("spectrum", seen, {"units": "count/s"}), dcr_error=("spectrum", 0.01 * seen)
    )
    corrected = correct_pile_up(values, dead, model)
    np.testing.assert_allclose(corrected["dcr_true"], true, rtol=1e-9)
    step = 1e-4
    nudged = values.assign(dcr=("spectrum", seen * (1 + step), {"units": "count/s"}))
    slope = (correct_pile_up(nudged, dead, model)["dcr_true"].values - true) / (seen * step)
    np.testing.assert_allclose(corrected["dcr_true_error"], 0.01 * seen * slope, rtol=1e-2)
    with pytest.raises(ValueError, match="must stay below"):
        correct_pile_up(values, 1e-4, model)


def test_days_and_a_mission(small, grbalpha):
    values = small.spectra.pipe(with_days, grbalpha)
    np.testing.assert_allclose(values["days"], small.truth["days"], atol=1e-6)
