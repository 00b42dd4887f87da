"""Grids as users write them, rows and nodes that end at edges, and the smooth values that rows draw from nodes."""

import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import elements_of
from xcal_jax.response.energy_grid import adapt, edges_between, leverage, node_weights, nodes_between, parse_grid

ELEMENTS = elements_of(Absorber.preset("xifu"))


def test_units_of_a_grid():
    expected = np.arange(200.0, 12_000.1, 5.0)
    for text in ("0.2:12:5eV", "200eV:12keV:0.005keV", "0.2keV:12:5"):
        np.testing.assert_allclose(parse_grid(text, "grid"), expected, rtol=1e-12)
    np.testing.assert_allclose(parse_grid("1:1.01:4eV", "grid"), [1000, 1004, 1008, 1010])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("12:0.2:5eV", "must run upwards"),
        ("2:2:5eV", "must run upwards"),
        ("0:2:5eV", "from above 0"),
        ("-1:2:5eV", "from above 0"),
        ("1:2:0eV", "a step above 0"),
        ("1:2:-5eV", "a step above 0"),
        ("1:2:5keV", "at most 1000 eV"),
        ("1:2:1e-9eV", "at most 1048576 intervals"),
        ("1:2:3:4", "LOW:HIGH:STEP"),
        ("1:nan:5eV", "must be finite"),
        ("1:two:5eV", "must be a number"),
        ("1:2:5um", "must be a number"),
    ],
)
def test_refused_grids(text, sentence):
    with pytest.raises(ValueError, match=f"`grid`.*{sentence}"):
        parse_grid(text, "grid")


def test_rows_stay_within_the_tables():
    for low, high in ((50.0, 1000.0), (1000.0, 2e6)):
        with pytest.raises(ValueError, match="within the tables"):
            adapt(np.array([low, high]), np.empty(0))


def test_no_row_spans_an_edge():
    rows = parse_grid("2:4.1:5eV", "grid")
    edges = edges_between(ELEMENTS, rows[0], rows[-1])
    assert edges.size == 10  # M1 to M5 of gold and bismuth
    adapted = adapt(rows, edges)
    assert adapted[0] == rows[0] and adapted[-1] == rows[-1] and np.all(np.diff(adapted) > 0.5)
    assert np.isin(edges, adapted).all()
    assert adapted.size <= rows.size + edges.size


def test_nodes_stay_on_their_side():
    edges = edges_between(ELEMENTS, 2000.0, 4100.0)
    nodes, stretch = nodes_between(2000.0, 4100.0, edges)
    assert np.all(np.diff(nodes) > 0) and np.all(np.bincount(stretch) >= 3)
    np.testing.assert_array_equal(np.searchsorted(edges, nodes), stretch)
    np.testing.assert_array_equal(np.searchsorted(edges.astype(np.float32), nodes.astype(np.float32)), stretch)
    assert np.max(np.diff(np.log(nodes))) < 0.0101


def test_straight_lines_pass_unchanged():
    """A value linear in the logarithm of the energy, with a step at an edge, comes back exactly on both sides."""
    rows = adapt(parse_grid("2:4.1:5eV", "grid"), edges_between(ELEMENTS, 2000.0, 4100.0))
    edges = edges_between(ELEMENTS, 2000.0, 4100.0)
    nodes, stretch = nodes_between(2000.0, 4100.0, edges)
    middle = 0.5 * (rows[1:] + rows[:-1])
    weights = node_weights(middle, nodes, stretch, edges)
    found = weights @ (3.0 * stretch - 0.7 * np.log(nodes))
    np.testing.assert_allclose(found, 3.0 * np.searchsorted(edges, middle) - 0.7 * np.log(middle), atol=1e-9)
    variance = weights.multiply(weights).sum(axis=1)
    at_nodes = leverage(nodes, stretch, edges)
    assert np.all((at_nodes > 0.2) & (at_nodes <= 1.0 + 1e-9))
    assert variance.max() < 1.1 * at_nodes.max()
