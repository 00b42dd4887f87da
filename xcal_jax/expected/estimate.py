"""Observables and derivatives as numbers with standard errors, from independent randomisations of the points.

Each replicate scrambles the Sobol sequence anew (Owen 1998, doi 10.1006/jcom.1998.0487; scipy's `qmc.Sobol`); their
spread is the error of their mean. Always in double precision.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float
from scipy.stats import qmc

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.compute.progress import Bar
from xcal_jax.compute.random import SEEDS, words
from xcal_jax.expected.observables import (
    Observables,
    compiled_observables,
    observables_and_derivatives,
    reweighted_observables,
)
from xcal_jax.expected.parameters import Parameters, resolve, stem
from xcal_jax.expected.random_numbers import DIMENSIONS
from xcal_jax.expected.tables import Tables, differentiable
from xcal_jax.io.arguments import checked
from xcal_jax.simulation.loss_thresholds import LOW, loss_thresholds
from xcal_jax.units import Quantity, parse_whole

THRESHOLDS = (0.0, *LOW)
REPLICATES = 16
LEAST_POINTS, MOST_POINTS = 256, 2**30


@dataclass(frozen=True)
class Estimate:
    """R replicates. values: leaves (R, ...); derivatives: leaves (R, K, ...), by the K ``parameters`` named.

    notes: a sentence for each model of the absorber that has no derivative and was replaced by the paper's.
    """

    values: Observables
    derivatives: Observables
    parameters: tuple[str, ...]
    thresholds: tuple[float, ...]
    notes: tuple[str, ...] = ()

    def value(self, observable: str) -> tuple[np.ndarray, np.ndarray]:
        """(mean, standard error) of a field of `Observables`."""
        return mean_and_error(getattr(self.values, observable))

    def derivative(self, observable: str) -> tuple[np.ndarray, np.ndarray]:
        """(mean, standard error), (K, ...), of the derivatives of a field of `Observables`."""
        return mean_and_error(getattr(self.derivatives, observable))


def mean_and_error(replicates: Array | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, standard error of the mean) over the first axis."""
    replicates = np.asarray(replicates)
    return replicates.mean(axis=0), replicates.std(axis=0, ddof=1) / np.sqrt(len(replicates))


@checked
def estimate(
    absorber: Absorber,
    source: Source | Quantity | Sequence[Quantity],
    wrt: Sequence[str] = ("thickness",),
    n: int = 2**17,
    seed: int = 1,
    yields: str = "eadl",
    yield_scale: float = 1.0,
    range_scale: float = 1.0,
    loss_above: Sequence[Quantity] | str | None = None,
    replicates: int = REPLICATES,
    progress: bool = False,
) -> Estimate:
    """The expected observables of ``absorber`` for ``source``, and derivatives, from ``n`` histories or a few more.

    source: lines, or the energy of one, see `Parameters.of_source`; wrt: of ``thickness density width length energy
    weight angle x y yield range``, a name each or with its layer or line, ``thickness[1]``; yields: "eadl" or "krause";
    loss_above: eV, thresholds of the loss (default: `loss_thresholds`).
    Models without a derivative are replaced by the paper's (`Estimate.notes`): how photons scatter, and in "full"
    physics also scattering electrons, where a derivative would be wrong with them.
    Raises ValueError where a name is unknown, a number makes no sense, or a derivative would be wrong
    (`scattering.check`); RuntimeError where a history overflows its counters.
    """
    source = Source.of(source)
    source.check_fits(absorber)
    thresholds = (0.0, *loss_thresholds(loss_above, source.highest_energy))
    with jax.enable_x64(True):
        tables, (_, notes) = Tables.build(absorber, yields), differentiable(absorber)
        parameters = Parameters.of_source(absorber, source, yield_scale, range_scale)
        if absorber.physics == "full":
            try:
                tables.electrons.check(tables.matter, parameters, tuple(resolve(wrt, parameters)))
            except ValueError as why:
                notes += (f"electrons go straight, as in the paper: {why}",)
                tables = Tables.build(replace(absorber, electrons="range"), yields)
        found = run(tables, parameters, wrt, n, seed, thresholds, replicates, progress)
    return replace(found, notes=notes)


