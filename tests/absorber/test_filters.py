"""Filters in front: their transmission in closed form, and in all that they change: source, area, summary."""

import re

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import quad

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.filters import transmission
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.absorber.source import Source
from xcal_jax.atomic import Material
from xcal_jax.response.area import effective_area
from xcal_jax.response.rows import Row
from xcal_jax.simulation.counting import Prepared, Run

SHEETS = [{"material": "Al", "thickness": "0.3 um"}, {"material": "Au", "thickness": "5 um", "fill": 0.04}]
LAYERS = [("Au", "0.04 um"), ("Bi", "5.15 um"), ("Au", "1.22 um")]
BEHIND = Absorber.build(LAYERS, 269.5, 269.5, filters=SHEETS)


def passing(energy):
    mu = {
        symbol: 1e-4 * Material.build(symbol).density * Material.build(symbol).mass_attenuation(energy, rayleigh=False)
        for symbol in ("Al", "Au")
    }
    return np.exp(-0.3 * mu["Al"]) * (0.96 + 0.04 * np.exp(-5.0 * mu["Au"]))


def test_transmission_of_a_sheet_and_a_mesh():
    energy = np.array([1000.0, 3000.0, 7000.0])
    np.testing.assert_allclose(transmission(BEHIND.filters, energy), passing(energy), rtol=1e-12)
    np.testing.assert_array_equal(transmission([], energy), 1.0)
    slanted = transmission(BEHIND.filters[:1], energy, cosine=0.5)
    np.testing.assert_allclose(slanted, transmission(BEHIND.filters[:1], energy) ** 2, rtol=1e-12)


def test_filters_come_back_from_toml():
    assert Absorber.from_toml(BEHIND.to_toml()) == BEHIND != Absorber.build(LAYERS, 269.5, 269.5)
    assert "269.5 um, behind 0.3 um Al / 5 um Au on 4 % of the area, physics" in repr(BEHIND)


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        ({"material": "Xx", "thickness": 1.0}, "`filters.0` in absorber: element 'Xx'"),
        ({"material": "Al", "thickness": 1.0, "fill": 1.5}, "`filters.0.fill` in absorber must be"),
        ({"material": "Al"}, "filters.0"),
    ],
)
def test_impossible_filters(sheet, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Absorber.build(LAYERS, 1.0, 1.0, filters=[sheet])


@pytest.mark.parametrize("forced", [True, False])
def test_lines_are_drawn_as_they_pass(forced):
    """Each line's weight is multiplied by its transmission, and by its interaction where photons are to interact."""
    energy, weights = np.array([1000.0, 3000.0, 7000.0]), np.array([1.0, 2.0, 5.0])
    prepared = Prepared.build(Run.build(BEHIND, Source.build(energy, weights, forced=forced)))
    expected = weights * passing(energy) * (quantum_efficiency(BEHIND, energy) if forced else 1.0)
    np.testing.assert_allclose(prepared.drawn.weight, expected, rtol=1e-5)
    assert prepared.probability == pytest.approx(expected.sum() / weights.sum(), rel=1e-5)


@pytest.mark.exhaustive
def test_a_spectrum_keeps_the_edges_of_filters():
    """A flat spectrum about the K edge of aluminium: the mean probability is the integral over it."""
    low, high, edge = 1500.0, 1620.0, 1559.6
    prepared = Prepared.build(Run.build(BEHIND, Source.build(spectrum=(np.array([low, high]), np.ones(2)))))
    mean = sum(
        quad(lambda e: passing(e) * quantum_efficiency(BEHIND, np.array([e]))[0], a, b)[0]
        for a, b in ((low, edge), (edge, high))
    )
    assert prepared.probability == pytest.approx(mean / (high - low), rel=2e-5)


def test_area_has_the_absorbers_own_filters():
    low, high = np.array([990.0, 6990.0]), np.array([1010.0, 7010.0])
    response = xr.Dataset(
        {"low": ("energy", low), "high": ("energy", high), "interaction_probability": ("energy", [0.9, 0.8])},
        attrs={"absorber": BEHIND.to_toml()},
    )
    rows = [Row.build(np.ones(1), np.ones(1, bool), contained) for contained in (1.0, 0.5)]
    middle = 0.5 * (low + high)
    expected = 2.0 * passing(middle) * [0.9, 0.4]
    np.testing.assert_allclose(effective_area(response, rows, 2.0), expected, rtol=1e-12)
    more = effective_area(response, rows, 2.0, ["Al:0.3um"])
    alone = transmission(BEHIND.filters[:1], middle)
    np.testing.assert_allclose(more, expected * alone, rtol=1e-12)


def test_an_isotropic_source_is_not_filtered():
    with pytest.raises(ValueError, match="an isotropic source needs an absorber without `filters`"):
        Run.build(BEHIND, Source.build(7000.0, isotropic=True))
