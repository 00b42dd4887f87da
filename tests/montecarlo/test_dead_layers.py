"""Dead layers and vacuum in single histories: their balance, and limits in which they change nothing, bit for bit.

Thicknesses and densities are data, so that all histories of a model share one program with dead layers, and one without
that is `test_transport`'s.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.montecarlo.test_transport import histories, stack
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.physics.geometry import Direction, Pixels, Site, Stack
from xcal_jax.physics.parts import travel

MODELS = ("range", pytest.param("scattering", marks=pytest.mark.slow))
SIDE = 20.0


def dead(model, top=0.05, bismuth=2.0, gap=0.0, bottom=1.0):
    """Dead gold, bismuth, a gap, dead gold; thicknesses in um."""
    layers = [("Au", top, False), ("Bi", bismuth, True), ("Au", gap, False), ("Au", bottom, False)]
    table = [{"material": m, "thickness": 1.0, "counts": counts} for m, _, counts in layers]
    absorber = Absorber.build(table, SIDE, SIDE, electrons=model)
    density = np.where([False, False, True, False], 0.0, absorber.density)
    return replace(absorber, thickness=np.array([t for _, t, _ in layers]), density=density)


def plain(model, *thickness):
    thickness = np.array(thickness, float)
    return replace(stack(1.0, 1.0, 1.0, side=SIDE, electrons=model), thickness=thickness)


def booked(ledger, account):
    return np.sum(np.where(ledger.shares.account == account, ledger.shares.energy, 0.0), axis=1)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("energy", [1200.0, 3000.0, 12000.0, 60000.0])
def test_every_history_balances(model, energy):
    """Signal + dead layers + escaped = the photon's energy, and what is not signal has left what counts."""
    _, ledger, e = histories(dead(model, gap=3.0), Source.build(energy))
    shares, limit = ledger.shares, 64 * np.finfo(np.float32).eps
    assert not ledger.overflow.any() and not shares.full.any()
    assert np.all(shares.escaped >= 0) and np.all(booked(ledger, 2) == 0)  # vacuum holds nothing
    assert np.all(ledger.deposited >= 0) and np.all(shares.energy > -limit * energy)
    assert np.max(np.abs(ledger.deposited + shares.energy.sum(axis=1) + shares.escaped - e)) < limit * energy
    assert np.max(np.abs(ledger.deposited + ledger.by_photons + ledger.by_electrons - e)) < limit * energy
    assert np.mean(booked(ledger, 1) > 1.0) > 1e-3
    assert np.mean(booked(ledger, 3) > 1.0) > (1e-3 if energy > 2000.0 else 0.0)
    assert 0.0 < np.mean(ledger.deposited == 0.0) < 0.9


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("model", ["range", "scattering"])
def test_every_history_of_touching_pixels_balances(model):
    """Signal, the other pixel, dead layers and what escapes; at a common side both pixels and both layers have some."""
    absorber = replace(dead(model), array=Pixels(np.float64(SIDE), np.float64(SIDE), 1, 2))
    source = Source.build(12000.0, at=(9.8, 0.0), pixel=(0, 0))
    _, ledger, e = histories(absorber, source)
    shares, limit = ledger.shares, 64 * np.finfo(np.float32).eps
    assert not ledger.overflow.any() and not shares.full.any() and np.all(shares.home == 0)
    assert np.max(np.abs(ledger.deposited + shares.energy.sum(axis=1) + shares.escaped - e)) < limit * 12000.0
    assert np.max(np.abs(ledger.deposited + ledger.by_photons + ledger.by_electrons - e)) < limit * 12000.0
    beside, top, gap, bottom = (np.mean(booked(ledger, account) > 1.0) for account in (1, 2, 3, 4))
    assert beside > 0.01 and top > 1e-3 and gap == 0.0 and bottom > 1e-3


@pytest.mark.parametrize("model", MODELS)
def test_dead_layers_without_thickness_change_nothing(model):
    """Bit for bit; neither does a gap before nothing."""
    source = Source.build(7000.0)
    _, expected, _ = histories(plain(model, 0.0, 2.0, 0.0), source)
    assert np.mean(expected.by_electrons > 0) > 1e-3 and np.mean(expected.by_photons > 0) > 1e-3
    for gap in (0.0, 5.0):
        _, found, _ = histories(dead(model, 0.0, 2.0, gap, 0.0), source)
        same = np.ones(found.deposited.size, bool)
        if (
            model == "scattering"
        ):  # a knock-on electron that waited while its parent crossed the gap draws other numbers
            same = (found.by_electrons == 0) & (expected.by_electrons == 0)
        for name in ("escapes", "line", "scattered"):
            np.testing.assert_array_equal(getattr(found, name)[same], getattr(expected, name)[same])
        for name in ("deposited", "by_photons", "by_electrons"):
            np.testing.assert_array_equal(getattr(found, name)[same], getattr(expected, name)[same])
        assert not found.shares.energy.any()


@pytest.mark.parametrize("model", MODELS)
def test_tracks_do_not_know_which_layers_count(model, agrees):
    """What escapes from all layers is the same, and so is the energy left in the gold, when the gold is dead."""
    source = Source.build(7000.0)
    blocks = 4
    _, counted, _ = histories(plain(model, 0.05, 2.0, 1.0), source, blocks)
    _, found, e = histories(dead(model), source, blocks, seed=2)
    lost, escaped = counted.by_photons + counted.by_electrons, found.shares.escaped
    error = np.hypot(lost.std(), escaped.std()) / np.sqrt(e.size)
    agrees(escaped.mean(), lost.mean(), error)
    share = np.mean(escaped > 1.0) + np.mean(lost > 1.0)
    agrees(np.mean(escaped > 1.0), np.mean(lost > 1.0), np.sqrt(share / e.size))


def test_view_factor_of_a_plate_below_a_gap(agrees):
    """Of photons that leave a square face by Lambert's law, the share that meets an equal one below is the view factor
    of parallel squares (Howell, A Catalog of Radiation Heat Transfer Configuration Factors, C-11).
    """
    side, gap, n = 2.0, 1.5, 2**17
    layers = Stack(jnp.asarray([1.0, gap, 1.0]), jnp.asarray(side), jnp.asarray(side), dead=(1, 2))
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-side / 2, side / 2, (2, n))
    cosine, azimuth = np.sqrt(rng.uniform(size=n)), rng.uniform(0, 2 * np.pi, n)
    sine = np.sqrt(1 - cosine**2)
    site = Site(*(jnp.asarray(a, float) for a in (x, y, np.ones(n))), jnp.zeros(n, jnp.int32))
    direction = Direction(*(jnp.asarray(a, float) for a in (sine * np.cos(azimuth), sine * np.sin(azimuth), -cosine)))
    rate = [jnp.asarray(r, float) for r in (1.0, 0.0, 1e6)]
    follow = jax.jit(jax.vmap(lambda site, direction: travel(layers, site, direction, rate, jnp.asarray(1.0))))
    escaped, _, end = follow(site, direction)
    met = ~np.asarray(escaped)
    assert np.all(np.asarray(jax.vmap(layers.account)(end))[met] == 2)
    X = side / gap
    one, root = 1 + X**2, np.sqrt(1 + X**2)
    factor = 2 / (np.pi * X**2) * (0.5 * np.log(one**2 / (1 + 2 * X**2)) + 2 * X * root * np.arctan(X / root))
    factor -= 4 / (np.pi * X) * np.arctan(X)
    agrees(met.mean(), factor, np.sqrt(factor * (1 - factor) / n))
