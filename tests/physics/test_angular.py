"""Polar angles: Sauter's law of photoelectrons, Klein-Nishina with and without binding, form factors."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.atomic import load_element
from xcal_jax.constants import CLASSICAL_ELECTRON_RADIUS_SQUARED, ELECTRON_REST_ENERGY
from xcal_jax.physics.angular import AngularLaws
from xcal_jax.physics.photoelectric import sauter_density
from xcal_jax.physics.photon_scattering import (
    compton_density,
    compton_energy,
    cross_section,
    momentum_transfer,
    rayleigh_density,
)

U = (np.arange(200_000) + 0.5) / 200_000  # equal shares of the law: means without noise
NODE, WEIGHT = np.polynomial.legendre.leggauss(400)


def free_density(energy, cosine):
    """Klein-Nishina for one free electron, in barn."""
    ratio = 1 / (1 + energy / ELECTRON_REST_ENERGY * (1 - cosine))
    return np.pi * CLASSICAL_ELECTRON_RADIUS_SQUARED * ratio**2 * (ratio + 1 / ratio - 1 + cosine**2)


def cosines(laws, law, energy):
    u = jnp.asarray(U, dtype=jnp.float32)
    found = jax.vmap(lambda v: laws.sample_cosine(jnp.int32(law), jnp.asarray(energy, dtype=jnp.float32), v))(u)
    return np.asarray(found, dtype=np.float64)


@pytest.fixture(scope="module")
def elements():
    return [load_element(symbol) for symbol in ("Te", "Au", "Bi")]


@pytest.fixture(scope="module")
def laws(elements):
    """0 Sauter, 1 free electrons, 2-4 bound Compton, 5 Rayleigh on Au."""
    bound = [partial(compton_density, element) for element in elements]
    return AngularLaws.build(
        sauter_density,
        free_density,
        *bound,
        lambda energy, cosine: rayleigh_density(elements[1], energy, cosine),
    )


def test_sauter_moments(laws, reference):
    """Mean cosine, mean squared, forward share, 0.1 keV to 1 MeV."""
    for row in reference("sauter_gavrila_moments.csv"):
        mu = cosines(laws, 0, 1e3 * row["T_keV"])
        assert mu.mean() == pytest.approx(row["mean_cos"], abs=3e-4)
        assert np.mean(mu**2) == pytest.approx(row["mean_cos2"], abs=3e-4)
        assert np.mean(mu > 0) == pytest.approx(row["P_forward"], abs=3e-4)


@pytest.mark.parametrize(("kev", "mean"), [(1, 0.0500), (5, 0.1115), (10, 0.1572), (20, 0.2209)])
def test_sauter_density(kev, mean):
    density = sauter_density(1e3 * kev, NODE) * WEIGHT
    assert density @ NODE / density.sum() == pytest.approx(mean, abs=6e-5)


@pytest.mark.parametrize("energy", [1.0, 50.0, 1e3, 7e3, 1e5, 1e6])
def test_sauter_density_is_normalised(energy):
    """Its integral over the cosine is 1, from NumPy and from JAX, whose derivative is that of the logarithm."""
    assert sauter_density(energy, NODE) @ WEIGHT == pytest.approx(1.0, rel=1e-12)
    with jax.enable_x64(True):
        density, slope = jax.jvp(
            lambda e: sauter_density(e, jnp.asarray(NODE)), (jnp.asarray(energy),), (jnp.asarray(1.0),)
        )
        np.testing.assert_allclose(density, sauter_density(energy, NODE), rtol=1e-12)
        assert abs(slope @ WEIGHT) * energy < 1e-9


def test_free_klein_nishina(laws, reference):
    """Total, mean energy transfer and mean cosine of free electrons, 1 keV to 1 MeV."""
    for row in reference("klein_nishina_checks.csv"):
        energy = 1e3 * row["E_keV"]
        assert free_density(energy, NODE) @ WEIGHT == pytest.approx(1e24 * row["sigma_cm2_per_electron"], rel=1e-5)
        mu = cosines(laws, 1, energy)
        after = np.asarray(jax.vmap(compton_energy, (None, 0))(jnp.asarray(energy), jnp.asarray(mu, dtype=jnp.float32)))
        assert 1 - np.mean(after.astype(float)) / energy == pytest.approx(row["mean_T/E"], rel=1e-3, abs=2e-6)
        assert mu.mean() == pytest.approx(row["mean_cos"], abs=5e-4)


def test_bound_compton(laws, elements, reference):
    """Klein-Nishina x S(x): total per atom, mean loss, mean cosine, against the project's independent integration."""
    for row in reference("bound_compton_KN_S.csv"):
        law = [element.z for element in elements].index(int(row["Z"]))
        energy = 1e3 * row["E_keV"]
        total = cross_section(partial(compton_density, elements[law]), np.array([energy]))[0]
        assert total == pytest.approx(row["sigma_b_per_atom(KNxS)"], rel=0.02)
        mu = cosines(laws, 2 + law, energy)
        after = np.asarray(jax.vmap(compton_energy, (None, 0))(jnp.asarray(energy), jnp.asarray(mu, dtype=jnp.float32)))
        assert energy - np.mean(after.astype(float)) == pytest.approx(row["mean_Eloss_eV"], rel=0.01)
        assert mu.mean() == pytest.approx(row["mean_cos"], abs=0.01)


@pytest.mark.parametrize("energy", [100.0, 1234.5, 7e3, 1e5, 9.9e5])
def test_every_law_is_its_density(laws, elements, energy):
    """Quantiles against the density integrated: shares of twenty slices of the sphere, to 2e-3 of the whole."""
    densities = [
        sauter_density,
        free_density,
        *(partial(compton_density, element) for element in elements),
        lambda e, c: rayleigh_density(elements[1], e, c),
    ]
    edges = np.linspace(-1, 1, 21)
    node, weight = np.polynomial.legendre.leggauss(200)
    for law, density in enumerate(densities):
        share = np.array(
            [
                density(np.array([[energy]]), 0.5 * (a + b) + 0.5 * (b - a) * node)[0] @ weight
                for a, b in itertools.pairwise(edges)
            ]
        )
        found = np.histogram(cosines(laws, law, energy), bins=edges)[0] / U.size
        np.testing.assert_allclose(found, share / share.sum(), atol=2e-3)


def test_energy_after_scattering():
    """Forward nothing is lost; backward E / (1 + 2 E / mc2), 71.870563 keV at 100 keV."""
    energy = jnp.asarray(1e5)
    assert float(compton_energy(energy, jnp.asarray(1.0))) == 1e5
    assert float(compton_energy(energy, jnp.asarray(-1.0))) == pytest.approx(71870.563, rel=1e-6)


def test_momentum_transfer():
    """Backward at 12.398 keV: one inverse Angstrom."""
    assert momentum_transfer(12398.41984, -1.0) == pytest.approx(1)
    assert momentum_transfer(12398.41984, 0.0) == pytest.approx(np.sqrt(0.5))
    assert momentum_transfer(12398.41984, 1.0) == 0


@pytest.mark.parametrize(
    ("symbol", "energy", "barn"), [("Au", 5e3, 8.22), ("Au", 1e4, 15.27), ("Bi", 5e3, 8.86), ("Te", 1e4, 12.44)]
)
def test_bound_compton_totals(symbol, energy, barn):
    assert cross_section(partial(compton_density, load_element(symbol)), np.array([energy]))[0] == pytest.approx(
        barn, rel=0.02
    )
