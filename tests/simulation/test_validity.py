"""What a run was compared with, and the sentences where it is outside of that."""

import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.atomic import load_element
from xcal_jax.simulation.validity import compton_share, validity


def absorber(physics, material="Bi"):
    return Absorber.build([(material, 5.0)], 100.0, 100.0, physics=physics)


@pytest.mark.parametrize(
    ("physics", "material", "low", "high", "words"),
    [
        ("paper", "Bi", 7e3, 7e3, []),
        ("paper", "Bi", 2e3, 1e4, []),
        ("paper", "Bi", 1e4, 1.01e4, ["at 10.1 keV losses by electrons are wrong by factors"]),
        ("paper", "Bi", 6e2, 7e3, ["at 0.6 keV half of the partial"]),
        ("paper", "Bi", 1e6, 1e6, ["at 1000 keV losses by electrons", "% of the cross section at 1000 keV"]),
        ("paper", "Si", 6e4, 6e4, ["at 60 keV losses by electrons", "Compton scattering is 5"]),
        ("full", "Si", 6e4, 6e4, []),
        ("full", "Bi", 300.0, 122e3, []),
        ("full", "Bi", 7e3, 1e6, ["above 122 keV: here 1e+06 eV"]),
        ("full", "Bi", 250.0, 7e3, ["below 300 eV or above 122 keV: here 250 eV"]),
    ],
)
def test_outside(physics, material, low, high, words):
    found = validity(absorber(physics, material), low, high).outside
    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))


def test_compared():
    """Each part of the physics has its sentence, and they differ between the paper's and the full."""
    paper, full = (validity(absorber(physics), 7e3, 7e3).compared for physics in ("paper", "full"))
    assert len(paper) == len(full) == 4
    assert [a != b for a, b in zip(paper, full, strict=True)] == [True, True, True, False]


def test_share_of_compton_scattering():
    element = load_element("Si")
    compton, absorbed = float(element.incoherent(6e4)), float(element.photoelectric(6e4))
    assert compton_share("Si", 6e4) == pytest.approx(compton / (compton + absorbed))
    assert compton_share("SiO2", 6e4) > compton_share("Si", 6e4) > 100 * compton_share("Bi", 7e3)
