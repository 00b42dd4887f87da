"""Work on other processes of this machine: they hang on pipes of the one that asks, and listen to nobody else."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain

import jax

from xcal_jax.compute.devices import AHEAD, Item, Result, in_order

DEATHS = 4  # of processes one after the other, without a result between them, until the work is given up
SETTINGS = ("jax_compilation_cache_dir", "jax_enable_x64")  # of JAX, that the processes take over
LATER = (signal.SIGINT, signal.SIGHUP)  # a terminal sends them to all its processes: the one that asks handles them


class Processes:
    """So many new processes that do the work of an `Executor`, with the settings of JAX of this one.

    They end when they are closed, and when this process dies.
    """

    def __init__(self, number: int) -> None:
        """Begin ``number`` processes."""
        self._number = number
        self._pool = self._begin()

    def _begin(self) -> ProcessPoolExecutor:
        settings = {name: jax.config.values[name] for name in SETTINGS}
        context = multiprocessing.get_context("spawn")  # JAX's threads do not survive a fork
        with _signals_wait():
            return ProcessPoolExecutor(self._number, context, _start, (settings,))

    def __call__(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
        """Yield ``work(item)`` of ``items`` in their order. ``work`` must be importable by its name.

        What a process was doing when it died is done again. Raises OSError where processes die one after the other.
        """
        left, unfinished, deaths = iter(items), deque[Item](), 0

        def submit(item: Item) -> Future[Result]:
            with _signals_wait():  # what begins here inherits it
                return self._pool.submit(work, item)

        def taken() -> Iterator[Item]:
            for item in left:
                unfinished.append(item)
                yield item

        while True:
            try:
                for result in in_order(submit, chain(tuple(unfinished), taken()), lambda: AHEAD * self._number):
                    unfinished.popleft()
                    deaths = 0
                    yield result
                return
            except BrokenProcessPool as problem:
                deaths += 1
                self.close()
                self._pool = self._begin()
                if deaths == DEATHS:
                    raise OSError(
                        "the processes died of the same work, one after the other (too little memory? a script "
                        'without `if __name__ == "__main__":`?)'
                    ) from problem

    def close(self) -> None:
        """End the processes, after what they are doing."""
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals of `LATER` arrive when the context has ended; processes that begin in it never see one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, LATER)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(settings: dict[str, str | bool | None]) -> None:
    """Prepare a new process: the settings of JAX, and an end with the one that asked for it."""
    for name, value in settings.items():
        jax.config.update(name, value)
    parent = multiprocessing.parent_process()

    def end() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
