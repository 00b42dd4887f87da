"""Spectral lines of many spectra in one batch (step 4): windows in, positions with errors out.

Every line is fitted on several backgrounds (`line_window`). The paper keeps that of the lowest reduced chi-square among
none, constant, straight line and parabola. That rule is fragile: a parabola takes up part of a line on a falling
continuum and hides a bias of channels. By default a straight line and an exponential are compared by AICc, and what
cannot be told apart stands in the error of the position. Where a step stands under the line both may have one
(`selection="step"`). It is not the default: a free step takes up anything that is not symmetric, up to a third of the
line's height and of either sign on the lines of a real CsI(Tl) detector, and doubles the errors.

AICc is that of the chi-square over its excess, chi2/nu of the best model (Burnham and Anderson, Model Selection, 2002,
section 2.5): where no model is exact, differences of chi-square count for as little as the errors say. A window that no
model passes is flagged and has no position.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike

from xcal_jax import fit
from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import flags, variable
from xcal_jax.sipm.line_window import BACKGROUNDS, EXPONENTIAL, VETOES, Window, fit_windows
from xcal_jax.units import shown

CANDIDATES = {
    "aicc": ("linear", "exponential"),
    "step": ("linear and step", "exponential and step"),
    "reduced": ("none", "constant", "linear", "parabola"),
}
PRIOR = 0.25  # relative width of the prior on sigma
OF_LINE = {0: ("amplitude", "count/s"), 1: ("position", "ADU"), 2: ("sigma", "ADU"), 7: ("area", "count/s")}
"""Names and units of what `fit_windows` finds of a line, by its place there."""


def check_windows(
    windows: ArrayLike | Sequence, channel: Float[np.ndarray, " C"], fwhm: ArrayLike | Sequence | None
) -> tuple[Float[np.ndarray, "b 2"], Float[np.ndarray, " b"]]:
    """Windows and expected sigmas in channels: from the FWHM, or a third of the half-window.

    Raises ValueError for a window outside the spectrum, with fewer than 10 channels, or an FWHM not positive.
    """
    windows = np.atleast_2d(np.asarray(windows, float))
    for low, high in windows:
        if not (channel[0] <= low < high <= channel[-1]):
            rule = f"`windows` must lie within channels {channel[0]:g} to {channel[-1]:g}"
            raise ValueError(f"{rule}, but one is {low:g}-{high:g}")
        if high - low < 9:
            raise ValueError(f"`windows` must hold at least 10 channels, but one is {low:g}-{high:g}")
    half = 0.5 * (windows[:, 1] - windows[:, 0])
    sigma = half / 3.0 if fwhm is None else np.broadcast_to(np.asarray(fwhm, float) / FWHM_PER_SIGMA, half.shape)
    if not (np.isfinite(sigma) & (sigma > 0)).all():
        raise ValueError(f"`fwhm` must be positive, in channels, but is {shown(fwhm)}")
    return windows, sigma


def padded(rows: int) -> int:
    """Size of the batch for so many ``rows``: a power of four from 16 on, so that few sizes are ever compiled."""
    size = 16
    while size < rows:
        size *= 4
    return size


def spread_over(values: xr.DataArray, like: xr.DataArray) -> Float[np.ndarray, "..."]:
    """``values`` over all dimensions of ``like``, in its order."""
    return values.broadcast_like(like).transpose(*like.dims).values


def exposure_of(stacks: xr.Dataset) -> Float[np.ndarray, "..."] | None:
    """Exposure in s of every spectrum of ``stacks``, over the dimensions of `rate` but for the channels, or None."""
    if "exposure" in stacks:
        return spread_over(stacks["exposure"], stacks["rate"].isel(channel=0))
    seconds = stacks.attrs.get("exposure_s")
    return None if seconds is None else np.full(stacks["rate"].shape[:-1], float(seconds))


def windows_of(
    stacks: xr.Dataset, windows: Float[np.ndarray, "b 2"], expected: Float[np.ndarray, " b"], poisson: bool, models: int
) -> Window:
    """Every window of every spectrum, as often as there are ``models``, one after the other.

    The values are counts for the Poisson statistic, and else cnt/s.
    """
    rate, error, channel = stacks["rate"].values, stacks["rate_error"].values, stacks["channel"].values.astype(float)
    quiet = spread_over(stacks["quiet"], stacks["rate"]) if "quiet" in stacks else np.zeros_like(rate)
    exposure = exposure_of(stacks)
    scale = exposure[..., None] if poisson and exposure is not None else 1.0
    flat = [a.reshape(-1, rate.shape[-1]) for a in (rate * scale, error * scale, quiet * scale)]
    width = int(-(-(np.ptp(windows, axis=1).max() + 1) // 64) * 64)
    first = np.clip((windows[:, 0] - channel[0]).astype(int), 0, max(channel.size - width, 0))
    column = np.minimum(first[:, None] + np.arange(width), channel.size - 1)
    x = channel[column]
    outside = (x < windows[:, :1]) | (x > windows[:, 1:]) | (np.diff(column, axis=1, prepend=-1) == 0)
    y, sigma, known = (a[:, column] for a in flat)
    ratio = np.where(outside, 0.0, sigma**2 / np.maximum(y + known, 1.0)).sum(-1) / (~outside).sum(-1)
    noise = ratio if poisson else np.ones(y.shape[:2])
    rows = len(flat[0]) * len(windows)
    place = np.resize(np.repeat(np.arange(rows), models), padded(rows * models))
    each = place % len(windows)
    middle, half = windows.mean(1), 0.5 * np.ptp(windows, axis=1)
    sigma = np.where(outside, np.inf, sigma)
    value, sigma, known = (a.reshape(-1, width)[place] for a in (y, sigma, known))
    inflation = np.maximum(noise, 1.0).reshape(-1)[place]
    return Window(x[each], value, sigma, known, middle[each], half[each], expected[each], inflation)


def combined(
    parameters: Float[np.ndarray, "b M P"], errors: Float[np.ndarray, "b M P"], score: Float[np.ndarray, "b M"]
) -> tuple[Float[np.ndarray, "b P"], Float[np.ndarray, "b P"]]:
    """Parameters averaged over the models by Akaike weight, and their errors.

    The variance is the weighted mean of the models' variances and squared distances from the average (Burnham and
    Anderson, Model Selection, 2002, section 4.3). score: AICc, infinite for a model that does not count.
    """
    lowest = np.min(score, 1, keepdims=True)
    weight = np.exp(-0.5 * (score - np.where(np.isfinite(lowest), lowest, 0.0)))[..., None]
    weight = weight / np.maximum(weight.sum(1, keepdims=True), 1e-300)
    values = np.where(weight > 0, parameters, 0.0)
    spread = np.where(weight > 0, errors, 0.0)
    mean = (weight * values).sum(1)
    return mean, np.sqrt((weight * (spread**2 + (values - mean[:, None]) ** 2)).sum(1))


@checked
def fit_lines(
    stacks: xr.Dataset,
    windows: ArrayLike,
    fwhm: ArrayLike | None = None,
    statistic: str | None = None,
    selection: str = "aicc",
    prior: float = PRIOR,
    backgrounds: Sequence[str] | None = None,
) -> xr.Dataset:
    """One line in each window of each spectrum, all fitted in one batch.

    stacks: `rate` and `rate_error`, cnt/s, (channel,) or (..., channel), as `spectra.stack` gives; `quiet` cnt/s is
    what has been taken off the rate. windows: first and last channel, (b, 2). fwhm: expected channels, one or (b,),
    else from the window (three sigma a side), with a prior of relative width ``prior``. statistic: "poisson" for stacks
    with an exposure (`exposure`, or `exposure_s` in the attributes), whose rates are counts, or "chi2"; by default the
    first that can be. selection: "aicc" and "step" average over their ``backgrounds`` by Akaike weight; "reduced", the
    paper's, keeps that of the lowest reduced chi-square. backgrounds: names of `BACKGROUNDS`; by default `CANDIDATES`
    of the selection.

    Returns over (..., line) `position`, `sigma`, `amplitude` (cnt/s), `area` (cnt/s of the whole line) and their
    `_error`, `background`, its `terms`, `reduced_chi_square`, `veto` (0, or why no model passed), and over `model` all
    `positions` and `vetoes_of`.
    Raises ValueError for unusable windows or options.
    """
    exposure = exposure_of(stacks)
    statistic = statistic or ("chi2" if exposure is None else "poisson")
    if statistic not in ("chi2", "poisson"):
        raise ValueError(f'`statistic` must be "chi2" or "poisson", but is {shown(statistic)}')
    if selection not in CANDIDATES:
        raise ValueError(f"`selection` must be one of {', '.join(CANDIDATES)}, but is {shown(selection)}")
    names = list(CANDIDATES[selection] if backgrounds is None else backgrounds)
    for name in names:
        if name not in BACKGROUNDS:
            raise ValueError(f"`backgrounds` must be some of {', '.join(BACKGROUNDS)}, but one is {shown(name)}")
    if statistic == "poisson" and exposure is None:
        raise ValueError("the Poisson statistic needs the stack's `exposure_s`, but it is missing")
    channel = stacks["channel"].values if "channel" in stacks.coords else 1 + np.arange(stacks.sizes["channel"])
    channel = channel.astype(float)
    stacks = stacks.assign_coords(channel=channel)
    windows, expected = check_windows(windows, channel, fwhm)
    lead = stacks["rate"].dims[:-1]
    shape = (*stacks["rate"].shape[:-1], len(windows))
    rows = int(np.prod(shape))
    scale = np.repeat(exposure.ravel(), len(windows)) if statistic == "poisson" and exposure is not None else 1.0
    places = np.array([BACKGROUNDS.index(name) for name in names])
    with fit.double_precision():
        batch = windows_of(stacks, windows, expected, statistic == "poisson", len(names))
        results = fit_windows(statistic == "poisson", np.resize(places, len(batch.middle)), batch, float(prior))
        parameters, errors, chi_square, degrees, criterion, veto = (
            np.asarray(r)[: rows * len(names)].reshape(rows, len(names), *r.shape[1:]) for r in results
        )
    reduced = chi_square / np.maximum(degrees, 1)
    counts = (veto == 0) & (degrees > 0) & np.isfinite(errors[..., :3]).all(-1)
    excess = np.clip(np.min(np.where(counts, reduced, np.inf), 1, keepdims=True), 1.0, None)
    quasi = criterion - chi_square * (1 - 1 / excess)
    score = np.where(counts, reduced if selection == "reduced" else quasi, np.inf)
    row = np.arange(rows)
    passed = np.isfinite(score).any(1)
    best = np.where(passed, np.argmin(score, 1), np.argmin(veto, 1))
    if selection == "reduced":
        score = np.where(np.arange(len(names)) == best[:, None], score, np.inf)
    values, value_errors = combined(parameters[..., list(OF_LINE)], errors[..., list(OF_LINE)], score)
    dims = (*lead, "line")

    def chosen(values, units, long_name):
        return variable(dims, np.where(passed, values, np.nan).reshape(shape), units, long_name)

    out = {}
    for k, (name, units) in enumerate(OF_LINE.values()):
        unit_scale = scale if units == "count/s" else 1.0
        out[name] = chosen(values[:, k] / unit_scale, units, f"{name} of the line")
        out[f"{name}_error"] = chosen(value_errors[:, k] / unit_scale, units, f"error of the {name}")
    kept = np.where(passed, np.array(names)[best], "").astype(object)
    out["background"] = variable(dims, kept.reshape(shape), "1", "background of the highest weight")
    terms = parameters[row, best, 3:7].copy()
    exponential = EXPONENTIAL[places[best]]
    per_second = np.where(exponential[:, None] & (np.arange(4) == 1), 1.0, np.reshape(scale, (-1, 1)))
    out["terms"] = variable(
        (*dims, "term"), (terms / per_second).reshape(*shape, 4), "count/s", "background terms of `line_model`"
    )
    out["reduced_chi_square"] = chosen(reduced[row, best], "1", "chi-square over degrees of freedom")
    out["veto"] = flags(dims, np.where(passed, 0, veto[row, best]).reshape(shape), VETOES, "why no model passed")
    out["positions"] = variable(
        (*dims, "model"), parameters[:, :, 1].reshape(*shape, len(names)), "ADU", "position under every background"
    )
    each = veto.reshape(*shape, len(names))
    out["vetoes_of"] = flags((*dims, "model"), each, VETOES, "vetoes of every background")
    out["window"] = variable(("line", "edge"), windows, "ADU", "first and last channel")
    coords = {"model": variable("model", names, "1", "background model")}
    return xr.Dataset(out, coords, {**stacks.attrs, "statistic": statistic, "selection": selection})
