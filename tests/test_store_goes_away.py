"""A real tracking server goes away in the middle of a training run, and comes back."""

from urllib.parse import quote

import nights
import pytest
import services
from lost_store import assert_replayed, every_run, inputs_of, said_until, start
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.tracking.registry import Registry
from lifemiles_forecasting.tracking.spool import spool_uri


@pytest.fixture
def project(tmp_path, copy_project):
    (tmp_path / "project").mkdir()
    project = copy_project(tmp_path / "project")
    nights.add_full_quick(project)
    return project


def test_run_goes_on_without_a_server_and_is_replayed_later(few_stores, tmp_path, project):
    """Everything is written; when the server is back, each store is there once."""
    backend = f"sqlite:///{tmp_path}/server.db"
    with services.mlflow_server(backend, tmp_path) as server:
        login = server.uri.replace("://", f"://me:{quote(services.PASSWORD)}@")
        run = start(project, few_stores, login, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
        said = said_until(run, "Running node: read_events")
    said += run.communicate(timeout=120)[0]
    assert run.returncode == 0, said
    lost = f"no usable MLflow tracking store at {server.uri} (connection refused)"
    assert f"Warning: {lost}, which was there when the run began. Going on without it" in said
    assert "Traceback" not in said
    assert "Secret" not in said
    assert (project.folder / "data/07_model_output/forecasts.parquet").is_file()
    spooled = every_run(MlflowClient(tracking_uri=spool_uri(project.folder / "data")))
    (parent,) = (run for run in spooled.values() if "mlflow.parentRunId" not in run.data.tags)
    assert len(spooled) > 1
    assert inputs_of(parent)
    with services.mlflow_server(backend, tmp_path) as server:
        client = MlflowClient(server.uri, server.uri)
        leave_half_a_replay(client, parent, next(run for run in spooled.values() if run != parent))
        command = ("tracking", "replay", f"--env={nights.FULL_QUICK}")
        replayed = project.kedro(*command, MLFLOW_TRACKING_URI=server.uri)
        assert replayed.returncode == 0, replayed.stderr
        assert replayed.stdout == f"{parent.info.run_name} is in the tracking store now\n"
        assert_replayed(client, spooled)
        champion = Registry(client).chosen(None, "champion")
        assert client.get_run(champion.run_id).data.tags["replayed_from"] == parent.info.run_id
        again = project.kedro(*command, MLFLOW_TRACKING_URI=server.uri)
        assert again.stdout == f"Nothing to replay in {project.output('')}\n"


def leave_half_a_replay(client, parent, child):
    """What a replay leaves that is killed at its second run."""
    name = "LifeMiles_Forecasting_Training"
    experiment = client.get_experiment_by_name(name).experiment_id
    half = client.create_run(experiment, tags={"replayed_from": parent.info.run_id})
    tags = {"replayed_from": child.info.run_id, "mlflow.parentRunId": half.info.run_id}
    client.create_run(experiment, tags=tags)
