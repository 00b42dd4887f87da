"""Atomic relaxation (section 2.4): vacancies move outwards, transition by transition, after EADL.

An ion's vacancies are counts per subshell, four bits each, packed into 32-bit words, innermost subshell lowest.
The innermost vacancy always relaxes first. Every transition ends further out, so the loop ends.

Most relaxations deep inside lose nothing: their electrons cannot reach a face, and few send out a photon. Whether
one does is known without walking it. `silent` is the probability that a vacancy, with all that follows from it,
emits no photon, solved once from the transition lists. An ion out of its electrons' reach draws that first; only
if a photon must come is it walked, through transitions weighted by their chance to lead to one: the same
distribution, exactly, at a fraction of the steps (a Doob transform of the cascade).
"""

from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.atomic import Element
from xcal_jax.constants import ENERGY_RANGE
from xcal_jax.physics.discrete import AliasTable

COUNTS_PER_WORD = 8  # four bits each
NONE = -1


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Relaxation:
    """Tables over S subshells (all elements in a row) and up to T transitions each.

    binding: (S,) eV. decays: (S,) bool. silent: (S,) probability that no photon comes of a vacancy. hardest: (S,) eV of
    electrons that come of one, see `hardest_electrons`.
    energy: (S, T) eV; radiative: (S, T) bool; first, second: (S, T) int32, the subshells left with a vacancy, -1
    none; free, emitting: rows S, outcomes T: EADL's probabilities, and the same given that a photon comes.
    element: (S,) int32; offset: (N,) int32, each element's first subshell.
    """

    binding: Array
    decays: Array
    silent: Array
    hardest: Array
    energy: Array
    radiative: Array
    first: Array
    second: Array
    free: AliasTable
    emitting: AliasTable
    element: Array
    offset: Array
    words: int = field(metadata={"static": True})

    @classmethod
    def build(cls, elements: tuple[Element, ...], rare: float = 0.0) -> "Relaxation":
        """Tables for ``elements``, their subshells sorted from the innermost out; rare: of `hardest_electrons`."""
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
        silent, emitting = emission(probability, radiative, first, second)
        decaying = [np.flatnonzero(probability[a:b].sum(axis=1) > 0) for a, b in pairwise(offset)]
        return cls(
            binding=jnp.asarray(np.concatenate([e.binding for e in elements])),
            decays=jnp.asarray(probability.sum(axis=1) > 0),
            silent=jnp.asarray(silent),
            hardest=jnp.asarray(hardest_electrons(probability, energy, first, second, rare)),
            energy=jnp.asarray(energy),
            radiative=jnp.asarray(radiative),
            first=jnp.asarray(first, dtype=jnp.int32),
            second=jnp.asarray(second, dtype=jnp.int32),
            free=AliasTable.build(probability),
            emitting=AliasTable.build(emitting),
            element=jnp.asarray(np.repeat(np.arange(len(elements)), np.diff(offset)), dtype=jnp.int32),
            offset=jnp.asarray(offset[:-1], dtype=jnp.int32),
            words=max(1, max(-(-int(d[-1] + 1) // COUNTS_PER_WORD) if d.size else 1 for d in decaying)),
        )

    def place_in_ion(self, subshell: Array) -> Array:
        """The subshell's place () int32 among its element's, counted from the innermost."""
        return subshell - self.offset[self.element[subshell]]

    def chance_of_photon(self, subshell: Array) -> Array:
        """Probability () that a vacancy in ``subshell`` () int32, or none (-1), leads to a photon."""
        return jnp.where(subshell >= 0, 1.0 - self.silent[jnp.maximum(subshell, 0)], 0.0)


def emission(probability, radiative, first, second) -> tuple[np.ndarray, np.ndarray]:
    """(silent (S,), emitting (S, T)): no photon from a vacancy; a transition's probability times that of a photon.

    Solved from the outermost subshell inwards, since transitions only lead outwards.
    """
    silent = np.ones(len(probability))
    emitting = np.zeros_like(probability)
    for s in reversed(range(len(probability))):
        no_photon = np.ones(probability.shape[1])
        for final in (first[s], second[s]):
            no_photon *= np.where(final >= 0, silent[final], 1.0)
        emitting[s] = probability[s] * np.where(radiative[s], 1.0, 1.0 - no_photon)
        silent[s] = 1.0 - emitting[s].sum()
    return silent, emitting


def hardest_electrons(probability, energy, first, second, rare: float) -> np.ndarray:
    """The energy (S,) eV that electrons of a vacancy's transition, and of those after it, exceed at most so rarely."""
    hardest = np.zeros(len(probability))
    for s in reversed(range(len(probability))):
        electron = np.where(second[s] >= 0, energy[s], 0.0)
        descending = np.argsort(-electron)
        often = np.cumsum(probability[s, descending]) > rare
        own = electron[descending][often].max(initial=0.0)
        chance = np.zeros(len(probability) + 1)  # of a vacancy in each subshell; the last is none
        np.add.at(chance, np.concatenate([first[s], second[s]]), np.tile(probability[s], 2))
        hardest[s] = max(own, hardest[chance[:-1] > rare].max(initial=0.0))
    return hardest


Vacancies = tuple[Array, ...]


def no_vacancies(words: int) -> Vacancies:
    """An ion at rest."""
    return (jnp.zeros((), jnp.uint32),) * words


def add_vacancy(vacancies: Vacancies, place: Array, when: Array) -> tuple[Vacancies, Array]:
    """One more vacancy at ``place`` () int32 if ``when`` () bool; and whether its count overflowed, () bool."""
    word, shift = place // COUNTS_PER_WORD, (4 * (place % COUNTS_PER_WORD)).astype(jnp.uint32)
    here = [when & (word == n) for n in range(len(vacancies))]
    full = [h & (((v >> shift) & 15) == 15) for h, v in zip(here, vacancies, strict=True)]
    added = tuple(
        jnp.where(h & ~f, v + (jnp.uint32(1) << shift), v) for h, f, v in zip(here, full, vacancies, strict=True)
    )
    return added, reduce(jnp.logical_or, full)


def take_innermost(vacancies: Vacancies) -> tuple[Array, Vacancies]:
    """The place () int32 of the innermost vacancy, and the others. At least one must be there."""
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


def any_vacancy(vacancies: Vacancies) -> Array:
    """Whether the ion still has to relax, () bool."""
    return reduce(jnp.bitwise_or, vacancies) != 0
