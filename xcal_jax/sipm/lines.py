"""Spectral lines: a Gaussian on a smooth background (step 4).

The background is a straight line or a falling exponential with a step under the line (photons that scatter in or before
the crystal leave less than the line's energy), or a constant, a straight line, an exponential, a parabola, or none. The
paper keeps that of the lowest reduced chi-square among none, constant, straight line and parabola. That rule is
fragile: a parabola takes up part of a line on a falling continuum and hides a bias of channels. By default the first
two, which hold the simpler ones but for the parabola in them, are compared by AICc: what cannot be told apart then
stands in the error of the position.

A fit counts only if it passes every veto: converged, positive at five sigma, position inside the middle of its window,
a width near the expected one, a small position error, a window of at least 2.5 sigma to each side. Errors are scaled by
sqrt(chi2/nu) where that exceeds one by more than chance. The windows of one batch are fitted together under `vmap`. A
window that no model passes is flagged and has no position.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.scipy.special import erfc
from jaxtyping import Float, Int, Real
from numpy.typing import ArrayLike

from xcal_jax import fit
from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.units import shown

Scalar = Real[Array, ""]
TERMS = {  # which of t0, t1, t2 and the step a background has
    "none": (0, 0, 0, 0),
    "constant": (1, 0, 0, 0),
    "linear": (1, 1, 0, 0),
    "parabola": (1, 1, 1, 0),
    "exponential": (1, 1, 0, 0),
    "linear and step": (1, 1, 0, 1),
    "exponential and step": (1, 1, 0, 1),
}
BACKGROUNDS = tuple(TERMS)
FREE = np.array(list(TERMS.values()), bool)
EXPONENTIAL = np.array(["exponential" in name for name in TERMS])
CANDIDATES = {
    "aicc": ("linear and step", "exponential and step"),
    "reduced": ("none", "constant", "linear", "parabola"),
}
VETOES = {
    1: "no convergence",
    2: "weaker than 5 sigma above its background",
    4: "position outside the middle of the window",
    8: "width far from the expected one",
    16: "position error above a quarter of the width",
    32: "window narrower than 2.5 sigma to a side",
    64: "shape not a Gaussian: chi2/nu above 5 and residuals above 5 % of the amplitude",
}
NARROWEST = 2.5
WIDTH_RANGE = 1.8
PRIOR = 0.25
PIN = 1e6
STEPS = 60
TOLERANCE = 1e-6
BATCH = 256


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Window:
    """Data of one window of a spectrum; with a leading axis, of many.

    channel: (W,). value: (W,) cnt/s, or counts for the Poisson statistic. error: (W,) of the value, infinite outside
    the window. known: (W,) counts of a quiet stack that ``value`` lacks. middle, half, expected_sigma: () channels.
    inflation: () factor on variances for the noise of the quiet stack.
    """

    channel: fit.Array
    value: fit.Array
    error: fit.Array
    known: fit.Array
    middle: fit.Array
    half: fit.Array
    expected_sigma: fit.Array
    inflation: fit.Array


def smooth_background(parameters: Float[Array, "7"], window: Window, background: Scalar) -> Float[Array, " W"]:
    """The background of `line_model` alone."""
    position, sigma, terms = parameters[1], parameters[2], parameters[3:]
    u = (window.channel - window.middle) / window.half
    polynomial = terms[0] + terms[1] * u + terms[2] * u**2
    exponential = terms[0] * jnp.exp(jnp.clip(terms[1] * u, -50.0, 50.0))
    step = terms[3] * 0.5 * erfc((window.channel - position) / (np.sqrt(2.0) * sigma))
    return jnp.where(jnp.asarray(EXPONENTIAL)[background], exponential, polynomial) + step


def line_model(parameters: Float[Array, "7"], window: Window, background: Scalar) -> Float[Array, " W"]:
    """Gaussian on a background at the channels of ``window``, per channel.

    parameters: amplitude, position, sigma, and the background's t0 to t3: with u = (x - middle) / half it is
    t0 + t1 u + t2 u^2, or t0 exp(t1 u), plus t3 erfc((x - position) / (sqrt(2) sigma)) / 2. background: its place in
    `BACKGROUNDS`.
    """
    shape = jnp.exp(-0.5 * ((window.channel - parameters[1]) / parameters[2]) ** 2)
    return parameters[0] * shape + smooth_background(parameters, window, background)


def first_guess(window: Window, background: Scalar, size: Scalar) -> Float[Array, "7"]:
    """Parameters to start from: the background by the window's ends, the line where it stands highest above it."""
    x, y, middle, half, width = window.channel, window.value, window.middle, window.half, window.expected_sigma
    inside = jnp.isfinite(window.error)
    u = (x - middle) / half

    def level(chosen):
        many = jnp.maximum(jnp.sum(chosen, dtype=y.dtype), 1.0)
        return jnp.sum(jnp.where(chosen, y, 0.0)) / many

    low, high = level(inside & (u < -0.7)), level(inside & (u > 0.7))
    floor = 1e-3 * size
    ratio = jnp.log(jnp.maximum(high, floor) / jnp.maximum(low, floor)) / 1.7
    mean, slope = 0.5 * (low + high), (high - low) / 1.7
    zero = jnp.zeros_like(mean)
    exponential = jnp.stack([jnp.maximum(jnp.sqrt(jnp.maximum(low * high, 0.0)), floor), ratio, zero, zero])
    polynomial = jnp.stack([mean, slope, zero, zero])
    terms = jnp.where(jnp.asarray(EXPONENTIAL)[background], exponential, polynomial)
    terms = jnp.where(jnp.asarray(FREE)[background], terms, 0.0)
    start = jnp.concatenate([jnp.stack([zero, middle, width]), terms])
    rest = jnp.where(inside, y - smooth_background(start, window, background), 0.0)
    kernel = jnp.where(inside[:, None], jnp.exp(-0.5 * ((x[:, None] - x[None, :]) / width) ** 2), 0.0)
    near = inside & (jnp.abs(u) < 0.5)
    place = jnp.argmax(jnp.where(near, kernel.T @ rest, -jnp.inf))
    height = kernel[:, place] @ rest / jnp.sum(kernel[:, place] ** 2)
    return start.at[0].set(jnp.maximum(height, 1e-3 * size)).at[1].set(x[place])


