"""Closure on missions that this file draws, without the package's own synthesis.

Two readouts of different gain at three biases; temperatures only in the last third of the mission; gaps; some full
counters; noise flanks of another shape. Every result is compared with what was drawn.
"""

import dataclasses
import itertools

import numpy as np
import pytest
import xarray as xr
from scipy.stats import kstest, norm
from scipy.stats import t as student

from tests.conventions import datasets_in, faults
from xcal_jax import sipm
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.correlations import correlate
from xcal_jax.sipm.grouping import warm_group
from xcal_jax.sipm.pipeline import LAGS, Files, analyse
from xcal_jax.sipm.setting import gains_of, quiet_stack
from xcal_jax.sipm.summary import summarise

LAUNCH = np.datetime64("2020-02-01", "ns")
READOUTS, BIASES = ("north", "south"), (178.0, 160.0, 150.0)
GAIN = {"north": 4.0, "south": 6.0}
SLOPE, LEVEL = 0.03, 10.0
FULL = 65_535


def mission(channels, readouts=READOUTS, **more):
    return sipm.Mission("TestSat", LAUNCH, channels, readouts, LEVEL, **more)


def peak(x, edge, scale):
    """An exponentially modified noise flank that sinks through 10 cnt/s at ``edge`` (n,): (n, C) cnt/s."""
    edge = edge[:, None]
    top = edge - 12 * scale
    flank = 0.5 * (x - edge) / scale + 0.01 * ((x - edge) / scale) ** 2
    return LEVEL * np.exp(-np.where(x < top, 2 * (top - x) / scale - 4.56, flank))


def quiet(x, scale):
    """A continuum that falls by a factor e every 25 channels of 256, under the thresholds as elsewhere."""
    fall = (x - 50 * scale) / (25 * scale)
    return (0.3 + 2.0 * np.exp(-fall)) * (x < 220 * scale) / scale


def draw(seed, channels, readout="north", bias=178.0, groups=24, each=4, cut=True):
    """Spectra of one setting, their template, and what they were drawn from."""
    rng, scale, x = np.random.default_rng([seed, int(bias)]), channels / 256, np.arange(1.0, channels + 1)
    start = np.sort(rng.choice(np.arange(60, 1300, 10), groups, replace=False)).astype(float)
    days = (start[:, None] + rng.uniform(0, 2, (groups, each))).ravel()
    temperature = 10 + 6 * np.sin(days / 58) + 4 * (days / 1300) + rng.normal(0, 2, days.size)
    b_bias = {178.0: 0.0, 160.0: -3.0, 150.0: -5.0}[bias]
    trend = 40 + b_bias + 0.2 * np.sqrt(days)
    edge = scale * (trend + SLOPE * (temperature - 10) + rng.normal(0, 0.03, days.size))
    counts = rng.poisson(60 * (peak(x, edge, scale) + quiet(x, scale)))
    if cut:
        counts[:3] = np.minimum(counts[:3] * 40, FULL)
    boards = temperature[:, None] + np.array([0.8, 0.0, -0.8])
    boards[days < np.quantile(days, 0.66)] = np.nan
    boards[-5, 1] = np.nan
    time = LAUNCH + (days * 86_400e9).astype("timedelta64[ns]")
    spectra = sipm.build_spectra(counts, 60.0, time, readout, boards, bias, satellite="TestSat")
    early = rng.poisson(300 * (peak(x, scale * np.array([30.0 + b_bias]), scale) + quiet(x, scale)))
    template = sipm.build_spectra(early, 300.0, LAUNCH + np.timedelta64(20, "D"), readout, None, bias)
    return spectra, template, {"edge": edge, "days": days, "temperature": temperature, "scale": scale}


def together(parts):
    return xr.concat(parts, "spectrum", combine_attrs="override")


@pytest.fixture(scope="module")
def mixed():
    """One mission of two readouts at three biases, analysed whole."""
    settings = [(readout, bias) for readout in READOUTS for bias in BIASES]
    parts = [draw(5, 256, readout, bias) for readout, bias in settings]
    stated = [
        {"readout": r, "bias": 178.0, "k": GAIN[r], "b": -150.0, "k_error": 0.02, "b_error": 1.0} for r in READOUTS
    ]
    files = Files(together([p[0] for p in parts]), together([p[1] for p in parts]))
    ageing = analyse(mission(256, calibrations=stated, counter_full=FULL), files)
    return ageing, dict(zip(settings, parts, strict=True))


