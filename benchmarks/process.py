"""Run a command and measure it from outside: seconds and peak memory, its children included."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """What a command took.

    Attributes:
        wall: seconds.
        cpu: seconds of all its processes together, user and system.
        peak_mb: largest memory of all its processes at one time (proportional set size), MB.
        log: what it printed.
    """

    wall: float
    cpu: float
    peak_mb: float
    log: str


def measured(command: list[str], cwd: Path, environment: dict[str, str] | None = None) -> Measured:
    """Run a command to its end.

    Args:
        command: program and arguments.
        cwd: folder to run in.
        environment: variables on top of our own.

    Raises:
        SystemExit: the command failed; the message is what it printed.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
    watcher.start()
    log, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{log}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(time.perf_counter() - start, cpu, peak[0] / 1e6, log)


def _watch(process: subprocess.Popen, peak: list[int]) -> None:
    """Keep the largest memory of the process and its workers together."""
    import psutil

    while process.poll() is None:
        total, began = 0, time.perf_counter()
        try:
            parent = psutil.Process(process.pid)
            for member in [parent, *parent.children(recursive=True)]:
                total += member.memory_full_info().pss
        except psutil.Error:
            continue  # one of them has just ended
        peak[0] = max(peak[0], total)
        # looking is work too, and more of it the larger they are: at most a twentieth of a core
        time.sleep(max(0.2, 20 * (time.perf_counter() - began)))
