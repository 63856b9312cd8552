"""Independent tasks on local processes, and the one place that isolates a store's failure."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

WATCH_SECONDS = 1.0  # between looks at whether the process that is worked for still lives


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
    done: Callable[[int, Any], None] | None = None,
) -> list[Any]:
    """Call `function(*task)` for each task, in order of the tasks, with a progress bar.

    Each process has one thread, so that processes do not compete. Arrays over a megabyte are
    shared through memory maps. The result does not depend on the number of workers.

    Args:
        function: importable by name.
        tasks: argument tuples.
        workers: processes; None takes every core, 1 stays in this process.
        description: shown beside the bar.
        done: called in this process with the number and the result of each task as soon as it is
            finished, in whatever order that is.
    """
    from multiprocessing import parent_process

    from tqdm import tqdm

    workers = min(workers or os.cpu_count() or 1, max(len(tasks), 1))
    shown = {"desc": description, "unit": "task", "mininterval": 1.0, "leave": False}
    # a process of tasks has its place in another bar already
    bar = tqdm(total=len(tasks), disable=parent_process() is not None, **shown)
    results: list[Any] = [None] * len(tasks)
    with bar:
        for number, result in _as_finished(function, tasks, workers):
            results[number] = result
            if done is not None:
                done(number, result)
            bar.update()
    return results


def _as_finished(
    function: Callable[..., Any], tasks: Sequence[tuple], workers: int
) -> Iterator[tuple[int, Any]]:
    """Number and result of each task."""
    if workers == 1:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):  # as in the processes: sums of more threads differ in bits
            for number, task in enumerate(tasks):
                yield _numbered(number, function, task)
        return
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=1):
        yield from Parallel(n_jobs=workers, batch_size=1, return_as="generator_unordered")(
            delayed(_in_worker)(number, function, task) for number, task in enumerate(tasks)
        )


def _numbered(number: int, function: Callable[..., Any], task: tuple) -> tuple[int, Any]:
    return number, function(*task)


def _in_worker(number: int, function: Callable[..., Any], task: tuple) -> tuple[int, Any]:
    _end_with_parent()
    return _numbered(number, function, task)


@cache
def _end_with_parent() -> None:
    """Let this process end soon after the one that it works for, even if that was killed.

    By itself it would wait five minutes for another task, and hold its memory meanwhile.
    """
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == parent.pid:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end with parent").start()
