"""The score of a history: sums of weights over its ends, per photon that interacts somewhere.

With dead layers, what the layers that count lose is booked, as in `montecarlo.ledger`: photons may leave them and come
back, and electrons may bring energy back, which is a negative loss S. A photon that first meets a dead layer has left
with all its energy e0. It interacts if a photon of its own comes back, or with the probability that an electron does.
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xcal_jax.compute.shapes import Flag, Real, Whole
from xcal_jax.expected.parameters import Parameters
from xcal_jax.physics.relaxation import NONE

SINGLES = 4  # escape peaks that one history may add to
BAND = 0.02  # of a threshold, to either side: see `exceeds`
TINY = 1e-30
ALWAYS = -1e30  # eV; less than any loss
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
    singles: () int32, how many there are. returned: () weights of the ends of photons that first met a dead layer and
    then interact; None without dead layers.
    """

    losses: Losses
    single: Array
    by_line: Array
    singles: Array
    returned: Array | None = None


class Electrons(NamedTuple):
    """The losses by the electrons of one end.

    above: probability that there is a loss, or a gain, and more than each of `Photons.levels`; mean, square: () eV,
    eV2.
    """

    above: Array
    mean: Array
    square: Array


class Photons(NamedTuple):
    """The photons that left: number () int32, energy () eV; line () int32, the transition of the last; scattered ()
    bool, whether a photon was scattered before.

    With dead layers: those that left or came back, the energy that they have outside, and -1 for the transition of one
    that came back. signal: () bool, whether a photon has interacted in a layer that counts; missed: () eV, the energy
    of a photon that first met a dead layer, else 0. Both are None without dead layers.
    """

    number: Array
    energy: Array
    line: Array
    scattered: Array
    signal: Array | None = None
    missed: Array | None = None

    def flown(self, begins: Flag, ends: Flag, energy: Real, line: Whole) -> "Photons":
        """These after the flight of one of ``energy`` eV; begins, ends: whether that is in a layer that counts."""
        if self.signal is None:
            return Photons(self.number + 1, self.energy + energy, line, self.scattered)
        leaves, returns = begins & ~ends, ends & ~begins
        return self._replace(
            number=self.number + (leaves | returns).astype(jnp.int32),
            energy=self.energy + jnp.where(leaves, energy, 0.0) - jnp.where(returns, energy, 0.0),
            line=jnp.where(leaves, line, jnp.where(returns, NONE, self.line)),
            signal=self.signal | ends,
        )

    def levels(self, thresholds: Levels) -> Float[Array, " levels"]:
        """Levels that the loss by electrons has to exceed: the ``thresholds``.

        With dead layers: what it always exceeds, 0, and each threshold less the energy that was missed, (A + 2,).
        """
        if self.missed is None:
            return thresholds
        return jnp.concatenate([jnp.array([ALWAYS, 0.0], thresholds.dtype), thresholds - self.missed])


def exceeds(parameters: Parameters, loss: Real, levels: Levels, band: Levels) -> Levels:
    """Whether a ``loss`` eV that was drawn exceeds each of ``levels`` eV: 0 or 1, and 0 where there is no loss.

    The derivative is that of the mean over ``band`` eV to either side of each level.
    """
    over = loss - levels
    held, some = parameters.fixed(over), loss != 0.0
    density = jnp.where(some & (jnp.abs(held) < band), 0.5 / jnp.maximum(band, TINY), 0.0)
    return jnp.where(some & (held > 0.0), 1.0, 0.0) + density * (over - held)


def nothing(thresholds: Levels, dead: bool = False) -> Sums:
    """The sums over no ends; dead: whether there are dead layers."""
    zero, many = jnp.zeros_like(thresholds[0]), jnp.zeros_like(thresholds)
    return Sums(
        losses=Losses(**{name: many if name.endswith("_above") else zero for name in LOSSES}),
        single=jnp.zeros((SINGLES,), thresholds.dtype),
        by_line=jnp.full((SINGLES,), NONE, jnp.int32),
        singles=jnp.zeros((), jnp.int32),
        returned=zero if dead else None,
    )


def book(sums: Sums, weight: Real, photons: Photons, electrons: Electrons, thresholds: Levels) -> Sums:
    """``sums`` with one end of a history more, of ``weight``."""
    if photons.signal is not None:
        return _book_with_dead_layers(sums, weight, photons, electrons, thresholds)
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
    return _add(sums, weight, losses, photons, 1.0 - some)


def _book_with_dead_layers(
    sums: Sums, weight: Real, photons: Photons, electrons: Electrons, thresholds: Levels
) -> Sums:
    """`book` with dead layers: P(loss) > 0 alone is a loss by electrons, and some photons have not interacted."""
    signal, missed = cast(Array, photons.signal), cast(Array, photons.missed)
    out = photons.number > 0
    some, lost, above = electrons.above[0], electrons.above[1], electrons.above[2:]
    met = jnp.where(signal, 1.0, some)
    # the electrons' spectrum is that beside what was missed: photons since then shift it
    shifted = jnp.interp(thresholds - (photons.energy - missed), thresholds, above)
    losses = Losses(
        partial=jnp.where(out, met, lost),
        photon_escape=jnp.where(out, met - lost, 0.0),
        electron_escape=jnp.where(out, 0.0, lost),
        both=jnp.where(out, lost, 0.0),
        mean_loss=met * photons.energy + electrons.mean,
        mean_square_loss=photons.energy * (met * photons.energy + 2.0 * electrons.mean) + electrons.square,
        electron_loss_above=jnp.where(out, 0.0, above),
        loss_above=shifted + jnp.where(photons.energy > thresholds, met - some, 0.0),
    )
    found = _add(sums, weight, losses, photons, 1.0 - some)
    interacts = jnp.where(missed > 0.0, weight * met, 0.0)
    return replace(found, returned=cast(Array, sums.returned) + interacts)


def _add(sums: Sums, weight: Real, losses: Losses, photons: Photons, alone: Real) -> Sums:
    """``sums`` with the ``losses`` of one end more; alone: probability that electrons lose nothing."""
    single = (photons.number == 1) & (photons.line != NONE) & ~photons.scattered
    slot = (jnp.arange(SINGLES, dtype=jnp.int32) == sums.singles) & single
    return replace(
        sums,
        losses=jax.tree.map(lambda total, loss: total + weight * loss, sums.losses, losses),
        single=jnp.where(slot, weight * alone, sums.single),
        by_line=jnp.where(slot, photons.line, sums.by_line),
        singles=sums.singles + single.astype(jnp.int32),
    )
