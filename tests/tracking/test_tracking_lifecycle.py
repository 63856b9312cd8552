import atexit
import os
import signal
import sqlite3
import subprocess
import threading
from contextlib import closing

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from lifemiles_forecasting.tracking import lifecycle, store
from lifemiles_forecasting.tracking.lifecycle import RunGuard, describe, rename_partial
from lifemiles_forecasting.tracking.provenance import git_state


@pytest.fixture
def watched(client):
    guard = RunGuard()
    run_id = mlflow.start_run(run_name="Training_Pipeline_20260101_000000").info.run_id
    guard.watch(run_id)
    yield guard, run_id
    guard.release()


def status(client, run_id):
    return client.get_run(run_id).info.status


def test_active_run_id(client):
    assert lifecycle.active_run_id() is None
    with mlflow.start_run() as run:
        assert lifecycle.active_run_id() == run.info.run_id


def test_describe_writes_more_than_a_hundred_params(client, watched):
    config = {f"group.key_{number}": number for number in range(250)}
    assert describe(watched[1], config, {"run_level": "pipeline"}) == "1"
    data = client.get_run(watched[1]).data
    assert len(data.params) == 250
    assert data.tags["run_level"] == "pipeline"


def test_rename_partial_leaves_a_name_of_the_users(client, watched):
    rename_partial(watched[1], "reporting")
    assert client.get_run(watched[1]).info.run_name == "reporting_20260101_000000"
    rename_partial(watched[1], "reporting")
    assert client.get_run(watched[1]).info.run_name == "reporting_20260101_000000"


@pytest.mark.usefixtures("heeded_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_program_and_close_kills_the_run(client, watched, number):
    guard, run_id = watched
    with pytest.raises(SystemExit) as caught:
        signal.raise_signal(number)
    assert caught.value.code == 128 + number
    guard.close("KILLED")
    assert status(client, run_id) == "KILLED"
    assert mlflow.active_run() is None


@pytest.mark.usefixtures("heeded_signals")
def test_signal_that_comes_twice_at_once_does_not_disturb_the_end(client, watched, monkeypatch):
    now = 100.0
    monkeypatch.setattr(lifecycle.time, "monotonic", lambda: now)
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    now += 2  # the user's own second one
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("heeded_signals")
def test_interruption_that_ended_as_an_error_is_killed_all_the_same(client, watched):
    guard, run_id = watched
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    mlflow.end_run("FAILED")  # what kedro-mlflow does when a library turns Ctrl-C into an error
    guard.release()
    assert status(client, run_id) == "KILLED"


def test_release_puts_the_handlers_back_and_leaves_the_run_alone(client):
    before = signal.getsignal(signal.SIGTERM)
    guard = RunGuard()
    run_id = mlflow.start_run().info.run_id
    guard.watch(run_id)
    assert signal.getsignal(signal.SIGTERM) != before
    mlflow.end_run()
    guard.release()
    guard.close("KILLED")
    assert signal.getsignal(signal.SIGTERM) is before
    assert status(client, run_id) == "FINISHED"


def test_handlers_of_others_stay(client):
    def own(*_):
        pass

    before = signal.signal(signal.SIGTERM, own)
    try:
        guard = RunGuard()
        guard.watch(mlflow.start_run().info.run_id)
        assert signal.getsignal(signal.SIGTERM) is own
        guard.release()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_watching_from_another_thread_sets_no_handlers(client):
    before = signal.getsignal(signal.SIGTERM)
    guard = RunGuard()
    thread = threading.Thread(target=guard.watch, args=["some run"])
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    atexit.unregister(guard.close)


def test_close_is_for_the_process_that_opened_the_run(client, watched, monkeypatch):
    guard, run_id = watched
    monkeypatch.setattr(os, "getpid", lambda: -1)
    guard.close("KILLED")
    monkeypatch.undo()
    assert status(client, run_id) == "RUNNING"


def test_close_survives_a_store_that_is_gone(client, caplog):
    guard = RunGuard()
    guard.watch("0" * 32)
    guard.close("KILLED")
    assert "could not be closed as KILLED" in caplog.text
    guard.release()


def test_a_store_is_lost_when_mlflow_fails_and_it_no_longer_lets_us_write(client, monkeypatch):
    monkeypatch.setattr(store, "PATIENCE_SECONDS", 0.1)
    failed = MlflowException("(sqlite3.OperationalError) database is locked")
    other = ValueError("a node's own")
    assert lifecycle.lost_store(failed) is None
    with closing(sqlite3.connect(store.sqlite_path(client.tracking_uri))) as another:
        another.execute("BEGIN IMMEDIATE")
        wrapped = RuntimeError("while logging")
        wrapped.__context__ = failed
        for error in (failed, wrapped):
            lost = lifecycle.lost_store(error)
            assert "another program has locked it for 0.1 seconds" in lost.found
            assert lost.found.endswith("which was there when the run began")
            assert lost.outputs is None
        assert lifecycle.lost_store(other) is None


def test_a_registry_of_its_own_is_lost_like_the_tracking_store(client, tmp_path):
    failed = MlflowException("API request failed")
    try:
        mlflow.set_registry_uri(f"sqlite:///{tmp_path / 'registry.db'}")
        assert lifecycle.lost_store(failed) is None
        mlflow.set_registry_uri(f"sqlite:///{tmp_path}")
        lost = lifecycle.lost_store(failed)
    finally:
        mlflow.set_registry_uri(None)
    assert lost.found == (
        f"no usable MLflow model registry at sqlite:///{tmp_path} (it is a folder), "
        "which was there when the run began"
    )
    assert lost.hint == "Start another run when it is back"


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_git_state_of_a_clean_and_of_a_changed_checkout(tmp_path):
    git(tmp_path, "init")
    assert git_state(tmp_path) == {"git_commit": "unknown", "git_dirty": "unknown"}
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    state = git_state(tmp_path)
    assert len(state["git_commit"]) == 40
    assert state["git_dirty"] == "false"
    (tmp_path / "new.py").touch()
    assert git_state(tmp_path)["git_dirty"] == "true"


def test_git_state_is_unknown_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) == {"git_commit": "unknown", "git_dirty": "unknown"}
