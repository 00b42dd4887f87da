"""Dependence on temperature: residuals from the trend against the board mean (step 9), and the joint fit.

The paper subtracts the trend and then fits. Where temperature drifts with time the trend takes up part of its effect
and the slope comes out too small; the joint fit of trend and temperature (and gain) has no such bias.

A smooth trend that is more curved than any of the paper's forms leaves waves in the residuals, which a search takes for
steps, and a slope on temperature for its own. The joint fit may therefore bend: it has c (g - mean g)^2, with g the
form's own function of time (ln t, sqrt t, t), where that lowers the AICc.
"""

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.stats import linregress

from xcal_jax import fit
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.grouping import board_mean
from xcal_jax.sipm.parameters import parameters_dataset
from xcal_jax.sipm.trends import (
    BASIS,
    FORMS,
    best_of,
    check_points,
    curve,
    evaluate,
    fit_forms,
    half_width,
    units_of,
)
from xcal_jax.units import shown

REFERENCE = 10.0  # degC, at which a trend holds
PER = {"temperature": "/degC", "gain": "/(keV/ADU)"}  # of slopes, after the value's unit
SQUARED = {"power": "", "log": "", "sqrt": "/d", "linear": "/d^2"}  # the same of the curvature, by form
WORDS = {"p_value": "two-sided p-value of Pearson's r"}


@checked
def temperature_residuals(
    values: xr.Dataset, trends: xr.Dataset, form: str | None = None, since_days: float = 0.0
) -> xr.Dataset:
    """Residuals value - trend, and the unweighted straight line through them against the mean board temperature.

    values: groups or single spectra with `days`, `temperature` and the value that ``trends`` describe; those from
    ``since_days`` on are used. Returns `temperature` and `residual` (point,), and of the line `slope` (unit/degC),
    `intercept`, their errors, `r_squared`, `pearson_r`, `p_value` (two-sided).
    Raises ValueError with fewer than three points, or at one temperature.
    """
    name, units = trends.attrs["value"], trends.attrs["units"]
    days, temperature, value = values["days"].values, board_mean(values), values[name].values
    good = np.isfinite(value) & np.isfinite(temperature) & (days >= since_days)
    if good.sum() < 3:
        raise ValueError(f"temperature residuals of `{name}` need at least three points, but have {good.sum()}")
    residual = value[good] - evaluate(trends, days[good], form)["value"].values
    line = linregress(temperature[good], residual)
    scalars = {
        "slope": (line.slope, f"{units}/degC"),
        "slope_error": (line.stderr, f"{units}/degC"),
        "intercept": (line.intercept, units),
        "intercept_error": (line.intercept_stderr, units),
        "r_squared": (line.rvalue**2, "1"),
        "pearson_r": (line.rvalue, "1"),
        "p_value": (line.pvalue, "1"),
    }
    return xr.Dataset(
        {
            "days": variable("point", days[good], "d", "time since launch"),
            "temperature": variable("point", temperature[good], "degC", "mean board temperature"),
            "residual": variable("point", residual, units, f"{name} minus trend"),
            **{key: variable((), *scalar, WORDS.get(key, key.replace("_", " "))) for key, scalar in scalars.items()},
        },
        attrs={**trends.attrs, "since_days": since_days},
    )


def warm_points(values: xr.Dataset, needed: int) -> tuple[xr.Dataset, bool]:
    """The values that have a temperature, and True; or all of them, and False, where fewer than ``needed`` + 1 do."""
    if "temperature" not in values:
        return values, False
    known = np.isfinite(board_mean(values))
    if known.sum() <= needed or np.ptp(board_mean(values)[known]) == 0:
        return values, False
    return values.isel({values["days"].dims[0]: np.flatnonzero(known)}), True


