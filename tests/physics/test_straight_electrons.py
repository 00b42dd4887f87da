"""The range of electrons: Eq. 3 by hand, Eq. 4 as its derivative, and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from xcal_jax.atomic import Material
from xcal_jax.physics.electrons.straight import (
    LEAST_ENERGY,
    Straight,
    energy_of_range,
    range_constant,
    scaled_range,
)
from xcal_jax.physics.geometry import Direction, Site, Stack


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def paper_range(material, energy, sign=1):
    """Eq. 3 in um, with the plus, or the minus that is printed."""
    x = np.log(energy)
    return 1e-2 / (material.density * material.z_over_a) * np.exp(-4.5467 + sign * 0.31104 * x + 0.07773 * x * x)


@pytest.mark.parametrize(("formula", "density"), [("Bi", 9.78), ("Au", 19.3), ("HgTe", 8.09), ("C", 2.0)])
def test_equation_3(formula, density):
    material = Material.build(formula, density)
    energy = np.geomspace(10, 1e5, 41)
    found = jax.vmap(scaled_range)(jnp.asarray(energy)) / range_constant(material.density, material.z_over_a)
    np.testing.assert_allclose(found, paper_range(material, energy), rtol=2e-6)


def test_the_printed_sign_is_wrong():
    """With the minus 5 keV electrons stop in Bi after 0.5 nm; with the plus after 0.1 um."""
    bismuth = Material.build("Bi", 9.78)
    assert paper_range(bismuth, 5e3, sign=-1) == pytest.approx(0.5e-3, rel=0.1)
    ours = float(scaled_range(jnp.asarray(5e3))) / range_constant(9.78, bismuth.z_over_a)
    assert ours == pytest.approx(0.1085, rel=5e-3)


@pytest.mark.parametrize("energy", [10.0, 123.0, 3e3, 7e3, 1e5])
def test_equation_4_is_the_derivative(energy, double):
    """dE/dR = E / (R (0.15546 ln E + 0.31104))."""
    slope = float(jax.grad(scaled_range)(energy))
    reach = float(scaled_range(energy))
    assert 1 / slope == pytest.approx(energy / (reach * (0.15546 * np.log(energy) + 0.31104)), rel=1e-10)
    assert float(jax.grad(energy_of_range)(reach)) == pytest.approx(1 / slope, rel=1e-9)


@pytest.mark.parametrize("energy", [500.0, 3e3, 7e3, 5e4])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_inverse_is_the_integral_of_equation_4(energy, share, double):
    """The energy left after a share of the range, against a Runge-Kutta integration of the stopping power."""
    reach = float(scaled_range(energy))

    def stopping(s, e):
        return -e / ((reach - s) * (0.15546 * np.log(e) + 0.31104))

    integral = solve_ivp(stopping, (0, share * reach), [energy], rtol=1e-10, atol=1e-8, method="DOP853").y[0, -1]
    assert float(energy_of_range(reach * (1 - share))) == pytest.approx(integral, rel=1e-7)


def test_round_trip():
    energy = np.geomspace(10, 1e5, 2001)
    there = jax.vmap(scaled_range)(jnp.asarray(energy, dtype=jnp.float32))
    np.testing.assert_allclose(jax.vmap(energy_of_range)(there), energy, rtol=1e-5)
    assert np.all(np.diff(there) > 0)


def test_round_trip_in_double(double):
    energy = jnp.geomspace(10, 1e5, 2001)
    np.testing.assert_allclose(jax.vmap(energy_of_range)(jax.vmap(scaled_range)(energy)), energy, rtol=1e-12)


def test_below_an_electronvolt_nothing_is_left():
    least = scaled_range(jnp.asarray(LEAST_ENERGY))
    for scaled in (0.0, -1e-9, float(least), 0.5 * float(least)):
        assert float(energy_of_range(jnp.asarray(scaled))) == 0.0
    assert float(energy_of_range(1.01 * least)) > 1.0
    assert float(scaled_range(jnp.asarray(0.0))) == float(least)
    assert np.isfinite(jax.grad(energy_of_range)(jnp.asarray(0.0)))


def test_deposits_by_layer(double):
    """What leaves the layers down to one, less what leaves those down to the next, is left in the next."""
    model = Straight(jnp.asarray([0.4, 0.4, 0.5]))
    thickness, density = np.array([0.1, 0.3, 0.2]), jnp.asarray([19.3, 9.8, 2.3])
    n, rng = 300, np.random.default_rng(1)
    d = rng.normal(size=(n, 3))
    d /= -np.linalg.norm(d, axis=1)[:, None] * np.sign(d[:, 2:])  # downwards
    at = [jnp.asarray(rng.uniform(-0.5, 0.5, n)) for _ in range(2)]
    site = Site(*at, jnp.asarray(rng.uniform(0, 0.1, n)), jnp.zeros(n, jnp.int32))
    way, energy = Direction(*jnp.asarray(d.T)), jnp.asarray(rng.uniform(1e3, 2e4, n))

    def leaving(layers):
        stack = Stack(jnp.asarray(thickness[:layers]), jnp.asarray(1.0), jnp.asarray(1.0))
        part = Straight(model.z_over_a[:layers])
        return jax.vmap(lambda s, d, e: part.escaping_energy(stack, density[:layers], s, d, e))(site, way, energy)

    stack = Stack(jnp.asarray(thickness), jnp.asarray(1.0), jnp.asarray(1.0))
    found = jax.vmap(lambda s, d, e: model.deposits(stack, density, s, d, e))(site, way, energy)
    after = [energy, *(leaving(layers) for layers in (1, 2, 3))]
    for layer in range(3):
        np.testing.assert_allclose(found[layer], after[layer] - after[layer + 1], atol=1e-6)
        assert np.mean(found[layer] > 0) > 0.1
