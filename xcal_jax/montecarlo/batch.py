"""Blocks of photons, one for each device: every photon flies once, the few at risk are followed, all are counted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Bool, Float, Int, UInt32

from xcal_jax.absorber.padding import up
from xcal_jax.absorber.source import PhotonSource, Source
from xcal_jax.compute.devices import local_devices, on_each, packing
from xcal_jax.compute.lanes import for_selected, put, take
from xcal_jax.compute.programs import program
from xcal_jax.compute.random import photon_key, words
from xcal_jax.compute.shapes import Flag, Real, Seed, Whole, Word
from xcal_jax.montecarlo.derivative import undifferentiable
from xcal_jax.montecarlo.histories import walk_histories
from xcal_jax.montecarlo.ledger import NO_ACCOUNT, Shares
from xcal_jax.montecarlo.state import Medium, Vertex
from xcal_jax.montecarlo.tally import (
    PARTIAL,
    Tally,
    book,
    book_absorbed,
    book_background,
    book_dead_layers,
    book_lines,
    book_pixels,
)
from xcal_jax.montecarlo.transport import at_risk, first_interaction
from xcal_jax.physics.layers import depth_in_stack

MOST_LANES = 2**24  # a byte of each of so many is summed in 32 bits
THRESHOLDS = 8  # of the loss are compared, or a multiple, so that one compiled program serves many energies
LEAST_LANES = 1024  # so that the lanes of histories are still whole words of 32
COMPILER = {  # one core for a block, since a run has many blocks; and the widest vectors
    "xla_disable_hlo_passes": "cpu-parallel-task-assigner",
    "xla_cpu_prefer_vector_width": 512,
}
PHOTON_ESCAPED, ELECTRON_ESCAPED, SCATTERED, CAUGHT, PASSED, STOPPED, BESIDE = (1 << n for n in range(7))  # of a loss
Levels = Float[Array, " A"]
Columns = tuple[Array, Array, Shares | None]  # deposited, loss type and shares of every photon
Own = tuple[UInt32[Array, "D 2"], Int[Array, " D"]]  # first photon and number of photons of each device


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Event:
    """Rows of an event list, (n,) each: energy, deposited: eV; loss_type: bits, int32; x, y, z: um, of the first
    interaction, from the centre of the top (z <= 0 inside), NaN for a photon that passed through, deflected or not. A
    photon that leaves energy in dead layers alone counts as passed, and has a place.

    In an array deposited and loss_type are of the pixel hit, pixel: (n,); catching, caught: (n, K), other pixels (-1
    for none) and their energies of the photon in eV. These three are None without an array. in_dead_layers: (n, D) eV,
    None without dead layers.
    """

    energy: Array
    deposited: Array
    loss_type: Array
    x: Array
    y: Array
    z: Array
    pixel: Array | None = None
    catching: Array | None = None
    caught: Array | None = None
    in_dead_layers: Array | None = None


@program("mesh", "lanes", "bins", "dead_bins", compiler_options=COMPILER)
def run_block(
    medium: Medium,
    source: Source,
    seed: Seed,
    bin_width: Real,
    thresholds: Levels,
    own: Own,
    mesh: Mesh,
    lanes: int,
    bins: int,
    dead_bins: int = 0,
) -> Tally:
    """Tallies (D, ...) of the photons that each of the D devices of ``mesh`` counts, its ``own`` (see `deal`).

    bin_width: eV; thresholds: eV, of `Tally.loss_above`; bins: of the spectrum; dead_bins: of those of dead layers.
    """
    count = partial(count_photons, lanes=lanes, bins=bins, dead_bins=dead_bins)
    return on_each(count, mesh)((medium, source, seed, bin_width, thresholds), own)


@program("mesh", "lanes", compiler_options=COMPILER)
def run_events(medium: Medium, source: PhotonSource, seed: Seed, own: Own, mesh: Mesh, lanes: int) -> Event:
    """The same photons one by one, in their order: rows (D, lanes), without meaning beyond a device's count."""
    return on_each(partial(list_photons, lanes=lanes), mesh)((medium, source, seed), own)


