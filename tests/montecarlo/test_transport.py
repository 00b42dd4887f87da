"""Whole histories: energy balance, depths, lines, and the same physics in another guise.

All stacks of the first half are Au / Bi / Au, so that they share one compiled program.
"""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import expn

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter, elements_of
from xcal_jax.absorber.source import Source, given_interaction
from xcal_jax.atomic import load_element
from xcal_jax.compute.random import photon_key, words
from xcal_jax.montecarlo.histories import walk_histories
from xcal_jax.montecarlo.ledger import Ledger
from xcal_jax.montecarlo.state import EMITTED, History, Ion, Medium
from xcal_jax.montecarlo.transport import first_interaction, relax_once
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.relaxation import add_vacancy, no_vacancies

LANES = 2**14
run = jax.jit(lambda *run: walk_histories(*run, jnp.ones(run[-1].shape, bool)))


def stack(*thickness, side=269.5, formulas=("Au", "Bi", "Au"), **more):
    return Absorber.build([(f, t) for f, t in zip(formulas, thickness, strict=True)], side, side, **more)


XIFU = (0.04, 5.15, 1.22)


@cache
def matter_of(absorber):
    return Matter.build(absorber)


def prepared(absorber, source, matter=None):
    """The medium, and the source given an interaction."""
    matter = matter or Matter.build(absorber)
    if source.forced:
        source, _ = given_interaction(source, matter.attenuation.energy, matter.optical_depth(absorber))
    return jax.tree.map(jnp.asarray, (Medium(absorber.stack, absorber.density, matter), source))


def histories(absorber, source, blocks=1, seed=1):
    """(ledger, energy) of blocks x LANES photons, as float64 arrays."""
    medium, source = prepared(absorber, source)
    parts = []
    for block in range(blocks):
        offset = jnp.arange(LANES, dtype=jnp.uint32)
        ledger, energy, _ = run(medium, source, words(seed), words(block * LANES), offset)
        parts.append((ledger, energy))
    joined = jax.tree.map(lambda *a: np.concatenate([np.asarray(b) for b in a]), *parts)
    return medium, *jax.tree.map(lambda a: a.astype(np.float64) if a.dtype.kind == "f" else a, joined)


def check_balance(ledger, energy, eps):
    assert not ledger.overflow.any()
    assert np.all(ledger.by_photons >= 0) and np.all(ledger.by_electrons >= 0) and np.all(ledger.deposited >= 0)
    unbalance = np.abs(ledger.deposited + ledger.by_photons + ledger.by_electrons - energy) / energy
    assert unbalance.max() < 64 * eps
    lost = ledger.by_photons + ledger.by_electrons
    assert np.all((ledger.by_photons > 0) == (ledger.escapes > 0))
    return lost


@pytest.mark.parametrize("energy", [100.0, 1000.0, 3000.0, 7000.0, 14000.0, 95000.0, 1e6])
@pytest.mark.parametrize("thickness", [XIFU, (1e-4, 1e-3, 1e-4), (50.0, 1000.0, 50.0)], ids=["xifu", "thin", "thick"])
def test_every_history_balances(energy, thickness):
    """Deposited + escaped by photons + escaped by electrons = incident, to 64 units of float32's rounding."""
    ledger, e = histories(stack(*thickness), Source.build(energy))[1:]
    lost = check_balance(ledger, e, np.finfo(np.float32).eps)
    assert np.all(e == np.float32(energy))
    assert lost.any()


