"""Dose in silicon from the photons that electrons make in the shield, in JAX: a response to each energy of electrons.

Layers are infinite plates. Electrons are at a depth as `xcal_jax.orbit.electrons` has it, and radiate there as ESTAR
says, with the photon spectra of Seltzer and Berger (1986), and K x-rays. Photons leave with a mean cosine g to the
normal: that of the electrons (the energy they carry on over their fluence) times that of photons to an electron,
(1 + 3 g cosine) / 2. Over tau mean free paths come (B1 E1(tau) + 3 g B2 E2(tau)) / 2 of them; the buildup factor B1 of
a plane is PENELOPE's (``data/orbit/build_penelope.py``; Al, Sn and Pb, in ln Z between them). Depths are cut into
cells: what is radiated in one is exact, and so is the mean over it of E1 and E2. As in SHIELDOSE-2 the last material
goes on behind the silicon, and radiates back. A ray has 2 (D - t dD/dt), as for electrons.
"""

from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.orbit.characteristic import k_lines
from xcal_jax.orbit.electrons import (
    ENERGIES,
    current,
    depth_scales,
    kernel,
    residual,
    spectra_at,
)
from xcal_jax.orbit.material_tables import REST_ENERGY, log_interpolated, matter, transport_table
from xcal_jax.orbit.shielding import RAD, Paths

EVERY = 12  # of ENERGIES have a response here; it is linear between them
CELLS = 12
EVEN = np.linspace(0, 1, CELLS + 1)
EDGES = EVEN**3 / (EVEN**3 + (1 - EVEN) ** 3)  # of cells in a layer: thin at both faces
BEHIND = EVEN**4  # of cells behind the silicon: thin close to it
PHOTONS = np.geomspace(0.001, 6.9, 40)  # MeV
RADIATING = np.geomspace(0.03, 7.0, 60)  # MeV, of electrons at a depth
THINNEST = 1e-6  # mean free paths
THIN = 1e-4  # mean free paths of a cell over which E1 and E2 need no mean
SMALL = (0.00107857, -0.00976004, 0.05519968, -0.24991055, 0.99999193, -0.57721566)  # of E1 below 1
ABOVE = (1.0, 8.5733287401, 18.0590169730, 8.6347608925, 0.2677737343)  # of E1 from 1 on: numerator
BELOW = (1.0, 9.5733223454, 25.6329561486, 21.0996530827, 3.9584969228)  # denominator


@cache
def photon_energies(materials: tuple[str, ...]) -> Float[np.ndarray, " P"]:
    """Energies of the photons, MeV: ``PHOTONS``, and the K lines of ``materials``."""
    lines = [line for name in materials for line in k_lines(name, RADIATING)]
    return np.array([*PHOTONS, *dict.fromkeys(lines)])


def radiated(name: str, photons: Float[np.ndarray, " P"]) -> Float[np.ndarray, "R P"]:
    """Energy that an electron of ``RADIATING`` radiates in ``name`` at ``photons``, MeV cm2/g.

    photons: of `photon_energies`; those of ``PHOTONS`` stand for bins of ln(photon energy).
    """
    row = matter(name)
    known = np.log(row.radiating.values)
    at = np.array([np.interp(np.log(RADIATING), known, column) for column in row.photon_spectrum.values.T]).T
    fraction = PHOTONS / RADIATING[:, None]
    spectra = np.array([np.interp(one, row.fraction.values, of) for one, of in zip(fraction, at, strict=True)])
    spectra[fraction > 1] = 0.0
    loss = log_interpolated(RADIATING, row.electron_radiative)
    found = np.zeros((len(RADIATING), len(photons)))
    found[:, : len(PHOTONS)] = spectra * fraction * loss[:, None] * np.log(PHOTONS[1] / PHOTONS[0])
    for line, emitted in k_lines(name, RADIATING).items():
        found[:, list(photons).index(line)] += emitted
    return found


