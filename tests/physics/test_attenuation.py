"""What a photon meets and how far it flies, against the tables of the elements, between and across edges."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.atomic import Material, load_element
from xcal_jax.atomic.element import AVOGADRO_BARN
from xcal_jax.constants import ENERGY_RANGE
from xcal_jax.physics.attenuation import Attenuation
from xcal_jax.physics.discrete import Discrete
from xcal_jax.physics.photon_scattering import WallerHartree, compton_density, cross_section

MATERIALS = (Material.build("Au"), Material.build("Bi"), Material.build("HgTe"))
ELEMENTS = tuple(load_element(symbol) for symbol in ("Te", "Au", "Hg", "Bi"))
OFFSET = np.cumsum([0] + [len(e.subshells) for e in ELEMENTS])


@pytest.fixture(scope="module", params=[False, True], ids=["without Rayleigh", "with Rayleigh"])
def tables(request):
    return Attenuation.build(MATERIALS, ELEMENTS, WallerHartree, request.param), request.param


def attenuation(table, energy):
    """(M, E) cm2/g of a float32 table."""

    @jax.vmap
    def at(e):
        return jnp.stack(table.mass_attenuation(*table.place(e)))

    return np.asarray(at(jnp.asarray(energy, dtype=jnp.float32)), dtype=float).T


def expected(energy, rayleigh):
    """(M, E) from the elements' own curves, with the project's Compton total."""
    energy = np.asarray(np.asarray(energy, dtype=np.float32), dtype=float)
    rows = []
    for material in MATERIALS:
        parts = 0.0
        for symbol, fraction in zip(material.elements, material.mass_fraction, strict=True):
            e = load_element(symbol)
            barn = e.photoelectric(energy) + cross_section(partial(compton_density, e), energy)
            parts = parts + fraction * AVOGADRO_BARN / e.weight * (barn + (e.coherent(energy) if rayleigh else 0.0))
        rows.append(parts)
    return np.array(rows)


def test_at_random_energies(tables):
    """Interpolated to 0.25 % above 1 keV. EPDL's resonances below (Te at 590 eV) are finer than the rows: 1 %."""
    table, rayleigh = tables
    energy = np.exp(np.random.default_rng(0).uniform(np.log(100), np.log(1e6), 4000))
    ratio = attenuation(table, energy) / expected(energy, rayleigh)
    np.testing.assert_allclose(ratio[:, energy > 1000], 1, atol=2.5e-3)
    np.testing.assert_allclose(ratio, 1, atol=0.01)
    assert np.mean(np.abs(ratio - 1) > 1e-3) < 0.02
    np.testing.assert_allclose(ratio.mean(axis=1), 1, atol=2e-4)


def test_against_the_materials(tables):
    """Material.mass_attenuation, whose Compton total is EPDL's: to 0.2 % where the photoelectric effect rules."""
    table, rayleigh = tables
    energy = np.array([150.0, 777.0, 3e3, 5e3, 7e3, 1e4, 5e4])
    oracle = [m.mass_attenuation(energy, rayleigh) for m in MATERIALS]
    np.testing.assert_allclose(attenuation(table, energy), oracle, rtol=2e-3)


@pytest.mark.parametrize(("kev", "gold", "bismuth", "hgte"), [(1, 4653, 5442, 6231), (3, 2049, 2053, 1558)])
def test_published(kev, gold, bismuth, hgte):
    table = Attenuation.build(MATERIALS, ELEMENTS, WallerHartree, True)
    np.testing.assert_allclose(attenuation(table, [1e3 * kev])[:, 0], [gold, bismuth, hgte], rtol=0.012)


def test_across_every_edge(tables):
    """A float below and above each edge, nothing is smeared: the jump is the subshell's own."""
    table, rayleigh = tables
    edges = np.unique(np.concatenate([e.binding for e in ELEMENTS])).astype(np.float32)
    edges = edges[edges > 100]
    assert edges.size >= 60
    for energy in (np.nextafter(edges, np.float32(0)), np.nextafter(edges, np.float32(np.inf)), 0.99995 * edges):
        np.testing.assert_allclose(attenuation(table, energy), expected(energy, rayleigh), rtol=3e-3)


def test_rows_and_shares():
    """Rows ascend; a place gives its energy back; the ends are inside."""
    table = Attenuation.build(MATERIALS, ELEMENTS, WallerHartree, False)
    rows = np.asarray(table.energy, dtype=float)
    assert np.all(np.diff(rows) >= 0)
    energy = np.concatenate([np.geomspace(*ENERGY_RANGE, 3001), rows]).astype(np.float32)
    row, share = jax.vmap(table.place)(jnp.asarray(energy))
    row, share = np.asarray(row), np.asarray(share, dtype=float)
    assert row.min() >= 0 and row.max() < rows.size - 1
    back = rows[row] ** (1 - share) * rows[row + 1] ** share
    np.testing.assert_allclose(back, energy, rtol=5e-6)


