"""Runs that a kill left RUNNING: found by the folder that they write to, and closed."""

import os
from pathlib import Path

import mlflow
import pytest

from lifemiles_forecasting.tracking.dead_runs import (
    OUTPUTS_TAG,
    close_dead_runs,
    outputs_key,
    writing_to,
)
from lifemiles_forecasting.tracking.store_runs import PARENT_TAG

CONTEXT = "MLFLOW_RUN_CONTEXT"


@pytest.fixture
def key(tmp_path):
    return outputs_key(tmp_path)


def opened(client, name, tags, experiment="1"):
    return client.create_run(experiment, run_name=name, tags=tags).info.run_id


def status(client, run_id):
    return client.get_run(run_id).info.status


def test_key_is_of_the_folder_and_of_the_machine(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path)
    key = outputs_key(tmp_path)
    assert outputs_key(tmp_path / "link") == outputs_key(tmp_path / "a" / "..") == key
    assert outputs_key(tmp_path / "a") != key
    assert tmp_path.name not in key
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    assert outputs_key(tmp_path) != key


def test_run_says_from_its_first_moment_on_where_it_writes(client, key):
    with writing_to(key):
        run_id = mlflow.start_run().info.run_id
    mlflow.end_run()
    assert client.get_run(run_id).data.tags[OUTPUTS_TAG] == key
    with mlflow.start_run() as later:
        pass
    assert OUTPUTS_TAG not in client.get_run(later.info.run_id).data.tags


@pytest.mark.parametrize("before", [None, '{"team": "night"}'])
def test_tags_of_the_environment_stay(client, key, before, monkeypatch):
    monkeypatch.delenv(CONTEXT, raising=False)
    if before is not None:
        monkeypatch.setenv(CONTEXT, before)
    with pytest.raises(KeyError), writing_to(key):
        with mlflow.start_run() as run:
            pass
        raise KeyError
    tags = client.get_run(run.info.run_id).data.tags
    assert tags[OUTPUTS_TAG] == key
    assert tags.get("team") == (None if before is None else "night")
    assert os.environ.get(CONTEXT) == before


def test_dead_runs_and_what_is_nested_in_them_are_killed_and_nothing_else(client, key):
    other = client.create_experiment("Other", artifact_location=Path.cwd().as_uri())
    here = {OUTPUTS_TAG: key}
    own = opened(client, "own", here)
    dead = [opened(client, f"Training_Pipeline_{number}", here) for number in range(2)]
    dead.append(opened(client, "of another experiment", here, other))
    unfinished = [opened(client, "Store", {PARENT_TAG: run_id}) for run_id in dead[:2]]
    unfinished.append(opened(client, "Store", {PARENT_TAG: dead[2]}, other))
    failed = opened(client, "failed store", {PARENT_TAG: dead[0]})
    client.set_terminated(failed, "FAILED")
    done = opened(client, "done", here)
    client.set_terminated(done, "FINISHED")
    alive = {
        "of this run": opened(client, "Store", {PARENT_TAG: own}),
        "elsewhere": opened(client, "elsewhere", {OUTPUTS_TAG: "0" * 16}),
        "somebody's": opened(client, "somebody's", {}),
        "own": own,
    }
    names = close_dead_runs(client, own, key)
    assert sorted(names) == ["Training_Pipeline_0", "Training_Pipeline_1", "of another experiment"]
    assert {status(client, run_id) for run_id in (*dead, *unfinished)} == {"KILLED"}
    assert client.get_run(dead[0]).info.end_time is not None
    assert (status(client, failed), status(client, done)) == ("FAILED", "FINISHED")
    assert {who: status(client, run_id) for who, run_id in alive.items()} == dict.fromkeys(
        alive, "RUNNING"
    )
    assert close_dead_runs(client, own, key) == []
