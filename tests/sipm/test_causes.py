"""Steps, correlations, and damage: what changes a series."""

import jax
import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from tests.conventions import faults
from xcal_jax.sipm import joint_fit
from xcal_jax.sipm.change_points import change_points
from xcal_jax.sipm.correlations import correlate
from xcal_jax.sipm.damage import annealed, check_fluence, fit_damage, read_fluence

T = np.linspace(30.0, 1300.0, 100)


def groups_of(values, temperature=None):
    data = {"days": ("group", T), "dcr": ("group", values, {"units": "count/s"})}
    if temperature is not None:
        data["temperature"] = ("group", temperature, {"units": "degC"})
    return xr.Dataset(data)


def test_a_step_is_found_where_it_is():
    rng = np.random.default_rng(1)
    temperature = rng.normal(10, 4, T.size)
    values = 1000 + 20 * np.sqrt(T) + 5 * temperature + 40 * (T > 610) - 30 * (T > 900) + rng.normal(0, 8, T.size)
    steps = change_points(jax.random.key(0), joint_fit(groups_of(values, temperature), "dcr"))
    order = np.argsort(steps["day"].values)
    np.testing.assert_allclose(steps["day"].values[order], [610, 900], atol=30)
    pulls = (steps["size"].values[order] - [40, -30]) / steps["size_error"].values[order]
    assert (np.abs(pulls) < 3.5).all()


def test_no_steps_where_there_are_none():
    """At 5 % a false alarm in 5 of 100 series: at most 12 (p = 0.001)."""
    rng = np.random.default_rng(2)
    alarms = 0
    for k in range(100):
        joint = joint_fit(groups_of(1000 + 20 * np.sqrt(T) + rng.normal(0, 8, T.size)), "dcr", "sqrt")
        alarms += change_points(jax.random.key(k), joint, significance=0.05, trials=199, most=1)["day"].size
    assert 0 < alarms <= 12


def test_correlation_finds_the_cause_at_its_lag():
    rng = np.random.default_rng(3)
    days = np.arange(0.0, 1400.0, 2.0)
    cause, bystanders = rng.normal(size=days.size), rng.normal(size=(20, days.size))
    residual = np.interp(T - 20, days, cause) + 0.3 * rng.normal(size=T.size)
    names = {f"other_{k}": ("sample", row) for k, row in enumerate(bystanders)}
    series = xr.Dataset({"days": ("sample", days), "cause": ("sample", cause), **names})
    found = correlate(groups_of(residual), "dcr", series, lags=(0.0, 20.0, 40.0))
    assert found["significant"].sel(quantity="cause", lag=20).item()
    assert found["correlation"].sel(quantity="cause", lag=20).item() > 0.8
    assert int(found["significant"].sum()) <= 2


def test_memory_reduces_the_number_of_points():
    slow = np.sin(T / 200)
    series = xr.Dataset({"days": ("sample", T), "slow": ("sample", np.cos(T / 200))})
    found = correlate(groups_of(slow), "dcr", series)
    assert found["effective_points"].item() < 0.2 * found["points"].item()


def test_p_and_q_values_are_those_of_scipy():
    """Two-sided p-values of Spearman's test where the points are independent; q-values of all by Benjamini-Hochberg."""
    rng = np.random.default_rng(8)
    residual = rng.normal(size=T.size)
    slopes = np.linspace(-0.6, 0.6, 12)
    causes = {f"cause_{k}": slope * residual + rng.normal(size=T.size) for k, slope in enumerate(slopes)}
    series = xr.Dataset({"days": ("sample", T)} | {name: ("sample", cause) for name, cause in causes.items()})
    found = correlate(groups_of(residual), "dcr", series, rate=0.01).sel(lag=0.0)
    independent = np.flatnonzero(found["effective_points"] == T.size)
    assert independent.size >= 4
    for k in independent:
        rho, p = spearmanr(residual, causes[found["quantity"].values[k]])
        np.testing.assert_allclose(found["correlation"][k], rho, rtol=1e-12)
        np.testing.assert_allclose(found["p_value"][k], p, rtol=1e-9)
    assert (found["correlation"][independent] < 0).any() and (found["correlation"][independent] > 0).any()
    p, m = found["p_value"].values, len(causes)
    order = np.argsort(p)
    q = np.minimum.accumulate((p[order] * m / np.arange(1, m + 1))[::-1])[::-1]
    np.testing.assert_allclose(found["q_value"].values[order], q, rtol=1e-12)
    assert (found["significant"].values == (found["q_value"].values <= 0.01)).all()
    assert 0 < int(found["significant"].sum()) < m


def test_annealing_kernel_against_a_sum():
    at = np.linspace(0, 1300, 50)
    fluence = 1e6 * at + 2e8 * (1 - np.exp(-at / 300))
    fine = np.linspace(0, 1300, 200_001)
    rate = np.gradient(np.interp(fine, at, fluence), fine)
    tau, day = 150.0, 1000.0
    inside = fine <= day
    expected = np.trapezoid(rate[inside] * np.exp(-(day - fine[inside]) / tau), fine[inside])
    assert float(annealed(np.array([day]), tau, at, fluence)[0]) == pytest.approx(expected, rel=1e-3)


def test_damage_parameters_are_recovered(tmp_path):
    rng = np.random.default_rng(4)
    at = np.linspace(0.0, 1300.0, 100)
    fluence = xr.Dataset({"days": ("sample", at), "fluence": ("sample", 1e6 * at)})
    pulls = []
    for _ in range(30):
        true = 40e3 + 6e-6 * 1e6 * T + 3e-5 * np.asarray(annealed(T, 200.0, at, 1e6 * at))
        damage = fit_damage(groups_of(true + rng.normal(0, 40, T.size)), "dcr", fluence)
        pulls.append((damage["parameters"].values - [40e3, 6e-6, 3e-5, np.log(200)]) / damage["errors"].values)
    assert (np.abs(np.mean(pulls, 0)) < 4 / np.sqrt(30)).all()
    assert (np.std(pulls, 0) < 1.6).all()
    assert damage["unit"].values.tolist() == ["count/s", "count/s cm^2", "count/s cm^2", "1"]
    assert faults(damage, tmp_path / "damage.nc") == []


def test_fluence_files(tmp_path):
    path = tmp_path / "fluence.csv"
    path.write_text("days,fluence\n10,1e7\n20,3e7\n")
    series = read_fluence(path)
    np.testing.assert_allclose(series["fluence"], [0, 1e7, 3e7])
    series.to_netcdf(tmp_path / "fluence.nc")
    xr.testing.assert_allclose(read_fluence(tmp_path / "fluence.nc"), series)


@pytest.mark.parametrize(
    ("days", "fluence", "words"),
    [
        ([0, 1], [0, -1], "cumulative"),
        ([1, 0], [0, 1], "rise"),
        ([0, 1], [0, np.nan], "finite"),
        ([0], [0], "two points"),
    ],
)
def test_bad_fluence(days, fluence, words):
    with pytest.raises(ValueError, match=words):
        check_fluence(days, fluence)


def test_a_fluence_that_ends_too_early():
    short = xr.Dataset({"days": ("s", [0.0, 100.0]), "fluence": ("s", [0.0, 1e8])})
    with pytest.raises(ValueError, match="must cover day 1300, but ends on day 100"):
        fit_damage(groups_of(1000 + T), "dcr", short)
