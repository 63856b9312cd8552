"""What the workers of a cluster do in the tests, and what a run here does with it."""

import os
import re
import signal
import threading
from pathlib import Path

from lifemiles_forecasting.core.parallel import Failure, Isolation, attempt, deadline

KILLER, HANGER = -1, -2  # tasks that end whatever process does them, or have it ended


def refuse():
    raise ArithmeticError("no such thing")


def hang():
    # within C, holding the lock of the interpreter: no signal and no thread of Python's gets in
    re.match(r"(a+)+$", "a" * 64 + "b")


def end_process():
    os.kill(os.getpid(), signal.SIGKILL)


WAYS = {1: refuse, 3: hang, 5: end_process}


def serve(stores):
    """A few stores after one another, some of which fail in one of WAYS."""
    done = []
    for store in stores:
        with deadline():
            made = attempt(str(store), "serving", WAYS.get(store, float))
        done.append((store, made if isinstance(made, Failure) else store * 2))
    return done


def serve_alone(number):
    """Something over all stores."""
    with deadline():
        {KILLER: end_process, HANGER: hang}.get(number, float)()
    return [(number, os.getppid())]


def serve_any(function, *arguments):
    return function(*arguments)


def one_by_one(task):
    function, arguments = task
    return [(function, [store]) for store in arguments] if function is serve else []


def lost(task, why, _seconds):
    function, arguments = task
    return [(arguments[0] if function is serve else arguments, why)]


def isolation(seconds):
    return Isolation(seconds, one_by_one, lost, seconds)


def await_true(condition):
    """Wait until something holds, without keeping a core busy."""
    while not condition():
        threading.Event().wait(0.01)


def wait_for(data, number, folder):
    """Say that it has begun, in which process, and go on when it is told to."""
    folder = Path(folder)
    (folder / f"{number}.{os.getpid()}").touch()
    await_true((folder / "go").exists)
    return [number, float(data.sum())]


def transitions(dask_scheduler):
    """On the scheduler: how often a task has gone from one state to another."""
    return dask_scheduler.transition_counter


def is_watched(dask_worker):
    """On a nanny, which Dask hands over under this name too: whether it knows its worker."""
    return dask_worker.status.name == dask_worker.process.status.name == "running"
