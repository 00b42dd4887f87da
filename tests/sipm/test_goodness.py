"""Smooth trends that no form has, and what a fit says against itself."""

import jax
import numpy as np
import pytest
import xarray as xr

from xcal_jax.sipm import group, joint_fit
from xcal_jax.sipm.change_points import change_points
from xcal_jax.sipm.goodness import CHANCE, warnings_of

GROUPS, NOISE = 30, 60.0
DAYS = 10.0 + 3.0 * np.arange(2.0 * GROUPS)


def spectra_of(dcr, temperature, days=DAYS):
    return xr.Dataset(
        {
            "days": ("spectrum", days),
            "readout": ("spectrum", np.full(days.size, "a", object)),
            "dcr": ("spectrum", dcr, {"units": "count/s"}),
            "temperature": ("spectrum", temperature, {"units": "degC"}),
        }
    )


def draw(seed, between=0.0, within=0.0):
    """Pairs of spectra three days apart: dark counts of a flank that widens, 1e5 (s + 1/2 + 1 / 12 s), and noise.

    between: scatter of every pair as a whole. within: a difference between the two of a pair that takes turns.
    """
    rng = np.random.default_rng(seed)
    width = 1.5 + 0.0065 * DAYS
    mean = 1e5 * (width + 0.5 + 1 / (12 * width)) + np.repeat(rng.normal(0, between, GROUPS), 2)
    mean = mean + within * np.tile([1.0, -1.0, -1.0, 1.0], GROUPS // 2)
    temperature = 10 + 5 * np.sin(DAYS / 7)
    return spectra_of(rng.normal(mean, NOISE), temperature)


@pytest.fixture(scope="module")
def groups():
    return group(draw(1))


def test_a_drift_within_groups_is_no_scatter(groups):
    """The pairs differ by 1950 cnt/s; what is left of that tells their noise to 12 %."""
    assert groups["dcr_deviation"].values.min() > 1000
    assert groups["dcr_error"].values == pytest.approx(NOISE / np.sqrt(2), rel=0.4)
    assert groups.attrs["freedom"] == GROUPS - 4


def test_the_slopes_within_groups_are_those_of_least_squares():
    """The oracle fits a mean for every group, and the slopes, to the spectra in one design."""
    rng = np.random.default_rng(7)
    days = np.sort(rng.uniform(0, 200, 80)) + 5
    warm = rng.normal(10, 4, days.size)
    values = spectra_of(1000 + 3 * days + 20 * warm + rng.normal(0, 5, days.size), warm, days)
    values["temperature"][3] = np.nan
    found = group(values)
    index = np.repeat(np.arange(found.sizes["group"]), found["size"].values)
    members = (index[:, None] == np.arange(found.sizes["group"])).astype(float)
    warm[3] = found["temperature"].values[index[3]]
    design = np.column_stack([members, warm, days, np.sqrt(days), np.log1p(days)])
    _, (rest,), rank, _ = np.linalg.lstsq(design, values["dcr"].values[:, None], rcond=1e-10)
    assert rank == found.sizes["group"] + 4
    expected = np.sqrt(rest / (days.size - rank) / found["size"].values)
    np.testing.assert_allclose(found["dcr_error"], expected, rtol=1e-9)


def test_a_smooth_curve_is_no_step_and_no_slope(groups):
    """The linear form leaves waves, which are steps and a slope of four sigmas; the bent one has none."""
    joint = joint_fit(groups, "dcr")
    assert joint["parameter"].values.tolist() == ["a", "b", "temperature", "curvature"]
    assert change_points(jax.random.key(0), joint, trials=199).sizes["step"] == 0
    slope = joint.sel(parameter="temperature")
    assert abs(float(slope["parameters"])) < 3.5 * float(slope["errors"]) < 15
    assert 0.3 < float(joint["chi_square"]) / float(joint["degrees"]) < 2.2
    assert warnings_of(joint) == []
    straight = joint_fit(groups, "dcr", "linear")
    assert change_points(jax.random.key(0), straight, trials=199).sizes["step"] > 0
    assert any("neighbouring residuals are alike" in text for text in warnings_of(straight))


@pytest.mark.parametrize(("form", "unit"), [("sqrt", "count/s/d"), ("linear", "count/s/d^2")])
def test_curvature_is_found_in_its_unit(form, unit):
    """a + b g + c (g - mean g)^2 for g(t) of two forms, late, where a group's mean day has its mean value."""
    days = DAYS + 90
    g = {"sqrt": np.sqrt, "linear": lambda t: t}[form](days)
    bent = (g - g.mean()) ** 2
    rng = np.random.default_rng(4)
    values = 2e4 * (1 + g / g.max()) + 200 * bent / bent.max() + rng.normal(0, 10, days.size)
    joint = joint_fit(group(spectra_of(values, 10 + 5 * np.sin(days / 7), days)), "dcr")
    assert joint.attrs["chosen_form"] == form
    one = joint.sel(parameter="curvature")
    assert abs(float(one["parameters"]) - 200 / bent.max()) < 3.5 * float(one["errors"]) < 60 / bent.max()
    assert one["unit"].item() == unit


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, None),
        ({"between": 300.0}, "as much about the fit as within themselves"),
        ({"within": 400.0}, "vary by a cause that their mean does not show"),
    ],
)
def test_scatter_that_does_not_agree_is_said(more, words):
    said = [" ".join(warnings_of(joint_fit(group(draw(seed, **more)), "dcr"))) for seed in range(2, 6)]
    assert all(words in text for text in said) if words else said == [""] * 4


def test_a_right_fit_is_warned_of_as_often_as_stated():
    """Three tests of 0.1 % each on 60 right fits: more than two warnings have a chance of 1e-3."""
    rng = np.random.default_rng(3)
    warm = 10 + 5 * np.sin(DAYS / 7)
    said = []
    for _ in range(60):
        values = spectra_of(1e5 + 3e3 * np.sqrt(DAYS) + 20 * warm + rng.normal(0, NOISE, DAYS.size), warm)
        said += warnings_of(joint_fit(group(values), "dcr", "sqrt"))
    assert len(said) <= 2 and CHANCE == 1e-3
