"""A Poisson likelihood of natural lines maximised, for one spectrum or many: starts, bounds, errors, goodness.

Errors are those of the curvature of the likelihood at its maximum (Fisher's information of the expected counts).
A parameter that leaves its bounds is put there, and the others are fitted again.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float
from scipy import optimize, stats

from xcal_jax.fit import double_precision, inverse, least_squares, poisson_residuals
from xcal_jax.response.natural_shape import SCALE, NaturalShape

TOGETHER = 16  # spectra, whose fits are stepped together
FLOOR = 1e-9  # counts that every channel expects at least
RISES = 0.6, 1.6  # of the deviance at one error, within which a likelihood passes for normal
TRIALS = 10  # widths that are tried for a start
QUIET = 20  # percentile of the counts that is taken for the background in a start
MANY = 100.0  # counts of a channel, above which the deviance has its asymptotic mean and variance
LIMITS = {"fwhm": (1e-3, np.inf), "tail_frac": (0.0, 1.0), "tail_tau": (1e-3, np.inf), "background": (0.0, np.inf)}
FREE = {"offset", "gain", "curvature", "fwhm_slope", "slope"}  # that may have either sign
Table = Float[np.ndarray, "B T"]


class Maximum(NamedTuple):
    """B fits. values, errors: (B, T) of all parameters; covariance: (B, T, T); deviance, converged: (B,);
    model: (B, C) expected counts; bound: (B, T), whether a parameter was put on a bound; normal: (B, T), whether the
    likelihood falls about as a normal one within one error to both sides.
    """

    values: np.ndarray
    errors: np.ndarray
    covariance: np.ndarray
    deviance: np.ndarray
    converged: np.ndarray
    model: np.ndarray
    bound: np.ndarray
    normal: np.ndarray


def limits(parameters: Sequence[str]) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """The least and the largest value that each of the ``parameters`` may have."""
    ends = [LIMITS.get(name, (-np.inf if name in FREE else 0.0, np.inf)) for name in parameters]
    least, most = np.array(ends).T
    return least, most


def maximise(
    shape: NaturalShape,
    counts: Float[np.ndarray, "B C"],
    start: Table,
    free: Bool[np.ndarray, " T"],
    shared: Bool[np.ndarray, " T"] | None = None,
    held: Bool[np.ndarray, "B T"] | None = None,
) -> Maximum:
    """The fits of the parameters that are ``free`` to each row of ``counts``.

    shared: those of which all rows have one value, begun at the median of theirs. With them the rows are one fit.
    held: those that stay where a row starts.
    """
    least, most = limits(shape.parameters)
    held = np.zeros(start.shape, bool) if held is None else held
    chosen = np.flatnonzero(free)
    together = np.zeros(free.shape, bool) if shared is None else shared & free
    groups = (1, len(counts)) if together.any() else (len(counts), 1)
    start = np.where(together, np.median(start, axis=0), start)
    for _ in range(int(free.sum())):
        with double_precision():
            arrays = (jnp.asarray(part).reshape(*groups, -1) for part in (counts.astype(float), start, held))
            many = _maximise(shape, *arrays, free=tuple(chosen.tolist()), shared=tuple(together[chosen].tolist()))
            found = [np.asarray(part).reshape(len(counts), *part.shape[2:]) for part in many]
        values, covariance, deviance, converged, model, moves = found
        out = ((values < least) | (values > most)) & free & ~held
        if not out.any():
            break
        start = np.where(out, np.clip(values, least, most), start)
        held = held | out
        lost = out[:, shape.parameters.index("tail_frac")]  # without a tail its scale is not known
        held[lost, shape.parameters.index("tail_tau")] |= free[shape.parameters.index("tail_tau")]
        held = np.where(together, held.all(axis=0), held)
    errors = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
    normal = np.ones(held.shape, bool)
    normal[:, chosen] = _as_normal(counts, model, moves)
    normal &= (held | ~free) | ((values - errors >= least) & (values + errors <= most))
    return Maximum(values, np.where(held, np.nan, errors), covariance, deviance, converged, model, held, normal)


def _as_normal(
    counts: Float[np.ndarray, "B C"], model: Float[np.ndarray, "B C"], moves: Float[np.ndarray, "B F C"]
) -> Bool[np.ndarray, "B F"]:
    """Whether the deviance rises by about one where each parameter, with the others following, moves by its error.

    moves: change of the ``model`` by one error of each parameter, in which it is taken to be linear; zero for one that
    is held.
    """
    good = np.ones(moves.shape[:2], bool)
    for sign in (1.0, -1.0):
        ratio = sign * moves / model[:, None]
        logarithm = np.log1p(np.maximum(ratio, -1.0 + 1e-12)) * counts[:, None]
        rise = 2.0 * np.sum(sign * moves - logarithm, axis=2)
        good &= (rise > RISES[0]) & (rise < RISES[1]) | ~moves.any(axis=2)
    return good


@partial(jax.jit, static_argnames=("free", "shared"))
def _maximise(
    shape: NaturalShape, counts: Array, start: Array, held: Array, free: tuple[int, ...], shared: tuple[bool, ...]
):
    """(values, covariance, deviance, converged, model, moves) of each spectrum; those ``held`` stay where they start.

    counts: (N, G, C), N groups of G spectra. shared: whether each of the ``free`` has one value in a group. moves:
    (N, G, F, C), by which the model changes with one error of each of the ``free``.
    """
    spectra = counts.shape[1]
    place = jnp.array(free)
    fresh = np.ones((spectra, len(free)), bool)
    fresh[1:, list(shared)] = False
    number = np.cumsum(fresh).reshape(fresh.shape) - 1  # of the unknown that each value is
    number = np.where(shared, number[0], number)
    unknown = int(fresh.sum())

    def one(counts: Array, start: Array, held: Array):
        stay = jnp.zeros(unknown).at[number].set(held[:, place].astype(float))

        def moved(step):
            return start.at[:, place].add(step[number])

        def model(values):
            return jnp.maximum(jax.vmap(shape.expected)(values), FLOOR)

        slope = jax.jacfwd(lambda step: model(moved(step)))(jnp.zeros(unknown))
        information = jnp.sum(slope**2 / model(start)[..., None], axis=(0, 1))
        scale = jnp.where(information > 0.0, information**-0.5, 0.0) * (1.0 - stay)

        def residuals(q, counts):
            return jnp.concatenate([poisson_residuals(counts, model(moved(q * scale)).ravel()), q * stay])

        fit = least_squares(residuals, jnp.zeros(unknown), counts.ravel(), counts.size)
        q = fit.parameters
        expected = model(moved(q * scale))
        slope = jax.jacfwd(lambda q: model(moved(q * scale)))(q).reshape(counts.size, unknown)
        part = inverse(slope.T @ (slope / expected.ravel()[:, None]) + jnp.diag(stay))
        error = jnp.sqrt(jnp.diagonal(part))
        by_error = (slope * (1.0 - stay)[None, :]) @ (part * ((1.0 - stay) / error)[None, :])
        moves = by_error.reshape(spectra, -1, unknown)[jnp.arange(spectra)[:, None], :, number]
        part = part * scale[:, None] * scale[None, :]
        each = part[number[:, :, None], number[:, None, :]]
        whole = jnp.zeros((spectra, *start.shape[1:] * 2)).at[:, place[:, None], place].set(each)
        deviance = jnp.sum(jax.vmap(poisson_residuals)(counts, expected) ** 2, axis=1)
        converged = fit.converged & jnp.all(jnp.isfinite(part))
        return moved(q * scale), whole, deviance, jnp.full(spectra, converged), expected, moves

    return jax.lax.map(lambda row: one(*row), (counts, start, held), batch_size=TOGETHER)


def starts(
    shape: NaturalShape, counts: Float[np.ndarray, "B C"], values: Float[np.ndarray, " T"], free: Bool[np.ndarray, " T"]
) -> Table:
    """Where each fit begins: offset and FWHM from the best match of the shape, photons by non-negative least squares.

    A measured background is taken off before the match, by its least ratio to the counts where its scale is free.
    values: of what is known; the photons in it are the ratio of the lines.
    """
    many, names = len(shape.lines), shape.parameters
    fwhm, offset, flat, scale = (names.index(name) for name in ("fwhm", "offset", "background", "background_scale"))
    beneath = np.asarray(shape.beneath)
    some = beneath > 0.0
    below = np.full((len(counts), 1), values[scale])
    if free[scale]:
        below = np.percentile(counts[:, some] / beneath[some], QUIET, axis=1)[:, None]
    width = float(shape.width)
    trials = values[None]
    if np.isnan(values[fwhm]):
        trials = np.repeat(trials, TRIALS, axis=0)
        trials[:, fwhm] = np.geomspace(width, width * shape.channels / 6.0, TRIALS)
    with double_precision():
        shapes = np.asarray(_by_line(shape, jnp.asarray(trials)))
    templates = np.einsum("k,nkc->nc", values[:many], shapes)
    size = 2 * shape.channels
    spectrum = np.fft.rfft(templates / np.linalg.norm(templates, axis=1)[:, None], size).conj()
    above = counts - below * beneath
    signal = np.maximum(above - np.percentile(above, QUIET, axis=1)[:, None], 0.0)
    score = np.fft.irfft(spectrum[None] * np.fft.rfft(signal, size)[:, None], size)  # (B, trials, shifts)
    if not free[offset]:
        score = score[:, :, :1]
    trial, shift = np.unravel_index(np.argmax(score.reshape(len(counts), -1), axis=1), score.shape[1:])
    begun = trials[trial]
    begun[:, offset] += np.where(shift < shape.channels, shift, shift - size) * width * free[offset]
    with double_precision():
        shapes = np.asarray(_by_line(shape, jnp.asarray(begun)))
    for n, row in enumerate(counts):
        design = np.vstack([shapes[n], np.full(shape.channels, width), beneath * free[scale]]).T
        weight = 1.0 / np.sqrt(row + 1.0)
        found, _ = optimize.nnls(design * weight[:, None], (row - values[scale] * beneath) * weight)
        begun[n, :many] = np.maximum(found[:many], 1.0)
        if free[flat]:
            begun[n, flat] = np.maximum(found[many], 0.5 / row.size / width)
        if free[scale]:
            begun[n, scale] = np.maximum(found[many + 1], 0.5 / beneath.sum())
    return begun


def errors_alone(shape: NaturalShape, values: Table) -> Table:
    """Error of each parameter with all others known; 1 where it changes nothing."""
    with double_precision():
        return np.asarray(_errors_alone(shape, jnp.asarray(values)))


@jax.jit
@partial(jax.vmap, in_axes=(None, 0))
def _errors_alone(shape: NaturalShape, values: Float[Array, " T"]) -> Float[Array, " T"]:
    model = jnp.maximum(shape.expected(values), FLOOR)
    information = jnp.sum(jax.jacfwd(shape.expected)(values) ** 2 / model[:, None], axis=0)
    return jnp.where(information > 0.0, jnp.maximum(information, 1e-300) ** -0.5, 1.0)


@jax.jit
def _by_line(shape: NaturalShape, values: Float[Array, "N T"]) -> Float[Array, "N K C"]:
    return jax.vmap(shape.by_line)(values)


def expected_deviance(model: Float[np.ndarray, " C"]) -> tuple[float, float]:
    """Mean and variance of the Poisson deviance of counts that are drawn from ``model``, of known expectation.

    They are sums over all counts (as in Kaastra 2017, doi 10.1051/0004-6361/201629319).
    """
    few, many = model[model < MANY], model[model >= MANY]
    counts = np.arange(int(2.0 * MANY + 20))
    chance = stats.poisson.pmf(counts, few[:, None])
    logarithm = counts * np.log(np.maximum(counts, 1) / few[:, None])
    deviance = 2.0 * (few[:, None] - counts + logarithm)
    mean = np.sum(chance * deviance, axis=1)
    variance = np.sum(chance * deviance**2, axis=1) - mean**2
    return float(mean.sum() + np.sum(1.0 + 1.0 / (6.0 * many))), float(variance.sum() + 2.0 * many.size)


def first_values(shape: NaturalShape, ratio: Float[np.ndarray, " K"], known: dict[str, float]) -> np.ndarray:
    """Values of all parameters before a fit: the ``ratio`` of lines, what is ``known``, and what changes nothing."""
    nothing = dict.fromkeys(shape.parameters, 0.0) | {"gain": 1.0, "fwhm": np.nan, "tail_tau": 1.0}
    nothing |= dict(zip(shape.lines, ratio.tolist(), strict=True))
    nothing |= dict(zip(shape.physics, np.asarray(shape.origin).tolist(), strict=True)) | known
    assert set(nothing) == set(shape.parameters) and set(SCALE) <= set(nothing)
    return np.array([nothing[name] for name in shape.parameters])
