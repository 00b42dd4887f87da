"""Light at an angle and of several lines: first interactions beside sums over rays, the Monte Carlo, differences."""

from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.expected.estimate import differences, estimate, run, scrambled
from xcal_jax.expected.incidence import first_interactions, incident_direction
from xcal_jax.expected.observables import Observables
from xcal_jax.expected.parameters import Parameters, names, parameter_values
from xcal_jax.expected.photons import attenuation
from xcal_jax.expected.random_numbers import SITE_NUMBERS
from xcal_jax.expected.tables import Tables
from xcal_jax.physics.layers import depth_in_stack
from xcal_jax.simulation.results import summary
from xcal_jax.simulation.simulate import simulate

ENERGY = 7000.0
RAYS = 256  # along x and along y
NARROW = Absorber.build([("Bi2Te3", 2.0), ("Au", 1.5)], 15.0, 12.0)
LIGHT = {
    "slanting": {"angle": 55.0, "azimuth": 200.0},
    "grazing": {"angle": 78.0, "azimuth": 200.0},
    "to one point": {"at": (2.0, -1.0), "angle": 40.0, "azimuth": 200.0},
    "through a side": {"at": (-6.9, 1.0), "angle": 60.0, "azimuth": 200.0},
}
ALONG = {"thickness[0]": 0.3, "density[1]": -0.5, "density[0]": 0.4, "width": 0.7, "angle": -0.2}  # of each, at once
SMOOTH = "1 x depth".split()  # functions of the site whose means are compared


@pytest.fixture(scope="module")
def tables():
    """By electron model."""
    with jax.enable_x64(True):
        return {model: Tables.build(replace(NARROW, electrons=model)) for model in ("range", "scattering")}


def parameters_of(light, energy=ENERGY):
    """Of the narrow stack."""
    with jax.enable_x64(True):
        return Parameters.of_source(NARROW, Source.build(energy, **light))


def sum_over_rays(point, mu):
    """(P by layer, mean of each of `SMOOTH`), by the midpoint rule over rays and 8 Gaussian nodes in each layer of one.

    mu: 1/um.
    """
    angle, azimuth = np.radians(float(point.angle or 0.0)), np.radians(point.azimuth)
    way = np.sin(angle) * np.array([np.cos(azimuth), np.sin(azimuth)]) / np.cos(angle)  # aside for a um of depth
    middle = (np.arange(RAYS) + 0.5) / RAYS - 0.5
    if point.uniform:
        x, y = (np.ravel(a) for a in np.meshgrid(middle * float(point.width), middle * float(point.length)))
    else:
        x, y = np.array([float(point.x)]), np.array([float(point.y)])
    half = float(point.width) / 2, float(point.length) / 2
    out = [(h - np.sign(k) * a) / abs(k) for k, h, a in zip(way, half, (x, y), strict=True)]
    deepest, top, tau = np.minimum(*out), 0.0, np.zeros_like(x)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    by_layer, means = [], np.zeros(len(SMOOTH))
    for rate, t in zip(mu / np.cos(angle), np.asarray(point.thickness), strict=True):
        extent = np.clip(deepest - top, 0.0, t)
        inside = 0.5 * extent[:, None] * (nodes + 1.0)
        density = 0.5 * extent[:, None] * weights * rate * np.exp(-tau[:, None] - rate * inside)
        deep = top + inside
        by_layer.append(density.sum(axis=1).mean())
        means += [(density * f).sum(axis=1).mean() for f in (1.0, x[:, None] + way[0] * deep, deep)]
        top, tau = top + t, tau + rate * extent
    return np.array(by_layer), means


def attenuations(tables, point):
    return np.array(attenuation(tables.matter, point.density, point.energy))


@jax.jit
def means_and_slopes(tables, parameters, direction, points):
    """((P by layer, means of weights and of `SMOOTH` with them), derivatives of both along ``direction``)."""

    def means(p):
        def site(row):
            way = incident_direction(p, row)
            found, weight = tables.electrons.first_site(tables.matter, p, p.energy, way, row[:SITE_NUMBERS])
            deep = depth_in_stack(p.thickness, found.layer, found.depth)
            return weight * jnp.stack([jnp.ones_like(deep), found.x, deep])

        return first_interactions(tables.matter, p, points)[0], jnp.mean(jax.vmap(site)(points), axis=0)

    return jax.jvp(means, (parameters,), (direction,))


@pytest.mark.parametrize(
    ("light", "model"),
    [
        ("slanting", "range"),
        ("grazing", "range"),
        ("slanting", "scattering"),
        ("through a side", "range"),
        pytest.param("to one point", "scattering", marks=pytest.mark.exhaustive),
    ],
)
def test_first_interactions_are_the_sum_over_rays(tables, light, model):
    """The closed form by layer, and the mean of weights of sites, with what is smooth in their places; slopes too."""
    point, step = parameters_of(LIGHT[light]), 1e-2
    with jax.enable_x64(True):
        known = parameter_values(point)
        ways = {name: part * known[name] for name, part in ALONG.items()}
        ends = [
            point.changed({name: known[name] + sign * step * way for name, way in ways.items()}) for sign in (1, -1)
        ]
        direction = jax.tree.map(lambda up, down: (up - down) / (2.0 * step), *ends)
        found, slopes = means_and_slopes(tables[model], point, direction, jnp.asarray(scrambled(2**14, 1, 0)))
        here, up, down = (sum_over_rays(each, attenuations(tables[model], each)) for each in (point, *ends))
    np.testing.assert_allclose(found[0], here[0], rtol=2e-4)
    np.testing.assert_allclose(found[1], here[1], rtol=0.01, atol=2e-3)
    by_layer, means = ((above - below) / (2.0 * step) for above, below in zip(up, down, strict=True))
    np.testing.assert_allclose(slopes[0], by_layer, rtol=0.01, atol=1e-5)
    np.testing.assert_allclose(slopes[1], means, rtol=0.04, atol=0.015)


