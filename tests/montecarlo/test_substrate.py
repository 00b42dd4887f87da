"""Substrates wider than what stands on them: closed forms of the geometry, balance, and limits without effect.

All histories of a model share one program with a substrate, and one without that is `test_dead_layers`'s.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.montecarlo.test_dead_layers import SIDE, booked, dead
from tests.montecarlo.test_transport import histories
from xcal_jax.absorber.source import Source
from xcal_jax.compute.random import photon_key, words
from xcal_jax.physics.geometry import Direction, Pixels, Site, Stack, Substrate
from xcal_jax.physics.parts import travel

MODELS = ("range", pytest.param("scattering", marks=pytest.mark.exhaustive))
BOX, HEIGHT, GAP, DEEP = 2.0, 1.0, 0.5, 0.25  # um: side and height of the box, gap below, depth of a start


def substrate(width, first, x=0.0, y=0.0):
    return Substrate(*(jnp.asarray(float(a)) for a in (width, width, x, y)), first)


def wide(model, width=np.inf, bottom=1.0, x=0.0, y=0.0):
    """`dead` with a gap, on a bottom of another width."""
    below = Substrate(*(np.float64(a) for a in (width, width, x, y)), 3)
    return replace(dead(model, gap=3.0, bottom=bottom), substrate=below)


def solid_angle(x, y, distance):
    """Of a rectangle between x[0] and x[1], y[0] and y[1], seen from (0, 0) at a distance."""
    corners = [[np.arctan(a * b / (distance * np.sqrt(a**2 + b**2 + distance**2))) for b in y] for a in x]
    return corners[1][1] - corners[0][1] - corners[1][0] + corners[0][0]


def upwards(x, seed=1, n=2**16):
    """Isotropic starts in the substrate below (x, 0), uniform over the upper half space."""
    rng = np.random.default_rng(seed)
    cosine, azimuth = rng.uniform(size=n), rng.uniform(0, 2 * np.pi, n)
    sine = np.sqrt(1 - cosine**2)
    whole = jnp.full(n, 2, jnp.int32)
    site = Site(*(jnp.asarray(np.full(n, a), float) for a in (x, 0.0, DEEP)), whole)
    return site, Direction(*(jnp.asarray(a, float) for a in (sine * np.cos(azimuth), sine * np.sin(azimuth), cosine)))


def ends(stack, site, direction):
    """Layers in which the tracks end, -1 where they escape: the substrate and the gap are clear, the box is not."""
    escaped, _, end = follow(stack, site, direction)
    return np.where(escaped, -1, end.layer)


@jax.jit
def follow(stack, site, direction):
    rate = [jnp.asarray(r, float) for r in (1e6, 0.0, 0.0)]
    return jax.vmap(lambda site, direction: travel(stack, site, direction, rate, jnp.asarray(1.0)))(site, direction)


@jax.jit
def entries(source, stack, number):
    """Where photons of ``source`` meet ``stack``."""
    photon = jax.vmap(lambda n: source.photon(stack, photon_key(words(1), words(0), n)))
    return photon(number)[2]


NUMBERS = jnp.arange(2**15, dtype=jnp.uint32)


LAYERS = jnp.asarray([HEIGHT, GAP, 1.0])
OPEN = Stack(LAYERS, jnp.asarray(BOX), jnp.asarray(BOX), dead=(1, 2), substrate=substrate(np.inf, 2))


@pytest.mark.parametrize("x", [0.0, 0.9, 1.5, 4.0])
def test_view_factor_from_a_wide_substrate(x, agrees):
    """Of an isotropic emission below or beside a box, what meets its bottom and the side that is seen from there."""
    site, direction = upwards(x)
    half = 0.5 * BOX
    seen = solid_angle((-half - x, half - x), (-half, half), GAP + DEEP)
    if x > half:
        seen += solid_angle((-half, half), (GAP + DEEP, GAP + DEEP + HEIGHT), x - half)
    factor = seen / (2 * np.pi)
    met = ends(OPEN, site, direction) == 0
    agrees(met.mean(), factor, np.sqrt(factor * (1 - factor) / met.size))


@pytest.mark.parametrize("x", [0.9, 4.0, 40.0])
def test_touching_pixels_on_one_substrate_are_one_box(x):
    """Seen from the substrate, whose places may be far beside the array, and from any pixel's centre."""
    site, direction = upwards(x)
    expected = ends(OPEN, site, direction)
    pixels = Pixels(jnp.asarray(0.5 * BOX), jnp.asarray(0.5 * BOX), 2, 2)
    array = replace(OPEN, width=pixels.pitch_x, length=pixels.pitch_y, pixels=pixels)
    for pixel in range(4):
        centre_x, centre_y = pixels.centre(jnp.int32(pixel))
        start = replace(site, x=site.x - centre_x, y=site.y - centre_y, pixel=jnp.full(site.x.shape, pixel, jnp.int32))
        assert np.mean(ends(array, start, direction) != expected) < 1e-4
    assert 0 < np.mean(expected == 0) < 0.8