@cache
def emission(name: str, photons: tuple[float, ...]) -> Float[np.ndarray, "F X 3 2 P"]:
    """Energy that electrons of every twelfth of ``ENERGIES`` radiate in ``name`` up to a depth, MeV per electron/cm2.

    Parabolas between the X + 1 depths of the table: coefficients of 1, s and s^2, where s runs from 0 to 1. The first
    of two is radiated evenly; the second is that times the mean cosine of the photons.
    """
    depths = transport_table().depth.values
    with jax.ensure_compile_time_eval():
        logs = [residual("Al", jnp.full(len(ENERGIES), depth)) for depth in depths]
    log_energy = np.array(logs, float).T[::EVERY]  # (F, X + 1)
    dose, onwards = kernel("log_slab")[::EVERY], current()[::EVERY]
    stopping = log_interpolated(np.exp(log_energy), matter("Si").electron_collision)
    cosine = np.exp(np.minimum(onwards - log_energy - dose + np.log(stopping), 0.0))
    cosine *= np.interp(log_energy, np.log(RADIATING), photon_cosine())
    spectra = radiated(name, np.array(photons)).T
    of_electron = np.stack([np.interp(log_energy, np.log(RADIATING), of) for of in spectra], -1)  # (F, X + 1, P)
    fluence = np.exp(dose) / stopping / depth_scales((name,))[0, ::EVERY, None]  # per CSDA range of Al
    density = fluence[:, :, None, None] * np.stack([of_electron, cosine[:, :, None] * of_electron], 2)
    first, last = (part * (depths[1] - depths[0]) for part in (density[:, :-1], density[:, 1:]))
    before = np.cumsum((first + last) / 2, 1) - (first + last) / 2
    return np.stack([before, first, (last - first) / 2], 2)


def photon_cosine() -> Float[np.ndarray, " R"]:
    """Mean cosine of photons to an electron of ``RADIATING`` that sends them out evenly in its own frame."""
    gamma = 1 + RADIATING / REST_ENERGY
    beta = np.sqrt(1 - 1 / gamma**2)
    return 1 / beta - np.log((1 + beta) / (1 - beta)) / (2 * beta**2 * gamma**2)