@pytest.mark.slow
def test_every_history_balances_in_double():
    with jax.enable_x64(True):
        for energy in (1000.0, 7000.0, 95000.0):
            ledger, e = histories(stack(*XIFU), Source.build(energy))[1:]
            assert ledger.deposited.dtype == np.float64
            check_balance(ledger, e, 1e-15)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_float32_is_float64():
    """Uniforms are the same numbers, so nearly all histories are: partial ones, and what they lose."""
    found = []
    for x64 in (False, True):
        with jax.enable_x64(x64):
            ledger, _ = histories(stack(*XIFU), Source.build(7000.0, at=(134.7, 134.7)), 2)[1:]
            found.append(ledger.by_photons + ledger.by_electrons)
    single, double = found
    assert np.mean(np.isclose(single, double, rtol=1e-3, atol=5.0)) > 0.99
    for least in (1e-3, 500.0, 3000.0):
        a, b = single > least, double > least
        assert abs(a.mean() - b.mean()) <= 4.4 * np.sqrt(max(1, np.sum(a != b))) / a.size
    assert 0.35 < np.mean(single > 1e-3) < 0.45


def first_sites(absorber, source, n=2**17, seed=3):
    medium, source = prepared(absorber, source)
    vertex, _ = jax.jit(jax.vmap(lambda i: first_interaction(medium, source, photon_key(words(seed), words(0), i))))(
        jnp.arange(n, dtype=jnp.uint32)
    )
    tops = np.concatenate([[0], np.cumsum(absorber.thickness)])
    depth = tops[np.asarray(vertex.site.layer)] + np.asarray(vertex.site.depth, dtype=float)
    return medium, vertex, np.where(vertex.met, depth, np.nan)


@pytest.mark.parametrize("forced", [True, False])
@pytest.mark.parametrize("energy", [3000.0, 7000.0, 20000.0])
def test_first_depth_is_an_exponential(energy, forced):
    """Truncated at the far side if forced; layer by layer, against the materials' own attenuation."""
    absorber = stack(*XIFU)
    _, _vertex, depth = first_sites(absorber, Source.build(energy, forced=forced))
    mu = [Matter_mu(f, d, energy) for f, d in zip(absorber.formulas, absorber.density, strict=True)]
    tops = np.concatenate([[0], np.cumsum(absorber.thickness)])
    tau = np.concatenate([[0], np.cumsum(np.array(mu) * absorber.thickness)])
    through = -np.expm1(-tau[-1])

    def cdf(z):
        return -np.expm1(-np.interp(z, tops, tau)) / through

    met = np.isfinite(depth)
    if forced:
        assert met.all()
    else:
        share = met.mean()
        assert abs(share - through) < 4.4 * np.sqrt(through * (1 - through) / depth.size) + 1e-3 * through
    chance = stats.kstest(depth[met], cdf).pvalue
    assert 5e-6 < chance < 1 - 5e-6


def Matter_mu(formula, density, energy):
    """1/um without Rayleigh."""
    element = load_element(formula)
    from xcal_jax.physics.photon_scattering import compton_density, cross_section

    barn = element.photoelectric(energy) + cross_section(partial(compton_density, element), np.array([energy]))[0]
    return 1e-4 * density * barn * 0.602214076 / element.weight


def lines_of(medium):
    energy = np.asarray(medium.matter.relaxation.energy, dtype=float).reshape(-1)
    return energy, medium.matter.relaxation.energy.shape[1]


def subshell_rows(absorber):
    return [(e.symbol, s.label) for e in elements_of(absorber) for s in e.subshells]


def mean_photons(symbol, label):
    """Photons per vacancy by transition, solved from the lists: {(subshell, transition): mean}."""
    subshells = load_element(symbol).subshells
    start = [s.label for s in subshells].index(label)
    vacancies = np.zeros(len(subshells))
    vacancies[start] = 1.0
    photons = {}
    for s, t in enumerate(subshells):
        for k, (p, a, b) in enumerate(zip(t.probability, t.final1, t.final2, strict=True)):
            vacancies[a] += vacancies[s] * p
            if b >= 0:
                vacancies[b] += vacancies[s] * p
            elif t.transition_energy[k] >= 10:
                photons[s, k] = vacancies[s] * p
    return photons


