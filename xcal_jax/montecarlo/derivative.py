"""The Monte Carlo has no derivative, and says so where somebody differentiates it.

A thickness enters the Monte Carlo only by comparisons (whether a photon leaves, whether an electron does). `jax.grad`
through it would be silently wrong: zero for the mean deposit, and off by more than 200 % elsewhere. The derivatives are
in `xcal_jax.expected`.
"""

from typing import Any, TypeVar

import jax

Tree = TypeVar("Tree")

REFUSAL = (
    "the Monte Carlo counts photons and has no derivative (`jax.grad` through it would be silently wrong): "
    "differentiate `xcal_jax.observables` instead"
)


@jax.custom_jvp
def undifferentiable(tree: Tree) -> Tree:
    """``tree`` unchanged, also under `jit` and `vmap`. Raises TypeError where it is differentiated."""
    return tree


@undifferentiable.defjvp
def _refuse(primals: Any, tangents: Any) -> Any:
    raise TypeError(REFUSAL)


def refuse_traced(*trees: Any) -> None:
    """Raise TypeError if a number in ``trees`` is traced by `grad`, `jit` or `vmap`, and so has no value."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees)):
        raise TypeError(f"`simulate` works on numbers and cannot run inside jit, grad or vmap; {REFUSAL}")
