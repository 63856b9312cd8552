import csv
import io
import json
import logging
from pathlib import Path

import click
import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project
from kedro.io import DatasetError
from mlflow.tracking import MlflowClient

from lifemiles_forecasting import explore
from lifemiles_forecasting.cli import check_pipelines, cli
from lifemiles_forecasting.cli_errors import clear_errors, forecasting_error
from lifemiles_forecasting.core.errors import ConfigError, InputError, TrackingError
from lifemiles_forecasting.core.results import StoreRun
from lifemiles_forecasting.datasets.run_record import RunRecordDataset
from lifemiles_forecasting.datasets.store_runs import StoreRunsDataset
from lifemiles_forecasting.tracking.store_runs import store_key
from lifemiles_forecasting.tracking.synthetic import synthetic_record, synthetic_store_run

ROOT = Path(__file__).parents[1]
HOSTILE = "x' OR tags.run_level = 'store\x1b[2J"
NO_RUN_ID = "') OR attributes.run_id != ('"
EXPERIMENT = "LifeMiles_Forecasting_Training"


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Two finished trainings and one that failed, all of three stores, and a run of none."""
    folder = tmp_path_factory.mktemp("tracking")
    before, uri = mlflow.get_tracking_uri(), f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment(EXPERIMENT, artifact_location=(folder / "mlruns").as_uri())
    mlflow.set_experiment(EXPERIMENT)
    odd = StoreRun(HOSTILE, "x", "y", status="ok", metrics={"test_r2": 0.95})
    for number, (avg_r2, status) in enumerate(
        [(0.7, "FINISHED"), (0.6, "FINISHED"), (0.99, "FAILED")]
    ):
        tags = {"run_level": "pipeline", "training_mode": "full"}
        mlflow.start_run(run_name=f"Training_Pipeline_{number}", tags=tags)
        stores = [synthetic_store_run(number), synthetic_store_run(9, failed=True)]
        StoreRunsDataset().save([*stores, *([odd] if number == 0 else [])])
        RunRecordDataset().save(synthetic_record(avg_r2))
        mlflow.end_run(status)
    stray = {"run_level": "store", "store_id": "stray", "store_key": store_key("stray")}
    MlflowClient().create_run("1", tags={**stray, "mlflow.parentRunId": NO_RUN_ID})
    mlflow.set_tracking_uri(before)
    return uri


@pytest.fixture
def kedro_explore(monkeypatch):
    monkeypatch.chdir(ROOT)
    configure_project("lifemiles_forecasting")

    def invoke(uri, *arguments):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        return CliRunner().invoke(cli, ["explore", *arguments], catch_exceptions=False)

    return invoke


def rows(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_without_options_lists_the_experiments(filled, kedro_explore):
    first, second = rows(kedro_explore(filled, "--format", "json"))
    assert (first["experiment_id"], first["name"], first["training_runs"]) == ("1", EXPERIMENT, 3)
    assert first["last_run"].startswith("20")
    assert (second["name"], second["training_runs"], second["last_run"]) == ("Default", 0, None)


def test_experiment_lists_its_training_runs_newest_first(filled, kedro_explore):
    runs = rows(kedro_explore(filled, "--experiment-id", "1", "--format", "json"))
    assert [run["run_name"][-1] for run in runs] == ["2", "1", "0"]
    assert [run["status"] for run in runs] == ["FAILED", "FINISHED", "FINISHED"]
    last = runs[-1]
    assert (last["stores"], last["avg_r2"], last["avg_smape"]) == (3, 0.7, 22.5)
    assert (last["success_rate"], last["training_mode"]) == (66.7, "full")
    assert 0 <= last["duration_seconds"] < 60


def test_best_models_are_finished_ones_by_r2(filled, kedro_explore):
    best = rows(kedro_explore(filled, "--best-models", "--format", "json"))
    assert [run["avg_r2"] for run in best["training_runs"]] == [0.7, 0.6]
    models = best["store_models"]
    assert [model["test_r2"] for model in models] == [0.95, 0.9, 0.89, 0.88]
    assert models[1]["store_id"] == "CJGRO_0000"
    assert models[1]["model_quality"] == "EXCELENTE"
    assert (models[1]["test_smape"], models[1]["test_wape"]) == (10.0, 14.0)
    run_id = models[1]["model_uri"].removeprefix("runs:/").removesuffix("/model")
    run = MlflowClient(tracking_uri=filled).get_run(run_id)
    assert run.data.tags["store_id"] == "CJGRO_0000"


def test_top_limits_and_store_filters(filled, kedro_explore):
    arguments = ["--best-models", "--format", "json"]
    assert len(rows(kedro_explore(filled, *arguments, "--top", "1"))["store_models"]) == 1
    (only,) = rows(kedro_explore(filled, *arguments, "--store", "CJGRO_0001"))["store_models"]
    assert only["store_id"] == "CJGRO_0001"


def test_store_shows_its_history_failed_runs_too(filled, kedro_explore):
    history = rows(kedro_explore(filled, "--store", "CJGRO_0009", "--format", "json"))
    assert [run["status"] for run in history] == ["FAILED"] * 3
    assert history[0]["failure_reason"] == "ValueError: all days are zero"
    assert history[0]["model_uri"] is None
    assert [run["training_run_name"][-1] for run in history] == ["2", "1", "0"]
    trainings = rows(kedro_explore(filled, "--experiment-id", "1", "--format", "json"))
    assert [run["training_run"] for run in history] == [run["run_id"] for run in trainings]


def test_history_says_how_each_training_did(filled, kedro_explore):
    (run,) = rows(kedro_explore(filled, "--store", "CJGRO_0001", "--format", "json"))
    assert (run["training_run_name"], run["champion"]) == ("Training_Pipeline_1", "direct")
    assert (run["model_quality"], run["test_r2"], run["test_smape"]) == ("BUENO", 0.89, 11.0)
    assert (run["test_wape"], run["test_bias"], run["coverage_80"]) == (14.0, -2.5, 82.0)


def test_a_parent_tag_that_is_no_run_id_reaches_no_filter(filled, kedro_explore):
    (run,) = rows(kedro_explore(filled, "--store", "stray", "--format", "json"))
    assert (run["training_run_name"], run["training_run"]) == (None, NO_RUN_ID)


def test_store_with_a_hostile_id_finds_itself_alone(filled, kedro_explore):
    (only,) = rows(kedro_explore(filled, "--store", HOSTILE, "--format", "json"))
    assert only["store_id"] == HOSTILE


def test_table_is_aligned_and_holds_no_escape_sequences(filled, kedro_explore):
    result = kedro_explore(filled, "--best-models")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    lines = result.stdout.splitlines()
    assert lines[0] == "Training runs"
    assert lines[1].startswith("run_id ")
    assert "Store models" in lines
    assert "0.950" in result.stdout


def test_csv_holds_one_table(filled, kedro_explore):
    result = kedro_explore(filled, "--best-models", "--format", "csv")
    models = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [model["test_r2"] for model in models] == ["0.95", "0.9", "0.89", "0.88"]


def test_unknown_experiment_is_one_clear_error(filled, kedro_explore):
    result = kedro_explore(filled, "--experiment-id", "77")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "Error: found no experiment with id '77'; expected one of "
        f"0 (Default), 1 ({EXPERIMENT}). `kedro explore` lists them\n"
    )


@pytest.mark.parametrize("extra", [(), ("--best-models",)])
def test_unknown_store_is_one_clear_error(filled, kedro_explore, extra):
    result = kedro_explore(filled, "--store", "nobody", *extra, "--format", "csv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: found no run of the store 'nobody'; expected a store that has been trained\n"
    )


@pytest.mark.parametrize("given", ["9", "cjgro_0009", "OTHER_0009", "CJGRO_0008", "CJGRO_000"])
def test_unknown_store_is_told_the_nearest_of_the_last_run(filled, kedro_explore, given):
    result = kedro_explore(filled, "--store", given, "--top", "1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"found no run of the store {given!r}; " in result.stderr
    assert "been trained. There is CJGRO_00" in result.stderr
    assert "CJGRO_0009" in result.stderr


def test_unknown_store_with_a_hostile_id_is_named_harmlessly(filled, kedro_explore):
    result = kedro_explore(filled, "--store", "%' OR '1' = '1\x1b[2J")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "found no run of the store " in result.stderr
    assert "There is" not in result.stderr
    assert "\x1b" not in result.stderr


def test_store_of_the_data_that_no_run_has_trained_is_told_from_an_unknown_one(filled, tmp_path):
    (tmp_path / "03_primary").mkdir()
    stores = pd.DataFrame({"store_id": ["CJGRO_329", "CJGRO_0001"], "days": [9, 9]})
    stores.to_parquet(tmp_path / "03_primary" / "stores.parquet")
    there = explore.Stores(filled, outputs=tmp_path)
    with pytest.raises(TrackingError, match="'CJGRO_329', which is in the data of the last run; "):
        explore.answer(there, explore.Question(store_id="CJGRO_329"))
    with pytest.raises(TrackingError, match="'CJGRO_32'; expected"):
        explore.answer(there, explore.Question(store_id="CJGRO_32"))
    assert explore.answer(there, explore.Question(store_id="CJGRO_0001")).tables["store_runs"]


def test_file_of_stores_is_the_one_of_the_catalog():
    catalog = (ROOT / "conf" / "base" / "catalog_data_processing.yml").read_text("utf-8")
    assert f"/{explore._STORES_FILE.as_posix()}\n" in catalog


@pytest.mark.parametrize(
    ("arguments", "pair"),
    [
        (("--compare", "a", "b", "--store", "x"), "--compare and --store"),
        (("--compare", "a", "b", "--best-models"), "--best-models and --compare"),
        (("--compare", "a", "b", "--champion"), "--compare and --champion"),
        (("--champion", "--best-models"), "--best-models and --champion"),
        (("--champion", "--experiment-id", "1"), "--champion and --experiment-id"),
        (("--champion", "--store", "x"), "--champion and --store"),
        (("--serve", "--store", "x"), "--serve and --store"),
        (("--serve", "--champion"), "--champion and --serve"),
        (("--serve", "--top", "3"), "--serve and --top"),
        (("--serve", "--format", "table"), "--serve and --format"),
    ],
)
def test_options_that_ask_for_different_things_are_refused(kedro_explore, arguments, pair):
    result = kedro_explore("sqlite:////nowhere/mlflow.db", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(f"\nError: {pair} do not go together.\n")


@pytest.mark.parametrize("option", [("--port", "3"), ("--host", "127.0.0.1")])
@pytest.mark.parametrize("others", [(), ("--champion",)])
def test_options_of_the_server_are_refused_without_it(kedro_explore, option, others):
    result = kedro_explore("sqlite:////nowhere/mlflow.db", *option, *others)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(f"\nError: {option[0]} goes with --serve alone.\n")


def test_store_can_be_narrowed_to_an_experiment(filled, kedro_explore):
    arguments = ["--store", "CJGRO_0009", "--format", "json", "--experiment-id"]
    assert len(rows(kedro_explore(filled, *arguments, "1"))) == 3
    elsewhere = kedro_explore(filled, *arguments, "0")
    assert (elsewhere.exit_code, elsewhere.stdout) == (1, "")
    assert "found no run of the store 'CJGRO_0009' in experiment 0; " in elsewhere.stderr


def test_store_that_always_failed_has_no_best_model(filled, kedro_explore):
    result = kedro_explore(filled, "--best-models", "--store", "CJGRO_0009")
    assert result.exit_code == 0
    assert result.stderr == "The store 'CJGRO_0009' has no finished run with a model\n"


def test_experiment_without_training_runs_says_so(filled, kedro_explore):
    result = kedro_explore(filled, "--experiment-id", "0", "--format", "json")
    assert (result.stdout, result.stderr) == ("[]\n", "Nothing found: training runs\n")


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_empty_store_says_what_to_run_and_stays_empty(tmp_path, kedro_explore, form):
    file = tmp_path / "mlflow.db"
    result = kedro_explore(f"sqlite:///{file}", "--best-models", "--format", form)
    assert result.exit_code == 0
    assert "kedro run" in result.stderr
    assert result.stdout == ("[]\n" if form == "json" else "")
    assert not file.exists()


def test_unreachable_server_is_one_clear_error(kedro_explore, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    result = kedro_explore("http://me:secret@127.0.0.1:1")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: found no usable MLflow tracking store at http://127.")
    assert "secret" not in result.output


def test_unknown_environment_is_one_clear_error(filled, kedro_explore):
    result = kedro_explore(filled, "--env", "nowhere")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: found no environment 'nowhere' in ")


def test_serve_becomes_the_ui_on_loopback(filled, kedro_explore, monkeypatch):
    started = []

    def become(_, command, variables):
        started.append((command[1:], variables["MLFLOW_BACKEND_STORE_URI"]))

    monkeypatch.setattr(explore.os, "execve", become)
    assert kedro_explore(filled, "--serve").exit_code == 0
    assert kedro_explore(filled, "--serve", "--port", "5055").exit_code == 0
    command = ["-m", "mlflow", "ui", "--host", "127.0.0.1", "--port"]
    assert started == [([*command, "5000"], filled), ([*command, "5055"], filled)]


def test_serve_points_to_the_ui_of_a_server(kedro_explore):
    result = kedro_explore("http://me:secret@mlflow.example:5000", "--serve")
    assert result.stdout == "The tracking server has its own UI: http://mlflow.example:5000\n"


def test_forecasting_error_is_found_behind_what_it_caused():
    cause = InputError("a", "b")
    try:
        try:
            raise cause
        except InputError as error:
            raise DatasetError("failed while loading") from error
    except DatasetError as error:
        assert forecasting_error(error) is cause
    assert forecasting_error(ValueError("x")) is None


def test_clear_errors_logs_the_traceback_at_debug(caplog, monkeypatch):
    caplog.set_level(logging.DEBUG, "lifemiles_forecasting")
    with pytest.raises(click.ClickException, match="found a; expected b"), clear_errors():
        raise InputError("a", "b")
    assert "Traceback" in caplog.text
    monkeypatch.setenv("LIFEMILES_TRACEBACK", "1")
    with pytest.raises(InputError), clear_errors():
        raise InputError("a", "b")


def test_check_pipelines_names_the_nearest():
    check_pipelines(["__default__", "modeling"])
    with pytest.raises(ConfigError, match="Did you mean 'modeling'"):
        check_pipelines(["modelling"])
