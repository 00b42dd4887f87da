"""Groups of values within five days: their means and corrected standard deviations (step 7).

The paper's error of a group is the standard deviation of its values (`*_deviation`; a group of one has none). For fits
there are also the error of the mean (`*_error`), which is the scatter within groups, pooled over all, divided by
sqrt(n), and the errors that all values share, such as the template's noise (`*_shared`), which no deviation shows.

What a fit of the groups explains is no scatter: a value that rises by 1 % in a week scatters within its group by more
than it is uncertain. The pooled scatter is therefore that about slopes within the groups, the same for all groups, on
the temperature and on t, sqrt t and ln (1 + t), of which the trends are made.
"""

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.units import parse_quantity

VALUES = {
    "threshold_adu": ("ADU", "threshold, ADC channel"),
    "threshold_kev": ("keV", "threshold"),
    "dcr": ("count/s", "dark count rate"),
    "dcr_true": ("count/s", "dark count rate without pile-up"),
    "temperature": ("degC", "mean board temperature"),
}
SMALL = 1e-6  # of the largest strength, below which a column of slopes is a sum of others


def group_index(days: Float[np.ndarray, " n"], width: float) -> Int[np.ndarray, " n"]:
    """Number of the group of each value. A group starts at its first value and has all within ``width`` days of it."""
    order = np.argsort(days, kind="stable")
    index, start, number = np.empty(days.size, int), 0.0, -1
    for i in order:
        if number < 0 or days[i] - start > width:
            start, number = days[i], number + 1
        index[i] = number
    return index


def board_mean(values: xr.Dataset) -> Float[np.ndarray, " n"]:
    """Mean of the board temperatures, degC; NaN where no board is known.

    Where only some boards are known, the distance of each from the mean, as the complete spectra have it on average, is
    taken off first: boards differ by more than the temperature of one moves.
    """
    temperature = values["temperature"]
    if "board" not in temperature.dims:
        return temperature.values
    boards = temperature.transpose(..., "board").values
    known = np.isfinite(boards)
    complete = boards[known.all(1)]
    offset = (complete - complete.mean(1, keepdims=True)).mean(0) if len(complete) else np.zeros(boards.shape[1])
    total = np.where(known, boards - offset, 0.0).sum(1)
    many = known.sum(1)
    return np.where(many > 0, total / np.maximum(many, 1), np.nan)


