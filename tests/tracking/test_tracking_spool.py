"""Spools of runs that were killed, or that cannot be written to the store."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from mlflow.tracking import MlflowClient

from lifemiles_forecasting import hooks
from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.dead_runs import OUTPUTS_TAG, close_dead_runs
from lifemiles_forecasting.tracking.spool import FOLDER, has_spool, replay, spool_uri

PARENT = "mlflow.parentRunId"


@pytest.fixture
def outputs(tmp_path):
    folder = tmp_path / "data"
    (folder / FOLDER).mkdir(parents=True)
    return folder


@pytest.fixture
def spool(outputs, empty_store):
    """The client of a spool without runs."""
    shutil.copy(empty_store, outputs / FOLDER / "mlflow.db")
    uri = spool_uri(outputs)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.create_experiment("Training", (outputs / FOLDER / "mlruns").as_uri())
    return client


def train(client, name, ends=True):
    """A training run with a nested one; its id."""
    run_id = client.create_run("1", tags={OUTPUTS_TAG: "here"}, run_name=name).info.run_id
    child = client.create_run("1", tags={PARENT: run_id}).info.run_id
    if ends:
        client.set_terminated(child)
        client.set_terminated(run_id)
    return run_id


def runs_of(client):
    return client.search_runs(["1"], order_by=["attributes.start_time"])


def half_make(outputs):
    with closing(sqlite3.connect(outputs / FOLDER / "mlflow.db")) as database:
        database.execute("CREATE TABLE experiments (id)")


def test_tables_that_were_left_half_made_hold_no_run(client, outputs):
    half_make(outputs)
    (outputs / FOLDER / "mlflow.db.making").touch()
    assert replay(outputs, client) == []
    assert not (outputs / FOLDER).exists()


def test_spool_that_cannot_be_read_is_one_error_and_a_run_goes_on(client, outputs, caplog):
    half_make(outputs)
    message = f"runs in {outputs / FOLDER} that cannot be written to the tracking store ("
    with pytest.raises(TrackingError) as caught:
        replay(outputs, client)
    assert str(caught.value).startswith(f"found {message}")
    assert "\n" not in str(caught.value)
    hooks.replay_spool(outputs)
    assert message in caplog.text
    assert "`kedro tracking replay` or the next run tries again" in caplog.text
    assert has_spool(outputs)


def test_run_that_was_killed_while_it_logged_its_model(client, spool, outputs):
    run_id = train(spool, "killed")
    assert spool.create_logged_model("1", "m", run_id).status == "PENDING"
    assert replay(outputs, client) == ["killed"]
    assert client.search_logged_models(["1"]) == []
    assert not has_spool(outputs)


def test_runs_that_were_killed_without_a_word_are_killed_in_the_store(client, spool, outputs):
    train(spool, "killed", ends=False)
    replay(outputs, client)
    assert [run.info.status for run in runs_of(client)] == ["KILLED", "KILLED"]


def test_experiment_that_a_restored_store_lacks_is_made_beside_that_store(
    client, spool, outputs, tmp_path, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    spool.rename_experiment("1", "Nightly")
    train(spool, "whole")
    assert replay(outputs, client) == ["whole"]
    made = client.get_experiment_by_name("Nightly")
    assert made.artifact_location == (tmp_path / "mlruns").as_uri()


def test_one_that_cannot_be_written_keeps_none_of_the_others_away(client, spool, outputs):
    broken, _ = train(spool, "broken"), train(spool, "whole")
    model = spool.create_logged_model("1", "m", broken)
    spool.finalize_logged_model(model.model_id, "READY")
    for _ in range(2):
        with pytest.raises(TrackingError, match=r"\[Errno 2\] .*artifacts'\); expected a spool"):
            replay(outputs, client)
        names = [run.info.run_name for run in runs_of(client) if PARENT not in run.data.tags]
        assert names == ["whole"]
        assert {run.info.status for run in runs_of(client)} == {"FINISHED"}
        assert has_spool(outputs)
    spool.delete_logged_model(model.model_id)
    assert replay(outputs, client) == ["broken"]
    assert len(runs_of(client)) == 4


def test_replay_that_was_killed_is_not_taken_for_a_dead_run(client, spool, outputs, monkeypatch):
    """The next run closes dead ones first, and then replays."""
    train(spool, "night")
    ends = MlflowClient.set_terminated
    monkeypatch.setattr(MlflowClient, "set_terminated", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        replay(outputs, client)
    monkeypatch.setattr(MlflowClient, "set_terminated", ends)
    next_run = client.create_run("1").info.run_id
    assert close_dead_runs(client, next_run, "here") == []
    assert replay(outputs, client) == ["night"]
    assert len(runs_of(client)) == 3