def test_every_setting_is_analysed_by_itself(mixed):
    ageing, parts = mixed
    assert set(ageing.settings) == {f"{readout} at bias {bias:g}" for readout, bias in parts}
    for (readout, bias), (_, _, truth) in parts.items():
        setting = ageing.settings[f"{readout} at bias {bias:g}"]
        good = setting.values["threshold_flag"].values == 0
        assert (~good[:3]).all() and good[3:].all()
        pulls = (setting.values["threshold_adu"].values - truth["edge"])[good]
        pulls /= setting.values["threshold_adu_error"].values[good]
        assert abs(pulls.mean()) < 0.8 and 0.7 < pulls.std() < 1.3
        joint = setting.joint["threshold_adu"].sel(parameter="temperature")
        assert abs(float(joint["parameters"]) - SLOPE) < 4 * float(joint["errors"])


def test_energies_are_those_of_each_readout(mixed):
    """Eq. 2 as the TOML states it, with the covariance of k and b; at another bias the source says so."""
    ageing, _ = mixed
    for readout in READOUTS:
        values = ageing.settings[f"{readout} at bias 178"].values.isel(spectrum=slice(3, None))
        adu = values["threshold_adu"].values
        np.testing.assert_allclose(values["threshold_kev"], GAIN[readout] * adu - 150, rtol=1e-9)
        expected = np.sqrt((GAIN[readout] * values["threshold_adu_error"]) ** 2 + (0.02 * adu) ** 2 + 1.0)
        np.testing.assert_allclose(values["threshold_kev_error"], expected, rtol=1e-6)
    assert "which is not this one" in ageing.gains["north at bias 160"].source


def test_every_dataset_follows_cf(mixed, tmp_path):
    """Those of an analysis, and those that it makes where there are series and drifts."""
    ageing, _ = mixed
    setting = next(iter(ageing.settings.values()))
    days = np.linspace(1.0, 1400.0, 200)
    series = xr.Dataset(
        {"days": variable("sample", days, "d", "time"), "kp": variable("sample", np.sin(days), "1", "Kp")},
    )
    made = dict(datasets_in(ageing))
    made["correlations"] = correlate(setting.joint["dcr"], "residual", series, LAGS, launch=LAUNCH)
    made["drift"] = sipm.gain_drift(days[:5], np.full(5, 100.0), np.full(5, 0.1), -150.0)
    made["forecast"] = sipm.forecast(setting.trends["dcr"], [1500.0])
    assert len(made) > 50
    path = tmp_path / "one.nc"
    assert {name: found for name, data in made.items() if (found := faults(data, path))} == {}


def test_the_readouts_at_each_bias_have_one_slope(mixed):
    """Both are the same draw: the slope is theirs, its error smaller by the root of two, but for Meier's factor."""
    ageing, _ = mixed
    assert set(ageing.readouts) == {f"{q} at bias {bias:g}" for q in ("threshold_adu", "dcr") for bias in BIASES}
    found = summarise(ageing)["readouts"]["threshold_adu at bias 160"]
    both = found["temperature"]
    joint = ageing.settings["north at bias 160"].joint["threshold_adu"]
    alone, unsure = joint.sel(parameter="temperature"), np.sqrt(1 + 2 / joint["degrees"].item())
    assert both["value"] == pytest.approx(float(alone["parameters"]))
    assert both["error"] == pytest.approx(unsure * float(alone["errors"]) / np.sqrt(2))
    assert found["p_value"] == pytest.approx(1.0)


