"""The expected observables: the Monte Carlo's values, exact derivatives, and differences of values."""

import inspect
from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.expected.conftest import ALL, ENERGY, THRESHOLDS, N
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter, quantum_efficiency
from xcal_jax.absorber.source import Source
from xcal_jax.compute.random import words
from xcal_jax.expected.electrons import MODELS, ElectronModel
from xcal_jax.expected.estimate import differences, estimate, mean_and_error, run, scrambled
from xcal_jax.expected.observables import Observables, expected_observables
from xcal_jax.expected.parameters import Parameters, names, parameter_values
from xcal_jax.expected.photons import attenuation
from xcal_jax.expected.random_numbers import PAIRS, StepNumbers
from xcal_jax.expected.score import LOSSES
from xcal_jax.expected.tables import Tables
from xcal_jax.physics.layers import absorbed_by_layer
from xcal_jax.simulation.results import line_names, summary
from xcal_jax.simulation.simulate import simulate
from xcal_jax.simulation.vocabulary import VOCABULARY

FRACTIONS = ("partial", "photon_escape", "electron_escape", "both")
WIDE = 1e6  # um


def test_values_are_those_of_the_monte_carlo(stack, tables, found, agrees):
    """1e6 photons, another program and other random numbers."""
    counted = summary(result := simulate(stack, ENERGY, n=1_000_000, seed=5))
    n = counted["interacting"]
    for name in FRACTIONS:
        value, error = found.value(name)
        agrees(value, counted[name], np.hypot(error, np.sqrt(counted[name] / n)))
    value, error = found.value("loss_above")
    for k in (1, 2):
        share = counted["loss_above"][f"{THRESHOLDS[k]:g}"]
        agrees(value[k], share, np.hypot(error[k], np.sqrt(share / n)))
    value, error = found.value("mean_deposit")
    spread = np.sqrt(found.value("mean_square_loss")[0] / n)
    agrees(value, counted["mean_deposit"], np.hypot(error, spread))
    agrees(found.value("interaction_probability")[0], counted["interaction_probability"], 0.0, relative=1e-6)
    labels, _ = line_names(stack, Matter.build(stack))
    peaks, errors = found.value("peaks")
    assert len(counted["peaks"]) > 15
    for peak in counted["peaks"][:8]:
        line = list(labels).index(peak["line"])
        agrees(peaks[line], peak["intensity"], np.hypot(errors[line], peak["intensity_err"]))
    assert int(result.interacting) == n


def test_observables_are_consistent(found):
    f = found.values
    np.testing.assert_allclose(f.partial, f.photon_escape + f.electron_escape + f.both, rtol=1e-9)
    np.testing.assert_allclose(f.partial, f.loss_above[:, 0], rtol=1e-9)
    np.testing.assert_allclose(f.electron_escape, f.electron_loss_above[:, 0], rtol=1e-9)
    np.testing.assert_allclose(f.interaction_by_layer.sum(axis=1), f.interaction_probability, rtol=1e-12)
    assert np.all(f.peaks.sum(axis=1) < f.photon_escape)
    assert np.all(f.peaks.sum(axis=1) > 0.9 * f.photon_escape)


@pytest.mark.parametrize("energy", [3000.0, 7000.0, 12000.0])
@pytest.mark.parametrize("preset", ["xifu", "compound"])
def test_derivative_of_the_interaction_probability(energy, preset, stack):
    """d P / d t_i = mu_i exp(- sum tau), to 1e-5; d P / d rho_i = t_i / rho_i times that."""
    absorber = stack if preset == "compound" else Absorber.preset(preset)
    with jax.enable_x64(True):
        tables = Tables.build(absorber)

        def probability(p):
            return jnp.sum(absorbed_by_layer(attenuation(tables.matter, p.density, p.energy), p.thickness))

        slope = jax.jacfwd(probability)(Parameters.of(absorber, energy))
    layers = zip(absorber.formulas, absorber.density, strict=True)
    one = [Absorber.build([(f, 1.0, float(d))], 1.0, 1.0) for f, d in layers]
    mu = np.array([-np.log1p(-quantum_efficiency(a, [energy])[0]) for a in one])
    expected = mu * np.exp(-np.sum(mu * absorber.thickness))
    np.testing.assert_allclose(slope.thickness, expected, rtol=1e-5)
    np.testing.assert_allclose(slope.density, expected * absorber.thickness / absorber.density, rtol=1e-5)


