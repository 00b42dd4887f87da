"""Pixels side by side: tracks from one to the next against a twin in numpy, histories by their balance and by symmetry.

Touching pixels must act as one big absorber, pixels far apart as one alone, and what a neighbour sees of a point is a
solid angle. All histories of a model share one compiled program of 3 x 3 pixels.
"""

import itertools
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter
from xcal_jax.absorber.source import Source, given_interaction
from xcal_jax.compute.random import words
from xcal_jax.montecarlo.histories import walk_histories
from xcal_jax.montecarlo.ledger import Shares
from xcal_jax.montecarlo.state import Medium
from xcal_jax.physics.array import next_pixel
from xcal_jax.physics.geometry import Direction, Pixels, Site, Stack
from xcal_jax.physics.parts import travel

THICKNESS = np.array([1.0, 2.0, 1.0])
WIDTH, LENGTH = 10.0, 8.0
ROWS, COLUMNS = 3, 4
N = 20000
MODELS = ("range", "scattering")
FAR = 1e5


def stack_of(pitch_x=13.0, pitch_y=9.0, rows=ROWS, columns=COLUMNS):
    pixels = Pixels(jnp.asarray(pitch_x), jnp.asarray(pitch_y), rows, columns)
    return Stack(jnp.asarray(THICKNESS, float), jnp.asarray(WIDTH), jnp.asarray(LENGTH), pixels)


def tracks(seed=1, flat=0.05):
    """Places (x, y, depth, layer, pixel) and directions (n, 3), most of them nearly horizontal."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(N, 3)) * (1.0, 1.0, flat)
    direction[:200, 0] = 0.0
    direction[200:400, 1] = 0.0
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    x, y = rng.uniform(-WIDTH / 2, WIDTH / 2, N), rng.uniform(-LENGTH / 2, LENGTH / 2, N)
    layer = rng.integers(0, 3, N)
    return (x, y, rng.uniform(0, 1, N) * THICKNESS[layer], layer, rng.integers(0, ROWS * COLUMNS, N)), direction


def as_jax(site, direction):
    x, y, depth, layer, pixel = site
    place = (jnp.asarray(a, float) for a in (x, y, depth))
    whole = (jnp.asarray(a, jnp.int32) for a in (layer, pixel))
    return Site(*place, *whole), Direction(*(jnp.asarray(d, float) for d in direction.T))


def boxes_ahead(site, direction, pitch_x, pitch_y):
    """For all pixels, (pixels, n): track length to the entry and to the exit, infinite where there is none ahead."""
    x, y, depth, layer, pixel = site
    z = (np.cumsum(THICKNESS) - THICKNESS)[layer] + depth
    x, y = x + pitch_x * (pixel % COLUMNS), y + pitch_y * (pixel // COLUMNS)
    entries, exits = [], []
    with np.errstate(divide="ignore", invalid="ignore"):
        for n in range(ROWS * COLUMNS):
            low = pitch_x * (n % COLUMNS) - WIDTH / 2, pitch_y * (n // COLUMNS) - LENGTH / 2, 0.0
            high = low[0] + WIDTH, low[1] + LENGTH, THICKNESS.sum()
            faces = [
                np.sort(np.stack([(a - p) / d, (b - p) / d]), axis=0)
                for a, b, p, d in zip(low, high, (x, y, z), direction.T * np.array([[1], [1], [-1]]), strict=True)
            ]
            faces = np.nan_to_num(np.stack(faces), nan=np.inf)
            enter, leave = faces[:, 0].max(axis=0), faces[:, 1].min(axis=0)
            hit = (enter < leave) & (enter > 0) & (n != pixel)
            entries.append(np.where(hit, enter, np.inf))
            exits.append(np.where(hit, leave, np.inf))
    return np.array(entries), np.array(exits)


@pytest.mark.parametrize("pitch", [(13.0, 9.0), (10.5, 20.0), (60.0, 8.25)])
def test_next_pixel_is_its_twin(pitch):
    site, direction = tracks()
    found, entry = jax.jit(jax.vmap(partial(next_pixel, stack_of(*pitch), goes=jnp.asarray(True))))(
        *as_jax(site, direction)
    )
    entries, _ = boxes_ahead(site, direction, *pitch)
    nearest, who = entries.min(axis=0), entries.argmin(axis=0)
    ahead = np.isfinite(nearest)
    found = np.asarray(found)
    assert 0.1 < ahead.mean() < 0.9
    assert np.mean(found != ahead) < 2e-4  # a corner grazed within single precision
    both = found & ahead
    assert np.mean(np.asarray(entry.pixel)[both] != who[both]) < 2e-4
    same = both & (np.asarray(entry.pixel) == who)
    x, y, depth, layer, pixel = (a[same] for a in site)
    way = direction[same] * nearest[same, None]
    step_x, step_y = who[same] % COLUMNS - pixel % COLUMNS, who[same] // COLUMNS - pixel // COLUMNS
    above = np.cumsum(THICKNESS) - THICKNESS
    np.testing.assert_allclose(np.asarray(entry.x)[same], x + way[:, 0] - pitch[0] * step_x, atol=1e-4)
    np.testing.assert_allclose(np.asarray(entry.y)[same], y + way[:, 1] - pitch[1] * step_y, atol=1e-4)
    z = above[np.asarray(entry.layer)[same]] + np.asarray(entry.depth)[same]
    np.testing.assert_allclose(z, above[layer] + depth - way[:, 2], atol=1e-4)


def test_travel_ends_where_its_budget_does():
    """At a cost of 1 per um, the budget is the track inside all pixels crossed, by the twin's boxes."""
    site, direction = tracks(2)
    rng = np.random.default_rng(3)
    budget = rng.uniform(0, 40, N)
    stack = stack_of()
    run = jax.vmap(lambda s, d, b: travel(stack, s, d, jnp.ones(3), b))
    escaped, left, end = jax.jit(run)(*as_jax(site, direction), jnp.asarray(budget, float))
    entries, exits = boxes_ahead(site, direction, 13.0, 9.0)
    alone = Stack(stack.thickness, stack.width, stack.length)
    left_alone = jax.vmap(lambda s, d: travel(alone, s, d, jnp.ones(3), jnp.asarray(1e3))[1])(*as_jax(site, direction))
    with np.errstate(invalid="ignore"):
        beyond = np.where(np.isfinite(entries), exits - entries, 0.0)
    inside = 1e3 - np.asarray(left_alone) + beyond.sum(axis=0)
    escaped = np.asarray(escaped)
    clear = np.abs(inside - budget) > 1e-3
    np.testing.assert_array_equal(escaped[clear], (budget > inside)[clear])
    np.testing.assert_allclose(np.asarray(left)[escaped & clear], (budget - inside)[escaped & clear], atol=2e-3)
    moved = ~escaped & (np.asarray(end.pixel) != site[4])
    assert moved.sum() > 500
    assert np.all(np.abs(end.x) <= WIDTH / 2 + 1e-5) and np.all(np.abs(end.y) <= LENGTH / 2 + 1e-5)


