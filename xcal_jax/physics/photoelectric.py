"""Photoelectric absorption in one subshell: the photoelectron (section 2.2, Eq. 2).

E_e = E_ph - E_b. Azimuth uniform; polar angle by Sauter's law for the K shell (Sauter 1931, Gavrila 1959), which
the paper, like most codes, uses for every subshell.
"""

from xcal_jax.constants import ELECTRON_REST_ENERGY


def sauter_density(energy, cosine):
    """d sigma / d cos, not normalised, for an electron of ``energy`` eV (Sauter 1931, doi 10.1002/andp.19314030406)."""
    gamma = 1.0 + energy / ELECTRON_REST_ENERGY
    beta = (1.0 - gamma**-2) ** 0.5  # of arrays of either kind: `expected` differentiates it
    doppler = 1.0 - beta * cosine
    return (1.0 - cosine**2) / doppler**4 * (1.0 + 0.5 * gamma * (gamma - 1.0) * (gamma - 2.0) * doppler)
