import numpy as np
import pytest
import xarray as xr
from scipy.stats import t as student

from xcal_jax.sipm import evaluate, fit_trends, forecast, group, joint_fit, joint_readouts, temperature_residuals
from xcal_jax.sipm.grouping import group_index
from xcal_jax.sipm.readouts import uncertain_weights
from xcal_jax.sipm.trends import best_form

T = np.linspace(30.0, 1300.0, 60)
TRUE = {
    "power": (40 * T**0.05, (40, 0.05)),
    "log": (30 + 3 * np.log(T), (30, 3)),
    "sqrt": (40 + 0.3 * np.sqrt(T), (40, 0.3)),
    "linear": (40 + 0.01 * T, (40, 0.01)),
}


def groups_of(values, temperature=None, days=T):
    data = {"days": ("group", days), "dcr": ("group", values, {"units": "count/s"})}
    if temperature is not None:
        data["temperature"] = ("group", temperature, {"units": "degC"})
    return xr.Dataset(data)


@pytest.mark.parametrize("form", list(TRUE))
def test_every_form_is_recovered_and_preferred(form):
    values, parameters = TRUE[form]
    noise = np.random.default_rng(1).normal(0, 0.02, T.size)
    trends = fit_trends(groups_of(values + noise), "dcr")
    one = trends.sel(form=form)
    pulls = (one["parameters"].values - parameters) / one["errors"].values
    assert (np.abs(pulls) < 3.5).all()
    assert float(one["delta_aicc"]) == 0 or float(one["weight"]) > 0.1
    np.testing.assert_allclose(evaluate(trends, T, form)["value"], values, atol=0.05)
    assert trends["weight"].sum().item() == pytest.approx(1)


def test_exact_data_give_exact_parameters():
    for form, (values, parameters) in TRUE.items():
        one = fit_trends(groups_of(values), "dcr").sel(form=form)
        np.testing.assert_allclose(one["parameters"], parameters, rtol=1e-6)


def test_forecast_band_holds_what_it_says():
    """68 % bands hold 68 % of the next values: 400 missions, four binomial sigmas."""
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(400):
        trends = fit_trends(groups_of(TRUE["sqrt"][0] + rng.normal(0, 0.5, T.size)), "dcr")
        band = forecast(trends, 1400.0, 0.68)
        new = 40 + 0.3 * np.sqrt(1400) + rng.normal(0, 0.5)
        inside += band["lower"].item() < new < band["upper"].item()
    assert abs(inside / 400 - 0.68) < 4 * np.sqrt(0.68 * 0.32 / 400)


def test_parameters_have_units_of_their_own():
    """A value in thousandths multiplies every parameter whose unit holds that of the value, and no other."""
    temperature = np.random.default_rng(3).normal(10, 4, T.size)
    values = TRUE["sqrt"][0] + 0.2 * temperature
    plain, thousand = (groups_of(scale * values, temperature) for scale in (1, 1000))
    trends = [fit_trends(one, "dcr") for one in (plain, thousand)]
    joint = [joint_fit(one, "dcr", "sqrt", gain=4.0 + T**2 / 1e7, steps=[600.0]) for one in (plain, thousand)]
    units = [trends[0].sel(form=form)["unit"].values.tolist() for form in TRUE]
    value = "count/s"
    assert units == [[f"{value}/d^b", "1"], [value, value], [value, f"{value}/d^0.5"], [value, f"{value}/d"]]
    slopes = [f"{value}/degC", f"{value}/(keV/ADU)", value]
    assert joint[0]["unit"].values.tolist() == [value, f"{value}/d^0.5", *slopes]
    for one, other in (trends, joint):
        factor = [1000.0 if value in unit else 1.0 for unit in one["unit"].values.ravel()]
        for name in ("parameters", "errors"):
            assert one[name].attrs["units"] == "1"
            expected = one[name].values.ravel() * factor
            np.testing.assert_allclose(other[name].values.ravel(), expected, rtol=1e-5, atol=1e-8)


