"""Steps in a series, such as VZLUSAT-2's of September 2023 (step 10).

A step is searched in the whole model of trend, temperature and step at once, so that none takes up part of another.
For every possible day the fits without and with a step are compared. The largest gain is compared with the same maximum
in series whose residuals are shuffled, so the p-value takes into account that many days were tried. Where the values
share errors, such as the template's noise, all this is done after whitening. Of 60 synthetic missions without a step,
searched at a significance of 1 %, one has a false step; without whitening 10 do, and 23 with thresholds by Eq. 1.
"""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jaxtyping import Float

from xcal_jax import fit
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.grouping import board_mean
from xcal_jax.sipm.temperature import REFERENCE, warm_points
from xcal_jax.sipm.trends import BASIS, Points, check_points
from xcal_jax.units import shown

ROUNDS = 6  # of scaling the errors to the scatter
SMALLEST = 1e-6  # of a round's factor, where nothing scatters


@jax.jit
def largest_gains(orthogonal: Float[Array, "K N"], residuals: Float[Array, "M N"]) -> Float[Array, " M"]:
    """Largest drop of chi-square by one step in each series.

    orthogonal: unit step columns, orthogonal to the design. residuals: weighted.
    """
    return jnp.max((residuals @ orthogonal.T) ** 2, axis=1)


def design_of(values: xr.Dataset, name: str, form: str, steps: list[float]) -> tuple[Float[np.ndarray, "N P"], Points]:
    """Design of trend, temperature and known steps, and the points."""
    points = check_points(values, name, 4 + len(steps))
    days = points.days
    columns = [np.ones_like(days), np.asarray(BASIS[form](days)), *[(days >= s).astype(float) for s in steps]]
    temperature = board_mean(values) if "temperature" in values else np.full(days.size, np.nan)
    if np.isfinite(temperature).all() and np.ptp(temperature) > 0:
        columns.append(temperature - REFERENCE)
    return np.stack(columns, 1), points


def whitened(
    design: Float[np.ndarray, "N P"], columns: Float[np.ndarray, "N M"], points: Points
) -> Float[np.ndarray, "N P+M"]:
    """Design and more ``columns``, the first of them the values, side by side and whitened.

    The errors of the points are scaled until chi2/nu is one, those that they share are not.
    """
    sigma, shared = points.sigma, points.shared
    scale = 1.0
    for _ in range(ROUNDS):
        white = fit.whiten(np.column_stack([design, columns]), scale * sigma, shared)
        basis, _ = np.linalg.qr(white[:, : design.shape[1]])
        rest = white[:, design.shape[1]]
        rest = rest - basis @ (basis.T @ rest)
        scale *= max(np.sqrt(rest @ rest / max(sigma.size - design.shape[1], 1)), SMALLEST)
    return white


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
    """Steps in ``name``, found one after the other until the next is not significant: (step,), possibly none.

    key: JAX random key of the shuffles. values: groups with `days` (and `temperature`). form: "log", "sqrt" or "linear"
    trend below the steps. edge: points kept free at either end. trials: shuffles per step. most: largest number of
    steps. Values without a temperature are left out where enough others have one; without any, the model has none.
    Returns `day` (in the middle of the gap between two points), `size` and `size_error` in the value's unit, and
    `p_value`. Shuffling supposes residuals without memory: a slow wander that the model lacks appears as steps.
    Raises ValueError for another form or fewer than 2 edge + 2 points.
    """
    if form not in BASIS:
        raise ValueError(f"`form` must be one of {', '.join(BASIS)}, but is {shown(form)}")
    total = values.attrs.get("groups_total", values["days"].size)
    values, warm = warm_points(values, 2 * edge + 2)
    steps: list[float] = []
    found: list[tuple[float, float]] = []
    for _ in range(most):
        design, points = design_of(values, name, form, steps)
        days, n = points.days, points.days.size
        if n < 2 * edge + 2:
            raise ValueError(f"a search for steps needs at least {2 * edge + 2} points, but has {n}")
        order = np.argsort(days)
        candidates = 0.5 * (days[order][edge - 1 : n - edge] + days[order][edge : n - edge + 1])
        after = (days[:, None] >= candidates).astype(float)
        white = whitened(design, np.column_stack([points.values, after]), points)
        basis, _ = np.linalg.qr(white[:, : design.shape[1]])
        rest, *columns = (white[:, design.shape[1] :] - basis @ (basis.T @ white[:, design.shape[1] :])).T
        length = np.linalg.norm(columns, axis=1)
        good = length > 1e-6 * length.max()
        orthogonal = np.array(columns)[good] / length[good, None]
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
        design, points = design_of(values, name, form, others)
        design = np.column_stack([design, points.days >= day])
        white = whitened(design, points.values[:, None], points)
        with fit.double_precision():
            step = fit.rescaled(fit.linear(white[:, :-1], white[:, -1], np.ones(len(white))))
            sizes.append(float(step.parameters[-1]))
            errors.append(float(step.errors[-1]))
    units = values[name].attrs["units"]
    return xr.Dataset(
        {
            "day": variable("step", [day for day, _ in found], "d", "time since launch"),
            "size": variable("step", sizes, units, f"step of {name}"),
            "size_error": variable("step", errors, units, "its error"),
            "p_value": variable(
                "step",
                [p for _, p in found],
                "1",
                "one-sided p-value of the largest drop of chi-square among shuffled residuals",
            ),
        },
        attrs={**values.attrs, "value": name, "form": form, "significance": significance, "trials": trials}
        | {"points_used": int(values["days"].size), "points_total": int(total), "temperature": int(warm)},
    )
