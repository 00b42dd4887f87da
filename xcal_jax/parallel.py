"""Work on all devices of this process, several pieces at a time, results in their order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from typing import TypeVar

import jax
import jax.numpy as jnp

AHEAD = 2  # pieces that wait for the device while others are counted on the host


Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """Yield ``work(item)`` of ``items`` in their order, one to each processor at a time, a few ahead of the reader.

    Items go to this process's devices in turn, or all to the caller's `jax.default_device`. Closing the generator
    cancels what has not begun, and waits for the rest.
    """
    double = jnp.result_type(float) == jnp.float64  # a caller's `with jax.enable_x64()` does not reach other threads
    chosen = jax.config.jax_default_device  # type: ignore[attr-defined]
    devices = jax.local_devices() if chosen is None else [chosen]

    def run(item: Item, device) -> Result:
        with jax.enable_x64(double), jax.default_device(device):
            return work(item)

    workers = (os.cpu_count() or 1) if jax.default_backend() == "cpu" else AHEAD * len(devices)
    left = zip(items, cycle(devices), strict=False)
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque(pool.submit(run, *task) for task in islice(left, workers + AHEAD))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(run, *task) for task in islice(left, 1))
                yield result
        finally:
            pool.shutdown(cancel_futures=True)
