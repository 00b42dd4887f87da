"""The shared fitting stack: least squares and Poisson likelihoods with full covariance, one fit at a time.

Closed form where the model is linear, Levenberg-Marquardt (optimistix) where it is not. Every function is
written for one data set and is meant to be wrapped in `jax.vmap` and `jax.jit`; a point is left out by an
infinite `sigma`. Fits want float64: call them inside ``with double_precision():``, which asks JAX for it
locally and leaves the global flag alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import lineax
import numpy as np
import optimistix
from jax.flatten_util import ravel_pytree

Array = jax.Array | np.ndarray

double_precision: Callable[[], Any] = lambda: jax.enable_x64(True)  # noqa: E731


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Fit:
    """One fit, or a batch of them.

    parameters: (P,) in the model's units. covariance: (P, P), their products. chi_square: () the sum of
    squared residuals, or the Poisson deviance. points: () number of points with weight. converged: () bool.
    """

    parameters: jax.Array
    covariance: jax.Array
    chi_square: jax.Array
    points: jax.Array
    converged: jax.Array

    @property
    def errors(self) -> jax.Array:
        """One-sigma errors of the parameters: (P,)."""
        place = list(range(self.parameters.shape[-1]))
        return self.covariance[..., place, place] ** 0.5

    @property
    def reduced_chi_square(self) -> jax.Array:
        """Chi-square over degrees of freedom: ()."""
        return self.chi_square / (self.points - float(self.parameters.shape[-1]))


def inverse(matrix: Array) -> jax.Array:
    """Inverse of a small symmetric positive matrix by Gauss-Jordan: (P, P); NaN where it is singular.

    Plain arithmetic on purpose: LAPACK calls inside a large `vmap` are slower, and on a machine of few cores
    they can wait for each other for ever (seen with jaxlib 0.10 on two cores).
    """
    size = jnp.sqrt(jnp.diagonal(matrix))
    a = jnp.asarray(matrix / (size[:, None] * size[None, :]))
    for k in range(matrix.shape[0]):
        pivot = jnp.where(a[k, k] > 1e-13, a[k, k], jnp.nan)
        row, column = a[k] / pivot, a[:, k]
        a = a - column[:, None] * row[None, :]
        a = a.at[k].set(row).at[:, k].set(-column / pivot).at[k, k].set(1.0 / pivot)
    return a / (size[:, None] * size[None, :])


def covariance_of(jacobian: Array) -> jax.Array:
    """Inverse of J^T J: (P, P), for a jacobian of weighted residuals (N, P)."""
    return inverse(jacobian.T @ jacobian)


class NormalEquations(lineax.AbstractLinearSolver):
    """The linear solve inside Levenberg-Marquardt, by `inverse` of the damped normal equations."""

    def init(self, operator, options):
        """Keep the matrix and the inverse of its normal equations."""
        matrix = operator.as_matrix()
        return matrix, inverse(matrix.T @ matrix)

    def compute(self, state, vector, options):
        """Least-squares solution for ``vector``."""
        matrix, inverted = state
        flat, _ = ravel_pytree(vector)
        return inverted @ (matrix.T @ flat), lineax.RESULTS.successful, {}

    def transpose(self, state, options):
        """Not needed: fits are not differentiated through."""
        raise ValueError("`NormalEquations` solves no transposed system")

    def conj(self, state, options):
        """Real matrices are their own conjugate."""
        return state, options

    def assume_full_rank(self):
        """The damping makes the matrix of full rank."""
        return True


def whiten(values: np.ndarray, sigma: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Columns of unit variance and no correlation, from a covariance diag(sigma^2) + shared shared^T: (N, P).

    values: (N, P); sigma: (N,); shared: (N, K), as for `with_shared`. The inverse square root of the
    covariance in closed form, without a matrix of N by N.
    """
    left, size, _ = np.linalg.svd(shared / sigma[:, None], full_matrices=False)
    modes = left * np.sqrt(1.0 - 1.0 / np.sqrt(1.0 + size**2))
    scaled = values / sigma[:, None]
    return scaled - modes @ (modes.T @ scaled)


def count_points(sigma: Array) -> jax.Array:
    """How many points carry weight: (), a float as the errors are. sigma: (N,)."""
    return jnp.sum(jnp.isfinite(sigma), dtype=sigma.dtype)