def shares(material, energy, rayleigh):
    """Exact shares by code, above the edges at ``energy``."""
    result = np.zeros(OFFSET[-1] + 2 * len(ELEMENTS))
    for symbol, fraction in zip(material.elements, material.mass_fraction, strict=True):
        e = [element.symbol for element in ELEMENTS].index(symbol)
        scale = fraction / ELEMENTS[e].weight
        for s, subshell in enumerate(ELEMENTS[e].subshells):
            result[OFFSET[e] + s] += scale * subshell.photoelectric(energy)
        result[OFFSET[-1] + e] += scale * cross_section(partial(compton_density, ELEMENTS[e]), np.array([energy]))[0]
        if rayleigh:
            result[OFFSET[-1] + len(ELEMENTS) + e] += scale * ELEMENTS[e].coherent(energy)
    return result / result.sum()


BISMUTH = {s.label: s.binding for s in ELEMENTS[3].subshells}


@pytest.mark.parametrize("material", range(3))
@pytest.mark.parametrize(
    "energy",
    [150.0, 3000.0, 7000.0, 0.9999 * BISMUTH["M5"], 1.0001 * BISMUTH["M5"], 0.9999 * BISMUTH["L3"], 2e4, 1e5],
)
def test_channels(tables, material, energy, chi_square):
    """Which subshell, or which scattering, by its share of the material's cross section."""
    table, rayleigh = tables
    n = 2**17
    u_row, u_channel = np.random.default_rng(1).random((2, n))

    @partial(jax.vmap, in_axes=(None, 0, 0))
    def pick(e, a, b):
        return table.pick_channel(jnp.int32(material), *table.place(e), a, b)

    codes = pick(jnp.float32(energy), jnp.asarray(u_row, jnp.float32), jnp.asarray(u_channel, jnp.float32))
    exact = shares(MATERIALS[material], energy, rayleigh)
    counts = np.bincount(np.asarray(codes), minlength=exact.size)
    assert counts.size == exact.size
    chi_square(counts, exact)


@pytest.mark.parametrize("label", ["M5", "M1", "L3"])
def test_an_edge_opens_its_subshell_at_once(label):
    """Never below, to the last float; at once above, with its full share."""
    table = Attenuation.build(MATERIALS, ELEMENTS, WallerHartree, False)
    s = OFFSET[3] + [s.label for s in ELEMENTS[3].subshells].index(label)
    edge = np.float32(BISMUTH[label])
    u = jnp.asarray((np.arange(20000) + 0.5) / 20000, dtype=jnp.float32)
    found = []
    for energy in (np.nextafter(edge, np.float32(0)), np.nextafter(edge, np.float32(np.inf))):
        codes = jax.vmap(lambda v, e=energy: table.pick_channel(jnp.int32(1), *table.place(jnp.float32(e)), v, v))(u)
        found.append(np.mean(np.asarray(codes) == s))
    exact = shares(MATERIALS[1], BISMUTH[label], False)[s]
    assert found[0] == 0
    assert found[1] == pytest.approx(exact, rel=0.01)


def test_the_nearer_row_is_drawn_the_oftener(tables):
    """Channels are those of the row below or of the next: the next with the fraction of the way to it."""
    table, _ = tables
    rows, channels = table.energy.shape[0], table.code.shape[1]
    weights = np.zeros((len(MATERIALS) * rows, channels))
    parity = np.arange(len(weights)) % rows % 2
    weights[np.arange(len(weights)), parity] = 1.0  # even rows: the first channel; odd rows: the second
    marked = replace(table, channels=Discrete.build(weights))
    u = (jnp.arange(1000, dtype=jnp.float32) + 0.5) / 1000
    for energy, material in ((777.0, 0), (6543.0, 1), (23456.0, 2)):
        row, fraction = table.place(jnp.float32(energy))
        place = (jnp.int32(material), row, fraction)
        picked = jax.vmap(marked.pick_channel, (None, None, None, 0, None))(*place, u, jnp.float32(0.5))
        after = np.mean(np.asarray(picked) == int(table.code[material, (int(row) + 1) % 2]))
        assert 0.02 < float(fraction) < 0.98 and abs(float(fraction) - 0.5) > 0.02
        assert after == pytest.approx(float(fraction), abs=2e-3)