def test_isotropic_sites_have_the_mean_probability(tables):
    """Of rays that graze the top, too, whose densities underflow; and its slope."""
    point = parameters_of({"isotropic": True})
    with jax.enable_x64(True):
        direction = jax.tree.map(lambda leaf: 0.01 * jnp.ones_like(leaf), point)
        points = jnp.asarray(scrambled(2**14, 1, 0))
        (by_layer, means), (slopes, slope) = means_and_slopes(tables["scattering"], point, direction, points)
    assert float(means[0]) == pytest.approx(np.asarray(by_layer).sum(), rel=0.01)
    assert float(slope[0]) == pytest.approx(np.asarray(slopes).sum(), rel=0.1)


def test_photons_come_in_as_the_source_says():
    """Angle and azimuth as in `Source`; isotropic light has the mean cosine 1/2."""
    source = Source.build(ENERGY, angle=55.0, azimuth=200.0)
    with jax.enable_x64(True):
        found = incident_direction(Parameters.of_source(NARROW, source), jnp.zeros(1))
        anywhere = Parameters.of_source(NARROW, Source.build(ENERGY, isotropic=True))
        ways = jax.vmap(lambda row: incident_direction(anywhere, row))(jnp.asarray(scrambled(2**12, 1, 0)))
    np.testing.assert_allclose(jax.tree.leaves(found), jax.tree.leaves(source.direction), rtol=1e-6)
    x, y, z = (np.asarray(part) for part in jax.tree.leaves(ways))
    assert z.mean() == pytest.approx(-0.5, abs=1e-4) and z.max() < 0.0
    assert (z**2).mean() == pytest.approx(1 / 3, abs=1e-4) and abs((x * y).mean()) < 1e-4


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(
    "light", [{"angle": 60.0, "azimuth": 30.0}, {"isotropic": True}, {"at": (5.0, 3.0), "angle": 30.0}]
)
def test_two_lines_are_those_of_the_monte_carlo_and_slopes_are_differences(stack, tables, light, agrees):
    """Of 7 and 3 keV, 2 to 1: values beside 1e6 photons; derivatives in everything beside differences of values."""
    source = Source.build("7keV:2,3keV:1", **light)
    with jax.enable_x64(True):
        own, point = Tables.build(stack), Parameters.of_source(stack, source)
    wrt = tuple(name for name in names(point) if name not in "xy" or "at" in light)
    found = run(own, point, wrt, n=2**14, thresholds=(0.0, 1000.0, 3000.0))
    counted = summary(simulate(stack, source, n=1_000_000, seed=8))
    for name in ("partial", "photon_escape", "electron_escape", "both"):
        value, error = found.value(name)
        agrees(value, counted[name], np.hypot(error, np.sqrt(counted[name] / counted["interacting"])))
    met = counted["interaction_probability"]
    agrees(found.value("interaction_probability")[0], met, np.sqrt(met * (1 - met) * 1e-6), relative=1e-3)
    known = parameter_values(point)
    other = differences(own, point, {name: 1e-6 * known[name] for name in wrt}, 2**14, thresholds=found.thresholds)
    weights = [found.parameters.index(f"weight[{k}]") for k in range(2)]
    for field in fields(Observables):
        slope, difference = found.derivative(field.name)[0], getattr(other, field.name).mean(axis=0)
        least = 1e-9 * np.max(np.abs(difference), initial=1e-12)
        np.testing.assert_allclose(slope, difference, rtol=1e-2, atol=least, err_msg=field.name)
        scaled = 2.0 * slope[weights[0]] + slope[weights[1]]  # of the weights together: nothing
        np.testing.assert_allclose(scaled, 0.0, atol=1e-9 * np.abs(slope[weights[0]]).max())


@pytest.mark.parametrize(
    ("light", "wrt", "sentence"),
    [
        ({"spot": (0.0, 0.0, 1.0)}, (), "an impact at one point or uniform, not of a spot"),
        ({"disc": (0.0, 0.0, 1.0)}, (), "not of a disc"),
        (
            {},
            ("angle",),
            "one of thickness, density, width, length, energy, x, y, yield, range, or .* 'angle' is asked",
        ),
        ({"angle": 45.0}, ("weight",), "energy, angle, x, y, .* 'weight' is asked"),
        ({"isotropic": True}, ("angle",), "'angle' is asked"),
    ],
)
def test_refused(light, wrt, sentence):
    with pytest.raises(ValueError, match=sentence):
        estimate(NARROW, Source.build(ENERGY, **light), wrt)


def test_spectra_and_lines_behind_filters_are_refused():
    with pytest.raises(ValueError, match="of one `energy` or of several lines of no width"):
        estimate(NARROW, Source.build(spectrum=([1000.0, 2000.0], [1.0, 1.0])))
    behind = Absorber.build([("Bi", 1.0)], 10.0, 10.0, filters=[{"material": "Al", "thickness": "30 nm"}])
    for light, sentence in (
        ({"energy": "7keV,3keV"}, "several lines .* need an absorber without `filters`"),
        ({"energy": ENERGY, "isotropic": True}, "isotropic light need an absorber without"),
    ):
        with pytest.raises(ValueError, match=sentence):
            estimate(behind, Source.build(**light))
