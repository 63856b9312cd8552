"""`--env=production`: tracked by a real `mlflow server` and PostgreSQL, both on loopback."""

import json
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from small_models import as_parameters

from lifemiles_forecasting.tracking.names import REGISTERED_MODEL

EXPERIMENT = "Nightly"
STORES = 8  # of `few_stores`, with models of their own


def parameters(few_stores):
    return (
        f"--params=raw_transactions={few_stores},horizon=14,gate.max_bias=1000,"
        f"modeling.workers=1,modeling.n_windows=2,{as_parameters()}"
    )


@dataclass(frozen=True)
class Tracked:
    """What a nightly run has left where it was told to track."""

    project: object
    uri: str
    experiment: str
    result: object

    @cached_property
    def client(self):
        return MlflowClient(tracking_uri=self.uri)

    def runs(self, level):
        experiment = self.client.get_experiment_by_name(self.experiment)
        return self.client.search_runs(
            [experiment.experiment_id], f"tags.run_level = '{level}'", max_results=100
        )

    @property
    def parent(self):
        (run,) = self.runs("pipeline")
        return run

    def files(self, run, folder=None):
        return {file.path for file in self.client.list_artifacts(run.info.run_id, folder)}


@pytest.fixture(scope="module")
def nightly(few_stores, tmp_path_factory, copy_project):
    """Run the nightly job against a store; the address may hold credentials."""

    def run(address, experiment, **variables):
        project = copy_project(tmp_path_factory.mktemp("nightly"), store=None)
        variables |= {"MLFLOW_TRACKING_URI": address, "LIFEMILES_EXPERIMENT": experiment}
        result = project.kedro("run", "--env=production", parameters(few_stores), **variables)
        assert result.returncode == 0, result.stderr
        return project, experiment, result

    return run


@pytest.fixture(scope="module")
def served(nightly, mlflow_server):
    """Through the server, with a user and a password that it does not ask for."""
    import services

    login = f"{services.USER}:{quote(services.PASSWORD)}@"
    project, *rest = nightly(mlflow_server.uri.replace("://", f"://{login}"), EXPERIMENT)
    return Tracked(project, mlflow_server.uri, *rest)


@pytest.fixture(scope="module")
def direct(nightly, postgres, mlflow_server):
    """Straight into the same database, beside the server, which is the model registry."""
    uri = postgres.uri(mlflow_server.database)
    project, *rest = nightly(uri, "Direct", MLFLOW_REGISTRY_URI=mlflow_server.uri)
    return Tracked(project, uri, *rest)


@pytest.fixture(params=["served", "direct"])
def tracked(request):
    return request.getfixturevalue(request.param)


def test_parent_run_has_its_metrics_tags_and_artifacts(tracked):
    parent = tracked.parent
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name.startswith("Training_Pipeline_")
    assert parent.data.tags["environment"] == "production"
    metrics = parent.data.metrics
    assert metrics["total_stores_attempted"] == metrics["successful_models"] == STORES
    assert metrics["success_rate"] == 100
    assert {"avg_r2", "avg_smape", "tracking_seconds"} <= metrics.keys()
    assert {"report.html", "coverage.csv", "forecasts", "figures"} <= tracked.files(parent)
    assert tracked.files(parent, "forecasts") == {
        "forecasts/forecasts.csv",
        "forecasts/forecasts.parquet",
    }


def test_every_store_has_a_nested_run_with_its_model(tracked):
    children = tracked.runs("store")
    assert len(children) == STORES
    for child in children:
        assert child.info.status == "FINISHED"
        assert child.data.tags["mlflow.parentRunId"] == tracked.parent.info.run_id
        assert "test_r2" in child.data.metrics
        assert {"model", "scaler", "feature_importance.json"} <= tracked.files(child)


def test_model_of_all_stores_is_registered_and_scores(served, few_stores):
    tracked, client = served, served.client
    (version,) = [
        one
        for one in client.search_model_versions(f"name = '{REGISTERED_MODEL}'")
        if one.run_id == tracked.parent.info.run_id
    ]
    assert version.tags["gate_status"] in {"passed", "failed"}
    role = tracked.parent.data.tags["model_role"]
    assert role in {"champion", "challenger"}
    variables = {"MLFLOW_TRACKING_URI": tracked.uri, "LIFEMILES_EXPERIMENT": tracked.experiment}
    shown = tracked.project.kedro(
        "models", "show", "--env=production", "--format=json", **variables
    )
    rows = {row["training_run"]: row for row in json.loads(shown.stdout)}
    assert rows[tracked.parent.info.run_id]["version"] == int(version.version)
    scored = tracked.project.kedro(
        "run",
        "--env=production",
        "--pipelines=forecasting",
        f"--params=raw_transactions={few_stores},horizon=7,model_version={version.version}",
        **variables,
    )
    assert scored.returncode == 0, scored.stderr
    (run,) = tracked.runs("scoring")
    assert run.data.tags["model_version"] == str(version.version)
    assert run.data.metrics["stores_scored"] == 10