def linear(design: Array, values: Array, sigma: Array) -> Fit:
    """Weighted linear least squares in closed form. design: (N, P); values, sigma: (N,) in one unit."""
    a, y = design / sigma[:, None], values / sigma
    covariance = covariance_of(a)
    parameters = covariance @ (a.T @ y)
    parameters = parameters + covariance @ (a.T @ (y - a @ parameters))
    chi_square = jnp.sum((y - a @ parameters) ** 2)
    converged = jnp.all(jnp.isfinite(covariance)) & jnp.all(jnp.isfinite(parameters))
    return Fit(parameters, covariance, chi_square, count_points(sigma), converged)


def least_squares(
    residuals: Callable[[Any, Any], jax.Array], start: Array, data: Any, points: Array | float, max_steps: int = 200
) -> Fit:
    """Nonlinear least squares by Levenberg-Marquardt.

    residuals(parameters, data) -> (N,), already divided by the errors; start: (P,); points: () how many of
    the residuals carry weight. The covariance is the inverse of J^T J at the minimum.
    """
    solver: Any = optimistix.LevenbergMarquardt(rtol=1e-9, atol=1e-9, linear_solver=NormalEquations())
    solution: Any = optimistix.least_squares(residuals, solver, start, args=data, max_steps=max_steps, throw=False)
    parameters = solution.value
    covariance = covariance_of(jax.jacfwd(residuals)(parameters, data))
    chi_square = jnp.sum(residuals(parameters, data) ** 2)
    converged = (solution.result == optimistix.RESULTS.successful) & jnp.all(jnp.isfinite(covariance))
    return Fit(parameters, covariance, chi_square, jnp.asarray(points, covariance.dtype), converged)


def poisson_residuals(counts: jax.Array, expected: jax.Array) -> jax.Array:
    """Signed deviance residuals: (N,); their squares sum to the Poisson deviance, so that least squares on
    them is maximum likelihood. counts, expected: (N,) counts, expected > 0.
    """
    ratio = (expected - counts) / jnp.maximum(counts, 1.0)
    near = (jnp.abs(ratio) < 1e-3) & (counts > 0)
    safe = jnp.where(near, 2.0 * expected + 1.0, expected)
    logarithm = jnp.where(counts > 0, counts * jnp.log(jnp.maximum(counts, 1.0) / safe), 0.0)
    deviance = 2.0 * (safe - counts + logarithm)
    far = jnp.sign(safe - counts) * jnp.sqrt(jnp.maximum(deviance, 1e-300))
    series = ratio * jnp.sqrt(jnp.maximum(counts, 1.0)) * (1.0 - ratio / 3.0 + 7.0 * ratio**2 / 36.0)
    return jnp.where(near, series, far)


def with_covariance(fit: Fit, factor: jax.Array) -> Fit:
    """The same fit with its covariance times ``factor``: ()."""
    return Fit(fit.parameters, fit.covariance * factor[..., None, None], fit.chi_square, fit.points, fit.converged)


def with_shared(fit: Fit, jacobian: Array, sigma: Array, shared: Array) -> Fit:
    """The same fit with what the points share in its covariance.

    jacobian: (N, P) of the model in the values' unit; sigma: (N,) the weights of the fit; shared: (N, K) what
    one sigma of each of K common causes does to every value. The parameters stay those of the independent
    weights, so that errors in ``shared`` itself cannot bias them.
    """
    weighted = jacobian / sigma[:, None]
    moved = covariance_of(weighted) @ (weighted.T @ (shared / sigma[:, None]))
    return Fit(fit.parameters, fit.covariance + moved @ moved.T, fit.chi_square, fit.points, fit.converged)


def scaled(fit: Fit) -> Fit:
    """For errors known in size: covariance times chi2/nu where that exceeds one."""
    return with_covariance(fit, jnp.maximum(fit.reduced_chi_square, 1.0))


def rescaled(fit: Fit) -> Fit:
    """For errors that are only relative weights: covariance times chi2/nu; as it is without degrees of
    freedom.
    """
    room = fit.points > fit.parameters.shape[-1]
    return with_covariance(fit, jnp.where(room, fit.reduced_chi_square, 1.0))


def aicc(deviance: Array | float, points: Array | float, parameters: int) -> jax.Array:
    """Akaike's criterion with the small-sample term: (); infinite where points <= parameters + 1."""
    room = points - (parameters + 1.0)
    penalty = 2.0 * parameters + 2.0 * parameters * (parameters + 1) / jnp.maximum(room, 1.0)
    return jnp.where(room > 0, deviance + penalty, jnp.inf)
