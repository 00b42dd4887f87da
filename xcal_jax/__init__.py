"""X-ray microcalorimeter absorbers and SiPM ageing in orbit, simulated and fitted in JAX.

Public names are imported when they are first used, so that no part of the package waits for another.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.absorber.source import Source
    from xcal_jax.io.datasets import save
    from xcal_jax.simulation.results import load, merge, summary
    from xcal_jax.simulation.simulate import simulate

__all__ = ["Absorber", "Source", "load", "merge", "save", "simulate", "summary"]

_HOMES = {
    "Absorber": "absorber.absorber",
    "Source": "absorber.source",
    "simulate": "simulation.simulate",
    "save": "io.datasets",
    **dict.fromkeys(("load", "merge", "summary"), "simulation.results"),
}


def __getattr__(name: str):
    if name == "__version__":
        return import_module("xcal_jax.constants").VERSION
    if name not in _HOMES:
        raise AttributeError(f"module 'xcal_jax' has no attribute {name!r}")
    return getattr(import_module(f"xcal_jax.{_HOMES[name]}"), name)
