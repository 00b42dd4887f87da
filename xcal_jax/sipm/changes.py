"""Steps in a series, such as VZLUSAT-2's of September 2023 (step 10).

A step is looked for in the whole model at once: trend + temperature + step, so that neither swallows the
other. For every possible day the fit without and with a step is compared; the largest gain is judged against
the same maximum in series whose residuals are shuffled, so the p-value knows that many days were tried.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from xcal_jax import fit
from xcal_jax.sipm.grouping import board_mean
from xcal_jax.sipm.labels import labelled
from xcal_jax.sipm.temperature import REFERENCE
from xcal_jax.sipm.trends import BASIS, check_points


@jax.jit
@partial(jax.vmap, in_axes=(None, None, None, 0))
def with_step(design, values, sigma, after):
    """Fit of the design (N, P) plus one step column ``after`` (N,): parameters, errors, chi-square."""
    line = fit.linear(jnp.concatenate([design, after[:, None]], 1), values, sigma)
    return line.parameters[-1], line.errors[-1], line.chi_square


@jax.jit
def largest_gains(orthogonal, residuals):
    """Largest drop of chi-square by one step in each series: (M,). orthogonal: (K, N) unit step columns,
    orthogonal to the design; residuals: (M, N), weighted.
    """
    return jnp.max((residuals @ orthogonal.T) ** 2, axis=1)


def design_of(values: xr.Dataset, name: str, form: str, steps: list[float]):
    """Design (N, P) of trend, temperature and known steps; days, values, errors: (N,)."""
    days, y, sigma = check_points(values, name, 4 + len(steps))
    columns = [np.ones_like(days), np.asarray(BASIS[form](days)), *[(days >= s).astype(float) for s in steps]]
    temperature = board_mean(values) if "temperature" in values else np.full(days.size, np.nan)
    if np.isfinite(temperature).all():
        columns.append(temperature - REFERENCE)
    return np.stack(columns, 1), days, y, sigma


def change_points(
    key: jax.Array,
    values: xr.Dataset,
    name: str,
    form: str = "sqrt",
    significance: float = 0.01,
    edge: int = 5,
    trials: int = 999,
    most: int = 5,
) -> xr.Dataset:
    """Steps in ``name``, found one after the other until the next is not significant: (step,).

    key: JAX random key of the shuffles. values: groups with `days` (and `temperature`). form: "log", "sqrt"
    or "linear" trend below the steps. edge: points kept free at either end. trials: shuffles per step. most:
    steps at most. Returns `day` (middle between the points it lies between), `size` and `size_error` in the
    value's unit, `p_value`; possibly none. Shuffling supposes residuals without memory: a slow wander that
    the model lacks will show up as steps.
    Raises ValueError for another form or fewer than 2 edge + 2 points.
    """
    if form not in BASIS:
        raise ValueError(f"`form` must be one of {', '.join(BASIS)}, but is {form!r}")
    steps: list[float] = []
    found: list[tuple[float, float]] = []
    for _ in range(most):
        design, days, y, sigma = design_of(values, name, form, steps)
        n = days.size
        if n < 2 * edge + 2:
            raise ValueError(f"a search for steps needs at least {2 * edge + 2} points, but has {n}")
        order = np.argsort(days)
        candidates = 0.5 * (days[order][edge - 1 : n - edge] + days[order][edge : n - edge + 1])
        weighted = design / sigma[:, None]
        basis, _ = np.linalg.qr(weighted)
        columns = (days[None, :] >= candidates[:, None]) / sigma
        columns = columns - (columns @ basis) @ basis.T
        length = np.linalg.norm(columns, axis=1)
        good = length > 1e-6 * np.linalg.norm(1 / sigma)
        orthogonal = columns[good] / length[good, None]
        rest = y / sigma - basis @ (basis.T @ (y / sigma))
        key, shuffle = jax.random.split(key)
        seed = np.random.default_rng(np.asarray(jax.random.key_data(shuffle)).ravel().tolist())
        shuffled = seed.permuted(np.tile(rest, (trials, 1)), axis=1)
        shuffled = shuffled - (shuffled @ basis) @ basis.T
        with fit.double_precision():
            drops = np.asarray((rest @ orthogonal.T) ** 2)
            null = np.asarray(largest_gains(orthogonal, shuffled))
        p_value = (1 + np.sum(null >= drops.max())) / (trials + 1)
        if p_value > significance:
            break
        day = float(candidates[good][np.argmax(drops)])
        steps.append(day)
        found.append((day, p_value))
    sizes, errors = [], []
    for day, _ in found:
        others = [s for s in steps if s != day]
        design, days, y, sigma = design_of(values, name, form, others)
        with fit.double_precision():
            size, error, chi_square = with_step(design, y, sigma, (days >= day).astype(float)[None])
        sizes.append(float(size[0]))
        errors.append(float(error[0]) * np.sqrt(float(chi_square[0]) / (days.size - design.shape[1] - 1)))
    units = values[name].attrs["units"]
    return xr.Dataset(
        {
            "day": labelled("step", [day for day, _ in found], "d", "time since launch"),
            "size": labelled("step", sizes, units, f"step of {name}"),
            "size_error": labelled("step", errors, units, "its error"),
            "p_value": labelled("step", [p for _, p in found], "1", "p-value against shuffled residuals"),
        },
        attrs={**values.attrs, "value": name, "form": form, "significance": significance, "trials": trials},
    )
