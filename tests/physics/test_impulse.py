"""The impulse approximation: profiles, kinematics, and the double-differential cross section that is sampled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.atomic import load_element
from xcal_jax.constants import ELECTRON_REST_ENERGY as REST
from xcal_jax.constants import FINE_STRUCTURE
from xcal_jax.physics import impulse
from xcal_jax.physics.photon_scattering import compton_energy, cross_section, klein_nishina

U = (np.arange(4096) + 0.5) / 4096


def momentum_of(energy, after, cosine):
    """The electron's momentum along the transfer, m c: conservation of energy and momentum, in double precision."""
    transfer = np.sqrt(energy**2 + after**2 - 2 * energy * after * cosine)
    return (energy * after * (1 - cosine) - REST * (energy - after)) / (REST * transfer)


def profile(subshell, momentum):
    """J(p) of one electron in 1 / (m c), written out."""
    j0 = subshell.compton_profile / FINE_STRUCTURE
    d = 2 * j0 * np.abs(momentum)
    return j0 * (1 + d) * np.exp(0.5 - 0.5 * (1 + d) ** 2)


@pytest.mark.parametrize("slope", [0.0, 2.7])
def test_integrals_of_the_profile(slope):
    """The closed integrals are the numerical ones, and the first is inverted; J(0) is the table's (Si K: 0.0635)."""
    subshell = load_element("Si").subshells[0]
    assert subshell.compton_profile == pytest.approx(0.0635, abs=5e-4)
    p = np.linspace(0, 0.8, 80_001)
    weight = profile(subshell, p) * (1 - slope * np.minimum(p, 0.2))
    steps = 0.5 * (weight[1:] + weight[:-1]) * np.diff(p)
    beyond = np.append(np.cumsum(steps[::-1])[::-1], 0.0)
    width = impulse.profile_width(subshell)
    np.testing.assert_allclose(impulse.weight_beyond(width, slope, p), beyond, atol=1e-7)
    np.testing.assert_allclose(impulse.profile(width, p), profile(subshell, p), rtol=1e-12)
    np.testing.assert_allclose(impulse.share_beyond(width, p), impulse.weight_beyond(width, 0.0, p), rtol=1e-12)
    found = jax.vmap(lambda u: impulse.size_beyond(jnp.asarray(width), u))(jnp.asarray(0.5 * U))
    np.testing.assert_allclose(impulse.share_beyond(width, np.asarray(found, float)), 0.5 * U, atol=2e-6)


@pytest.mark.parametrize("energy", [3e3, 6e4, 1.22e5, 9e5])
def test_photon_after_a_moving_electron(energy):
    """The photon's energy conserves momentum, is the Compton line for an electron at rest, and E - U at p_max."""
    with jax.enable_x64(True):
        cosine, momentum = np.meshgrid([-1.0, -0.3, 0.5, 0.99], [-0.2, -0.02, 0.0, 0.02, 0.1])
        doppler = np.vectorize(lambda c, p: float(impulse.doppler_energy(*map(jnp.asarray, (energy, c, p)))))
        after = doppler(cosine, momentum)
        np.testing.assert_allclose(momentum_of(energy, after, cosine), momentum, atol=1e-10)
        np.testing.assert_allclose(after[2], compton_energy(energy, cosine[2]), rtol=1e-12)
        most = impulse.largest_momentum(np.float64(energy), cosine[0], 1839.0)
        np.testing.assert_allclose(doppler(cosine[0], most), energy - 1839.0, rtol=1e-9)


@pytest.mark.parametrize(("symbol", "shell", "cosine"), [("Sn", 0, -1.0), ("Sn", 3, -0.2), ("Si", 5, -1.0)])
def test_energies_are_those_of_the_cross_section(symbol, shell, cosine):
    """Photons scattered by one subshell at one angle, 122 keV, against J(p) F(p) integrated up to p_max."""
    element, energy = load_element(symbol), 1.22e5
    subshell, model = element.subshells[shell], impulse.Impulse.build((element,))
    u, v = np.meshgrid(U[::8], U[::8])
    draw = jax.jit(jax.vmap(lambda u, v: model.scattered_energy(
        jnp.int32(shell), jnp.float32(energy), jnp.float32(cosine), u, v)))  # fmt: skip
    after = np.asarray(draw(jnp.asarray(u.ravel()), jnp.asarray(v.ravel())), float)
    assert after.max() <= energy - subshell.binding * (1 - 1e-5)
    line = compton_energy(energy, cosine)
    transfer = np.sqrt(energy**2 + line**2 - 2 * energy * line * cosine)
    slope = transfer / energy * (1 + line * (line - energy * cosine) / transfer**2)
    most = float(impulse.largest_momentum(np.float64(energy), np.float64(cosine), subshell.binding))
    p = np.linspace(max(-0.9, -60 * impulse.profile_width(subshell)), most, 400_001)
    law = profile(subshell, p) * (1 + slope * np.clip(p, -0.2, 0.2))
    summed = np.cumsum(law) / law.sum()
    exact = np.interp([0.1, 0.3, 0.5, 0.7, 0.9], summed, p)
    found = np.quantile(momentum_of(energy, after, cosine), [0.1, 0.3, 0.5, 0.7, 0.9])
    width = np.interp(0.9, summed, p) - np.interp(0.1, summed, p)
    np.testing.assert_allclose(found, exact, atol=0.015 * width)


def test_totals():
    """The sum over subshells is Klein-Nishina x Z for a large transfer, and EPDL97's total within 3 %."""
    for symbol, energy, percent in (("Si", 6e4, 3), ("Sn", 1.22e5, 3), ("Bi", 1e5, 3)):
        element = load_element(symbol)
        densities = impulse.Impulse.densities(element)
        total = sum(cross_section(density, np.array([energy]))[0] for density in densities)
        assert total == pytest.approx(float(element.incoherent(energy)), rel=percent / 100)
    light = load_element("Be")
    backwards = sum(d(np.array([[5e5]]), np.array([-1.0]))[0, 0] for d in impulse.Impulse.densities(light))
    assert backwards == pytest.approx(light.z * klein_nishina(5e5, -1.0), rel=1e-4)
    below = impulse.impulse_density(load_element("Bi").subshells[0], np.array([[9.0e4]]), np.array([-1.0, 0.0]))
    assert (below == 0).all()  # the K edge is at 90.5 keV


def test_recoil_conserves_momentum():
    """Across the photon's direction the electron carries as much as the photon, and all along it backwards."""
    energy, after, cosine = 1e5, 7.5e4, -0.4
    along = float(impulse.recoil_cosine(jnp.asarray(energy), jnp.asarray(after), jnp.asarray(cosine)))
    transfer = np.sqrt(energy**2 + after**2 - 2 * energy * after * cosine)
    assert transfer * np.sqrt(1 - along**2) == pytest.approx(after * np.sqrt(1 - cosine**2), rel=1e-4)
    assert float(impulse.recoil_cosine(jnp.asarray(1e5), jnp.asarray(7e4), jnp.asarray(-1.0))) == pytest.approx(1.0)
