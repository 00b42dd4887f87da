"""Atomic relaxation (section 2.4): vacancies move outwards, transition by transition, after EADL.

An ion's vacancies are counts per subshell, four bits each, packed into 32-bit words, innermost subshell lowest.
The innermost vacancy always relaxes first. Every transition leaves vacancies further out, so the loop ends.

Most relaxations deep inside lose nothing: their electrons cannot reach a face, and few emit a photon. Whether one does
is known without walking it. `no_photon_probability` is the probability that a vacancy, with all that follows from it,
emits no photon; it is solved once from the transition lists. Where the electrons of an ion are out of reach, this is
sampled first. Only if a photon must come is the cascade walked, and its transitions are then weighted by their
probability to lead to a photon: the same distribution, exactly, at a fraction of the steps (a Doob transform of the
cascade).
"""

from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool

from xcal_jax.atomic import Element
from xcal_jax.compute.shapes import Flag, Real, Whole
from xcal_jax.constants import ENERGY_RANGE
from xcal_jax.physics.discrete import Discrete

COUNTS_PER_WORD = 8  # four bits each
NONE = -1

Vacancies = tuple[Array, ...]


class Transition(NamedTuple):
    """One transition, () each.

    line: int32, its number among all (subshell x T + t); energy: eV, of the photon or the electron; photon: bool,
    whether it emits a photon, else an electron; first, second: int32, the subshells left with a vacancy, -1 for none.
    """

    line: Array
    energy: Array
    photon: Array
    first: Array
    second: Array


