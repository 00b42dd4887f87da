"""Synthetic missions with known truth: the rates of every part of a spectrum, and spectra drawn from them."""

from xcal_jax.sipm.synthetic.draw import SyntheticMission, synthesize

__all__ = ["SyntheticMission", "synthesize"]
