"""X-ray microcalorimeter absorbers and SiPM ageing in orbit, simulated and fitted in JAX."""

__version__ = "0.1.0"