def lanes_for(photons: int) -> int:
    """Lanes of each of this process's devices, so that all devices together take at least so many ``photons``."""
    return -(-photons // (local_devices().size * LEAST_LANES)) * LEAST_LANES


def counted(
    medium: Medium,
    source: Source,
    seed: int,
    first: int,
    stop: int,
    bin_width: float,
    lanes: int,
    bins: int,
    loss_above: Sequence[float] = (),
    dead_bins: int = 0,
) -> Tally:
    """The tally of photons ``first`` to ``stop``, at most ``lanes`` for each device, in int64 on the host.

    bin_width: eV; bins: of the spectrum; loss_above: eV, thresholds of the loss; dead_bins: of spectra of dead layers.
    """
    mesh = local_devices()
    own = deal(first, stop, mesh, lanes)
    room = up(max(len(loss_above), 1), THRESHOLDS)
    thresholds = jnp.asarray([*loss_above, *[np.inf] * (room - len(loss_above))], float)
    width = jnp.asarray(bin_width, float)
    data = medium, source, words(seed), width, thresholds, own
    tallies = run_block(*data, mesh=mesh, lanes=lanes, bins=bins, dead_bins=dead_bins)
    total: Tally = jax.tree.map(lambda rows: np.asarray(rows).sum(0, dtype=np.int64), tallies)
    return replace(total, loss_above=total.loss_above[: len(loss_above)])


def listed(medium: Medium, source: PhotonSource, seed: int, first: int, stop: int, lanes: int) -> Event:
    """The rows of photons ``first`` to ``stop``, at most ``lanes`` for each device, on the host."""
    mesh = local_devices()
    rows = run_events(medium, source, words(seed), deal(first, stop, mesh, lanes), mesh=mesh, lanes=lanes)
    return jax.tree.map(lambda column: np.asarray(column).reshape(-1, *column.shape[2:])[: stop - first], rows)


def deal(first: int, stop: int, mesh: Mesh, lanes: int) -> Own:
    """The first photon and the number of photons of each device: ``first`` to ``stop``, at most ``lanes`` for each."""
    begins = range(first, first + mesh.size * lanes, lanes)
    counts = np.clip(np.array([stop - begin for begin in begins]), 0, lanes)
    return jnp.stack([words(begin) for begin in begins]), jnp.asarray(counts, jnp.int32)


def count_photons(
    medium: Medium,
    source: Source,
    seed: Seed,
    bin_width: Real,
    thresholds: Levels,
    first: Seed,
    count: Whole,
    lanes: int,
    bins: int,
    dead_bins: int = 0,
) -> Tally:
    """The tally of photons ``first`` to ``first + count`` on one device.

    count: at most ``lanes``; bin_width: eV; thresholds: eV, of `Tally.loss_above`; bins: of the spectrum; dead_bins: of
    those of dead layers.
    """
    medium, source = undifferentiable((medium, source))
    offset = jnp.arange(lanes, dtype=jnp.uint32)

    def fly_once(offset: Word) -> tuple[Real, Whole, Flag, Flag, Whole | None, Flag | None]:
        vertex, line = first_interaction(medium, source, photon_key(seed, first, offset))
        return vertex.energy, line, vertex.met, at_risk(medium.stack, vertex), vertex.site.pixel, vertex.beside

    energy, line, met, risky, pixel, beside = jax.vmap(fly_once)(offset)
    stack, pixels = medium.stack, medium.stack.pixels
    here = offset < count.astype(jnp.uint32)
    risky = risky & here
    absorbed = met & here & ~risky
    shape = peaks_shape(medium, source)
    tally = Tally.empty(bins, *shape, pixels, thresholds.size, len(stack.dead), dead_bins, beside is not None)
    tally = book_whole(tally, source, energy, line, absorbed, bin_width)
    if pixels is not None:
        whole = energy[:, None]
        tally = book_pixels(
            tally, pixels, cast(Array, pixel)[:, None], whole, jnp.zeros_like(energy), energy, absorbed, bin_width
        )

    def walk(chosen: Array, tally: Tally) -> Tally:
        here = chosen < lanes
        ledger, energy, line = walk_histories(medium, source, seed, first, chosen.astype(jnp.uint32), here)
        if beside is not None:
            aside = here & take(beside, chosen)
            tally = book_background(tally, stack, ledger, energy, aside, bin_width)
            here = here & ~aside
        tally = book(tally, ledger, energy, line, here, bin_width, thresholds)
        shares = ledger.shares
        if shares is None:
            return tally
        left = shares.escaped
        if stack.dead:
            tally = book_dead_layers(tally, stack, ledger, energy, here, bin_width)
            left = sum(shares.in_dead_layers(stack), left)
        if pixels is None:
            return tally
        kept = energy - ledger.by_photons - ledger.by_electrons
        pixel = jnp.concatenate([shares.home[:, None], shares.in_pixels(stack)], axis=1)
        deposit = jnp.concatenate([kept[:, None], shares.energy], axis=1)
        return book_pixels(tally, pixels, pixel, deposit, left, energy, here, bin_width)

    return for_selected(walk, tally, risky, lanes // packing().histories)


def book_whole(
    tally: Tally,
    source: Source,
    energy: Float[Array, " n"],
    line: Int[Array, " n"],
    where: Bool[Array, " n"],
    bin_width: Real,
) -> Tally:
    """The tally with the photons ``where`` more, which deposit all of their ``energy`` in eV; line: of the source."""
    if source.few_lines:
        return book_lines(tally, source.energies.low, line, where, bin_width)
    return book_absorbed(tally, energy, where, bin_width)


def list_photons(medium: Medium, source: PhotonSource, seed: Seed, first: Seed, count: Whole, lanes: int) -> Event:
    """The rows of photons ``first`` to ``first + count`` on one device; count: at most ``lanes``."""
    medium, source = undifferentiable((medium, source))
    offset = jnp.arange(lanes, dtype=jnp.uint32)

    def start(offset: Word) -> tuple[Vertex, Flag, tuple[Real, ...]]:
        vertex, _ = first_interaction(medium, source, photon_key(seed, first, offset))
        site = vertex.site
        place = (site.x, site.y, -depth_in_stack(medium.stack.thickness, site.layer, site.depth))
        return vertex, at_risk(medium.stack, vertex), place

    vertex, risky, (x, y, z) = jax.vmap(start)(offset)

    def walk(chosen: Array, columns: Columns) -> Columns:
        ledger, energy, _ = walk_histories(medium, source, seed, first, chosen.astype(jnp.uint32), chosen < lanes)
        lost = ledger.by_photons + ledger.by_electrons
        kind = (
            jnp.where(ledger.by_photons > 0, PHOTON_ESCAPED, 0)
            | jnp.where(ledger.by_electrons > 0, ELECTRON_ESCAPED, 0)
            | jnp.where(ledger.scattered, SCATTERED, 0)
        )
        shares, stack = ledger.shares, medium.stack
        if shares is not None and stack.pixels is not None:
            caught = (shares.energy > PARTIAL) & (shares.in_pixels(stack) != NO_ACCOUNT)
            kind = kind | jnp.where(jnp.any(caught, axis=1), CAUGHT, 0)
        met = ledger.deposited > PARTIAL
        deposited, kind = jnp.where(met, energy - lost, 0.0), jnp.where(met, kind, PASSED)
        if shares is not None and stack.dead:
            stopped = sum(shares.in_dead_layers(stack), jnp.zeros_like(energy)) > PARTIAL
            kind = kind | jnp.where(stopped, STOPPED, 0)
        if vertex.beside is not None:
            kind = kind | jnp.where(take(vertex.beside, chosen), BESIDE, 0)
        return put(columns, chosen, (deposited, kind, shares))

    kept = jnp.where(vertex.met, vertex.energy, 0.0), jnp.where(vertex.met, 0, PASSED)
    stack = medium.stack
    empty = jax.vmap(lambda site, zero: Shares.empty(stack, stack.home(site), zero))(
        vertex.site, jnp.zeros_like(vertex.energy)
    )
    here = offset < count.astype(jnp.uint32)
    deposited, kind, shares = for_selected(walk, (*kept, empty), risky & here, lanes // packing().histories)
    nowhere = kind & ~BESIDE == PASSED
    x, y, z = (jnp.where(nowhere, jnp.nan, p) for p in (x, y, z))
    event = Event(vertex.energy, deposited, kind, x, y, z)
    if shares is None:
        return event
    if stack.dead:
        event = replace(event, in_dead_layers=jnp.stack(shares.in_dead_layers(stack), axis=1))
    if stack.pixels is None:
        return event
    catching = shares.in_pixels(stack)
    caught = jnp.where(catching == NO_ACCOUNT, 0.0, shares.energy)
    return replace(event, pixel=vertex.site.pixel, catching=catching, caught=caught)


def peaks_shape(medium: Medium, source: Source) -> tuple[int, int]:
    """Rows and columns of a tally's peaks: source lines (one for a spectrum), and all transitions."""
    return source.line_count, medium.matter.relaxation.energy.size
