"""Work on all devices of this process, several pieces at a time, results in their order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

AHEAD = 2  # pieces that wait for the devices while others are counted on the host
DEVICE = "device"


@dataclass(frozen=True)
class Packing:
    """How many lanes of a batch work at a time, and for how long until they are packed anew. No count depends on it.

    block: photons to a block of a device. One in so many works at a time: of a block's photons become ``histories``, of
    histories relax or fly (``steps``) or put electrons into the bank (``banked``), of electrons move (``tracks``).
    transitions: of an ion, and flights: of an electron, before other lanes take the places of those that have ended.
    points: lanes of the weighted estimators that step together.
    The time of a CPU goes with the lanes that work: they are few, and packed often. That of a GPU goes with the number
    of kernels that it starts, some 5 us each: they are many (`analysis/benchmarks/gpu.py`, H200, 2026-11-27).
    """

    block: int
    histories: int
    steps: int
    banked: int
    tracks: int
    transitions: int
    flights: int
    points: int


CPU = Packing(block=2**18, histories=16, steps=16, banked=16, tracks=128, transitions=3, flights=3, points=256)
GPU = Packing(block=2**24, histories=8, steps=1, banked=1, tracks=8, transitions=12, flights=8, points=2**12)

Item = TypeVar("Item")
Result = TypeVar("Result")
Executor = Callable[[Callable[..., Any], Iterable[Any]], Generator[Any, None, None]]
"""Who does the work: a function of (work, items) that yields ``work(item)`` in the order of ``items``."""


def local_devices() -> Mesh:
    """The D devices that work is shared among: this process's, or the caller's `jax.default_device` alone."""
    chosen = jax.config.jax_default_device  # type: ignore[attr-defined]
    return Mesh(np.array(jax.local_devices() if chosen is None else [chosen]), (DEVICE,))


def packing() -> Packing:
    """How the lanes of `local_devices` are packed."""
    return CPU if local_devices().devices.flat[0].platform == "cpu" else GPU


def on_each(program: Callable[..., Any], mesh: Mesh) -> Callable[[tuple[Any, ...], tuple[Any, ...]], Any]:
    """``program`` for one device, on every device of ``mesh``: a function of (shared, own), two tuples of arguments.

    Arrays of ``own`` have a row for each device, (D, ...), and so have the results.
    """

    def one(shared: tuple[Any, ...], own: tuple[Any, ...]) -> Any:
        result = program(*shared, *jax.tree.map(lambda rows: rows[0], own))
        return jax.tree.map(lambda row: row[None], result)

    shares = PartitionSpec(DEVICE)
    return jax.shard_map(one, mesh=mesh, in_specs=(PartitionSpec(), shares), out_specs=shares, check_vma=False)


def in_order(
    submit: Callable[[Item], Any], items: Iterable[Item], ahead: Callable[[], int]
) -> Generator[Any, None, None]:
    """Yield the results of ``submit(item)``, a future, in the order of ``items``.

    ahead: how many futures are to be under way at once, asked anew before each result. Closing the generator cancels
    what has not begun.
    """
    left = iter(items)
    waiting: deque[Any] = deque()
    try:
        while True:
            waiting.extend(map(submit, islice(left, max(0, ahead() - len(waiting)))))
            if not waiting:
                return
            result = waiting[0].result()
            waiting.popleft()
            yield result
    finally:
        for future in waiting:
            future.cancel()


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """Yield ``work(item)`` of ``items`` in their order, several at a time, in threads of this process.

    On a CPU one to each core; else as many as keep the devices at work. Closing the generator cancels what has not
    begun, and waits for the rest.
    """
    double = jnp.result_type(float) == jnp.float64  # what a caller chose with `with` does not reach other threads
    chosen = jax.config.jax_default_device  # type: ignore[attr-defined]

    def run(item: Item) -> Result:
        with jax.enable_x64(double), jax.default_device(chosen):
            return work(item)

    workers = (os.cpu_count() or 1) if jax.default_backend() == "cpu" else AHEAD
    with ThreadPoolExecutor(workers) as pool:
        yield from in_order(lambda item: pool.submit(run, item), items, lambda: workers + AHEAD)
