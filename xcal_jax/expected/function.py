"""The expected observables as a function that JAX transforms: `jit`, `vmap`, `grad`, `jacfwd`, `jacrev` all apply.

The loop over a history has no fixed length, so reverse mode does not pass it. It does not need to: parameters are few.
One forward pass gives the means f(p) and their Jacobian J, and the derivative rule of the function is

    f(p), t  ->  J t,

which is linear in the tangent t, so that JAX transposes it: reverse mode is J^T c. Only columns of parameters that
are differentiated are computed. Nothing is said about second derivatives, which are refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.flatten_util import ravel_pytree

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.compute.random import SEEDS, words
from xcal_jax.constants import YIELDS
from xcal_jax.expected.estimate import MOST_POINTS, points_each, scrambled
from xcal_jax.expected.observables import Observables, expected_observables, observables_along
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.tables import Tables
from xcal_jax.io.arguments import checked
from xcal_jax.simulation.counting import MODELS
from xcal_jax.simulation.loss_thresholds import LOW, loss_thresholds
from xcal_jax.units import Quantity, parse_whole, shown

REPLICATES = 8


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Expected(Observables):
    """`Observables`, and beside them ``errors``: the standard error of each, which has no derivative."""

    errors: Observables


@checked
def observables(
    absorber: Absorber | str,
    energy: Quantity | Sequence[Quantity] | Array,
    at: tuple[Any, Any] | str | None = None,
    yield_scale: float | Array = 1.0,
    range_scale: float | Array = 1.0,
    n: int = 2**14,
    seed: int = 1,
    yields: str = "eadl",
    electrons: str | None = None,
    physics: str | None = None,
    loss_above: Any = None,
    weights: Sequence[float] | Array | None = None,
    angle: Quantity | Array = 0.0,
    azimuth: Quantity = 0.0,
    isotropic: bool = False,
) -> Expected:
    """The expected observables of photons of ``energy`` on ``absorber``: a function for JAX.

    absorber: what `Absorber.load` takes; its thickness, density, width and length may be traced. energy: eV, or with a
    unit, of one line or several, with ``weights``. at: (x, y) um, or uniform over the top. angle: deg, of incidence
    from the normal, differentiable where it is not 0. yield_scale, range_scale: factors on all fluorescence yields and
    all electron ranges. All of these are differentiable, in forward and in reverse mode, once. azimuth: deg; isotropic:
    directions uniform over the upper half space. n: histories of each line, the same ones for the same ``seed``: a
    plain number, another one where a stochastic method needs new points. yields: "eadl" or "krause"; electrons,
    physics: models in place of the absorber's; loss_above: eV, thresholds of the loss (default: 50 eV to 5 keV).
    Numbers are of JAX's own precision; `sensitivity` has errors of the derivatives too.

    With `scattering` electrons derivatives that would be wrong are NaN, such as those of thin layers.
    Raises ValueError where a number that is not traced makes no sense, and TypeError for second derivatives.

    >>> import jax, xcal_jax as xcal
    >>> gold = xcal.Absorber.preset("gold")
    >>> found = xcal.observables(gold, "7 keV", n=4096)
    >>> bool(0.001 < found.partial < 0.1) and bool(found.errors.partial < 0.1 * found.partial)
    True
    >>> slope = jax.grad(lambda absorber: xcal.observables(absorber, "7 keV", n=4096).interaction_probability)(gold)
    >>> bool(slope.thickness[0] > 0)
    True
    """
    absorber = Absorber.load(absorber, electrons, physics)
    absorber.check_alone("an expected observable")
    absorber.check_touching("an expected observable")
    absorber.check_as_wide("an expected observable")
    if yields not in YIELDS:
        raise ValueError(f"`yields` must be one of {', '.join(YIELDS)}, but is {shown(yields)}")
    if _traced((n, seed)):
        raise TypeError("`n` and `seed` of observables must be plain numbers, but are traced: leave them outside jit")
    n, seed = parse_whole(n, "n", least=1, most=MOST_POINTS), parse_whole(seed, "seed", least=0, below=SEEDS)
    light: dict[str, Any] = {"energy": energy, "weights": weights, "at": at, "angle": angle}
    traced = {name: value for name, value in light.items() if _traced(value)}
    light |= {name: _stand_in(name, value) for name, value in traced.items()}
    source = Source.build(**light, azimuth=azimuth, isotropic=isotropic)
    thresholds = (0.0, *(LOW if loss_above is None else loss_thresholds(loss_above, np.inf)))
    precision = jnp.result_type(float)
    with jax.ensure_compile_time_eval():
        models = tuple(getattr(absorber, model) for model in MODELS)
        tables = _tables(absorber.formulas, models, yields, str(precision))
        points, seeds = _points(n, seed, str(precision))
        levels = jnp.asarray(thresholds, precision)
    parameters = _with_traced(Parameters.of_source(absorber, source, yield_scale, range_scale), traced)
    if not _traced(parameters):
        source.check_fits(absorber)
        tables.check_scales(parameters)
    means = _means(parameters, tables, levels, points, seeds)
    values, errors = (replace(found, peaks=tables.of_lines(found.peaks)) for found in means)
    return Expected(**vars(values), errors=errors)


@lru_cache(maxsize=8)
def _tables(formulas: tuple[str, ...], models: tuple[str | bool, ...], yields: str, precision: str) -> Tables:
    chosen: dict[str, Any] = dict(zip(MODELS, models, strict=True))
    return Tables.build(Absorber.of_units(formulas, **chosen), yields)


@lru_cache(maxsize=8)
def _points(n: int, seed: int, precision: str) -> tuple[Array, Array]:
    """Points (R, n, D) of R randomisations, and a seed (R, 2) for each."""
    each = points_each(n, REPLICATES)
    points = np.stack([scrambled(each, seed, replicate) for replicate in range(REPLICATES)])
    return jnp.asarray(points, precision), jnp.stack(
        [words((seed * REPLICATES + r) % SEEDS) for r in range(REPLICATES)]
    )


@jax.custom_jvp
def _means(
    parameters: Parameters, tables: Tables, thresholds: Array, points: Array, seeds: Array
) -> tuple[Observables, Observables]:
    """Means and standard errors of the observables over the replicates of the points."""
    return _mean_and_error(_replicates(tables, parameters, thresholds, points, seeds))


def _slopes(primals: Any, tangents: Any) -> Any:
    """Means and standard errors, and the means' Jacobian times ``tangents``, of which most are no change at all."""
    parameters, *others = _once(primals)
    steps = jax.tree.leaves(tangents[0])
    flat, unravel = ravel_pytree(parameters)
    chosen = np.repeat([not _is_zero(step) for step in steps], [leaf.size for leaf in jax.tree.leaves(parameters)])
    basis = jax.vmap(unravel)(jnp.eye(flat.size)[np.flatnonzero(chosen)])
    in_energy = not _is_zero(tangents[0].energy)
    found, slopes = _replicates_along(parameters, basis, *others, in_energy=in_energy)
    values, errors = _mean_and_error(found)
    step = jnp.concatenate([jnp.ravel(step) for step in steps if not _is_zero(step)])
    tangent = jax.tree.map(lambda leaf: jnp.tensordot(step, jnp.mean(leaf, axis=0), 1), slopes)
    return (values, errors), (tangent, jax.tree.map(jnp.zeros_like, errors))


