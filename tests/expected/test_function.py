"""Observables as a function that JAX transforms: forward and reverse mode, batches, optimisers; what is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.absorber.source import Source
from xcal_jax.expected.estimate import estimate
from xcal_jax.expected.function import observables

SLAB = Absorber.build([("Bi", 1.0)], 100.0, 100.0)
FEW = 2048  # histories: 256 to each of 8 replicates, the fewest


def of_thickness(thickness, energy=7000.0):
    """Two observables of a slab whose thickness (1,) um may be traced."""
    found = observables(replace(SLAB, thickness=thickness), energy, n=FEW)
    return jnp.stack([found.interaction_probability, found.photon_escape])


ONE = np.ones(1, dtype=np.float32)


@pytest.fixture(scope="module")
def jacobian():
    return jax.jacfwd(of_thickness)(ONE)


def test_forward_and_reverse_mode_agree(jacobian):
    np.testing.assert_allclose(jax.jacrev(of_thickness)(ONE), jacobian, rtol=1e-6)
    value, slope = jax.value_and_grad(lambda t: of_thickness(t)[0])(ONE)
    np.testing.assert_allclose(slope, jacobian[0], rtol=1e-6)
    assert float(value) == pytest.approx(float(quantum_efficiency(SLAB, "7 keV")), rel=1e-3)


def test_the_slope_of_the_probability_is_the_closed_form(jacobian):
    """P = 1 - exp(-mu t) and dP/dt = mu exp(-mu t)."""
    mu = -np.log1p(-quantum_efficiency(SLAB, "7 keV"))
    assert float(jacobian[0, 0]) == pytest.approx(mu * np.exp(-mu), rel=1e-3)


@pytest.mark.slow
def test_values_slopes_and_errors_are_those_of_an_estimate():
    """For all parameters at once, on the same points, in double precision there: a few decisions differ."""

    def escape(absorber, energy, yield_scale, range_scale, weights, angle):
        light = {"weights": weights, "angle": angle, "azimuth": 20.0}
        found = observables(absorber, energy, None, yield_scale, range_scale, n=FEW, **light)
        return found.photon_escape, found

    gradient = jax.grad(escape, argnums=tuple(range(6)), has_aux=True)
    lines = jnp.array([7000.0, 5000.0]), jnp.array([2.0, 1.0])
    (slope, energy, yields, ranges, weights, angle), found = gradient(SLAB, lines[0], 1.0, 1.0, lines[1], 40.0)
    source = Source.build("7keV:2,5keV:1", angle=40.0, azimuth=20.0)
    wrt = ("thickness", "density", "width", "energy", "weight", "angle", "yield", "range")
    exact = estimate(SLAB, source, wrt, n=2 * FEW, replicates=8)
    for name in ("partial", "photon_escape", "electron_escape", "mean_loss"):
        value, error = exact.value(name)
        np.testing.assert_allclose(getattr(found.errors, name), error, rtol=0.05, atol=1e-9)
        assert np.all(np.abs(getattr(found, name) - value) <= 0.2 * error + 1e-5 * value), name
    slopes = dict(zip(exact.parameters, exact.derivative("photon_escape")[0], strict=True))
    asked = {"thickness[0]": slope.thickness[0], "density[0]": slope.density[0], "width": slope.width}
    asked |= {"energy[0]": energy[0], "weight[1]": weights[1], "angle": angle, "yield": yields, "range": ranges}
    for name, derivative in asked.items():
        assert float(derivative) == pytest.approx(slopes[name], rel=0.01, abs=1e-9), name


@pytest.mark.exhaustive
@pytest.mark.slow
def test_batches_of_energies_are_their_elements(jacobian):
    slope = jax.vmap(jax.grad(lambda t, e: of_thickness(t, e)[1]), (None, 0))
    np.testing.assert_allclose(slope(ONE, jnp.array([7000.0, 5000.0]))[0], jacobian[1], rtol=1e-5)


@pytest.mark.exhaustive
@pytest.mark.slow
@jax.numpy_dtype_promotion("standard")  # as JAX is by itself: optax mixes floats and integers
def test_optimisers_of_optax_and_optimistix_find_a_thickness():
    """Of 80 % absorption: t = -ln(0.2) / mu."""
    wanted = np.log(0.2) / np.log1p(-quantum_efficiency(SLAB, "7 keV"))

    def off(thickness, _=None):
        return of_thickness(thickness)[0] - 0.8

    adam = optax.adam(0.4)
    thickness, state = jnp.asarray(ONE), adam.init(jnp.asarray(ONE))
    for _ in range(12):
        step, state = adam.update(jax.grad(lambda t: off(t) ** 2)(thickness), state)
        thickness = optax.apply_updates(thickness, step)
    assert abs(float(off(thickness))) < 0.05  # from -0.53
    solver = optimistix.LevenbergMarquardt(rtol=1e-5, atol=1e-5)
    found = optimistix.least_squares(lambda t, args: off(t)[None], solver, thickness)
    assert float(found.value[0]) == pytest.approx(wanted, rel=1e-3)


def test_second_derivatives_are_refused():
    with pytest.raises(TypeError, match="first derivatives only"):
        jax.hessian(lambda t: of_thickness(t)[0])(ONE)


@pytest.mark.parametrize(
    ("arguments", "named", "said"),
    [
        (("xifu", "7kev"), {}, "did you mean '7 keV'"),
        (("xfu", "7 keV"), {}, "the nearest preset is 'xifu'"),
        ((SLAB, 7000.0), {"at": "60um,0um"}, "impact x must be within 50 um"),
        ((SLAB, 7000.0), {"yields": "none"}, "`yields` must be one of eadl, krause"),
        ((SLAB, 7000.0), {"yield_scale": 0.0}, "`yield_scale` must be positive"),
        ((SLAB, 7000.0), {"loss_above": "-1eV"}, "`loss_above` must be positive"),
        ((SLAB, 7000.0), {"n": 0}, "`n` must be at least 1"),
    ],
)
def test_bad_input_is_one_sentence(arguments, named, said):
    with pytest.raises(ValueError, match=said):
        observables(*arguments, **named)


def test_traced_numbers_of_histories_are_refused():
    with pytest.raises(TypeError, match="must be plain numbers, but are traced"):
        jax.jit(lambda seed: observables(SLAB, 7000.0, seed=seed).partial)(1)
