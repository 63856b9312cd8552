"""Tasks on the workers of a Dask cluster, as `core.parallel` does them on local processes.

A worker does its tasks as a run with one local process would: what `Isolation` divides goes into a
process of its own, so a store that hangs or crashes costs itself and no worker. What is large goes
to the cluster once, and workers hand it to each other. Results come back to this process, which
keeps them: workers need no folder in common with it.

Needs the package `distributed`, which is an extra (`cluster`).
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import multiprocessing
import platform
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import version
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from lifemiles_forecasting.core.errors import ClusterError, ConfigError
from lifemiles_forecasting.core.parallel import Alone, Isolation, here
from lifemiles_forecasting.core.software import versions

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

REACH_SECONDS = 10.0  # that the scheduler may take to answer, at first and after it was away
WORKER_SECONDS = 60.0  # that a scheduler may be without any worker
LOOK_SECONDS = 5.0  # between looks at whether there still are workers
LARGE = 1_000_000  # bytes from which on an argument goes to the cluster once, not with every task
AHEAD = 3  # tasks for every worker that are with the scheduler: it holds what is in them
THREADS = "threads"
MOST_LOSSES = 10  # times that a task is sent again because what it needs was lost with a worker


@dataclass(frozen=True)
class _Call:
    """A task as it is sent; a class of ours, because Dask looks into lists and tuples.

    Attributes:
        function: of the task.
        task: its arguments, None in the place of large ones.
        large: the places of those.
        isolation: how to go on when the task takes its process down.
        expected: what a worker must have, by name.
    """

    function: Callable[..., Any]
    task: tuple
    large: tuple[int, ...]
    isolation: Isolation | None
    expected: Mapping[str, str]

    def filled(self, values: tuple) -> tuple:
        """The arguments with the large ones in their places."""
        given = dict(zip(self.large, values, strict=True))
        return tuple(given.get(place, value) for place, value in enumerate(self.task))


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

        Raises:
            ClusterError: there is none, or one has other versions or several threads.
        """
        self.demand_workers()
        found = self._ask(self._client.run, _equipment, on_error="return")
        for worker in sorted(found):
            _refuse_unlike(worker, found[worker], _wanted())

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
        for _ in range(MOST_LOSSES):
            try:
                return question(*args, **options)
            except OSError as error:
                why = error
                self.demand_workers()
        raise ClusterError(
            f"that the Dask scheduler {self._address} does not do what it is asked ({why})",
            "it to answer, and its workers to be reached from where it runs",
        )

    def send(self, call: _Call, values: list, ring: Callable[[Future], None]) -> Future:
        """Have a task done.

        Args:
            call: the task.
            values: its large arguments.
            ring: called when there is news of it.
        """
        large = [self._sent(value) for value in values]
        future = self._client.submit(_on_worker, call, *large, pure=False)
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


def as_finished(
    function: Callable[..., Any],
    tasks: Mapping[int, tuple],
    scheduler: str,
    isolation: Isolation | None,
) -> Iterator[tuple[int, Any]]:
    """Number and result of each task, in whatever order they are finished.

    What was on a worker that is lost is done by another one. A task that takes one worker down
    after another is done here, one part at a time in a process of its own.

    Args:
        function: importable by name, on the workers too.
        tasks: argument tuples by number.
        scheduler: address of the Dask scheduler.
        isolation: how to go on when a task takes its process down; None lets the run end.

    Raises:
        ClusterError: the cluster cannot be used, or has gone away.
    """
    cluster = connection(scheduler)
    cluster.check()
    work = _Work(cluster, function, tasks, isolation)
    try:
        yield from work.finished()
    finally:
        work.close()