_means.defjvp(_slopes, symbolic_zeros=True)


def _traced(tree: Any) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def _stand_in(name: str, value: Any) -> Any:
    """A plain value of the argument ``name`` of a source in the place of a traced one."""
    plain = {"energy": 1e4, "weights": 1.0, "at": 0.0, "angle": 45.0}[name]
    return np.full(jnp.asarray(value).shape, plain).tolist()


def _with_traced(parameters: Parameters, traced: dict[str, Any]) -> Parameters:
    """``parameters`` with the ``traced`` arguments of the source in the places of their stand-ins."""
    names = {"energy": "energy", "weights": "weight", "angle": "angle"}
    changes: dict[str, Any] = {
        names[name]: jnp.asarray(value, float) for name, value in traced.items() if name in names
    }
    if "at" in traced:
        changes["x"], changes["y"] = (jnp.asarray(part, float) for part in traced["at"])
    return replace(parameters, **changes)


def _is_zero(leaf: Any) -> bool:
    return isinstance(leaf, SymbolicZero)


@jax.jit
def _replicates(tables: Tables, parameters: Parameters, thresholds: Array, points: Array, seeds: Array) -> Observables:
    """Observables (R, ...), a replicate each."""
    one = partial(expected_observables, tables, parameters, thresholds, in_energy=False)
    return jax.lax.map(lambda numbers: one(*numbers), (points, seeds))


@partial(jax.jit, static_argnames="in_energy")
def _replicates_along(
    parameters: Parameters,
    basis: Parameters,
    tables: Tables,
    thresholds: Array,
    points: Array,
    seeds: Array,
    in_energy: bool,
) -> tuple[Observables, Observables]:
    """Observables (R, ...), and their derivatives (R, K, ...) along the K directions of ``basis``, leaves (K, ...)."""
    one = partial(observables_along, tables, parameters, basis, thresholds, in_energy=in_energy)
    return jax.lax.map(lambda numbers: one(*numbers), (points, seeds))


def _mean_and_error(replicates: Observables) -> tuple[Observables, Observables]:
    values = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), replicates)
    scatter = jax.tree.map(lambda leaf: jnp.std(leaf, axis=0, ddof=1) / np.sqrt(REPLICATES), replicates)
    return values, jax.tree.map(jax.lax.stop_gradient, scatter)


@jax.custom_jvp
def _once(primals: Any) -> Any:
    """``primals``, which may not be differentiated again."""
    return primals


@_once.defjvp
def _refuse(primals: Any, tangents: Any) -> Any:
    raise TypeError("the expected observables have first derivatives only: no estimator of second ones is known here")