@cache
def photons_of_a_vacancy():
    """(function of photons (n,), row of their vacancy and margin to the surface, tables): lines, ledger, steps."""
    medium, _ = prepared(stack(*XIFU), Source.build(7000.0))
    tables = medium.matter.relaxation

    def emitted(i, row, margin):
        key = photon_key(words(11), words(0), i)
        zero, none = jnp.zeros(()), jnp.full((), -1, jnp.int32)
        vacancies, _ = add_vacancy(no_vacancies(tables.words), tables.place_in_ion(row), jnp.asarray(True))
        site = Site(zero, zero, jnp.asarray(2.5), jnp.int32(1))
        ion = Ion(site, margin, tables.element[row], vacancies, none, (none,) * EMITTED)
        ledger = Ledger(zero, zero, zero, jnp.int32(0), none, jnp.asarray(False), jnp.asarray(False))

        def step(state):
            n, history, lines = state
            history = relax_once(medium, key, history)
            lines = lines.at[jnp.minimum(n, 255)].set(history.ion.emitted[0])
            return n + 1, replace(history, ion=replace(history.ion, emitted=(none,) * EMITTED)), lines

        history = History(jnp.uint32(0), ion, (), None, zero, Direction(zero, zero, zero), None, ledger)
        start = (jnp.int32(0), history, jnp.full((256,), -1, jnp.int32))
        n, history, lines = jax.lax.while_loop(lambda s: s[1].ion.excited & (s[0] < 1000), step, start)
        return lines, history.ledger, n

    return jax.jit(jax.vmap(emitted, (0, None, None))), tables


@pytest.mark.parametrize("margin", [1e9, 0.0], ids=["deep", "near"])
@pytest.mark.parametrize(("symbol", "label"), [("Bi", "M4"), ("Bi", "L1"), ("Au", "L3"), ("Au", "K")])
def test_photons_of_a_vacancy(symbol, label, margin, agrees):
    """An atom's photons, line by line, against the analytic cascade; in the depth (the cascade walked only if a
    photon comes of it) and at the surface (walked in full) alike.
    """
    absorber = stack(*XIFU)
    program, tables = photons_of_a_vacancy()
    row = subshell_rows(absorber).index((symbol, label))
    transitions = tables.energy.shape[1]
    cells = tables.energy.size
    n = 2**15
    lines, ledger, steps = program(jnp.arange(n, dtype=jnp.uint32), jnp.int32(row), jnp.asarray(margin))
    assert not np.asarray(ledger.overflow).any() and np.max(steps) < 256
    lines = np.asarray(lines)
    energy = np.append(np.asarray(tables.energy, dtype=float).reshape(-1), 0.0)
    stays = np.asarray(ledger.deposited, dtype=float) + np.asarray(ledger.by_electrons, dtype=float)
    total = stays + energy[lines].sum(axis=1)
    np.testing.assert_allclose(total, float(tables.binding[row]), rtol=3e-6)
    counts = np.bincount(lines[lines >= 0], minlength=cells)
    first_row = subshell_rows(absorber).index((symbol, "K"))
    expected = np.zeros(cells)
    for (s, t), mean in mean_photons(symbol, label).items():
        expected[(first_row + s) * transitions + t] = mean
    assert np.all(counts[expected == 0] == 0)
    strong = expected * n > 20
    # photons of one line are rare enough to be Poisson; a line of certain emission is binomial at most
    agrees(counts[strong] / n, expected[strong], np.sqrt(expected[strong] / n))
    agrees(counts.sum() / n, expected.sum(), np.sqrt(max(expected.sum(), expected.sum() ** 2) / n))


