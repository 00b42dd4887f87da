"""Histories counted: integers only, so that sums do not depend on batches, devices or their order. Tallies add."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.montecarlo.ledger import NOBODY, Ledger
from xcal_jax.physics.geometry import Pixels

PARTIAL = 1e-3  # eV; a smaller loss is rounding
ENERGY_UNIT = 1.0 / 64.0  # eV, in which energies are summed
PREFIX = "pixels_"
ROUNDING = 64  # units of the float's resolution within which a history must balance


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PixelTally:
    """Counts of an array of R x C pixels; a deposit is more than PARTIAL.

    hits: (R C,) photons by the pixel hit, that of their first interaction; counts: (R C,) photons that left a deposit
    in the pixel; deposited: (4, R C) sums of energies; central, caught, summed: (B,) deposits in the central pixel,
    in pixels that were not hit, and in all pixels together, one a photon; coincidences: ((2 R - 1) (2 C - 1),) photons
    with a deposit in the pixel hit and in the one so many rows and columns from it; shared: () photons with deposits
    in more than one pixel; escaped: (4,) sum of the energies that left the array.
    """

    hits: Array
    counts: Array
    deposited: Array
    central: Array
    caught: Array
    summed: Array
    coincidences: Array
    shared: Array
    escaped: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tally:
    """Counts, int32 on the device (one block), int64 on the host (any number of blocks).

    interacting: (); spectrum: (B,) by deposited energy; photon_escape, electron_escape, both: () histories that lost
    energy by photons alone, electrons alone, both; scattered: () partial ones with a scattering; loss_above: (A,), more
    than each threshold; peaks: (K, S T), one fluorescence photon escaped and nothing else, by source line and
    transition; incident, lost: (4,) sums of energies in ENERGY_UNIT, byte by byte, lowest first;
    overflow, unbalanced: () histories that ran out of their bits, or whose energies do not add up. In an array all of
    these are of the pixel hit; pixels: the others, None without an array.
    """

    interacting: Array
    spectrum: Array
    photon_escape: Array
    electron_escape: Array
    both: Array
    scattered: Array
    loss_above: Array
    peaks: Array
    incident: Array
    lost: Array
    overflow: Array
    unbalanced: Array
    pixels: PixelTally | None = None

    def arrays(self) -> dict[str, Any]:
        """All arrays by name, to be kept in a file."""
        arrays = {name: array for name, array in vars(self).items() if name != "pixels"}
        of_pixels = {} if self.pixels is None else vars(self.pixels)
        return arrays | {f"{PREFIX}{name}": array for name, array in of_pixels.items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> "Tally":
        """The tally of its `arrays`."""
        of_pixels = {name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)}
        others = {name: array for name, array in arrays.items() if not name.startswith(PREFIX)}
        return cls(**others, pixels=PixelTally(**of_pixels) if of_pixels else None)


def empty(bins: int, source_lines: int, transitions: int, pixels: Pixels | None = None, thresholds: int = 0) -> Tally:
    """A tally of nothing, with so many bins of the spectrum, source lines, transitions and loss thresholds."""
    zeros = lambda *shape: jnp.zeros(shape, jnp.int32)  # noqa: E731
    return Tally(
        interacting=zeros(),
        spectrum=zeros(bins),
        photon_escape=zeros(),
        electron_escape=zeros(),
        both=zeros(),
        scattered=zeros(),
        loss_above=zeros(thresholds),
        peaks=zeros(source_lines, transitions),
        incident=zeros(4),
        lost=zeros(4),
        overflow=zeros(),
        unbalanced=zeros(),
        pixels=None
        if pixels is None
        else PixelTally(
            hits=zeros(pixels.count),
            counts=zeros(pixels.count),
            deposited=zeros(4, pixels.count),
            central=zeros(bins),
            caught=zeros(bins),
            summed=zeros(bins),
            coincidences=zeros((2 * pixels.rows - 1) * (2 * pixels.columns - 1)),
            shared=zeros(),
            escaped=zeros(4),
        ),
    )


def book_absorbed(tally: Tally, energy: Array, where: Array, bin_width: Array) -> Tally:
    """Add the histories ``where`` (n,) that deposit all of their ``energy`` (n,) eV."""
    return replace(
        tally,
        interacting=tally.interacting + _count(where),
        spectrum=_histogram(tally.spectrum, energy, where, bin_width),
        incident=tally.incident + _sum(energy, where),
    )


def book(
    tally: Tally, ledger: Ledger, energy: Array, source_line: Array, where: Array, bin_width: Array, thresholds: Array
) -> Tally:
    """Add the histories ``where`` (n,), of photons of ``energy`` (n,) eV, by their ledgers.

    bin_width: () eV; thresholds: (A,) eV, of `Tally.loss_above`.
    """
    lost = ledger.by_photons + ledger.by_electrons
    partial = where & (lost > PARTIAL)
    photon, electron = partial & (ledger.by_photons > 0), partial & (ledger.by_electrons > 0)
    single = photon & ~electron & (ledger.escapes == 1) & (ledger.line >= 0) & ~ledger.scattered
    lines, transitions = tally.peaks.shape
    at = jnp.where(single, source_line * transitions + ledger.line, lines * transitions)
    wrong = jnp.abs(energy - ledger.deposited - lost) > ROUNDING * jnp.finfo(energy.dtype).eps * energy
    full = ledger.overflow if ledger.shares is None else ledger.overflow | ledger.shares.full
    tally = book_absorbed(tally, energy - lost, where, bin_width)
    return replace(
        tally,
        photon_escape=tally.photon_escape + _count(photon & ~electron),
        electron_escape=tally.electron_escape + _count(electron & ~photon),
        both=tally.both + _count(photon & electron),
        scattered=tally.scattered + _count(partial & ledger.scattered),
        loss_above=tally.loss_above
        + jnp.sum(where[:, None] & (lost[:, None] > thresholds[None, :]), axis=0, dtype=jnp.int32),
        peaks=tally.peaks.reshape(-1).at[at].add(1, mode="drop").reshape(lines, transitions),
        incident=tally.incident + _sum(lost, where),
        lost=tally.lost + _sum(lost, where),
        overflow=tally.overflow + _count(where & full),
        unbalanced=tally.unbalanced + _count(where & wrong),
    )


def book_pixels(
    tally: Tally, pixels: Pixels, pixel: Array, deposit: Array, escaped: Array, energy: Array, where: Array, bin_width
) -> Tally:
    """Add who has what of the histories ``where`` (n,), of photons of ``energy`` (n,) eV.

    pixel: (n, J), the one hit first, -1 for none; deposit: (n, J) eV in it; escaped: (n,) eV that left the array.
    """
    old = tally.pixels
    assert old is not None
    has = (deposit > PARTIAL) & (pixel != NOBODY) & where[:, None]
    rows, columns = pixel // pixels.columns, pixel % pixels.columns
    apart = (rows - rows[:, :1] + pixels.rows - 1) * (2 * pixels.columns - 1) + columns - columns[:, :1]
    apart = apart + pixels.columns - 1
    at = jnp.where(has, pixel, pixels.count)
    new = PixelTally(
        hits=old.hits.at[jnp.where(where, pixel[:, 0], pixels.count)].add(1, mode="drop"),
        counts=old.counts.at[at].add(1, mode="drop"),
        deposited=jnp.stack(
            [
                total.at[at].add(byte, mode="drop")
                for total, byte in zip(old.deposited, _bytes(deposit, has), strict=True)
            ]
        ),
        central=_histogram(old.central, deposit, has & (pixel == pixels.central), bin_width),
        caught=_histogram(old.caught, deposit[:, 1:], has[:, 1:], bin_width),
        summed=_histogram(old.summed, energy - escaped, where, bin_width),
        coincidences=old.coincidences.at[jnp.where(has & has[:, :1], apart, old.coincidences.shape[0])].add(
            1, mode="drop"
        ),
        shared=old.shared + _count(jnp.sum(has, axis=1) > 1),
        escaped=old.escaped + _sum(escaped, where),
    )
    wrong = jnp.abs(energy - jnp.sum(deposit, axis=1) - escaped) > ROUNDING * jnp.finfo(energy.dtype).eps * energy
    return replace(tally, pixels=new, unbalanced=tally.unbalanced + _count(where & wrong))


def _count(where: Array) -> Array:
    return jnp.sum(where, dtype=jnp.int32)


def _sum(energy: Array, where: Array) -> Array:
    return jnp.stack([jnp.sum(byte, dtype=jnp.int32) for byte in _bytes(energy, where)])


def _bytes(energy: Array, where: Array) -> list[Array]:
    """Energies in ENERGY_UNIT, byte by byte, the lowest first; 0 elsewhere."""
    units = jnp.where(where, jnp.round(energy / ENERGY_UNIT), 0.0).astype(jnp.uint32)
    return [((units >> (8 * byte)) & 255).astype(jnp.int32) for byte in range(4)]


def _histogram(spectrum: Array, energy: Array, where: Array, bin_width: Array) -> Array:
    bin_ = jnp.floor(energy / bin_width).astype(jnp.int32)
    return spectrum.at[jnp.where(where, bin_, spectrum.shape[0])].add(1, mode="drop")


def summed_energy(parts) -> np.ndarray:
    """Sums in eV, (...), of what was booked in ENERGY_UNIT byte by byte, (B, ...), the lowest first."""
    units = sum(np.asarray(part).astype(object) << (8 * byte) for byte, part in enumerate(parts))
    return ENERGY_UNIT * np.asarray(units).astype(np.float64)
