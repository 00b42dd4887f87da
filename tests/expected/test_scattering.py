"""Scattering electrons: values and slopes of the Monte Carlo, the exact map of sites, what is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.expected.conftest import ENERGY
from xcal_jax.absorber.source import Source
from xcal_jax.expected import scattering, site_mapping
from xcal_jax.expected.estimate import differences, estimate, mean_and_error, run
from xcal_jax.expected.history import begin
from xcal_jax.expected.parameters import Parameters, names
from xcal_jax.expected.random_numbers import DIMENSIONS, PAIRS, StepNumbers
from xcal_jax.expected.state import Emission
from xcal_jax.expected.tables import Tables
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.photoelectric import sauter_density
from xcal_jax.simulation.results import summary
from xcal_jax.simulation.simulate import simulate

FRACTIONS = ("partial", "photon_escape", "electron_escape", "both")
THRESHOLDS = tuple(np.arange(0.0, 7001.0, 250.0))
MIDDLE = (THRESHOLDS.index(1000.0), THRESHOLDS.index(3000.0))
WRT = ("thickness", "density", "width", "energy", "yield", "range")
PHOTONS = 1_000_000


@pytest.fixture(scope="module")
def narrow(stack):
    """The stack of this folder, narrow, with scattering electrons."""
    return replace(stack, electrons="scattering", width=20.0)


@pytest.fixture(scope="module")
def tables(narrow):
    with jax.enable_x64(True):
        return Tables.build(narrow)


@pytest.fixture(scope="module")
def point(narrow):
    with jax.enable_x64(True):
        return Parameters.of(narrow, ENERGY)


@pytest.fixture(scope="module")
def found(tables, point):
    return run(tables, point, WRT, n=2**16, thresholds=THRESHOLDS)


@pytest.fixture(scope="module")
def counted(narrow):
    return summary(simulate(narrow, ENERGY, n=PHOTONS, seed=5))


@pytest.mark.slow
def test_values_are_those_of_the_monte_carlo(found, counted, agrees):
    for name in FRACTIONS:
        value, error = found.value(name)
        agrees(value, counted[name], np.hypot(error, np.sqrt(counted[name] / PHOTONS)))
        assert error < (0.06 if name == "both" else 0.03) * value
    value, error = found.value("loss_above")
    for k in MIDDLE:
        share = counted["loss_above"][f"{THRESHOLDS[k]:g}"]
        agrees(value[k], share, np.hypot(error[k], np.sqrt(share / PHOTONS)))
    value, error = found.value("mean_deposit")
    agrees(value, counted["mean_deposit"], np.hypot(error, np.sqrt(found.value("mean_square_loss")[0] / PHOTONS)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameter", "factor"), [("density[0]", 1.3), pytest.param("energy", 1.15, marks=pytest.mark.exhaustive)]
)
def test_derivatives_are_those_of_the_monte_carlo(narrow, found, agrees, parameter, factor):
    """In the density of the upper layer and in the energy: a central difference of counts, in the logarithm."""
    counted: dict[str, list[float]] = {name: [] for name in (*FRACTIONS, "mean_loss")}
    for change in (factor, 1.0 / factor):
        absorber, energy = narrow, ENERGY * change
        if parameter == "density[0]":
            absorber, energy = replace(narrow, density=narrow.density * np.array([change, 1.0])), ENERGY
        counts = summary(simulate(absorber, energy, n=PHOTONS, seed=6))
        for name in FRACTIONS:
            counted[name].append(counts[name])
        counted["mean_loss"].append(energy - counts["mean_deposit"])
    k = found.parameters.index(parameter)
    here = narrow.density[0] if parameter == "density[0]" else ENERGY
    spread = found.value("mean_square_loss")[0] / found.value("mean_loss")[0] ** 2
    for name, (up, down) in counted.items():
        slope = np.log(up / down) / (2 * np.log(factor))
        variance = 2 * spread if name == "mean_loss" else 1 / up + 1 / down
        error = np.sqrt(variance / PHOTONS) / (2 * np.log(factor))
        value, own_error = (a[k] * here / found.value(name)[0] for a in found.derivative(name))
        agrees(value, slope, np.hypot(error, own_error), relative=0.02)
        assert np.hypot(error, own_error) < (0.4 if name == "both" else 0.1)


@pytest.mark.slow
def test_losses_above_thresholds_add_up_to_the_mean_loss(found, agrees):
    """Their integral over the threshold, and its derivative in the energy, which is a density of losses at each."""
    k = found.parameters.index("energy")
    value = found.value("mean_loss")[0]
    assert np.trapezoid(found.value("loss_above")[0], THRESHOLDS) == pytest.approx(value, rel=0.01)
    slopes = np.trapezoid(found.derivatives.loss_above[:, k], THRESHOLDS), found.derivatives.mean_loss[:, k]
    mean, error = mean_and_error((slopes[0] - slopes[1]) * ENERGY / value)
    agrees(mean, 0.0, error)
    assert error < 0.1


@pytest.mark.slow
def test_areal_density_alone_matters_in_a_wide_stack(narrow, tables, point, agrees):
    """t d/dt = rho d/drho; ranges do nothing to photons, and electrons escape in proportion to them."""
    with jax.enable_x64(True):
        wide = replace(point, width=jnp.asarray(1e6), length=jnp.asarray(1e6))
    found = run(tables, wide, WRT, n=2**16, thresholds=THRESHOLDS)
    for name in (*FRACTIONS, "mean_loss"):
        slopes = getattr(found.derivatives, name)
        mean, error = mean_and_error(slopes[:, :2] * narrow.thickness - slopes[:, 2:4] * narrow.density)
        agrees(mean, np.zeros(2), error)
        assert np.all(error < 0.2 * found.value(name)[0]), name
    k = found.parameters.index("range")
    slope, error = mean_and_error(found.derivatives.electron_escape[:, k] / found.values.electron_escape)
    agrees(slope, 1.0, error, relative=0.05)
    assert error < 0.03


SHIFT = 1e-6  # um


def test_sites_move_with_a_map_of_the_absorber(tables, point):
    """In place at its own parameters; elsewhere as far from the faces in ranges; a stretch is the map's slope."""
    with jax.enable_x64(True):
        longer = {"thickness": point.thickness * jnp.array([1.2, 1.0]), "range_scale": jnp.asarray(1.05)}
        other = replace(point, **longer, width=jnp.asarray(23.0))
        pair = replace(jax.tree.map(lambda a, b: jnp.stack([a, b]), point, other), choices="pair")

        @jax.vmap
        def there(layer, part, shift):
            depth = part * point.thickness[layer] + shift
            site = Site(20.0 * part - 10.0 + shift, jnp.zeros_like(part), depth, layer)
            return site, jax.vmap(lambda p: site_mapping.move(tables.matter, p, site), axis_name="pair")(pair)

        layer, part = (jnp.ravel(a) for a in jnp.meshgrid(jnp.arange(2), jnp.linspace(0.003, 0.997, 101)))
        places, (sites, deeper, wider) = there(layer, part, jnp.zeros_like(part))
        _, (shifted, _, _) = there(layer, part, jnp.full_like(part, SHIFT))
        reach = site_mapping.reach(tables.matter, point)
    found = places, sites, shifted, deeper, wider, layer, reach, point, other
    places, sites, shifted, deeper, wider, layer, reach, here, elsewhere = jax.tree.map(np.asarray, found)
    np.testing.assert_allclose(sites.depth[:, 0], places.depth, rtol=1e-12)
    np.testing.assert_allclose(np.stack([deeper[:, 0], wider[:, 0]]), 1.0, rtol=1e-12)
    along_y = (30.0 - 1.05 * reach.max()) / (30.0 - reach.max())  # of the middle, at y = 0
    for now, then, slope in ((sites.depth, shifted.depth, deeper), (sites.x, shifted.x, wider / along_y)):
        np.testing.assert_allclose((then - now)[:, 1] / SHIFT, slope[:, 1], rtol=1e-6)
    near = places.depth < reach[layer]
    np.testing.assert_allclose(sites.depth[near, 1], 1.05 * places.depth[near], rtol=1e-12)
    gaps = here.thickness[layer] - places.depth, elsewhere.thickness[layer] - sites.depth[:, 1]
    near = gaps[0] < reach[layer]
    np.testing.assert_allclose(gaps[1][near], 1.05 * gaps[0][near], rtol=1e-9)
    near = 10.0 - places.x < reach.max()
    np.testing.assert_allclose((11.5 - sites.x[:, 1])[near], 1.05 * (10.0 - places.x)[near], rtol=1e-9)
    assert near.sum() > 1


