"""One spectral line in its window: a Gaussian on a smooth background, its fit, and whether the fit counts (step 4).

The background is nothing, a constant, a straight line, a parabola or a falling exponential; the straight line and the
exponential also with a step under the line (photons that scatter in or before the crystal leave less than the line's
energy). A fit counts only if it passes every veto: converged, positive at five sigma and at three of its errors,
position inside the middle of its window, a width near the expected one, a small position error, a window of at least
2.5 sigma to each side. Errors are scaled by sqrt(chi2/nu) where that exceeds one by more than chance. All windows of a
batch are fitted together.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import erfc
from jaxtyping import Float, Int, Real

from xcal_jax import fit
from xcal_jax.constants import FWHM_PER_SIGMA

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
VETOES = {
    1: "no convergence",
    2: "weaker than 5 sigma above its background, or than 3 errors",
    4: "position outside the middle of the window",
    8: "width far from the expected one",
    16: "position error above a quarter of the width",
    32: "window narrower than 2.5 sigma to a side",
    64: "shape not a Gaussian: chi2/nu above 5 and residuals above 5 % of the amplitude",
}
STEEPNESS = 3.0  # of an exponential's t1, width of its prior
NARROWEST = 2.5  # sigmas from the middle of a window to its edge, at least
WIDTH_RANGE = 1.8  # factor between sigma and the expected one, at most
PIN = 1e6  # weight of what holds the terms at zero that a background does not have
STEPS = 60  # of Levenberg-Marquardt, at most
TOLERANCE = 1e-6  # relative, where it ends
BATCH = 256  # fits at once: a batch ends with its slowest


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Window:
    """Data of one window of a spectrum; with a leading axis, of many.

    channel: (W,). value: (W,) cnt/s, or counts for the Poisson statistic. error: (W,) of the value, infinite outside
    the window. known: (W,) counts of a quiet stack that ``value`` lacks. middle, half, expected_sigma: () channels.
    inflation: () variance of the value over its own Poisson variance, which the noise of the quiet stack raises: the
    mean over the window.
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
    Gaussian prior on the logarithm of sigma, around the expected one. An exponential has one on t1, of `STEEPNESS`:
    without it one of no height would run up the noise at an end of the window. Bounds: the position stays in the
    window, sigma between 1/4 and 4 of the expected one.
    """
    y, middle, half = window.value, window.middle, window.half
    inside = jnp.isfinite(window.error)
    free = jnp.asarray(FREE)[background]
    size = jnp.max(jnp.where(inside, jnp.abs(y), 0.0)) + 1e-30
    exponential = jnp.asarray(EXPONENTIAL)[background]
    units = jnp.where(exponential & (jnp.arange(4) == 1), 1.0, size)

    guess = first_guess(window, background, size)

    def physical(u):
        position = middle + half * jnp.tanh(u[1])
        width = window.expected_sigma * jnp.exp(jnp.log(4.0) * jnp.tanh(u[2]))
        return jnp.concatenate([size * u[:1], jnp.stack([position, width]), units * u[3:]])

    def priors(p):
        steepness = jnp.where(exponential, p[4] / STEEPNESS, 0.0)
        return jnp.stack([jnp.log(p[2] / window.expected_sigma) / spread, steepness])

    def residuals(p, _):
        model = line_model(p, window, background)
        if poisson:
            expected = jnp.maximum(model + window.known, 1e-6 * size)
            rest = jnp.where(inside, fit.poisson_residuals(y + window.known, expected), 0.0)
        else:
            rest = jnp.where(inside, (model - y) / window.error, 0.0)
        pins = jnp.where(free, 0.0, PIN * p[3:] / units)
        return jnp.concatenate([rest, priors(p), pins])

    start = jnp.concatenate([guess[:1] / size, jnp.zeros(2, y.dtype), guess[3:] / units])
    start = start.at[1].set(jnp.arctanh(jnp.clip((guess[1] - middle) / half, -0.9, 0.9)))
    points = fit.count_points(window.error)
    best = fit.least_squares(lambda u, _: residuals(physical(u), _), start, None, points, STEPS, TOLERANCE)
    parameters = physical(best.parameters)
    covariance = fit.covariance_of(jax.jacfwd(residuals)(parameters, None))
    chi_square = (best.chi_square - jnp.sum(priors(parameters) ** 2)) / window.inflation
    good = best.converged & jnp.all(jnp.isfinite(covariance))
    degrees = best.points - (3.0 + jnp.sum(free, dtype=y.dtype))
    line = fit.Fit(parameters, covariance * window.inflation, chi_square, best.points, good)
    return fit.with_covariance(line, fit.excess(chi_square / degrees, degrees)), degrees


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
        ~((amplitude * jnp.sqrt(jnp.sum(weight * shape**2)) > 5) & (amplitude > 3 * error[0])),
        ~(distance < 0.5 * window.half),
        ~((ratio < WIDTH_RANGE) & (ratio > 1 / WIDTH_RANGE)),
        ~(error[1] < 0.25 * FWHM_PER_SIGMA * width),
        ~((window.half >= NARROWEST * width) & (window.half - distance >= width)),
        (line.chi_square > 5.0 * degrees) & rough,
    )
    return jnp.sum(jnp.where(jnp.stack(tests), jnp.array(list(VETOES)), 0))


def area_of(line: fit.Fit) -> tuple[Scalar, Scalar]:
    """Area of a fitted line, in the value's unit times channels, and its error."""

    def area(p):
        return jnp.sqrt(2.0 * jnp.pi) * p[0] * p[2]

    slopes = jax.grad(area)(line.parameters)
    return area(line.parameters), jnp.sqrt(slopes @ line.covariance @ slopes)


@partial(jax.jit, static_argnames="poisson")
def fit_windows(poisson, backgrounds, windows, spread):
    """Fits of windows, each with its background: parameters and errors (b, 8); chi2, nu, AICc, vetoes (b,).

    The eighth parameter is the area of the line, sqrt(2 pi) times amplitude and sigma, which go together in its error.

    They are done in batches, each of which ends with its slowest fit.
    """

    def one(background, window):
        line, degrees = fit_line(background, poisson, window, spread)
        criterion = fit.aicc(line.chi_square, line.points, line.points - degrees)
        verdict = vetoes(line, degrees, window, background)
        area, area_error = area_of(line)
        parameters, errors = jnp.append(line.parameters, area), jnp.append(line.errors, area_error)
        return parameters, errors, line.chi_square, degrees, criterion, verdict

    rows = backgrounds.size
    shape = (-1, min(rows, BATCH))
    parts = jax.tree.map(lambda a: a.reshape(*shape, *a.shape[1:]), (backgrounds, windows))
    results = jax.lax.map(lambda part: jax.vmap(one)(*part), parts)
    return jax.tree.map(lambda a: a.reshape(rows, *a.shape[2:]), results)