def test_a_neighbour_is_seen_under_a_solid_angle(agrees):
    """From a side face into a pixel that absorbs all: the share of all directions is the rectangle's solid angle."""
    gap, n = 3.0, 2**18
    stack = stack_of(WIDTH + gap, 20.0, 1, 3)
    rng = np.random.default_rng(4)
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    x, y, depth = WIDTH / 2, 1.5, 0.5
    ones = np.ones(n)
    site = x * ones, y * ones, depth * ones, 1 * ones, 1 * ones
    run = jax.jit(jax.vmap(lambda s, d: travel(stack, s, d, 1e4 * jnp.ones(3), jnp.asarray(1.0))))
    escaped, _, end = run(*as_jax(site, direction))
    caught = ~np.asarray(escaped) & (np.asarray(end.pixel) == 2)
    z = THICKNESS[0] + depth

    def corner(a, b):
        return np.arctan(a * b / (gap * np.sqrt(gap**2 + a**2 + b**2)))

    sides = itertools.product((LENGTH / 2 - y, LENGTH / 2 + y), (z, THICKNESS.sum() - z))
    expected = sum(corner(a, b) for a, b in sides) / (4 * np.pi)
    agrees(caught.mean(), expected, np.sqrt(expected * (1 - expected) / n))


def test_shares_add_up():
    """One place for each pixel, none for home or for nothing; one pixel too many is told."""
    zero = jnp.asarray(0.0)
    shares = Shares.empty(Stack(zero, zero, zero, Pixels(zero, zero, 2, 2)), jnp.int32(2), zero)
    for pixel, energy in ((2, 5.0), (1, 3.0), (0, 0.0), (3, 2.0), (1, -1.0)):
        shares = shares.add(jnp.int32(pixel), jnp.asarray(energy))
    assert np.asarray(shares.account).tolist() == [1, 3, -1]
    assert np.asarray(shares.energy).tolist() == [2.0, 2.0, 0.0]
    shares = shares.add(jnp.int32(0), jnp.asarray(1.0))
    assert not shares.full
    assert shares.add(jnp.int32(7), jnp.asarray(1.0)).full


run = jax.jit(lambda *run: walk_histories(*run, jnp.ones(run[-1].shape, bool)))
HISTORIES = 2**15


