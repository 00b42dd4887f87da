"""A filter for SIXTE: photon impacts on pixels become what the absorber keeps of them.

SIXTE's PIXELIMPACT tables hold energy and place of every photon that meets a pixel. Each photon here flies through
the absorber at its own place (U, V: from the pixel's centre): ENERGY becomes the deposit, and rows of photons that
pass through, or that miss the absorber, go. All else, rows, cards and extensions, is copied byte by byte.

With an array, each neighbour that catches some of a photon has a row after the photon's: its PIXID, its deposit, the
impact's place seen from its own centre, and all other columns those of the photon. PIXID says which pixel of the array
that is by the detector's XML (`pixel_order`); without one it must be 1 + row x columns + column (SIXTE counts from 1),
rows along V, columns along U.
"""

import os
import warnings
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import jax
import jax.numpy as jnp
import numpy as np
from astropy.io import fits
from jax import Array
from jaxtyping import Bool, Int

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.atomic import ENERGY_LIMITS
from xcal_jax.compute.progress import Bar
from xcal_jax.compute.random import SEEDS, Key, words
from xcal_jax.constants import VERSION
from xcal_jax.io.arguments import checked
from xcal_jax.io.files import check_kept, replacing
from xcal_jax.io.fits_rows import BLOCK, columns_dtype, table_rows
from xcal_jax.montecarlo.batch import Event, lanes_for, listed
from xcal_jax.montecarlo.state import Medium
from xcal_jax.montecarlo.tally import PARTIAL
from xcal_jax.physics.geometry import Direction, Site, Stack
from xcal_jax.simulation.counting import medium_of
from xcal_jax.simulation.events import FIRST_PIXEL, rows_of
from xcal_jax.simulation.pixel_order import pixel_order
from xcal_jax.units import parse_whole, shown_path

LANES = 2**17  # impacts read, simulated and written at a time
UNITS = {"ENERGY": "keV", "U": "m", "V": "m"}
PIXEL = "PIXID"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Impacts:
    """A source whose photons are given one by one, flying straight down: energy (n,) eV, x, y (n,) um.

    first: (2,) uint32, id of the first of them; pixel: (n,) int32 of an array, or None. forced: whether every photon
    interacts.
    """

    energy: Array
    x: Array
    y: Array
    first: Array
    pixel: Array | None
    forced: bool = field(metadata={"static": True})

    def photon(self, stack: Stack, key: Key) -> tuple[Array, Array, Site, Direction]:
        """The photon of that key: (energy () eV, 0, site, direction)."""
        n = (key.photon_low - self.first[0]).astype(jnp.int32)
        zero = jnp.zeros_like(self.energy[n])
        none = jnp.zeros_like(n)
        site = Site(self.x[n], self.y[n], zero, none, None if self.pixel is None else self.pixel[n])
        return self.energy[n], none, site, Direction(zero, zero, zero - 1.0)


@dataclass(frozen=True)
class Filtered:
    """The lowest deposit (keV, infinite where there is none), and numbers of rows.

    Rows read, kept, beside the absorber, passed through, kept with less than their energy. caught: rows added for
    neighbours; nowhere: those not added, as the XML has no pixel there; centred: read with U = V = 0.
    """

    lowest: float
    read: int
    kept: int
    missed: int
    passed: int
    partial: int
    caught: int
    nowhere: int
    centred: int


