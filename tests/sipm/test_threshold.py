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
from xcal_jax.sipm.counters import BAD_LIVE, MOSTLY_DEAD, live_spectra
from xcal_jax.sipm.thresholds import NO_CROSSING, RULES, SATURATED, SHORT

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


def test_the_flank_is_exact_on_an_exponential():
    for edge in (40.0, 40.3, 40.99):
        values = threshold(exponential(edge, 0.7, 60.0), template_of(5.0))
        assert values["threshold_adu"].item() == pytest.approx(edge, abs=1e-6)


def test_the_flank_is_exact_on_a_gaussian():
    for edge in (40.0, 40.3, 40.99):
        rate = 10 * np.exp(0.5 * ((edge - 25) / 6) ** 2 - 0.5 * ((X - 25) / 6) ** 2)
        one = build_spectra((rate + 5) * 60, 60.0, readout="a")
        values = threshold(one, template_of(5.0))
        assert values["threshold_adu"].item() == pytest.approx(edge, abs=1e-3)


def test_what_thresholds_share_is_the_shift_by_a_noisy_template():
    """One sigma more in any one channel of the template moves every threshold by its column of `shared`."""
    archive = xr.concat([exponential(e, 0.7, 60.0) for e in (40.3, 41.6, 44.2)], "spectrum", combine_attrs="override")
    template = template_of(5.0)
    template["peak_end"].values[:] = 42
    template["rate_error"].values[:] = 1e-5 * X
    for rule in RULES:
        values = threshold(archive, template, interpolation=rule)
        columns = []
        for channel in range(42, 60):
            noisy = template.copy(deep=True)
            moved = (X <= 42) if channel == 42 else (channel == X)
            noisy["rate"].values[:] += moved * 1e-5 * channel
            columns.append(threshold(archive, noisy, interpolation=rule)["threshold_adu"] - values["threshold_adu"])
        moved = np.stack([column for column in columns if np.abs(column).max() > 1e-7], 1)
        np.testing.assert_allclose(values["threshold_adu_shared"], moved, rtol=2e-2, atol=1e-7)


def test_the_error_holds_what_counts_and_template_add():
    """Variances add: that of the counts under an exact template, and the shifts by each channel of a noisy one."""
    archive = xr.concat([exponential(e, 0.7, 60.0) for e in (40.3, 41.6, 44.2)], "spectrum", combine_attrs="override")
    template = template_of(5.0)
    template["peak_end"].values[:] = 42
    exact = threshold(archive, template)["threshold_adu_error"]
    template["rate_error"].values[:] = 0.3
    noisy = threshold(archive, template)
    shared = (noisy["threshold_adu_shared"] ** 2).sum("adu_mode")
    assert (shared > 0.01 * exact**2).all()
    np.testing.assert_allclose(noisy["threshold_adu_error"] ** 2, exact**2 + shared, rtol=1e-9)


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
    for rule in RULES:
        values = threshold(many, template_of(5.0), interpolation=rule)
        ratio = values["threshold_adu"].std().item() / values["threshold_adu_error"].mean().item()
        assert 0.93 < ratio < 1.12


def test_flags_have_no_number():
    good, flat = exponential(40.3, 0.7, 60.0), build_spectra(np.full(128, 300.0), 60.0, readout="a")
    short = exponential(40.3, 0.7, 5.0)
    full = exponential(40.3, 0.7, 60.0)
    full["counts"].values[0, 25] = 1e12
    archive = xr.concat([good, flat, short, full], "spectrum", combine_attrs="override")
    values = threshold(archive, template_of(5.0), saturation=1e12)
    assert values["threshold_flag"].values.tolist() == [0, NO_CROSSING, SHORT, SATURATED]
    assert np.isfinite(values["threshold_adu"].values).tolist() == [True, False, False, False]
    values = values.pipe(dark_count_rate)
    assert np.isfinite(values["dcr"].values).tolist() == [True, False, False, False]


@pytest.mark.parametrize(("full", "stated"), [(65_535.0, None), (1000.0, 1000.0), (2.0**24 - 1, None)])
def test_a_full_counter_is_flagged(full, stated):
    """Half of the dark counts are lost where the peak is cut off: the depth is stated, or seen in the largest count."""
    good, cut = exponential(40.3, 0.7, 60.0), exponential(40.3, 0.7, 60.0)
    cut["counts"].values = np.minimum(cut["counts"].values * full / 1000, full)
    good["counts"].values = np.minimum(good["counts"].values, full - 1)
    archive = xr.concat([good, cut], "spectrum", combine_attrs="override")
    archive = archive if stated is None else archive.assign_attrs(counter_full=stated)
    assert (threshold(archive, template_of(5.0))["threshold_flag"].values[1] & SATURATED) > 0
    other = threshold(archive.isel(spectrum=[0]), template_of(5.0))["threshold_flag"]
    assert not (other.values & SATURATED).any()


