"""Nested runs: one after another into a store of this machine, several at once to a server.

What they hold when a server has taken them is in tests/test_production.py.
"""

import threading
from types import SimpleNamespace

import pytest

from lifemiles_forecasting.tracking.store_runs import WRITERS, StoreRunWriter

PATIENCE = 60  # seconds; who waits longer for the others waits for nobody


def writer(uri, write):
    """One whose way to write a run is another."""
    logged = []

    class Written(StoreRunWriter):
        def _write(self, run):
            write(run)

    client = SimpleNamespace(tracking_uri=uri, log_metric=lambda *given: logged.append(given))
    return Written(client, SimpleNamespace(info=SimpleNamespace(run_id="parent"))), logged


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "https://mlflow.example"])
def test_requests_of_several_stores_go_to_a_server_at_once(uri):
    """Each waits until as many have been begun as may be, which one after another never are."""
    meeting, seen = threading.Barrier(WRITERS), []

    def write(run):
        meeting.wait(PATIENCE)
        seen.append(run)

    one, logged = writer(uri, write)
    seconds = one.write_all(range(3 * WRITERS))
    assert sorted(seen) == list(range(3 * WRITERS))
    assert logged == [("parent", "tracking_seconds", seconds)]


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "postgresql://me@127.0.0.1/tracking"])
def test_runs_go_into_a_database_one_after_another(uri):
    seen = []
    one, _ = writer(uri, lambda run: seen.append((run, threading.current_thread())))
    one.write_all(range(20))
    assert seen == [(run, threading.main_thread()) for run in range(20)]


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "sqlite:///mlflow.db"])
def test_first_run_that_cannot_be_written_ends_it(uri):
    begun, told = [], threading.Event()

    def write(run):
        begun.append(run)
        if run == 2:
            told.set()
            raise ConnectionError("the store has gone away")
        assert run < 2 or told.wait(PATIENCE)

    one, logged = writer(uri, write)
    with pytest.raises(ConnectionError, match="the store has gone away"):
        one.write_all(range(10_000))
    assert len(begun) < 10_000
    assert logged == []