def test_photoelectrons_follow_their_law_and_start_where_they_may_escape(tables, point):
    """Mean square cosine to the photon by quadrature, the Auger electrons' 1/3; deep inside nobody is followed."""
    u = (np.arange(4096) + 0.5) / 4096
    with jax.enable_x64(True):
        begun = begin(tables, point, jnp.zeros(1), point.energy, jnp.full(DIMENSIONS, 0.5))
        numbers = StepNumbers.of(jnp.full(2 * PAIRS, 0.5))
        down = Direction(jnp.asarray(0.0), jnp.asarray(0.0), jnp.asarray(-1.0))

        @jax.vmap
        def emitted(u, sauter, depth):
            site = Site(jnp.asarray(0.0), jnp.asarray(0.0), depth, jnp.asarray(0, jnp.int32))
            one = Emission(site, jnp.asarray(5000.0), jnp.asarray(True), sauter, down, jnp.asarray(True))
            own = numbers._replace(electron=jnp.stack([u, 0.3]))
            return scattering.emit(tables.matter, point, jnp.zeros(1), one, own, begun).electron

        def squares(sauter, depth):
            found = emitted(jnp.asarray(u), jnp.full(u.size, sauter), jnp.full(u.size, depth))
            return np.asarray(found.direction.z) ** 2, np.asarray(found.energy)

        law, energy = squares(True, 0.01)
        anywhere, _ = squares(False, 0.01)
        _, deep = squares(True, 1.0)
    cosine = 2.0 * u - 1.0
    density = sauter_density(5000.0, cosine)
    assert law.mean() == pytest.approx(np.sum(density * cosine**2) / np.sum(density), rel=0.01)
    assert anywhere.mean() == pytest.approx(1 / 3, rel=1e-3) and law.mean() < 0.25
    assert np.all(energy == 5000.0) and np.all(deep == 0.0)