def test_live_and_dead_times_are_flagged_and_taken_off():
    one = exponential(40.3, 0.7, 60.0)
    for real, flag in ((61.0, 0), (150.0, MOSTLY_DEAD), (50.0, BAD_LIVE)):
        timed = one.assign(real_time=("spectrum", [real]))
        assert threshold(timed, template_of(5.0))["threshold_flag"].item() == flag
    dead = 1e-9
    live = live_spectra(one, dead)
    assert live["exposure"].item() == pytest.approx(60 - dead * one["counts"].values.sum())
    assert live["real_time"].item() == 60
    stated = live_spectra(one.assign(real_time=("spectrum", [61.0])), dead)
    assert stated["exposure"].item() == 60
    with pytest.raises(ValueError, match="must leave some of the exposure"):
        live_spectra(one, 1.0)
    with pytest.raises(ValueError, match="`dead_time` must be finite, but is inf"):
        live_spectra(one.assign(real_time=("spectrum", [61.0])), np.inf)
    with pytest.raises(ValueError, match="`saturation` must be finite, but is inf"):
        threshold(one, template_of(5.0), saturation=np.inf)


KINDS = ("exponential", "gaussian", "piled up")


def flank(kind, x, edge, scale):
    """Noise that sinks through 10 cnt/s at ``edge``: e-folds of 1.4 channels of 256, and 1/scale channels."""
    if kind == "exponential":
        return np.where(x > edge - 25 * scale, 10 * np.exp(-0.7 * (x - edge) / scale), 0.0)

    def shape(at):
        core = np.exp(-0.5 * ((at - edge + 15 * scale) / (3.5 * scale)) ** 2)
        return core + (kind == "piled up") * 0.1 * np.exp(-0.5 * ((at - edge + 10 * scale) / (5 * scale)) ** 2)

    return 10 * shape(x) / shape(np.array([edge]))


@pytest.mark.parametrize(
    ("channels", "seconds"),
    [(128, 10.0), (256, 60.0), pytest.param(1024, 10.0, marks=pytest.mark.slow), (1024, 600.0), (4096, 60.0)],
)
def test_threshold_pulls_at_every_resolution(channels, seconds):
    """200 spectra of each kind: the mean of unit pulls is known to 0.07, their width to 5 %. Eq. 1 fails at 4096."""
    rng, x, scale = np.random.default_rng(channels), np.arange(1.0, channels + 1), channels / 256
    quiet = np.interp(x, np.array([59, 104, 168, 208]) * scale, [6.7, 0.6, 1.7, 0.0]) / scale
    template = build_template(build_spectra(rng.poisson(quiet * 1e6 + 1e6 * (x == 2)), 1e6, readout="a"), end=3)
    template["rate"].values[:], template["rate_error"].values[:] = quiet, 0.0
    edges = [46 * scale + rng.uniform(-0.5, 0.5, 200) for _ in KINDS]
    rates = [flank(kind, x, edge, scale) + quiet for kind, all_of in zip(KINDS, edges, strict=True) for edge in all_of]
    archive = build_spectra(rng.poisson(np.array(rates) * seconds), seconds, readout="a")
    values = threshold(archive, template)
    pulls = (values["threshold_adu"].values - np.concatenate(edges)) / values["threshold_adu_error"].values
    assert np.isfinite(pulls).mean() > 0.99
    for each in pulls.reshape(len(KINDS), -1):
        assert abs(np.nanmean(each)) < 0.2 + 0.2
        assert 0.85 < np.nanstd(each) < 1.15
    if channels == 4096:
        paper = threshold(archive, template, interpolation="linear")
        off = (paper["threshold_adu"].values - np.concatenate(edges)) / paper["threshold_adu_error"].values
        assert np.std(off) > 1.5


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
    true, dead = np.array([0.0, 1e3, 5e4, 1.5e5]), 2e-6
    seen = true * np.exp(-true * dead) if model == "paralysable" else true / (1 + true * dead)
    values = build_spectra(np.ones((4, 4)), 1.0).assign(
        dcr=("spectrum", seen, {"units": "count/s"}), dcr_error=("spectrum", 0.01 * seen + 1)
    )
    corrected = correct_pile_up(values, dead, model)
    np.testing.assert_allclose(corrected["dcr_true"], true, rtol=1e-9)
    step = 1e-4 * seen + 1e-3
    nudged = values.assign(dcr=("spectrum", seen + step, {"units": "count/s"}))
    slope = (correct_pile_up(nudged, dead, model)["dcr_true"].values - true) / step
    np.testing.assert_allclose(corrected["dcr_true_error"], (0.01 * seen + 1) * slope, rtol=1e-2)
    with pytest.raises(ValueError, match="must stay below"):
        correct_pile_up(values, 1e-4, model)
    for bad in (0.0, np.inf):
        with pytest.raises(ValueError, match=r"`dead_time` must be (positive|finite), but is"):
            correct_pile_up(values, bad, model)


def test_days_and_a_mission(small, grbalpha):
    values = small.spectra.pipe(with_days, grbalpha)
    np.testing.assert_allclose(values["days"], small.truth["days"], atol=1e-6)
