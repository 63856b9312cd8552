"""`kedro run --pipelines=leak_audit` as a command: honest code passes, leaky code is named."""

from dataclasses import replace

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project
from mlflow.tracking import MlflowClient

from lifemiles_forecasting import cli
from lifemiles_forecasting.core import fitting, leakage, rows

COMMAND = ["run", "--pipelines=leak_audit"]


@pytest.fixture(scope="module")
def project(copy_project, few_stores, tmp_path_factory):
    """A project with the panel of a few stores, and nothing else."""
    project = copy_project(tmp_path_factory.mktemp("audited"))
    done = project.kedro(
        "run", "--pipelines=data_processing", f"--params=raw_transactions={few_stores}"
    )
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def own_process(project, monkeypatch):
    """`kedro run` inside this process, where a test may change the code."""
    before = mlflow.get_tracking_uri()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(project.folder)
    bootstrap_project(project.folder)
    little = "--params=modeling.workers=1,leak_audit.origins=1,leak_audit.max_iterations=1"
    yield lambda: CliRunner().invoke(cli.cli, [*COMMAND, little])
    mlflow.set_tracking_uri(before)


def runs_of(project):
    client = MlflowClient(tracking_uri=project.tracking_uri)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids)


def table_of(project):
    return pd.read_csv(
        project.output("08_reporting/leak_audit.csv"), keep_default_na=False, dtype={"name": str}
    )


def test_audit_of_honest_code_passes_and_lists_everything(project):
    result = project.kedro(*COMMAND)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    table = table_of(project)
    counts = table.groupby("kind")["name"].nunique()
    assert counts["feature"] >= 40
    assert set(table.loc[table["kind"] == "candidate", "name"]) >= {
        *("base", "direct", "local_catboost", "ridge", "blend")
    }
    assert counts["interval"] == 4
    assert not table["changed"].any()
    said = f"Audited {counts['feature']} features, {counts['candidate'] - 2} candidates, "
    assert said in result.stderr
    assert "under 5 futures: no leak." in result.stderr
    # four months are too few for models of one store, and that is no proof of their honesty
    assert "Not audited, for it has no value at any of these origins: candidate 'ridge'." in (
        result.stderr
    )
    assert "Auditing 10 stores: " in result.stderr
    assert not [run for run in runs_of(project) if run.info.status == "FINISHED"]  # not tracked


def test_audit_names_a_leaky_feature_and_fails(project, own_process, monkeypatch):
    honest = rows.features_at

    def leaky(series, calendar, origin, horizon):
        at = honest(series, calendar, origin, horizon)
        centred = np.nan_to_num(series.y[:, max(origin - 3, 0) : origin + 4]).mean(axis=1)
        centred /= np.maximum(at.scale, 1e-9)
        column = np.broadcast_to(centred[:, None, None], (*at.X.shape[:2], 1))
        X = np.concatenate([at.X, column.astype(np.float32)], axis=2)
        return replace(at, X=X, names=(*at.names, "centred_mean_7"))

    for module in (leakage, fitting, rows):
        monkeypatch.setattr(module, "features_at", leaky)
    result = own_process()
    assert result.exit_code == 1
    assert "feature 'centred_mean_7'" in result.output
    assert "expected none: nothing computed for an origin may read a row" in result.output
    assert "data/08_reporting/leak_audit.csv" in result.output
    table = table_of(project)  # saved all the same
    leaks = table[table["changed"]]
    assert set(leaks.loc[leaks["kind"] == "feature", "name"]) == {"centred_mean_7"}


@pytest.mark.parametrize("pipeline", ["leak_audit", "modeling,reporting"])
def test_without_a_panel_the_command_says_what_to_run_first(project, pipeline):
    result = project.kedro("run", f"--pipelines={pipeline}", "--params=data_root=nowhere")
    assert result.returncode == 1
    assert "Error: found no panel and no " in result.stderr
    assert "Run `kedro run`, or `kedro run --pipelines=data_processing`" in result.stderr
    assert "Traceback" not in result.stderr
    assert {run.info.status for run in runs_of(project)} <= {"FAILED"}
