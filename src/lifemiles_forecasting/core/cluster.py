"""Tasks on the workers of a Dask cluster, as `core.parallel` does them on local processes.

A worker does its tasks as a run with one local process would: what `Isolation` divides goes into a
process of its own, so a store that hangs or crashes costs itself and no worker. What is large goes
to the cluster once, and workers hand it to each other. Results come back to this process, which
keeps them: workers need no folder in common with it.

Needs the package `distributed`, which is an extra (`cluster`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from lifemiles_forecasting.core.cluster_connection import WORKER_SECONDS, Connection, connection
from lifemiles_forecasting.core.cluster_worker import Call, wanted
from lifemiles_forecasting.core.errors import ClusterError
from lifemiles_forecasting.core.parallel import Isolation, apart

if TYPE_CHECKING:
    from distributed import Future

LOOK_SECONDS = 5.0  # between looks at whether there still are workers
LARGE = 1_000_000  # bytes from which on an argument goes to the cluster once, not with every task
AHEAD = 3  # tasks for every worker that are with the scheduler: it holds what is in them
MOST_LOSSES = 10  # times that a task is sent again because what it needs was lost with a worker


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
        call = Call(self._function, small, large, self._isolation, wanted())
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
        return apart(self._function, self._isolation).divided(self._tasks[number])


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
