"""Dose in silicon by electrons that scatter in the shield, in JAX: a response to each energy.

How much comes to a depth is PENELOPE's, for electrons of 0.1 to 7 MeV in aluminium (``data/orbit/build_penelope.py``):
D(E, x) at the depth x, in CSDA ranges, behind one side of a half-space in an isotropic flux. On one ray through t g/cm2
it is K = 2 (D - t dD/dt), whose average over a slab is D (Seltzer 1980, SHIELDOSE). In other materials a depth counts
by its part of the extrapolated range. PENELOPE has 1.2 to 1.5 times that dose in the midst of lead, whose electrons are
scattered back, and several times where it has fallen to a hundredth: there the photons and the protons lead.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.orbit.material_tables import extrapolated_range, log_interpolated, matter, transport_table
from xcal_jax.orbit.shielding import RAD, Paths, damage_at, spectrum_at

ENERGIES = np.geomspace(0.04, 7.0, 241)  # MeV, incident
WITHIN = 8  # steps from one to the next, over which a spectrum is folded: where it ends, the end counts
DETOUR = 2.0  # path over depth: with it they radiate what ESTAR says, less what a tenth that returns carries off
LEAST = 0.03  # MeV, the residual energy of electrons at the end of their range
NOTHING = -80.0  # logarithm of a dose that is none


def spectra_at(energy: Float[Array, " E"], fluence: Float[Array, "S E"]) -> Float[Array, "S F"]:
    """Electrons that belong to each of ``ENERGIES``, 1/cm2: a response is linear in ln E from one to the next."""
    count = len(ENERGIES) - 1
    fine = np.geomspace(ENERGIES[0], ENERGIES[-1], WITHIN * count + 1)
    steps = fine * np.log(fine[1] / fine[0])
    steps[[0, -1]] /= 2
    at, steps = jnp.asarray(np.log(fine), fluence.dtype), jnp.asarray(steps, fluence.dtype)
    upper = jnp.asarray(np.arange(WITHIN) / WITHIN, fluence.dtype)

    def one(spectrum):
        number = spectrum_at(at, energy, spectrum) * steps
        between = number[:-1].reshape(count, WITHIN)
        return jnp.append(between @ (1 - upper), number[-1]).at[1:].add(between @ upper)

    return jax.vmap(one)(fluence)


def depth_scales(materials: tuple[str, ...]) -> Float[np.ndarray, "L F"]:
    """Depth in CSDA ranges of aluminium for each g/cm2 of ``materials``, cm2/g, at ``ENERGIES``."""
    table = matter("Al").electron_energy
    aluminium = log_interpolated(ENERGIES, matter("Al").electron_range)
    own = [log_interpolated(ENERGIES, table.copy(data=extrapolated_range(name))) for name in ("Al", *materials)]
    return np.array([own[0] / (aluminium * one) for one in own[1:]]).reshape(len(materials), len(ENERGIES))


def _at_energies(values: Float[np.ndarray, "T X"]) -> Float[np.ndarray, "F X"]:
    """Rows of PENELOPE's table at ``ENERGIES``: linear in ln E between them, the first row's form below."""
    known = np.log(transport_table().electron_energy.values)
    return np.array([np.interp(np.log(ENERGIES), known, column) for column in values.T]).T


def kernel(name: str) -> Float[np.ndarray, "F X"]:
    """Logarithm of the dose per electron/cm2 at depths of the table, MeV/g: name "log_ray" (K) or "log_slab" (D)."""
    table = transport_table()
    lowest = float(table.electron_energy[0])
    stopping = log_interpolated(np.array([*ENERGIES, lowest]), matter("Si").electron_collision)
    below = np.where(ENERGIES < lowest, np.log(stopping[:-1] / stopping[-1]), 0.0)
    return _at_energies(table[name].values) + below[:, None]


def current() -> Float[np.ndarray, "F X"]:
    """Logarithm of the energy that goes on at depths of the table, MeV per electron/cm2."""
    table = transport_table()
    onwards = np.log(np.maximum(table.current.values, np.exp(NOTHING)))
    below = np.log(np.minimum(ENERGIES / float(table.electron_energy[0]), 1))
    return _at_energies(onwards) + below[:, None]


def at_depth(table: Float[Array, "F X"], depth: Float[Array, " F"], beyond: float) -> Float[Array, " F"]:
    """Rows of ``table`` at ``depth`` (CSDA ranges), linear; ``beyond``: past its last depth."""
    depths = jnp.asarray(transport_table().depth.values, depth.dtype)
    return jax.vmap(lambda row, x: jnp.interp(x, depths, row, right=beyond))(table, depth)


def residual(name: str, depth: Float[Array, " F"]) -> Float[Array, " F"]:
    """Logarithm of the energy (MeV) with which electrons are at ``depth``, their paths `DETOUR` times as long."""
    row = matter(name)
    start = jnp.asarray(log_interpolated(ENERGIES, row.electron_range), depth.dtype)
    least = float(log_interpolated(np.array([LEAST]), row.electron_range)[0])
    left = jnp.log(jnp.maximum(start * (1 - DETOUR * depth), least))
    logs = (jnp.asarray(np.log(row[f"electron_{part}"].values), depth.dtype) for part in ("range", "energy"))
    return jnp.interp(left, *logs)


def _damage_over_dose(dtype) -> tuple[Array, Array]:
    """Logarithm of energy, and 1 MeV neutrons/cm2 of damage over MeV/g of dose by electrons of that energy in Si."""
    row = matter("Si")
    energy = row.electron_energy.values
    ratio = damage_at("electron", energy) / row.electron_collision.values
    return jnp.asarray(np.log(energy), dtype), jnp.asarray(ratio, dtype)


def electron_responses(paths: Paths) -> Float[Array, "2 F"]:
    """Dose, rad, and damage, 1 MeV neutrons/cm2, per electron/cm2 of ``ENERGIES`` from all sides."""
    dtype = paths.areal.dtype
    table, scales = jnp.asarray(kernel("log_ray"), dtype), jnp.asarray(depth_scales(paths.materials), dtype)
    ratios = _damage_over_dose(dtype)

    def of_path(areal):
        depth = areal @ scales if paths.materials else jnp.zeros(len(ENERGIES), dtype)
        dose = jnp.exp(at_depth(table, depth, NOTHING))
        return jnp.stack([RAD * dose, dose * jnp.interp(residual("Al", depth), *ratios)])

    return paths.mean(of_path)


def electron_doses(paths: Paths, energy: Float[Array, " E"], fluence: Float[Array, "S E"]) -> Float[Array, "S 2"]:
    """Ionising dose, rad, and displacement damage, 1 MeV neutrons/cm2, of S omnidirectional fluences of electrons.

    energy: MeV. fluence: 1/(cm2 MeV). Differentiable in ``paths.areal`` and ``fluence``.
    """
    return spectra_at(energy, fluence) @ electron_responses(paths).T