def test_every_step_has_its_result_or_its_reason(mixed):
    steps = summarise(mixed[0])["steps"]["south at bias 150"]
    assert steps["threshold"] == steps["threshold"] | {"spectra": 96, "measured": 93}
    assert steps["threshold"]["flags"]["a counter is full"] == 3
    joint = steps["joint fit of threshold_adu"]
    assert 0 < joint["points_used"] < joint["points_total"] == 24
    assert steps["temperature of dcr"]["points_used"] == joint["points_used"]
    assert steps["activation"] == {"reason": "no spectra after SAA exits"}
    for name in ("damage", "correlations of dcr", "steps of dcr"):
        assert name in steps


@pytest.mark.parametrize("known", [0, 3])
def test_missing_temperatures_stop_nothing_else(known):
    spectra, template, _ = draw(1, 256)
    spectra["temperature"].values[:] = np.nan
    spectra["temperature"].values[:known] = 10.0
    steps = summarise(analyse(mission(256), Files(spectra, template)))["steps"]["north"]
    assert "reason" in steps["temperature of dcr"] and "reason" in steps["joint temperature of dcr"]
    assert steps["joint fit of dcr"]["points_used"] == 24 and not steps["steps of dcr"]["temperature"]


def test_one_bias_can_be_asked_for():
    parts = [draw(2, 256, bias=bias) for bias in BIASES[:2]]
    files = Files(together([p[0] for p in parts]), together([p[1] for p in parts]))
    assert list(analyse(mission(256), files, bias=160.0).settings) == ["north at bias 160"]
    with pytest.raises(ValueError, match="`bias` must be one of 160, 178, but is 168"):
        analyse(mission(256), files, bias=168.0)
    only = analyse(mission(256), dataclasses.replace(files, template=parts[0][1]))
    assert "must be of north at bias 160 as the spectra" in only.left_out["north at bias 160"]


def ground(readout, bias, k, b, seed=0, energies=(59.5, 81.0, 356.0, 511.0), counts=40_000):
    """Ground spectra of one setting: lines on an exponential continuum, E = k x + b."""
    rng, x = np.random.default_rng([seed, int(bias), len(readout)]), np.arange(1.0, 257)
    rows, windows = [], []
    for energy in energies:
        place, sigma = (energy - b) / k, 6.0
        line = counts / (sigma * 2.5066) * np.exp(-0.5 * ((x - place) / sigma) ** 2)
        rows.append(rng.poisson(line + 0.2 * line.max() * np.exp(-(x - place) / 30)))
        windows.append((round(place) - 20, round(place) + 20))
    spectra = sipm.build_spectra(rows, 600.0, LAUNCH, readout, None, bias)
    return spectra.assign(
        line_energy=("spectrum", list(energies)), window=(("spectrum", "edge"), np.array(windows, float))
    )


def test_ground_lines_are_of_their_readout_and_their_bias():
    """Two readouts of gains 4 and 6 keV/ADU: pooled, the chi-square of one line through both is in the thousands."""
    both = together([ground("north", 178.0, 4.0, -150.0), ground("south", 178.0, 6.0, -200.0)])
    spectra = together([draw(3, 256, readout)[0] for readout in READOUTS])
    gains = gains_of(mission(256), spectra, None, both)
    for readout, (k, b) in (("north", (4.0, -150.0)), ("south", (6.0, -200.0))):
        found = gains[readout, 178.0].calibration
        pulls = (found["parameters"].values - [k, b]) / found["errors"].values
        assert (np.abs(pulls) < 4).all() and gains[readout, 178.0].source == "lines on ground"
        assert float(found["chi_square"]) < 20


def test_a_full_counter_spoils_no_quiet_stack():
    """The first three spectra of a draw have full counters: the stack is that of the others, or of all if all are."""
    spectra = draw(4, 256)[0].assign_attrs(counter_full=FULL)
    spectra["since_exit"] = ("spectrum", np.full(spectra.sizes["spectrum"], np.nan), {"units": "s"})
    none = spectra.isel(spectrum=slice(0, 0))
    found = quiet_stack(spectra, none, "north", 178.0)
    xr.testing.assert_equal(found, sipm.stack(spectra.isel(spectrum=slice(3, None))))
    full = spectra.isel(spectrum=slice(3))
    xr.testing.assert_equal(quiet_stack(none, full, "north", 178.0), sipm.stack(full))
    assert quiet_stack(none.drop_attrs(), none.drop_attrs(), "north", 178.0) is None