class _Work:
    """Tasks of which some are with the cluster, and the others wait for their turn."""

    def __init__(
        self,
        cluster: Connection,
        function: Callable[..., Any],
        tasks: Mapping[int, tuple],
        isolation: Isolation | None,
    ) -> None:
        self._cluster, self._function, self._tasks = cluster, function, tasks
        self._isolation = isolation
        self._waiting, self._sent = deque(tasks), {}
        self._losses: Counter[int] = Counter()
        self._news: SimpleQueue[Future] = SimpleQueue()

    def close(self) -> None:
        """Let the cluster leave what it has not done."""
        self._cluster.cancel(list(self._sent.values()))

    def finished(self) -> Iterator[tuple[int, Any]]:
        """Number and result of each task."""
        while self._waiting or self._sent:
            while self._waiting and len(self._sent) < AHEAD * max(self._cluster.workers(), 1):
                self._send(self._waiting.popleft())
            for number in self._settled():
                future = self._sent.pop(number)
                if future.status == "error":
                    yield number, self._killer(number, future.exception())
                elif (result := _result(future)) is not None:
                    yield number, result[0]
                else:
                    self._send_again(number)

    def _send(self, number: int) -> None:
        task = self._tasks[number]
        large = tuple(place for place, value in enumerate(task) if _bytes(value) >= LARGE)
        small = tuple(None if place in large else value for place, value in enumerate(task))
        call = _Call(self._function, small, large, self._isolation, _wanted())
        values = [task[place] for place in large]
        self._sent[number] = self._cluster.send(call, values, self._news.put)

    def _send_again(self, number: int) -> None:
        """Have a task done once more; a worker was lost with its result, or with what it needs."""
        self._losses[number] += 1
        if self._losses[number] > MOST_LOSSES:
            raise ClusterError(
                f"that what a task needs was lost with its workers {MOST_LOSSES} times",
                "workers that stay",
                "Look at their logs: memory is what they most often lack",
            )
        self._waiting.appendleft(number)

    def _settled(self) -> list[int]:
        """The tasks that are finished, failed or lost; waits until there are some."""
        while True:
            settled = [number for number, sent in self._sent.items() if sent.status != "pending"]
            if settled:
                return settled
            try:
                self._news.get(timeout=LOOK_SECONDS)
            except Empty:  # of what is lost there may be no news
                self._cluster.demand_workers()

    def _killer(self, number: int, error: Exception) -> list:
        """The result of a task that took one worker after another down."""
        from distributed import KilledWorker

        if self._isolation is None or not isinstance(error, KilledWorker):
            raise error
        with closing(Alone(self._function, self._isolation)) as alone:
            return alone.divided(self._tasks[number])


def _result(future: Future) -> tuple[Any] | None:
    """The result of a task, in a tuple; None if it was lost with its worker."""
    from distributed import CancelledError

    if future.status != "finished":
        return None
    try:
        return (future.result(timeout=WORKER_SECONDS),)
    except (CancelledError, TimeoutError):
        return None


def _bytes(value: Any) -> int:
    """Of the arrays that an argument is made of."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if is_dataclass(value):
        return sum(_bytes(getattr(value, item.name)) for item in fields(value))
    return 0


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


# --- on a worker


def _on_worker(call: _Call, *large: Any) -> Any:
    """Do a task in a worker, the way `core.parallel` does it with one local process."""
    from distributed import get_worker

    worker = get_worker()  # one that came late has been checked by nobody
    _refuse_unlike(worker.address, _equipment(worker), call.expected)
    task = call.filled(large)
    if call.isolation is not None and call.isolation.parts(task):
        return _apart(call.function, call.isolation).whole(task)
    return here(call.function, task)


@cache
def _apart(function: Callable[..., Any], isolation: Isolation) -> Alone:
    """The process beside this worker, which lives as long."""
    # a worker that has a nanny is a daemon, which Python allows no processes of its own
    multiprocessing.current_process().daemon = False
    return Alone(function, isolation)


def _equipment(dask_worker: Worker) -> dict[str, str]:
    """What a worker computes by; the argument's name makes Dask hand the worker over."""
    return _software() | {THREADS: str(dask_worker.state.nthreads)}


def _wanted() -> dict[str, str]:
    """What a worker must have to compute what this process would."""
    return _software() | {THREADS: "1"}


@cache
def _software() -> dict[str, str]:
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, "distributed": version("distributed"), **versions()}


def _refuse_unlike(worker: str, found: Any, wanted: Mapping[str, str]) -> None:
    if isinstance(found, Exception):
        raise ClusterError(
            f"the Dask worker {worker}, which cannot do this project's work ({found})",
            "what requirements.lock pins and this project to be installed there",
        )
    unlike = [
        f"{name} {found.get(name)} instead of {value}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    if unlike:
        raise ClusterError(
            f"the Dask worker {worker} with {', '.join(unlike)}",
            "the same there as here, or forecasts depend on who made them",
            "Install the same code and requirements.lock there, and start it with --nthreads 1",
        )
