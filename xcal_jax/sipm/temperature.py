"""Dependence on temperature: residuals from the trend against the board mean (step 9), and the joint fit.

The paper subtracts the trend and then fits. Where temperature drifts with time the trend takes up part of its effect
and the slope comes out too small; the joint fit of trend and temperature (and gain) has no such bias.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.stats import linregress

from xcal_jax import fit
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.grouping import board_mean
from xcal_jax.sipm.parameters import parameters_dataset
from xcal_jax.sipm.trends import FORMS, best_of, check_points, curve, evaluate, fit_forms, half_width, units_of
from xcal_jax.units import shown

REFERENCE = 10.0  # degC, at which a trend holds
PER = {"temperature": "/degC", "gain": "/(keV/ADU)"}  # of slopes, after the value's unit
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
    `change_points` finds them). The trend's a and b hold at 10 degC. Returns `parameters` (a, b, temperature, gain,
    steps), each in its `unit`, `errors`, `half_width` (of the 95 % interval), `covariance`, `aicc` of every form tried,
    `fitted` and `residual` (point,), and in the attributes how many `points_used` of `points_total`.
    Raises ValueError for another form, or as `check_points`.
    """
    values, total = values.copy(), values.attrs.get("groups_total", values["days"].size)
    if gain is not None:
        values["gain"] = (values["days"].dims, np.asarray(gain, float))
    values, warm = warm_points(values, 3 + (gain is not None) + len(steps))
    names, covariates = ["a", "b"], []
    if warm:
        names.append("temperature")
        covariates.append(board_mean(values) - REFERENCE)
    gain = values["gain"].values if gain is not None else None
    if gain is not None:
        covariates.append(gain - np.mean(gain))
        names.append("gain")
    for day in steps:
        covariates.append((values["days"].values >= day).astype(float))
        names.append(f"step on day {day:.0f}")
    points = check_points(values, name, len(names))
    days, y = points.days, points.values
    if form is not None and form not in FORMS:
        raise ValueError(f"`form` must be one of {', '.join(FORMS)}, but is {shown(form)}")
    forms = list(FORMS) if form is None else [form]
    matrix = np.stack(covariates, 1) if covariates else np.zeros((days.size, 0))
    fits, criterion = fit_forms(forms, matrix, points)
    chosen = best_of(criterion, np.array([float(f.chi_square) for f in fits]))
    best, form = fits[chosen], forms[chosen]
    with fit.double_precision():
        from_trend = np.asarray(curve(form, best.parameters[:2], days))
    fitted = from_trend + matrix @ best.parameters[2:]
    units = values[name].attrs["units"]
    each = units_of(form, units) + [units + PER.get(one, "") for one in names[2:]]
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
            "form": variable("form", forms, "1", "form of the trend"),
        }
    ).assign_attrs(
        {**values.attrs, "value": name, "units": units, "chosen_form": form, "reference_degC": REFERENCE}
        | {"points_used": int(days.size), "points_total": int(total)}
    )
