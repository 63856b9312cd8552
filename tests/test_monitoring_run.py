"""`kedro run --pipelines=monitoring` in real processes: trained four weeks ago, judged today."""

from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

SAMPLE = Path(__file__).parents[1] / "data" / "01_raw" / "transactions"
TRAINED_UNTIL, SCORED_FROM, LAST = "2017-10-03", "2017-10-17", "2017-10-31"  # 28 days, 14 days
AMOUNT = "Facturación"
CODES = dict.fromkeys(("store_id", "partner_code", "store_code", "value"), str)
# what is tested is the monitoring: two candidates without learning are enough to train
SMALL = "modeling: {workers: 1, candidates: [base, ets]}\ngate: {max_bias: 1000}\n"


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Seven months of the sample's largest stores of two partners."""
    folder = tmp_path_factory.mktemp("raw")
    files = sorted(SAMPLE.glob("*.csv.gz"))[3:10]
    months = [pd.read_csv(file, dtype=str, keep_default_na=False) for file in files]
    rows = pd.concat(months)
    rows = rows[rows["Partner Code"].isin(["CJGRO", "CJFRE"])]
    size = rows.groupby(["Partner Code", "Store Code"]).size().sort_values(kind="stable")
    largest = size.groupby("Partner Code").tail(16).index
    kept = pd.MultiIndex.from_frame(rows[["Partner Code", "Store Code"]]).isin(largest)
    rows[kept].to_csv(folder / "rows.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def grown(raw, tmp_path_factory):
    """The same transactions, but one store sells three times as much after the training."""
    folder = tmp_path_factory.mktemp("grown")
    rows = pd.read_csv(raw / "rows.csv", dtype=str, keep_default_na=False)
    store = rows.groupby(["Partner Code", "Store Code"]).size().idxmax()
    hit = (rows["Partner Code"] == store[0]) & (rows["Store Code"] == store[1])
    hit &= rows["Process Date"] > TRAINED_UNTIL
    rows.loc[hit, AMOUNT] = (3 * rows.loc[hit, AMOUNT].astype(float)).map("{:.2f}".format)
    rows.to_csv(folder / "rows.csv", index=False)
    return folder, "_".join(store)


class Monitored:
    """A project that was trained until TRAINED_UNTIL, and what monitoring says of it."""

    def __init__(self, project):
        self.project = project
        self.client = MlflowClient(tracking_uri=project.tracking_uri)

    def run(self, *arguments):
        result = self.project.kedro("run", *arguments)
        assert result.returncode == 0, result.stderr
        assert result.stdout == ""
        return result

    def monitor(self, folder):
        return self.run("--pipelines=monitoring", f"--params=raw_transactions={folder}")

    def frame(self, name):
        path = self.project.output(name)
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=CODES, keep_default_na=False, na_values=[""])

    def drift(self):
        return self.frame("08_reporting/monitoring/drift.csv").set_index("store_id")

    def runs(self):
        return self.client.search_runs(["1"], "tags.run_level = 'monitoring'")


@pytest.fixture(scope="module")
def healthy(copy_project, raw, tmp_path_factory):
    monitored = Monitored(copy_project(tmp_path_factory.mktemp("monitored")))
    (monitored.project.folder / "conf" / "local" / "parameters.yml").write_text(SMALL)
    monitored.run(f"--params=raw_transactions={raw},as_of={TRAINED_UNTIL}")
    monitored.trained = monitored.frame("03_primary/panel.parquet")
    scoring = f"--params=raw_transactions={raw},as_of={SCORED_FROM}"
    monitored.run("--pipelines=forecasting", scoring)
    monitored.result = monitored.monitor(raw)
    monitored.files = {
        name: monitored.frame(f"08_reporting/monitoring/{name}.csv")
        for name in ("accuracy", "drift")
    }
    return monitored


def by_hand(rows):
    """WAPE, bias and coverage, in plain pandas."""
    away = rows["forecast"] - rows["y"]
    held = {
        f"coverage_{level}": 100
        * rows["y"].between(rows[f"lower_{level}"], rows[f"upper_{level}"]).mean()
        for level in (80, 95)
    }
    total = rows["y"].sum()
    return {"wape": 100 * away.abs().sum() / total, "bias": 100 * away.sum() / total, **held}


