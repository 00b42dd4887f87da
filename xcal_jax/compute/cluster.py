"""Who does the work: threads, processes of this machine, or through Dask other machines. Tasks in, results in order.

A task that was on a worker when it died is done again by another. Results are the same bits, since a photon's random
numbers are its own. `counting.count` checks that a worker has the same physics and tables.
"""

import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from xcal_jax.compute.devices import AHEAD, Executor, Item, Result, in_order, in_parallel
from xcal_jax.compute.processes import Processes
from xcal_jax.units import shown

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security

LEAST_AHEAD = 16  # tasks that wait, so that a cluster that grows with its work sees some
CONNECTING = 10.0  # s


def in_cluster(
    client: "Client", work: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[Result, None, None]:
    """Yield ``work(item)`` of ``items`` in their order, done by the workers of ``client``.

    Closing the generator cancels what is not done. Raises OSError where workers die of one task again and again, or
    the scheduler is gone.
    """
    from distributed import CancelledError, KilledWorker

    submit = partial(client.submit, work, pure=False)
    try:
        yield from in_order(submit, items, lambda: max(LEAST_AHEAD, AHEAD * sum(client.nthreads().values())))
    except KilledWorker as problem:
        raise OSError(
            "the cluster's workers died of the same work, one after the other (too little memory?)"
        ) from problem
    except (CancelledError, TimeoutError) as problem:
        raise OSError("the cluster's scheduler is gone") from problem


@contextmanager
def connect(
    scheduler: str | None = None,
    workers: int | None = None,
    certificates: Sequence[str | os.PathLike[str]] | None = None,
) -> Iterator[Executor]:
    """Yield an executor: the Dask cluster of the ``scheduler`` at an address, or ``workers`` new processes of this
    machine, which end with the context; the threads of this process if neither is given.

    certificates: PEM files, of the authority, of this process, and its key, for a scheduler at tls://. Whoever runs a
    scheduler can run anything as the user who connects: it must be trusted. Raises ValueError where both are given,
    certificates cannot be used, Dask is not installed, or no scheduler answers.
    """
    if certificates is not None and not (scheduler and scheduler.startswith("tls://")):
        raise ValueError(f"`certificates` need a `scheduler` at tls://, but it is {scheduler!r}")
    if scheduler is not None and workers is not None:
        raise ValueError("`scheduler` and `workers` exclude each other")
    if workers is not None:
        if not 1 <= workers <= 1024:
            raise ValueError(f"`workers` must be from 1 to 1024, but is {workers}")
        with closing(Processes(workers)) as processes:
            yield processes
        return
    if scheduler is None:
        yield in_parallel
        return
    try:
        from distributed import Client
    except ImportError as problem:
        raise ValueError("work on a cluster needs Dask: pip install 'xcal-jax[cluster]'") from problem
    if not re.fullmatch(r"(\w+://)?([\w.-]+|\[[\da-fA-F:]+\]):\d+", scheduler):
        rule = "it must be an address like tls://host:8786"
        raise ValueError(f"no Dask scheduler answers at {shown(scheduler)}: {rule}")
    try:
        client = Client(scheduler, timeout=CONNECTING, set_as_default=False, security=_security(certificates))
    except (OSError, ValueError, TypeError) as problem:
        raise ValueError(f"no Dask scheduler answers at {scheduler!r}: {problem}") from problem
    with client:
        yield partial(in_cluster, client)


def _security(certificates: Sequence[str | os.PathLike[str]] | None) -> "Security | None":
    """Dask's form of ``certificates``; None, with which it looks into its own configuration, without any."""
    from distributed.security import Security

    if certificates is None:
        return None
    if len(certificates) != 3 or not all(os.path.isfile(file) for file in certificates):
        names = ", ".join(map(str, certificates))
        raise ValueError(
            f"`certificates` must be three files, of authority, certificate and key, but are {shown(names)}"
        )
    authority, own, key = map(str, certificates)
    return Security(tls_ca_file=authority, tls_client_cert=own, tls_client_key=key, require_encryption=True)
