"""`kedro explore` on what a real run has left."""

import csv
import io
import json

import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project

from lifemiles_forecasting.cli import cli

EXPERIMENT = "LifeMiles_Forecasting_Training"


@pytest.fixture
def explore(trained, monkeypatch):
    monkeypatch.chdir(trained.project.folder)
    configure_project("lifemiles_forecasting")

    def run(*arguments, uri=trained.project.tracking_uri):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        return CliRunner().invoke(cli, ["explore", *arguments], catch_exceptions=False)

    return run


@pytest.fixture
def rows(explore):
    def run(*arguments):
        result = explore(*arguments, "--format", "json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return run


def test_real_command_has_nothing_but_the_answer_on_stdout(trained):
    result = trained.project.kedro("explore", "--format=json")
    assert result.returncode == 0
    assert {row["name"] for row in json.loads(result.stdout)} == {EXPERIMENT, "Default"}


def test_experiments(rows):
    first = rows()[0]
    assert (first["experiment_id"], first["name"], first["training_runs"]) == ("1", EXPERIMENT, 1)


def test_training_runs_of_an_experiment(rows, trained):
    (run,) = rows("--experiment-id", "1")
    metrics = trained.parent.data.metrics
    assert (run["run_id"], run["status"]) == (trained.parent.info.run_id, "FINISHED")
    assert (run["stores"], run["training_mode"]) == (40, "limited")
    for name in ("avg_r2", "avg_smape", "success_rate"):
        assert run[name] == metrics[name]


def test_best_models(rows, trained):
    best = rows("--best-models", "--top", "7")
    assert [run["run_id"] for run in best["training_runs"]] == [trained.parent.info.run_id]
    models = best["store_models"]
    assert len(models) == 7
    r2 = [model["test_r2"] for model in models]
    every = [run.data.metrics.get("test_r2", -9e9) for run in trained.children]
    assert r2 == sorted(every, reverse=True)[:7]
    assert all(model["model_uri"].startswith("runs:/") for model in models)


def test_one_store(rows, trained):
    store = trained.children[0].data.tags["store_id"]
    (only,) = rows("--store", store)
    assert (only["store_id"], only["status"]) == (store, "FINISHED")
    assert only["training_run_name"] == trained.parent.info.run_name
    assert only["champion"] == trained.children[0].data.tags["champion"]
    for name in ("test_wape", "test_bias", "coverage_80"):
        assert only[name] == trained.children[0].data.metrics[name]
    (best,) = rows("--best-models", "--store", store)["store_models"]
    assert best["model_uri"] == only["model_uri"]


def test_a_run_compared_with_itself_is_the_same_everywhere(rows, trained):
    info = trained.parent.info
    tables = rows("--compare", info.run_id[:8], info.run_name)
    assert {run["run_id"] for run in tables["runs"]} == {info.run_id}
    assert {row["metric"] for row in tables["metrics"]} == set(trained.parent.data.metrics)
    assert {row["better"] for row in tables["metrics"]} == {"same", None}
    assert tables["differing_parameters"] == []
    (changes,) = tables["store_changes"]
    measured = sum("test_wape" in run.data.metrics for run in trained.children)
    assert (changes["stores"], changes["same"]) == (len(trained.children), measured)
    assert changes["not_measured"] == len(trained.children) - measured


def test_no_champion_yet(rows):
    assert rows("--champion") == []


def test_table_and_csv_say_the_same(explore):
    arguments = ("--best-models", "--top", "3")
    table, text = explore(*arguments), explore(*arguments, "--format", "csv")
    models = list(csv.DictReader(io.StringIO(text.stdout)))
    assert len(models) == 3
    for model in models:
        assert model["store_id"] in table.stdout
        assert model["model_uri"] in table.stdout


def test_unknown_ids(explore):
    unknown = explore("--experiment-id", "77")
    assert unknown.exit_code == 1
    assert unknown.stderr.startswith("Error: found no experiment with id '77'; expected one of 0 (")
    nobody = explore("--store", "nobody")
    assert (nobody.exit_code, nobody.stdout) == (1, "")
    assert nobody.stderr.startswith("Error: found no run of the store 'nobody'; expected a store ")


def test_empty_store_says_what_to_run(explore, tmp_path):
    result = explore(uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "Nothing has been tracked yet. Run `kedro run` first.\n"
    assert list(tmp_path.iterdir()) == []
