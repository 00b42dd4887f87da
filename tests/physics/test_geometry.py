"""Straight tracks through a stack against a twin in numpy that cuts every track at every face."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.physics.geometry import (
    MOST_UNROLLED,
    Direction,
    Site,
    Stack,
    circle,
    deflect,
    distance_to_side,
    isotropic,
    margin_to_surface,
    of_layer,
    walk,
)

WIDTH, LENGTH = 30.0, 20.0
N = 4000


def stack_of(thickness, width=WIDTH, length=LENGTH):
    return Stack(jnp.asarray(thickness, dtype=float), jnp.asarray(width), jnp.asarray(length))


def random_sites(thickness, n=N, seed=0):
    rng = np.random.default_rng(seed)
    layer = rng.integers(0, len(thickness), n)
    depth = rng.random(n) * np.asarray(thickness)[layer]
    return rng.uniform(-WIDTH / 2, WIDTH / 2, n), rng.uniform(-LENGTH / 2, LENGTH / 2, n), depth, layer


def random_directions(n=N, seed=1):
    d = np.random.default_rng(seed).normal(size=(n, 3))
    return (d / np.linalg.norm(d, axis=1, keepdims=True)).T


def as_jax(site, direction):
    x, y, depth, layer = site
    place = Site(
        *(jnp.asarray(a, dtype=jnp.result_type(float)) for a in (x, y, depth)), jnp.asarray(layer, dtype=jnp.int32)
    )
    return place, Direction(*(jnp.asarray(d, dtype=jnp.result_type(float)) for d in direction))


def twin(thickness, cost, site, direction, budget):
    """(escaped, left, x, y, z below the top) of one track, in double precision, face by face."""
    x, y, depth, layer = site
    u, v, w = direction
    tops = np.concatenate([[0.0], np.cumsum(thickness)])
    z = tops[layer] + depth
    with np.errstate(divide="ignore"):
        out = min((np.copysign(WIDTH / 2, u) - x) / u, (np.copysign(LENGTH / 2, v) - y) / v)
        out = min(out, ((0.0 if w > 0 else tops[-1]) - z) / -w)
        planes = (tops - z) / -w
    cuts = np.unique(np.concatenate([[0.0], planes[(planes > 0) & (planes < out)], [out]]))
    for a, b in itertools.pairwise(cuts):
        middle = z - w * (a + b) / 2
        price = cost[min(np.searchsorted(tops, middle) - 1, len(cost) - 1)]
        if budget < price * (b - a):
            s = a + budget / price
            return False, 0.0, x + u * s, y + v * s, z - w * s
        budget -= price * (b - a)
    return True, budget, *(np.nan,) * 3


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("thickness", [[5.0], [0.04, 5.15, 1.22], [1.0, 0.001, 8.0, 0.5, 3.0], [0.3, 1.2, 0.01] * 4])
def test_walk_is_its_twin(thickness, double):
    rng = np.random.default_rng(2)
    site, direction = random_sites(thickness), random_directions()
    cost = rng.uniform(0.1, 3, len(thickness))
    budget = rng.exponential(5.0, N)
    expected = np.array(
        [twin(thickness, cost, s, d, b) for s, d, b in zip(zip(*site, strict=True), direction.T, budget, strict=True)],
        dtype=float,
    )
    place, way = as_jax(site, direction)
    go = jax.vmap(lambda s, d, b: walk(stack_of(thickness), s, d, jnp.asarray(cost), b))
    escaped, left, end = go(place, way, jnp.asarray(budget))
    assert 0.2 < expected[:, 0].mean() < 0.9
    np.testing.assert_array_equal(escaped, expected[:, 0] == 1)
    np.testing.assert_allclose(np.where(escaped, left, 0), expected[:, 1], atol=1e-9)
    inside = ~np.asarray(escaped)
    z = np.concatenate([[0], np.cumsum(thickness)])[end.layer] + end.depth
    np.testing.assert_allclose(np.stack([end.x, end.y, z])[:, inside], expected[inside, 2:].T, atol=1e-9)
    assert np.all((end.depth >= 0) & (end.depth <= np.asarray(thickness)[end.layer]))


@pytest.mark.parametrize("angle", [0.0, 30.0, 60.0, 89.0])
def test_slab_at_an_angle(angle):
    """From the top of one layer to the bottom: thickness / cos."""
    stack = stack_of([5.0], 1e5, 1e5)
    site, way = as_jax((0.0, 0.0, 0.0, 0), (np.sin(np.radians(angle)), 0.0, -np.cos(np.radians(angle))))
    escaped, left, _ = walk(stack, site, way, [jnp.asarray(2.0)], jnp.asarray(1e4))
    assert bool(escaped)
    assert 1e4 - float(left) == pytest.approx(10 / np.cos(np.radians(angle)), rel=1e-3)


@pytest.mark.parametrize("direction", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)])
def test_along_the_axes(direction):
    """Exactly to the six faces; a track along a face never meets it."""
    site, way = as_jax((2.0, -3.0, 1.0, 0), direction)
    distance = {(1, 0, 0): 13, (-1, 0, 0): 17, (0, 1, 0): 13, (0, -1, 0): 7, (0, 0, 1): 1, (0, 0, -1): 4}[direction]
    escaped, left, _ = walk(stack_of([5.0]), site, way, [jnp.asarray(1.0)], jnp.asarray(100.0))
    assert bool(escaped) and float(left) == 100 - distance
    stops, _, end = walk(stack_of([5.0]), site, way, [jnp.asarray(1.0)], jnp.asarray(distance - 0.5))
    assert not bool(stops)
    ended = np.array([end.x, end.y, -end.depth]) - np.array([2.0, -3.0, -1.0])
    np.testing.assert_allclose(ended, np.array(direction) * (distance - 0.5), atol=1e-6)


@pytest.mark.parametrize("corner", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_corners(corner):
    """At the very edge, outwards: out at once. Inwards: the diagonal."""
    at = (corner[0] * WIDTH / 2, corner[1] * LENGTH / 2, 1.0, 0)
    for sign, length in ((1, 0.0), (-1, LENGTH * np.sqrt(2))):
        site, way = as_jax(at, (sign * corner[0] / np.sqrt(2), sign * corner[1] / np.sqrt(2), 0.0))
        assert float(distance_to_side(stack_of([5.0]), site, way)) == pytest.approx(length, rel=1e-6)
        escaped, left, _ = walk(stack_of([5.0]), site, way, [jnp.asarray(1.0)], jnp.asarray(50.0))
        assert bool(escaped) and float(left) == pytest.approx(50 - length, rel=1e-6)


def test_a_layer_cut_in_two(double):
    """The same tracks, the same ends."""
    site, direction = random_sites([5.0]), random_directions()
    cut = (site[0], site[1], np.where(site[2] < 2.0, site[2], site[2] - 2.0), (site[2] >= 2.0).astype(int))
    budget = jnp.asarray(np.random.default_rng(3).exponential(5.0, N))
    results = []
    for thickness, s in (([5.0], site), ([2.0, 3.0], cut)):
        place, way = as_jax(s, direction)
        escaped, left, end = jax.vmap(
            lambda s, d, b, t=thickness: walk(stack_of(t), s, d, jnp.full((len(t),), 1.5), b)
        )(place, way, budget)
        z = np.concatenate([[0], np.cumsum(thickness)])[end.layer] + end.depth
        results.append((escaped, np.where(escaped, left, 0), *(np.where(escaped, 0, a) for a in (end.x, end.y, z))))
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-10)


@pytest.mark.parametrize("layers", [MOST_UNROLLED, MOST_UNROLLED + 1])
def test_the_value_of_a_layer(layers):
    values = np.arange(1.0, layers + 1)
    assert [float(of_layer(jnp.asarray(values), jnp.asarray(n))) for n in range(layers)] == values.tolist()


@pytest.mark.parametrize("axis", [0, 1])
def test_mirrored_tracks_are_bit_identical(axis):
    thickness = [0.04, 5.15, 1.22]
    site, direction = list(random_sites(thickness)), random_directions()
    budget = jnp.asarray(np.random.default_rng(3).exponential(5.0, N), dtype=float)
    go = jax.vmap(lambda s, d, b: walk(stack_of(thickness), s, d, jnp.asarray([1.0, 2.0, 0.5]), b))
    place, way = as_jax(site, direction)
    escaped, left, end = go(place, way, budget)
    site[axis], direction[axis] = -site[axis], -direction[axis]
    place, way = as_jax(site, direction)
    escaped_2, left_2, end_2 = go(place, way, budget)
    np.testing.assert_array_equal(escaped, escaped_2)
    np.testing.assert_array_equal(left, left_2)
    flip = [-1 if axis == 0 else 1, -1 if axis == 1 else 1, 1, 1]
    for a, b, sign in zip(jax.tree.leaves(end), jax.tree.leaves(end_2), flip, strict=True):
        np.testing.assert_array_equal(a, sign * b)


def test_least_cost_is_a_bound_and_is_reached(double):
    """No track leaves for less; straight up, down or sideways it costs just that where one layer is the cheapest."""
    thickness, cost = [0.04, 5.15, 1.22], np.array([7.7, 3.9, 7.7])
    site = random_sites(thickness, 200)
    place, _ = as_jax(site, np.zeros((3, 200)))
    bound = np.asarray(jax.vmap(lambda s: margin_to_surface(stack_of(thickness), s, jnp.asarray(cost)))(place))
    go = jax.jit(jax.vmap(lambda s, d: walk(stack_of(thickness), s, d, jnp.asarray(cost), jnp.asarray(1e4))))
    cheapest = np.full(200, np.inf)
    axes = np.concatenate([np.eye(3), -np.eye(3)]).T
    for direction in np.concatenate([random_directions(300), axes], axis=1).T:
        spread = np.repeat(direction[:, None], 200, axis=1)
        _, way = as_jax(site, spread)
        escaped, left, _ = go(place, way)
        assert np.all(escaped)
        cheapest = np.minimum(cheapest, 1e4 - np.asarray(left))
    assert np.all(bound <= cheapest + 1e-9)
    assert np.mean(np.isclose(bound, cheapest, atol=1e-9)) > 0.7
    assert np.all(bound >= 0)


def test_circle_is_cosine_and_sine(double):
    turns = np.linspace(0, 1, 1001)
    found = np.stack(circle(jnp.asarray(turns)))
    np.testing.assert_allclose(found, [np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], atol=1e-8)


def test_isotropic_moments(agrees, chi_square):
    """cos is flat; all first and second moments are those of the sphere."""
    n = 2**17
    u, v = np.random.default_rng(4).random((2, n)).astype(np.float32)
    d = jnp.stack(jax.tree.leaves(jax.vmap(isotropic)(jnp.asarray(u), jnp.asarray(v))))
    d = np.asarray(d, dtype=float)
    np.testing.assert_allclose(np.linalg.norm(d, axis=0), 1, atol=3e-7)
    chi_square(np.histogram(d[2], bins=100, range=(-1, 1))[0], np.ones(100))
    agrees(d.mean(axis=1), np.zeros(3), np.sqrt(1 / 3 / n))
    moments = d @ d.T / n
    agrees(moments, np.eye(3) / 3, np.where(np.eye(3), np.sqrt(4 / 45 / n), np.sqrt(1 / 15 / n)))


@pytest.mark.parametrize("pole", [None, (0, 0, 1), (0, 0, -1), (1e-8, 0, -1), (1e-4, -1e-4, 1), (1, 0, 0), (0, -1, 0)])
def test_deflection_keeps_its_angle(pole, agrees):
    """Unit length, the polar angle asked for, the azimuth flat; also at the poles."""
    n = 20000
    rng = np.random.default_rng(5)
    start = random_directions(n) if pole is None else np.repeat(np.array(pole, dtype=float)[:, None], n, axis=1)
    start = (start / np.linalg.norm(start, axis=0)).astype(np.float32)
    cosine = np.concatenate([[1.0, -1.0, 0.0], rng.uniform(-1, 1, n - 3)]).astype(np.float32)
    way = Direction(*map(jnp.asarray, start))
    turned = jax.vmap(deflect)(way, jnp.asarray(cosine), jnp.asarray(rng.random(n), dtype=jnp.float32))
    d = np.asarray(jnp.stack(jax.tree.leaves(turned)), dtype=float)
    np.testing.assert_allclose(np.linalg.norm(d, axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(np.sum(d * start, axis=0), cosine, atol=1e-6)
    across = d - cosine * start
    agrees(across.mean(axis=1), np.zeros(3), np.sqrt(1 / 3 / n))


def test_margin_ends_at_dead_layers(double):
    """It is that of a box of the layers between the nearest dead layers alone, or of the dead layer alone."""
    thickness, cost = np.array([0.3, 1.0, 2.0, 0.0, 0.5, 4.0]), np.array([2.0, 3.9, 7.7, 5.0, 0.1, 1.0])
    layers = Stack(jnp.asarray(thickness), jnp.asarray(6.0), jnp.asarray(5.0), dead=(0, 3, 4))
    x, y, depth, layer = random_sites(thickness, 500)
    sites = as_jax((x / 6, y / 6, depth, layer), np.zeros((3, 500)))[0]
    found = np.asarray(jax.vmap(lambda s: margin_to_surface(layers, s, jnp.asarray(cost)))(sites))
    for block in ((0,), (1, 2), (4,), (5,)):
        part = np.flatnonzero(np.isin(layer, block))
        box = Stack(jnp.asarray(thickness[list(block)]), layers.width, layers.length)
        least = np.min(cost[[1, 2, 5]]) if block[0] in (1, 5) else cost[block[0]]
        shifted = replace(jax.tree.map(lambda a, part=part: a[part], sites), layer=sites.layer[part] - block[0])
        alone = jax.vmap(lambda s, b=block, box=box: margin_to_surface(box, s, jnp.asarray(cost[list(b)])))(shifted)
        inside = np.minimum(3.0 - np.abs(shifted.x), 2.5 - np.abs(shifted.y))
        expected = np.minimum(np.asarray(alone), inside * least)
        np.testing.assert_allclose(found[part], expected, rtol=1e-12)
        assert np.ptp(expected) > 0
