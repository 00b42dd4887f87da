"""Counting photons has no derivative: what refuses to be differentiated says so.

A thickness enters the Monte Carlo by comparisons alone (does the photon leave? does the electron?), so `jax.grad`
through it is silently wrong: zero for the mean deposit, off by more than 200 % elsewhere. `xcal_jax.expected` has
the derivatives.
"""

import jax

REFUSAL = (
    "the Monte Carlo counts photons and has no derivative (`jax.grad` through it would be silently wrong): "
    "differentiate `xcal_jax.expected` instead"
)


@jax.custom_jvp
def undifferentiable(tree):
    """``tree`` as it is, under `jit` and `vmap` too; a TypeError once somebody asks for a derivative through it."""
    return tree


@undifferentiable.defjvp
def _refuse(primals, tangents):
    raise TypeError(REFUSAL)


def refuse_traced(*trees) -> None:
    """Raise a TypeError if a number in ``trees`` is being traced, by `grad` or `jit` or `vmap`, and so has no value."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees)):
        raise TypeError(f"`simulate` works on numbers and cannot run inside jit, grad or vmap; {REFUSAL}")
