"""Pulse-height spectra of real detectors: one Dataset for all, its readers and its writers."""

from xcal_jax.spectra.dataset import build_spectra, check_spectra, select, stack
from xcal_jax.spectra.readers import read_spectra

__all__ = ["build_spectra", "check_spectra", "read_spectra", "select", "stack"]