def curvature(form: str, days: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Square of the form's function of time about its mean: what bends a trend."""
    with fit.double_precision():
        g = np.asarray(BASIS["log" if form == "power" else form](days))
    return (g - g.mean()) ** 2


def covariates_of(
    values: xr.Dataset, warm: bool, steps: Sequence[float] | Float[np.ndarray, " S"]
) -> dict[str, Float[np.ndarray, " N"]]:
    """What the slopes of a joint fit multiply, by name: temperature, gain, and one for every step."""
    days, found = values["days"].values, {}
    if warm:
        found["temperature"] = board_mean(values) - REFERENCE
    if "gain" in values:
        found["gain"] = values["gain"].values - values["gain"].values.mean()
    return found | {f"step on day {day:.0f}": (days >= day).astype(float) for day in steps}


@checked
def joint_fit(
    values: xr.Dataset,
    name: str,
    form: str | None = None,
    gain: Float[np.ndarray, " N"] | None = None,
    steps: Sequence[float] | Float[np.ndarray, " S"] = (),
) -> xr.Dataset:
    """Fit of trend, temperature, gain and steps to ``name`` at once, in the form given or that of the lowest AICc.

    values: groups or single spectra of one readout channel, with `days` and `temperature`; those without a temperature
    are left out, unless fewer than the parameters have one: then all are fitted, without temperature. gain: keV/ADU at
    each value, centred on its mean. steps: days from which on the value is higher, each by an amount of its own (as
    `change_points` finds them). The trend's a and b hold at 10 degC. A form that is not given may bend (`curvature`).
    Returns `parameters` (a, b, temperature, gain, steps, curvature), each in its `unit`, `errors`, `half_width` (of the
    95 % interval), `covariance`, `aicc` of every form tried (bent, where the chosen one is), and over the points
    `days`, `fitted`, `residual`, `error` (the weight), `shared` (point, mode) and `slopes` (point, parameter), by which
    the fitted value moves with each parameter; in the attributes how many `points_used` of `points_total`.
    Raises ValueError for another form, or as `check_points`.
    """
    values, total = values.copy(), values.attrs.get("groups_total", values["days"].size)
    if gain is not None:
        values["gain"] = (values["days"].dims, np.asarray(gain, float))
    values, warm = warm_points(values, 3 + (gain is not None) + len(steps))
    covariates = covariates_of(values, warm, steps)
    points = check_points(values, name, 2 + len(covariates))
    days, y = points.days, points.values
    if form is not None and form not in FORMS:
        raise ValueError(f"`form` must be one of {', '.join(FORMS)}, but is {shown(form)}")
    forms = list(FORMS) if form is None else [form]
    matrix = np.stack([np.zeros_like(days), *covariates.values()], 1)[:, 1:]
    fits, criterion = fit_forms(forms, matrix, points)
    chosen = best_of(criterion, np.array([float(f.chi_square) for f in fits]))
    best, chosen_form = fits[chosen], forms[chosen]
    if form is None and np.isfinite(criterion[chosen]):
        bent = np.column_stack([matrix, curvature(chosen_form, days)])
        (one,), (bent_criterion,) = fit_forms([chosen_form], bent, points)
        if bent_criterion < criterion[chosen]:
            best, matrix, covariates = one, bent, {**covariates, "curvature": bent[:, -1]}
            criterion[chosen] = bent_criterion
    with fit.double_precision():
        trend = partial(curve, chosen_form, days=days)
        slopes = np.column_stack([np.asarray(jax.jacfwd(trend)(best.parameters[:2])), matrix])
        fitted = np.asarray(trend(best.parameters[:2])) + matrix @ best.parameters[2:]
    units, names = values[name].attrs["units"], ["a", "b", *covariates]
    per = PER | {"curvature": SQUARED[chosen_form]}
    each = units_of(chosen_form, units) + [units + per.get(one, "") for one in covariates]
    found = parameters_dataset(names, np.asarray(best.parameters), np.asarray(best.covariance), each)
    wide = half_width(found["errors"].values, y.size - len(names))
    return found.assign(
        {
            "half_width": variable("parameter", wide, "1", "half of the 95 % interval, by Student's t"),
            "chi_square": variable((), best.chi_square, "1", "chi-square"),
            "degrees": variable((), y.size - len(names), "1", "degrees of freedom"),
            "aicc": variable("form", criterion, "1", "Akaike criterion, small sample"),
            "days": variable("point", days, "d", "time since launch"),
            "fitted": variable("point", fitted, units, f"{name}, fitted"),
            "residual": variable("point", y - fitted, units, f"{name} minus fit"),
            "error": variable("point", points.sigma, units, "error by which the point is weighted"),
            "shared": variable(("point", "mode"), points.shared, units, "shift by one sigma of what all points share"),
            "slopes": variable(("point", "parameter"), slopes, "1", f"slope of {name}, in {units}, by the parameter"),
            "form": variable("form", forms, "1", "form of the trend"),
        }
    ).assign_attrs(
        {**values.attrs, "value": name, "units": units, "chosen_form": chosen_form, "reference_degC": REFERENCE}
        | {"points_used": int(days.size), "points_total": int(total)}
    )
