"""Relaxation: counts of vacancies against a multiset, the photons of a cascade against its whole tree and EADL."""

import csv
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.atomic import load_element
from xcal_jax.physics.relaxation import (
    NONE,
    Relaxation,
    add_vacancy,
    any_vacancy,
    emission,
    hardest_electrons,
    no_vacancies,
    take_innermost,
)

REFERENCE = Path(__file__).parents[2] / "data" / "reference" / "eadl_means_per_vacancy.csv"
ELEMENTS = tuple(load_element(symbol) for symbol in ("Te", "Au", "Bi"))


@pytest.fixture(scope="module")
def tables():
    return Relaxation.build(ELEMENTS)


@pytest.mark.parametrize("words", [1, 2, 3, 5])
def test_vacancies_are_a_multiset(words):
    """Random additions and removals against a Counter, overflow included."""
    rng = np.random.default_rng(words)
    add, take = jax.jit(add_vacancy), jax.jit(take_innermost)
    packed, twin = no_vacancies(words), Counter()
    overflows = 0
    for _ in range(600):
        if twin.total() and rng.random() < 0.25:
            place, packed = take(packed)
            assert int(place) == min(twin.elements())
            twin[int(place)] -= 1
        else:
            place, when = int(rng.integers(8 * words) ** 2 // (8 * words)), bool(rng.random() < 0.9)
            packed, overflow = add(packed, jnp.int32(place), jnp.asarray(when))
            full = when and twin[place] == 15
            assert bool(overflow) == full
            overflows += full
            twin[place] += when and not full
        assert bool(any_vacancy(packed)) == (twin.total() > 0)
    assert overflows > 0
    while any_vacancy(packed):
        place, packed = take(packed)
        assert int(place) == min(twin.elements())
        twin[int(place)] -= 1
    assert twin.total() == 0


def test_energies_close(tables):
    """What leaves and what is left behind add up to the vacancy, transition by transition."""
    binding, first, second = (np.asarray(a) for a in (tables.binding, tables.first, tables.second))
    real = first != NONE
    left = binding[np.maximum(first, 0)] + np.where(second == NONE, 0, binding[np.maximum(second, 0)])
    total = np.where(real, np.asarray(tables.energy) + left, binding[:, None])
    np.testing.assert_allclose(total, np.repeat(binding[:, None], total.shape[1], 1), rtol=3e-7)
    assert np.all((first > np.arange(len(binding))[:, None]) | ~real)


def test_subshells_stay_in_their_element(tables):
    element = np.asarray(tables.element)
    for finals in (np.asarray(tables.first), np.asarray(tables.second)):
        rows, columns = np.nonzero(finals != NONE)
        np.testing.assert_array_equal(element[finals[rows, columns]], element[rows])
    places = jax.vmap(tables.place_in_ion)(jnp.arange(len(element), dtype=jnp.int32))
    sizes = [len(e.subshells) for e in ELEMENTS]
    np.testing.assert_array_equal(places, np.concatenate([np.arange(n) for n in sizes]))


def test_a_transition_is_decoded(tables):
    """Every transition, by its subshell and number, is that of the tables; its line gives its energy back."""
    rows, columns = tables.energy.shape
    place = jnp.repeat(jnp.arange(rows, dtype=jnp.int32), columns), jnp.tile(jnp.arange(columns, dtype=jnp.int32), rows)
    found = jax.vmap(tables.transition)(*place)
    for ours, table in zip(found[1:], (tables.energy, tables.radiative, tables.first, tables.second), strict=True):
        np.testing.assert_array_equal(ours, np.ravel(table))
    np.testing.assert_array_equal(jax.vmap(tables.line_energy)(found.line), found.energy)


def test_a_vacancy_is_opened_or_deposited(tables):
    """One that decays is the innermost of its ion; one that never does leaves its binding energy; none does nothing."""
    for subshell in range(tables.subshells):
        index, element = jnp.int32(subshell), tables.element[subshell]
        opened = tables.open(no_vacancies(tables.words), index)
        assert not opened.overflow and bool(any_vacancy(opened.vacancies)) == bool(tables.decays[subshell])
        if tables.decays[subshell]:
            assert int(tables.innermost(opened.vacancies, element)[0]) == subshell and opened.deposited == 0
        else:
            assert opened.deposited == tables.binding[subshell]
        for none in (
            tables.open(no_vacancies(tables.words), index, jnp.asarray(False)),
            tables.open(no_vacancies(tables.words), jnp.int32(NONE)),
        ):
            assert not any_vacancy(none.vacancies) and none.deposited == 0


def random_decays(seed, subshells=7, transitions=5):
    """A made-up atom: (probability, radiative, first, second)."""
    rng = np.random.default_rng(seed)
    probability = rng.random((subshells, transitions))
    first, second = np.full((2, subshells, transitions), NONE)
    radiative = rng.random((subshells, transitions)) < 0.4
    for s in range(subshells):
        for t in range(transitions):
            if s >= subshells - 2:
                probability[s, t] = 0
                continue
            first[s, t] = rng.integers(s + 1, subshells)
            second[s, t] = NONE if radiative[s, t] else rng.integers(s + 1, subshells)
    probability /= np.maximum(probability.sum(1, keepdims=True), 1e-300)
    return probability, radiative & (first != NONE), first, second


@pytest.mark.parametrize("seed", range(5))
def test_silence_by_brute_force(seed):
    """The whole tree of a made-up atom, branch by branch, without a photon and with."""
    probability, radiative, first, second = random_decays(seed)

    def tree(vacancies):
        """(probability, photons) of every complete history of a list of vacancies."""
        if not vacancies:
            yield 1.0, 0
            return
        s, *others = vacancies
        if probability[s].sum() == 0:
            yield from tree(others)
            return
        for t in range(probability.shape[1]):
            new = [int(f) for f in (first[s, t], second[s, t]) if f != NONE]
            for p, photons in tree([*new, *others]):
                yield probability[s, t] * p, photons + int(radiative[s, t])

    no_photon, biased = emission(probability, radiative, first, second)
    for s in range(2, len(probability)):
        leaves = list(tree([s]))
        assert sum(p for p, _ in leaves) == pytest.approx(1)
        assert no_photon[s] == pytest.approx(sum(p for p, photons in leaves if not photons), abs=1e-12)
        assert biased[s].sum() == pytest.approx(1 - no_photon[s])


@cache
def mean_photons(symbol):
    """Solved from the transition lists: {label: photons per vacancy of 100 eV and more}."""
    subshells = load_element(symbol).subshells
    mean = np.zeros(len(subshells))
    for s in reversed(range(len(subshells))):
        t = subshells[s]
        for p, a, b in zip(t.probability, t.final1, t.final2, strict=True):
            mean[s] += p * (mean[a] + (mean[b] if b >= 0 else 1.0))
    return dict(zip((s.label for s in subshells), mean, strict=True))


def test_the_analytic_cascade_is_eadls():
    """Photons per vacancy of 100 eV or less are few; EADL's own means count all, to 3 % after the change of edges."""
    with REFERENCE.open() as file:
        for row in csv.DictReader(file):
            if float(row["photons"]) > 0.02:
                found = mean_photons(row["element"])[row["subshell"]]
                assert found == pytest.approx(float(row["photons"]), rel=0.03)


def test_words_hold_every_decaying_subshell(tables):
    bounds = [*np.asarray(tables.offset), tables.binding.size]
    for a, b in pairwise(bounds):
        decaying = np.flatnonzero(np.asarray(tables.decays)[a:b])
        assert decaying.max() < 8 * tables.words


def test_the_hardest_electrons_of_a_small_cascade():
    """Three subshells: the inner one sends out 900 eV rarely, else 100 eV and a vacancy in the next, worth 500 eV."""
    probability = np.array([[0.002, 0.998], [1.0, 0.0], [0.0, 0.0]])
    energy = np.array([[900.0, 100.0], [500.0, 0.0], [0.0, 0.0]])
    first, second = np.array([[2, 1], [2, NONE], [NONE, NONE]]), np.array([[2, 2], [2, NONE], [NONE, NONE]])
    assert hardest_electrons(probability, energy, first, second, 0.0).tolist() == [900.0, 500.0, 0.0]
    assert hardest_electrons(probability, energy, first, second, 0.01).tolist() == [500.0, 500.0, 0.0]
    assert hardest_electrons(probability, energy, first, np.full_like(second, NONE), 0.0).tolist() == [0.0] * 3
