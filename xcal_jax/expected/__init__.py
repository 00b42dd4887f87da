"""Derivatives of what an absorber does: expected figures without dice, differentiable in thickness and all else."""
