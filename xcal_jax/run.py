"""The run: blocks of photons, one after the other, to a Dataset. Memory does not grow with the number of photons."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.batch import Event
from xcal_jax.absorber.source import Source
from xcal_jax.absorber.tally import Tally
from xcal_jax.checkpoint import SAVED_EVERY, load_checkpoint, save_checkpoint
from xcal_jax.counting import Prepared, Run, sum_of, whole
from xcal_jax.files import check_writable
from xcal_jax.parallel import in_parallel
from xcal_jax.response.results import to_dataset

MOST_PHOTONS = 10**13


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
    checkpoint: str | os.PathLike | None = None,
    resume: bool = True,
) -> xr.Dataset:
    """Send ``n`` photons through ``absorber``: counts and spectrum as a Dataset (see `response.results`).

    source: a `Source`, or the energy in eV of a line that illuminates the top uniformly. bin_width: eV. yields:
    fluorescence yields, "eadl" as in the paper or "krause" (M lines of Au and Bi 13 to 14 % weaker). lanes:
    photons to a block; it changes speed and memory, never the result. progress: show a bar. on_events: called
    with each block's rows (see `batch.Event`). checkpoint: a file that keeps what is done, written at most every
    10 s, left to the caller to remove; not with ``on_events``. resume: go on from it if it is there, to the same
    counts. An interruption (Ctrl-C) returns the blocks done so far, with ``attrs["complete"] = 0``. Raises
    ValueError where a number makes no sense, or the checkpoint is of another run.
    """
    run = Run.build(absorber, source, seed, bin_width, yields, lanes)
    n = whole(n, "n", 1, MOST_PHOTONS)
    if checkpoint is not None and on_events is not None:
        raise ValueError("`checkpoint` and `on_events` exclude each other: events handed on cannot be resumed")
    if checkpoint is not None:
        check_writable(checkpoint)
    facts = run.facts()
    total, done = _resumed(checkpoint, facts, n) if checkpoint and resume else (None, 0)
    prepared = Prepared.build(run)
    saved = time.monotonic()

    def count(first: int) -> tuple[int, Tally, Event | None]:
        stop = min(first + run.block, n)
        return stop, prepared.tally(first, stop), prepared.events(first, stop) if on_events else None

    def add(stop: int, tally: Tally, events: Event | None) -> None:
        nonlocal total, done, saved
        if on_events and events is not None:
            on_events(events)
        total = sum_of([tally] if total is None else [total, tally])
        done = stop
        if checkpoint and time.monotonic() - saved > SAVED_EVERY:
            _save(checkpoint, facts, total, done)
            saved = time.monotonic()

    with (
        ThreadPoolExecutor(1) as clerk,  # an interruption reaches the main thread alone: a block is counted whole
        closing(in_parallel(count, range(done, n, run.block))) as blocks,
        tqdm(total=n, initial=done, unit=" photons", unit_scale=True, disable=None if progress else True) as bar,
    ):
        try:
            for block in blocks:
                clerk.submit(add, *block).result()
                bar.update(done - bar.n)
        except KeyboardInterrupt:
            clerk.shutdown()
            if checkpoint and total is not None:
                _save(checkpoint, facts, total, done)
    if total is None:
        raise KeyboardInterrupt
    return to_dataset(
        absorber,
        run.source,
        prepared.matter,
        total,
        prepared.probability,
        photons=done,
        asked=n,
        seed=run.seed,
        bin_width=bin_width,
        yields=yields,
    )


def _save(checkpoint, facts: dict[str, str], total: Tally, done: int) -> None:
    save_checkpoint(checkpoint, facts, {"done": np.array(done), **vars(total)})


def _resumed(checkpoint, facts: dict[str, str], n: int) -> tuple[Tally | None, int]:
    arrays: dict[str, Any] = load_checkpoint(checkpoint, facts)
    if not arrays:
        return None, 0
    done = int(arrays.pop("done"))
    if done > n:
        raise ValueError(f"checkpoint {str(checkpoint)!r} holds {done} photons, more than `n`, which is {n}")
    return Tally(**arrays), done
