"""One real `kedro run --env=quick` on the shipped sample, and everything it promises to leave."""

import gzip
import hashlib
import json
import os
import re
import signal
import socket
import time
import urllib.request
from pathlib import Path
from subprocess import STDOUT, Popen
from sys import executable

import mlflow
import numpy as np
import pandas as pd
import pytest

SAMPLE = Path(__file__).parents[1] / "data" / "01_raw" / "transactions"
HORIZON, ROWS, STORES, ATTEMPTED = 28, 289_963, 1_218, 40
FORECASTS = [
    "store_id",
    "partner_code",
    "store_code",
    "date",
    "horizon",
    "forecast",
    "lower_80",
    "upper_80",
    "lower_95",
    "upper_95",
    "status",
]
TIERS = ("excelente", "bueno", "regular", "pobre")
PARENT_METRICS = {
    *("total_stores_attempted", "successful_models", "success_rate"),
    *("avg_r2", "avg_smape", "std_r2", "std_smape", "best_r2", "best_smape"),
    *(f"quality_{tier}_{kind}" for tier in TIERS for kind in ("count", "pct")),
    *("r2_target_achieved", "smape_target_achieved"),
    *("median_r2", "wape", "wape_28d", "rmse", "mase", "bias", "coverage_80", "coverage_95"),
    *("naive_wape", "skill_vs_naive", "train_seconds", "tracking_seconds"),
    *("coverage_80_open", "coverage_95_open", "coverage_points", "coverage_ok"),
    *(f"coverage_80_week_{week}" for week in (1, 2, 3, 4)),
    *("stores_trained", "stores_reused"),
}
CHILD_METRICS = {
    *(f"{part}_{name}" for part in ("train", "test") for name in ("mae", "rmse", "r2", "smape")),
    *("n_features", "train_samples", "test_samples"),
    *("test_wape", "test_mase", "test_bias", "coverage_80"),
}
CHILD_TAGS = {
    *("run_level", "store_id", "partner_code", "store_code", "model_quality", "model_type"),
    *("training_date", "status", "champion"),
}


@pytest.fixture(scope="module")
def forecasts(trained):
    return trained.frame("07_model_output/forecasts.csv")


@pytest.fixture
def tracking(trained):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(trained.project.tracking_uri)
    yield trained.client
    mlflow.set_tracking_uri(before)


def artifacts(trained, run, folder=None):
    return {item.path for item in trained.client.list_artifacts(run.info.run_id, folder)}


def test_run_says_nothing_on_stdout_and_where_to_look(trained):
    assert trained.result.stdout == ""
    assert f"{ROWS:,} in = {ROWS:,} used + 0 quarantined" in trained.result.stderr
    last = trained.result.stderr.splitlines()[-10:]
    assert "Stores: 40 attempted" in last[0]
    assert "kedro explore --experiment-id 1" in last[-1]
    assert "Traceback" not in trained.result.stderr


def test_parent_run_has_the_name_params_and_tags_of_the_contract(trained):
    run = trained.parent
    assert re.fullmatch(r"Training_Pipeline_\d{8}_\d{6}", run.info.run_name)
    assert run.info.status == "FINISHED"
    params = run.data.params
    assert (params["max_stores"], params["min_samples"]) == ("40", "56")
    assert params["dataset_file"] == "data/01_raw/transactions"
    assert params["dataset_shape"] == str(trained.frame("03_primary/panel.parquet").shape)
    assert (params["target"], params["horizon"], params["as_of"]) == ("billings", "28", "None")
    assert params["modeling.n_windows"] == "2"
    assert params["data_processing.max_quarantined_share"] == "0.05"
    assert params["reporting.tiers.EXCELENTE.min_r2"] == "0.8"
    assert not [name for name in params if name.startswith("parameters")]  # each once
    tags = run.data.tags
    assert (tags["run_level"], tags["training_mode"]) == ("pipeline", "limited")
    assert tags["environment"] == "quick"
    balance = json.loads(trained.project.output("08_reporting/row_balance.json").read_text())
    assert tags["data_fingerprint"] == balance["data_fingerprint"] != ""
    assert {"git_commit", "git_dirty"} <= set(tags)
    backtest = trained.frame("07_model_output/backtest.parquet")
    tested = backtest.loc[backtest["origin"] == backtest["origin"].max(), "date"]
    assert tags["test_window"] == f"{tested.min():%Y-%m-%d}/{tested.max():%Y-%m-%d}"


