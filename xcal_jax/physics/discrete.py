"""Discrete choices in constant time: the alias method (Walker 1977, doi 10.1145/355744.355749)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AliasTable:
    """Rows of probabilities over K outcomes: threshold (rows, K) and alias (rows, K) int32."""

    threshold: Array
    alias: Array

    @classmethod
    def build(cls, weights: np.ndarray) -> "AliasTable":
        """From weights (rows, K) >= 0; a row of zeros always gives outcome 0."""
        weights = np.asarray(weights, dtype=np.float64)
        rows, outcomes = weights.shape
        total = weights.sum(axis=1, keepdims=True)
        share = np.where(total > 0, weights * outcomes / np.where(total > 0, total, 1.0), 0.0)
        share[total[:, 0] <= 0, 0] = outcomes
        threshold = np.ones((rows, outcomes))
        alias = np.tile(np.arange(outcomes), (rows, 1))
        row = np.arange(rows)
        settled = np.zeros((rows, outcomes), dtype=bool)
        for _ in range(outcomes - 1):  # the poorest column is filled up by the richest
            poor = np.where(settled, np.inf, share).argmin(axis=1)
            rich = np.where(settled, -np.inf, share).argmax(axis=1)
            threshold[row, poor] = np.minimum(share[row, poor], 1.0)
            alias[row, poor] = rich
            share[row, rich] -= 1.0 - threshold[row, poor]
            settled[row, poor] = True
        return cls(jnp.asarray(threshold), jnp.asarray(alias, dtype=jnp.int32))

    def pick(self, row: Array, u: Array) -> Array:
        """The outcome () int32 of ``row`` () int32 that the uniform number u () falls on."""
        outcomes = self.threshold.shape[1]
        scaled = u * outcomes
        column = jnp.minimum(scaled.astype(jnp.int32), outcomes - 1)
        at = row * outcomes + column
        keep = scaled - column.astype(scaled.dtype) < self.threshold.reshape(-1)[at]
        return jnp.where(keep, column, self.alias.reshape(-1)[at])
