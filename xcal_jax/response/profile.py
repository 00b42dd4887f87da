"""Intervals of parameters of natural lines by the profile likelihood, where few counts tell a parameter.

An interval holds every value at which the deviance, with all other parameters fitted again, is higher than at the
maximum by less than z^2 (Wilks 1938, doi 10.1214/aoms/1177732360). It is not symmetric, ends at a bound where the
likelihood does, and needs no normal distribution of the estimate. Roots are sought for many ends at once, as fits of
which each has one parameter held.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import norm

from xcal_jax.response.complex_fit import errors_alone, limits, maximise
from xcal_jax.response.natural_shape import NaturalShape

ROUNDS = 30  # of the search for an end, at most
NEAR = 0.02  # of z, within which a root is found
FARTHER = 3.0  # by which a step may grow
FEWEST = 8  # fits at once, at least


def profile(
    shape: NaturalShape,
    counts: Float[np.ndarray, "B C"],
    values: Float[np.ndarray, "B T"],
    deviance: Float[np.ndarray, " B"],
    free: Bool[np.ndarray, " T"],
    wanted: Int[np.ndarray, " W"],
    probability: float,
) -> Float[np.ndarray, "B W 2"]:
    """Lower and upper ends of the intervals of the ``wanted`` parameters (places among T) of each spectrum.

    values, deviance: of the fits of what is ``free``. Ends on a bound are the bound; NaN where a search does not end.
    """
    z = norm.ppf(0.5 + 0.5 * probability)
    least, most = limits(shape.parameters)
    spectrum, which, side = (part.ravel() for part in np.indices((len(counts), wanted.size, 2)))
    place, sign = wanted[which], 2.0 * side - 1.0
    best = values[spectrum, place]
    end = np.where(side == 0, least[place], most[place])
    reach = errors_alone(shape, values)[spectrum, place]
    inner, inner_rise = best.copy(), np.zeros(best.size)
    outer, outer_rise = end.copy(), np.full(best.size, np.inf)
    begin = values[spectrum].copy()
    trial = np.clip(best + sign * z * reach, *np.sort([best, end], axis=0))
    done, found = best == end, np.where(best == end, end, np.nan)
    for _ in range(ROUNDS):
        rows = np.flatnonzero(~done)
        if not rows.size:
            break
        rows = np.resize(rows, max(FEWEST, 1 << int(np.ceil(np.log2(rows.size)))))  # few shapes are ever compiled
        at, held = begin[rows], np.zeros((rows.size, values.shape[1]), bool)
        at[np.arange(rows.size), place[rows]] = trial[rows]
        held[np.arange(rows.size), place[rows]] = True
        one = maximise(shape, counts[spectrum[rows]], at, free, held=held)
        rise = np.sqrt(np.maximum(one.deviance - deviance[spectrum[rows]], 0.0))
        begin[rows] = one.values
        below = rise < z
        inner[rows], inner_rise[rows] = (
            np.where(below, trial[rows], inner[rows]),
            np.where(below, rise, inner_rise[rows]),
        )
        outer[rows], outer_rise[rows] = (
            np.where(below, outer[rows], trial[rows]),
            np.where(below, outer_rise[rows], rise),
        )
        ended = (np.abs(rise - z) < NEAR * z) | (below & (trial[rows] == end[rows]))
        found[rows] = np.where(ended, trial[rows], found[rows])
        done[rows] = ended
        step = np.abs(trial - best)
        grown = best + sign * np.clip(step * z / np.maximum(inner_rise, 1e-9), 1.1 * step, FARTHER * step)
        share = (z - inner_rise) / np.maximum(outer_rise - inner_rise, 1e-12)
        between = inner + np.clip(share, 0.05, 0.95) * (outer - inner)
        bracketed = np.isfinite(outer_rise)
        trial = np.where(bracketed, between, np.where(sign > 0, np.minimum(grown, end), np.maximum(grown, end)))
    return found.reshape(len(counts), wanted.size, 2)
