"""Independent tasks on local processes, and the one place that isolates a store's failure."""

from __future__ import annotations

import hashlib
import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Failure:
    """A store that failed, as data.

    Attributes:
        store_id: the store.
        stage: what was being done.
        error: type and message.
        traceback_hash: the same for the same place in the code.
    """

    store_id: str
    stage: str
    error: str
    traceback_hash: str


def attempt(store_id: str, stage: str, function: Callable[..., Any], *args: Any) -> Any:
    """The function's result, or a Failure that names the store."""
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other stores go on
        frames = traceback.extract_tb(error.__traceback__)
        place = "|".join(f"{frame.name}:{frame.line}" for frame in frames)
        digest = hashlib.sha256(f"{type(error).__name__}|{place}".encode()).hexdigest()[:12]
        return Failure(store_id, stage, f"{type(error).__name__}: {error}", digest)


def run(
    function: Callable[..., Any],
    tasks: Sequence[tuple],
    workers: int | None = None,
    description: str = "",
) -> list[Any]:
    """Call `function(*task)` for each task, in order of the tasks, with a progress bar.

    Each process has one thread, so that processes do not compete. Arrays over a megabyte are
    shared through memory maps. The result does not depend on the number of workers.

    Args:
        function: importable by name.
        tasks: argument tuples.
        workers: processes; None takes every core, 1 stays in this process.
        description: shown beside the bar.
    """
    from multiprocessing import parent_process

    from tqdm import tqdm

    workers = min(workers or os.cpu_count() or 1, max(len(tasks), 1))
    shown = {"desc": description, "unit": "task", "mininterval": 1.0, "leave": False}
    # a process of tasks has its place in another bar already
    bar = tqdm(total=len(tasks), disable=parent_process() is not None, **shown)
    with bar:
        if workers == 1:
            from threadpoolctl import threadpool_limits

            with threadpool_limits(1):  # as in the processes: sums of more threads differ in bits
                return [_step(bar, function(*task)) for task in tasks]
        from joblib import Parallel, delayed, parallel_config

        with parallel_config(backend="loky", inner_max_num_threads=1):
            results = Parallel(n_jobs=workers, batch_size=1, return_as="generator")(
                delayed(function)(*task) for task in tasks
            )
            return [_step(bar, result) for result in results]


def _step(bar: Any, result: Any) -> Any:
    bar.update()
    return result
