"""The expected figures: the Monte Carlo's values, exact derivatives, and differences of values."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.expected.conftest import ALL, THRESHOLDS, N
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.absorber.random import words
from xcal_jax.expected.estimate import estimate, mean_and_error, run, scrambled
from xcal_jax.expected.figures import SUMMED, expected
from xcal_jax.expected.parameters import Parameters, names
from xcal_jax.expected.tables import Tables
from xcal_jax.response.results import line_names, summary
from xcal_jax.run import simulate

FRACTIONS = ("partial", "photon_escape", "electron_escape", "both")
WIDE = 1e6  # um


@pytest.fixture(scope="module")
def tables(four):
    with jax.enable_x64(True):
        return Tables.build(four)


def at(absorber, energy=7000.0, **changes):
    with jax.enable_x64(True):
        return replace(Parameters.of(absorber, energy), **{k: jnp.asarray(v, float) for k, v in changes.items()})


def test_values_are_those_of_the_monte_carlo(four, found, agrees):
    """2e6 photons, another program and other random numbers."""
    counted = summary(result := simulate(four, 7000.0, n=2_000_000, seed=5))
    n = counted["interacting"]
    for name in FRACTIONS:
        value, error = found.value(name)
        agrees(value, counted[name], np.hypot(error, np.sqrt(counted[name] / n)))
    value, error = found.value("loss_above")
    for k in (1, 2):
        share = counted["loss_gt"][f"{THRESHOLDS[k]:g}"]
        agrees(value[k], share, np.hypot(error[k], np.sqrt(share / n)))
    value, error = found.value("mean_deposit")
    spread = np.sqrt(found.value("mean_square")[0] / n)
    agrees(value, counted["mean_deposited_ev"], np.hypot(error, spread))
    agrees(found.value("interaction_probability")[0], counted["interaction_probability"], 0.0, relative=1e-6)
    labels, _ = line_names(four, Tables.build(four).matter)
    peaks, errors = found.value("peaks")
    assert len(counted["peaks"]) > 20
    for peak in counted["peaks"][:8]:
        line = list(labels).index(peak["line"])
        agrees(peaks[line], peak["intensity"], np.hypot(errors[line], peak["err"]))
    assert int(result.interacting) == n


def test_figures_are_consistent(found):
    f = found.figures
    np.testing.assert_allclose(f.partial, f.photon_escape + f.electron_escape + f.both, rtol=1e-9)
    np.testing.assert_allclose(f.partial, f.loss_above[:, 0], rtol=1e-9)
    np.testing.assert_allclose(f.electron_escape, f.continuum[:, 0], rtol=1e-9)
    np.testing.assert_allclose(f.by_layer.sum(axis=1), f.interaction_probability, rtol=1e-12)
    assert np.all(f.peaks.sum(axis=1) < f.photon_escape)
    assert np.all(f.peaks.sum(axis=1) > 0.9 * f.photon_escape)


@pytest.mark.parametrize("energy", [3000.0, 7000.0, 12000.0])
@pytest.mark.parametrize("preset", ["xifu", "four"])
def test_derivative_of_the_interaction_probability(energy, preset, four):
    """d P / d t_i = mu_i exp(- sum tau), to 1e-5; d P / d rho_i = t_i / rho_i times that."""
    absorber = four if preset == "four" else Absorber.preset(preset)
    from xcal_jax.expected.photons import attenuation
    from xcal_jax.expected.zones import share_by_layer

    with jax.enable_x64(True):
        tables = Tables.build(absorber)
        slope = jax.jacfwd(lambda p: jnp.sum(share_by_layer(p, attenuation(tables, p.density, p.energy))))(
            Parameters.of(absorber, energy)
        )
    layers = zip(absorber.formulas, absorber.density, strict=True)
    one = [Absorber.build([(f, 1.0, float(d))], 1.0, 1.0) for f, d in layers]
    mu = np.array([-np.log1p(-quantum_efficiency(a, [energy])[0]) for a in one])
    expected = mu * np.exp(-np.sum(mu * absorber.thickness))
    np.testing.assert_allclose(slope.thickness, expected, rtol=1e-5)
    np.testing.assert_allclose(slope.density, expected * absorber.thickness / absorber.density, rtol=1e-5)


def test_areal_density_alone_matters_in_a_wide_stack(four, tables, agrees):
    """t d/dt = rho d/drho, layer by layer, once the sides are far away; and the width then does not matter."""
    found = run(tables, at(four, width=WIDE, length=WIDE), ALL, n=N, thresholds=THRESHOLDS)
    layers = len(four.formulas)
    for name in SUMMED:
        slopes = getattr(found.derivatives, name)
        slopes = slopes[..., 1] if slopes.ndim == 3 else slopes
        difference = slopes[:, :layers] * four.thickness - slopes[:, layers : 2 * layers] * four.density
        mean, error = mean_and_error(difference)
        agrees(mean, np.zeros(layers), error)
        value, _ = found.value(name)
        value = value[1] if np.ndim(value) else value
        scale = np.abs(mean_and_error(slopes[:, :layers] * four.thickness)[0]).max()
        assert np.all(error < (0.5 if name == "both" else 0.2) * scale), name
        width = mean_and_error(slopes)[0][found.parameters.index("width")]
        assert abs(width * WIDE) < 1e-3 * value


SIDES = ("x", "y", "width")
STEPS = {"thickness[0]": 0.15, "thickness[1]": 0.15, "thickness[3]": 0.2, "density[1]": 0.15, "width": 0.05}
STEPS |= {"energy": 0.03, "yield": 0.1, "range": 0.1}


@pytest.mark.parametrize("name", STEPS)
def test_derivatives_are_differences_of_values(name, four, tables, found):
    """Central differences with the same random numbers; 2 % for the step's own error."""
    leaf = {"yield": "yield_scale", "range": "range_scale"}.get(name, name).split("[")[0]
    start = at(four)
    place = int(name.split("[")[1][:-1]) if "[" in name else ()
    with jax.enable_x64(True):
        base = getattr(start, leaf)
        step = STEPS[name] * float(base[place])
        sides = [replace(start, **{leaf: base.at[place].add(sign * step)}) for sign in (1, -1)]
    up, down = (run(tables, side, n=N, thresholds=THRESHOLDS).figures for side in sides)
    k = found.parameters.index(name)
    for figure in (*SUMMED, "interaction_probability", "mean_deposit"):
        difference = (getattr(up, figure) - getattr(down, figure)) / (2 * step)
        slope = getattr(found.derivatives, figure)[:, k]
        mean, error = mean_and_error(difference - slope)
        noise = mean_and_error(slope)[1]
        truth = mean_and_error(difference)[0]
        limit = 4.5 * (error + noise) + 0.03 * np.abs(truth)
        assert np.all(np.abs(mean) <= limit), figure


