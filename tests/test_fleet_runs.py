"""The life of the registered model in real runs: trained, judged, scored, retrained in part."""

import json
import os
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from mlflow.tracking import MlflowClient
from small_models import small_models

from lifemiles_forecasting.cli import cli
from lifemiles_forecasting.tracking.names import REGISTERED_MODEL
from lifemiles_forecasting.tracking.registry import Registry

UNTIL, HORIZON = "2017-12-03", 14
NUMBERS = ["forecast", "lower_80", "upper_80", "lower_95", "upper_95"]
CODES = dict.fromkeys(("store_id", "partner_code", "store_code"), str)
# few stores prove little: what is tested here is what the gate does, not where its bounds lie
SMALL = {
    "modeling": {
        **small_models(),
        "workers": 1,
        "n_windows": 2,
        "candidates": ["base", "direct", "ridge"],
    },
    "gate": {"max_bias": 1000},
}


class Life:
    """A project and its registry."""

    def __init__(self, project, raw):
        self.project, self.raw = project, raw
        self.client = MlflowClient(tracking_uri=project.tracking_uri)
        self.registry = Registry(self.client)

    def run(self, pipelines=None, **parameters):
        """`kedro run` inside this process: without the seconds of starting Python."""
        given = {"raw_transactions": str(self.raw), "horizon": HORIZON, **SMALL, **parameters}
        bootstrap_project(self.project.folder)
        with KedroSession.create(self.project.folder, runtime_params=given) as session:
            session.run(pipeline_names=pipelines)
        assert mlflow.active_run() is None

    def frame(self, name):
        path = self.project.output(name)
        return pd.read_csv(path, dtype=CODES, keep_default_na=False, na_values=[""])

    def runs(self, level):
        return self.client.search_runs(
            ["1"], f"tags.run_level = '{level}'", order_by=["attributes.start_time DESC"]
        )

    def alias(self, name):
        version = self.registry.alias(name)
        return None if version is None else int(version.version)


@pytest.fixture(scope="module")
def life(copy_project, few_stores, tmp_path_factory):
    """A first training run, four weeks before the end of the data."""
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", *(n for n in os.environ if n.startswith("LIFEMILES_"))):
            patch.delenv(name, raising=False)
        life = Life(copy_project(tmp_path_factory.mktemp("fleet")), few_stores)
        life.run(as_of=UNTIL)
        yield life
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def scored(life):
    """The same day again, without training."""
    life.run(["forecasting"], as_of=UNTIL)
    return life.frame("07_model_output/scoring/forecasts.csv")


def test_first_full_run_is_the_champion(life):
    assert life.alias("champion") == 1
    version = life.registry.version(1)
    assert version.tags["gate_status"] == "passed"
    assert version.tags["trained_until"] == UNTIL
    gate = json.loads(life.project.output("08_reporting/gate.json").read_text())
    assert gate["status"] == "passed"
    run = life.client.get_run(version.run_id)
    assert run.data.tags["model_version"] == "1"
    assert run.data.tags["model_role"] == "champion"


def test_it_is_one_logged_model_with_signature_example_and_fixed_requirements(life):
    (model,) = life.client.search_logged_models(["1"])
    info = mlflow.models.get_model_info(f"models:/{model.model_id}")
    assert [column.name for column in info.signature.inputs] == ["store_id", "horizon", "date"]
    assert info.saved_input_example_info is not None
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{model.model_id}"))
    kinds = {file.suffix for file in folder.rglob("*") if file.is_file()}
    assert kinds == {"", ".json", ".yaml", ".txt", ".npz", ".parquet", ".cbm"}
    lines = (folder / "requirements.txt").read_text().split()
    assert all("==" in line for line in lines)


def test_scoring_the_day_of_training_gives_its_forecasts(life, scored):
    trained = life.frame("07_model_output/forecasts.csv")
    np.testing.assert_allclose(scored[NUMBERS], trained[NUMBERS], rtol=0, atol=1e-9)
    others = [name for name in trained if name not in NUMBERS]
    pd.testing.assert_frame_equal(scored[others], trained[others])


