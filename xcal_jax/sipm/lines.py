"""Spectral lines: a Gaussian on one of four backgrounds, that of the lowest reduced chi-square (step 4).

The rule alone is fragile, so a fit counts only if it passes every veto: converged, positive at five sigma, position
inside the middle of its window, a width near the expected one, a small position error, a window of at least 2.5 sigma
to each side. Errors are scaled by sqrt(chi2/nu) where that exceeds one. The windows of one batch are fitted together
under `vmap`. A window that no model passes is flagged and has no position.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jaxtyping import Float, Int, Real
from numpy.typing import ArrayLike

from xcal_jax import fit
from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.units import shown

Scalar = Real[Array, ""]
BACKGROUNDS = ("none", "constant", "linear", "parabola")
VETOES = {
    1: "no convergence",
    2: "weaker than 5 sigma",
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


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Window:
    """Data of one window of a spectrum; with a leading axis, of many.

    channel: (W,). value: (W,) cnt/s, or counts for the Poisson statistic. error: (W,) of the value, infinite outside
    the window. middle, half, expected_sigma: () channels.
    """

    channel: fit.Array
    value: fit.Array
    error: fit.Array
    middle: fit.Array
    half: fit.Array
    expected_sigma: fit.Array


def line_model(parameters: Float[Array, "6"], window: Window) -> Float[Array, " W"]:
    """Gaussian on a polynomial at the channels of ``window``, per channel.

    parameters: amplitude, position, sigma, and the background's three terms in u = (x - middle) / half.
    """
    amplitude, position, sigma = parameters[0], parameters[1], parameters[2]
    u = (window.channel - window.middle) / window.half
    smooth = parameters[3] + parameters[4] * u + parameters[5] * u**2
    return amplitude * jnp.exp(-0.5 * ((window.channel - position) / sigma) ** 2) + smooth


def fit_line(background: Scalar, poisson: bool, window: Window, spread: Scalar) -> tuple[fit.Fit, Scalar]:
    """Fit of one window with one background: its parameters (see `line_model`), and the degrees of freedom nu.

    background: how many of its terms are free; the others are pinned to zero, so that all four backgrounds are one
    batch. poisson: values are counts, and errors only a mask. spread: relative width of a Gaussian prior on the
    logarithm of sigma, around the expected one. Bounds: the position stays in the window, sigma between 1/4 and 4 of
    the expected one.
    """
    x, y, middle, half = window.channel, window.value, window.middle, window.half
    inside = jnp.isfinite(window.error)
    pinned = jnp.arange(3.0) >= background
    size = jnp.max(jnp.where(inside, jnp.abs(y), 0.0)) + 1e-30

    def physical(u):
        position = middle + half * jnp.tanh(u[1])
        width = window.expected_sigma * jnp.exp(jnp.log(4.0) * jnp.tanh(u[2]))
        return jnp.concatenate([size * u[:1], jnp.stack([position, width]), size * u[3:]])

    def residuals(p, _):
        model = line_model(p, window)
        if poisson:
            rest = jnp.where(inside, fit.poisson_residuals(y, jnp.maximum(model, 1e-6 * size)), 0.0)
        else:
            rest = jnp.where(inside, (model - y) / window.error, 0.0)
        pins = jnp.where(pinned, PIN * p[3:] / size, 0.0)
        return jnp.concatenate([rest, jnp.log(p[2:3] / window.expected_sigma) / spread, pins])

    edge = jnp.min(jnp.where(inside, y, jnp.inf))
    rest = jnp.where(inside, jnp.maximum(y - edge, 0.0), 0.0)
    near = rest * jnp.exp(-0.5 * ((x - middle) / (0.5 * half)) ** 2)
    centre = jnp.sum(near * x) / jnp.maximum(jnp.sum(near), 1e-30)
    start = jnp.zeros(6, x.dtype)
    start = start.at[0].set(jnp.where(background > 0, 1.0 - edge / size, 1.0))
    start = start.at[1].set(jnp.arctanh(jnp.clip((centre - middle) / half, -0.9, 0.9)))
    start = start.at[3].set(jnp.where(background > 0, jnp.maximum(edge / size, 0.0), 0.0))
    points = fit.count_points(window.error)
    free = fit.least_squares(lambda u, _: residuals(physical(u), _), start, None, points, 100)
    parameters = physical(free.parameters)
    covariance = fit.covariance_of(jax.jacfwd(residuals)(parameters, None))
    chi_square = free.chi_square - (jnp.log(parameters[2] / window.expected_sigma) / spread) ** 2
    good = free.converged & jnp.all(jnp.isfinite(covariance))
    degrees = free.points - (3.0 + background)
    line = fit.Fit(parameters, covariance, chi_square, free.points, good)
    return fit.with_covariance(line, jnp.maximum(chi_square / degrees, 1.0)), degrees


def vetoes(line: fit.Fit, degrees: Scalar, window: Window) -> Int[Array, ""]:
    """The sum of the `VETOES` that the fit of a window fails. degrees: nu."""
    amplitude, position, width = line.parameters[0], line.parameters[1], line.parameters[2]
    error = line.errors
    distance = jnp.abs(position - window.middle)
    ratio = width / window.expected_sigma
    rest = jnp.where(jnp.isfinite(window.error), window.value - line_model(line.parameters, window), 0.0)
    rough = jnp.sqrt(jnp.sum(rest**2) / line.points) > 0.05 * amplitude
    tests = (
        ~line.converged,
        ~(amplitude > 5 * error[0]),
        ~(distance < 0.5 * window.half),
        ~((ratio < WIDTH_RANGE) & (ratio > 1 / WIDTH_RANGE)),
        ~(error[1] < 0.25 * FWHM_PER_SIGMA * width),
        ~((window.half >= NARROWEST * width) & (window.half - distance >= width)),
        (line.chi_square > 5.0 * degrees) & rough,
    )
    return jnp.sum(jnp.where(jnp.stack(tests), jnp.array(list(VETOES)), 0))


@partial(jax.jit, static_argnames="poisson")
@partial(jax.vmap, in_axes=(None, 0, None))
def fit_windows(poisson, windows, spread):
    """Fits of all four backgrounds in each window: parameters and errors (b, 4, 6); chi2, nu, AICc, vetoes (b, 4)."""

    def one(background):
        line, degrees = fit_line(background, poisson, windows, spread)
        return line.parameters, line.errors, line.chi_square, degrees, vetoes(line, degrees, windows)

    parameters, errors, chi_square, degrees, verdict = jax.vmap(one)(jnp.arange(4.0))
    criterion = jnp.stack([fit.aicc(chi_square[k], degrees[k] + (3.0 + k), 3 + k) for k in range(len(BACKGROUNDS))])
    return parameters, errors, chi_square, degrees, criterion, verdict


def check_windows(
    windows: ArrayLike | Sequence, channels: int, fwhm: ArrayLike | Sequence | None
) -> tuple[Float[np.ndarray, "b 2"], Float[np.ndarray, " b"]]:
    """Windows and expected sigmas in channels: from the FWHM, or a third of the half-window.

    Raises ValueError for a window outside the spectrum, with fewer than 8 channels, or an FWHM not positive.
    """
    windows = np.atleast_2d(np.asarray(windows, float))
    for low, high in windows:
        if not (1 <= low < high <= channels):
            raise ValueError(f"`windows` must lie within channels 1 to {channels}, but one is {low:g}-{high:g}")
        if high - low < 7:
            raise ValueError(f"`windows` must hold at least 8 channels, but one is {low:g}-{high:g}")
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


@checked
def fit_lines(
    stacks: xr.Dataset,
    windows: ArrayLike,
    fwhm: ArrayLike | None = None,
    statistic: str = "chi2",
    selection: str = "reduced",
    prior: float = PRIOR,
) -> xr.Dataset:
    """One line in each window of each spectrum, all fitted in one batch.

    stacks: `rate` and `rate_error`, cnt/s, (channel,) or (..., channel), as `spectra.stack` gives. windows: first and
    last channel, (b, 2). fwhm: expected channels, one or (b,), else from the window (three sigma a side), with a prior
    of relative width ``prior``. statistic: "chi2", or "poisson" for a stack whose rate x exposure are counts.
    selection: "reduced" (lowest reduced chi-square, the paper's) or "aicc".

    Returns over (..., line) `position`, `sigma`, `amplitude` (cnt/s) and their `_error`, `background`,
    `reduced_chi_square`, `veto` (0, or why no model passed), and over `model` all `positions` and `vetoes_of`.
    Raises ValueError for unusable windows or options.
    """
    if statistic not in ("chi2", "poisson"):
        raise ValueError(f'`statistic` must be "chi2" or "poisson", but is {shown(statistic)}')
    if selection not in ("reduced", "aicc"):
        raise ValueError(f'`selection` must be "reduced" or "aicc", but is {shown(selection)}')
    windows, expected = check_windows(windows, stacks.sizes["channel"], fwhm)
    rate, error = stacks["rate"], stacks["rate_error"]
    lead = rate.dims[:-1]
    scale = stacks.attrs.get("exposure_s") if statistic == "poisson" else 1.0
    if scale is None:
        raise ValueError("the Poisson statistic needs the stack's `exposure_s`, but it is missing")
    shape = (*rate.shape[:-1], len(windows))
    flat_rate, flat_error = rate.values.reshape(-1, rate.shape[-1]), error.values.reshape(-1, rate.shape[-1])
    width = int(-(-(np.ptp(windows, axis=1).max() + 1) // 64) * 64)
    first = np.clip(windows[:, 0].astype(int) - 1, 0, max(rate.shape[-1] - width, 0))
    column = np.minimum(first[:, None] + np.arange(width), rate.shape[-1] - 1)
    x = column + 1.0
    outside = (x < windows[:, :1]) | (x > windows[:, 1:]) | (np.diff(column, axis=1, prepend=-1) == 0)
    y = flat_rate[:, column] * scale
    sigma = np.where(outside, np.inf, flat_error[:, column] * scale)

    middle, half = windows.mean(1), 0.5 * np.ptp(windows, axis=1)
    rows = len(flat_rate) * len(windows)
    each = np.resize(np.tile(np.arange(len(windows)), len(flat_rate)), padded(rows))
    place = np.resize(np.arange(rows), padded(rows))
    with fit.double_precision():
        data = (x[each], y.reshape(-1, width)[place], sigma.reshape(-1, width)[place])
        batch = Window(*data, middle[each], half[each], expected[each])
        results = fit_windows(statistic == "poisson", batch, float(prior))
        parameters, errors, chi_square, degrees, criterion, veto = (np.asarray(r)[:rows] for r in results)
    reduced = chi_square / np.maximum(degrees, 1)
    score = np.where((veto == 0) & (degrees > 0), criterion if selection == "aicc" else reduced, np.inf)
    best = np.argmin(score, 1)
    row = np.arange(len(best))
    passed = np.isfinite(score[row, best])
    gentlest = np.argmin(veto, 1)
    best = np.where(passed, best, gentlest)
    dims = (*lead, "line")

    def chosen(values, units, long_name):
        return variable(dims, np.where(passed, values, np.nan).reshape(shape), units, long_name)

    meaning = ", ".join(f"{bit}: {text}" for bit, text in VETOES.items())
    out = {}
    for k, (name, units) in enumerate((("amplitude", "count/s"), ("position", "1"), ("sigma", "1"))):
        unit_scale = scale if k == 0 else 1.0
        out[name] = chosen(parameters[row, best, k] / unit_scale, units, f"{name} of the line")
        out[f"{name}_error"] = chosen(errors[row, best, k] / unit_scale, units, f"error of the {name}")
    names = np.where(passed, np.array(BACKGROUNDS)[best], "").astype(object)
    out["background"] = variable(dims, names.reshape(shape), "1", "background kept")
    out["terms"] = variable(
        (*dims, "term"), (parameters[row, best, 3:] / scale).reshape(*shape, 3), "count/s", "background terms"
    )
    out["reduced_chi_square"] = chosen(reduced[row, best], "1", "chi-square over degrees of freedom")
    out["veto"] = variable(dims, np.where(passed, 0, veto[row, best]).reshape(shape), "1", f"bits {meaning}")
    out["positions"] = variable(
        (*dims, "model"), parameters[:, :, 1].reshape(*shape, 4), "1", "position under every background"
    )
    out["vetoes_of"] = variable((*dims, "model"), veto.reshape(*shape, 4), "1", "vetoes of every background")
    out["window"] = variable(("line", "edge"), windows, "1", "first and last channel")
    coords = {"model": variable("model", list(BACKGROUNDS), "1", "background model")}
    return xr.Dataset(out, coords, {**stacks.attrs, "statistic": statistic, "selection": selection})
