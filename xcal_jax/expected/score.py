"""What the ends of a history add up to, per photon that interacts somewhere: sums of weights, no counts."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.physics.relaxation import NONE

SINGLES = 4  # escape peaks that one history may add to


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sums:
    """partial, photon_escape, electron_escape, both: (); mean_loss: () eV; mean_square: () eV2; continuum, loss_above:
    (A,): see `Figures`. single: (SINGLES,), by_line: (SINGLES,) int32: weights of escape peaks and their transitions,
    -1 where there is none; singles: () int32, how many are taken.
    """

    partial: Array
    photon_escape: Array
    electron_escape: Array
    both: Array
    mean_loss: Array
    mean_square: Array
    continuum: Array
    loss_above: Array
    single: Array
    by_line: Array
    singles: Array


class Electrons(NamedTuple):
    """What the electrons of one end take out.

    above: (A,) probability of more than each threshold; mean, square: () eV, eV2.
    """

    above: Array
    mean: Array
    square: Array


class Photons(NamedTuple):
    """Those that left: number () int32, energy () eV, line () int32 of the last, scattered () bool: some did before."""

    number: Array
    energy: Array
    line: Array
    scattered: Array


def nothing(thresholds: Array) -> Sums:
    """Sums of no ends; thresholds: (A,) eV."""
    zero, many = jnp.zeros_like(thresholds[0]), jnp.zeros_like(thresholds)
    slots = jnp.zeros((SINGLES,), thresholds.dtype)
    return Sums(*(zero,) * 6, many, many, slots, jnp.full((SINGLES,), NONE, jnp.int32), jnp.zeros((), jnp.int32))


def book(sums: Sums, weight: Array, photons: Photons, electrons: Electrons, thresholds: Array) -> Sums:
    """Add one end of a history, of ``weight`` ()."""
    out = photons.number > 0
    some = electrons.above[0]
    # with a photon the electrons' spectrum is shifted: interpolated between the thresholds
    shifted = jnp.interp(thresholds - photons.energy, thresholds, electrons.above)
    above = jnp.where(out, jnp.where(photons.energy > thresholds, 1.0, shifted), electrons.above)
    single = (photons.number == 1) & (photons.line != NONE) & ~photons.scattered
    slot = (jnp.arange(SINGLES, dtype=jnp.int32) == sums.singles) & single
    square = photons.energy * (photons.energy + 2.0 * electrons.mean) + electrons.square
    return Sums(
        sums.partial + weight * jnp.where(out, 1.0, some),
        sums.photon_escape + weight * jnp.where(out, 1.0 - some, 0.0),
        sums.electron_escape + weight * jnp.where(out, 0.0, some),
        sums.both + weight * jnp.where(out, some, 0.0),
        sums.mean_loss + weight * (photons.energy + electrons.mean),
        sums.mean_square + weight * square,
        sums.continuum + weight * jnp.where(out, 0.0, electrons.above),
        sums.loss_above + weight * above,
        jnp.where(slot, weight * (1.0 - some), sums.single),
        jnp.where(slot, photons.line, sums.by_line),
        sums.singles + single.astype(jnp.int32),
    )