def exponential_integral(tau: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """E1 to 2e-7 (Abramowitz and Stegun 5.1.53 and 5.1.56; `jax.scipy.special.exp1` takes minutes in float32)."""
    near, far = jnp.minimum(tau, 1.0), jnp.maximum(tau, 1.0)
    above, below = (jnp.polyval(jnp.asarray(terms, tau.dtype), far) for terms in (ABOVE, BELOW))
    small = jnp.polyval(jnp.asarray(SMALL, tau.dtype), near) - jnp.log(near)
    return jnp.where(tau < 1, small, jnp.exp(-far) / far * above / below)


def buildup(
    photons: Float[np.ndarray, " P"], atomic_number: Float[Array, ""], tau: Float[Array, "C P"]
) -> tuple[Float[Array, "C P"], Float[Array, "C P"]]:
    """Buildup factors of ``photons`` (MeV) over ``tau`` mean free paths of matter of ``atomic_number``.

    The first is of photons that leave evenly. The second, of the surplus along the normal, is less: the part of the
    scattered ones that it has is 0.3 to 0.8 in Al at 0.14, 1.2 and 2 MeV (PENELOPE), within 0.15 of what stands here.
    """
    table = transport_table()
    known = np.log(table.photon_energy.values)
    at = np.apply_along_axis(lambda of: np.interp(np.log(photons), known, of), 1, np.log(table.buildup.values))
    metals = jnp.asarray(np.log(table.atomic_number.values), tau.dtype)
    paths = jnp.asarray(table.paths.values, tau.dtype)
    factors = jnp.asarray(at.transpose(1, 2, 0), tau.dtype)  # (P, paths, metals)
    log_number = jnp.log(atomic_number)
    of_number = jax.vmap(jax.vmap(lambda of_metals: jnp.interp(log_number, metals, of_metals)))(factors)  # (P, paths)
    evenly = jnp.exp(jax.vmap(lambda row, at: jnp.interp(at, paths, row), (0, 1), 1)(of_number, tau))
    return evenly, 1 + (evenly - 1) * (0.3 + 0.5 * tau / (1 + tau))


def _up_to(depth: Float[Array, " F"], table: Float[Array, "F X 3 2 P"]) -> Float[Array, "F 2 P"]:
    """Energy radiated up to ``depth`` (CSDA ranges of Al), MeV; table: of `emission`."""
    steps = table.shape[1]
    place = jnp.clip(depth / float(transport_table().depth[1]), 0.0, float(steps))
    cell = jnp.minimum(place.astype(int), steps - 1)
    part = (place - cell.astype(depth.dtype))[:, None, None]
    at = jax.vmap(lambda of_energy, number: of_energy[number])(table, cell)
    return at[:, 0] + part * (at[:, 1] + part * at[:, 2])


def _mean_kernels(tau: Float[Array, "K P"]) -> tuple[Float[Array, "C P"], Float[Array, "C P"]]:
    """Means of E1 and E2 over the cells between neighbours of ``tau`` (mean free paths)."""
    tau = jnp.maximum(tau, THINNEST)
    first = exponential_integral(tau)
    second = jnp.exp(-tau) - tau * first
    third = (jnp.exp(-tau) - tau * second) / 2
    width = jnp.abs(tau[1:] - tau[:-1])

    def mean(of, integral):
        over = jnp.abs(integral[1:] - integral[:-1]) / jnp.maximum(width, THIN)
        return jnp.where(width > THIN, over, (of[1:] + of[:-1]) / 2)

    return mean(first, second), mean(second, third)


def _slab_responses(materials: tuple[str, ...], dtype) -> Callable[[Array], Float[Array, " F"]]:
    """Dose per electron/cm2 behind one side of a plate, rad, as a function of its areal densities.

    For every twelfth of ``ENERGIES``, over the square of the energy in MeV, which leaves what is smooth.
    """
    photons = photon_energies(materials)
    attenuation = jnp.asarray([log_interpolated(photons, matter(name).photon_attenuation) for name in materials], dtype)
    numbers = jnp.asarray(np.log([float(matter(name).mean_z) for name in materials]), dtype)
    scales = jnp.asarray(depth_scales(materials)[:, ::EVERY], dtype)
    tables = [jnp.asarray(emission(name, tuple(photons)), dtype) for name in materials]
    in_silicon = jnp.asarray(RAD * log_interpolated(photons, matter("Si").photon_absorption), dtype)
    over = jnp.asarray(ENERGIES[::EVERY] ** -2, dtype)
    edges, behind = jnp.asarray(EDGES, dtype), jnp.asarray(BEHIND, dtype)
    last = len(materials) - 1
    backing = float(transport_table().depth[-1]) / scales[last, -1]  # where the fastest electrons stop

    def of_cells(layer: int, depth: Float[Array, "K F"], tau: Float[Array, "K P"], number, forwards: float):
        """Response to what electrons radiate between neighbours of ``depth``, ``tau`` mean free paths away."""
        radiated = jnp.diff(jax.vmap(lambda one: _up_to(one, tables[layer]))(depth), axis=0)
        first, second = _mean_kernels(tau)
        evenly, along = buildup(photons, number, (tau[1:] + tau[:-1]) / 2)
        evenly, along = first * evenly * in_silicon[None, :] / 2, second * along * in_silicon[None, :] / 2
        dose = (radiated[:, :, 0] @ evenly[:, :, None])[..., 0]
        slanted = (radiated[:, :, 1] @ along[:, :, None])[..., 0]
        return jnp.maximum(dose + forwards * 3 * slanted, 0.0).sum(0)

    def responses(areal):
        number = jnp.exp(areal @ numbers / jnp.maximum(areal.sum(), jnp.finfo(dtype).tiny))
        total = jnp.zeros(scales.shape[1], dtype)
        for layer in range(len(materials)):
            before = jnp.where(jnp.arange(len(areal)) < layer, areal, 0.0) @ scales
            after = jnp.where(jnp.arange(len(areal)) > layer, areal, 0.0) @ attenuation
            depth = before[None, :] + edges[:, None] * areal[layer] * scales[layer][None, :]
            tau = after[None, :] + (1 - edges)[:, None] * areal[layer] * attenuation[layer][None, :]
            total += of_cells(layer, depth, tau, number, 1.0)
        depth = (areal @ scales)[None, :] + behind[:, None] * backing * scales[last][None, :]
        tau = behind[:, None] * backing * attenuation[last][None, :]
        return over * (total + of_cells(last, depth, tau, jnp.exp(numbers[last]), -1.0))

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

    between = jnp.asarray(np.arange(len(ENERGIES)) / EVERY, dtype)
    found = jnp.interp(between, jnp.arange(len(ENERGIES) // EVERY + 1, dtype=dtype), paths.mean(of_path))
    return found * jnp.asarray(ENERGIES**2, dtype)


def photon_doses(paths: Paths, energy: Float[Array, " E"], fluence: Float[Array, "S E"]) -> Float[Array, " S"]:
    """Dose in silicon from the photons that S omnidirectional fluences of electrons make in the shield, rad.

    energy: MeV. fluence: 1/(cm2 MeV).
    """
    return spectra_at(energy, fluence) @ photon_responses(paths)
