"""Electrons that turn round: their tracks against PENELOPE, with and without what they set free, and themselves."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from tests.conftest import FALSE_ALARM, SIGMAS
from xcal_jax import Absorber, Source, simulate
from xcal_jax.atomic import Material
from xcal_jax.compute.random import photon_key, words
from xcal_jax.montecarlo.electron_tracks import Electron, follow
from xcal_jax.physics.electrons.scattering import CUTOFF, Scattering
from xcal_jax.physics.geometry import Direction, Site, Stack

N = 4096


run = jax.jit(lambda *args: follow(*args)[0])


@cache
def model(*formulas):
    """Tables and densities of layers of ``formulas``."""
    materials = tuple(Material.build(formula) for formula in formulas)
    return jax.tree.map(jnp.asarray, Scattering.build(materials)), jnp.asarray([m.density for m in materials])


def escapes(formulas, thickness, energy, start=(0, 0.0), down=1.0, side=1e3, seed=1, n=N, tables=None):
    """Energies (n,) eV that leave two layers, of electrons that start in a layer at a depth, along the axis."""
    own, density = model(*formulas)
    zero = jnp.zeros(n)
    site = Site(zero, zero, jnp.full(n, start[1]), jnp.full(n, start[0], jnp.int32))
    electrons = Electron(site, Direction(zero, zero, jnp.full(n, -down)), jnp.full(n, energy))
    stack = Stack(jnp.asarray(thickness), jnp.asarray(side), jnp.asarray(side))
    keys = jax.vmap(lambda offset: photon_key(words(seed), words(0), offset))(jnp.arange(n, dtype=jnp.uint32))
    return np.asarray(run(tables or own, stack, density, keys, electrons))


def alike(one, other):
    """Two samples have the same law: Kolmogorov and Smirnov, and the shares that escape.

    Many electrons meet nothing and leave with the same energy, but for rounding: all are blurred by 5 eV.
    """
    blurred = (sample + np.random.default_rng(n).normal(0, 5, sample.size) for n, sample in enumerate((one, other)))
    assert stats.ks_2samp(*blurred).pvalue > FALSE_ALARM
    shares = np.array([np.mean(one > 0), np.mean(other > 0)])
    error = np.sqrt(np.sum(shares * (1 - shares)) / one.size)
    assert 0 < shares.min() and abs(np.diff(shares)[0]) < SIGMAS * error


@pytest.mark.parametrize("element", ["Au", "Bi"])
@pytest.mark.parametrize(("energy", "limit"), [(1000.0, 0.10), (3000.0, 0.06), (7000.0, 0.06)])
def test_backscatter_is_that_of_penelope(reference, element, energy, limit):
    """Of a thick block: the share of electrons of which any energy above 50 eV returns, and the energy returned."""
    (row,) = [r for r in reference("backscatter_penelope.csv") if (r["material"], r["E_eV"]) == (element, energy)]
    found = np.concatenate([escapes((element,) * 2, (50.0, 50.0), energy, seed=seed) for seed in range(1, 5)])
    assert np.mean(found > 0) == pytest.approx(row["frac_events_with_escape"], rel=limit)
    assert found.mean() / energy == pytest.approx(row["energy_backscatter_fraction"], rel=limit)


def test_electrons_set_free_leave_as_well():
    """Of 3 keV electrons into gold, of which half as many lose less than 400 eV without those that they set free."""
    tables = model("Au", "Au")[0]
    alone = replace(tables, outcome=tables.outcome.at[1].set(0.0))
    found, bare = (
        np.concatenate([escapes(("Au", "Au"), (9.0, 9.0), 3000.0, seed=s, n=2**15, tables=t) for s in range(4)])
        for t in (tables, alone)
    )
    little, bare_little = (np.sum((sample > 0) & (sample < 400)) for sample in (found, bare))
    assert 0.4 < bare_little / little < 0.6
    much, bare_much = (np.sum(sample > 1000) for sample in (found, bare))
    assert abs(much - bare_much) < SIGMAS * np.sqrt(much)


@pytest.mark.parametrize("energy", [10.0, 50.0, 53.0, 99.9, 100.0, 3000.0, 12345.0, 9.7e5, 2e6])
def test_places_in_the_tables(energy):
    """The row is the last whose energy is not above it, the share linear in energy up to the next."""
    rows = 50.0 * np.ldexp(1 + np.arange(228) % 16 / 16, np.arange(228) // 16)
    row, share = model("Au")[0].place(jnp.float32(energy))
    inside = np.clip(energy, 50.0, rows[-1] * (1 - 1e-6))
    assert rows[row] <= inside * (1 + 1e-6) and inside < rows[row + 1] * (1 + 1e-6)
    assert float(share) == pytest.approx((inside - rows[row]) / (rows[row + 1] - rows[row]), abs=3e-5)


@pytest.mark.parametrize("energy", [300.0, 3000.0, 30000.0])
def test_no_more_leaves_than_came_in(energy):
    """From a film so thin that most gets through; nothing leaves below 50 eV."""
    found = escapes(("Au", "C"), (0.003, 0.02), energy)
    assert np.all(np.isfinite(found)) and found.max() <= energy * (1 + 1e-6)
    assert np.all((found == 0) | (found > CUTOFF)) and np.mean(found > 0) > 0.05
    assert found.min() < 0.95 * found.max()


def test_electrons_below_the_cutoff_stay():
    assert not escapes(("Au", "C"), (1.0, 1.0), 49.9).any()
    assert not escapes(("Au", "C"), (1.0, 1.0), 49.9, down=-1.0).any()
    assert (escapes(("Au", "C"), (1.0, 1.0), 60.0, down=-1.0) == 60).all()


def test_the_deep_inside_loses_nothing():
    assert not escapes(("Au", "C"), (50.0, 50.0), 7000.0, start=(0, 25.0)).any()


def test_a_layer_cut_in_two_is_one_layer():
    """A film that most electrons cross after a collision or two: what happens at the cut would show."""
    whole = np.concatenate([escapes(("Bi",), (0.02,), 3000.0, seed=seed) for seed in (1, 2)])
    cut = np.concatenate([escapes(("Bi", "Bi"), (0.01, 0.01), 3000.0, seed=seed) for seed in (3, 4)])
    alike(whole, cut)


def test_a_film_upside_down_is_the_same_film():
    """Sent down on Au over C, and up on C over Au; the other side is another film."""
    above = escapes(("Au", "C"), (0.02, 0.1), 3000.0)
    below = escapes(("C", "Au"), (0.1, 0.02), 3000.0, start=(1, 0.02), down=-1.0, seed=2)
    alike(above, below)
    other = escapes(("C", "Au"), (0.1, 0.02), 3000.0, seed=2)
    assert stats.ks_2samp(above, other).pvalue < 1e-12


@pytest.mark.parametrize("factor", [2.0, 0.7])
def test_stretched_paths_in_a_stretched_film(factor):
    """The same tracks, all distances scaled: but for the few that rounding sends another way."""
    tables = model("Au", "C")[0].stretched(factor)
    short = escapes(("Au", "C"), (0.005, 0.02), 3000.0, side=0.1)
    thick, side = (0.005 * factor, 0.02 * factor), 0.1 * factor
    long = escapes(("Au", "C"), thick, 3000.0, side=side, tables=tables)
    assert np.mean(np.abs(long - short) < 1e-3 * 3000) > 0.99
    assert np.mean(np.abs(escapes(("Au", "C"), thick, 3000.0, side=side) - short) < 1e-3 * 3000) < 0.9


def test_far_sides_are_far_in_reach():
    """`reach` and `cost` bound every track: what they let go of would not have left."""
    tables, density = model("Au", "C")
    for energy in (100.0, 1000.0, 10000.0):
        reach = float(tables.maximum_range(jnp.asarray(energy)))
        for layer, cost in enumerate(np.asarray(tables.per_um(density))):
            far = reach / cost
            thickness = [200.0, 200.0]
            found = escapes(("Au", "C"), thickness, energy, start=(layer, far if layer == 0 else 200.0 - far), down=1.0)
            assert np.mean(found > 0) < 1e-3


@pytest.fixture(scope="module")
def absorber():
    return replace(Absorber.preset("xifu"), electrons="scattering")


@pytest.mark.slow
def test_the_whole_absorber_agrees_with_penelope(absorber, reference):
    """7 keV: partial depositions within 5 % and 3 standard errors.

    `simulate` itself raises where the energies of any history do not add up.
    """
    (row,) = [r for r in reference("penelope_partial_deposition.csv") if r["case"] == "xifu_7000_epdl"]
    found = simulate(absorber, Source.build(7000.0), n=2**18)
    assert found.attrs["electrons"] == "scattering"
    partial = sum(int(found[kind]) for kind in ("photon_escape", "electron_escape", "both"))
    share, n = partial / int(found.interacting), int(found.interacting)
    error = np.hypot(np.sqrt(share / n), row["partial_err"])
    assert abs(share - row["partial"]) < 0.05 * row["partial"] + 3 * error


@pytest.mark.slow
def test_a_corner_in_blocks_of_two_sizes(absorber):
    """Where nearly all photons have several electrons to follow, more than can wait at once."""
    corner = Source.build(7000.0, at=(134.74, 134.74))
    large, small = (simulate(absorber, corner, n=2**15, lanes=lanes) for lanes in (2**15, 2**12))
    assert int(large["electron_escape"]) > 2**14
    for name in large.data_vars:
        np.testing.assert_array_equal(large[name], small[name], err_msg=name)