def fit_line(background: Scalar, poisson: bool, window: Window, spread: Scalar) -> tuple[fit.Fit, Scalar]:
    """Fit of one window with one background: its parameters (see `line_model`), and the degrees of freedom nu.

    background: its place in `BACKGROUNDS`; the terms that it does not have are pinned to zero, so that all backgrounds
    are one batch. poisson: values and ``window.known`` are counts, and errors only a mask. spread: relative width of a
    Gaussian prior on the logarithm of sigma, around the expected one. Bounds: the position stays in the window, sigma
    between 1/4 and 4 of the expected one.
    """
    y, middle, half = window.value, window.middle, window.half
    inside = jnp.isfinite(window.error)
    free = jnp.asarray(FREE)[background]
    size = jnp.max(jnp.where(inside, jnp.abs(y), 0.0)) + 1e-30
    units = jnp.where(jnp.asarray(EXPONENTIAL)[background] & (jnp.arange(4) == 1), 1.0, size)

    guess = first_guess(window, background, size)

    def physical(u):
        position = middle + half * jnp.tanh(u[1])
        width = window.expected_sigma * jnp.exp(jnp.log(4.0) * jnp.tanh(u[2]))
        return jnp.concatenate([size * u[:1], jnp.stack([position, width]), units * u[3:]])

    def residuals(p, _):
        model = line_model(p, window, background)
        if poisson:
            expected = jnp.maximum(model + window.known, 1e-6 * size)
            rest = jnp.where(inside, fit.poisson_residuals(y + window.known, expected), 0.0)
        else:
            rest = jnp.where(inside, (model - y) / window.error, 0.0)
        pins = jnp.where(free, 0.0, PIN * p[3:] / units)
        return jnp.concatenate([rest, jnp.log(p[2:3] / window.expected_sigma) / spread, pins])

    start = jnp.concatenate([guess[:1] / size, jnp.zeros(2, y.dtype), guess[3:] / units])
    start = start.at[1].set(jnp.arctanh(jnp.clip((guess[1] - middle) / half, -0.9, 0.9)))
    points = fit.count_points(window.error)
    best = fit.least_squares(lambda u, _: residuals(physical(u), _), start, None, points, STEPS, TOLERANCE)
    parameters = physical(best.parameters)
    covariance = fit.covariance_of(jax.jacfwd(residuals)(parameters, None))
    chi_square = best.chi_square - (jnp.log(parameters[2] / window.expected_sigma) / spread) ** 2
    good = best.converged & jnp.all(jnp.isfinite(covariance))
    degrees = best.points - (3.0 + jnp.sum(free, dtype=y.dtype))
    line = fit.Fit(parameters, covariance * window.inflation, chi_square, best.points, good)
    reduced, chance = chi_square / degrees, jnp.sqrt(2.0 / jnp.maximum(degrees, 1.0))
    return fit.with_covariance(line, jnp.where(reduced > 1.0 + 2.0 * chance, reduced, 1.0)), degrees