def test_a_form_without_numbers_does_not_spoil_the_forecast():
    """A power law has no slope where the mean is zero: its errors are NaN, its weight is 0."""
    days = np.arange(1.0, 61.0)
    trends = fit_trends(groups_of(days - 30.5, days=days), "dcr")
    assert np.isnan(trends["errors"].sel(form="power")).all()
    ahead = forecast(trends, 70.0)
    assert [ahead[name].item() for name in ("value", "lower", "upper")] == pytest.approx([39.5] * 3)
    few = fit_trends(groups_of(days[:3] - 2, days=days[:3]), "dcr")  # too few points for AICc
    few["chi_square"][0] = np.nan
    assert best_form(few) == "linear"
    assert joint_fit(groups_of(days[:3] - 2, days=days[:3]), "dcr").attrs["chosen_form"] == "linear"


def test_groups_within_five_days():
    days = np.array([10.0, 14.9, 15.1, 30.0, 34.0, 35.0, 100.0])
    assert group_index(days, 5.0).tolist() == [0, 0, 1, 2, 2, 2, 3]


def test_group_means_and_corrected_deviations():
    values = xr.Dataset(
        {
            "days": ("spectrum", [1.0, 2.0, 3.0, 20.0]),
            "readout": ("spectrum", np.array(["a"] * 4, object)),
            "dcr": ("spectrum", [10.0, 12.0, 17.0, 30.0], {"units": "count/s"}),
            "temperature": (("spectrum", "board"), np.array([[1.0, 2, 3]] * 4)),
        }
    )
    groups = group(values)
    np.testing.assert_allclose(groups["dcr"], [13, 30])
    np.testing.assert_allclose(groups["dcr_deviation"], [np.std([10, 12, 17], ddof=1), np.nan])
    assert groups["single"].values.tolist() == [False, True]
    assert groups["size"].values.tolist() == [3, 1]
    np.testing.assert_allclose(groups["temperature"], 2.0)


def test_the_line_through_residuals_by_the_formulas():
    rng = np.random.default_rng(5)
    x = rng.normal(10, 5, T.size)
    groups = groups_of(TRUE["linear"][0] + 0.2 * x + rng.normal(0, 1, T.size), x)
    line = temperature_residuals(groups, fit_trends(groups, "dcr"), "linear")
    y, n = line["residual"].values, T.size
    dx, dy = x - x.mean(), y - y.mean()
    slope, r = dx @ dy / (dx @ dx), dx @ dy / np.sqrt((dx @ dx) * (dy @ dy))
    variance = np.sum((dy - slope * dx) ** 2) / (n - 2)
    expected = {
        "slope": slope,
        "slope_error": np.sqrt(variance / (dx @ dx)),
        "intercept": y.mean() - slope * x.mean(),
        "intercept_error": np.sqrt(variance * (1 / n + x.mean() ** 2 / (dx @ dx))),
        "r_squared": r**2,
        "pearson_r": r,
        "p_value": 2 * student.sf(abs(r) * np.sqrt((n - 2) / (1 - r**2)), n - 2),
    }
    for name, value in expected.items():
        assert line[name].item() == pytest.approx(value, rel=1e-10), name


def test_joint_fit_with_temperature_gain_and_a_step():
    rng = np.random.default_rng(6)
    temperature = rng.normal(12, 4, T.size)
    gain = 4.08 + 0.3 * rng.random(T.size)
    values = TRUE["sqrt"][0] + 0.2 * (temperature - 10) - 3 * (gain - gain.mean()) + 1.5 * (T >= 600)
    groups = groups_of(values + rng.normal(0, 0.02, T.size), temperature)
    joint = joint_fit(groups, "dcr", gain=gain, steps=(600.0,))
    assert joint.attrs["chosen_form"] == "sqrt"
    pulls = (joint["parameters"].values - [40, 0.3, 0.2, -3, 1.5]) / joint["errors"].values
    assert (np.abs(pulls) < 3.5).all()
    assert joint["parameter"].values.tolist() == ["a", "b", "temperature", "gain", "step on day 600"]


