"""Histories counted: integers only, so that sums do not depend on batches, devices or their order. Tallies add."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.absorber.transport import Ledger

LOSS_THRESHOLDS = (50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 3000.0, 5000.0)  # eV
PARTIAL = 1e-3  # eV; a smaller loss is rounding
ENERGY_UNIT = 1.0 / 64.0  # eV, in which energies are summed
ROUNDING = 64  # units of the float's resolution within which a history must balance


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tally:
    """Counts, int32 on the device (one block), int64 on the host (any number of blocks).

    interacting: (); spectrum: (B,) by deposited energy; photon, electron, both: () histories that lost energy by
    photons alone, electrons alone, both; scattered: () partial ones with a scattering; loss_above: (8,), more than
    LOSS_THRESHOLDS; peaks: (K, S T), one fluorescence photon escaped and nothing else, by source line and
    transition; incident, lost: (4,) sums of energies in ENERGY_UNIT, byte by byte, lowest first;
    overflow, unbalanced: () histories that ran out of their bits, or whose energies do not add up.
    """

    interacting: Array
    spectrum: Array
    photon: Array
    electron: Array
    both: Array
    scattered: Array
    loss_above: Array
    peaks: Array
    incident: Array
    lost: Array
    overflow: Array
    unbalanced: Array


def empty(bins: int, source_lines: int, transitions: int) -> Tally:
    """A tally of nothing."""
    zeros = lambda *shape: jnp.zeros(shape, jnp.int32)  # noqa: E731
    return Tally(
        interacting=zeros(),
        spectrum=zeros(bins),
        photon=zeros(),
        electron=zeros(),
        both=zeros(),
        scattered=zeros(),
        loss_above=zeros(len(LOSS_THRESHOLDS)),
        peaks=zeros(source_lines, transitions),
        incident=zeros(4),
        lost=zeros(4),
        overflow=zeros(),
        unbalanced=zeros(),
    )


def book_absorbed(tally: Tally, energy: Array, where: Array, bin_width: Array) -> Tally:
    """Add the histories ``where`` (n,) that deposit all of their ``energy`` (n,) eV."""
    return replace(
        tally,
        interacting=tally.interacting + _count(where),
        spectrum=_histogram(tally.spectrum, energy, where, bin_width),
        incident=tally.incident + _sum(energy, where),
    )


def book(tally: Tally, ledger: Ledger, energy: Array, source_line: Array, where: Array, bin_width: Array) -> Tally:
    """Add the histories ``where`` (n,), of photons of ``energy`` (n,) eV, by their ledgers."""
    lost = ledger.by_photons + ledger.by_electrons
    partial = where & (lost > PARTIAL)
    photon, electron = partial & (ledger.by_photons > 0), partial & (ledger.by_electrons > 0)
    single = photon & ~electron & (ledger.escapes == 1) & (ledger.line >= 0) & ~ledger.scattered
    lines, transitions = tally.peaks.shape
    at = jnp.where(single, source_line * transitions + ledger.line, lines * transitions)
    wrong = jnp.abs(energy - ledger.deposited - lost) > ROUNDING * jnp.finfo(energy.dtype).eps * energy
    tally = book_absorbed(tally, energy - lost, where, bin_width)
    return replace(
        tally,
        photon=tally.photon + _count(photon & ~electron),
        electron=tally.electron + _count(electron & ~photon),
        both=tally.both + _count(photon & electron),
        scattered=tally.scattered + _count(partial & ledger.scattered),
        loss_above=tally.loss_above + jnp.stack([_count(where & (lost > least)) for least in LOSS_THRESHOLDS]),
        peaks=tally.peaks.reshape(-1).at[at].add(1, mode="drop").reshape(lines, transitions),
        incident=tally.incident + _sum(lost, where),
        lost=tally.lost + _sum(lost, where),
        overflow=tally.overflow + _count(where & ledger.overflow),
        unbalanced=tally.unbalanced + _count(where & wrong),
    )


def _count(where: Array) -> Array:
    return jnp.sum(where, dtype=jnp.int32)


def _sum(energy: Array, where: Array) -> Array:
    units = jnp.where(where, jnp.round(energy / ENERGY_UNIT), 0.0).astype(jnp.uint32)
    return jnp.stack([jnp.sum((units >> (8 * byte)) & 255, dtype=jnp.int32) for byte in range(4)])


def _histogram(spectrum: Array, energy: Array, where: Array, bin_width: Array) -> Array:
    bin_ = jnp.floor(energy / bin_width).astype(jnp.int32)
    return spectrum.at[jnp.where(where, bin_, spectrum.shape[0])].add(1, mode="drop")
