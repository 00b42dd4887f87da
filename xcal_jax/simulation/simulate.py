"""The run: blocks of photons, one after the other, to a Dataset. Memory does not grow with the number of photons."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.compute.devices import Executor, in_parallel, local_devices
from xcal_jax.compute.progress import Bar
from xcal_jax.io.arguments import checked
from xcal_jax.io.checkpoint import SAVED_EVERY, Checkpoint
from xcal_jax.montecarlo.batch import Event
from xcal_jax.montecarlo.derivative import refuse_traced
from xcal_jax.montecarlo.tally import Tally
from xcal_jax.simulation.counting import MOST_PHOTONS, Prepared, Run, Task, count, sum_of
from xcal_jax.simulation.events import event_attrs, event_dataset, event_file, rows_of
from xcal_jax.simulation.results import to_dataset
from xcal_jax.simulation.trapping import Trapping, trapped
from xcal_jax.units import Quantity, parse_whole, shown_path

PIECES = 64  # of a run on a cluster, a task each, unless they came out too small or too large
SMALLEST_PIECE, LARGEST_PIECE = 2**17, 2**23  # photons


@checked
def simulate(
    absorber: Absorber | str | os.PathLike[str],
    source: Source | Quantity | Sequence[Quantity],
    n: int | float | str = 1_000_000,
    seed: int = 1,
    bin_width: Quantity = 1.0,
    yields: str = "eadl",
    lanes: int | None = None,
    progress: bool = False,
    on_events: Callable[[Event], None] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = True,
    executor: Executor = in_parallel,
    loss_above: Sequence[Quantity] | str | None = None,
    electrons: str | None = None,
    physics: str | None = None,
    events: str | os.PathLike[str] | None = None,
    trapping: str | Trapping | None = None,
    hand_back: bool = False,
    layer_spectra: bool = False,
) -> xr.Dataset:
    """Send ``n`` photons through ``absorber``: counts and spectrum as a Dataset (see `simulation.results`).

    absorber: an `Absorber`, the name of a preset, or a TOML file. source: a `Source`, or the energy of a line that
    illuminates the top uniformly, eV or with a unit. bin_width: eV. yields: fluorescence yields, "eadl" as in the
    paper or "krause" (M lines of Au and Bi 13 to 14 % weaker). electrons, physics: models in place of the absorber's.
    loss_above: eV, thresholds of the losses that are counted (default: `loss_thresholds`). events: a file, .nc or
    .fits, to make or replace, for a row of each photon (`events` hands rows back instead). trapping: a tail of the
    spectrum, after all else, such as "0.05:12eV"; not with events. layer_spectra: also count what interacting photons
    leave in each dead layer, as a spectrum.

    checkpoint: a folder that keeps what is done, written at most every 10 s, left to the caller to remove
    (`remove_checkpoint`); not with events. resume: go on from it if it is there, to the same counts; else it begins
    anew. An interruption (Ctrl-C) raises KeyboardInterrupt when the checkpoint is written; with ``hand_back`` it
    returns the blocks done so far, with ``attrs["complete"] = 0``.

    lanes: photons to a block; it changes speed and memory, never the result. progress: show a bar. on_events: called
    with each block's rows (see `batch.Event`). executor: who does the work, `in_parallel` or what `cluster.connect`
    yields; not with events. Raises ValueError where a number makes no sense, or the checkpoint is of another run;
    TypeError inside jit, grad or vmap.

    >>> result = simulate("xifu", "7 keV", n=100_000)
    >>> int(result.interacting), result.attrs["electrons"]
    (100000, 'range')
    """
    refuse_traced(absorber, source)
    absorber = Absorber.load(absorber, electrons, physics)
    tail = Trapping.build(trapping) if isinstance(trapping, str) else trapping
    if tail and (events is not None or on_events):
        raise ValueError("`trapping` and `events` exclude each other: events are deposits before trapping")
    if events is not None and on_events is not None:
        raise ValueError("`events` and `on_events` exclude each other")
    run = Run.build(
        absorber, source, seed, bin_width, yields, lanes, loss_above=loss_above, layer_spectra=layer_spectra
    )
    n = parse_whole(n, "n", least=1, most=MOST_PHOTONS)
    given = "events" if events is not None else "on_events" if on_events else None
    if checkpoint is not None and given:
        raise ValueError(f"`checkpoint` and `{given}` exclude each other: events handed on cannot be resumed")
    if executor is not in_parallel and given:
        raise ValueError(f"`{given}` needs photons counted in this process, not on a cluster")
    facts = run.facts()
    with closing(Checkpoint.open(checkpoint, resume)) as kept:
        all_interact = run.source.forced and not (absorber.rayleigh or absorber.dead)
        total, done = _resumed(kept, facts, n, all_interact)
        prepared, saved = Prepared.build(run), time.monotonic()
        piece = run.block * local_devices().size if executor is in_parallel else _piece(n)
        pieces = range(done, n, piece)
        tasks = (Task(run, first, min(first + piece, n)) for first in pieces)

        def save() -> None:
            nonlocal saved
            if total is not None:
                kept.save(facts, {"done": np.array(done), **total.arrays()})
            saved = time.monotonic()

        def count_with_events(task: Task) -> tuple[Tally, Event]:
            return count(task), prepared.events(task.first, task.stop)

        def add(stop: int, found: Any) -> None:
            nonlocal total, done
            if append is None:
                tally = found
            else:
                tally, rows = found
                append(rows)
            total = sum_of([tally] if total is None else [total, tally])
            done = stop
            if time.monotonic() - saved > SAVED_EVERY:
                save()

        about = event_attrs(absorber, run.source, run.seed)
        with (
            nullcontext(on_events) if events is None else event_file(events, about, n) as append,
            ThreadPoolExecutor(1) as clerk,  # an interruption reaches the main thread alone: a block is counted whole
            closing(executor(count if append is None else count_with_events, tasks)) as results,
            Bar(n, " photons", progress, done) as bar,
        ):
            try:
                for first, found in zip(pieces, results, strict=True):
                    clerk.submit(add, min(first + piece, n), found).result()
                    bar.update(done - bar.n)
            except (KeyboardInterrupt, OSError) as problem:
                clerk.shutdown()
                save()
                if isinstance(problem, OSError) or not hand_back:  # OSError: of the cluster
                    raise
    if total is None:
        raise KeyboardInterrupt
    result = to_dataset(prepared, total, photons=done, asked=n)
    return trapped(result, tail) if tail else result


@checked
def events(
    absorber: Absorber | str | os.PathLike[str],
    source: Source | Quantity | Sequence[Quantity],
    n: int | float | str = 100_000,
    seed: int = 1,
    yields: str = "eadl",
    electrons: str | None = None,
    physics: str | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Events of ``n`` photons in memory, as a Dataset over `photon`: energy, deposit, loss type, first interaction.

    Arguments, errors and photons are those of `simulate`, whose ``events="events.nc"`` writes lists of any length. The
    columns stand in `events.COLUMNS`; `.to_dataframe()` makes them a table of pandas.

    >>> rows = events("xifu", "7 keV", n=1000)
    >>> rows.sizes["photon"], float(rows.deposited.max()), rows.deposited.attrs["units"]
    (1000, 7000.0, 'eV')
    """
    target, beam = Absorber.load(absorber, electrons, physics), Source.of(source)
    blocks: list[dict[str, np.ndarray]] = []
    done = 0

    def keep(block: Event) -> None:
        nonlocal done
        blocks.append(rows_of(block, done, target.array))
        done += len(block.energy)

    simulate(target, beam, n, seed, yields=yields, progress=progress, on_events=keep)
    return event_dataset(blocks, target, beam, seed)


def _piece(n: int) -> int:
    """Photons to a task of a cluster: whole blocks of a CPU, a few seconds of one core at most."""
    blocks = -(-n // (PIECES * SMALLEST_PIECE))
    return min(LARGEST_PIECE, blocks * SMALLEST_PIECE)


def _resumed(kept: Checkpoint, facts: dict[str, str], n: int, all_interact: bool) -> tuple[Tally | None, int]:
    """The tally that a checkpoint holds, and of how many photons it is."""
    arrays: dict[str, Any] = kept.load(facts)
    if not arrays:
        return None, 0
    done, total = int(arrays.pop("done")), Tally.from_arrays(arrays)
    if done > n:
        raise ValueError(f"checkpoint {shown_path(kept.path)} holds {done} photons, more than `n`, which is {n}")
    counted = int(total.interacting)
    if total.spectrum.sum() != counted or not (counted == done if all_interact else 0 <= counted <= done):
        raise ValueError(f"counts of checkpoint {shown_path(kept.path)} do not add up: remove it to start anew")
    return total, done
