"""Independent tasks, and the one place that isolates a store's failure.

They are done by processes of this machine, or of a cluster (`core.cluster`).

A store may raise, hang or take its process down. What raises is caught by `attempt`. Code that
hangs in a C extension hears no signal of Python's, so `deadline` ends the whole process, and `run`
does what was under way there again, one store after another in a process of its own.
"""

from __future__ import annotations

import faulthandler
import hashlib
import os
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

WATCH_SECONDS = 1.0  # between looks at whether the process that is worked for still lives
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1"
)

# of this process as a worker: seconds that a block may take, and the file that tells it took longer
_limit: float | None = None
_told = os.devnull


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

    @classmethod
    def without_traceback(cls, store_id: str, stage: str, error: str) -> Failure:
        """One that left no place in the code behind, only words that begin with its kind."""
        kind = error.partition(":")[0]
        return cls(store_id, stage, error, hashlib.sha256(kind.encode()).hexdigest()[:12])


@dataclass(frozen=True)
class Isolation:
    """How a run goes on when a task takes its process down. Results of tasks are lists then.

    Attributes:
        seconds: that a block within `deadline` may take in a task that is divided; None for as
            long as it likes.
        parts: a task as smaller ones whose results, joined, are its own; none for a task that is
            not divided.
        lost: the result of a task that ended its process, given the task, what is said of it, and
            the seconds that it took.
        whole_seconds: as `seconds`, in a task that is not divided.
    """

    seconds: float | None
    parts: Callable[[tuple], Sequence[tuple]]
    lost: Callable[[tuple, str, float], list]
    whole_seconds: float | None = None

    def limit(self, task: tuple) -> float | None:
        """Seconds that a block within `deadline` may take in this task."""
        return self.seconds if self.parts(task) else self.whole_seconds


def attempt(store_id: str, stage: str, function: Callable[..., Any], *args: Any) -> Any:
    """The function's result, or a Failure that names the store."""
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other stores go on
        frames = traceback.extract_tb(error.__traceback__)
        place = "|".join(f"{frame.name}:{frame.line}" for frame in frames)
        digest = hashlib.sha256(f"{type(error).__name__}|{place}".encode()).hexdigest()[:12]
        return Failure(store_id, stage, f"{type(error).__name__}: {error}", digest)


