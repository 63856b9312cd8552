"""What a worker of a Dask cluster does, and what it must have to do it as this process would."""

from __future__ import annotations

import multiprocessing
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core.errors import ClusterError
from lifemiles_forecasting.core.parallel import Isolation, apart, here
from lifemiles_forecasting.core.software import versions

if TYPE_CHECKING:
    from distributed import Worker

THREADS = "threads"


@dataclass(frozen=True)
class Call:
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


def on_worker(call: Call, *large: Any) -> Any:
    """Do a task in a worker, the way `core.parallel` does it with one local process."""
    from distributed import get_worker

    worker = get_worker()  # one that came late has been checked by nobody
    refuse_unlike("worker", worker.address, equipment(worker), call.expected)
    task = call.filled(large)
    if call.isolation is None:
        return here(call.function, task)
    if call.isolation.parts(task):
        # a worker that has a nanny is a daemon, which Python allows no processes of its own
        multiprocessing.current_process().daemon = False
        return apart(call.function, call.isolation).whole(task)
    return here(call.function, task, call.isolation.limit(task))


def equipment(dask_worker: Worker) -> dict[str, str]:
    """What a worker computes by; the argument's name makes Dask hand the worker over."""
    return software() | {THREADS: str(dask_worker.state.nthreads)}


def wanted() -> dict[str, str]:
    """What a worker must have to compute what this process would."""
    return software() | {THREADS: "1"}


@cache
def software() -> dict[str, str]:
    """What this process computes by."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, "distributed": version("distributed"), **versions()}


def refuse_unlike(kind: str, address: str, found: Any, expected: Mapping[str, str]) -> None:
    """Make sure that a worker, or the scheduler, has what this process has.

    Args:
        kind: what it is.
        address: of it.
        found: its `equipment`, or the error that came in place of it.
        expected: from `wanted`.

    Raises:
        ClusterError: it would not; the message says what differs.
    """
    if isinstance(found, Exception):
        raise ClusterError(
            f"the Dask {kind} {address}, which cannot do this project's work ({found})",
            "what requirements.lock pins and this project to be installed there",
        )
    unlike = [
        f"{name} {found.get(name)} instead of {value}"
        for name, value in expected.items()
        if found.get(name) != value
    ]
    if unlike:
        raise ClusterError(
            f"the Dask {kind} {address} with {', '.join(unlike)}",
            "the same there as here, or forecasts depend on who made them",
            "Install the same code and requirements.lock there, and start it with --nthreads 1",
        )
