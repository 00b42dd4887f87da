"""The score of a history: sums of weights over its ends, per photon that interacts somewhere."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xcal_jax.compute.shapes import Real
from xcal_jax.physics.relaxation import NONE

SINGLES = 4  # escape peaks that one history may add to
Levels = Float[Array, " A"]  # thresholds in eV, ascending, the first 0, or a number for each


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Losses:
    """Losses by photons and electrons, as means or as sums of weights.

    partial: () any loss; photon_escape, electron_escape, both: () losses by photons alone, by electrons alone, by both;
    mean_loss: () eV; mean_square_loss: () eV2; electron_loss_above: (A,) electrons alone took out more than each
    threshold; loss_above: (A,) photons and electrons together did.
    """

    partial: Array
    photon_escape: Array
    electron_escape: Array
    both: Array
    mean_loss: Array
    mean_square_loss: Array
    electron_loss_above: Array
    loss_above: Array


LOSSES = tuple(field.name for field in fields(Losses))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sums:
    """Weighted sums over the ends booked: losses, and escape peaks one by one.

    single: (SINGLES,) weights of escape peaks; by_line: (SINGLES,) int32, their transitions, -1 where there is none;
    singles: () int32, how many there are.
    """

    losses: Losses
    single: Array
    by_line: Array
    singles: Array


class Electrons(NamedTuple):
    """The losses by the electrons of one end.

    above: (A,) probability of more than each threshold; mean, square: () eV, eV2.
    """

    above: Array
    mean: Array
    square: Array


class Photons(NamedTuple):
    """The photons that left: number () int32, energy () eV; line () int32, the transition of the last; scattered ()
    bool, whether a photon was scattered before.
    """

    number: Array
    energy: Array
    line: Array
    scattered: Array


def nothing(thresholds: Levels) -> Sums:
    """The sums over no ends."""
    zero, many = jnp.zeros_like(thresholds[0]), jnp.zeros_like(thresholds)
    return Sums(
        losses=Losses(**{name: many if name.endswith("_above") else zero for name in LOSSES}),
        single=jnp.zeros((SINGLES,), thresholds.dtype),
        by_line=jnp.full((SINGLES,), NONE, jnp.int32),
        singles=jnp.zeros((), jnp.int32),
    )


def book(sums: Sums, weight: Real, photons: Photons, electrons: Electrons, thresholds: Levels) -> Sums:
    """``sums`` with one end of a history more, of ``weight``."""
    out = photons.number > 0
    some = electrons.above[0]
    # with a photon the electrons' spectrum is shifted: interpolated between the thresholds
    shifted = jnp.interp(thresholds - photons.energy, thresholds, electrons.above)
    losses = Losses(
        partial=jnp.where(out, 1.0, some),
        photon_escape=jnp.where(out, 1.0 - some, 0.0),
        electron_escape=jnp.where(out, 0.0, some),
        both=jnp.where(out, some, 0.0),
        mean_loss=photons.energy + electrons.mean,
        mean_square_loss=photons.energy * (photons.energy + 2.0 * electrons.mean) + electrons.square,
        electron_loss_above=jnp.where(out, 0.0, electrons.above),
        loss_above=jnp.where(out, jnp.where(photons.energy > thresholds, 1.0, shifted), electrons.above),
    )
    single = (photons.number == 1) & (photons.line != NONE) & ~photons.scattered
    slot = (jnp.arange(SINGLES, dtype=jnp.int32) == sums.singles) & single
    return Sums(
        losses=jax.tree.map(lambda total, loss: total + weight * loss, sums.losses, losses),
        single=jnp.where(slot, weight * (1.0 - some), sums.single),
        by_line=jnp.where(slot, photons.line, sums.by_line),
        singles=sums.singles + single.astype(jnp.int32),
    )
