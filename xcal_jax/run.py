"""The run: blocks of photons, one after the other, to a Dataset. Memory does not grow with the number of photons."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from math import isfinite

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from tqdm import tqdm

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.batch import Event, run_block, run_events
from xcal_jax.absorber.matter import Matter
from xcal_jax.absorber.random import words
from xcal_jax.absorber.source import Source, given_interaction
from xcal_jax.absorber.tally import Tally
from xcal_jax.absorber.transport import Medium
from xcal_jax.parallel import in_parallel
from xcal_jax.response.results import bins_up_to, to_dataset

LANES = {"cpu": 2**17, "gpu": 2**22}
LEAST_LANES = 1024  # so that a share of them is still whole words of 32
MOST_PHOTONS = 10**13
MOST_BINS = 2**24
BINS = 2**14  # spectra are padded to a multiple, so that one compiled program serves many energies


def simulate(
    absorber: Absorber,
    source: Source | float,
    n: int = 1_000_000,
    seed: int = 1,
    bin_width: float = 1.0,
    yields: str = "eadl",
    lanes: int | None = None,
    progress: bool = False,
    on_events: Callable[[Event], None] | None = None,
) -> xr.Dataset:
    """Send ``n`` photons through ``absorber``: counts and spectrum as a Dataset (see `response.results`).

    source: a `Source`, or the energy in eV of a line that illuminates the top uniformly. bin_width: eV. yields:
    fluorescence yields, "eadl" as in the paper or "krause" (M lines of Au and Bi 13 to 14 % weaker). lanes:
    photons to a block; it changes speed and memory, never the result. progress: show a bar. on_events: called
    with each block's rows (see `batch.Event`). An interruption (Ctrl-C) returns the blocks done so far, with
    ``attrs["complete"] = 0``. Raises ValueError where a number makes no sense.
    """
    if not isinstance(source, Source):
        source = Source.build(source)
    source.check_fits(absorber)
    n, seed = _whole(n, "n", 1, MOST_PHOTONS), _whole(seed, "seed", 0, 2**64 - 1)
    bins = _bins(bin_width, source.highest_energy)
    matter = Matter.build(absorber, yields)
    drawn, probability = source, 1.0
    if source.forced:
        slant = abs(float(source.direction.z))
        drawn, probability = given_interaction(
            source, matter.attenuation.energy, matter.optical_depth(absorber) / slant
        )
    medium, drawn = jax.tree.map(jnp.asarray, (Medium(absorber.stack, absorber.density, matter), drawn))
    lanes = LANES.get(jax.default_backend(), LANES["gpu"]) if lanes is None else _whole(lanes, "lanes", 1, 2**26)
    if lanes % LEAST_LANES:
        raise ValueError(f"`lanes` must be a multiple of {LEAST_LANES}, but is {lanes}")

    def run(first: int) -> tuple[int, Tally, Event | None]:
        count = min(lanes, n - first)
        block = (medium, drawn, words(seed), words(first), jnp.int32(count))
        tally = run_block(*block, jnp.asarray(bin_width, float), lanes=lanes, bins=bins)
        events = run_events(*block, lanes=lanes) if on_events is not None else None
        return count, *jax.block_until_ready((tally, events))

    total = None
    done = 0

    def count_block(count: int, tally: Tally, events: Event | None) -> None:
        nonlocal total, done
        if on_events is not None:
            on_events(jax.tree.map(lambda column: np.asarray(column)[:count], events))
        tally = jax.tree.map(lambda field: np.asarray(field, dtype=np.int64), tally)
        total = tally if total is None else jax.tree.map(np.add, total, tally)
        done += count

    with (
        ThreadPoolExecutor(1) as clerk,  # an interruption reaches the main thread alone: a block is counted whole
        closing(in_parallel(run, range(0, n, lanes))) as blocks,
        tqdm(total=n, unit=" photons", unit_scale=True, disable=None if progress else True) as bar,
    ):
        try:
            for block in blocks:
                clerk.submit(count_block, *block).result()
                bar.update(block[0])
        except KeyboardInterrupt:
            clerk.shutdown()
    if total is None:
        raise KeyboardInterrupt
    _check(total)
    return to_dataset(
        absorber,
        source,
        matter,
        total,
        probability,
        photons=done,
        asked=n,
        seed=seed,
        bin_width=bin_width,
        yields=yields,
    )


def _check(tally: Tally) -> None:
    if tally.overflow or tally.unbalanced:
        raise RuntimeError(
            f"{int(tally.overflow)} histories ran out of their counters and {int(tally.unbalanced)} did not balance: "
            "this is a fault of the program, not of the input"
        )


def _whole(value, name: str, least: int, most: int) -> int:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not isfinite(value) or int(value) != value:
        raise ValueError(f"`{name}` must be a whole number, but is {value!r}")
    if not least <= value <= most:
        raise ValueError(f"`{name}` must be at least {least} and at most {most:.6g}, but is {int(value)}")
    return int(value)


def _bins(bin_width: float, highest: float) -> int:
    if not (isfinite(bin_width) and bin_width > 0):
        raise ValueError(f"`bin_width` must be positive and finite, but is {bin_width} eV")
    bins = bins_up_to(highest, bin_width)
    if bins > MOST_BINS:
        raise ValueError(
            f"`bin_width` must leave at most {MOST_BINS} bins below {highest:g} eV, but is {bin_width:g} eV"
        )
    return -(-bins // BINS) * BINS
