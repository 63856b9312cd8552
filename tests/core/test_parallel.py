"""Order, workers and the one place that isolates a failure."""

import os
import subprocess
import sys

import pytest
from cluster_tasks import HANGER, isolation, serve_alone, serve_any

from lifemiles_forecasting.core import parallel
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.parallel import Failure, attempt


def divide(a, b):
    return a / b


def refuse(a, b):
    raise InputError(f"{a}", f"{b}", "Try again.")


@pytest.mark.parametrize("workers", [1, 2, None])
def test_results_come_in_the_order_of_the_tasks(workers):
    tasks = [(k, 2) for k in range(9)]
    assert parallel.run(divide, tasks, workers, "halves") == [k / 2 for k in range(9)]


@pytest.mark.parametrize("workers", [1, 4])
def test_no_tasks(workers):
    assert parallel.run(divide, [], workers) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_outside_an_attempt_stops_the_run(workers):
    with pytest.raises(InputError, match=r"^found 1; expected 2\. Try again\.$"):
        parallel.run(refuse, [(1, 2)] * 3, workers)


@pytest.mark.parametrize(("workers", "parent"), [(1, os.getppid), (2, os.getpid)])
def test_a_single_task_is_done_where_the_configured_workers_do_it(workers, parent):
    made = parallel.run(serve_any, [(serve_alone, 7)], workers, isolation=isolation(9.0))
    assert made == [[(7, parent())]]
    if workers > 1:
        told = [(HANGER, "TimeLimitExceeded: took longer than 0.5 s")]
        hanging = [(serve_alone, HANGER)]
        assert parallel.run(serve_any, hanging, workers, isolation=isolation(0.5)) == [told]


def test_attempt_gives_the_result_or_a_failure():
    assert attempt("s1", "fit", divide, 6, 3) == 2
    failure = attempt("s1", "fit", divide, 6, 0)
    assert failure == Failure(
        "s1", "fit", "ZeroDivisionError: division by zero", failure.traceback_hash
    )
    assert len(failure.traceback_hash) == 12


def test_hash_tells_places_apart_not_stores():
    first, second = attempt("s1", "fit", divide, 6, 0), attempt("s2", "fit", divide, 9, 0)
    assert first.traceback_hash == second.traceback_hash
    assert attempt("s1", "fit", refuse, 1, 2).traceback_hash != first.traceback_hash


def test_attempt_does_not_hold_an_interrupt_back():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt("s1", "fit", interrupt)


FIRST_TASK = """
from lifemiles_forecasting.core import parallel

def threads():
    import scipy.linalg
    from threadpoolctl import threadpool_info
    return {pool["num_threads"] for pool in threadpool_info()}

print(parallel.run(threads, [(), ()], workers=1))
"""


def test_first_task_of_a_process_has_one_thread_like_the_others():
    """A library that is loaded within a task is limited, too: more threads sum in another order."""
    command = [sys.executable, "-c", FIRST_TASK]
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=free)
    assert result.stdout == "[{1}, {1}]\n"
