"""Photoelectric absorption in one subshell: the photoelectron (section 2.2, Eq. 2).

E_e = E_ph - E_b. The azimuth is uniform. The polar angle follows Sauter's law for the K shell (Sauter 1931, Gavrila
1959), which the paper, like most codes, uses for every subshell.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.compute.shapes import Numbers
from xcal_jax.constants import ELECTRON_REST_ENERGY


def sauter_density(energy: Numbers, cosine: Numbers) -> Numbers:
    """Density of the cosine of a photoelectron of ``energy`` eV (Sauter 1931, doi 10.1002/andp.19314030406).

    With D = 1 - beta cosine and k = gamma (gamma - 1) (gamma - 2) / 2 it is (1 - cosine^2) (D^-4 + k D^-3), over its
    integral 4 gamma^4 / 3 + 2 k (beta gamma^2 - artanh beta) / beta^3. JAX and NumPy arrays give their
    own kind: `expected` differentiates it.
    """
    xp = jnp if isinstance(energy, Array) else np
    gamma = 1.0 + energy / ELECTRON_REST_ENERGY
    beta = (1.0 - gamma**-2) ** 0.5
    k = 0.5 * gamma * (gamma - 1.0) * (gamma - 2.0)
    doppler = 1.0 - beta * cosine
    integral = 4.0 / 3.0 * gamma**4 + 2.0 * k * (beta * gamma**2 - xp.arctanh(beta)) / beta**3
    return (1.0 - cosine**2) / doppler**4 * (1.0 + k * doppler) / integral