def test_fluorescence_of_a_thin_slab(agrees):
    """Vacancies made evenly in a thin slab: M photons escape as 1/(2 tau) (1/2 - E3(tau)) a side... in closed form."""
    absorber = stack(1e-6, 2.0, 1e-6, side=1e5)
    medium, ledger, energy = histories(absorber, Source.build(2.0e4, forced=True), 16)
    _line_energy, transitions = lines_of(medium)
    rows = subshell_rows(absorber)
    start = rows.index(("Bi", "L3")) * transitions
    l3 = np.flatnonzero((ledger.line >= start) & (ledger.line < start + transitions) & (ledger.escapes == 1))
    assert l3.size > 500
    # exact: probability of an L3 vacancy per photon x share of its lines x escape, line by line
    element = load_element("Bi")
    s = [x.label for x in element.subshells].index("L3")
    vacancies = {x.label: 0.0 for x in element.subshells}
    barn = element.photoelectric(2.0e4)
    mu0 = Matter_mu("Bi", 9.78, 2.0e4) * 1.0
    expected = 0.0
    from xcal_jax.physics.photon_scattering import compton_density, cross_section

    total = barn + cross_section(partial(compton_density, element), np.array([2.0e4]))[0]
    for label in vacancies:
        i = [x.label for x in element.subshells].index(label)
        share = float(element.subshells[i].photoelectric(2.0e4)) / total
        for (row, k), mean in mean_photons("Bi", label).items():
            if row == s:
                e = float(element.subshells[s].transition_energy[k])
                mu = Matter_mu("Bi", float(absorber.density[1]), e)
                expected += share * mean * slab_escape(mu, mu0, 2.0)
    n = energy.size
    # a photon that takes another along is not counted here: at most a few per cent of them
    agrees(l3.size / n, expected, np.sqrt(expected / n), relative=0.03)


def slab_escape(mu, mu0, thickness):
    """Escape of photons isotropic from a slab, made by a beam that is attenuated along its depth."""
    z = (np.arange(400) + 0.5) / 400 * thickness
    weight = np.exp(-mu0 * z)
    return np.sum(weight * 0.5 * (expn(2, mu * z) + expn(2, mu * (thickness - z)))) / weight.sum()


def test_compton_at_100_kev(agrees):
    """Photons scattered once in a thin slab: the mean energy that stays is the bound Compton mean, 13.8 % if free."""
    absorber = stack(1e-6, 0.02, 1e-6, side=1e5)
    _, ledger, energy = histories(absorber, Source.build(1e5), 8)
    # nothing but scatterings: one photon out, no electron
    once = ledger.scattered & (ledger.escapes == 1) & (ledger.line == -1) & (ledger.by_electrons == 0)
    stays = ledger.deposited[once]
    assert once.sum() > 1500
    from xcal_jax.physics.photon_scattering import compton_density, compton_energy

    node, weight = np.polynomial.legendre.leggauss(400)
    density = compton_density(load_element("Bi"), np.array([[1e5]]), node)[0] * weight
    loss = 1e5 - np.asarray(compton_energy(1e5, node))
    mean = density @ loss / density.sum()
    agrees(stays.mean(), mean, stays.std() / np.sqrt(once.sum()))
    assert 0.13 < mean / 1e5 < 0.16
    share = once.sum() / energy.size
    element = load_element("Bi")
    expected = density.sum() / (density.sum() + float(element.photoelectric(1e5)))
    agrees(share, expected, np.sqrt(expected / energy.size), relative=0.01)


@pytest.mark.parametrize("axes", [(-1, 1), (1, -1), (-1, -1)])
def test_mirrored_impacts(axes, agrees):
    """Near a corner and its mirror images: the same shares, with another seed."""
    shares = []
    for seed, (sx, sy) in ((1, (1, 1)), (2, axes)):
        ledger, _ = histories(stack(*XIFU), Source.build(7000.0, at=(134.7 * sx, 134.6 * sy)), 2, seed)[1:]
        shares.append(np.mean(ledger.by_photons + ledger.by_electrons > 1e-3))
    p = np.mean(shares)
    agrees(shares[0], shares[1], np.sqrt(2 * p * (1 - p) / (2 * LANES)))