def test_a_substrate_ends_where_its_sides_are():
    """Straight up beside the box nothing is met; straight down beyond an edge of the substrate neither."""
    narrow = replace(OPEN, substrate=substrate(6.0, 2, x=1.0))
    x = jnp.asarray([-1.9, -2.1, 3.9, 4.1])
    zero = jnp.zeros(4)
    top = Site(x, zero, zero, jnp.zeros(4, jnp.int32))
    source = Source.build(7000.0, illuminate=12.0)
    entry = entries(jax.tree.map(jnp.asarray, source), narrow, NUMBERS)
    beside = (entry.layer == 2) & (entry.depth == 0.0)
    assert float(entry.x[beside].min()) > -2.0 and float(entry.x[beside].max()) < 4.0
    assert abs(float(entry.x[beside].max()) - 4.0) < 0.01 and abs(float(entry.y[beside].max()) - 3.0) < 0.01
    assert not np.any(beside & (np.abs(entry.x) < 0.5 * BOX) & (np.abs(entry.y) < 0.5 * BOX))
    assert np.all(np.asarray(narrow.outline(replace(top, layer=jnp.full(4, 2)))[2]) == np.asarray(x) - 1.0)


def test_inclined_photons_enter_by_the_top_by_a_side_or_beside(agrees):
    """Areas that they see: top, side, the rest of a square around."""
    square, angle = 8.0, 40.0
    entry = entries(jax.tree.map(jnp.asarray, Source.build(7000.0, illuminate=square, angle=angle)), OPEN, NUMBERS)
    top = (entry.layer == 0) & (entry.depth == 0.0)
    side = (entry.layer < 2) & ~top
    assert np.all(np.abs(np.asarray(entry.x)[side] + 0.5 * BOX) < 1e-6)
    for found, area in ((top, BOX**2), (side, BOX * (HEIGHT + GAP) * np.tan(np.radians(angle)))):
        p = area / square**2
        agrees(np.mean(found), p, np.sqrt(p * (1 - p) / NUMBERS.size))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("width", "x"), [(np.inf, 0.0), (30.0, 2.0)])
def test_every_history_on_a_wide_substrate_balances(model, width, x):
    """Signal + dead layers + escaped = the photon's energy, and more is left in the substrate than in a narrow one."""
    _, ledger, e = histories(wide(model, width, x=x), Source.build(14000.0))
    shares, limit = ledger.shares, 64 * np.finfo(np.float32).eps
    assert not ledger.overflow.any() and not shares.full.any()
    assert np.all(shares.escaped >= 0) and np.all(booked(ledger, 2) == 0)
    assert np.all(ledger.deposited >= 0) and np.all(shares.energy > -limit * 14000.0)
    assert np.max(np.abs(ledger.deposited + shares.energy.sum(axis=1) + shares.escaped - e)) < limit * 14000.0
    assert np.max(np.abs(ledger.deposited + ledger.by_photons + ledger.by_electrons - e)) < limit * 14000.0
    _, narrow, _ = histories(dead(model, gap=3.0), Source.build(14000.0))
    both = [(booked(each, 3) > 1.0) & (each.deposited > 1.0) for each in (ledger, narrow)]
    assert np.sum(both[0]) > np.sum(both[1]) + 3 * np.sqrt(np.sum(both[1]))


@pytest.mark.parametrize("model", MODELS)
def test_a_substrate_as_wide_as_the_absorber_is_a_dead_layer(model):
    """History by history, to the rounding of places; without thickness it changes nothing, however wide."""
    source = Source.build(14000.0)
    _, found, _ = histories(wide(model, SIDE), source)
    _, expected, _ = histories(dead(model, gap=3.0), source)
    for layer in (0, 1, 3):
        differ = np.abs(booked(found, layer) - booked(expected, layer)) > 1.0
        assert np.mean(differ) < 2e-3
    np.testing.assert_array_equal(found.escapes, expected.escapes)
    _, found, _ = histories(wide(model, bottom=0.0), source)
    _, expected, _ = histories(dead(model, gap=3.0, bottom=0.0), source)
    for name in ("deposited", "by_photons", "by_electrons", "escapes", "line", "scattered"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-5, atol=0.1)
    np.testing.assert_allclose(found.shares.escaped, expected.shares.escaped, rtol=1e-5, atol=0.1)
