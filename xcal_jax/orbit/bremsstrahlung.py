"""Dose in silicon from the bremsstrahlung of electrons in the shield, in JAX: a response to each energy of electrons.

Layers are infinite plates. Electrons are at a depth as `xcal_jax.orbit.electrons` has it, and radiate there as ESTAR
says, with the photon spectra of Seltzer and Berger (1986). Photons leave with a mean cosine g to the normal: that of
the electrons (the energy they carry on over their fluence) times that of photons to an electron, (1 + 3 g cosine) / 2.
Over tau mean free paths come (B1 E1(tau) + 3 g B2 E2(tau)) / 2 of them; the buildup factor B1 of a plane is PENELOPE's
(``data/orbit/build_penelope.py``; Al, Sn and Pb, in ln Z between them). As in SHIELDOSE-2 the last material goes on
behind the silicon, and radiates back. A ray has 2 (D - t dD/dt), as for electrons.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.orbit.electrons import (
    ENERGIES,
    NOTHING,
    at_depth,
    current,
    depth_scales,
    kernel,
    residual,
    spectra_at,
)
from xcal_jax.orbit.material_tables import REST_ENERGY, log_interpolated, matter, transport_table
from xcal_jax.orbit.shielding import RAD, Paths

EVEN, EVEN_WEIGHTS = np.polynomial.legendre.leggauss(16)
EVEN, EVEN_WEIGHTS = (EVEN + 1) / 2, EVEN_WEIGHTS / 2
BOTH = EVEN**3 + (1 - EVEN) ** 3  # nodes in a layer lie close to both faces, those behind the silicon close to it
NODES, NODE_WEIGHTS = EVEN**3 / BOTH, EVEN_WEIGHTS * 3 * (EVEN * (1 - EVEN)) ** 2 / BOTH**2
BEHIND, BEHIND_WEIGHTS = EVEN**4, EVEN_WEIGHTS * 4 * EVEN**3
PHOTONS = np.geomspace(0.001, 6.9, 64)  # MeV
RADIATING = np.geomspace(0.03, 7.0, 60)  # MeV, of electrons at a depth
THINNEST = 1e-6  # mean free paths
SMALL = (0.00107857, -0.00976004, 0.05519968, -0.24991055, 0.99999193, -0.57721566)  # of E1 below 1
ABOVE = (1.0, 8.5733287401, 18.0590169730, 8.6347608925, 0.2677737343)  # of E1 from 1 on: numerator
BELOW = (1.0, 9.5733223454, 25.6329561486, 21.0996530827, 3.9584969228)  # denominator


def radiated(name: str) -> Float[np.ndarray, "R P"]:
    """Energy that an electron of ``RADIATING`` radiates at ``PHOTONS``, 1/(g/cm2) in each bin of ln(photon energy)."""
    row = matter(name)
    known = np.log(row.radiating.values)
    at = np.array([np.interp(np.log(RADIATING), known, column) for column in row.photon_spectrum.values.T]).T
    fraction = PHOTONS / RADIATING[:, None]
    spectra = np.array([np.interp(one, row.fraction.values, of) for one, of in zip(fraction, at, strict=True)])
    spectra[fraction > 1] = 0.0
    loss = log_interpolated(RADIATING, row.electron_radiative)
    return spectra * fraction * loss[:, None] * np.log(PHOTONS[1] / PHOTONS[0])


def photon_cosine() -> Float[np.ndarray, " R"]:
    """Mean cosine of photons to an electron of ``RADIATING`` that sends them out evenly in its own frame."""
    gamma = 1 + RADIATING / REST_ENERGY
    beta = np.sqrt(1 - 1 / gamma**2)
    return 1 / beta - np.log((1 + beta) / (1 - beta)) / (2 * beta**2 * gamma**2)


def exponential_integral(tau: Float[Array, " P"]) -> Float[Array, " P"]:
    """E1 to 2e-7 (Abramowitz and Stegun 5.1.53 and 5.1.56; `jax.scipy.special.exp1` takes minutes in float32)."""
    near, far = jnp.minimum(tau, 1.0), jnp.maximum(tau, 1.0)
    above, below = (jnp.polyval(jnp.asarray(terms, tau.dtype), far) for terms in (ABOVE, BELOW))
    small = jnp.polyval(jnp.asarray(SMALL, tau.dtype), near) - jnp.log(near)
    return jnp.where(tau < 1, small, jnp.exp(-far) / far * above / below)


def buildup(atomic_number: Float[Array, ""], tau: Float[Array, " P"]) -> tuple[Float[Array, " P"], Float[Array, " P"]]:
    """Buildup factors at ``PHOTONS`` over ``tau`` mean free paths of matter of ``atomic_number``.

    The first is of photons that leave evenly. The second, of the surplus along the normal, is less: the part of the
    scattered ones that it has is 0.3 to 0.8 in Al at 0.14, 1.2 and 2 MeV (PENELOPE), within 0.15 of what stands here.
    """
    table = transport_table()
    known = np.log(table.photon_energy.values)
    at = np.apply_along_axis(lambda of: np.interp(np.log(PHOTONS), known, of), 1, np.log(table.buildup.values))
    metals = jnp.asarray(np.log(table.atomic_number.values), tau.dtype)
    paths = jnp.asarray(table.paths.values, tau.dtype)
    factors = jnp.asarray(at.transpose(1, 2, 0), tau.dtype)  # (P, paths, metals)

    def one(of_photon, tau):
        of_metal = jax.vmap(lambda column: jnp.interp(tau, paths, column), 1)(of_photon)
        return jnp.interp(jnp.log(atomic_number), metals, of_metal)

    evenly = jnp.exp(jax.vmap(one)(factors, tau))
    return evenly, 1 + (evenly - 1) * (0.3 + 0.5 * tau / (1 + tau))


def _slab_responses(materials: tuple[str, ...], dtype) -> Callable[[Array], Float[Array, " F"]]:
    """Dose per electron/cm2 of ``ENERGIES`` behind one side of a plate, rad, as a function of its areal densities."""
    photons = [jnp.asarray(log_interpolated(PHOTONS, matter(name).photon_attenuation), dtype) for name in materials]
    attenuation = jnp.stack(photons)
    numbers = jnp.asarray(np.log([float(matter(name).mean_z) for name in materials]), dtype)
    scales = jnp.asarray(depth_scales(materials), dtype)
    dose, onwards = jnp.asarray(kernel("log_slab"), dtype), jnp.asarray(current(), dtype)
    stopping = jnp.asarray(log_interpolated(RADIATING, matter("Si").electron_collision), dtype)
    log_radiating, cosine = jnp.asarray(np.log(RADIATING), dtype), jnp.asarray(photon_cosine(), dtype)
    in_silicon = jnp.asarray(RAD * log_interpolated(PHOTONS, matter("Si").photon_absorption), dtype)
    spectra = [jnp.asarray(radiated(name), dtype) for name in materials]
    last = len(materials) - 1
    backing = float(transport_table().depth[-1]) / scales[last, -1]  # where the fastest electrons stop

    def from_node(layer: int, depth, tau, number, forwards: float):
        """Response per g/cm2 at ``depth``, from where ``tau`` mean free paths lead to the silicon."""
        tau = jnp.maximum(tau, THINNEST)
        first = exponential_integral(tau)
        second = jnp.exp(-tau) - tau * first
        evenly, along = (factor * in_silicon / 2 for factor in buildup(number, tau))
        log_energy = residual("Al", depth)

        def at_energy(of_radiating):
            return jnp.interp(log_energy, log_radiating, of_radiating)

        log_dose = at_depth(dose, depth, NOTHING)
        log_mean = at_depth(onwards, depth, NOTHING) - log_energy - log_dose + jnp.log(at_energy(stopping))
        slant = jnp.exp(jnp.minimum(log_mean, 0.0)) * at_energy(cosine)
        fluence = jnp.exp(log_dose) / at_energy(stopping)
        evenly, along = spectra[layer] @ (evenly * first), spectra[layer] @ (along * second)
        return fluence * jnp.maximum(at_energy(evenly) + forwards * 3 * slant * at_energy(along), 0.0)

    def responses(areal):
        number = jnp.exp(areal @ numbers / jnp.maximum(areal.sum(), jnp.finfo(dtype).tiny))
        nodes, weights = jnp.asarray(NODES, dtype), jnp.asarray(NODE_WEIGHTS, dtype)
        total = jnp.zeros(len(ENERGIES), dtype)
        for layer in range(len(materials)):
            before = jnp.where(jnp.arange(len(areal)) < layer, areal, 0.0)
            behind = jnp.where(jnp.arange(len(areal)) > layer, areal, 0.0)

            def in_layer(node, layer=layer, before=before, behind=behind):
                depth = before @ scales + node * areal[layer] * scales[layer]
                tau = behind @ attenuation + (1 - node) * areal[layer] * attenuation[layer]
                return from_node(layer, depth, tau, number, 1.0)

            total += areal[layer] * (weights @ jax.vmap(in_layer)(nodes))

        def in_backing(node):
            depth = areal @ scales + node * backing * scales[last]
            return from_node(last, depth, node * backing * attenuation[last], jnp.exp(numbers[last]), -1.0)

        return total + backing * (jnp.asarray(BEHIND_WEIGHTS, dtype) @ jax.vmap(in_backing)(jnp.asarray(BEHIND, dtype)))

    return responses


def photon_responses(paths: Paths) -> Float[Array, " F"]:
    """Dose by photons, rad, per electron/cm2 of ``ENERGIES`` from all sides."""
    dtype = paths.areal.dtype
    if not paths.materials:
        return jnp.zeros(len(ENERGIES), dtype)
    of_slab = _slab_responses(paths.materials, dtype)

    def of_path(areal):
        value, slope = jax.jvp(lambda scale: of_slab(scale * areal), (jnp.ones((), dtype),), (jnp.ones((), dtype),))
        return 2 * (value - slope)

    return paths.mean(of_path)


def photon_doses(paths: Paths, energy: Float[Array, " E"], fluence: Float[Array, "S E"]) -> Float[Array, " S"]:
    """Dose in silicon from the photons that S omnidirectional fluences of electrons make in the shield, rad.

    energy: MeV. fluence: 1/(cm2 MeV).
    """
    return spectra_at(energy, fluence) @ photon_responses(paths)
