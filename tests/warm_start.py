"""Commands of `kedro` in processes that need not import other people's packages first.

Half of what a short command takes is the import of pandas, MLflow and the like. A process that
has imported them waits here, and every command is a fork of it: a process of its own, in its
folder, with its variables, that runs `python -m kedro` to the end of the interpreter. Kedro, its
plugins and this project are imported by the command itself: they look at the folder when they are.
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

# of those that a run imports, what takes long
PACKAGES = (
    "IPython alembic catboost cryptography.x509 dynaconf fastapi git google.protobuf.json_format "
    "holidays ibis ibis.backends.sql.compilers jinja2 omegaconf opentelemetry.sdk.metrics pandas "
    "plotly.express pyarrow.dataset pyarrow.parquet requests scipy.stats sklearn.linear_model "
    "sqlalchemy.dialects.sqlite sqlalchemy.orm sqlparse"
)
# and of those what is to be freed at the end of a command, with its connections to databases
FREED = (
    "ibis.backends.duckdb mlflow mlflow.artifacts mlflow.pyfunc "
    "mlflow.store.tracking.sqlalchemy_store"
)
FOLDER = Path(__file__).parent
TIMED_OUT = -signal.SIGALRM


def start(inside: Sequence[str] = ()) -> subprocess.Popen[str]:
    """A process that waits for commands, one at a time, until nobody can send any more.

    Args:
        inside: begin of a command line that runs the rest of it, as that of a `SmallDisk` does.
    """
    return subprocess.Popen(
        [*inside, sys.executable, "-m", "warm_start"],
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@cache
def waiting_process() -> subprocess.Popen[str]:
    """One of every process of the tests, from its first command on."""
    return start()


def kedro(
    arguments: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    process: subprocess.Popen[str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """A command to its end, and what it said; by another waiting process than that of the tests.

    Raises:
        subprocess.TimeoutExpired: it took longer than that many seconds, and was ended.
    """
    process = process or waiting_process()
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder) / name for name in ("output", "errors")]
        command = {"arguments": arguments, "cwd": str(cwd), "env": dict(env)}
        command |= {"files": [str(file) for file in said], "seconds": timeout}
        process.stdin.write(json.dumps(command) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        output, errors = (file.read_text("utf-8") for file in said)
    if code == TIMED_OUT:
        raise subprocess.TimeoutExpired(arguments, timeout, output, errors)
    return subprocess.CompletedProcess(["kedro", *arguments], code, output, errors)


def end() -> None:
    """The waiting process ends when nothing more can be asked."""
    if waiting_process.cache_info().currsize:
        waiting_process().communicate()
        waiting_process.cache_clear()


def wait_for_commands() -> dict[str, Any] | None:
    """Answer with the exit code of each; what this returns is the command of a fork of us."""
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            return json.loads(line)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return None


def become(command: Mapping[str, Any]) -> None:
    """Take its folder, variables, files and time limit, and run it as `python -m kedro` does."""
    files = [os.open(os.devnull, os.O_RDONLY)]
    files += [os.open(file, os.O_WRONLY | os.O_CREAT) for file in command["files"]]
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(command["cwd"])
    os.environ.clear()
    os.environ.update(command["env"])
    folders = command["env"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [command["cwd"], *filter(None, folders)]
    sys.argv = ["kedro", *command["arguments"]]
    signal.setitimer(signal.ITIMER_REAL, command["seconds"])
    runpy.run_module("kedro", run_name="__main__", alter_sys=True)


def know_modules() -> None:
    """Let `inspect` look for every module's file now: Kedro's settings ask it whose a frame is."""
    inspect.getmodule(compile("", "a file of no module", "exec"))


if __name__ == "__main__":
    for package in PACKAGES.split():
        import_module(package)
    know_modules()
    gc.collect()
    gc.freeze()  # a fork that looks for garbage in it and frees it takes a second more
    for package in FREED.split():
        import_module(package)
    if command := wait_for_commands():
        become(command)
