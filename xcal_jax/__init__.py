"""X-ray microcalorimeter absorbers and SiPM ageing in orbit, simulated and fitted in JAX."""

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.simulate import simulate
from xcal_jax.absorber.source import Source
from xcal_jax.response.results import load, merge, save, summary

__version__ = "0.1.0"
__all__ = ["Absorber", "Source", "load", "merge", "save", "simulate", "summary"]