def test_pyfunc_forecasts_all_stores_as_the_file_says(life, scored):
    mlflow.set_tracking_uri(life.project.tracking_uri)
    model = mlflow.pyfunc.load_model(f"models:/{REGISTERED_MODEL}@champion")
    answer = model.predict(pd.DataFrame({"store_id": scored["store_id"].unique()}))
    pd.testing.assert_frame_equal(
        answer.reset_index(drop=True), scored, check_dtype=False, rtol=0, atol=1e-9
    )


def test_scoring_run_is_tracked_by_itself(life, scored):
    run = life.runs("scoring")[-1]
    assert run.info.run_name.startswith("Scoring_")
    assert run.data.tags["model_version"] == "1"
    assert run.data.tags["retrospective"] == "false"
    assert run.data.metrics["days_since_training"] == 0
    assert run.data.metrics["stores_scored"] == scored["store_id"].nunique()
    assert run.data.metrics["forecast_total"] == pytest.approx(scored["forecast"].sum())
    files = {item.path for item in life.client.list_artifacts(run.info.run_id, "forecasts")}
    assert files == {"forecasts/forecasts.csv", "forecasts/forecasts.parquet"}


def test_nothing_odd_leaves_a_ledger_without_rows(life, scored):
    ledger = life.project.output("08_reporting/scoring/warnings.csv").read_text()
    assert ledger == "subject,stage,warning,stores\n"


def test_newer_transactions_move_the_levels(life, scored, caplog):
    kept = life.project.output("03_primary/panel.parquet").read_bytes()
    known, unknown = scored["store_id"].iloc[0], "nobody"
    life.run(["forecasting"], stores=[known, unknown], horizon=7)
    assert "1 of the stores that were asked for are unknown to the model" in caplog.text
    assert "have no forecast: nobody." in caplog.text
    ledger = life.frame("08_reporting/scoring/warnings.csv")
    assert ledger.to_numpy().tolist() == [["nobody", "scoring", "store_not_found", 1]]
    table = life.frame("07_model_output/scoring/forecasts.csv")
    assert list(table["store_id"].unique()) == [known, unknown]
    assert list(table["horizon"]) == [*range(1, 8)] * 2
    assert table["date"].iloc[0] == "2018-01-01"
    assert set(table["status"][table["store_id"] == unknown]) == {"unknown_store"}
    assert table[NUMBERS][table["store_id"] == unknown].isna().all(axis=None)
    assert life.runs("scoring")[0].data.metrics["days_since_training"] == 28
    assert life.project.output("03_primary/panel.parquet").read_bytes() == kept


def test_only_the_newest_file_is_enough(life, few_stores, tmp_path):
    """The model's own history comes before it: the forecasts are those of all files."""
    life.run(["forecasting"])
    whole = life.frame("07_model_output/scoring/forecasts.csv")
    newest = sorted(few_stores.iterdir())[-1]
    (tmp_path / newest.name).write_bytes(newest.read_bytes())
    life.run(["forecasting"], raw_transactions=str(tmp_path))
    part = life.frame("07_model_output/scoring/forecasts.csv")
    np.testing.assert_allclose(part[NUMBERS], whole[NUMBERS], rtol=0, atol=1e-9)
    assert list(part["store_id"]) == list(whole["store_id"])


def test_forecasts_of_days_that_the_model_knows_are_marked(life, caplog):
    life.run(["forecasting"], as_of="2017-11-20")
    assert life.runs("scoring")[0].data.tags["retrospective"] == "true"
    ledger = life.frame("08_reporting/scoring/warnings.csv")
    assert ledger.to_numpy().tolist() == [[UNTIL, "scoring", "retrospective", 10]]
    assert "its forecasts of earlier ones are no test of it" in caplog.text


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model_version": 77}, f"found no version 77 of {REGISTERED_MODEL}; expected one of"),
        ({"model_alias": "hopeful"}, f"found no hopeful among the versions of {REGISTERED_MODEL}"),
        ({"target": "miles"}, "found target miles and a model of billings; expected the same"),
        (
            {"stores": ["P1_999"]},
            "found parameter 'stores' with no known store: P1_999; expected at",
        ),
        ({"horizon": 60}, "found horizon 60 and a model of 14 days; expected 1 to 14"),
    ],
)
def test_what_cannot_be_scored_is_refused(life, scored, parameters, message):
    before = life.project.output("07_model_output/scoring/forecasts.csv").read_bytes()
    with pytest.raises(Exception, match=message):
        life.run(["forecasting"], **parameters)
    assert life.project.output("07_model_output/scoring/forecasts.csv").read_bytes() == before
    assert life.runs("scoring")[0].info.status == "FAILED"


