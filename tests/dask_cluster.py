"""A Dask cluster of the tests' own: a scheduler and workers, each a process on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cluster_tasks
import psutil
from distributed import Client
from services import await_answer

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src"
PATH = os.pathsep.join((str(SOURCE), str(TESTS)))  # where the scheduler, too, finds our code


@contextmanager
def process(
    module: str, log: Path, *options: object, **variables: str
) -> Iterator[subprocess.Popen]:
    """`dask scheduler` or `dask worker`, which is ended with all that it has started."""
    command = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard"]
    with log.open("w") as file:
        started = subprocess.Popen(
            [*command, *map(str, options)], env=os.environ | variables, stdout=file, stderr=file
        )
    try:
        yield started
    finally:
        family = psutil.Process(started.pid).children(recursive=True)
        for member in (*family, started):
            member.kill()
        started.wait()


@dataclass
class DaskCluster:
    """A running cluster.

    Attributes:
        address: of the scheduler.
        client: of the tests' own, to look at it.
        folder: of its files.
        scheduler: its process.
        host: where everything listens.
        size: how many workers it should have.
    """

    address: str
    client: Client
    folder: Path
    scheduler: subprocess.Popen
    host: str
    size: int = 0

    @contextmanager
    def workers(self, count: int, *options: object, source: Path = SOURCE) -> Iterator[None]:
        """More workers, which know our code from a folder, and what is in tests/."""
        log = self.folder / f"workers_{self.size}.log"
        path = os.pathsep.join((str(source), str(TESTS)))
        given = (self.address, "--nworkers", count, "--local-directory", self.folder)
        with process("dask_worker", log, "--host", self.host, *given, *options, PYTHONPATH=path):
            self.size += count
            self.await_workers(log)
            yield
        self.size -= count

    def await_workers(self, log: Path | None = None) -> None:
        """Wait until each worker that it should have is there, and no other.

        A worker is there a moment before its nanny knows. If it ends in between, the nanny takes
        that for a worker that cannot be started, and gives up with all others of its command.
        """
        shown = log or self.folder / "scheduler.log"
        await_answer(self.scheduler, self._complete, shown)

    def _complete(self) -> bool:
        if len(self.client.nthreads()) != self.size:
            return False
        watched = self.client.run(cluster_tasks.is_watched, nanny=True, on_error="return")
        return len(watched) == self.size and all(one is True for one in watched.values())

    def transitions(self) -> int:
        """How much its tasks have gone through so far."""
        return self.client.run_on_scheduler(cluster_tasks.transitions)

    def pids(self) -> list[int]:
        """Of the processes of the workers."""
        return sorted(self.client.run(os.getpid).values())


@contextmanager
def dask_cluster(folder: Path, host: str = "127.0.0.1", **variables: str) -> Iterator[DaskCluster]:
    """A scheduler that has no workers yet."""
    file, log = folder / "scheduler.json", folder / "scheduler.log"
    options = ("--port", 0, "--scheduler-file", file, "--host", host)
    with process("dask_scheduler", log, *options, PYTHONPATH=PATH, **variables) as scheduler:
        await_answer(scheduler, lambda: file.exists() and bool(file.read_text()), log)
        address = json.loads(file.read_text())["address"]
        with Client(address, timeout=2, set_as_default=False) as client:
            yield DaskCluster(address, client, folder, scheduler, host)
