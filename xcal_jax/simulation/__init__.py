"""Runs, sweeps and their results."""