def test_accuracy_equals_plain_pandas_on_the_raw_rows(healthy, raw):
    rows = pd.read_csv(raw / "rows.csv", dtype=str, keep_default_na=False)
    rows["y"] = rows[AMOUNT].astype(float)
    rows["store_id"] = rows["Partner Code"] + "_" + rows["Store Code"]
    rows["date"] = pd.to_datetime(rows["Process Date"])
    sold = rows.groupby(["store_id", "date"])["y"].sum().reset_index()
    trained = healthy.frame("07_model_output/forecasts.parquet")
    scored = healthy.frame("07_model_output/scoring/forecasts.parquet")
    one, every = (
        forecasts.merge(sold, how="left", on=["store_id", "date"]).fillna({"y": 0.0})
        for forecasts in (trained, pd.concat([trained, scored[scored["date"] <= LAST]]))
    )
    week = ((every["horizon"] - 1) // 7 + 1).astype(str)
    expected = {("overall", "all"): one}
    expected |= {("horizon_week", value): part for value, part in every.groupby(week)}
    expected |= {("partner", value): part for value, part in one.groupby("partner_code")}
    expected |= {("store", value): part for value, part in one.groupby("store_id")}
    found = healthy.files["accuracy"].set_index(["group", "value"])
    assert set(found.index) == set(expected)
    for place, part in expected.items():
        assert found.loc[place, "points"] == len(part)
        for name, number in by_hand(part).items():
            assert found.loc[place, name] == pytest.approx(number), (place, name)


def test_healthy_fleet_is_left_in_peace(healthy):
    drift = healthy.files["drift"]
    assert len(drift) == 32
    assert set(drift["status"]) == {"judged"}
    assert drift["error_before"].notna().all()
    assert not drift["drifted"].any()
    assert "0 of 32 stores have drifted; 0 of them need training." in healthy.result.stderr


@pytest.fixture(scope="module")
def strayed(healthy, grown):
    """What monitoring says of the store that has grown, its id, and where its rows are."""
    folder, store = grown
    healthy.monitor(folder)
    return healthy.drift(), store, folder


def test_store_that_sells_three_times_as_much_is_named(healthy, strayed):
    drift, store, _ = strayed
    assert drift.index[drift["drifted"]].tolist() == [store]
    line = drift.loc[store]
    assert line["retrain"]
    assert "sells more than forecast" in line["reasons"]
    assert line["level_now"] / line["level_before"] == pytest.approx(3, rel=0.4)
    page = healthy.project.output("08_reporting/monitoring/monitoring.html").read_text()
    assert "vende más de lo pronosticado" in page


def test_training_that_the_gate_refuses_changes_no_verdict(healthy, strayed):
    """It has trained the store within the period, but for a model that is not in charge."""
    before, store, folder = strayed
    assert before["retrain"][store]
    refused = f"raw_transactions={folder},as_of={SCORED_FROM},data_root=refused,gate.max_bias=0"
    healthy.run(f"--params={refused}")
    newest = healthy.client.search_runs(["1"], "tags.run_level = 'pipeline'")[0]
    assert newest.data.tags["model_role"] == "challenger"
    healthy.monitor(folder)
    pd.testing.assert_frame_equal(healthy.drift(), before)
    assert healthy.runs()[0].data.tags["runs_stand_in"] == "false"


def test_run_has_its_metrics_and_files(healthy):
    run = healthy.runs()[-1]  # the first one
    accuracy = healthy.files["accuracy"].iloc[0]
    assert run.info.status == "FINISHED"
    assert run.info.run_name.startswith("Monitoring_20")
    for name in ("wape", "bias", "coverage_80", "coverage_95"):
        assert run.data.metrics[name] == pytest.approx(accuracy[name])
    counts = (
        "stores_measured",
        "stores_judged",
        "drifted_stores",
        "stores_to_retrain",
        "runs_read",
    )
    assert [run.data.metrics[name] for name in counts] == [32, 32, 0, 0, 2]
    assert run.data.metrics["skill_vs_naive"] > 0
    assert run.data.metrics["forecasts_untested"] == 32 * 14  # of the scoring run
    assert run.data.params["monitoring.days"] == "28"
    files = {file.path for file in healthy.client.list_artifacts(run.info.run_id)}
    assert files == {"accuracy.csv", "drift.csv", "monitoring.html"}


def test_nothing_of_the_training_is_overwritten(healthy):
    pd.testing.assert_frame_equal(healthy.frame("03_primary/panel.parquet"), healthy.trained)
    newer = healthy.frame("03_primary/monitoring/panel.parquet")
    assert newer["date"].max() == pd.Timestamp(LAST)