def test_limited_run_is_logged_and_not_registered(life):
    count = len(life.registry.versions())
    life.run(max_stores=2, as_of="2017-11-30")
    assert len(life.registry.versions()) == count
    parent = life.runs("pipeline")[0]
    assert parent.data.tags["model_role"] == "not_registered"
    assert "trained on the 2 largest stores only" in parent.data.tags["gate_reasons"]


def test_next_run_is_measured_against_the_champion_on_the_same_days(life):
    """Bounds that nothing passes: the new version stays beside the champion, with its reasons."""
    life.run(gate={"min_success_rate": 100, "max_bias": 0, "wape_margin": 0})
    newest = life.registry.versions()[0]
    tags = newest.tags
    assert tags["gate_champion"] == "1"
    assert float(tags["gate_store_days"]) == 8 * HORIZON
    assert float(tags["gate_champion_wape"]) > 0
    assert tags["gate_status"] == "failed"
    assert "bias" in tags["gate_reasons"]
    assert life.alias("champion") == 1
    assert life.alias("challenger") == int(newest.version)
    life.run(["forecasting"], model_alias="challenger", horizon=1)
    assert life.runs("scoring")[0].data.tags["model_version"] == str(newest.version)


def test_commands_show_promote_and_roll_back(life):
    newest = int(life.registry.versions()[0].version)
    shown = life.project.kedro("models", "show", "--format=json")
    rows = json.loads(shown.stdout)
    assert [row["version"] for row in rows] == list(range(newest, 0, -1))
    assert {row["version"]: row["role"] for row in rows}[1] == "champion"
    project = bootstrap_project(life.project.folder)

    def models(*arguments):
        return CliRunner().invoke(cli, ["models", *arguments], obj=project)

    promoted = models("promote", str(newest))
    assert f"Version {newest} of {REGISTERED_MODEL} is the champion." in promoted.stderr
    assert life.alias("champion") == newest
    table = models("show").stdout
    assert [line.split()[0] for line in table.splitlines()[3:]] == [
        str(n) for n in range(newest, 0, -1)
    ]
    assert "Version 1 " in models("rollback").stderr
    assert life.alias("champion") == 1
    again = models("rollback")
    assert again.exit_code == 1
    assert "expected two to roll back to the first" in again.stderr
    assert isinstance(again.exception, SystemExit)  # one message and no traceback


def test_retrain_drifted_needs_the_monitoring(life):
    life.project.output("08_reporting/monitoring/drift.csv").unlink(missing_ok=True)
    with pytest.raises(Exception, match=r"found no drift.csv of the monitoring"):
        life.run(retrain="drifted")


def test_retrain_drifted_trains_only_those(life):
    life.run(["forecasting"])
    before = life.frame("07_model_output/scoring/forecasts.csv").set_index(["store_id", "date"])
    drifted = life.runs("store")[0].data.tags["store_id"]
    folder = life.project.output("08_reporting/monitoring")
    folder.mkdir(exist_ok=True)
    ids = before.index.get_level_values("store_id").unique()
    drift = pd.DataFrame({"store_id": ids, "retrain": ids == drifted})
    drift.to_csv(folder / "drift.csv", index=False)
    life.run(retrain="drifted")
    parent = life.runs("pipeline")[0]
    assert parent.data.tags["training_mode"] == "drifted"
    assert parent.data.metrics["total_stores_attempted"] == 1
    children = life.client.search_runs(["1"], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert [child.data.tags["store_id"] for child in children] == [drifted]
    after = life.frame("07_model_output/forecasts.csv").set_index(["store_id", "date"])
    others = after.index.get_level_values("store_id") != drifted
    np.testing.assert_allclose(after["forecast"][others], before["forecast"][others], atol=1e-9)
    assert not np.allclose(after["forecast"][~others], before["forecast"][~others])
    assert (after["status"] == before["status"]).all()
    assert life.registry.versions()[0].tags["training_mode"] == "drifted"
