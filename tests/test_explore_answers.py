"""`kedro explore` gives the same answers from a SQLite file and through a server of MLflow."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.cli import cli
from lifemiles_forecasting.explore import Question, Stores, answer, find_stores
from lifemiles_forecasting.tracking.entities import params_of
from lifemiles_forecasting.tracking.names import REGISTERED_MODEL
from lifemiles_forecasting.tracking.run_record import write_record
from lifemiles_forecasting.tracking.store import tune_sqlite
from lifemiles_forecasting.tracking.store_runs import StoreRunWriter
from lifemiles_forecasting.tracking.synthetic import synthetic_record, synthetic_store_run

ROOT = Path(__file__).parents[1]
HOSTILE = "x' OR tags.run_level = 'store\x1b[2J"
PATIENCE = 60  # seconds for a server to start
WAPES = {
    "monday": {0: 10.0, 1: 20.0, 2: 30.0, 3: 40.0, 5: 50.0},
    "tuesday": {0: 10.0, 1: 18.0, 2: 25.0, 3: 41.5, 6: 60.0},
}


def train(client, name, status="FINISHED", avg_r2=0.6, **params):
    run = client.create_run("1", run_name=name, tags={"run_level": "pipeline"})
    client.log_batch(run.info.run_id, params=params_of(params))
    stores = [synthetic_store_run(number) for number in WAPES.get(name, ())]
    runs = [
        replace(store, metrics={**store.metrics, "test_wape": wape})
        for store, wape in zip(stores, WAPES.get(name, {}).values(), strict=True)
    ]
    if runs:
        odd = replace(runs[0], store_id=HOSTILE)
        StoreRunWriter(client, run).write_all([*runs, odd, synthetic_store_run(4, failed=True)])
    write_record(client, run.info.run_id, synthetic_record(avg_r2))
    client.set_terminated(run.info.run_id, status)
    return run.info


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """Two nights of training that are alike, one of another target that failed, two versions."""
    folder = tmp_path_factory.mktemp("answers")
    tune_sqlite()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    client.create_experiment("Training", artifact_location=(folder / "mlruns").as_uri())
    same = {"target": "billings", "horizon": 28}
    runs = [
        train(client, "monday", seed=1, **same),
        train(client, "tuesday", avg_r2=0.62, seed=2, **same),
    ]
    other = train(client, "other", "FAILED", seed=1, **same | {"target": "miles", "horizon": 7})
    client.set_tag(other.run_id, "test_window", "2017-12-25/2017-12-31")
    client.set_tag(other.run_id, "data_fingerprint", "ab12" * 16)
    client.create_registered_model(REGISTERED_MODEL)
    for run, alias in zip(runs, ("champion", "challenger"), strict=True):
        tags = {"gate_status": f"that of the {alias}", "gate_reasons": "wape; bias"}
        source = f"{run.artifact_uri}/model"
        made = client.create_model_version(REGISTERED_MODEL, source, run.run_id, tags)
        client.set_registered_model_alias(REGISTERED_MODEL, alias, made.version)
    return uri


@pytest.fixture(scope="module")
def server(tracked, tmp_path_factory):
    """An MLflow server on a free port of 127.0.0.1, in front of the same database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", tracked]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    log = tmp_path_factory.mktemp("server") / "log"
    # without the nine processes that MLflow keeps for jobs of its own
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            deadline = time.monotonic() + PATIENCE
            while not answers(f"{url}/health"):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE)


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except (urllib.error.URLError, TimeoutError):
        return False
    return True


@pytest.fixture(params=["file", "server"])
def explore(request, tracked, monkeypatch):
    uri = tracked if request.param == "file" else request.getfixturevalue("server")
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    configure_project("lifemiles_forecasting")

    def run(*arguments):
        return CliRunner().invoke(cli, ["explore", *arguments], catch_exceptions=False)

    return run


