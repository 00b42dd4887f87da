"""A filter for SIXTE: photon impacts on pixels become what the absorber keeps of them.

SIXTE's PIXELIMPACT tables hold energy and place of every photon that meets a pixel. Each photon here flies through
the absorber at its own place (U, V: from the pixel's centre): ENERGY becomes the deposit, and rows of photons that
pass through, or that miss the absorber, go. All else, rows, cards and extensions, is copied byte by byte.

With an array, each neighbour that catches some of a photon has a row after the photon's: its PIXID, its deposit, the
impact's place seen from its own centre, and all other columns those of the photon. PIXID must be 1 + row x columns +
column (SIXTE counts from 1), rows along V, columns along U.
"""

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import jax
import jax.numpy as jnp
import numpy as np
from astropy.io import fits
from jax import Array

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.atomic import ENERGY_LIMITS
from xcal_jax.compute.progress import Bar
from xcal_jax.compute.random import SEEDS, Key, words
from xcal_jax.constants import VERSION
from xcal_jax.io.arguments import checked
from xcal_jax.io.files import check_kept, replacing
from xcal_jax.io.fits_rows import BLOCK, columns_dtype, table_rows
from xcal_jax.montecarlo.batch import lanes_for, listed
from xcal_jax.montecarlo.state import Medium
from xcal_jax.physics.geometry import Direction, Site, Stack
from xcal_jax.simulation.counting import matter_of, medium_of
from xcal_jax.simulation.events import FIRST_PIXEL, rows_of
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
    """Numbers of rows: read, kept, beside the absorber, passed through, kept with less than their energy.

    caught: rows added for neighbours.
    """

    read: int
    kept: int
    missed: int
    passed: int
    partial: int
    caught: int


@checked
def filter_impacts(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    absorber: Absorber,
    seed: int = 1,
    forced: bool = False,
    yields: str = "eadl",
    progress: bool = False,
) -> Filtered:
    """Write the PIXELIMPACT file ``source`` with deposits in place of energies to ``target``, whole or not at all.

    forced: every photon on the absorber interacts; for an effective area that has the quantum efficiency in it
    already. Memory does not grow with the table. Raises ValueError where ``source`` has no such table, or a row's
    energy or place makes no sense.
    """
    check_kept([source], [target])
    seed = parse_whole(seed, "seed", least=0, below=SEEDS)
    header, start, data = find_table(source)
    if absorber.array is not None and PIXEL not in (columns_dtype(header).names or ()):
        raise ValueError(
            f"{shown_path(source)} must have a column {PIXEL} for an absorber with an [array], but has none"
        )
    kind = columns_dtype(header)
    rows = header["NAXIS2"]
    needed = data + rows * kind.itemsize
    if Path(source).stat().st_size < needed:
        raise ValueError(f"{shown_path(source)} must hold {rows} impacts, but is cut short")
    end = data + -(-rows * kind.itemsize // BLOCK) * BLOCK
    medium = medium_of(absorber, matter_of(absorber, yields))
    for card in ("CHECKSUM", "DATASUM"):
        header.remove(card, ignore_missing=True)
    header.add_history(f"xcal_jax {VERSION}: ENERGY is what the absorber keeps")
    header.add_history(f"electron model {absorber.electrons}, yields {yields}, seed {seed}, forced {forced}")
    for line in absorber.to_toml().splitlines():
        header.add_history(line.encode("ascii", "replace").decode())
    counts = np.zeros(6, dtype=np.int64)
    with Path(source).open("rb") as file, replacing(target) as temporary, temporary.open("wb") as out:
        copy_bytes(file, out, start)
        file.seek(data)
        bar = Bar(rows, " impacts", progress)
        with bar, table_rows(out, header) as append:
            for first in range(0, rows, LANES):
                count = min(LANES, rows - first)
                block = np.frombuffer(file.read(count * kind.itemsize), kind)
                kept, tally = _deposit(block, medium, absorber, seed, first, forced, str(source))
                append(kept)
                counts += tally
                bar.update(count)
        file.seek(end)
        copy_bytes(file, out)
    return Filtered(*(int(n) for n in counts))


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


def _deposit(
    block: np.ndarray, medium: Medium, absorber: Absorber, seed: int, first: int, forced: bool, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of ``block`` that are left, with deposits; and (read, kept, missed, passed, partial, caught) (6,)."""
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
    if pixels is not None:
        wrong = np.flatnonzero((block[PIXEL] < FIRST_PIXEL) | (block[PIXEL] >= FIRST_PIXEL + pixels.count))
        if wrong.size:
            raise ValueError(
                f"{PIXEL} in {where!r} must be from {FIRST_PIXEL} to {FIRST_PIXEL + pixels.count - 1} for an array of "
                f"{pixels.rows} x {pixels.columns}, but row {first + wrong[0] + 1} has {block[PIXEL][wrong[0]]}"
            )
    on = (np.abs(x) <= 0.5 * float(absorber.width)) & (np.abs(y) <= 0.5 * float(absorber.length))
    pad = LANES - len(block)
    energies, xs, ys = (
        jnp.asarray(np.pad(values, (0, pad), mode="edge"), float)
        for values in (energy, np.where(on, x, 0.0), np.where(on, y, 0.0))
    )
    hit = None if pixels is None else jnp.asarray(np.pad(block[PIXEL].astype(np.int32) - FIRST_PIXEL, (0, pad)))
    impacts = Impacts(energies, xs, ys, words(first), hit, forced)
    events = listed(medium, impacts, seed, first, first + len(block), lanes=lanes_for(LANES))
    columns = rows_of(events, 0, pixels)
    impact = columns["photon_id"]
    own = np.diff(impact, prepend=-1) > 0  # the row of the pixel hit; the others are of neighbours
    kept = on[impact] & (~own | (np.isfinite(columns["x"]) & (columns["deposited"] > 0.0)))
    columns, impact, own = {name: column[kept] for name, column in columns.items()}, impact[kept], own[kept]
    rows = block[impact]
    lost = columns["loss_type"] > 0
    rows["ENERGY"][lost] = (columns["deposited"][lost] / 1e3).astype(rows["ENERGY"].dtype)
    if pixels is not None:
        rows[PIXEL][~own] = FIRST_PIXEL + columns["pixel"][~own]
        rows["U"][~own], rows["V"][~own] = (1e-6 * columns[name][~own] for name in ("x", "y"))
    partial = np.sum(own & lost & (columns["deposited"] < energy[impact]))
    tally = (len(block), own.sum(), (~on).sum(), on.sum() - own.sum(), partial, (~own).sum())
    return rows, np.array(tally, dtype=np.int64)
