"""What one end of a history adds to the sums, against the moments of photons and electrons written out."""

import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.expected.score import Electrons, Photons, book, nothing

THRESHOLDS = jnp.array([0.0, 50.0, 200.0])
LOSSES, PROBABILITIES = np.array([0.0, 100.0, 300.0]), np.array([0.5, 0.3, 0.2])  # of the electrons, eV
WEIGHT = 0.25


def sums(photon_energy: float):
    """The losses of an end whose electrons lose LOSSES, beside a photon of so many eV (0 for none)."""
    above = jnp.asarray([PROBABILITIES[t < LOSSES].sum() for t in np.asarray(THRESHOLDS)])
    electrons = Electrons(above, jnp.asarray(LOSSES @ PROBABILITIES), jnp.asarray(LOSSES**2 @ PROBABILITIES))
    number = jnp.int32(photon_energy > 0)
    photons = Photons(number, jnp.asarray(photon_energy), jnp.int32(3), jnp.asarray(False))
    return book(nothing(THRESHOLDS), jnp.asarray(WEIGHT), photons, electrons, THRESHOLDS)


@pytest.mark.parametrize("photon_energy", [0.0, 2422.5])
def test_moments_are_those_of_the_sum_of_photon_and_electrons(photon_energy):
    total = LOSSES + photon_energy
    losses = sums(photon_energy).losses
    assert float(losses.mean_loss) == pytest.approx(WEIGHT * total @ PROBABILITIES, rel=1e-6)
    assert float(losses.mean_square_loss) == pytest.approx(WEIGHT * total**2 @ PROBABILITIES, rel=1e-6)
    above = [WEIGHT * PROBABILITIES[total > t].sum() for t in np.asarray(THRESHOLDS)]
    np.testing.assert_allclose(losses.loss_above, above, rtol=1e-6)


def test_losses_are_told_apart_by_what_left():
    alone, beside = sums(0.0).losses, sums(2422.5).losses
    assert [float(x) for x in (alone.photon_escape, alone.electron_escape, alone.both)] == pytest.approx([0, 0.125, 0])
    assert [float(x) for x in (beside.photon_escape, beside.electron_escape, beside.both)] == pytest.approx(
        [0.125, 0, 0.125]
    )
    assert int(sums(0.0).singles) == 0 and int(sums(2422.5).singles) == 1
