"""Absorbers designed on true gradients."""
