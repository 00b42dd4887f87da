"""Solar protons: the published numbers of ESP, the cut-off, and their share of a dose."""

import dataclasses

import numpy as np
import pytest

from tests.conventions import faults
from tests.orbit.conftest import circular
from xcal_jax.orbit import dose_behind, mission_fluence, monthly_segments, parse_sectors, report
from xcal_jax.orbit.ephemeris import EQUATOR
from xcal_jax.orbit.flight import dose
from xcal_jax.orbit.solar_protons import (
    AIR,
    THRESHOLDS,
    esp_fluence,
    open_sky,
    rigidity_of,
    solar_fluences,
    spectrum,
    transmission,
)
from xcal_jax.orbit.trapped import ENERGY_EDGES, TAIL, spectrum_energies

YEARS = (1, 2, 3, 5, 7)
PUBLISHED = {  # ECSS-E-ST-10-04C Rev. 1, Table I-4: above MeV, confidence; 1/cm2 in so many YEARS
    (1, 0.50): (6.37e10, 1.46e11, 2.32e11, 4.07e11, 5.83e11),
    (1, 0.95): (2.43e11, 4.06e11, 5.48e11, 8.06e11, 1.05e12),
    (10, 0.50): (2.60e9, 7.07e9, 1.25e10, 2.52e10, 3.94e10),
    (10, 0.75): (7.55e9, 1.79e10, 2.90e10, 5.24e10, 7.63e10),
    (10, 0.90): (1.97e10, 4.11e10, 6.19e10, 1.01e11, 1.38e11),
    (10, 0.95): (3.51e10, 6.78e10, 9.75e10, 1.50e11, 1.97e11),
    (10, 0.99): (1.03e11, 1.73e11, 2.28e11, 3.15e11, 3.84e11),
    (30, 0.50): (3.26e8, 9.11e8, 1.65e9, 3.47e9, 5.62e9),
    (30, 0.95): (7.59e9, 1.57e10, 2.36e10, 3.87e10, 5.29e10),
    (100, 0.50): (1.98e7, 5.58e7, 1.02e8, 2.18e8, 3.57e8),
    (100, 0.90): (3.22e8, 7.34e8, 1.18e9, 2.12e9, 3.09e9),
    (100, 0.99): (3.12e9, 6.01e9, 8.69e9, 1.36e10, 1.80e10),
}


def test_fluences_are_the_published_ones():
    """Two of the 60 are of another rounding by 0.6 %."""
    for (energy, confidence), known in PUBLISHED.items():
        found = [esp_fluence(years, confidence)[THRESHOLDS == energy].item() for years in YEARS]
        np.testing.assert_allclose(found, known, rtol=0.006)


def test_the_spectrum_has_the_fluence_of_its_thresholds():
    """The sum of the bins above 1 MeV is the fluence above it; below there is nothing."""
    energy, found = spectrum_energies("proton"), spectrum(2.0, 0.9)
    edges = np.concatenate([ENERGY_EDGES["proton"], TAIL])
    fluence = (found * np.diff(edges))[energy > 1.0].sum()
    assert fluence == pytest.approx(esp_fluence(2.0, 0.9)[0], rel=1e-6)
    assert not found[energy < 1.0].any() and (found[energy > 1.0] > 0).all()


def test_what_arrives():
    """Two places: L = 2 has a cut-off of 4 GV, 3.17 GeV; beyond L = 5 and on open lines there is none.

    Half of the sky is open on top of the air, and the shadow of a sphere at twice its radius is 6.7 %.
    """
    assert rigidity_of(np.array([3170.0])) == pytest.approx(4.0, rel=1e-2)
    top = EQUATOR + AIR
    np.testing.assert_allclose(open_sky(np.array([top, 2 * top])), [0.5, 0.5 * (1 + np.sqrt(0.75))])
    positions = top * np.array([[1.0, 0, 0], [2.0, 0, 0], [0, 2.0, 0]])
    energy = np.array([100.0, 3000.0, 3300.0])
    shells = np.array([2.0, 6.0, np.nan])

    def field(block):
        return (shells[:1] if len(block) == 1 else shells[1:]), None

    found = transmission([positions[:1], positions[1:]], field, rigidity_of(energy))
    free = 2 * open_sky(np.array([2 * top]))[0]
    np.testing.assert_allclose(found, [free / 3, free / 3, (0.5 + free) / 3])


def test_active_years_share_the_fluence():
    """The quiet months of 2021 get none; two active months have the fluence of a year, shared by their days."""
    segments = monthly_segments("2021-06-01", "2022-06-01", "cycle")
    fluences = solar_fluences(segments, np.ones((12, 80)), 0.9)
    active = np.array([one.solar == "max" for one in segments])
    assert 0 < active.sum() < 12 and not fluences[~active].any()
    np.testing.assert_allclose(fluences.sum(0), spectrum(1.0, 0.9))
    np.testing.assert_allclose(spectrum(0.1, 0.9), spectrum(1.0, 0.9))
    assert not solar_fluences(segments[:3], np.ones((3, 80)), 0.9).any()


def test_solar_protons_are_a_term_of_the_dose(tmp_path):
    """The sums, the band with its two confidences, the file, and the numbers."""
    orbit = circular(550.0)
    late = dataclasses.replace(orbit, date=orbit.date + np.timedelta64(1461, "D"))
    with pytest.warns(UserWarning, match="those of a whole active year, since the mission has 0.014 of one"):
        fluence = mission_fluence(late, step=600.0, solar_protons=0.95, galactic=True)
    found = dose_behind(fluence, parse_sectors("Al:1mm,Pb:2.5mm"))
    one = found.isel(segment=0)
    assert float(one.tid) == pytest.approx(float(one.tid_proton + one.tid_electron + one.tid_solar + one.tid_galactic))
    trapped = float(one.tid_proton + one.tid_electron)
    assert float(one.tid_upper) == pytest.approx(2 * trapped + float(one.tid_solar + 1.3 * one.tid_galactic))
    low = fluence.assign(solar_proton_fluence=fluence.solar_proton_fluence_low)
    least = dose_behind(low, parse_sectors("Al:1mm,Pb:2.5mm")).isel(segment=0)
    assert float(one.tid_lower) == pytest.approx(trapped / 2 + float(least.tid_solar + one.tid_galactic / 1.3))
    assert 0 < float(least.tid_solar) < 0.01 * float(one.tid_solar)
    assert faults(found, tmp_path / "solar.nc") == []
    assert report(found)["tid_rad_solar"] == pytest.approx(float(one.tid_solar))
    assert report(found)["tid_rad_galactic"] == pytest.approx(float(one.tid_galactic))
    assert "ESP" in found.attrs["solar_protons"] and "Matthia" in found.attrs["galactic"]


def test_a_confidence_has_limits_and_needs_an_orbit(tmp_path):
    with pytest.raises(ValueError, match=r"`solar_protons` must be at least 0.5 and at most 0.99, but is 0.3"):
        mission_fluence(circular(550.0), solar_protons=0.3)
    with pytest.raises(ValueError, match="`solar_protons` and `galactic` need an orbit, but `fluxes` are given"):
        dose("Al:1mm", fluxes=tmp_path / "f.csv", solar_protons=0.9)
