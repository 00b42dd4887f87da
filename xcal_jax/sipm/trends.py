"""Trends of threshold and dark count rate with time (step 8), and their forecast.

The paper's two-parameter form is not legible in the copy at hand, so four are fitted and compared by AICc: a t^b,
a + b ln t, a + b sqrt t, a + b t, with t in days since launch. The errors are weights whose common scale comes from the
fit: the covariance is multiplied by chi2/nu, and AICc counts the scale as a parameter. Pulls therefore follow Student's
t with nu degrees of freedom, and so does `half_width`. Errors that all points share (the Poisson noise of the template,
for energies also the error of the gain) do not appear in their scatter; where the data have them (`*_shared`), their
covariance is added.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.stats import norm
from scipy.stats import t as student

from xcal_jax import fit
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.parameters import parameters_dataset
from xcal_jax.units import shown

FORMS = {"power": "a t^b", "log": "a + b ln t", "sqrt": "a + b sqrt t", "linear": "a + b t"}
UNITS = {"power": ("{}/d^b", "1"), "log": ("{}", "{}"), "sqrt": ("{}", "{}/d^0.5"), "linear": ("{}", "{}/d")}
"""Units of a and b; {} is the value's."""
BASIS = {"log": jnp.log, "sqrt": jnp.sqrt, "linear": lambda t: t}


def units_of(form: str, units: str) -> list[str]:
    """Units of a and b of a form, for a value in ``units``."""
    return [text.format(units) for text in UNITS[form]]


def curve(form: str, parameters: Float[fit.Array, "2"], days: Float[fit.Array, " N"]) -> Float[fit.Array, " N"]:
    """The trend in the value's unit. parameters: a and b. days: since launch, positive."""
    a, b = parameters[0], parameters[1]
    return a * days**b if form == "power" else a + b * BASIS[form](days)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Points:
    """Points of a fit.

    days: (N,) since launch. values: (N,). sigma: (N,) their errors. shared: (N, M) their shifts by one sigma of each
    error that they share, as for `fit.with_shared`.
    """

    days: Any
    values: Any
    sigma: Any
    shared: Any


@partial(jax.jit, static_argnames="form")
def fit_curve(form: str, covariates: Float[Array, "N K"], points: Points) -> fit.Fit:
    """Fit of one form and the slopes on covariates at once: a, b, then one slope each.

    The covariance is that of the scatter (times chi2/nu) and of the shared errors.
    """
    days, values, sigma, shared = points.days, points.values, points.sigma, points.shared
    n = days.size
    if form != "power":
        design = jnp.concatenate([jnp.ones((n, 1)), BASIS[form](days)[:, None], covariates], 1)
        return fit.with_shared(fit.rescaled(fit.linear(design, values, sigma)), design, sigma, shared)
    middle, unit = jnp.exp(jnp.mean(jnp.log(days))), jnp.mean(values)

    def model(p):
        return unit * (p[0] * (days / middle) ** p[1] + covariates @ p[2:])

    start = jnp.zeros(2 + covariates.shape[1]).at[0].set(1.0)
    count = fit.count_points(sigma)
    inner = fit.rescaled(fit.least_squares(lambda p, _: (model(p) - values) / sigma, start, None, count))
    inner = fit.with_shared(inner, jax.jacfwd(model)(inner.parameters), sigma, shared)

    def outer(p):
        return jnp.concatenate([jnp.stack([unit * p[0] * middle ** -p[1], p[1]]), unit * p[2:]])

    turn = jax.jacfwd(outer)(inner.parameters)
    covariance = turn @ inner.covariance @ turn.T
    return fit.Fit(outer(inner.parameters), covariance, inner.chi_square, inner.points, inner.converged)


INTERVAL = 0.95


def half_width(errors: Float[np.ndarray, "..."], degrees: int) -> Float[np.ndarray, "..."]:
    """Half the width of the interval that holds a parameter with 95 %: its error times Student's quantile.

    degrees: of freedom nu of the fit that gave the common scale of the errors; NaN without any.
    """
    return errors * student.ppf(0.5 + INTERVAL / 2, degrees) if degrees > 0 else np.full_like(errors, np.nan)


