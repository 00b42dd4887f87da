"""The tables of an absorber: what a photon hits, and how many interact in each layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter, collision_probability, interaction_by_layer, quantum_efficiency


@pytest.mark.parametrize(
    ("layers", "rayleigh", "energy", "percent", "tolerance"),
    [
        ([("Au", 0.04, 19.3), ("Bi", 5.15, 9.78), ("Au", 1.22, 19.3)], False, 7e3, 90.25, 0.06),
        ([("Au", 0.04, 19.3), ("Bi", 5.15, 9.78), ("Au", 1.22, 19.3)], True, 7e3, 90.66, 0.05),
        ([("Au", 1.05, 19.3), ("Bi", 5.51, 9.78)], True, 7e3, 90.65, 0.05),
        ([("Bi", 3.0, 9.78)], True, 6e3, 75.9, 0.1),
    ],
)
def test_probability_of_a_collision(layers, rayleigh, energy, percent, tolerance):
    """Rayleigh scattering is a collision, and no interaction."""
    absorber = Absorber.build(layers, 269.5, 269.5, rayleigh=rayleigh)
    found = collision_probability(absorber, [energy])[0]
    assert 100 * found == pytest.approx(percent, abs=tolerance)
    without = quantum_efficiency(Absorber.build(layers, 269.5, 269.5, rayleigh=False), [energy])[0]
    assert quantum_efficiency(absorber, [energy])[0] == without
    assert found == without if not rayleigh else found > without


def test_energies_with_units():
    """Arrays of astropy as well, whose numbers alone would be read as eV."""
    in_ev = quantum_efficiency("xifu", np.array([7000.0, 70000.0]))
    for given in (np.array([7.0, 70.0]) * units.keV, [7.0 * units.keV, "70 keV"], "7 keV, 70 keV"):
        np.testing.assert_array_equal(quantum_efficiency("xifu", given), in_ev)
    assert quantum_efficiency("xifu", 7.0 * units.keV) == in_ev[0]
    with pytest.raises(ValueError, match="`energy` must hold numbers"):
        quantum_efficiency("xifu", np.array([7.0]) * units.um)


def test_interactions_by_layer():
    """A layer has what the layers down to it take of the photons less what those above it take."""
    layers, energy = [("Au", 0.5), ("HgTe", 2.0), ("Si", 3.0), ("Bi", 4.0)], np.array([300.0, 3e3, 1.2e4, 8e4])
    found = interaction_by_layer(Absorber.build(layers, 100.0, 100.0, rayleigh=True), energy)
    assert found.shape == (4, 4)
    parts = [quantum_efficiency(Absorber.build(layers[: n + 1], 100.0, 100.0, rayleigh=True), energy) for n in range(4)]
    np.testing.assert_allclose(found, np.diff(parts, axis=0, prepend=0.0).T, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), parts[-1], rtol=1e-12)


def test_a_hit_is_decoded():
    """Subshells, then Compton, then Rayleigh scattering on each element, with the angular law of each."""
    matter = Matter.build(Absorber.build([("HgTe", 2.0), ("Au", 1.0)], 100.0, 100.0, rayleigh=True))
    s, n = matter.relaxation.subshells, matter.relaxation.elements
    hit = jax.vmap(matter.hit)(jnp.arange(s + 2 * n, dtype=jnp.int32))
    assert n == 3 and matter.angles.cosine.shape[0] == 1 + 2 * n
    np.testing.assert_array_equal(hit.ejects, np.arange(s + 2 * n) < s)
    np.testing.assert_array_equal(hit.coherent, np.arange(s + 2 * n) >= s + n)
    np.testing.assert_array_equal(hit.subshell[:s], np.arange(s))
    np.testing.assert_array_equal(hit.scatters, ~np.asarray(hit.ejects))
    np.testing.assert_array_equal(hit.law, [0] * s + list(range(1, 1 + 2 * n)))


def test_a_hit_on_a_moving_electron_is_decoded():
    """Subshells that absorb, the same that scatter and are ionised as well, then Rayleigh scattering."""
    absorber = Absorber.build([("Au", 1.0)], 100.0, 100.0, compton="impulse", rayleigh=True)
    matter = Matter.build(absorber)
    s = matter.relaxation.subshells
    hit = jax.vmap(matter.hit)(jnp.arange(2 * s + 1, dtype=jnp.int32))
    np.testing.assert_array_equal(hit.ejects, [True] * 2 * s + [False])
    np.testing.assert_array_equal(hit.scatters, [False] * s + [True] * (s + 1))
    np.testing.assert_array_equal(hit.coherent, [False] * 2 * s + [True])
    np.testing.assert_array_equal(hit.subshell[: 2 * s], [*range(s), *range(s)])
    np.testing.assert_array_equal(hit.law, [0] * s + list(range(1, s + 2)))
