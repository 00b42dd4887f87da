"""What a process must have in common with another for both to count the same, bit by bit."""

import jax
import jax.numpy as jnp

from xcal_jax.atomic import table_hash
from xcal_jax.constants import VERSION

SHARED = ("version", "atomic tables", "JAX version", "precision")  # the backend may differ: then so does rounding


def process_facts() -> dict[str, str]:
    """Of this process."""
    return {
        "version": VERSION,
        "atomic tables": table_hash(),
        "JAX version": jax.__version__,
        "backend": jax.default_backend(),
        "precision": str(jnp.result_type(float)),
    }


def shared_facts() -> tuple[str, ...]:
    """Of the process that asks another, to be handed to `check_like`."""
    facts = process_facts()
    return tuple(facts[name] for name in SHARED)


def check_like(asked: tuple[str, ...]) -> None:
    """Raise ValueError unless this process counts as the one does whose `shared_facts` were ``asked``."""
    here = shared_facts()
    differing = [f"{name} {ours}" for name, ours, theirs in zip(SHARED, here, asked, strict=True) if ours != theirs]
    if differing:
        raise ValueError(f"every process must be like the one that asks, but one has {', '.join(differing)}")
