"""The posterior of the parameters of natural lines, drawn by an ensemble of walkers that numpyro moves.

Priors are flat between the bounds of `complex_fit.limits`, and the scale of a tail is at most the width of the
spectrum: a fraction of zero would leave it without a proper posterior. Where counts are many and bounds are far, the
posterior is the normal distribution of the curvature. Near a bound it is not: the fit puts a parameter there and holds
it, while draws keep the distance that the counts allow, so that the errors of the others hold its error too.

Walkers move by differential evolution (Nelson et al. 2014, doi 10.1088/0067-0049/210/1/11), one of the moves of emcee:
scales and correlations make no difference to it. It needs no derivatives: the program of the No-U-Turn sampler has the
gradient many times over, and takes four times as long to compile.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jaxtyping import Float

from xcal_jax.fit import double_precision
from xcal_jax.io.datasets import variable
from xcal_jax.response.complex_fit import FLOOR, errors_alone, limits
from xcal_jax.response.natural_shape import NaturalShape

WITHIN = (0.158655, 0.841345)  # quantiles at one standard deviation of a normal distribution
WALKERS = 4  # to a parameter, at least; they must be even
FEWEST = 32
NEAREST = 0.1  # of a unit to its bound, and of an interval to its ends, where a walker begins
Values = Float[np.ndarray, " T"]


def posterior(
    shape: NaturalShape,
    counts: Float[np.ndarray, " C"],
    found: Values,
    free: tuple[str, ...],
    units: tuple[str, ...],
    n: int,
    seed: int,
) -> xr.Dataset:
    """``n`` draws by each walker of the parameters that are ``free``, after as many to warm up.

    found: all parameters at the maximum of the likelihood, about which the walkers begin; units: of those that are
    free. The Dataset has the draws (walker, draw, parameter), and of each parameter the mean, the standard deviation
    ``error``, the ends ``low`` and ``high`` of the central 68.3 %, the covariance, `r_hat` (1 where the walkers agree)
    and how many independent draws they amount to.
    """
    from numpyro import diagnostics
    from numpyro.distributions import biject_to
    from numpyro.infer import AIES, MCMC

    place = np.array([shape.parameters.index(name) for name in free])
    least, most = (end[place] for end in limits(shape.parameters))
    most = np.where(np.array(free) == "tail_tau", float(shape.width) * shape.channels, most)
    walkers = max(FEWEST, WALKERS * len(free))
    with double_precision():
        start = jnp.asarray(found)
        step = errors_alone(shape, found[None])[0, place]
        origin = np.where(np.isfinite(least), least, found[place])
        ends = tuple(((least - origin) / step).tolist()), tuple(((most - origin) / step).tolist())
        first = (found[place] - origin) / step + np.random.default_rng(seed).normal(size=(walkers, len(free)))
        begun = {
            name: biject_to(_within(low, high)).inv(_inside(jnp.asarray(column), low, high))
            for name, low, high, column in zip(free, *ends, first.T, strict=True)
        }
        told = {"num_warmup": n, "num_samples": n, "num_chains": walkers, "chain_method": "vectorized"}
        sampler = MCMC(AIES(_model, moves={AIES.DEMove(): 1.0}), **told, progress_bar=False)
        arrays = (jnp.asarray(part) for part in (counts, place, origin, step))
        sampler.run(jax.random.key(seed), dict(zip(free, zip(*ends, strict=True), strict=True)), shape, start, *arrays,
                    init_params=begun)  # fmt: skip
        parts = sampler.get_samples(group_by_chain=True)
        draws = origin + step * np.stack([np.asarray(parts[name]) for name in free], axis=-1)
        agreement = diagnostics.split_gelman_rubin(draws)
        effective = diagnostics.effective_sample_size(draws)
    every = draws.reshape(-1, len(free))
    low, high = np.quantile(every, WITHIN, axis=0)
    by, square = "parameter", ("parameter", "parameter_2")
    numbers: dict[str, Any] = {
        "draws": variable(("walker", "draw", by), draws, "1", "draws, in the unit of each"),
        "mean": variable(by, every.mean(axis=0), "1", "mean, in its unit"),
        "error": variable(by, every.std(axis=0, ddof=1), "1", "standard deviation, in its unit"),
        "low": variable(by, low, "1", "lower end of the central 68.3 %, in its unit"),
        "high": variable(by, high, "1", "upper end of the central 68.3 %, in its unit"),
        "covariance": variable(square, np.atleast_2d(np.cov(every.T)), "1", "covariance, in their units"),
        "r_hat": variable(by, agreement, "1", "1 where the walkers agree"),
        "effective": variable(by, effective, "1", "independent draws that these amount to"),
    }
    names = {
        "parameter": variable(by, list(free), "1", "parameter"),
        "unit": variable(by, list(units), "1", "unit of the parameter"),
        "parameter_2": variable("parameter_2", list(free), "1", "parameter"),
    }
    return xr.Dataset(numbers, names, {"kind": "xcal_jax posterior", "seed": seed})


def _within(low: float, high: float) -> Any:
    """Numpyro's constraint to what lies between ``low`` and ``high``, of which either may be infinite."""
    from numpyro.distributions import constraints

    if np.isfinite(high):
        return constraints.interval(low, high)
    return constraints.softplus_positive if np.isfinite(low) else constraints.real


def _inside(values: Float[Array, " W"], low: float, high: float) -> Float[Array, " W"]:
    """Positions ``values`` mirrored at their bounds, and a little away from them."""
    near = NEAREST * min(1.0, high - low)
    return jnp.clip(low + jnp.abs(values - low) if np.isfinite(low) else values, low + near, high - near)


def _model(ends: dict[str, tuple[float, float]], shape: NaturalShape, start, counts, place, origin, step) -> None:
    """Flat priors and the Poisson likelihood as a model of numpyro; parameters are origin + step x what is drawn."""
    import numpyro
    from numpyro.distributions import ImproperUniform

    drawn = [numpyro.sample(name, ImproperUniform(_within(*pair), (), ())) for name, pair in ends.items()]
    values = start.at[place].set(origin + step * jnp.stack(drawn))
    model = jnp.maximum(shape.expected(values), FLOOR)
    numpyro.factor("likelihood", jnp.sum(counts * jnp.log(model) - model))