def test_a_joint_fit_of_readouts_is_the_fit_of_all_their_points():
    """The oracle has every point of both in one design, weighted by the scatter of each about its own fit."""
    rng = np.random.default_rng(8)
    temperature = rng.normal(10, 5, T.size)
    fits, blocks, values, weights = {}, [], [], []
    for row, (start, noise) in enumerate(((40.0, 0.1), (55.0, 0.4))):
        y = start + 0.3 * np.sqrt(T) + 0.2 * (temperature - 10) + rng.normal(0, noise, T.size)
        fits[f"ch{row}"] = one = joint_fit(groups_of(y, temperature), "dcr", form="sqrt")
        block = np.zeros((T.size, 5))
        block[:, 2 * row], block[:, 2 * row + 1], block[:, 4] = 1.0, np.sqrt(T), temperature - 10
        blocks.append(block)
        values.append(y)
        scale = np.sqrt(float((one["residual"] ** 2).sum()) / int(one["degrees"]))
        weights.append(np.full(T.size, 1 / scale))
    both = joint_readouts(fits)
    weight = np.concatenate(weights)
    design = np.concatenate(blocks) * weight[:, None]
    covariance = np.linalg.inv(design.T @ design)
    np.testing.assert_allclose(both["parameters"], covariance @ design.T @ (np.concatenate(values) * weight), rtol=1e-6)
    variance = np.array([float(one["errors"].sel(parameter="temperature")) ** 2 for one in fits.values()])
    degrees = np.array([float(one["degrees"]) for one in fits.values()])
    wider = np.append(np.ones(4), uncertain_weights(variance, degrees))
    np.testing.assert_allclose(both["covariance"], covariance * np.outer(wider, wider), rtol=1e-5)
    assert both["parameter"].values.tolist() == ["ch0: a", "ch0: b", "ch1: a", "ch1: b", "temperature"]
    assert float(both["p_value"]) > 0.01
    other = joint_fit(groups_of(values[1] + 0.2 * temperature, temperature), "dcr", form="sqrt")
    assert float(joint_readouts({"ch0": fits["ch0"], "ch1": other})["p_value"]) < 1e-4
    cold = joint_fit(groups_of(values[0]), "dcr", form="sqrt")
    with pytest.raises(ValueError, match="'temperature' is not in that of ch1"):
        joint_readouts({"ch0": fits["ch0"], "ch1": cold})
    with pytest.raises(ValueError, match="needs two at least, but has 1"):
        joint_readouts({"ch0": cold})


def test_weights_from_the_scatter_are_uncertain():
    """The mean of two values, weighted by variances of 15 degrees of freedom, is less sure by what the rule says."""
    rng, sigma, degrees = np.random.default_rng(3), np.array([1.0, 1.5]), np.full(2, 15.0)
    values = sigma * rng.normal(size=(200_000, 2))
    variance = sigma**2 * rng.chisquare(15, values.shape) / 15
    weight = 1 / variance
    mean = (weight * values).sum(1) / weight.sum(1)
    share = weight / weight.sum(1)[:, None]
    factors = np.sqrt(1 + 4 * (share * (1 - share) / degrees).sum(1))
    assert uncertain_weights(variance[0], degrees) == pytest.approx(factors[0])
    assert np.var(mean) == pytest.approx(np.mean(factors**2 / weight.sum(1)), rel=0.015)
    assert np.var(mean) > 1.1 * np.mean(1 / weight.sum(1))


def test_intervals_of_few_points_hold_what_they_say():
    """95 % intervals of a slope from six points hold it in 95 % of 300 series; 1.96 errors do in fewer than 90 %."""
    rng, days = np.random.default_rng(7), np.linspace(30.0, 300.0, 6)
    inside = []
    for _ in range(300):
        groups = groups_of(40 + 0.01 * days + rng.normal(0, 0.5, 6), rng.normal(10, 3, 6), days)
        joint = joint_fit(groups, "dcr", form="linear").sel(parameter="temperature")
        off = abs(float(joint["parameters"]))
        inside.append((off < float(joint["half_width"]), off < 1.96 * float(joint["errors"])))
    held, normal = np.mean(inside, 0)
    assert abs(held - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 300)
    assert normal < 0.9


def test_residuals_of_a_known_slope():
    temperature = 10 + 5 * np.sin(np.arange(T.size))
    groups = groups_of(TRUE["linear"][0] + 0.1 * (temperature - 10), temperature)
    line = temperature_residuals(groups, fit_trends(groups, "dcr"), "linear", since_days=200.0)
    assert float(line["slope"]) == pytest.approx(0.1, rel=0.01)
    assert line["days"].min() >= 200
