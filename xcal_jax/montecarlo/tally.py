"""Counts of histories. They are integers: sums do not depend on batches, devices or their order. Tallies add."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from xcal_jax.compute.shapes import Real
from xcal_jax.montecarlo.ledger import NO_ACCOUNT, Ledger
from xcal_jax.physics.geometry import Pixels, Stack

PARTIAL = 1e-3  # eV; a smaller loss, or deposit, is none
ENERGY_UNIT = 1.0 / 64.0  # eV, in which energies are summed
PIXELS, DEAD, BACKGROUND = "pixels_", "dead_", "background_"  # of the names of arrays in a file
ROUNDING = 64  # units of the float's resolution within which a history must balance
Energies = Float[Array, " n"]
Mask = Bool[Array, " n"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PixelTally:
    """Counts of an array of R x C pixels; a deposit is more than PARTIAL.

    hits: (R C,) photons that leave a deposit anywhere, by the pixel hit, that of their first collision; counts: (R C,)
    photons that left a deposit in the pixel; deposited: (4, R C) summed energies, as in `Tally`; central, caught,
    summed: (B,) spectra of deposits in the central pixel, in pixels that were not hit, and in all pixels together;
    coincidences: ((2 R - 1) (2 C - 1),) photons with a deposit in the pixel hit and in the one so many rows and columns
    from it; shared: () photons with deposits in more than one pixel; escaped: (4,) summed energy that left the array.
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
class DeadTally:
    """Counts of D dead layers.

    deposited: (4, D) summed energy of the photons that interact, as in `Tally`; stopped: () of these, that leave some
    there; alone: () photons that leave a deposit in dead layers, and none where it counts; spectra: (D, B) photons that
    interact, by what they leave in each, where B may be 0.
    """

    deposited: Array
    stopped: Array
    alone: Array
    spectra: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BackgroundTally:
    """Counts of photons that meet a wider substrate beside the absorber first; they are counted nowhere else.

    beside: () photons that interact there first; caught: () of these, that leave a deposit where it counts; spectrum:
    (B,) of these deposits, each pixel's by itself.
    """

    beside: Array
    caught: Array
    spectrum: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tally:
    """Counts of histories, int32 on the device (one block), int64 on the host (any number of blocks).

    interacting: (), all that leave a deposit: a photon that is only deflected (Rayleigh) has not interacted; spectrum:
    (B,), by deposited energy; photon_escape, electron_escape, both: (), that lost energy by photons alone, by electrons
    alone, by both; scattered: (), that lost energy and had a scattering; loss_above: (A,), that lost more than each
    threshold; peaks: (K, S T), of which one fluorescence photon escaped and nothing else, by source line and
    transition; overflow, unbalanced: (), that ran out of their bits, or whose energies do not add up.
    summed_deposit, summed_loss: (4,) uint32, energies kept and lost, in ENERGY_UNIT, byte by byte, the lowest first.
    In an array all of these are of the pixel hit; pixels: the other pixels, None without an array. dead: the dead
    layers, None without them; background: photons beside the absorber, None without a wider substrate.
    """

    interacting: Array
    spectrum: Array
    photon_escape: Array
    electron_escape: Array
    both: Array
    scattered: Array
    loss_above: Array
    peaks: Array
    summed_deposit: Array
    summed_loss: Array
    overflow: Array
    unbalanced: Array
    pixels: PixelTally | None = None
    dead: DeadTally | None = None
    background: BackgroundTally | None = None

    @classmethod
    def empty(
        cls,
        bins: int,
        source_lines: int,
        transitions: int,
        pixels: Pixels | None = None,
        thresholds: int = 0,
        dead: int = 0,
        dead_bins: int = 0,
        background: bool = False,
    ) -> "Tally":
        """A tally of no histories, with so many ``bins``, ``thresholds`` of the loss and ``dead`` layers.

        Its peaks are (source_lines, transitions); dead_bins: of the spectra of dead layers; background: whether it has
        that part.
        """
        zeros = lambda *shape: jnp.zeros(shape, jnp.int32)  # noqa: E731
        return cls(
            interacting=zeros(),
            spectrum=zeros(bins),
            photon_escape=zeros(),
            electron_escape=zeros(),
            both=zeros(),
            scattered=zeros(),
            loss_above=zeros(thresholds),
            peaks=zeros(source_lines, transitions),
            summed_deposit=jnp.zeros(4, jnp.uint32),
            summed_loss=jnp.zeros(4, jnp.uint32),
            overflow=zeros(),
            unbalanced=zeros(),
            pixels=None
            if pixels is None
            else PixelTally(
                hits=zeros(pixels.count),
                counts=zeros(pixels.count),
                deposited=jnp.zeros((4, pixels.count), jnp.uint32),
                central=zeros(bins),
                caught=zeros(bins),
                summed=zeros(bins),
                coincidences=zeros((2 * pixels.rows - 1) * (2 * pixels.columns - 1)),
                shared=zeros(),
                escaped=jnp.zeros(4, jnp.uint32),
            ),
            dead=DeadTally(jnp.zeros((4, dead), jnp.uint32), zeros(), zeros(), zeros(dead, dead_bins))
            if dead
            else None,
            background=BackgroundTally(zeros(), zeros(), zeros(bins)) if background else None,
        )

    @property
    def partial(self) -> Array:
        """Histories that lost energy."""
        return self.photon_escape + self.electron_escape + self.both

    def arrays(self) -> dict[str, Any]:
        """All arrays by name, as they are kept in a file."""
        named = {PIXELS: self.pixels, DEAD: self.dead, BACKGROUND: self.background}
        arrays = {name: array for name, array in vars(self).items() if f"{name}_" not in named}
        for prefix, part in named.items():
            arrays |= {} if part is None else {f"{prefix}{name}": array for name, array in vars(part).items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> "Tally":
        """The tally that has these `arrays`."""
        parts: dict[str, dict[str, Any]] = {PIXELS: {}, DEAD: {}, BACKGROUND: {}, "": {}}
        for name, array in arrays.items():
            prefix = next(prefix for prefix in parts if name.startswith(prefix))
            parts[prefix][name.removeprefix(prefix)] = array
        pixels, dead, background, others = parts.values()
        return cls(
            **others,
            pixels=PixelTally(**pixels) if pixels else None,
            dead=DeadTally(**dead) if dead else None,
            background=BackgroundTally(**background) if background else None,
        )


def book_absorbed(tally: Tally, energy: Energies, where: Mask, bin_width: Real) -> Tally:
    """The tally with the histories ``where`` more, which deposit all of their ``energy`` in eV; bin_width: eV."""
    return replace(
        tally,
        interacting=tally.interacting + _count(where),
        spectrum=_histogram(tally.spectrum, energy, where, bin_width),
        summed_deposit=tally.summed_deposit + _sum(energy, where),
    )


def book_lines(
    tally: Tally, energies: Float[Array, " K"], line: Int[Array, " n"], where: Mask, bin_width: Real
) -> Tally:
    """`book_absorbed` of photons that have the ``energies`` of K source lines: they are counted, not scattered.

    line: the source line of each; energies, bin_width: eV. A count of one line costs a twentieth of a histogram.
    """
    counts = jnp.stack([_count(where & (line == k)) for k in range(energies.size)])
    lines = jnp.floor(energies / bin_width).astype(jnp.int32)
    return replace(
        tally,
        interacting=tally.interacting + jnp.sum(counts),
        spectrum=tally.spectrum.at[lines].add(counts, mode="drop"),
        summed_deposit=tally.summed_deposit
        + jnp.stack([jnp.sum(counts.astype(jnp.uint32) * byte) for byte in _bytes(energies, counts > 0)]),
    )


def book(
    tally: Tally,
    ledger: Ledger,
    energy: Energies,
    source_line: Int[Array, " n"],
    where: Mask,
    bin_width: Real,
    thresholds: Float[Array, " A"],
) -> Tally:
    """The tally with the histories ``where`` more, of photons of ``energy`` in eV, by their ledgers (n,).

    Those that deposit nothing are checked and not counted. bin_width: eV; thresholds: eV, of `loss_above`.
    """
    lost = ledger.by_photons + ledger.by_electrons
    met = where & (ledger.deposited > PARTIAL)
    partial = met & (lost > PARTIAL)
    photon, electron = partial & (ledger.by_photons > 0), partial & (ledger.by_electrons > 0)
    single = photon & (ledger.by_electrons == 0) & (ledger.escapes == 1) & (ledger.line >= 0) & ~ledger.scattered
    lines, transitions = tally.peaks.shape
    at = jnp.where(single, source_line * transitions + ledger.line, lines * transitions)
    wrong = jnp.abs(energy - ledger.deposited - lost) > ROUNDING * jnp.finfo(energy.dtype).eps * energy
    full = ledger.overflow if ledger.shares is None else ledger.overflow | ledger.shares.full
    tally = book_absorbed(tally, energy - lost, met, bin_width)
    return replace(
        tally,
        photon_escape=tally.photon_escape + _count(photon & ~electron),
        electron_escape=tally.electron_escape + _count(electron & ~photon),
        both=tally.both + _count(photon & electron),
        scattered=tally.scattered + _count(partial & ledger.scattered),
        loss_above=tally.loss_above
        + jnp.sum(met[:, None] & (lost[:, None] > thresholds[None, :]), axis=0, dtype=jnp.int32),
        peaks=tally.peaks.reshape(-1).at[at].add(1, mode="drop").reshape(lines, transitions),
        summed_loss=tally.summed_loss + _sum(lost, met),
        overflow=tally.overflow + _count(where & full),
        unbalanced=tally.unbalanced + _count(where & wrong),
    )


def book_pixels(
    tally: Tally,
    pixels: Pixels,
    pixel: Int[Array, "n J"],
    deposit: Float[Array, "n J"],
    escaped: Energies,
    energy: Energies,
    where: Mask,
    bin_width: Real,
) -> Tally:
    """The tally with what each pixel has of the histories ``where``, of photons of ``energy`` in eV.

    pixel: the pixels of a history, the one hit first, -1 for none; deposit: eV in each; escaped: eV that left the
    array, or stay in dead layers; bin_width: eV.
    """
    old = tally.pixels
    assert old is not None
    deposit = jnp.where(pixel != NO_ACCOUNT, deposit, 0.0)
    has = (deposit > PARTIAL) & where[:, None]
    met = jnp.any(has, axis=1)
    rows, columns = pixel // pixels.columns, pixel % pixels.columns
    steps = (rows - rows[:, :1] + pixels.rows - 1) * (2 * pixels.columns - 1) + columns - columns[:, :1]
    steps = steps + pixels.columns - 1
    at = jnp.where(has, pixel, pixels.count)
    new = PixelTally(
        hits=old.hits.at[jnp.where(met, pixel[:, 0], pixels.count)].add(1, mode="drop"),
        counts=old.counts.at[at].add(1, mode="drop"),
        deposited=jnp.stack(
            [
                total.at[at].add(byte, mode="drop")
                for total, byte in zip(old.deposited, _bytes(deposit, has), strict=True)
            ]
        ),
        central=_histogram(old.central, deposit, has & (pixel == pixels.central), bin_width),
        caught=_histogram(old.caught, deposit[:, 1:], has[:, 1:], bin_width),
        summed=_histogram(old.summed, energy - escaped, met, bin_width),
        coincidences=old.coincidences.at[jnp.where(has & has[:, :1], steps, old.coincidences.shape[0])].add(
            1, mode="drop"
        ),
        shared=old.shared + _count(jnp.sum(has, axis=1) > 1),
        escaped=old.escaped + _sum(escaped, met),
    )
    wrong = jnp.abs(energy - jnp.sum(deposit, axis=1) - escaped) > ROUNDING * jnp.finfo(energy.dtype).eps * energy
    return replace(tally, pixels=new, unbalanced=tally.unbalanced + _count(where & wrong))


def book_dead_layers(
    tally: Tally, stack: Stack, ledger: Ledger, energy: Energies, where: Mask, bin_width: Real
) -> Tally:
    """The tally with what the dead layers of ``stack`` have of the histories ``where``, of photons of ``energy`` in eV.

    What counts, what dead layers have and what escapes must add up to the photon's energy. bin_width: eV.
    """
    old, shares = tally.dead, ledger.shares
    assert old is not None and shares is not None
    stopped = shares.in_dead_layers(stack)
    met, some = ledger.deposited > PARTIAL, sum(stopped, jnp.zeros_like(energy)) > PARTIAL
    caught = (shares.energy > PARTIAL) & (shares.in_pixels(stack) != NO_ACCOUNT)
    anywhere = met | jnp.any(caught, axis=1)
    new = DeadTally(
        deposited=old.deposited + jnp.stack([_sum(eV, where & met) for eV in stopped], axis=1),
        stopped=old.stopped + _count(where & met & some),
        alone=old.alone + _count(where & some & ~anywhere),
        spectra=jnp.stack(
            [
                _histogram(row, eV, where & met & (eV > PARTIAL), bin_width)
                for row, eV in zip(old.spectra, stopped, strict=True)
            ]
        ),
    )
    return replace(tally, dead=new, unbalanced=tally.unbalanced + _count(where & _unbalanced(ledger, energy)))


def book_background(
    tally: Tally, stack: Stack, ledger: Ledger, energy: Energies, where: Mask, bin_width: Real
) -> Tally:
    """The tally with the histories ``where`` of photons that meet the substrate of ``stack`` beside the absorber first.

    energy: of the photons in eV; bin_width: eV.
    """
    old, shares = tally.background, ledger.shares
    assert old is not None and shares is not None
    elsewhere = jnp.where(shares.in_pixels(stack) != NO_ACCOUNT, shares.energy, 0.0)
    deposit = jnp.concatenate([ledger.deposited[:, None], elsewhere], axis=1)
    has = where[:, None] & (deposit > PARTIAL)
    new = BackgroundTally(
        beside=old.beside + _count(where),
        caught=old.caught + _count(jnp.any(has, axis=1)),
        spectrum=_histogram(old.spectrum, deposit, has, bin_width),
    )
    full = ledger.overflow | shares.full
    return replace(
        tally,
        background=new,
        overflow=tally.overflow + _count(where & full),
        unbalanced=tally.unbalanced + _count(where & _unbalanced(ledger, energy)),
    )


def _unbalanced(ledger: Ledger, energy: Energies) -> Mask:
    """Whether all accounts of a history and what escapes do not add up to its photon's ``energy`` in eV."""
    shares = ledger.shares
    assert shares is not None
    booked = ledger.deposited + jnp.sum(shares.energy, axis=1) + shares.escaped
    return jnp.abs(energy - booked) > ROUNDING * jnp.finfo(energy.dtype).eps * energy


def _count(where: Array) -> Array:
    return jnp.sum(where, dtype=jnp.int32)


def _sum(energy: Array, where: Array) -> Array:
    return jnp.stack([jnp.sum(byte, dtype=jnp.uint32) for byte in _bytes(energy, where)])


def _bytes(energy: Array, where: Array) -> list[Array]:
    """Energies in ENERGY_UNIT, byte by byte, the lowest first; 0 elsewhere."""
    units = jnp.where(where, jnp.round(energy / ENERGY_UNIT), 0.0).astype(jnp.uint32)
    return [(units >> (8 * byte)) & 255 for byte in range(4)]


def _histogram(spectrum: Array, energy: Array, where: Array, bin_width: Array) -> Array:
    bin_ = jnp.floor(energy / bin_width).astype(jnp.int32)
    return spectrum.at[jnp.where(where, bin_, spectrum.shape[0])].add(1, mode="drop")


def summed_energy(parts: Int[Array | np.ndarray, "B ..."]) -> Float[np.ndarray, "..."]:
    """Summed energies in eV from their bytes (B, ...) in ENERGY_UNIT, the lowest first."""
    units = sum(part.astype(object) << (8 * byte) for byte, part in enumerate(np.asarray(parts)))
    return np.asarray(ENERGY_UNIT * np.asarray(units).astype(np.float64))
