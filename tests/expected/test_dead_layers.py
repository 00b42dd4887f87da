"""Weighted histories with dead layers and a gap: the Monte Carlo's values, closed forms, and differences of values."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.montecarlo.test_dead_layers import SIDE, dead
from tests.montecarlo.test_transport import histories
from tests.simulation.test_dead_layers import ABSORBER
from tests.simulation.test_dead_layers import N as PHOTONS
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.absorber.source import Source
from xcal_jax.expected import scattering, site_mapping
from xcal_jax.expected.entry import enter, within
from xcal_jax.expected.estimate import differences, mean_and_error, run, scrambled
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.sensitivity import sensitivity
from xcal_jax.expected.state import Emission
from xcal_jax.expected.tables import Tables
from xcal_jax.montecarlo.ledger import Shares
from xcal_jax.montecarlo.tally import PARTIAL
from xcal_jax.physics.electrons.straight import LEAST_ENERGY, scaled_range
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.photoelectric import sauter_density
from xcal_jax.simulation.results import merge, summary
from xcal_jax.simulation.simulate import simulate

ENERGY, GAP = 7000.0, 3.0
THRESHOLDS = (0.0, 300.0, 3000.0)
WRT = ("thickness", "yield")
N, BLOCKS, RUNS = 2**14, 8, 8
THICKNESS = (0.1, 2.0)  # um, of ABSORBER
FRACTIONS = ("partial", "photon_escape", "electron_escape", "both")


def prepared(absorber, **changes):
    """Tables and parameters of ``absorber``, of which some are changed."""
    with jax.enable_x64(True):
        return Tables.build(absorber), Parameters.of(absorber, ENERGY).changed(changes)


@pytest.fixture(scope="module")
def capped():
    """Dead gold on bismuth: tables and parameters."""
    return prepared(ABSORBER)


@pytest.fixture(scope="module")
def found(capped):
    """Without derivatives: these take three times as long to compile."""
    return run(*capped, (), N, thresholds=THRESHOLDS)


def test_values_are_those_of_the_monte_carlo(found, agrees):
    """Runs of as many photons as others have, so that they share a program."""
    runs = [simulate(ABSORBER, ENERGY, PHOTONS, seed=seed, loss_above=THRESHOLDS[1:]) for seed in range(1, RUNS + 1)]
    counted = summary(merge(*runs))
    n = counted["interacting"]
    value, error = found.value("interaction_probability")
    share = counted["interaction_probability"]
    agrees(value, share, np.hypot(error, np.sqrt(share * (1 - share) / (RUNS * PHOTONS))))
    for name in FRACTIONS:
        value, error = found.value(name)
        agrees(value, counted[name], np.hypot(error, np.sqrt(counted[name] / n)))
        assert error < (0.3 if name == "both" else 0.05) * value, name
    value, error = found.value("loss_above")
    for k, share in enumerate(counted["loss_above"].values(), 1):
        agrees(value[k], share, np.hypot(error[k], np.sqrt(share / n)))
    value, error = found.value("mean_deposit")
    agrees(value, counted["mean_deposit"], np.hypot(error, np.sqrt(found.value("mean_square_loss")[0] / n)))
    values = found.values
    np.testing.assert_allclose(values.partial, values.photon_escape + values.electron_escape + values.both, rtol=1e-9)
    np.testing.assert_allclose(values.partial, values.loss_above[:, 0], rtol=0.02)  # interpolated
    assert np.all(values.interaction_by_layer[:, 0] == 0.0)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_derivatives_are_differences_of_values(capped, agrees):
    """In the thickness of both layers, on the same points, each with its own decisions; and in closed form."""
    found = run(*capped, WRT, N, thresholds=THRESHOLDS)
    slopes = attenuated(*THICKNESS)[1]
    np.testing.assert_allclose(found.derivative("interaction_by_layer")[0][:2, 1], slopes, rtol=1e-5)
    for layer, (thickness, step) in enumerate(zip(THICKNESS, (0.02, 0.2), strict=True)):
        changes = [{f"thickness[{layer}]": thickness + h} for h in (step, -step)]
        up, down = (run(*prepared(ABSORBER, **change), WRT, N, thresholds=THRESHOLDS) for change in changes)
        for name in ("interaction_probability", "partial", "mean_loss", "loss_above"):
            ends = [getattr(end.values, name) for end in (up, down)]
            mean, error = mean_and_error((ends[0] - ends[1]) / (2 * step) - getattr(found.derivatives, name)[:, layer])
            value = found.derivative(name)[0][layer]
            agrees(mean + value, value, error, relative=0.02)
            assert np.all(error < 0.05 * found.value(name)[0] / thickness), name


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("model", ["range", "scattering"])
def test_with_a_gap_and_a_substrate(model, agrees):
    """Values against histories of the Monte Carlo one by one; derivatives against differences with the same decisions.

    With scattering electrons the gold below and the gap have none in thickness.
    """
    absorber = dead(model, gap=GAP)
    wrt = ("thickness", "width", "yield", "range") if model == "range" else ("thickness[1]", "yield")
    found = run(*prepared(absorber), wrt, N, thresholds=THRESHOLDS)
    _, ledger, _ = histories(absorber, Source.build(ENERGY), BLOCKS)
    met = ledger.deposited > PARTIAL
    lost = (ledger.by_photons + ledger.by_electrons)[met]
    photon, electron = (ledger.by_photons > 0)[met], (ledger.by_electrons > 0)[met] & (lost > PARTIAL)
    anywhere = float(quantum_efficiency(replace(absorber, dead=()), ENERGY))
    kinds = {
        "interaction_probability": anywhere * met,
        "partial": lost > PARTIAL,
        "photon_escape": photon & ~electron,
        "electron_escape": electron & ~photon,
        "both": photon & electron,
        "mean_loss": lost,
    }
    for name, each in kinds.items():
        value, error = found.value(name)
        agrees(value, each.mean(), np.hypot(error, each.std() / np.sqrt(each.size)))
    value, error = found.value("loss_above")
    for k, threshold in enumerate(THRESHOLDS[1:], 1):
        share = np.mean(lost > threshold)
        agrees(value[k], share, np.hypot(error[k], np.sqrt(share / lost.size)))

    sizes = {"thickness[0]": 0.05, "thickness[1]": 2.0, "thickness[2]": GAP, "width": SIDE}
    steps = {name: 1e-6 * sizes.get(name, 1.0) for name in found.parameters}
    other = differences(*prepared(absorber), steps, N, thresholds=THRESHOLDS)
    for name in vars(found.values):
        slope, difference = found.derivative(name)[0], getattr(other, name).mean(axis=0)
        least = 1e-8 * np.max(np.abs(difference), initial=1e-12)
        np.testing.assert_allclose(slope, difference, rtol=1e-2, atol=least, err_msg=name)


def attenuated(gold, bismuth):
    """P of a first interaction in so many um of bismuth below gold, and its derivatives in both: closed forms."""
    mu = [-np.log1p(-quantum_efficiency(Absorber.build([(f, 1.0)], SIDE, SIDE), ENERGY)) for f in ("Au", "Bi")]
    through, absorbed = np.exp(-mu[0] * gold), -np.expm1(-mu[1] * bismuth)
    return through * absorbed, [-mu[0] * through * absorbed, mu[1] * through * (1.0 - absorbed)]


def test_a_dead_top_attenuates():
    """Where nothing comes back, P = exp(-mu0 t0) (1 - exp(-mu1 t1)), but for photons that the gold scatters."""
    alone = run(*prepared(ABSORBER, **{"yield": 1e-9, "range": 1e-6}), (), N, thresholds=THRESHOLDS)
    expected, _ = attenuated(*THICKNESS)
    np.testing.assert_allclose(alone.value("interaction_by_layer")[0], [0.0, expected], rtol=1e-5)
    assert 0.0 < alone.value("interaction_probability")[0] / expected - 1.0 < 1e-3
    assert alone.value("partial")[0] < 1e-3 and alone.value("electron_escape")[0] < 1e-5


def test_photoelectrons_of_a_thick_dead_top_enter(capped):
    """Photons below the M edges of gold, by quadrature over depths and directions: of the height z above the bismuth,

        P(z) = integral from z / R to 1 of f(c) dc,    f Sauter's law about the normal, R the range of the photoelectron

    Auger electrons add the rest: the fastest have 0.35 of 2.1 keV.
    """
    energy = 2190.0
    tables, _ = capped
    point = prepared(ABSORBER, energy=energy)
    runs = [run(*point, (), N, seed, THRESHOLDS).values for seed in range(1, 5)]
    matter = tables.matter
    with jax.enable_x64(True):
        row, fraction = matter.attenuation.place(jnp.asarray(energy))
        gold, bismuth = (float(mu) for mu in matter.attenuation_at(capped[1].density, row, fraction))
        at = matter.material_of(jnp.asarray(0, jnp.int32)) * matter.attenuation.energy.shape[0] + row
        channels = range(matter.attenuation.code.shape[1])
        shares = np.array([matter.attenuation.channels.probability(at, jnp.asarray(c)) for c in channels])
        code = np.asarray(matter.attenuation.code)[0]
        absorbed = (shares > 0.0) & (code < matter.relaxation.subshells)
        kinetic = energy - np.asarray(matter.relaxation.binding)[code[absorbed]]
        ranges = np.asarray(scaled_range(jnp.asarray(kinetic))) / float(matter.electrons.per_um(capped[1].density)[0])
    z, c = (np.arange(400) + 0.5) / 400, (np.arange(400) + 0.5) / 400
    entering = 0.0
    for share, ev, most in zip(shares[absorbed], kinetic, ranges, strict=True):
        law = np.asarray(sauter_density(ev, c))
        reaching = np.array([law[c > part].sum() / 400 for part in z])
        height = z * most
        entering += share * np.sum(gold * np.exp(-gold * (0.1 - height)) * reaching) * most / 400
    value, error = mean_and_error(np.concatenate([each.interaction_probability for each in runs]))
    first = runs[0].interaction_by_layer[0, 1]
    assert first == pytest.approx(np.exp(-0.1 * gold) * -np.expm1(-2.0 * bismuth), rel=1e-5)
    assert ranges.max() < 0.1 and error < 0.02 * entering
    assert 0.99 < (value - first) / entering < 1.11  # 1.05


def test_electrons_enter_from_a_dead_layer(capped):
    """P = (1 - C / b) / 2 far from the sides; derivatives of that, and of the energy brought, near one."""
    tables, point = capped
    energy, depth, near = 4000.0, 0.09, 0.01

    @jax.jit
    def means(gold, x, points):
        changed = replace(point, thickness=point.thickness.at[0].set(gold))
        zero = jnp.zeros_like(gold)
        still = Direction(zero, zero, zero)
        start = Site(x, zero, zero + depth, jnp.asarray(0, jnp.int32))
        one = Emission(start, zero + energy, jnp.asarray(True), jnp.asarray(False), still, jnp.asarray(False))
        found = jax.vmap(lambda u: enter(changed, tables.matter.electrons.per_um(changed.density), one, u))(points)
        return jnp.stack([jnp.mean(found.probability), jnp.mean(found.weight * found.gain)])

    with jax.enable_x64(True):
        points = jnp.asarray(scrambled(2**15, 1, 0)[:, :2])
        gold, middle, x, step = (jnp.asarray(a) for a in (0.1, 0.0, 25.0 - near, 5e-4))
        far, close = (np.asarray(means(gold, place, points)) for place in (middle, x))
        slopes = np.stack(jax.jacfwd(means, argnums=(0, 1))(gold, x, points))
        ends = [(means(gold + h, x, points), means(gold, x + h, points)) for h in (step, -step)]
        differences = (np.asarray(ends[0]) - np.asarray(ends[1])) / 1e-3
        cost = float(tables.matter.electrons.per_um(point.density)[0])
        whole = float(scaled_range(jnp.asarray(energy)) - scaled_range(jnp.asarray(LEAST_ENERGY)))
    assert far[0] == pytest.approx(0.5 * (1.0 - 0.01 * cost / whole), rel=1e-9)
    assert np.all(close < 0.99 * far) and np.all(close > 0.5 * far)
    np.testing.assert_allclose(slopes, differences, rtol=0.02)


def test_azimuths_within_all_sides(capped):
    """The fraction, and where the directions are, against a grid of azimuths."""
    side, n = 50.0, 4096
    angles = 2 * np.pi * (np.arange(n) + 0.5) / n
    place, reach = np.array([15.0, -17.5]), 20.0
    inside = np.all(np.abs(place[:, None] + reach * np.array([np.cos(angles), np.sin(angles)])) < side / 2, axis=0)
    with jax.enable_x64(True):
        site = Site(*(jnp.asarray(a) for a in (*place, 0.0)), jnp.asarray(0))
        u = jnp.asarray((np.arange(n) + 0.5) / n)
        found = jax.vmap(lambda u: within(capped[1], site, jnp.asarray(reach), u))(u)
    fraction, weight, x, y = (np.asarray(column) for column in found)
    np.testing.assert_allclose(fraction, inside.mean(), atol=2e-3)
    np.testing.assert_allclose(weight, fraction, rtol=1e-12)
    assert np.all(np.abs(place + reach * np.stack([x, y], axis=1)) < side / 2 + 1e-9)
    np.testing.assert_allclose(x.mean(), np.cos(angles)[inside].mean(), atol=2e-3)
    np.testing.assert_allclose(y.mean(), np.sin(angles)[inside].mean(), atol=2e-3)


def test_what_a_scattering_electron_takes_out_or_brings():
    """From what counts: all that stays elsewhere or escapes. From a dead layer: what stays where it counts."""
    account = jnp.array([[1, 2], [0, -1], [2, -1]])
    energy = jnp.array([[300.0, 20.0], [450.0, 0.0], [500.0, 0.0]])
    shares = Shares(jnp.array([0, 1, 1]), account, energy, jnp.zeros(3), jnp.zeros(3, bool))
    found = scattering.net_loss(shares, jnp.array([100.0, 50.0, 0.0]))
    np.testing.assert_array_equal(found, [420.0, -450.0, 0.0])


def test_a_layer_between_those_that_count_is_refused():
    parted = Absorber.build([("Bi", 1.0), {"material": "vacuum", "thickness": 1.0}, ("Bi", 1.0)], SIDE, SIDE, "parted")
    with pytest.raises(ValueError, match=r"needs layers that count to touch, but in 'parted' layer 1 \(vacuum\) parts"):
        sensitivity(parted, ENERGY)


def test_sites_do_not_move_with_thin_dead_layers_and_gaps():
    """So that with scattering electrons derivatives in their thickness, and in ranges, are refused."""
    tables, point = prepared(dead("range", gap=GAP))
    with jax.enable_x64(True):
        wrong = site_mapping.inexact(tables.matter, point)
    assert np.asarray(wrong.thickness).tolist() == [True, False, True, False]
    assert bool(wrong.range_scale) and not bool(wrong.width)