@cache
def matter_of(model):
    return Matter.build(Absorber.build([("Au", 0.04), ("Bi", 1.15), ("Au", 0.5)], 2.0, 2.0, electrons=model))


@cache
def histories(
    model, energy=12000.0, side=2.0, pitch=2.2, at=(0.0, 0.0), pixel=(1, 1), seed=1, angle=0.0, azimuth=0.0, first=0
):
    """(ledger, energy) of photons on a 3 x 3 array, in double precision."""
    array = {"rows": 3, "columns": 3, "pitch": pitch}
    absorber = Absorber.build([("Au", 0.04), ("Bi", 1.15), ("Au", 0.5)], side, side, electrons=model, array=array)
    matter = matter_of(model)
    source = Source.build(energy, at=at, pixel=pixel, angle=angle, azimuth=azimuth)
    depth = matter.optical_depth(absorber) / np.cos(np.radians(angle))
    source, _ = given_interaction(source, matter.attenuation.energy, depth)
    medium, source = jax.tree.map(jnp.asarray, (Medium(absorber.stack, absorber.density, matter), source))
    ledger, energy, _ = run(medium, source, words(seed), words(first), jnp.arange(HISTORIES, dtype=jnp.uint32))
    wide = jax.tree.map(lambda a: np.asarray(a, np.float64) if a.dtype.kind == "f" else np.asarray(a), (ledger, energy))
    assert not wide[0].overflow.any() and not wide[0].shares.full.any()
    return wide


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("beam", [{}, {"angle": 60.0, "azimuth": 30.0}, {"pitch": 2.0, "at": (0.99, -0.99)}])
def test_every_history_balances(model, beam):
    """In the pixel hit, and in the array: deposits + what leaves = the photon's energy."""
    ledger, energy = histories(model, **beam)
    met = ledger.shares.home >= 0 if not beam.get("angle") else ledger.deposited + ledger.by_photons != 0
    at_home = ledger.deposited + ledger.by_photons + ledger.by_electrons
    in_all = ledger.deposited + ledger.shares.energy.sum(axis=1) + ledger.shares.escaped
    limit = 64 * np.finfo(np.float32).eps * energy
    assert np.all(np.abs(at_home - energy)[met] < limit[met])
    assert np.all(np.abs(in_all - energy)[met] < limit[met])
    assert np.all(ledger.shares.energy >= 0) and np.all(ledger.shares.escaped >= 0)
    assert np.all((ledger.shares.account >= 0) >= (ledger.shares.energy > 0))
    assert np.all(ledger.shares.account != ledger.shares.home[:, None])
    assert 0.01 < np.mean(np.any(ledger.shares.energy > 1.0, axis=1)[met]) < 0.9


@pytest.mark.parametrize("model", MODELS)
def test_a_history_does_not_depend_on_its_batch(model):
    """The same photons among others: the same numbers."""
    half = HISTORIES // 2
    one, two = (histories(model, at=(0.9, 0.5), first=first)[0] for first in (0, half))
    assert np.any(one.shares.energy[half:])
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[half:], b[:half]), one, two)


@pytest.mark.parametrize("model", MODELS)
def test_touching_pixels_are_one_absorber(model, agrees):
    """What leaves 3 x 3 touching pixels leaves one of three times their width and length: the same losses."""
    at = (0.99, -0.99)
    parts, _ = histories(model, pitch=2.0, at=at)
    whole, _ = histories(model, side=6.0, pitch=FAR, at=at)
    assert not whole.shares.energy.any()
    alone, _ = histories(model, pitch=FAR, at=at)
    for least in (1e-3, 300.0, 1000.0, 3000.0, 6000.0):
        p, q = np.mean(parts.shares.escaped > least), np.mean(whole.shares.escaped > least)
        agrees(p, q, np.sqrt((p + q) / HISTORIES))
        assert np.mean(alone.shares.escaped > least) > 1.1 * q
    agrees(
        parts.shares.escaped.mean(),
        whole.shares.escaped.mean(),
        np.hypot(parts.shares.escaped.std(), whole.shares.escaped.std()) / np.sqrt(HISTORIES),
    )


@pytest.mark.parametrize("model", MODELS)
def test_pixels_far_apart_are_alone(model):
    """Nobody catches anything; the pixel hit loses the same whatever the pitch: it does not know its neighbours."""
    near, _ = histories(model, at=(0.9, 0.5))
    far, _ = histories(model, pitch=FAR, at=(0.9, 0.5))
    assert not far.shares.energy.any()
    np.testing.assert_allclose(far.shares.escaped, far.by_photons + far.by_electrons, atol=2e-3)
    assert near.shares.energy.any()
    same = ~near.shares.energy.any(axis=1)
    np.testing.assert_array_equal(near.deposited[same], far.deposited[same])


