"""Correlation of a measured series with housekeeping and space weather (step 10).

Spearman's rank correlation is taken at several lags. The p-values of all series and lags together are controlled for
false discoveries (Benjamini and Hochberg). Neighbouring values of a slow series are not independent, so each p-value
uses the number of points that their first autocorrelations leave (Bretherton et al. 1999, eq. 31).
"""

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control, rankdata, spearmanr
from scipy.stats import t as student

from xcal_jax.io.datasets import variable
from xcal_jax.units import shown


def effective_size(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    """Number of independent pairs: n (1 - r1 r2) / (1 + r1 r2), from the ranks' lag-one autocorrelations."""
    memory = []
    for series in (x, y):
        ranks = rankdata(series) - (series.size + 1) / 2
        memory.append(float(ranks[1:] @ ranks[:-1] / (ranks @ ranks)) if ranks @ ranks > 0 else 0.0)
    product = min(max(memory[0] * memory[1], 0.0), 0.99)
    return x.size * (1 - product) / (1 + product)


def window_means(
    days: Float[np.ndarray, " n"], at: Float[np.ndarray, " m"], value: Float[np.ndarray, " m"], width: float
) -> Float[np.ndarray, " n"]:
    """Mean of the samples ``value`` at rising days ``at`` within ``width`` (d) around ``days``; NaN without one.

    The width is at least the median spacing of the samples.
    """
    half = 0.5 * max(width, float(np.median(np.diff(at))))
    total = np.append(0.0, np.cumsum(value))
    low, high = np.searchsorted(at, days - half, "left"), np.searchsorted(at, days + half, "right")
    many = high - low
    return np.where(many > 0, (total[high] - total[low]) / np.maximum(many, 1), np.nan)


def correlate(
    values: xr.Dataset,
    name: str,
    series: xr.Dataset,
    lags: ArrayLike = (0.0,),
    rate: float = 0.05,
    launch: np.datetime64 | None = None,
) -> xr.Dataset:
    """Rank correlation of ``name`` with the mean of each variable of ``series`` around day - lag.

    The mean is over the width of the values' groups, or the spacing of the series where that is wider: a series of any
    cadence is averaged, and nothing is interpolated.
    Residuals are best, since a common trend correlates with anything. values: `days` and ``name`` (point,) or (group,).
    series: `days`, or `time` with ``launch`` given; one variable a quantity over one dimension. lags: days by which the
    series leads. rate: false-discovery rate. Returns over (quantity, lag)
    `correlation`, `p_value` (two-sided, effective size), `q_value`
    (Benjamini-Hochberg), `points`, `effective_points`, `significant`.
    Raises ValueError for a series without axis or overlap, or fewer than five common points.
    """
    if not 0 < rate < 1:
        raise ValueError(f"`rate` of false discoveries must lie between 0 and 1, but is {rate}")
    if name not in values:
        raise ValueError(f"`name` must be a measured value, but {shown(name)} is not in the data")
    if "days" in series:
        axis = series["days"].values
    elif launch is not None and "time" in series:
        axis = (series["time"].values - launch) / np.timedelta64(1, "D")
    else:
        raise ValueError("`series` must have `days`, or `time` with the launch given, but has neither")
    quantities = [str(q) for q in series.data_vars if q not in ("days", "time")]
    lags = np.atleast_1d(np.asarray(lags, float))
    days, y = values["days"].values, values[name].values
    order = np.argsort(days)
    days, y = days[order], y[order]
    table = np.full((4, len(quantities), lags.size), np.nan)
    for i, quantity in enumerate(quantities):
        known = np.isfinite(series[quantity].values) & np.isfinite(axis)
        if known.sum() < 2:
            raise ValueError(f"`series` {quantity} must have at least two known values, but has {known.sum()}")
        place = np.argsort(axis[known])
        at, value = axis[known][place], series[quantity].values[known][place]
        for j, lag in enumerate(lags):
            x = window_means(days - lag, at, value, float(values.attrs.get("group_days", 0.0)))
            both = np.isfinite(x) & np.isfinite(y)
            if both.sum() < 5:
                raise ValueError(
                    f"`series` {quantity} must share at least five points with {name} at lag {lag:g} d, "
                    f"but shares {both.sum()}"
                )
            if np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
                raise ValueError(f"`series` {quantity} and {name} must vary at lag {lag:g} d, but one is constant")
            rho = float(spearmanr(x[both], y[both]).statistic)
            size = max(effective_size(x[both], y[both]), 3.0)
            statistic = abs(rho) * np.sqrt((size - 2) / max(1 - rho * rho, 1e-300))
            table[:, i, j] = rho, 2 * student.sf(statistic, size - 2), both.sum(), size
    q = false_discovery_control(table[1].ravel()).reshape(table[1].shape)
    dims = ("quantity", "lag")
    return xr.Dataset(
        {
            "correlation": variable(dims, table[0], "1", "Spearman rank correlation"),
            "p_value": variable(dims, table[1], "1", "two-sided p-value at the effective size"),
            "q_value": variable(dims, q, "1", "false-discovery rate, Benjamini-Hochberg"),
            "points": variable(dims, table[2].astype(int), "1", "common points"),
            "effective_points": variable(dims, table[3], "1", "independent points"),
            "significant": variable(dims, q <= rate, "1", f"q-value at most {rate:g}"),
        },
        {
            "quantity": variable("quantity", np.array(quantities, object), "1", "series"),
            "lag": variable("lag", lags, "d", "days by which the series leads"),
        },
        {**values.attrs, "value": name, "false_discovery_rate": rate, "trials": int(table[1].size)},
    )
