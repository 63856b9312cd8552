"""Order, workers and the one place that isolates a failure."""

import pytest

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
