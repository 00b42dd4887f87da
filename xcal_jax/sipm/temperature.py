"""Temperature: residuals from the trend against the board mean (step 9), and the joint fit.

Subtract-then-fit is the paper's way. Where temperature drifts with time the trend takes up part of its effect
and the slope comes out too small; the joint fit of trend, temperature (and gain) has no such bias.
"""

import numpy as np
import xarray as xr
from scipy.stats import t as student

from xcal_jax import fit
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.grouping import board_mean
from xcal_jax.sipm.trends import FORMS, check_points, curve, evaluate, fit_forms

REFERENCE = 10.0


def regression(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Unweighted straight line y = intercept + slope x with errors, R2, Pearson r and its two-sided p-value.

    x, y: (N,). Raises ValueError with fewer than three points, or when x does not vary.
    """
    if x.size < 3:
        raise ValueError(f"a straight line with errors needs at least three points, but has {x.size}")
    if not np.ptp(x) > 0:
        raise ValueError(f"a straight line needs an abscissa that varies, but all are {x[0]}")
    dx, dy = x - x.mean(), y - y.mean()
    slope = (dx @ dy) / (dx @ dx)
    rest = dy - slope * dx
    variance = (rest @ rest) / (x.size - 2)
    r = (dx @ dy) / np.sqrt((dx @ dx) * (dy @ dy)) if dy @ dy > 0 else 0.0
    statistic = abs(r) * np.sqrt((x.size - 2) / max(1 - r * r, 1e-300))
    return {
        "slope": slope,
        "slope_error": np.sqrt(variance / (dx @ dx)),
        "intercept": y.mean() - slope * x.mean(),
        "intercept_error": np.sqrt(variance * (1 / x.size + x.mean() ** 2 / (dx @ dx))),
        "r_squared": r * r,
        "pearson_r": r,
        "p_value": 2 * student.sf(statistic, x.size - 2),
    }


def temperature_residuals(
    values: xr.Dataset, trends: xr.Dataset, form: str | None = None, since_days: float = 0.0
) -> xr.Dataset:
    """Residual = value - trend, fitted linearly against the mean board temperature.

    values: groups or single spectra with `days`, `temperature` and the value that ``trends`` is of; only
    those after ``since_days`` are used. Returns `temperature` and `residual` (point,), and the line: `slope`
    (unit/degC), `intercept`, their errors, `r_squared`, `pearson_r`, `p_value` (two-sided).
    Raises ValueError with fewer than three points.
    """
    name, units = trends.attrs["value"], trends.attrs["units"]
    days, temperature, value = values["days"].values, board_mean(values), values[name].values
    good = np.isfinite(value) & np.isfinite(temperature) & (days >= since_days)
    if good.sum() < 3:
        raise ValueError(f"temperature residuals of `{name}` need at least three points, but have {good.sum()}")
    residual = value[good] - evaluate(trends, days[good], form)["value"].values
    line = regression(temperature[good], residual)
    of = {"slope": f"{units}/degC", "intercept": units}
    scalars = {
        key: variable((), number, of.get(key.removesuffix("_error"), "1"), key.replace("_", " "))
        for key, number in line.items()
    }
    return xr.Dataset(
        {
            "days": variable("point", days[good], "d", "time since launch"),
            "temperature": variable("point", temperature[good], "degC", "mean board temperature"),
            "residual": variable("point", residual, units, f"{name} minus trend"),
            **scalars,
        },
        attrs={**trends.attrs, "since_days": since_days},
    )


def joint_fit(
    values: xr.Dataset, name: str, form: str | None = None, gain: np.ndarray | None = None, steps=()
) -> xr.Dataset:
    """Fit trend + temperature (+ gain, + steps) to ``name`` at once, in the form given or that of lowest
    AICc.

    values: groups or single spectra of one readout channel, with `days` and `temperature`. gain: (N,) keV/ADU
    at each value, centred on its mean. steps: days from which on the value is higher, each by an amount of
    its own (as `change_points` finds them). The trend's a and b hold at 10 degC. Returns `parameters` (a, b,
    temperature, gain, steps), `errors`, `covariance`, `aicc` of every form tried, `fitted` and `residual`
    (point,).
    Raises ValueError for fewer points than parameters, or values without temperature.
    """
    covariates = [board_mean(values) - REFERENCE]
    if not np.isfinite(covariates[0]).all():
        raise ValueError("a joint fit needs the board temperatures of every value, but some are missing")
    names = ["a", "b", "temperature"]
    if gain is not None:
        covariates.append(np.asarray(gain, float) - np.mean(gain))
        names.append("gain")
    for day in steps:
        covariates.append((values["days"].values >= day).astype(float))
        names.append(f"step on day {day:.0f}")
    days, y, sigma, shared = check_points(values, name, len(names))
    if form is not None and form not in FORMS:
        raise ValueError(f"`form` must be one of {', '.join(FORMS)}, but is {form!r}")
    forms = list(FORMS) if form is None else [form]
    matrix = np.stack(covariates, 1)
    fits, criterion = fit_forms(forms, days, matrix, y, sigma, shared)
    chosen = int(np.argmin(criterion))
    best, form = fits[chosen], forms[chosen]
    with fit.double_precision():
        from_trend = np.asarray(curve(form, best.parameters[:2], days))
    fitted = from_trend + matrix @ best.parameters[2:]
    units = values[name].attrs["units"]
    return xr.Dataset(
        {
            "parameters": variable("parameter", best.parameters, units, "a, b and slopes"),
            "errors": variable("parameter", best.errors, units, "errors of the parameters"),
            "covariance": variable(("parameter", "parameter_"), best.covariance, f"({units})^2", "covariance"),
            "chi_square": variable((), best.chi_square, "1", "chi-square"),
            "degrees": variable((), y.size - len(names), "1", "degrees of freedom"),
            "aicc": variable("form", criterion, "1", "Akaike criterion, small sample"),
            "days": variable("point", days, "d", "time since launch"),
            "fitted": variable("point", fitted, units, f"{name}, fitted"),
            "residual": variable("point", y - fitted, units, f"{name} minus fit"),
        },
        {
            "parameter": variable("parameter", names, "1", "a, b of the trend; slope per degC, per keV/ADU"),
            "form": variable("form", forms, "1", "form of the trend"),
        },
        {**values.attrs, "value": name, "units": units, "chosen_form": form, "reference_degC": REFERENCE},
    )
