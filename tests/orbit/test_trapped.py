import numpy as np
import pytest

from xcal_jax.orbit.ephemeris import circular_position
from xcal_jax.orbit.trapped import (
    ENERGY_EDGES,
    FieldMap,
    differential_flux,
    drifted,
    geomagnetic_coordinates,
    integral_flux,
    spectrum_energies,
)

MODELS = [("proton", "min"), ("proton", "max"), ("electron", "min"), ("electron", "max")]


def thresholds(values: dict) -> list[tuple[str, float]]:
    return [(f"p{name}MeV", value) for name, value in values.items()]


@pytest.mark.parametrize("altitude", [500, 550])
@pytest.mark.parametrize("activity", ["min", "max"])
def test_orbit_averages_are_the_known_ones(five_days, reference, altitude, activity):
    known = reference["orbit_avg_integral_flux_cm-2_s-1"]
    flux = five_days(altitude, activity).isel(segment=0).named_flux
    for name, value in thresholds(known[f"AP8{activity.upper()}"][str(altitude)]):
        assert float(flux.sel(named=name)) == pytest.approx(value, rel=0.03)
    electrons = known[f"AE8{activity.upper()}_>1MeV"][str(altitude)]
    assert float(flux.sel(named="e>1MeV")) == pytest.approx(electrons, rel=0.03)


@pytest.mark.parametrize(("particle", "solar"), MODELS)
def test_flux_is_that_of_spacepy_point_by_point(particle, solar):
    irbem = pytest.importorskip("spacepy.irbempy", reason="spacepy is not installed")
    position = circular_position(550.0, 97.5, np.arange(0, 86400, 200.0))
    shell, ratio = geomagnetic_coordinates(position, particle, solar)
    energy = np.array([1.0, 10.0, 100.0] if particle == "proton" else [0.1, 1.0, 3.0])
    ours = integral_flux(shell, ratio, energy, particle, solar)
    inside = np.flatnonzero(ours[:, 0] > 0)
    assert len(inside) > 20
    compared = 0
    for i in inside[::2]:
        for column, value in enumerate(energy):
            theirs = irbem.get_AEP8(value, [ratio[i], shell[i]], model=solar, fluxtype="INT", particles=particle[0])
            if np.isnan(theirs):  # spacepy says so for none, and for electrons below L = 1.2
                assert ours[i, column] == 0 or (particle == "electron" and shell[i] < 1.2)
            else:
                compared += 1
                assert ours[i, column] == pytest.approx(theirs, rel=1e-3)
    assert compared > 20


@pytest.mark.slow
@pytest.mark.parametrize(("particle", "solar"), [("proton", "min"), ("proton", "max"), ("electron", "min")])
def test_map_of_the_field_keeps_averages(particle, solar):
    seconds = np.arange(0, 86400, 60.0)
    position = np.concatenate([circular_position(450.0, 97.5, seconds), circular_position(550.0, 97.5, seconds)])
    radius = np.linalg.norm(position, axis=1)
    energy = np.array([0.1, 10.0, 100.0] if particle == "proton" else [0.1, 1.0, 3.0])
    exact = integral_flux(*geomagnetic_coordinates(position, particle, solar), energy, particle, solar)
    field = FieldMap.build(radius.min() - 1, radius.max() + 1, particle, solar)
    mapped = integral_flux(*field(position), energy, particle, solar)
    np.testing.assert_allclose(mapped.mean(0), exact.mean(0), rtol=5e-3)


def test_open_field_lines_carry_nothing():
    shell, ratio = geomagnetic_coordinates([[-1304.2, 1319.2, -6675.5]], "proton", "min")
    assert np.isnan(shell[0])
    assert (integral_flux(shell, ratio, [10.0], "proton", "min") == 0).all()


def test_energy_outside_the_models_is_one_sentence():
    with pytest.raises(ValueError, match=r"`energy` of protons must lie in 0.1 to 300.0 MeV, but is 400.0 MeV"):
        integral_flux(np.array([1.5]), np.array([1.1]), [10, 400], "proton", "min")


@pytest.mark.parametrize("particle", ["proton", "electron"])
def test_differential_flux_keeps_the_integral(particle):
    edges = ENERGY_EDGES[particle]
    integral = 1e3 * np.exp(-edges / 90) + (0 if particle == "proton" else -1e3 * np.exp(-edges[-1] / 90))
    differential = differential_flux(integral, particle)
    width = np.diff(edges)
    beyond = differential[len(width) :]
    assert (differential[: len(width)] * width).sum() == pytest.approx(integral[0] - integral[-1], rel=1e-12)
    if particle == "proton":
        assert beyond.sum() * 25 == pytest.approx(integral[-1], rel=1e-12)
        energy = spectrum_energies("proton")[len(width) + 3]
        assert beyond[3] == pytest.approx(1e3 / 90 * np.exp(-energy / 90), rel=0.01)


def test_no_protons_give_no_spectrum():
    assert (differential_flux(np.zeros((2, 61)), "proton") == 0).all()


def test_drift_moves_the_anomaly_west():
    """The longitude of most protons at 550 km and 30 degrees south moves by 0.3 degrees times 61 years."""
    longitude = np.radians(np.arange(-180, 180, 2.0))
    south = np.radians(-30)
    place = 6928 * np.stack(
        [np.cos(south) * np.cos(longitude), np.cos(south) * np.sin(longitude), np.full(180, np.sin(south))],
        -1,
    )

    def centre(position):
        shell, ratio = geomagnetic_coordinates(position, "proton", "min")
        flux = integral_flux(shell, ratio, [10.0], "proton", "min")[:, 0]
        return np.degrees(np.angle((flux * np.exp(1j * longitude)).sum()))

    moved = centre(drifted(place, 2021.0, "proton", "min", 0.3)) - centre(place)
    assert moved == pytest.approx(-0.3 * 61, abs=0.5)