@pytest.mark.parametrize(
    ("change", "wrt", "sentence"),
    [
        ({"energy": 7.8e5}, ("energy",), "respect to energy would be wrong .* the energy at most 769231 eV"),
        ({"at": (9.9, 0.0)}, ("x", "density[0]", "range"), r"respect to x, density\[0\], range would be wrong"),
        (
            {"at": (9.9, 0.0)},
            ("width",),
            r"ask for thickness\[0\], thickness\[1\], energy, yield, and take differences",
        ),
    ],
)
def test_refused(narrow, change, wrt, sentence):
    with pytest.raises(ValueError, match=sentence):
        estimate(narrow, Source.build(**{"energy": ENERGY} | change), wrt)


def test_thin_layers_are_refused(tables, point):
    """By name where names are, as NaN where a derivative is taken by hand."""
    with jax.enable_x64(True):
        thin = replace(point, thickness=jnp.array([2.0, 0.2]))
    for name in ("thickness[1]", "density[1]", "range"):
        with pytest.raises(ValueError, match="a layer must be twice as thick"):
            run(tables, thin, (name,))
        with pytest.raises(ValueError, match="would be wrong"):
            differences(tables, thin, {name: 1e-6})
    with jax.enable_x64(True):
        one = jax.tree.map(jnp.ones_like, thin)
        for in_energy in (True, False):
            value, slope = jax.jvp(lambda p: scattering.guard(tables.matter, p, in_energy), (thin,), (one,))  # noqa: B023
            bad = np.concatenate([np.ravel(np.isnan(leaf)) for leaf in jax.tree.leaves(slope)])
            wrong = {name for name, b in zip(names(thin), bad, strict=True) if b}
            assert wrong == {"thickness[1]", "density[1]", "range"} | (set() if in_energy else {"energy"})
            assert jax.tree.all(jax.tree.map(lambda a, b: jnp.all(a == b), value, thin))
        none = jax.tree.map(jnp.zeros_like, thin)
        slope = jax.jvp(lambda p: scattering.guard(tables.matter, p, False), (thin,), (none,))[1]
        assert not any(np.any(np.isnan(leaf)) for leaf in jax.tree.leaves(slope))
