"""The state of one history: the ion that relaxes, the photons that wait, what has left and with which weight."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from xcal_jax.compute.shapes import Flag, Real
from xcal_jax.expected import score
from xcal_jax.montecarlo.electron_tracks import Electron
from xcal_jax.physics.geometry import Direction, Site
from xcal_jax.physics.relaxation import Vacancies, any_vacancy

PENDING = 4  # photons that may wait in one history


class Photon(NamedTuple):
    """A photon at ``site`` with ``energy`` () eV; line: () int32, the transition that emits it in any direction, or -1
    if it flies along ``direction`` already.
    """

    site: Site
    direction: Direction
    energy: Array
    line: Array


class Emission(NamedTuple):
    """An electron at its start.

    energy: () eV; present: () bool, whether there is one; sauter: () bool, whether it is a photoelectron, which follows
    Sauter's law about the direction of its ``photon``; varies: () bool, whether its energy varies with that of the
    incident photons.
    """

    site: Site
    energy: Array
    present: Array
    sauter: Array
    photon: Direction
    varies: Array


class Varied(NamedTuple):
    """The change of the photoelectron whose energy T varies with that of the incident photons: see `scattering`.

    raised: () the relative change h of T in this copy of the history; lever: () T over the T of sampling decisions,
    less 1: zero, but with a derivative; scale: () factor on what the electron that waits takes out.
    """

    raised: Array
    lever: Array
    scale: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class History:
    """One history so far.

    steps, flights: () uint32 done; site, element, vacancies: of the ion that relaxes; waiting: photons (PENDING,),
    count: () int32 of them; weight: (); outside: the photons that left; inside: what the electrons take out; drawn: ()
    eV that they take out in one drawn case; electron: to be followed before the history goes on (energy 0: none), None
    for models that follow none; varied: None without the derivative of tracks in energy; sums: the ends booked;
    overflow: () bool, whether a counter is full.
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
    def relaxes(self) -> Bool[Array, "..."]:
        """Whether the ion has vacancies, of one history or of many."""
        return any_vacancy(self.vacancies)

    @property
    def waits(self) -> Bool[Array, "..."]:
        """Whether an electron has to be followed before the history goes on."""
        return jnp.zeros((), bool) if self.electron is None else self.electron.energy > 0.0

    @property
    def unfinished(self) -> Bool[Array, "..."]:
        """Whether vacancies or photons are left."""
        return self.relaxes | (self.count > 0)

    def with_electron(self, probability: score.Levels, mean: Real, square: Real, lost: Real) -> "History":
        """The history with one electron more.

        probability: that it takes out more than what is left of each threshold; mean, square: eV, eV2 of what it takes
        out; lost: eV, in one drawn case.
        """
        before = self.inside
        after = score.Electrons(
            before.above * (1.0 - probability[0]) + probability,
            before.mean + mean,
            before.square + square + 2.0 * before.mean * mean,
        )
        return replace(self, inside=after, drawn=self.drawn + lost)


def push(history: History, photon: Photon, here: Flag) -> History:
    """The history with one photon more that waits, if ``here``."""
    slot = (jnp.arange(PENDING, dtype=jnp.int32) == history.count) & here
    return replace(
        history,
        waiting=jax.tree.map(lambda old, new: jnp.where(slot, new, old), history.waiting, photon),
        count=history.count + here.astype(jnp.int32),
        overflow=history.overflow | (here & (history.count >= PENDING)),
    )