def slopes_within(
    index: Int[np.ndarray, " n"], days: Float[np.ndarray, " n"], temperature: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n K"]:
    """Orthonormal columns that trends and a temperature make within groups; their means in each group are zero.

    index: number of the group of each value. temperature: degC; one that is unknown is taken for its group's mean. At
    most half of the freedom within the groups is used up.
    """
    many = np.bincount(index)
    known = np.isfinite(temperature)
    mean = np.bincount(index, np.where(known, temperature, 0.0)) / np.maximum(np.bincount(index, known), 1)
    time = np.maximum(days, 0.0)
    columns = [g - (np.bincount(index, g) / many)[index] for g in (time, np.sqrt(time), np.log1p(time))]
    columns.append(np.where(known, temperature - mean[index], 0.0))
    size = [np.linalg.norm(column) for column in columns]
    columns = [column / length for column, length in zip(columns, size, strict=True) if length > 0]
    left, strength, _ = np.linalg.svd(np.array(columns).reshape(len(columns), days.size).T, full_matrices=False)
    return left[:, strength > SMALL][:, : (days.size - many.size) // 2]


@checked
def group(values: xr.Dataset, width: float = 5.0) -> xr.Dataset:
    """One point a group for every known quantity: its mean, `*_deviation` (corrected) and `*_error`.

    Also `days`, `size`, and `single`, which marks a group of one. Flagged spectra (NaN) are left out and counted in the
    attributes, which also have the degrees of freedom of the scatter within groups (`freedom`). The temperature of a
    group is that of its spectra with one, and NaN where none has. width: days. Raises ValueError for a width not
    positive, several readout channels or biases at once, missing `days`, or no value at all.
    """
    if "days" not in values:
        raise ValueError("`values` must have `days` since launch before grouping, but it is missing")
    parse_quantity(width, "d", "width", above=0.0)
    readouts = sorted(set(map(str, values["readout"].values)))
    if len(readouts) > 1:
        raise ValueError(f"`values` must be of one readout channel, but are of {', '.join(readouts)}")
    biases = np.unique(values["bias"].values) if "bias" in values else np.array([np.nan])
    if biases.size > 1:
        raise ValueError(f"`values` must be of one bias setting, but are of {', '.join(f'{b:g}' for b in biases)}")
    names = [name for name in VALUES if name in values]
    table = {n: board_mean(values) if n == "temperature" else values[n].values for n in names}
    measured = [name for name in names if name != "temperature"]
    good = np.all([np.isfinite(table[name]) for name in measured], axis=0)
    if not np.any(good):
        raise ValueError("`values` must hold at least one measured value, but all are flagged")
    days = values["days"].values[good]
    index = group_index(days, width)
    size = np.bincount(index)
    temperature = table.get("temperature", np.full(good.size, np.nan))[good]
    slopes = slopes_within(index, days, temperature)
    out = {
        "days": variable("group", np.bincount(index, days) / size, "d", "time since launch"),
        "size": variable("group", size, "1", "values in the group"),
        "single": variable("group", size == 1, "1", "a group of one: no deviation"),
        "readout": variable("group", np.full(size.size, readouts[0], object), "1", "readout channel"),
        "bias": variable("group", np.full(size.size, biases[0]), "1", "bias setting"),
    }
    for name in names:
        units, long_name = VALUES[name]
        value = table[name][good]
        here = np.isfinite(value)
        many = np.bincount(index, here)
        filled = np.where(here, value, 0.0)
        mean = np.where(many > 0, np.bincount(index, filled) / np.maximum(many, 1), np.nan)
        rest = np.where(here, filled - mean[index], 0.0)
        deviation = np.where(many > 1, np.sqrt(np.bincount(index, rest**2) / np.maximum(many - 1, 1)), np.nan)
        freedom = int(np.maximum(many - 1, 0).sum())
        if name in measured:
            rest, freedom = rest - slopes @ (slopes.T @ rest), freedom - slopes.shape[1]
        pooled = np.sqrt(rest @ rest / freedom) if freedom else np.nan
        out[name] = variable("group", mean, units, f"{long_name}, mean of the group")
        out[f"{name}_deviation"] = variable("group", deviation, units, f"{long_name}, corrected deviation")
        if f"{name}_shared" in values:
            each = values[f"{name}_shared"]
            total = np.zeros((size.size, each.shape[1]))
            np.add.at(total, index, each.values[good])
            dims, shared = ("group", each.dims[1]), total / size[:, None]
            out[f"{name}_shared"] = variable(dims, shared, units, f"{long_name}, shift by one sigma of what all share")
        out[f"{name}_error"] = variable(
            "group", pooled / np.sqrt(np.maximum(many, 1)), units, f"{long_name}, error of the mean"
        )
    freedom = days.size - size.size - slopes.shape[1]
    attrs = {**values.attrs, "group_days": width, "left_out": int((~good).sum()), "freedom": freedom}
    return xr.Dataset(out, attrs=attrs)


def warm_group(values: xr.Dataset, width: float = 5.0) -> xr.Dataset:
    """Groups, as of `group`, of the spectra with a temperature alone: their means are of the same spectra as its.

    All spectra are grouped where none has a temperature. The attribute `groups_total` is the number of all groups.
    """
    every = group(values, width)
    known = np.isfinite(board_mean(values)) if "temperature" in values else np.zeros(values["days"].size, bool)
    measured = known & np.isfinite(values["dcr"].values) if "dcr" in values else known
    if not measured.any():
        return every.assign_attrs(groups_total=every.sizes["group"])
    warm = group(values.isel({values["days"].dims[0]: np.flatnonzero(known)}), width)
    return warm.assign_attrs(groups_total=every.sizes["group"])