@checked
def filter_impacts(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    absorber: Absorber,
    seed: int = 1,
    forced: bool = False,
    yields: str = "eadl",
    progress: bool = False,
    xml: str | os.PathLike[str] | None = None,
    uniform: bool = False,
) -> Filtered:
    """Write the PIXELIMPACT file ``source`` with deposits in place of energies to ``target``, whole or not at all.

    forced: every photon on the absorber interacts; for an effective area that has the quantum efficiency in it
    already. xml: SIXTE's detector, by whose order of pixels an array is numbered; uniform: photons fall evenly on the
    absorber, whatever U and V are. Memory does not grow with the table. A file at ``target`` is replaced. Raises
    ValueError where that is ``source``, where this has no such table, where a row's energy or place makes no sense, or
    the ``xml`` does not fit the absorber.
    """
    check_kept([source], [target])
    seed = parse_whole(seed, "seed", least=0, below=SEEDS)
    header, start, data = find_table(source)
    if absorber.array is not None and PIXEL not in (columns_dtype(header).names or ()):
        raise ValueError(
            f"{shown_path(source)} must have a column {PIXEL} for an absorber with an [array], but has none"
        )
    if xml is not None and absorber.array is None:
        raise ValueError(
            f"the order of the pixels in {shown_path(xml)} is that of an [array], but the absorber has none"
        )
    order = None if absorber.array is None else _order(xml, absorber)
    kind = columns_dtype(header)
    rows = header["NAXIS2"]
    needed = data + rows * kind.itemsize
    if Path(source).stat().st_size < needed:
        raise ValueError(f"{shown_path(source)} must hold {rows} impacts, but is cut short")
    end = data + -(-rows * kind.itemsize // BLOCK) * BLOCK
    medium = medium_of(absorber, yields)
    for card in ("CHECKSUM", "DATASUM"):
        header.remove(card, ignore_missing=True)
    header.add_history(f"xcal_jax {VERSION}: ENERGY is what the absorber keeps")
    header.add_history(f"electron model {absorber.electrons}, yields {yields}, seed {seed}, forced {forced}")
    header.add_history(f"places {'even over the absorber' if uniform else 'as U and V say'}")
    for line in absorber.to_toml().splitlines():
        header.add_history(line.encode("ascii", "replace").decode())
    counts, lowest = np.zeros(8, dtype=np.int64), np.inf
    with Path(source).open("rb") as file, replacing(target) as temporary, temporary.open("wb") as out:
        copy_bytes(file, out, start)
        file.seek(data)
        bar = Bar(rows, " impacts", progress)
        with bar, table_rows(out, header) as append:
            for first in range(0, rows, LANES):
                count = min(LANES, rows - first)
                block = np.frombuffer(file.read(count * kind.itemsize), kind)
                if uniform:
                    block = _spread(block, absorber, seed, first)
                kept, tally = _deposit(block, medium, absorber, seed, first, forced, str(source), order)
                append(kept)
                counts += tally
                lowest = min(lowest, float(kept["ENERGY"].min(initial=np.inf)))
                bar.update(count)
        file.seek(end)
        copy_bytes(file, out)
    return Filtered(lowest, *(int(n) for n in counts))


def find_table(path: str | os.PathLike[str]) -> tuple[fits.Header, int, int]:
    """The header of the impacts' table in ``path``, and where it and its rows begin, in bytes.

    Raises ValueError where there is no such table.
    """
    if not os.path.isfile(path):
        raise ValueError(f"{shown_path(path)} must be a file, but does not exist")
    try:
        with warnings.catch_warnings(action="ignore"), fits.open(path, lazy_load_hdus=False) as file:
            tables = [hdu for hdu in file if isinstance(hdu, fits.BinTableHDU) and set(UNITS) <= set(hdu.columns.names)]
            if not tables:
                raise ValueError(
                    f"{shown_path(path)} must hold a PIXELIMPACT table, with columns {', '.join(UNITS)}, but has none"
                )
            table = tables[0]
            table.verify("silentfix+exception")
            header, place = table.header.copy(), table.fileinfo()
            columns = {name: table.columns[name] for name in UNITS}
    except (OSError, TypeError, KeyError, fits.VerifyError) as problem:
        raise ValueError(
            f"{shown_path(path)} must be a FITS file with a PIXELIMPACT table, but cannot be read"
        ) from problem
    for name, unit in UNITS.items():
        if columns[name].unit not in (None, unit):
            raise ValueError(f"column {name} of {shown_path(path)} must be in {unit}, but is in {columns[name].unit}")
        if columns[name].format not in ("D", "E", "1D", "1E") or columns[name].bscale or columns[name].bzero:
            raise ValueError(f"column {name} of {shown_path(path)} must hold plain numbers, D or E")
    return header, place["hdrLoc"], place["datLoc"]


def copy_bytes(source: BinaryIO, target: BinaryIO, count: int | None = None, piece: int = 2**22) -> None:
    """Copy the next ``count`` bytes, or all that are left."""
    left = count
    while left is None or left > 0:
        part = source.read(piece if left is None else min(piece, left))
        if not part:
            return
        target.write(part)
        left = None if left is None else left - len(part)


def _order(xml: str | os.PathLike[str] | None, absorber: Absorber) -> Int[np.ndarray, " P"]:
    """Number in the array of ``absorber`` of each pixel, in the order of PIXID."""
    assert absorber.array is not None
    return np.arange(absorber.array.count) if xml is None else pixel_order(xml, absorber.array)


def _spread(block: np.ndarray, absorber: Absorber, seed: int, first: int) -> np.ndarray:
    """The rows of ``block``, which begins with row ``first``, with places even over the absorber."""
    block = block.copy()
    at = np.random.default_rng((seed, first)).uniform(-0.5, 0.5, (2, len(block)))
    for name, side, place in zip("UV", (absorber.width, absorber.length), at, strict=True):
        block[name] = 1e-6 * float(side) * place
    return block


def _events(medium: Medium, impacts: Impacts, seed: int, first: int, count: int) -> Event:
    """The events of ``count`` impacts from ``first`` on.

    Forced photons are given to collide. Those that are only deflected are drawn again, with the next seed, until all
    have left a deposit.
    """
    draw = partial(listed, medium, impacts, first=first, stop=first + count, lanes=lanes_for(LANES))
    events = draw(seed=seed)
    while impacts.forced and (again := deposits_nothing(events)).any():
        seed = (seed + 1) % 2**64
        events = jax.tree.map(partial(_replaced, again), events, draw(seed=seed))
    return events


def deposits_nothing(events: Event) -> Bool[np.ndarray, " n"]:
    """Whether a photon leaves no deposit in any pixel."""
    nothing = np.asarray(events.deposited == 0.0)
    return nothing if events.caught is None else nothing & ~np.any(events.caught > PARTIAL, axis=1)


def _replaced(where: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.where(where.reshape(-1, *(1,) * (old.ndim - 1)), new, old)


def _deposit(
    block: np.ndarray,
    medium: Medium,
    absorber: Absorber,
    seed: int,
    first: int,
    forced: bool,
    where: str,
    order: Int[np.ndarray, " P"] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of ``block`` that are left, with deposits; and the numbers of `Filtered` (8,).

    order: number in the array of each pixel, in the order of PIXID.
    """
    energy, u, v = (block[name].astype(np.float64) for name in UNITS)
    energy, x, y = 1e3 * energy, 1e6 * u, 1e6 * v
    low, high = ENERGY_LIMITS
    wrong = np.flatnonzero(~((energy >= low) & (energy <= high) & np.isfinite(x) & np.isfinite(y)))
    if wrong.size:
        n = wrong[0]
        raise ValueError(
            f"impacts in {where!r} must have energies of {low / 1e3:g} to {high / 1e3:g} keV and finite places, "
            f"but row {first + n + 1} has {energy[n] / 1e3:g} keV at ({u[n]:g}, {v[n]:g}) m"
        )
    pixels = absorber.array
    if pixels is not None and order is not None:
        wrong = np.flatnonzero((block[PIXEL] < FIRST_PIXEL) | (block[PIXEL] >= FIRST_PIXEL + order.size))
        if wrong.size:
            raise ValueError(
                f"{PIXEL} in {where!r} must be from {FIRST_PIXEL} to {FIRST_PIXEL + order.size - 1} for an array of "
                f"{pixels.rows} x {pixels.columns}, but row {first + wrong[0] + 1} has {block[PIXEL][wrong[0]]}"
            )
    on = (np.abs(x) <= 0.5 * float(absorber.width)) & (np.abs(y) <= 0.5 * float(absorber.length))
    pad = LANES - len(block)
    energies, xs, ys = (
        jnp.asarray(np.pad(values, (0, pad), mode="edge"), float)
        for values in (energy, np.where(on, x, 0.0), np.where(on, y, 0.0))
    )
    hit = None
    if order is not None:
        hit = jnp.asarray(np.pad(order[block[PIXEL] - FIRST_PIXEL].astype(np.int32), (0, pad)))
    impacts = Impacts(energies, xs, ys, words(first), hit, forced)
    columns = rows_of(_events(medium, impacts, seed, first, len(block)), 0, pixels)
    impact = columns["photon_id"]
    own = np.diff(impact, prepend=-1) > 0  # the row of the pixel hit; the others are of neighbours
    kept = on[impact] & (~own | (np.isfinite(columns["x"]) & (columns["deposited"] > 0.0)))
    number = np.zeros(own.size, int)  # PIXID of each row, -1 where the array has no such pixel
    if pixels is not None and order is not None:
        numbers = np.full(pixels.count, -1)
        numbers[order] = FIRST_PIXEL + np.arange(order.size)
        number = numbers[columns["pixel"]]
    nowhere = kept & ~own & (number < 0)
    kept &= ~nowhere
    number = number[kept]
    columns, impact, own = {name: column[kept] for name, column in columns.items()}, impact[kept], own[kept]
    rows = block[impact]
    lost = columns["loss_type"] > 0
    rows["ENERGY"][lost] = (columns["deposited"][lost] / 1e3).astype(rows["ENERGY"].dtype)
    if pixels is not None:
        rows[PIXEL][~own] = number[~own]
        rows["U"][~own], rows["V"][~own] = (1e-6 * columns[name][~own] for name in ("x", "y"))
    partial = np.sum(own & lost & (columns["deposited"] < energy[impact]))
    centred = np.sum((u == 0.0) & (v == 0.0))
    tally = (len(block), own.sum(), (~on).sum(), on.sum() - own.sum(), partial, (~own).sum(), nowhere.sum(), centred)
    return rows, np.array(tally, dtype=np.int64)
