"""Discrete choices in constant time: the alias method (Walker 1977, doi 10.1145/355744.355749)."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.compute.shapes import Real, Whole


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Discrete:
    """Discrete laws, one a row, over K outcomes: sampled by an alias table, and known as probabilities.

    probabilities: (rows, K); threshold: (rows, K) and alias: (rows, K) int32, the alias table. outcomes: () int32, how
    many of the K columns are drawn, the first ones.
    """

    probabilities: Array
    threshold: Array
    alias: Array
    outcomes: Array

    @classmethod
    def build(cls, weights: np.ndarray) -> "Discrete":
        """Laws in proportion to weights (rows, K) >= 0; a row of zeros always gives outcome 0."""
        weights = np.array(weights, dtype=np.float64)
        rows, outcomes = weights.shape
        weights[weights.sum(axis=1) <= 0, 0] = 1.0
        total = weights.sum(axis=1, keepdims=True)
        height = weights * outcomes / total
        threshold = np.ones((rows, outcomes))
        alias = np.tile(np.arange(outcomes), (rows, 1))
        row = np.arange(rows)
        filled = np.zeros((rows, outcomes), dtype=bool)
        for _ in range(outcomes - 1):  # the poorest column is filled up by the richest
            poor = np.where(filled, np.inf, height).argmin(axis=1)
            rich = np.where(filled, -np.inf, height).argmax(axis=1)
            threshold[row, poor] = np.minimum(height[row, poor], 1.0)
            alias[row, poor] = rich
            height[row, rich] -= 1.0 - threshold[row, poor]
            filled[row, poor] = True
        return cls(
            jnp.asarray(weights / total),
            jnp.asarray(threshold),
            jnp.asarray(alias, dtype=jnp.int32),
            jnp.asarray(outcomes, dtype=jnp.int32),
        )

    def mapped(self, change: Callable[[Array], Array]) -> "Discrete":
        """The laws with ``change`` made to each of their tables."""
        probabilities, threshold, alias = map(change, (self.probabilities, self.threshold, self.alias))
        return Discrete(probabilities, threshold, alias, self.outcomes)

    def pick(self, row: Whole, u: Real) -> Whole:
        """The outcome of law ``row`` that the uniform number ``u`` falls on."""
        scaled = u * self.outcomes.astype(u.dtype)
        column = jnp.minimum(scaled.astype(jnp.int32), self.outcomes - 1)
        at = row * self.threshold.shape[1] + column
        keep = scaled - column.astype(scaled.dtype) < self.threshold.reshape(-1)[at]
        return jnp.where(keep, column, self.alias.reshape(-1)[at])

    def probability(self, row: Whole, outcome: Whole) -> Real:
        """The probability of ``outcome`` by law ``row``."""
        return self.probabilities.reshape(-1)[row * self.probabilities.shape[1] + outcome]