def vetoes(line: fit.Fit, degrees: Scalar, window: Window, background: Scalar) -> Int[Array, ""]:
    """The sum of the `VETOES` that the fit of a window with a background fails. degrees: nu."""
    amplitude, position, width = line.parameters[0], line.parameters[1], line.parameters[2]
    error = line.errors
    distance = jnp.abs(position - window.middle)
    ratio = width / window.expected_sigma
    rest = jnp.where(jnp.isfinite(window.error), window.value - line_model(line.parameters, window, background), 0.0)
    shape = jnp.exp(-0.5 * ((window.channel - position) / width) ** 2)
    weight = 1.0 / window.error**2
    rough = jnp.sqrt(jnp.sum(rest**2) / line.points) > 0.05 * amplitude
    tests = (
        ~line.converged,
        ~((amplitude * jnp.sqrt(jnp.sum(weight * shape**2)) > 5) & (amplitude > 2 * error[0])),
        ~(distance < 0.5 * window.half),
        ~((ratio < WIDTH_RANGE) & (ratio > 1 / WIDTH_RANGE)),
        ~(error[1] < 0.25 * FWHM_PER_SIGMA * width),
        ~((window.half >= NARROWEST * width) & (window.half - distance >= width)),
        (line.chi_square > 5.0 * degrees) & rough,
    )
    return jnp.sum(jnp.where(jnp.stack(tests), jnp.array(list(VETOES)), 0))


@partial(jax.jit, static_argnames="poisson")
def fit_windows(poisson, backgrounds, windows, spread):
    """Fits of windows, each with its background: parameters and errors (b, 7); chi2, nu, AICc, vetoes (b,).

    They are done in batches, each of which ends with its slowest fit.
    """

    def one(background, window):
        line, degrees = fit_line(background, poisson, window, spread)
        criterion = fit.aicc(line.chi_square, line.points, line.points - degrees)
        verdict = vetoes(line, degrees, window, background)
        return line.parameters, line.errors, line.chi_square, degrees, criterion, verdict

    rows = backgrounds.size
    shape = (-1, min(rows, BATCH))
    parts = jax.tree.map(lambda a: a.reshape(*shape, *a.shape[1:]), (backgrounds, windows))
    results = jax.lax.map(lambda part: jax.vmap(one)(*part), parts)
    return jax.tree.map(lambda a: a.reshape(rows, *a.shape[2:]), results)


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
    gross = np.where(outside, 0.0, np.maximum(y + known, 1.0)).sum(-1)
    noise = np.where(outside, 0.0, sigma**2).sum(-1) / gross if poisson else np.ones(y.shape[:2])
    rows = len(flat[0]) * len(windows)
    place = np.resize(np.repeat(np.arange(rows), models), padded(rows * models))
    each = place % len(windows)
    middle, half = windows.mean(1), 0.5 * np.ptp(windows, axis=1)
    sigma = np.where(outside, np.inf, sigma)
    value, sigma, known = (a.reshape(-1, width)[place] for a in (y, sigma, known))
    inflation = np.maximum(noise, 1.0).reshape(-1)[place]
    return Window(x[each], value, sigma, known, middle[each], half[each], expected[each], inflation)