@pytest.mark.slow
def test_areal_density_alone_matters_in_a_wide_stack(stack, tables, point, agrees):
    """t d/dt = rho d/drho, layer by layer, once the sides are far away; and the width then does not matter."""
    with jax.enable_x64(True):
        wide = replace(point, width=jnp.asarray(WIDE), length=jnp.asarray(WIDE))
    found = run(tables, wide, ALL, n=N, thresholds=THRESHOLDS)
    layers = len(stack.formulas)
    for name in LOSSES:
        slopes = getattr(found.derivatives, name)
        slopes = slopes[..., 1] if slopes.ndim == 3 else slopes
        difference = slopes[:, :layers] * stack.thickness - slopes[:, layers : 2 * layers] * stack.density
        mean, error = mean_and_error(difference)
        agrees(mean, np.zeros(layers), error)
        value, _ = found.value(name)
        value = value[1] if np.ndim(value) else value
        scale = np.abs(mean_and_error(slopes[:, :layers] * stack.thickness)[0]).max()
        assert np.all(error < (0.8 if name == "both" else 0.4) * scale), name
        width = mean_and_error(slopes)[0][found.parameters.index("width")]
        assert abs(width * WIDE) < 1e-3 * value


@pytest.mark.slow
def test_derivatives_are_differences_of_values(tables, point, found):
    """Of every figure, in every parameter, within 1 %: on the same points, with the same turns of chance.

    `analysis/derivative_checks.py` does this for several stacks and energies, and at corners in x and y.
    """
    known = parameter_values(point)
    steps = {name: 1e-6 * known[name] for name in found.parameters}
    other = differences(tables, point, steps, n=N, thresholds=THRESHOLDS)
    compared = 0
    for field in fields(Observables):
        slope, difference = found.derivative(field.name)[0], getattr(other, field.name).mean(axis=0)
        least = 1e-9 * np.max(np.abs(difference), initial=1e-12)
        np.testing.assert_allclose(slope, difference, rtol=1e-2, atol=least, err_msg=field.name)
        compared += np.count_nonzero(np.abs(difference) > least)
    assert compared > 300


def test_the_yield_scales_photons(found):
    """Lines are proportional to the yields to first order, and the relative errors are those of the values."""
    k = found.parameters.index("yield")
    value = found.values.photon_escape.mean()
    assert found.derivative("photon_escape")[0][k] / value == pytest.approx(1.0, abs=0.03)
    assert abs(found.derivative("electron_escape")[0][k]) < 0.03 * found.value("electron_escape")[0]


SIDE = ("x", "y", "width", "energy")


@pytest.fixture(scope="module")
def slab():
    return Absorber.build([("Bi", 3.0)], 60.0, 60.0, "slab")


@pytest.fixture(scope="module")
def right(slab):
    """50 nm from the right side."""
    return estimate(slab, Source.build(ENERGY, at=(29.95, 3.0)), SIDE, n=2**12, loss_above=THRESHOLDS[1:])