def test_parent_run_has_every_metric_of_the_contract(trained):
    metrics = trained.parent.data.metrics
    assert set(metrics) >= PARENT_METRICS
    assert all(np.isfinite(list(metrics.values())))
    assert metrics["total_stores_attempted"] == ATTEMPTED
    assert metrics["success_rate"] == 100 * metrics["successful_models"] / ATTEMPTED
    assert sum(metrics[f"quality_{tier}_count"] for tier in TIERS) == ATTEMPTED
    assert sum(metrics[f"quality_{tier}_pct"] for tier in TIERS) == pytest.approx(100)
    assert metrics["skill_vs_naive"] > 0
    assert metrics["tracking_seconds"] / ATTEMPTED < 0.2


def test_coverage_is_judged_in_the_run_and_its_table(trained):
    table = trained.frame("08_reporting/coverage.csv")
    overall = table.iloc[0]
    metrics, tags = trained.parent.data.metrics, trained.parent.data.tags
    assert overall["points"] == ATTEMPTED * HORIZON
    assert metrics["coverage_80"] == pytest.approx(overall["coverage_80"])
    assert tags["coverage_flag"] == overall["verdict"]
    assert metrics["coverage_ok"] == (tags["coverage_flag"] == "ok")
    weeks = table[table["group"] == "horizon_week"].set_index("value")["coverage_80"]
    for week, share in weeks.items():
        assert metrics[f"coverage_80_week_{week}"] == pytest.approx(share)
    partners = set(table.loc[table["group"] == "partner", "value"])
    assert partners == {child.data.tags["partner_code"] for child in trained.children}
    assert not any(partner in name for partner in partners for name in metrics)
    logged = mlflow.artifacts.load_text(f"{trained.parent.info.artifact_uri}/coverage.csv")
    assert logged == trained.project.output("08_reporting/coverage.csv").read_text()


def test_nested_runs_hold_the_weights_and_the_champion_has_the_largest(trained):
    for run in trained.children:
        weights = {
            name.removeprefix("weight_"): value
            for name, value in run.data.metrics.items()
            if name.startswith("weight_")
        }
        assert sum(weights.values()) == pytest.approx(1)
        champion = run.data.tags["champion"]
        assert weights[champion] == max(weights.values())
        assert run.data.params["model_type"] == run.data.tags["model_type"] == champion


def test_parent_run_names_its_training_data(trained):
    (given,) = trained.parent.inputs.dataset_inputs
    assert given.dataset.name == "panel"
    assert given.dataset.digest == trained.parent.data.tags["data_fingerprint"][:36]
    assert [tag.value for tag in given.tags] == ["training"]
    names = [column["name"] for column in json.loads(given.dataset.schema)["mlflow_colspec"]]
    assert names == ["store_id", "date", "y", "transactions"]


def test_parent_run_holds_report_forecasts_and_figures(trained):
    assert artifacts(trained, trained.parent) == {
        *("report.html", "coverage.csv", "importance.csv", "gate.json", "forecasts", "figures"),
        "model_before_test",
    }
    assert artifacts(trained, trained.parent, "forecasts") == {
        "forecasts/forecasts.csv",
        "forecasts/forecasts.parquet",
    }
    assert len(artifacts(trained, trained.parent, "figures")) == 5


def test_every_attempted_store_has_a_nested_run(trained):
    ids = {run.data.tags["store_id"] for run in trained.children}
    assert len(trained.children) == len(ids) == ATTEMPTED
    attempted = trained.frame("07_model_output/attempted.parquet")
    assert ids == set(attempted["store_id"])
    table = trained.frame("08_reporting/store_metrics.csv").set_index("store_id")
    for run in trained.children:
        params, metrics, tags = run.data.params, run.data.metrics, run.data.tags
        assert run.info.run_name == f"Store {tags['store_id']}"
        assert run.info.status == "FINISHED"
        assert {"store_code", "partner_code", "n_features", "model_type"} < set(params)
        assert f"{params['partner_code']}_{params['store_code']}" == tags["store_id"]
        unknown = set(tags.get("nonfinite_metrics", "").split(", "))
        assert set(metrics) | unknown >= CHILD_METRICS
        assert set(tags) >= CHILD_TAGS
        assert (tags["run_level"], tags["status"]) == ("store", "ok")
        if "test_wape" not in unknown:  # a store that sold nothing in the test window has none
            expected = table.loc[tags["store_id"], "test_wape"]
            assert metrics["test_wape"] == pytest.approx(expected)
        assert metrics["test_samples"] == HORIZON