def combined(
    parameters: Float[np.ndarray, "b M 7"], errors: Float[np.ndarray, "b M 7"], score: Float[np.ndarray, "b M"]
) -> tuple[Float[np.ndarray, "b 3"], Float[np.ndarray, "b 3"]]:
    """Amplitude, position and sigma averaged over the models by Akaike weight, and their errors.

    The variance is the weighted mean of the models' variances and squared distances from the average (Burnham and
    Anderson, Model Selection, 2002, section 4.3). score: AICc, infinite for a model that does not count.
    """
    lowest = np.min(score, 1, keepdims=True)
    weight = np.exp(-0.5 * (score - np.where(np.isfinite(lowest), lowest, 0.0)))[..., None]
    weight = weight / np.maximum(weight.sum(1, keepdims=True), 1e-300)
    values = np.where(weight > 0, parameters[..., :3], 0.0)
    spread = np.where(weight > 0, errors[..., :3], 0.0)
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
    first that can be. selection: "aicc" averages over the ``backgrounds`` by Akaike weight; "reduced", the paper's,
    keeps that of the lowest reduced chi-square. backgrounds: names of `BACKGROUNDS`; by default `CANDIDATES` of the
    selection.

    Returns over (..., line) `position`, `sigma`, `amplitude` (cnt/s) and their `_error`, `background`, its `terms`,
    `reduced_chi_square`, `veto` (0, or why no model passed), and over `model` all `positions` and `vetoes_of`.
    Raises ValueError for unusable windows or options.
    """
    exposure = exposure_of(stacks)
    statistic = statistic or ("chi2" if exposure is None else "poisson")
    if statistic not in ("chi2", "poisson"):
        raise ValueError(f'`statistic` must be "chi2" or "poisson", but is {shown(statistic)}')
    if selection not in CANDIDATES:
        raise ValueError(f'`selection` must be "reduced" or "aicc", but is {shown(selection)}')
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
    score = np.where(counts, criterion if selection == "aicc" else reduced, np.inf)
    row = np.arange(rows)
    passed = np.isfinite(score).any(1)
    best = np.where(passed, np.argmin(score, 1), np.argmin(veto, 1))
    if selection == "reduced":
        score = np.where(np.arange(len(names)) == best[:, None], score, np.inf)
    values, value_errors = combined(parameters, errors, score)
    dims = (*lead, "line")

    def chosen(values, units, long_name):
        return variable(dims, np.where(passed, values, np.nan).reshape(shape), units, long_name)

    meaning = ", ".join(f"{bit}: {text}" for bit, text in VETOES.items())
    out = {}
    for k, (name, units) in enumerate((("amplitude", "count/s"), ("position", "ADU"), ("sigma", "ADU"))):
        unit_scale = scale if k == 0 else 1.0
        out[name] = chosen(values[:, k] / unit_scale, units, f"{name} of the line")
        out[f"{name}_error"] = chosen(value_errors[:, k] / unit_scale, units, f"error of the {name}")
    kept = np.where(passed, np.array(names)[best], "").astype(object)
    out["background"] = variable(dims, kept.reshape(shape), "1", "background of the highest weight")
    terms = parameters[row, best, 3:].copy()
    exponential = EXPONENTIAL[places[best]]
    per_second = np.where(exponential[:, None] & (np.arange(4) == 1), 1.0, np.reshape(scale, (-1, 1)))
    out["terms"] = variable(
        (*dims, "term"), (terms / per_second).reshape(*shape, 4), "count/s", "background terms of `line_model`"
    )
    out["reduced_chi_square"] = chosen(reduced[row, best], "1", "chi-square over degrees of freedom")
    out["veto"] = variable(dims, np.where(passed, 0, veto[row, best]).reshape(shape), "1", f"bits {meaning}")
    out["positions"] = variable(
        (*dims, "model"), parameters[:, :, 1].reshape(*shape, len(names)), "ADU", "position under every background"
    )
    out["vetoes_of"] = variable((*dims, "model"), veto.reshape(*shape, len(names)), "1", "vetoes of every background")
    out["window"] = variable(("line", "edge"), windows, "ADU", "first and last channel")
    coords = {"model": variable("model", names, "1", "background model")}
    return xr.Dataset(out, coords, {**stacks.attrs, "statistic": statistic, "selection": selection})
