"""Weighted Monte Carlo: the expected observables of an absorber, with derivatives in thickness and all else."""
