"""One history as it stands: the ion that relaxes, the photons that wait, what left and with which weight."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.expected import score
from xcal_jax.montecarlo.electron_tracks import Electron
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.relaxation import Vacancies, any_vacancy

PENDING = 4  # photons that may wait in one history


class Photon(NamedTuple):
    """A photon that waits where it was made; line: its transition, -1 if it flies along ``direction`` already."""

    site: Site
    direction: Direction
    energy: Array
    line: Array


class Varied(NamedTuple):
    """Of the one photoelectron whose energy varies with that of the photons: raised: by what share () it is; lever: its
    energy () over that by which chance goes, less 1: 0, but with a derivative. scale: () of what the electron that
    waits takes out.
    """

    raised: Array
    lever: Array
    scale: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class History:
    """site, element, vacancies: of the ion that relaxes; waiting: photons (P,), count () int32 of them.

    steps, flights: () uint32 done; weight: (); outside: photons that left; inside: what the electrons do; drawn: () eV
    that they took out in one drawn case; electron: to be followed, if electrons turn round (energy 0: none), else None;
    varied: for the derivative in the photons' energy, else None; sums: the ends booked; overflow: () bool.
    """

    steps: Array
    flights: Array
    site: Site
    element: Array
    vacancies: Vacancies
    waiting: Photon
    count: Array
    weight: Array
    outside: score.Photons
    inside: score.Electrons
    drawn: Array
    electron: Electron | None
    varied: Varied | None
    sums: score.Sums
    overflow: Array

    @property
    def relaxes(self) -> Array:
        """Whether the ion has vacancies, () bool."""
        return any_vacancy(self.vacancies)

    @property
    def waits(self) -> Array:
        """Whether an electron has to be followed before it goes on, () bool."""
        return jnp.zeros((), bool) if self.electron is None else self.electron.energy > 0.0

    @property
    def unfinished(self) -> Array:
        """Whether it goes on, () bool."""
        return self.relaxes | (self.count > 0)

    def with_electron(self, chance: Array, mean: Array, square: Array, lost: Array) -> "History":
        """One electron more, which takes out more than what is left of each threshold with ``chance`` (A,).

        mean, square: () eV, eV2 of what it takes out; lost: () eV, in one drawn case.
        """
        before = self.inside
        after = score.Electrons(
            before.above * (1.0 - chance[0]) + chance,
            before.mean + mean,
            before.square + square + 2.0 * before.mean * mean,
        )
        return replace(self, inside=after, drawn=self.drawn + lost)


def push(history: History, photon: Photon, here: Array) -> History:
    """One photon more waits, if ``here``."""
    slot = (jnp.arange(PENDING, dtype=jnp.int32) == history.count) & here
    return replace(
        history,
        waiting=jax.tree.map(lambda old, new: jnp.where(slot, new, old), history.waiting, photon),
        count=history.count + here.astype(jnp.int32),
        overflow=history.overflow | (here & (history.count >= PENDING)),
    )


def either(when: Array, yes, no):
    """``yes`` when ``when`` () bool, else ``no``, whole trees."""
    return jax.tree.map(lambda a, b: jnp.where(when, a, b), yes, no)