@pytest.mark.parametrize("model", MODELS)
def test_mirrored_pixels(model, agrees):
    """Corner pixels hit at mirrored places: each neighbour catches as often as its mirror image."""
    caught = []
    for seed, (sign_x, sign_y) in ((1, (1, 1)), (2, (-1, 1)), (3, (1, -1)), (4, (-1, -1))):
        ledger, _ = histories(model, at=(0.9 * sign_x, 0.8 * sign_y), pixel=(1 - sign_y, 1 - sign_x), seed=seed)
        counts = np.zeros(9)
        np.add.at(counts, ledger.shares.account[ledger.shares.energy > 1.0], 1)
        caught.append(counts.reshape(3, 3)[::sign_y, ::sign_x])
    caught = np.array(caught)
    mean = caught.mean(axis=0)
    assert mean[0, 0] == 0.0 and mean[0, 1] > 300 and mean[1, 0] > 200 and mean[0, 1] > 1.2 * mean[1, 0]
    agrees(caught, np.broadcast_to(mean, caught.shape), np.sqrt(mean))


def test_what_a_neighbour_catches_of_a_line(agrees):
    """Bi M5-N7 photons near an edge: the share that the next pixel catches, by a sum over depths and directions."""
    side, pitch, x = 2.0, 2.6, 0.6
    ledgers = [histories("range", 7000.0, pitch=pitch, at=(x, 0.0), seed=seed)[0] for seed in range(1, 17)]
    tables = matter_of("range").relaxation
    line = int(np.argmin(np.abs(np.asarray(tables.energy).reshape(-1) - 2422.5)))
    energy = float(np.asarray(tables.energy).reshape(-1)[line])
    photon = partial(np.isclose, energy, atol=0.01)
    left = caught = 0
    for ledger in ledgers:
        out = (ledger.line == line) & photon(ledger.by_photons)
        left += out.sum()
        caught += np.sum(out & np.any((ledger.shares.account == 5) & (ledger.shares.energy > 1.0), axis=1))
    expected = share_caught(energy, side, pitch, x)
    assert left > 1200 and 0.05 < expected < 0.5
    agrees(caught / left, expected, np.sqrt(expected * (1 - expected) / left))


def share_caught(line, side, pitch, x, beam=7000.0):
    """Of photons of ``line`` eV born in the bismuth at ``x`` that leave the pixel, those absorbed in the next one."""
    absorber = Absorber.build([("Au", 0.04), ("Bi", 1.15), ("Au", 0.5)], side, side)
    matter = matter_of("range")
    tops = np.concatenate([[0.0], np.cumsum(absorber.thickness)])

    def attenuation(energy):
        table = np.asarray(matter.attenuation.log_mass_attenuation, np.float64)
        by_material = [np.exp(np.interp(np.log(energy), np.log(matter.attenuation.energy), row)) for row in table]
        return 1e-4 * absorber.density * np.array([by_material[m] for m in matter.layer_material])

    mu, mu_beam = attenuation(line), attenuation(beam)
    z = tops[1] + (np.arange(24) + 0.5) / 24 * absorber.thickness[1]
    cosine = (np.arange(300) + 0.5) / 150 - 1.0
    azimuth = (np.arange(400) + 0.5) / 400 * 2 * np.pi
    z, w, azimuth = np.meshgrid(z, cosine, azimuth, indexing="ij")
    u, v = (np.sqrt(1 - w**2) * turn for turn in (np.cos(azimuth), np.sin(azimuth)))
    weight = np.exp(-mu_beam[1] * z)

    def depth_along(start, stop):
        """Optical depth between two lengths of track."""
        high, low = (np.maximum(z + w * start, z + w * stop), np.minimum(z + w * start, z + w * stop))
        parts = (np.clip(high, a, b) - np.clip(low, a, b) for a, b in itertools.pairwise(tops))
        return sum(m * part for m, part in zip(mu, parts, strict=True)) / np.abs(w)

    face = np.where(w > 0, tops[-1] - z, z) / np.abs(w)
    half = side / 2
    to_side = np.minimum((half - np.sign(u) * x) / np.abs(u), half / np.abs(v))
    leaves = weight * np.exp(-depth_along(0.0, np.minimum(face, to_side)))
    enter = (pitch - half - x) / u
    stop = np.minimum(np.minimum((pitch + half - x) / u, half / np.abs(v)), face)
    meets = (u > 0) & (enter < stop)
    return np.sum(np.where(meets, leaves * -np.expm1(-depth_along(enter, np.maximum(stop, enter))), 0)) / np.sum(leaves)