def content(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_compare_shows_the_runs_side_by_side(explore):
    result = explore("--compare", "monday", "tuesday", "--format", "json")
    tables = content(result)
    assert list(tables) == ["runs", "store_changes", "metrics", "differing_parameters", "stores"]
    assert [(run["run"], run["run_name"]) for run in tables["runs"]] == [
        ("a", "monday"),
        ("b", "tuesday"),
    ]
    assert tables["runs"][0]["test_window"] == "2017-12-04/2017-12-31"
    metrics = {row["metric"]: row for row in tables["metrics"]}
    assert metrics["avg_r2"] == {
        "metric": "avg_r2",
        "a": 0.6,
        "b": 0.62,
        "difference": pytest.approx(0.02),
        "better": "b",
    }
    assert metrics["wape"]["better"] == "same"
    assert tables["differing_parameters"] == [{"parameter": "seed", "a": "1", "b": "2"}]
    assert result.stderr == (
        "The runs are over different stores (7 and 7, 6 in both): their metrics are averages over "
        "different stores\n"
    )


def test_compare_lists_the_stores_that_got_better_or_worse(explore):
    tables = content(explore("--compare", "monday", "tuesday", "--format", "json"))
    assert tables["store_changes"] == [
        {
            "stores": 8,
            "better": 2,
            "worse": 1,
            "same": 2,
            "not_measured": 1,
            "only_in_a": 1,
            "only_in_b": 1,
            "median_difference": 0.0,
        }
    ]
    shown = [(row["store_id"], row["change"], row["difference"]) for row in tables["stores"]]
    assert shown == [
        ("CJGRO_0002", "better", -5.0),
        ("CJGRO_0001", "better", -2.0),
        ("CJGRO_0003", "worse", 1.5),
        ("CJGRO_0004", "not measured", None),
        ("CJGRO_0005", "only in a", None),
        ("CJGRO_0006", "only in b", None),
    ]
    assert tables["stores"][0] == {
        "store_id": "CJGRO_0002",
        "change": "better",
        "test_wape_a": 30.0,
        "test_wape_b": 25.0,
        "difference": -5.0,
        "test_r2_a": 0.88,
        "test_r2_b": 0.88,
        "quality_a": "REGULAR",
        "quality_b": "REGULAR",
    }
    few = content(explore("--compare", "monday", "tuesday", "--format", "json", "--top", "1"))
    assert [row["store_id"][-1] for row in few["stores"]] == ["2", "3", "4", "5", "6"]
    assert few["store_changes"] == tables["store_changes"]


def test_compare_as_csv_is_the_stores_and_as_table_has_all(explore):
    result = explore("--compare", "monday", "tuesday", "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [line["store_id"] for line in lines][:2] == ["CJGRO_0002", "CJGRO_0001"]
    table = explore("--compare", "monday", "tuesday").stdout
    assert "Differing parameters\nparameter  a  b\n---------  -  -\nseed       1  2\n" in table
    assert "run_name          monday " in table
    assert "\x1b" not in table


def test_compare_warns_of_runs_that_are_not_comparable(explore):
    result = explore("--compare", "monday", "other", "--format", "json")
    tables = content(result)
    assert result.stderr == (
        "Run b is FAILED: its figures may be incomplete\n"
        "The runs are not comparable: they differ in target (billings and miles), "
        "horizon (28 and 7), data fingerprint (5e1f5e1f5e1f5e1f5e1f5e1f and "
        "ab12ab12ab12ab12ab12ab12), test window (2017-12-04/2017-12-31 and 2017-12-25/2017-12-31)\n"
        "Run b has no stores\n"
    )
    differing = {row["parameter"] for row in tables["differing_parameters"]}
    assert differing == {"target", "horizon"}
    assert tables["store_changes"][0]["only_in_a"] == 7


def test_compare_with_an_unknown_run_is_one_clear_error(explore):
    result = explore("--compare", "monday", "sunday")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: found no training run 'sunday'; expected a run id, ")
    elsewhere = explore("--compare", "monday", "tuesday", "--experiment-id", "0")
    assert elsewhere.stderr.startswith("Error: found no training run 'monday'; expected a run id, ")


def test_compare_takes_the_beginning_of_a_run_id(explore):
    trainings = content(explore("--experiment-id", "1", "--format", "json"))
    ids = [run["run_id"][:10] for run in trainings if run["run_name"] in WAPES]
    tables = content(explore("--compare", *ids, "--format", "json"))
    assert [run["run_name"] for run in tables["runs"]] == ["tuesday", "monday"]


def test_champion_stands_beside_its_challenger(explore):
    champion, challenger = content(explore("--champion", "--format", "json"))
    assert (champion["alias"], champion["run_name"]) == ("champion", "monday")
    assert (challenger["alias"], challenger["run_name"]) == ("challenger", "tuesday")
    assert champion["model_uri"] == f"models:/{REGISTERED_MODEL}@champion"
    assert challenger["gate_status"] == "that of the challenger"
    table = explore("--champion")
    assert table.stderr == ""
    lines = table.stdout.splitlines()
    assert lines[:2] == ["Versions", lines[1]]
    assert lines[1].split() == ["alias", "champion", "challenger"]
    assert any(line.split() == ["avg_r2", "0.600", "0.620"] for line in lines)
    text = explore("--champion", "--format", "csv").stdout
    assert [line["version"] for line in csv.DictReader(io.StringIO(text))] == ["1", "2"]


def test_other_questions_have_the_same_answers_through_a_server(tracked, explore, monkeypatch):
    questions = [
        (),
        ("--experiment-id", "1"),
        ("--best-models", "--top", "3"),
        ("--store", "CJGRO_0001"),
        ("--store", HOSTILE),
        ("--store", "0002"),
    ]
    found = [explore(*question, "--format", "json") for question in questions]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracked)
    for question, result in zip(questions, found, strict=True):
        of_file = explore(*question, "--format", "json")
        assert (result.stdout, result.stderr) == (of_file.stdout, of_file.stderr)
    assert len(content(found[3])) == len(content(found[4])) == 2
    assert found[5].stderr.endswith("store that has been trained. There is CJGRO_0002\n")


def test_registry_may_be_elsewhere(tracked, tmp_path):
    registry = f"sqlite:///{tmp_path / 'registry.db'}"
    client = MlflowClient(tracked, registry)
    run = client.search_runs(["1"], "attributes.run_name = 'tuesday'")[0].info
    client.create_registered_model(REGISTERED_MODEL)
    client.create_model_version(REGISTERED_MODEL, f"{run.artifact_uri}/model", run.run_id)
    client.set_registered_model_alias(REGISTERED_MODEL, "champion", "1")
    found = answer(Stores(tracked, registry), Question(champion=True))
    (champion,) = found.tables["versions"]
    assert (champion["run_name"], champion["avg_r2"]) == ("tuesday", 0.62)
    assert found.remarks == []


def test_registry_of_the_configuration_is_found(copy_project, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    configure_project("lifemiles_forecasting")
    folder = copy_project(tmp_path).folder
    assert find_stores(folder, None) == Stores(
        f"sqlite:///{folder}/mlflow.db", outputs=folder / "data"
    )
    settings = "server: {mlflow_registry_uri: 'sqlite:///models.db'}"
    (folder / "conf" / "local" / "mlflow.yml").write_text(settings)
    assert find_stores(folder, None).registry == f"sqlite:///{folder}/models.db"


@pytest.mark.parametrize("form", ["table", "json", "csv"])
@pytest.mark.parametrize("explore", ["file"], indirect=True)
def test_without_a_registered_model_champion_says_what_to_run(tmp_path, explore, monkeypatch, form):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    result = explore("--champion", "--format", form)
    assert (result.exit_code, result.stdout) == (0, "[]\n" if form == "json" else "")
    assert result.stderr == (
        "No version of the model lifemiles_store_forecaster is champion yet. `kedro run` without "
        "max_stores registers one.\n"
    )
    assert list(tmp_path.iterdir()) == []
