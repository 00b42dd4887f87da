"""Dose in silicon from the bremsstrahlung of electrons in the shield, in JAX.

Thin targets along straight lines: an electron of energy E radiates S_rad(E) per g/cm2 of its path, evenly over photon
energies 0..E (k dN/dk flat, Kramers 1923), forward. Photons are absorbed with the energy-absorption coefficient, as if
every scattered one passed. Against SHIELDOSE-2 in Al the dose is 0.3 to 0.6 times as large behind 0.5 to 1 mm, where
the electrons themselves give a hundred times more, and 0.6 to 1.6 times from 2 to 20 mm.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.orbit.material_tables import material_table
from xcal_jax.orbit.shielding import RAD, Shield, incident, over_directions, slowing, spectrum_at

DEPTHS, DEPTH_WEIGHTS = np.polynomial.legendre.leggauss(12)
DEPTHS, DEPTH_WEIGHTS = (DEPTHS + 1) / 2, DEPTH_WEIGHTS / 2
ELECTRONS = np.linspace(np.log(0.02), np.log(8.0), 60)
PHOTONS = np.linspace(np.log(0.012), np.log(8.0), 50)


def _log_absorption(name: str) -> Float[np.ndarray, " P"]:
    """Logarithm of the energy-absorption coefficient, cm2/g, of a material at ``PHOTONS``."""
    row = material_table().photon_absorption.sel(material=name)
    return np.interp(PHOTONS, np.log(row.photon_energy.values), np.log(row.values))


def _radiated(name: str) -> Float[np.ndarray, " E"]:
    """Energy that an electron of ``ELECTRONS`` radiates per depth, MeV cm2/g; its path is longer than the depth."""
    row = material_table().sel(material=name)
    energy, _, lost = slowing("electron", name)
    fraction = row.electron_radiative.values / (row.electron_radiative + row.electron_collision).values
    return np.exp(np.interp(ELECTRONS, energy, lost + np.log(fraction)))


def photon_dose(
    shield: Shield, areal: Float[Array, " L"], energy: Float[Array, " E"], fluence: Float[Array, " E"]
) -> Float[Array, ""]:
    """Bremsstrahlung dose behind one straight path of ``areal`` g/cm2, rad; the rest as in `bremsstrahlung_dose`."""
    dtype = fluence.dtype
    electrons, photons = jnp.asarray(ELECTRONS, dtype), jnp.asarray(PHOTONS, dtype)
    log_grid = jnp.log(energy)
    log_spectrum = jnp.log(jnp.maximum(fluence, jnp.finfo(dtype).tiny))
    absorption = jnp.exp(jnp.asarray([_log_absorption(name) for name in shield.materials], dtype))
    absorbed_in_silicon = RAD * jnp.exp(jnp.asarray(_log_absorption("Si"), dtype) + photons)
    steps = jnp.full(len(ELECTRONS), ELECTRONS[1] - ELECTRONS[0], dtype)
    total = jnp.zeros((), dtype)
    for layer, name in enumerate(shield.materials):
        loss = jnp.asarray(_radiated(name), dtype)
        behind = absorption[layer + 1 :].T @ areal[layer + 1 :]

        def at_depth(fraction, layer=layer, loss=loss, behind=behind):
            above = jnp.where(jnp.arange(len(areal)) < layer, areal, 0.0)
            above = above.at[layer].set(fraction * areal[layer])
            outside, log_jacobian = incident("electron", shield, above, electrons)
            radiated = spectrum_at(outside, log_grid, log_spectrum) * jnp.exp(log_jacobian) * loss
            by_energy = jnp.where(electrons[None, :] >= photons[:, None], radiated[None, :], 0.0)
            energy_fluence = by_energy @ steps
            left = jnp.exp(-behind - absorption[layer] * (1 - fraction) * areal[layer])
            return jnp.trapezoid(energy_fluence * left * absorbed_in_silicon, photons)

        depths = jnp.asarray(DEPTHS**3, dtype)
        weights = jnp.asarray(DEPTH_WEIGHTS * 3 * DEPTHS**2, dtype)
        total += areal[layer] * (weights @ jax.vmap(at_depth)(depths))
    return total


def bremsstrahlung_dose(
    shield: Shield,
    energy: Float[Array | np.ndarray, " E"],
    fluence: Float[Array | np.ndarray, " E"],
    geometry: str = "slab",
    sides: int = 2,
) -> Float[Array, ""]:
    """Dose in silicon behind ``shield`` from the photons that electrons make in it, rad.

    energy: MeV. fluence: omnidirectional electrons, 1/(cm2 MeV).
    """
    energy, fluence = jnp.asarray(energy), jnp.asarray(fluence)
    return over_directions(lambda areal: photon_dose(shield, areal, energy, fluence), shield, geometry, sides)
