"""Whole histories with Compton scattering on moving electrons: balance, energies after one scattering, vacancies."""

import numpy as np
import pytest

from tests.montecarlo.test_transport import check_balance, histories
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.atomic import load_element
from xcal_jax.constants import ELECTRON_REST_ENERGY as REST
from xcal_jax.physics import impulse


def slab(electrons, thickness):
    """Silicon, with everything that a photon can do."""
    return Absorber.build([("Si", thickness)], 1e4, 1e4, electrons=electrons, compton="impulse", rayleigh=True)


@pytest.fixture(scope="module")
def thin():
    """(ledger, energy) of 60 keV photons that meet 10 um of silicon."""
    return histories(slab("scattering", 10.0), Source.build(6e4), 4)[1:]


def energy_law(element, energy, cosine):
    """(energies (K,) eV, weight (K,)) of photons scattered at ``cosine``, from the double-differential formula."""
    line = energy / (1 + energy / REST * (1 - cosine))
    transfer = np.sqrt(energy**2 + line**2 - 2 * energy * line * cosine)
    slope = (transfer + line * (line - energy * cosine) / transfer) / energy
    after, weights = [], []
    for subshell in element.subshells:
        width = impulse.profile_width(subshell)
        p = np.linspace(-min(40 * width, 0.6), min(40 * width, 0.6), 2001)
        e = np.array(energy * np.ones_like(p))
        ratio, c = line / energy, cosine
        root = np.sqrt((1 - ratio) ** 2 + 2 * ratio * (1 - c) - (p * ratio) ** 2 * (1 - c**2))
        photon = e * ratio * (1 - p * p * ratio * c + p * root) / (1 - (p * ratio) ** 2)
        law = impulse.profile(width, np.abs(p)) * (1 + slope * np.clip(p, -0.2, 0.2)) * subshell.occupancy
        after.append(photon)
        weights.append(np.where(photon < energy - subshell.binding, law, 0.0) * (p[1] - p[0]))
    shape = (line / energy) ** 2 * (line / energy + energy / line - 1 + cosine**2)
    return np.concatenate(after), shape * np.concatenate(weights)


def test_everything_balances(thin):
    check_balance(*thin, np.finfo(np.float32).eps)


def test_photons_scattered_once(thin, agrees):
    """Their mean energy, and the share that loses more than a free electron can take: 11.4 keV."""
    ledger, energy = thin
    once = ledger.scattered & (ledger.escapes == 1) & (ledger.line == -1) & (ledger.by_photons < energy - 1)
    after = ledger.by_photons[once]
    node, weight = np.polynomial.legendre.leggauss(48)
    laws = [energy_law(load_element("Si"), 6e4, cosine) for cosine in node]
    photon = np.concatenate([law[0] for law in laws])
    share = np.concatenate([w * law[1] for w, law in zip(weight, laws, strict=True)])
    share /= share.sum()
    agrees(after.mean(), photon @ share, after.std() / np.sqrt(once.sum()), relative=1e-3)
    edge = 6e4 * (2 * 6e4 / REST) / (1 + 2 * 6e4 / REST)
    beyond = share[photon < 6e4 - edge].sum()
    agrees(np.mean(after < 6e4 - edge), beyond, np.sqrt(beyond / once.sum()), relative=0.02)
    assert beyond > 0.05


def test_the_vacancy_relaxes_and_the_electron_is_followed(thin):
    """A scattered photon may leave with the ion's K fluorescence, or with an electron beside it."""
    ledger, _ = thin
    assert np.sum(ledger.scattered & (ledger.escapes >= 2)) > 5
    assert np.sum(ledger.scattered & (ledger.by_electrons > 0)) > 100