def fit_forms(
    forms: list[str], covariates: Float[np.ndarray, "N K"], points: Points
) -> tuple[list[fit.Fit], Float[np.ndarray, " F"]]:
    """Every form's fit and its AICc, in which the common scale of the errors is one more parameter.

    A fit that did not converge has an infinite AICc.
    """
    n, k = points.days.size, 2 + covariates.shape[1]
    with fit.double_precision():
        fits = [jax.tree.map(np.asarray, fit_curve(form, covariates, points)) for form in forms]
        size = [n * np.log(np.maximum(f.chi_square, 1e-300) / n) if f.converged else np.inf for f in fits]
        return fits, np.array([float(fit.aicc(s, float(n), k + 1)) for s in size])


def check_points(groups: xr.Dataset, name: str, parameters: int) -> Points:
    """The points of ``name`` for a fit with so many ``parameters``.

    Shared errors are filled up with zeros to a multiple of eight, so that few shapes are ever compiled. The errors are
    those of the group means; single spectra have equal weights, since their scatter is larger than their counting
    errors.
    Raises ValueError for an unknown name, all points in one group, fewer points than parameters, or t <= 0.
    """
    if name not in groups:
        raise ValueError(f"`name` must be a measured value, but {shown(name)} is not in the data")
    days, values = groups["days"].values, groups[name].values
    if days.size == 1 and "size" in groups:
        size, width = int(groups["size"].values[0]), groups.attrs.get("group_days")
        raise ValueError(f"a fit of `{name}` needs several groups, but all {size} points lie in one of {width} d")
    if days.size < parameters:
        raise ValueError(f"a fit of `{name}` with {parameters} parameters needs as many points, but has {days.size}")
    if not (np.isfinite(values).all() and np.isfinite(days).all()):
        raise ValueError(f"`{name}` and `days` must be finite in every group, but are not")
    if days.min() <= 0:
        raise ValueError(f"`days` since launch must be positive for a trend, but the first is {days.min():.3f}")
    sigma = groups[f"{name}_error"].values if "size" in groups else np.ones_like(values)
    usable = np.isfinite(sigma).all() and (sigma > 0).all()
    shared = groups[f"{name}_shared"].values if f"{name}_shared" in groups else np.zeros((days.size, 0))
    shared = np.pad(shared, ((0, 0), (0, -shared.shape[1] % 8)))
    return Points(days, values, sigma if usable else np.ones_like(values), shared)


@checked
def fit_trends(groups: xr.Dataset, name: str) -> xr.Dataset:
    """Fits of the four forms to ``name`` of the groups, over `form`.

    `parameters` (form, parameter), `covariance`, `errors`, `half_width` (of the 95 % interval), `chi_square` and
    `degrees`, `aicc`, its difference to the best and the Akaike `weight`, `scatter` (rms of the residuals). `unit`
    (form, parameter) has the units of a and b. Raises ValueError as `check_points`.
    """
    points = check_points(groups, name, 2)
    days, values = points.days, points.values
    fits, criterion = fit_forms(list(FORMS), np.zeros((days.size, 0)), points)
    with fit.double_precision():
        curves = [np.asarray(curve(form, f.parameters, days)) for form, f in zip(FORMS, fits, strict=True)]
    best = np.min(criterion)
    delta = criterion - best if np.isfinite(best) else np.full(len(fits), np.nan)
    weight = np.exp(-delta / 2)
    units = groups[name].attrs["units"]
    degrees = days.size - 2
    scatter = [np.sqrt(np.sum((values - c) ** 2) / max(degrees, 1)) for c in curves]
    found = parameters_dataset(
        ["a", "b"],
        np.array([f.parameters for f in fits]),
        np.array([f.covariance for f in fits]),
        [units_of(form, units) for form in FORMS],
        ("form",),
    )
    wide = half_width(found["errors"].values, degrees)
    found = found.assign(
        {
            "half_width": variable(("form", "parameter"), wide, "1", "half of the 95 % interval, by Student's t"),
            "chi_square": variable("form", [f.chi_square for f in fits], "1", "chi-square"),
            "degrees": variable("form", [degrees] * len(fits), "1", "degrees of freedom"),
            "converged": variable("form", [f.converged for f in fits], "1", "the fit converged"),
            "aicc": variable("form", criterion, "1", "Akaike criterion, small sample"),
            "delta_aicc": variable("form", delta, "1", "difference to the best form"),
            "weight": variable("form", weight / weight.sum(), "1", "Akaike weight"),
            "scatter": variable("form", scatter, units, "rms of the residuals"),
        }
    )
    return found.assign_coords(form=variable("form", list(FORMS), "1", "form of the trend")).assign_attrs(
        {**groups.attrs, "value": name, "units": units, "days_first": days.min(), "days_last": days.max()}
    )