def test_calibrations_are_extrapolated_over_bias():
    """1/k and -b/k are straight lines in the bias: from three laboratory settings to the operating one."""

    def eq2(bias):
        return 1 / (0.01 * (bias - 130)), -30 / (0.01 * (bias - 130))

    lab = together([ground("north", bias, *eq2(bias)) for bias in (150.0, 160.0, 168.0)])
    gains = gains_of(mission(256), draw(3, 256)[0], None, lab)
    found = gains["north", 178.0].calibration
    assert gains["north", 178.0].source == "extrapolated over bias from 150, 160, 168"
    pulls = (found["parameters"].values - eq2(178.0)) / found["errors"].values
    assert (np.abs(pulls) < 4).all() and (found["errors"].values / np.abs(eq2(178.0)) < 0.02).all()


BATCH = 20


@pytest.fixture(scope="module")
def many():
    """100 missions of 256 and 100 of 1024 channels, whose thresholds and dark counts are found in batches."""
    out = {"threshold": [], "dcr": [], "slope": [], "trend": [], "readouts": [], "agree": []}
    for channels, first in itertools.product((256, 1024), range(0, 100, BATCH)):
        parts = [draw(first + k, channels, f"m{k:03d}", groups=60, each=2) for k in range(BATCH)]
        spectra, template = (together([p[k] for p in parts]) for k in (0, 1))
        values = sipm.with_days(spectra, mission(channels)).assign_attrs(counter_full=FULL)
        values = values.pipe(sipm.threshold, sipm.build_template(template)).pipe(sipm.dark_count_rate)
        x, scale, joints = np.arange(1.0, channels + 1), channels / 256, []
        for k, (_, _, truth) in enumerate(parts):
            one = values.isel(spectrum=slice(120 * k, 120 * k + 120))
            good = one["threshold_flag"].values == 0
            edge = truth["edge"]
            off = (one["threshold_adu"].values - edge) / one["threshold_adu_error"].values
            out["threshold"].append(off[good])
            rate = peak(x, edge, scale) + quiet(x, scale)
            true = (np.clip(edge[:, None] - (x - 1), 0, 1) * rate).sum(1)
            out["dcr"].append(((one["dcr"].values - true) / one["dcr_error"].values)[good])
            joint = one.pipe(warm_group).pipe(sipm.joint_fit, "threshold_adu", form="sqrt")
            joints.append(joint)
            if k % 2:
                both = sipm.joint_readouts(dict(zip(READOUTS, joints[-2:], strict=True)))
                slope = both.sel(parameter="temperature")
                pull = float((slope["parameters"] - scale * SLOPE) / slope["errors"])
                free = sum(one["degrees"].item() for one in joints[-2:])
                out["readouts"].append(norm.ppf(student.cdf(pull, free)))
                out["agree"].append(float(both["p_value"]))
            pulls = (joint["parameters"].values - scale * np.array([40, 0.2, SLOPE])) / joint["errors"].values
            normal = norm.ppf(student.cdf(pulls, joint["degrees"].item()))
            out["slope"].append(normal[2])
            out["trend"].append(normal[:2])
    return {name: np.array([np.ravel(row) for row in rows]) for name, rows in out.items()}


@pytest.mark.slow
def test_two_readouts_have_one_slope(many):
    """100 pairs: the mean of unit pulls is known to 0.1, their width to 7 %; p-values of what agrees are uniform."""
    assert abs(many["readouts"].mean()) < 0.3
    assert 0.85 < many["readouts"].std() < 1.15
    assert kstest(many["agree"].ravel(), "uniform").pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["threshold", "dcr", "slope", "trend"])
def test_pulls_of_two_hundred_missions(many, name):
    """With 200 missions the mean of unit pulls is known to 0.07, their width to 5 %.

    The scale of the errors of a joint fit comes from the scatter of about 20 groups, so that its pulls follow Student's
    t with the fit's `degrees`. They are turned into the normal values of the same probability.
    """
    assert abs(many[name].mean()) < 0.2
    assert 0.9 < many[name].std() < 1.1