class Opened(NamedTuple):
    """An ion after a new vacancy: its vacancies; deposited: () eV, the binding energy of a vacancy that never decays;
    overflow: () bool, whether a count ran out of its bits.
    """

    vacancies: Vacancies
    deposited: Array
    overflow: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Relaxation:
    """Tables over S subshells (all elements in a row) and up to T transitions each.

    binding: (S,) eV; decays: (S,) bool; no_photon_probability: (S,), that no photon comes of a vacancy; hardest: (S,)
    eV, of electrons that come of one, see `hardest_electrons`.
    energy: (S, T) eV; radiative: (S, T) bool; first, second: (S, T) int32, the subshells left with a vacancy, -1 for
    none; analog, biased: laws S, outcomes T: EADL's probabilities, and the same given that a photon comes.
    element: (S,) int32; offset: (N,) int32, each element's first subshell.
    """

    binding: Array
    decays: Array
    no_photon_probability: Array
    hardest: Array
    energy: Array
    radiative: Array
    first: Array
    second: Array
    analog: Discrete
    biased: Discrete
    element: Array
    offset: Array
    words: int = field(metadata={"static": True})

    @classmethod
    def build(cls, elements: tuple[Element, ...], negligible: float = 0.0) -> "Relaxation":
        """Tables for ``elements``, whose subshells are sorted from the innermost out.

        negligible: the fraction of an ion's electrons that `hardest_electrons` leaves out.
        """
        offset = np.cumsum([0] + [len(e.subshells) for e in elements])
        subshells = offset[-1]
        most = max(s.probability.size for e in elements for s in e.subshells)
        shape = (subshells, max(most, 1))
        probability, energy = np.zeros(shape), np.zeros(shape)
        first, second = np.full(shape, NONE), np.full(shape, NONE)
        radiative = np.zeros(shape, dtype=bool)
        for start, element in zip(offset, elements, strict=False):
            for s, t in enumerate(element.subshells):
                row, n = start + s, slice(t.probability.size)
                probability[row, n], energy[row, n] = t.probability, t.transition_energy
                first[row, n] = start + t.final1
                second[row, n] = np.where(t.final2 >= 0, start + t.final2, NONE)
                # a photon too soft for the interaction tables is absorbed where it is born
                radiative[row, n] = (t.final2 < 0) & (t.transition_energy >= ENERGY_RANGE[0])
        no_photon, biased = emission(probability, radiative, first, second)
        decaying = [np.flatnonzero(probability[a:b].sum(axis=1) > 0) for a, b in pairwise(offset)]
        return cls(
            binding=jnp.asarray(np.concatenate([e.binding for e in elements])),
            decays=jnp.asarray(probability.sum(axis=1) > 0),
            no_photon_probability=jnp.asarray(no_photon),
            hardest=jnp.asarray(hardest_electrons(probability, energy, first, second, negligible)),
            energy=jnp.asarray(energy),
            radiative=jnp.asarray(radiative),
            first=jnp.asarray(first, dtype=jnp.int32),
            second=jnp.asarray(second, dtype=jnp.int32),
            analog=Discrete.build(probability),
            biased=Discrete.build(biased),
            element=jnp.asarray(np.repeat(np.arange(len(elements)), np.diff(offset)), dtype=jnp.int32),
            offset=jnp.asarray(offset[:-1], dtype=jnp.int32),
            words=max(1, max(-(-int(d[-1] + 1) // COUNTS_PER_WORD) if d.size else 1 for d in decaying)),
        )

    @property
    def subshells(self) -> int:
        """How many subshells there are, of all elements."""
        return self.binding.shape[0]

    @property
    def elements(self) -> int:
        """How many elements there are."""
        return self.offset.shape[0]

    def transition(self, subshell: Whole, t: Whole) -> Transition:
        """Transition ``t`` of a vacancy in ``subshell``."""
        line = subshell * self.energy.shape[1] + t
        energy, photon, first, second = (
            table.reshape(-1)[line] for table in (self.energy, self.radiative, self.first, self.second)
        )
        return Transition(line, energy, photon, first, second)

    def line_energy(self, line: Whole) -> Real:
        """Energy in eV of the transition ``line``; of any if it is -1."""
        return self.energy.reshape(-1)[jnp.maximum(line, 0)]

    def place_in_ion(self, subshell: Whole) -> Whole:
        """The subshell's place among those of its element, counted from the innermost."""
        return subshell - self.offset[self.element[subshell]]

    def innermost(self, vacancies: Vacancies, element: Whole) -> tuple[Whole, Vacancies]:
        """The subshell of the innermost vacancy of an ion of ``element``, and its other vacancies."""
        place, others = take_innermost(vacancies)
        return self.offset[element] + place, others

    def open(self, vacancies: Vacancies, subshell: Whole, when: Flag | bool = True) -> Opened:
        """``vacancies`` with one more in ``subshell`` (-1 for none) if ``when``, and if it is one that decays."""
        index = jnp.maximum(subshell, 0)
        new = when & (subshell >= 0)
        vacancies, overflow = add_vacancy(vacancies, self.place_in_ion(index), new & self.decays[index])
        return Opened(vacancies, jnp.where(new & ~self.decays[index], self.binding[index], 0.0), overflow)

    def photon_probability(self, subshell: Whole) -> Real:
        """Probability that a vacancy in ``subshell``, or none (-1), leads to a photon."""
        return jnp.where(subshell >= 0, 1.0 - self.no_photon_probability[jnp.maximum(subshell, 0)], 0.0)


def natural_widths(elements: tuple[Element, ...]) -> np.ndarray:
    """Full width (S T,) eV of the photon of each transition: of its two levels together.

    The order is that of `Relaxation.energy`; an electron's place has a number without meaning.
    """
    most = max(1, *(s.probability.size for e in elements for s in e.subshells))
    rows = [
        np.pad(s.width + np.array([element.subshells[n].width for n in s.final1]), (0, most - s.final1.size))
        for element in elements
        for s in element.subshells
    ]
    return np.concatenate(rows)


def emission(
    probability: np.ndarray, radiative: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Probability (S,) of no photon from a vacancy, and of each transition together with a photon, (S, T).

    All arguments are (S, T), see `Relaxation`. Solved from the outermost subshell inwards, since transitions only lead
    outwards.
    """
    no_photon = np.ones(len(probability))
    biased = np.zeros_like(probability)
    for s in reversed(range(len(probability))):
        none_later = np.ones(probability.shape[1])
        for final in (first[s], second[s]):
            none_later *= np.where(final >= 0, no_photon[final], 1.0)
        biased[s] = probability[s] * np.where(radiative[s], 1.0, 1.0 - none_later)
        no_photon[s] = 1.0 - biased[s].sum()
    return no_photon, biased


def hardest_electrons(
    probability: np.ndarray, energy: np.ndarray, first: np.ndarray, second: np.ndarray, negligible: float
) -> np.ndarray:
    """Energy (S,) eV that electrons of a vacancy exceed with at most the probability ``negligible``.

    It holds for the vacancy's own transition, and for each that follows. The arrays are (S, T), see `Relaxation`.
    """
    hardest = np.zeros(len(probability))
    for s in reversed(range(len(probability))):
        electron = np.where(second[s] >= 0, energy[s], 0.0)
        descending = np.argsort(-electron)
        often = np.cumsum(probability[s, descending]) > negligible
        own = electron[descending][often].max(initial=0.0)
        expected = np.zeros(len(probability) + 1)  # vacancies in each subshell; the last is none
        np.add.at(expected, np.concatenate([first[s], second[s]]), np.tile(probability[s], 2))
        hardest[s] = max(own, hardest[expected[:-1] > negligible].max(initial=0.0))
    return hardest


def no_vacancies(words: int) -> Vacancies:
    """An ion at rest."""
    return (jnp.zeros((), jnp.uint32),) * words


def add_vacancy(vacancies: Vacancies, place: Whole, when: Flag) -> tuple[Vacancies, Flag]:
    """``vacancies`` with one more at ``place`` if ``when``; and whether its count overflowed."""
    word, shift = place // COUNTS_PER_WORD, (4 * (place % COUNTS_PER_WORD)).astype(jnp.uint32)
    here = [when & (word == n) for n in range(len(vacancies))]
    full = [h & (((v >> shift) & 15) == 15) for h, v in zip(here, vacancies, strict=True)]
    added = tuple(
        jnp.where(h & ~f, v + (jnp.uint32(1) << shift), v) for h, f, v in zip(here, full, vacancies, strict=True)
    )
    return added, reduce(jnp.logical_or, full)


def take_innermost(vacancies: Vacancies) -> tuple[Whole, Vacancies]:
    """The place of the innermost vacancy, of which there must be at least one; and the other vacancies."""
    place = jnp.zeros((), jnp.int32)
    others = []
    found = jnp.zeros((), bool)
    for n, word in enumerate(vacancies):
        lowest_bit = 31 - jax.lax.clz(word & (~word + 1)).astype(jnp.int32)
        count = lowest_bit // 4
        here = ~found & (word != 0)
        place = jnp.where(here, COUNTS_PER_WORD * n + count, place)
        others.append(jnp.where(here, word - (jnp.uint32(1) << (4 * count).astype(jnp.uint32)), word))
        found = found | here
    return place, tuple(others)


def any_vacancy(vacancies: Vacancies) -> Bool[Array, "..."]:
    """Whether an ion, or each of many, still has to relax."""
    return reduce(jnp.bitwise_or, vacancies) != 0