def test_the_yield_scales_photons(found):
    """Lines are proportional to the yields to first order, and the relative errors are those of the values."""
    k = found.parameters.index("yield")
    value = found.figures.photon_escape.mean()
    assert found.derivative("photon_escape")[0][k] / value == pytest.approx(1.0, abs=0.03)
    assert abs(found.derivative("electron_escape")[0][k]) < 0.03 * found.value("electron_escape")[0]


def test_an_impact_moves_as_the_side_does(four):
    """Near one side only the gap w/2 - x matters: d/dx = -2 d/dwidth; and mirrored impacts mirror."""
    right = estimate(four, 7000.0, SIDES, at=(29.95, 3.0), n=2**13, thresholds=THRESHOLDS)
    left = estimate(four, 7000.0, SIDES, at=(-29.95, 3.0), n=2**13, thresholds=THRESHOLDS)
    x, y, width = (right.parameters.index(name) for name in ("x", "y", "width"))
    for figure in FRACTIONS:
        slope, error = right.derivative(figure)
        assert slope[x] == pytest.approx(-2 * slope[width], rel=1e-2, abs=1e-9)
        assert abs(slope[y]) < 0.02 * abs(slope[x]) + 5 * error[y]
        other, other_error = left.derivative(figure)
        assert abs(slope[x] + other[x]) < 4.5 * np.hypot(error[x], other_error[x])
    assert right.derivative("electron_escape")[0][x] > 0.1  # per um


def test_transformations_agree(four, tables, found):
    """A jvp under vmap under jit, two energies at once, gives what one plain call does."""
    with jax.enable_x64(True):
        points, seed, thresholds = jnp.asarray(scrambled(N // 16, 1, 0)), words(16), jnp.asarray(THRESHOLDS)

        @jax.jit
        @jax.vmap
        def partial(energy):
            along = lambda e: expected(tables, replace(at(four), energy=e), thresholds, points, seed).partial  # noqa: E731
            return jax.jvp(along, (energy,), (jnp.ones_like(energy),))

        value, slope = partial(jnp.array([5000.0, 7000.0]))
    k = found.parameters.index("energy")
    np.testing.assert_allclose(value[1], found.figures.partial[0], rtol=1e-9)
    np.testing.assert_allclose(slope[1], found.derivatives.partial[0, k], rtol=1e-7)
    assert value[0] != value[1]


def test_other_electrons_are_refused(four):
    with pytest.raises(ValueError, match="complete for the `range` electrons only"):
        estimate(replace(four, electrons="scattering"), 7000.0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"wrt": ("thicknes",)}, "with respect to one of thickness"),
        ({"wrt": ("thickness[4]",)}, "'thickness\\[4\\]' is asked"),
        ({"energy": 99.0}, "within the tables"),
        ({"energy": float("nan")}, "within the tables"),
        ({"at": (31.0, 0.0)}, "impact x must be within 30 um"),
        ({"thresholds": (10.0, 20.0)}, "must ascend from 0"),
        ({"thresholds": (0.0, 20.0, 20.0)}, "must ascend from 0"),
    ],
)
def test_refused(four, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        estimate(four, **{"energy": 7000.0, **change})


def test_names(four):
    known = names(Parameters.of(four, 7000.0))
    assert known[:4] == [f"thickness[{n}]" for n in range(4)] and known[-2:] == ["yield", "range"]
