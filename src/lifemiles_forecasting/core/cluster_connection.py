"""The connection to a Dask scheduler, and what has been sent to its workers."""

from __future__ import annotations

import asyncio
import atexit
import logging
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core.cluster_worker import (
    Call,
    equipment,
    on_worker,
    refuse_unlike,
    software,
    wanted,
)
from lifemiles_forecasting.core.errors import ClusterError, ConfigError

if TYPE_CHECKING:
    from distributed import Client, Future

REACH_SECONDS = 10.0  # that the scheduler may take to answer, at first and after it was away
WORKER_SECONDS = 60.0  # that a scheduler may be without any worker
MOST_TRIES = 10  # to have something done by a scheduler that answers


class Connection:
    """A connection to a scheduler, with what has been sent to its workers.

    Args:
        address: of the scheduler.

    Raises:
        ConfigError: the package `distributed` is not installed.
        ClusterError: no scheduler answers there.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = _client(address)
        self._held: dict[int, Future] = {}  # by the identity of what was sent

    @property
    def open(self) -> bool:
        """Whether it can still be used."""
        return self._client.status in {"running", "connecting"}

    def workers(self) -> int:
        """How many there are."""
        return len(self._ask(self._client.nthreads))

    def check(self) -> None:
        """Make sure that there are workers, and that each would compute what this process does.

        The scheduler reads what is sent through it, so it needs the same software.

        Raises:
            ClusterError: there is none, or one has other versions or several threads.
        """
        self.demand_workers()
        try:
            found = self._client.run_on_scheduler(software)
        except ImportError as error:
            found = error
        refuse_unlike("scheduler", self._address, found, software())
        workers = self._ask(self._client.run, equipment, on_error="return")
        for worker in sorted(workers):
            refuse_unlike("worker", worker, workers[worker], wanted())

    def demand_workers(self) -> None:
        """Wait for a worker, should there be none.

        Raises:
            ClusterError: there is none for long, or the scheduler has gone.
        """
        try:
            self._client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError:
            raise ClusterError(
                f"no worker of the Dask scheduler {self._address} for {WORKER_SECONDS:g} s",
                "at least one",
                f"Start it with `dask worker {self._address} --nthreads 1`",
            ) from None
        except Exception as error:  # of many kinds, by what it was doing
            if self.open:  # it is reached for again
                return
            raise ClusterError(
                f"that the Dask scheduler {self._address} has gone away",
                "it until the end of the run",
                "Start it, its workers and the run again: finished fits are taken as they are",
            ) from error

    def _ask(self, question: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Ask the scheduler, and once more whenever it has been away for a while."""
        for _ in range(MOST_TRIES):
            try:
                return question(*args, **options)
            except OSError as error:
                why = error
                self.demand_workers()
        raise ClusterError(
            f"that the Dask scheduler {self._address} does not do what it is asked ({why})",
            "it to answer, and its workers to be reached from where it runs",
        )

    def send(self, call: Call, values: list, ring: Callable[[Future], None]) -> Future:
        """Have a task done.

        Args:
            call: the task.
            values: its large arguments.
            ring: called when there is news of it.
        """
        large = [self._sent(value) for value in values]
        future = self._client.submit(on_worker, call, *large, pure=False)
        future.add_done_callback(ring)
        return future

    def cancel(self, futures: list[Future]) -> None:
        """Let tasks be that nobody waits for any more."""
        if futures and self._client.status == "running":
            self._client.cancel(futures)

    def _sent(self, value: Any) -> Future:
        """Where the cluster has a value; it goes there once, unless it is lost."""
        held = self._held.get(id(value))
        if held is not None and held.status == "finished":
            return held
        if held is None:  # as long as the value is in use here, the cluster keeps it
            weakref.finalize(value, self._held.pop, id(value), None).atexit = False
        self._held[id(value)] = self._ask(self._client.scatter, value, hash=False)
        return self._held[id(value)]


_connections: dict[str, Connection] = {}


def connection(address: str) -> Connection:
    """The connection of this process, so that the fits of a run send what is large only once.

    Raises:
        ConfigError: the package `distributed` is not installed.
        ClusterError: no scheduler answers there.
    """
    known = _connections.get(address)
    if known is None or not known.open:
        known = _connections[address] = Connection(address)
    return known


def _client(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            f"modeling.scheduler = {address!r} without the package distributed",
            "it to be installed, here and where the workers run",
            "pip install 'lifemiles-forecasting[cluster]'",
        ) from None
    # a connection that is lost is told by our errors, not by tracebacks in the log
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        with ThreadPoolExecutor(1) as aside:  # a notebook has a loop of its own in this thread
            aside.submit(asyncio.run, _shake_hands(address)).result()
    except Exception as error:  # of many kinds: nobody listens, another protocol, no certificate
        raise ClusterError(
            f"no Dask scheduler that answers at {address} ({str(error) or type(error).__name__})",
            f"one within {REACH_SECONDS:g} s",
            "Start it with `dask scheduler`, or train on this machine: modeling.scheduler=null",
        ) from error
    client = Client(address, timeout=REACH_SECONDS, set_as_default=False)
    atexit.register(client.close)
    return client


async def _shake_hands(address: str) -> None:
    """Make sure that a scheduler answers; a `Client` waits forever for a server of another kind."""
    from distributed.comm import connect
    from distributed.security import Security

    options = Security().get_connection_args("client")
    reached = connect(address, timeout=REACH_SECONDS, **options)
    comm = await asyncio.wait_for(reached, REACH_SECONDS)
    await comm.close()