def run(
    tables: Tables,
    parameters: Parameters,
    wrt: Sequence[str] = (),
    n: int = 2**17,
    seed: int = 1,
    thresholds: Sequence[float] = THRESHOLDS,
    replicates: int = REPLICATES,
    progress: bool = False,
) -> Estimate:
    """`estimate` for tables at hand. The same ``seed`` is the same random numbers, whatever the parameters.

    Each of K lines has a K-th of the ``n`` histories. Raises what `estimate` raises.
    """
    chosen = resolve(wrt, parameters)
    tables.check_scales(parameters)
    n = parse_whole(n, "n", least=1, most=MOST_POINTS)
    seed = parse_whole(seed, "seed", least=0, below=SEEDS)
    with jax.enable_x64(True):
        parameters = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), parameters)
        tables.electrons.check(tables.matter, parameters, tuple(chosen))
        flat, unravel = ravel_pytree(parameters)
        basis = jax.vmap(unravel)(jnp.eye(flat.size)[np.array(list(chosen.values()), dtype=int)]) if chosen else None
    n = -(-n // parameters.energy.size)
    if basis is None:
        program = partial(compiled_observables, tables, parameters, in_energy=False)
        values = _replicated(tables, program, n, seed, thresholds, replicates, progress)
        derivatives = jax.tree.map(lambda leaf: leaf[:, None][:, :0], values)
    else:
        in_energy = any(stem(name) == "energy" for name in chosen)
        program = partial(observables_and_derivatives, tables, parameters, basis, in_energy=in_energy)
        values, derivatives = _replicated(tables, program, n, seed, thresholds, replicates, progress)
    if not np.all(np.isfinite(values.partial)):
        raise RuntimeError("a history ran out of its counters: this is a fault of the program, not of the input")
    return Estimate(values, derivatives, tuple(chosen), tuple(map(float, thresholds)))


def differences(
    tables: Tables,
    parameters: Parameters,
    steps: dict[str, float],
    n: int = 2**17,
    seed: int = 1,
    thresholds: Sequence[float] = THRESHOLDS,
    replicates: int = REPLICATES,
) -> Observables:
    """Central differences of the observables, leaves (R, K, ...), on the points of `run`, for its derivatives.

    steps: of the K parameters, by name. Sampling decisions at both ends are those at ``parameters``. Raises ValueError
    where a name is unknown or a derivative would be wrong (`scattering.check`).
    """
    chosen = resolve(tuple(steps), parameters)
    with jax.enable_x64(True):
        tables.electrons.check(tables.matter, parameters, tuple(chosen))
        flat, unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, float), parameters))
        basis = np.eye(flat.size)[list(chosen.values())] * np.array(list(steps.values()))[:, None]
        ends = [unravel(flat + sign * end) for sign in (1.0, -1.0) for end in basis]
    found = reweighted(tables, (parameters, *ends), n, seed, thresholds, replicates)

    def difference(leaf: np.ndarray) -> np.ndarray:
        up, down = np.split(leaf[:, 1:], 2, axis=1)
        return (up - down) / (2.0 * np.reshape(list(steps.values()), (-1, *(1,) * (leaf.ndim - 2))))

    return jax.tree.map(difference, found)


def reweighted(
    tables: Tables,
    parameters: Sequence[Parameters],
    n: int = 2**17,
    seed: int = 1,
    thresholds: Sequence[float] = THRESHOLDS,
    replicates: int = REPLICATES,
) -> Observables:
    """The observables at each of ``parameters``, leaves (R, K, ...), with the sampling decisions of the first."""
    with jax.enable_x64(True):
        stacked = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf, float) for leaf in leaves]), *parameters)
        in_energy = bool(jnp.any(stacked.energy != stacked.energy[:1]))
    program = partial(reweighted_observables, tables, stacked, in_energy=in_energy)
    n = -(-n // stacked.energy[0].size)
    return _replicated(tables, program, n, seed, thresholds, replicates, False)


def _replicated(
    tables: Tables,
    program: Callable,
    n: int,
    seed: int,
    thresholds: Sequence[float],
    replicates: int,
    progress: bool,
) -> Any:
    """The results of ``program(thresholds, points, seed)`` for each replicate of the points, ``n`` in all, stacked."""
    each = points_each(n, replicates)

    def of_lines(found: Observables) -> Observables:
        """On the host, with the transitions of the elements alone."""
        return jax.tree.map(np.asarray, replace(found, peaks=tables.of_lines(found.peaks)))

    def one(replicate: int) -> Any:
        with jax.enable_x64(True):
            points = jnp.asarray(scrambled(each, seed, replicate))
            key = words((seed * replicates + replicate) % 2**64)
            found = program(jnp.asarray(thresholds, float), points, key)
        return jax.tree.map(of_lines, found, is_leaf=lambda part: isinstance(part, Observables))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool, Bar(replicates * each, " points", progress) as bar:
        first = one(0)  # compiles, once
        bar.update(each)
        found = [first]
        for result in pool.map(one, range(1, replicates)):
            found.append(result)
            bar.update(each)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *found)


def points_each(n: int, replicates: int) -> int:
    """Points of each of the ``replicates`` that have ``n`` histories together, or a few more: a power of two."""
    return 2 ** max(int(np.ceil(np.log2(n / replicates))), int(np.log2(LEAST_POINTS)))


def scrambled(n: int, seed: int, replicate: int) -> Float[np.ndarray, "n D"]:
    """The first n points (n, DIMENSIONS) of a scrambled Sobol sequence, inside (0, 1)."""
    points = qmc.Sobol(DIMENSIONS, rng=np.random.default_rng([seed, replicate])).random(n)
    return np.clip(points + 2.0**-31, 0.0, 1.0 - 2.0**-24)
