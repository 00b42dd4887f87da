"""Least squares and Poisson likelihoods with full covariance, one fit at a time.

The solution is in closed form where the model is linear, by Levenberg-Marquardt (optimistix) where it is not. Every
function is written for one data set and is meant for `jax.vmap` and `jax.jit`; an infinite `sigma` leaves a point out.
Fits need float64: call them inside ``with double_precision():``, which asks JAX for it locally and leaves the global
flag unchanged.
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
from jaxtyping import Float

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


def inverse(matrix: Float[Array, "P P"]) -> Float[jax.Array, "P P"]:
    """Inverse of a small symmetric positive matrix by Gauss-Jordan; NaN where it is singular.

    It uses plain arithmetic, since LAPACK calls inside a large `vmap` are slower, and on a machine of few cores they
    can wait for each other for ever (seen with jaxlib 0.10 on two cores).
    """
    size = jnp.sqrt(jnp.diagonal(matrix))
    a = jnp.asarray(matrix / (size[:, None] * size[None, :]))
    for k in range(matrix.shape[0]):
        pivot = jnp.where(a[k, k] > 1e-13, a[k, k], jnp.nan)
        row, column = a[k] / pivot, a[:, k]
        a = a - column[:, None] * row[None, :]
        a = a.at[k].set(row).at[:, k].set(-column / pivot).at[k, k].set(1.0 / pivot)
    return a / (size[:, None] * size[None, :])


def covariance_of(jacobian: Float[Array, "N P"]) -> Float[jax.Array, "P P"]:
    """Inverse of J^T J for a jacobian J of weighted residuals."""
    return inverse(jacobian.T @ jacobian)


class NormalEquations(lineax.AbstractLinearSolver):
    """Linear solver inside Levenberg-Marquardt: `inverse` of the damped normal equations."""

    def init(self, operator, options):
        """The matrix, and the inverse of its normal equations."""
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


def whiten(
    values: Float[np.ndarray, "N P"], sigma: Float[np.ndarray, " N"], shared: Float[np.ndarray, "N K"]
) -> Float[np.ndarray, "N P"]:
    """Columns of unit variance and no correlation from ``values`` with the covariance diag(sigma^2) + shared shared^T.

    shared: as for `with_shared`. The inverse square root of the covariance is applied in closed form, without a matrix
    of N by N.
    """
    left, size, _ = np.linalg.svd(shared / sigma[:, None], full_matrices=False)
    modes = left * np.sqrt(1.0 - 1.0 / np.sqrt(1.0 + size**2))
    scaled = values / sigma[:, None]
    return scaled - modes @ (modes.T @ scaled)


def count_points(sigma: Float[Array, " N"]) -> Float[jax.Array, ""]:
    """Number of points that have weight, as a float."""
    return jnp.sum(jnp.isfinite(sigma), dtype=sigma.dtype)


def linear(design: Float[Array, "N P"], values: Float[Array, " N"], sigma: Float[Array, " N"]) -> Fit:
    """Weighted linear least squares in closed form. values, sigma: in one unit."""
    a, y = design / sigma[:, None], values / sigma
    covariance = covariance_of(a)
    parameters = covariance @ (a.T @ y)
    parameters = parameters + covariance @ (a.T @ (y - a @ parameters))
    chi_square = jnp.sum((y - a @ parameters) ** 2)
    converged = jnp.all(jnp.isfinite(covariance)) & jnp.all(jnp.isfinite(parameters))
    return Fit(parameters, covariance, chi_square, count_points(sigma), converged)


def least_squares(
    residuals: Callable[[Any, Any], jax.Array],
    start: Float[Array, " P"],
    data: Any,
    points: Float[Array, ""] | float,
    max_steps: int = 200,
    tolerance: float = 1e-9,
) -> Fit:
    """Nonlinear least squares by Levenberg-Marquardt.

    residuals(parameters, data) -> (N,), divided by the errors. points: how many of the residuals have weight. The
    covariance is the inverse of J^T J at the minimum.
    """
    solver: Any = optimistix.LevenbergMarquardt(rtol=tolerance, atol=tolerance, linear_solver=NormalEquations())
    solution: Any = optimistix.least_squares(residuals, solver, start, args=data, max_steps=max_steps, throw=False)
    parameters = solution.value
    covariance = covariance_of(jax.jacfwd(residuals)(parameters, data))
    chi_square = jnp.sum(residuals(parameters, data) ** 2)
    converged = (solution.result == optimistix.RESULTS.successful) & jnp.all(jnp.isfinite(covariance))
    return Fit(parameters, covariance, chi_square, jnp.asarray(points, covariance.dtype), converged)


def poisson_residuals(counts: Float[Array, " N"], expected: Float[Array, " N"]) -> Float[jax.Array, " N"]:
    """Signed deviance residuals, whose squares add up to the Poisson deviance; ``expected`` counts are positive.

    Least squares on them is maximum likelihood.
    """
    ratio = (expected - counts) / jnp.maximum(counts, 1.0)
    near = (jnp.abs(ratio) < 1e-3) & (counts > 0)
    safe = jnp.where(near, 2.0 * expected + 1.0, expected)
    logarithm = jnp.where(counts > 0, counts * jnp.log(jnp.maximum(counts, 1.0) / safe), 0.0)
    deviance = 2.0 * (safe - counts + logarithm)
    far = jnp.sign(safe - counts) * jnp.sqrt(jnp.maximum(deviance, 1e-300))
    series = ratio * jnp.sqrt(jnp.maximum(counts, 1.0)) * (1.0 - ratio / 3.0 + 7.0 * ratio**2 / 36.0)
    return jnp.where(near, series, far)


def with_covariance(fit: Fit, factor: Float[jax.Array, "*batch"]) -> Fit:
    """The same fit (or fits) with its covariance times ``factor``."""
    return Fit(fit.parameters, fit.covariance * factor[..., None, None], fit.chi_square, fit.points, fit.converged)


def with_shared(fit: Fit, jacobian: Float[Array, "N P"], sigma: Float[Array, " N"], shared: Float[Array, "N K"]) -> Fit:
    """The same fit with the errors that all points share in its covariance.

    jacobian: of the model in the values' unit. sigma: the weights of the fit. shared: the shift of every value by one
    sigma of each of K common causes. The parameters stay those of the independent weights, so that errors in
    ``shared`` itself cannot bias them.
    """
    weighted = jacobian / sigma[:, None]
    moved = covariance_of(weighted) @ (weighted.T @ (shared / sigma[:, None]))
    return Fit(fit.parameters, fit.covariance + moved @ moved.T, fit.chi_square, fit.points, fit.converged)


def excess(
    reduced: Float[Array, "*batch"] | float, degrees: Float[Array, "*batch"] | float
) -> Float[jax.Array, "*batch"]:
    """chi2/nu where it exceeds one by more than two standard deviations, sqrt(2/nu), of chance; else one."""
    return jnp.where(reduced > 1.0 + 2.0 * jnp.sqrt(2.0 / jnp.maximum(degrees, 1.0)), reduced, 1.0)


def scaled(fit: Fit) -> Fit:
    """For errors known in size: covariance times chi2/nu where that exceeds one by more than chance."""
    return with_covariance(fit, excess(fit.reduced_chi_square, fit.points - float(fit.parameters.shape[-1])))


def rescaled(fit: Fit) -> Fit:
    """For errors that are only relative weights: covariance times chi2/nu; unchanged without degrees of freedom."""
    room = fit.points > fit.parameters.shape[-1]
    return with_covariance(fit, jnp.where(room, fit.reduced_chi_square, 1.0))


def aicc(
    deviance: Float[Array, "*batch"] | float,
    points: Float[Array, "*batch"] | float,
    parameters: Float[Array, "*batch"] | int,
) -> Float[jax.Array, "*batch"]:
    """Akaike's criterion with the small-sample term; infinite where points <= parameters + 1."""
    room = points - (parameters + 1.0)
    penalty = 2.0 * parameters + 2.0 * parameters * (parameters + 1) / jnp.maximum(room, 1.0)
    return jnp.where(room > 0, deviance + penalty, jnp.inf)