def best_of(aicc: Float[np.ndarray, " F"], chi_square: Float[np.ndarray, " F"]) -> int:
    """Which fit has the lowest AICc; where there are too few points for one, the lowest chi-square that is a number."""
    criterion = aicc if np.isfinite(aicc).any() else chi_square
    return int(np.argmin(np.where(np.isnan(criterion), np.inf, criterion)))


def best_form(trends: xr.Dataset) -> str:
    """The form of `best_of`."""
    return str(trends["form"].values[best_of(trends["aicc"].values, trends["chi_square"].values)])


@checked
def evaluate(trends: xr.Dataset, days: ArrayLike, form: str | None = None) -> xr.Dataset:
    """The trend and its one-sigma parameter error at ``days``: `value`, `value_error` (time,).

    form: the best one if none. Raises ValueError for an unknown form and days that are not positive.
    """
    form = form or best_form(trends)
    if form not in FORMS:
        raise ValueError(f"`form` must be one of {', '.join(FORMS)}, but is {shown(form)}")
    days = np.atleast_1d(np.asarray(days, float))
    if (days <= 0).any():
        raise ValueError(f"`days` since launch must be positive for a trend, but the first is {days.min()}")
    chosen = trends.sel(form=form)
    with fit.double_precision():
        parameters = jnp.asarray(chosen["parameters"].values)
        value = np.asarray(curve(form, parameters, days))
        slope = np.asarray(jax.jacfwd(partial(curve, form))(parameters, days))
    error = np.sqrt(np.einsum("ni,ij,nj->n", slope, chosen["covariance"].values, slope))
    units = trends.attrs["units"]
    return xr.Dataset(
        {
            "days": variable("time", days, "d", "time since launch"),
            "value": variable("time", value, units, f"{trends.attrs['value']}, {FORMS[form]}"),
            "value_error": variable("time", error, units, "error from the parameters"),
        },
        attrs={**trends.attrs, "form": form},
    )


@checked
def forecast(trends: xr.Dataset, days: ArrayLike, probability: float = 0.68) -> xr.Dataset:
    """Value at ``days`` with a band, averaged over the forms by Akaike weight: (time,).

    Between `lower` and `upper` lie new group means with ``probability``: parameter errors, the differences between the
    forms, and the scatter of the points, added as variances of a normal distribution. It supposes that nothing new
    happens: no step, no change of orbit or bias. Raises ValueError for a probability outside (0, 1).
    """
    if not 0 < probability < 1:
        raise ValueError(f"`probability` must lie between 0 and 1, but is {probability}")
    weight = trends["weight"].values
    if not np.isfinite(weight).all():
        weight = (trends["form"].values == best_form(trends)).astype(float)
    kept = np.flatnonzero(weight)  # a form that did not converge has no weight, and may have no number
    weight, scatter = weight[kept], trends["scatter"].values[kept, None]
    each = [evaluate(trends, days, form) for form in trends["form"].values[kept]]
    values = np.array([e["value"].values for e in each])
    variances = np.array([e["value_error"].values for e in each]) ** 2 + scatter**2
    mean = weight @ values
    spread = np.sqrt(weight @ (variances + (values - mean) ** 2))
    half = norm.ppf(0.5 + probability / 2) * spread
    units = trends.attrs["units"]
    return xr.Dataset(
        {
            "days": each[0]["days"],
            "value": variable("time", mean, units, f"{trends.attrs['value']}, forecast"),
            "lower": variable("time", mean - half, units, "lower edge of the band"),
            "upper": variable("time", mean + half, units, "upper edge of the band"),
        },
        attrs={**trends.attrs, "probability": probability},
    )