def test_nothing_is_tracked_in_the_project_and_stdout_stays_clean(tracked):
    assert tracked.result.stdout == ""
    assert not tracked.project.output("mlflow.db", "").exists()


def test_artifacts_go_through_the_server_into_its_folder(served, mlflow_server):
    assert not served.project.output("mlruns", "").exists()
    (file,) = mlflow_server.artifacts.rglob(f"{served.parent.info.run_id}/*/report.html")
    assert file.read_bytes() == served.project.output("08_reporting/report.html").read_bytes()


def test_artifacts_of_a_run_without_a_server_are_in_the_project(direct):
    folder = direct.project.output("mlruns", "")
    assert direct.parent.info.artifact_uri.startswith(folder.as_uri())
    assert len(list(folder.glob("*/artifacts/model/MLmodel"))) == STORES
    assert len(list(folder.glob("models/*/artifacts/MLmodel"))) == 1  # of all stores


def test_models_load_through_the_server_and_forecast(served, monkeypatch):
    import mlflow

    # load_model and what it calls look at the global address
    before = mlflow.get_tracking_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", served.uri)
    mlflow.set_tracking_uri(served.uri)
    try:
        child = served.runs("store")[0]
        model = mlflow.pyfunc.load_model(f"runs:/{child.info.run_id}/model")
    finally:
        mlflow.set_tracking_uri(before)
    table = pd.read_csv(served.project.output("07_model_output/forecasts.csv"), dtype=str)
    own = table[table["store_id"] == child.data.tags["store_id"]].reset_index(drop=True)
    answer = model.predict(pd.DataFrame({"horizon": range(1, 15)}))
    assert list(answer.columns) == list(own.columns)
    numbers = ["forecast", "lower_80", "upper_80", "lower_95", "upper_95"]
    pd.testing.assert_frame_equal(answer[numbers], own[numbers].astype(float))
    assert answer["date"].tolist() == own["date"].tolist()


def test_explore_answers_from_the_server(served):
    result = served.project.kedro(
        "explore", "--env=production", "--best-models", "--top=50", "--format=json",
        MLFLOW_TRACKING_URI=served.uri,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    best = json.loads(result.stdout)
    assert served.parent.info.run_id in {run["run_id"] for run in best["training_runs"]}
    stores = {run.data.tags["store_id"] for run in served.runs("store")}
    assert stores <= {model["store_id"] for model in best["store_models"]}


def test_passwords_are_in_no_output_no_artifact_and_no_row(served, direct, postgres, mlflow_server):
    import services

    written = {"database": postgres.everything_in(mlflow_server.database).encode()}
    for tracked in (served, direct):
        written[f"output of {tracked.experiment}"] = tracked.result.stderr.encode()
        for path in tracked.project.folder.rglob("*"):
            if path.is_file() and "src" not in path.parts and "01_raw" not in path.parts:
                written[str(path)] = path.read_bytes()
    for path in mlflow_server.artifacts.rglob("*"):
        if path.is_file():
            written[str(path)] = path.read_bytes()
    assert served.parent.info.run_id.encode() in written["database"]  # it is the right one
    assert len(written) > 100
    secrets = {services.PASSWORD.encode(), quote(services.PASSWORD).encode()}
    leaks = [name for name, text in written.items() if any(secret in text for secret in secrets)]
    assert leaks == []


def test_artifacts_that_only_the_server_can_place_are_refused_without_it(served, direct):
    result = direct.project.kedro(
        "run", "--env=production", "--pipelines=reporting",
        MLFLOW_TRACKING_URI=direct.uri, LIFEMILES_EXPERIMENT=EXPERIMENT,
    )  # fmt: skip
    assert result.returncode == 1
    shown = direct.uri.rpartition("@")[2]
    assert error_of(result) == (
        f"Error: found experiment 'Nightly' at postgresql://{shown}, whose artifacts go through a "
        "server; expected the address of that server, because a database takes no artifacts in. "
        "Set MLFLOW_TRACKING_URI to it, or LIFEMILES_EXPERIMENT to another name"
    )
    experiment = served.parent.info.experiment_id
    assert len(served.client.search_runs([experiment], "attributes.status = 'FAILED'")) == 1


def error_of(result):
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    return line