def test_every_nested_run_has_its_artifacts(trained):
    for run in trained.children[::10]:
        assert artifacts(trained, run) == {"model", "scaler", "feature_importance.json"}
        importance = json.loads(
            mlflow.artifacts.load_text(f"{run.info.artifact_uri}/feature_importance.json")
        )
        assert sum(importance.values()) == pytest.approx(100) or not any(importance.values())
        scaler = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/scaler/scaler.json")
        assert json.loads(scaler)["target_scale"] > 0


def test_models_give_their_rows_of_the_forecasts_back(trained, tracking, forecasts):
    for run in trained.children[:: ATTEMPTED // 3][:3]:
        model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
        got = model.predict(pd.DataFrame({"horizon": np.arange(1, HORIZON + 1)}))
        store = forecasts["store_id"] == run.data.tags["store_id"]
        expected = forecasts[store].reset_index(drop=True)
        assert len(expected) == HORIZON
        pd.testing.assert_frame_equal(
            got[FORECASTS], expected[FORECASTS], check_dtype=False, rtol=0, atol=1e-9
        )


def test_no_two_stores_share_a_model_file(trained):
    files = list((trained.project.folder / "mlruns").glob("*/artifacts/model/**/*.cbm"))
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert len(files) == len(digests) == ATTEMPTED


def test_forecasts_hold_every_store_and_day(trained, forecasts):
    assert list(forecasts.columns) == FORECASTS
    assert len(forecasts) == STORES * HORIZON
    days = pd.date_range("2018-01-01", periods=HORIZON).strftime("%Y-%m-%d")
    by_store = forecasts.groupby("store_id")
    assert by_store.ngroups == STORES
    assert (by_store["date"].agg(list).map(lambda dates: dates == list(days))).all()
    assert (by_store["horizon"].agg(list).map(lambda h: h == list(range(1, HORIZON + 1)))).all()
    assert (
        forecasts["store_id"] == forecasts["partner_code"] + "_" + forecasts["store_code"]
    ).all()


def test_forecasts_are_numbers_in_order(forecasts):
    values = forecasts[FORECASTS[5:10]]
    assert np.isfinite(values.to_numpy()).all()
    assert (values >= 0).all(axis=None)
    order = ["lower_95", "lower_80", "forecast", "upper_80", "upper_95"]
    assert (values[order].diff(axis=1).iloc[:, 1:] >= -1e-9).all(axis=None)


def test_forecasts_say_what_they_are(forecasts):
    statuses = forecasts.groupby("status")["store_id"].nunique()
    assert set(statuses.index) == {"ok", "short_history", "dormant", "fallback"}
    assert statuses["ok"] == ATTEMPTED
    dormant = forecasts[forecasts["status"] == "dormant"]
    assert (dormant["forecast"] == 0).all()


def test_forecasts_are_the_same_in_both_formats(trained, forecasts):
    parquet = trained.frame("07_model_output/forecasts.parquet")
    parquet["date"] = parquet["date"].dt.strftime("%Y-%m-%d")
    pd.testing.assert_frame_equal(parquet, forecasts, check_dtype=False, rtol=1e-12)


def test_backtest_is_long_and_complete(trained):
    backtest = trained.frame("07_model_output/backtest.parquet")
    assert list(backtest.columns) == [
        *("store_id", "origin", "date", "horizon", "candidate", "y", "y_hat")
    ]
    assert backtest["origin"].nunique() == 2
    assert set(backtest["candidate"]) >= {"base", "direct", "local_catboost", "ridge", "blend"}
    assert not backtest.isna().any(axis=None)
    ahead = (backtest["date"] - backtest["origin"]).dt.days
    assert (ahead == backtest["horizon"]).all()


def test_store_metrics_have_a_row_per_store(trained, forecasts):
    table = trained.frame("08_reporting/store_metrics.csv")
    assert sorted(table["store_id"]) == sorted(forecasts["store_id"].unique())
    assert table["attempted"].sum() == ATTEMPTED
    assert {"quality", "champion", "status", "reason", "test_wape", "weight_base"} <= set(table)
    weights = table.loc[table["attempted"], [c for c in table if c.startswith("weight_")]]
    assert np.allclose(weights.sum(axis=1), 1)


def test_every_raw_row_is_accounted_for(trained):
    balance = json.loads(trained.project.output("08_reporting/row_balance.json").read_text())
    texts = (gzip.decompress(file.read_bytes()) for file in SAMPLE.glob("*.csv.gz"))
    lines = sum(text.count(b"\n") - 1 for text in texts)
    assert lines == ROWS == balance["rows_in"] == balance["rows_used"]
    quarantine = trained.frame("02_intermediate/quarantine.parquet")
    assert len(quarantine) == balance["rows_quarantined"] == 0
    panel = trained.frame("03_primary/panel.parquet")
    assert panel["transactions"].sum() == ROWS
    raw = pd.concat(pd.read_csv(file, usecols=["Facturación"]) for file in SAMPLE.glob("*.csv.gz"))
    assert panel["y"].sum() == pytest.approx(raw["Facturación"].sum())


def test_failures_are_a_ledger_without_lines(trained):
    failures = trained.frame("08_reporting/failures.csv")
    assert list(failures.columns) == ["store_id", "stage", "error", "traceback_hash"]
    assert failures.empty


def test_report_is_one_file_that_needs_no_network(trained):
    report = trained.project.output("08_reporting/report.html")
    text = report.read_text(encoding="utf-8")
    assert text.lower().startswith("<!doctype html>")
    assert trained.parent.info.run_id in text
    assert not re.search(r"""<(script|link|img)[^>]+(src|href)=["']?(https?:)?//""", text)
    logged = mlflow.artifacts.load_text(f"{trained.parent.info.artifact_uri}/report.html")
    assert hashlib.sha256(logged.encode()).digest() == hashlib.sha256(text.encode()).digest()


def test_registry_lists_the_pipelines(trained):
    result = trained.project.kedro("registry", "list")
    assert result.returncode == 0
    for name in ("__default__", "data_processing", "leak_audit", "modeling", "reporting"):
        assert f"- {name}\n" in result.stdout


def test_viz_serves_the_pipeline_and_previews_on_loopback(trained, tmp_path):
    port = next(filter(is_free, range(24_141, 24_241)))  # Kedro-Viz takes none above 49151
    command = [executable, "-m", "kedro", "viz", "run", "--no-browser", "--port", str(port)]
    offline = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    environment = trained.project.environment(**offline, no_proxy="127.0.0.1")
    log = tmp_path / "viz.log"
    with (
        log.open("w") as sink,
        Popen(
            command,
            cwd=trained.project.folder,
            env=environment,
            stdout=sink,
            stderr=STDOUT,
            start_new_session=True,
        ) as server,
    ):
        try:
            api = f"http://127.0.0.1:{port}/api"
            main = json.loads(answer(f"{api}/main", server, log))
            names = {node["name"]: node["id"] for node in main["nodes"]}
            assert {"forecasts", "report", "panel", "run_backtest"} <= set(names)
            assert main["layers"] == [
                *("earlier_runs", "raw", "intermediate", "primary", "models"),
                *("model_output", "reporting", "tracking"),
            ]
            table = json.loads(answer(f"{api}/nodes/{names['forecasts_csv']}", server, log))
            assert table["preview"]["columns"] == FORECASTS
            figure = json.loads(answer(f"{api}/nodes/{names['figure_candidates']}", server, log))
            assert figure["preview"]["data"]
        finally:
            os.killpg(server.pid, signal.SIGTERM)  # the server is a child of the command


def is_free(port):
    with socket.socket() as candidate:
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answer(url, server, log):
    """Ask a server that is starting until there is an answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while True:
        try:
            return opener.open(url, timeout=10).read()
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
