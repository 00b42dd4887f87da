"""Atomic tables of the elements 1 to 100, and the materials made of them."""

from xcal_jax.atomic.element import (
    ELEMENTS,
    ENERGY_LIMITS,
    Element,
    Subshell,
    check_energies,
    load_element,
    loglog,
)
from xcal_jax.atomic.material import Material
from xcal_jax.atomic.tables import table_hash

__all__ = [
    "ELEMENTS",
    "ENERGY_LIMITS",
    "Element",
    "Material",
    "Subshell",
    "check_energies",
    "load_element",
    "loglog",
    "table_hash",
]
