"""Work on other processes and machines, through Dask: tasks in, results in their order, as `in_parallel` has it.

A task that was on a worker when it died is done again by another. Results are the same bits, since a photon's random
numbers are its own; that workers have our version and tables is checked by `counting.count`.
"""

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from xcal_jax.compute.devices import AHEAD, Item, Result, in_parallel

if TYPE_CHECKING:
    from distributed import Client

LEAST_AHEAD = 16  # tasks that wait, so that a cluster that grows with its work sees some
CONNECTING = 10.0  # s


def in_cluster(
    client: "Client", work: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[Result, None, None]:
    """Yield ``work(item)`` of ``items`` in their order, done by the workers of ``client``.

    Closing the generator cancels what is not done.
    """
    left = iter(items)
    waiting: deque[Any] = deque()
    try:
        while True:
            wanted = max(LEAST_AHEAD, AHEAD * sum(client.nthreads().values())) - len(waiting)
            waiting.extend(client.submit(work, item, pure=False) for item in islice(left, max(wanted, 0)))
            if not waiting:
                return
            result = waiting[0].result()
            waiting.popleft()
            yield result
    finally:
        client.cancel(list(waiting))


@contextmanager
def spreading(scheduler: str | None = None, workers: int | None = None) -> Iterator[Callable]:
    """Yield who does the work: `in_cluster` of the ``scheduler`` at an address, or of so many ``workers``, processes
    of this machine that end with us; `in_parallel` if neither is given.

    Raises ValueError where both are, Dask is not installed, or no scheduler answers.
    """
    if scheduler is None and workers is None:
        yield in_parallel
        return
    if scheduler is not None and workers is not None:
        raise ValueError("`scheduler` and `workers` exclude each other")
    if workers is not None and not 1 <= workers <= 1024:
        raise ValueError(f"`workers` must be from 1 to 1024, but is {workers}")
    try:
        from distributed import Client, LocalCluster
    except ImportError as problem:
        raise ValueError("work on a cluster needs Dask: pip install 'xcal-jax[cluster]'") from problem
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=CONNECTING, set_as_default=False)
        except (OSError, ValueError, TypeError) as problem:
            raise ValueError(f"no Dask scheduler answers at {scheduler!r}: {problem}") from problem
        with client:
            yield partial(in_cluster, client)
        return
    import jax

    kept = jax.config.values["jax_compilation_cache_dir"]
    with _deaf_to_interruptions():
        local = LocalCluster(
            n_workers=workers,
            threads_per_worker=max(1, (os.cpu_count() or 1) // (workers or 1)),
            processes=True,
            dashboard_address=":0",
            silence_logs=logging.ERROR,
            env={"JAX_COMPILATION_CACHE_DIR": kept} if kept else None,
        )
    with local, Client(local, set_as_default=False) as client:
        yield partial(in_cluster, client)


@contextmanager
def _deaf_to_interruptions() -> Iterator[None]:
    """Processes begun here leave Ctrl-C, which a terminal sends to all, to the one that asks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