@pytest.mark.exhaustive
@pytest.mark.slow
def test_an_impact_moves_as_the_side_does(slab, right):
    """Near one side only the gap w/2 - x matters: d/dx = -2 d/dwidth; and mirrored impacts mirror."""
    left = estimate(slab, Source.build(ENERGY, at=(-29.95, 3.0)), SIDE, n=2**12, loss_above=THRESHOLDS[1:])
    x, y, width, _ = (right.parameters.index(name) for name in SIDE)
    for figure in FRACTIONS:
        slope, error = right.derivative(figure)
        assert slope[x] == pytest.approx(-2 * slope[width], rel=1e-2, abs=1e-9)
        assert abs(slope[y]) < 0.02 * abs(slope[x]) + 5 * error[y]
        other, other_error = left.derivative(figure)
        assert abs(slope[x] + other[x]) < 4.5 * np.hypot(error[x], other_error[x])
    assert right.derivative("electron_escape")[0][x] > 0.1  # per um


@pytest.mark.exhaustive
@pytest.mark.slow
def test_transformations_agree(slab, right):
    """A jvp under vmap under jit, two energies at once, gives what one plain call does."""
    with jax.enable_x64(True):
        tables, point = Tables.build(slab), Parameters.of(slab, ENERGY, (29.95, 3.0))
        rest = jnp.asarray(THRESHOLDS), jnp.asarray(scrambled(2**12 // 16, 1, 0)), words(16)

        def partial(parameters):
            return expected_observables(tables, parameters, *rest).partial

        @jax.jit
        @jax.vmap
        def along(energy):
            return jax.jvp(lambda e: partial(replace(point, energy=e)), (energy,), (1.0,))

        value, slope = along(jnp.array([5000.0, ENERGY]))
    k = right.parameters.index("energy")
    np.testing.assert_allclose(value[1], right.values.partial[0], rtol=1e-9)
    np.testing.assert_allclose(slope[1], right.derivatives.partial[0, k], rtol=1e-7)
    assert value[0] != value[1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"wrt": ("thicknes",)}, "with respect to one of thickness"),
        ({"wrt": ("thickness[2]",)}, "'thickness\\[2\\]' is asked"),
        ({"energy": 99.0}, "within the tables"),
        ({"energy": float("nan")}, "must be finite"),
        ({"yield_scale": 60.0}, "`yield_scale` must be at most 12.359, where"),
        ({"yield_scale": 0.0}, "must be positive"),
        ({"range_scale": float("nan")}, "must be positive"),
        ({"at": (31.0, 0.0)}, "impact x must be within 30 um"),
        ({"loss_above": (0.0, 20.0)}, "must be positive"),
        ({"loss_above": (20.0, 20.0)}, "each threshold once"),
    ],
)
def test_refused(stack, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        light = {"energy": 7000.0} | {name: value for name, value in change.items() if name in ("energy", "at")}
        others = {name: value for name, value in change.items() if name not in light}
        estimate(stack, Source.build(**light), **others)


def test_names(stack):
    parameters = Parameters.of(stack, 7000.0)
    known = names(parameters)
    assert known[:2] == ["thickness[0]", "thickness[1]"] and known[-2:] == ["yield", "range"]
    changed = parameters.changed({"thickness[1]": 0.7, "range": 1.1})
    assert float(changed.thickness[1]) == pytest.approx(0.7) and float(changed.range_scale) == pytest.approx(1.1)
    assert [k for k, v in parameter_values(changed).items() if v != parameter_values(parameters)[k]] == [
        "thickness[1]",
        "range",
    ]


def test_observables_have_the_words_of_the_vocabulary():
    assert {field.name for field in fields(Observables)} <= set(VOCABULARY)


def test_every_random_number_has_one_use():
    """Within a block, and only a vacancy's transition shares its number: with what a photon hits in another step."""
    uses = {name: np.ravel(u).tolist() for name, u in StepNumbers.of(jnp.arange(2.0 * PAIRS))._asdict().items()}
    transition = uses.pop("transition")
    alone = [u for found in uses.values() for u in found]
    assert len(set(alone)) == len(alone) == 2 * PAIRS - 1
    assert set(transition) < set(uses["hit"])


def test_electron_models_have_the_same_functions():
    for name in ElectronModel._fields:
        one, other = (inspect.signature(getattr(model, name)) for model in MODELS.values())
        assert len(one.parameters) == len(other.parameters), name