@contextmanager
def deadline() -> Iterator[None]:
    """End this worker process if the block takes longer than the `Isolation` of its run allows.

    The watch is a thread of C, which needs no lock of the interpreter: whatever hangs, it ends. In
    a process that is nobody's worker there is no limit, because nobody would do the rest.
    """
    if _limit is None:
        yield
        return
    with Path(_told).open("w") as file:
        faulthandler.dump_traceback_later(_limit, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def run(  # noqa: PLR0913, PLR0917 - what is to be done, by whom, and how it goes on
    function: Callable[..., Any],
    tasks: Sequence[tuple],
    workers: int | None = None,
    description: str = "",
    done: Callable[[int, Any], None] | None = None,
    isolation: Isolation | None = None,
    scheduler: str | None = None,
) -> list[Any]:
    """Call `function(*task)` for each task, in order of the tasks, with a progress bar.

    Each process has one thread, so that processes do not compete. Arrays over a megabyte are
    shared through memory maps. The result does not depend on the number of workers.

    Args:
        function: importable by name.
        tasks: argument tuples.
        workers: processes; None takes every core, 1 stays in this process, but for tasks that
            `isolation` divides, which go into one beside it.
        description: shown beside the bar.
        done: called in this process with the number and the result of each task as soon as it is
            finished, in whatever order that is.
        isolation: how to go on when a task takes its process down; None lets the run end.
        scheduler: address of a Dask scheduler whose workers do the tasks, all of them; None for
            processes of this machine.

    Raises:
        ClusterError: the cluster cannot be used, or has gone away.
    """
    from multiprocessing import parent_process

    from tqdm import tqdm

    inside = parent_process() is not None  # a process of tasks has its place in another bar already
    # a single task, too, goes where its process can be ended: joblib would do it in this one
    fewest = 1 if isolation is None or inside else 2
    workers = min(workers or os.cpu_count() or 1, max(len(tasks), fewest))
    bar = tqdm(
        total=len(tasks), disable=inside, desc=description, unit="task", mininterval=1, leave=False
    )
    results: list[Any] = [None] * len(tasks)
    if scheduler is not None and tasks:
        from lifemiles_forecasting.core import cluster  # what it needs is optional

        finished = cluster.as_finished(function, dict(enumerate(tasks)), scheduler, isolation)
    elif isolation is None or (isolation.seconds is None and workers == 1) or inside:
        finished = _as_finished(function, dict(enumerate(tasks)), workers)
    else:
        finished = _isolated(function, dict(enumerate(tasks)), workers, isolation)
    with bar:
        for number, result in finished:
            results[number] = result
            if done is not None:
                done(number, result)
            bar.update()
    return results


def _as_finished(
    function: Callable[..., Any],
    tasks: Mapping[int, tuple],
    workers: int,
    isolation: Isolation | None = None,
) -> Iterator[tuple[int, Any]]:
    """Number and result of each task."""
    if workers == 1:
        for number, task in tasks.items():
            yield number, here(function, task)
        return
    from joblib import Parallel, delayed, parallel_config

    calls = [
        delayed(_in_worker)(number, function, task, isolation and isolation.limit(task))
        for number, task in tasks.items()
    ]
    with parallel_config(backend="loky", inner_max_num_threads=1):
        yield from Parallel(n_jobs=workers, batch_size=1, return_as="generator_unordered")(calls)


def _isolated(
    function: Callable[..., Any], tasks: Mapping[int, tuple], workers: int, isolation: Isolation
) -> Iterator[tuple[int, Any]]:
    """The same, going on when a process ends.

    Processes take the tasks in their order, so those that were under way when one ended are among
    the first that are not finished: at most one per process, and as many whose results were lost
    on their way. These are done one part at a time; the rest starts again as before.
    """
    from joblib.externals.loky.process_executor import BrokenProcessPool

    left, alone = dict(tasks), apart(function, isolation)
    if workers == 1:
        for number, task in tasks.items():
            divided = isolation.parts(task)
            yield number, alone.whole(task) if divided else here(function, task)
        return
    while left:
        try:
            for number, result in _as_finished(function, dict(left), workers, isolation):
                del left[number]
                yield number, result
        except BrokenProcessPool:
            for number in list(left)[: 2 * workers]:
                yield number, alone.divided(left.pop(number))


class Alone:
    """A process for one task at a time, replaced when a task ends it.

    Args:
        function: of the tasks.
        isolation: how to go on then.
    """

    def __init__(self, function: Callable[..., Any], isolation: Isolation) -> None:
        self._function, self._isolation = function, isolation
        self._executor: Any = None
        self._told = tempfile.NamedTemporaryFile()  # noqa: SIM115 - as long as this

    def whole(self, task: tuple) -> list:
        """The result of a task, done part by part only if it ends its process."""
        from joblib.externals.loky.process_executor import BrokenProcessPool

        try:
            return self._call(task)
        except BrokenProcessPool:
            return self.divided(task)

    def divided(self, task: tuple) -> list:
        """The result of a task, done part by part; what ends its process is lost."""
        from joblib.externals.loky.process_executor import BrokenProcessPool

        results: list = []
        for part in self._isolation.parts(task) or [task]:
            start = time.perf_counter()
            try:
                results += self._call(part)
            except BrokenProcessPool:
                seconds = time.perf_counter() - start
                results += self._isolation.lost(part, self._why(part), seconds)
        return results

    def _why(self, task: tuple) -> str:
        """Why the process ended: only the watch of `deadline` leaves a word."""
        if Path(self._told.name).stat().st_size:
            return f"TimeLimitExceeded: took longer than {self._isolation.limit(task):g} s"
        return "ProcessEnded: took their process down"

    def _call(self, task: tuple) -> list:
        from joblib.externals.loky import ProcessPoolExecutor
        from joblib.externals.loky.process_executor import BrokenProcessPool

        if self._executor is None:
            self._executor = ProcessPoolExecutor(max_workers=1, env=ONE_THREAD)
        self._told.truncate(0)
        watch = self._isolation.limit(task), self._told.name
        try:
            return self._executor.submit(_in_worker, 0, self._function, task, *watch).result()[1]
        except BrokenProcessPool:
            self._end()
            raise

    def _end(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(kill_workers=True)
            self._executor = None


@cache
def apart(function: Callable[..., Any], isolation: Isolation) -> Alone:
    """The process beside this one for such tasks; it lives as long, as starting takes a second.

    Args:
        function: of the tasks.
        isolation: how to go on when one ends it.
    """
    return Alone(function, isolation)


def here(function: Callable[..., Any], task: tuple, seconds: float | None = None) -> Any:
    """Do a task in this process; a limit is for one that somebody starts again."""
    global _limit  # noqa: PLW0603 - of this process, as long as the task
    import scipy.linalg  # noqa: F401 - brings a BLAS of its own; only what is loaded is limited
    from threadpoolctl import threadpool_limits

    before, _limit = _limit, seconds
    try:
        with threadpool_limits(1):  # as in the processes: sums of more threads differ in bits
            return function(*task)
    finally:
        _limit = before


def _in_worker(
    number: int,
    function: Callable[..., Any],
    task: tuple,
    seconds: float | None,
    told: str = os.devnull,
) -> tuple[int, Any]:
    global _limit, _told
    _end_with_parent()
    _limit, _told = seconds, told
    return number, function(*task)


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
