"""Run-time parameters and environments, alone and together, on a few stores of the sample."""

import gzip
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from mlflow.tracking import MlflowClient
from small_models import as_parameters, small_models

from lifemiles_forecasting.core import parallel
from lifemiles_forecasting.core.config import Parameters, parse
from lifemiles_forecasting.core.errors import ConfigError, InputError

STORES = 10  # of `few_stores`; eight of them with models of their own
MARK = "MEMBER"


@pytest.fixture
def run(fresh_project, few_stores, monkeypatch):
    """`kedro run` inside this process: the same session, without the seconds of starting Python."""
    for name in ("MLFLOW_TRACKING_URI", *(n for n in os.environ if n.startswith("LIFEMILES_"))):
        monkeypatch.delenv(name, raising=False)

    def runner(env="quick", pipelines=None, **parameters):
        here = {"modeling.workers": 1, "modeling.store_seconds": None}
        here["modeling.candidates"] = ["base", "direct", "ridge"]  # seconds less, and of each kind
        given = {"raw_transactions": str(few_stores), **here, **parameters}
        dotted = {name: given.pop(name) for name in [*given] if name.startswith("modeling.")}
        modeling = {name.removeprefix("modeling."): value for name, value in dotted.items()}
        nested = {"modeling": small_models() | modeling, **given}
        bootstrap_project(fresh_project.folder)
        with KedroSession.create(fresh_project.folder, env=env, runtime_params=nested) as session:
            session.run(pipeline_names=pipelines)
        import mlflow

        assert mlflow.active_run() is None  # or the next run of this process would write into it
        return fresh_project

    return runner


def forecasts_of(project, data_root="data"):
    codes = dict.fromkeys(("store_id", "partner_code", "store_code"), str)
    return pd.read_csv(project.output("07_model_output/forecasts.csv", data_root), dtype=codes)


def runs_of(project, level):
    client = MlflowClient(tracking_uri=project.tracking_uri)
    return client.search_runs(["1"], f"tags.run_level = '{level}'")


def statuses(frame):
    return frame.groupby("status")["store_id"].nunique().to_dict()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"pipelines": ["modeling"]}, InputError, "^found a training without aggregate_metrics "),
        ({"stores": ["CJGRO_1"]}, ConfigError, "^found parameter 'stores' = .* takes notice"),
    ],
)
def test_training_that_cannot_be_what_was_asked_is_refused_and_not_tracked(
    run, fresh_project, given, error, message
):
    with pytest.raises(error, match=message):
        run(**given)
    assert runs_of(fresh_project, "pipeline") == runs_of(fresh_project, "partial") == []
    assert not fresh_project.output("08_reporting").exists()


def test_horizon_and_target_reach_the_forecasts_and_data_root_moves_every_output(
    run, few_stores, tmp_path
):
    elsewhere = tmp_path / "elsewhere"
    project = run(horizon=10, target="miles", data_root=str(elsewhere))
    table = forecasts_of(project, str(elsewhere))
    assert sorted(table["horizon"].unique()) == list(range(1, 11))
    panel = pd.read_parquet(elsewhere / "03_primary" / "panel.parquet")
    raw = pd.concat(pd.read_csv(file) for file in few_stores.glob("*.csv"))
    assert panel["y"].sum() == raw["Miles"].sum()
    assert (elsewhere / "08_reporting" / "report.html").is_file()
    assert list((elsewhere / "06_models" / "fits").iterdir())
    assert [path.name for path in (project.folder / "data").iterdir()] == ["01_raw"]


def test_min_samples_decides_which_stores_are_attempted(run):
    table = forecasts_of(run(min_samples=121, max_stores=None))
    panel_statuses = statuses(table)
    assert 1 <= panel_statuses["ok"] < 8
    assert sum(panel_statuses.values()) == STORES


def test_as_of_replays_the_past_and_the_plan_goes_on(run, plan):
    project = run(as_of="2017-12-28", max_stores=2, events=str(plan))
    panel = pd.read_parquet(project.output("03_primary/panel.parquet"))
    assert str(panel["date"].max().date()) == "2017-12-28"
    balance = json.loads(project.output("08_reporting/row_balance.json").read_text())
    assert balance["rows_after_as_of"] > 0
    assert forecasts_of(project)["date"].min() == "2017-12-29"
    events = pd.read_parquet(project.output("03_primary/planned_events.parquet"))
    assert events["start_date"].max() == pd.Timestamp("2018-01-12")
    (parent,) = runs_of(project, "pipeline")
    assert parent.data.params["events"] == str(plan)
    client = MlflowClient(tracking_uri=project.tracking_uri)
    for child in runs_of(project, "store"):
        file = client.download_artifacts(child.info.run_id, "feature_importance.json")
        assert {"event:Millas dobles", "event_day"} <= json.loads(Path(file).read_text()).keys()


def assert_max_stores_limits_the_models_but_not_the_forecasts(project):
    table = forecasts_of(project)
    assert table["store_id"].nunique() == STORES
    assert statuses(table)["ok"] == 2
    assert len(runs_of(project, "store")) == 2
    (parent,) = runs_of(project, "pipeline")
    assert parent.data.tags["training_mode"] == "limited"


def test_max_stores_limits_the_models_and_resume_is_the_default_and_can_be_refused(run):
    project = run(max_stores=2)
    assert_max_stores_limits_the_models_but_not_the_forecasts(project)
    ledgers, tables = [], []
    for given in (None, {}, {"resume": "false"}):  # text, as ${oc.env:...} gives it
        if given is not None:  # the first one has been made
            run(max_stores=2, **given)
        ledgers.append(pd.read_csv(project.output("08_reporting/training.csv")))
        tables.append(project.output("07_model_output/forecasts.csv").read_bytes())
    assert [set(ledger["why"]) for ledger in ledgers] == [
        {"new store"},
        {"nothing changed"},
        {"asked"},
    ]
    assert tables[0] == tables[1] == tables[2]
    trained = [run.data.metrics["stores_trained"] for run in runs_of(project, "pipeline")]
    assert sorted(trained) == [0, 2, 2]
    logged = [run.data.params["resume"] for run in runs_of(project, "pipeline")]
    assert sorted(logged) == ["False", "True", "True"]


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("resume", "n", False),
        ("resume", "false", False),
        ("horizon", 7.0, 7),
        ("max_stores", 10.0, 10),  # what 1e1 is read as
        ("seed", "7", 7),
        ("as_of", "2024-02-10T00:00:00", "2024-02-10"),
        ("modeling", {"workers": "2"}, {"workers": 2}),
    ],
)
def test_nodes_get_the_values_that_were_checked(open_project, name, given, expected):
    found = open_project(**{name: given}).catalog.load(f"params:{name}")
    if isinstance(expected, dict):
        found = {key: found[key] for key in expected}
    assert (repr(found), found) == (repr(expected), expected)  # 7.0 equals 7, and indexes nothing


@pytest.mark.parametrize("env", ["base", "quick", "cluster", "postgres"])
def test_checked_values_are_understood_as_themselves(open_project, env):
    """Nodes parse their group once more, and MLflow logs what they are given."""
    handed_on = open_project(env=env).params
    assert parse(Parameters, handed_on).model_dump(mode="json") == handed_on


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Campaigns of one partner, packed, and one of a partner that is not in the data."""
    file = tmp_path_factory.mktemp("plan") / "events.csv.gz"
    days = ["2017-09-15", "2017-10-13", "2017-11-10", "2017-12-08", "2018-01-12"]
    rows = [f"CJGRO,,{day},{day},Millas dobles,2" for day in days]
    rows += ["00NA,,2017-12-01,2017-12-03,Millas dobles,2"]
    header = "partner_code,store_code,start_date,end_date,name,value"
    file.write_bytes(gzip.compress("\n".join([header, *rows]).encode()))
    return file


@pytest.fixture(scope="module")
def marked(few_stores, tmp_path_factory):
    """The same stores with members that cannot be mistaken for a number, and one damaged row."""
    folder = tmp_path_factory.mktemp("marked")
    for file in few_stores.glob("*.csv"):
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        rows["Membership Number"] = MARK + rows["Membership Number"]
        rows.loc[rows.index[:1], "Local Amount"] = "twelve"
        rows.to_csv(folder / file.name, index=False)
    return folder


@pytest.fixture(scope="module")
def together(marked, plan, tmp_path_factory, copy_project):
    """Every parameter at once, as a real command."""
    project = copy_project(tmp_path_factory.mktemp("together"))
    given = (
        "max_stores=3,target=local_amount,horizon=14,min_samples=40,as_of=2017-12-20,"
        f"data_root=moved,raw_transactions={marked},events={plan},{as_parameters()}"
    )
    result = project.kedro("run", "--env=cluster", f"--params={given}", SLURM_CPUS_PER_TASK="1")
    assert result.returncode == 0, result.stderr
    return project


def test_all_parameters_work_together(together):
    table = forecasts_of(together, "moved")
    assert table["store_id"].nunique() <= STORES
    assert statuses(table)["ok"] == 3
    assert table["date"].min() == "2017-12-21"
    assert table["horizon"].max() == 14
    assert not together.output("07_model_output").exists()
    (parent,) = runs_of(together, "pipeline")
    expected = {
        "max_stores": "3",
        "target": "local_amount",
        "horizon": "14",
        "min_samples": "40",
        "data_root": "moved",
        "modeling.workers": "1",
        "modeling.n_windows": "3",
    }
    assert expected.items() <= parent.data.params.items()
    assert parent.data.params["as_of"].startswith("2017-12-20")
    assert parent.data.tags["environment"] == "cluster"


def test_warnings_are_in_their_ledger_in_the_log_and_in_the_report(together):
    table = pd.read_csv(together.output("08_reporting/warnings.csv", "moved"), dtype=str)
    plan = table[table["stage"] == "events"]
    assert plan.to_dict("records") == [
        {"subject": "00NA", "stage": "events", "warning": "unknown_partner", "stores": "0"}
    ]
    early = table[table["stage"] == "weights"]  # three stores of four months teach nobody in time
    assert set(early["subject"]) == {"direct", "recursive", "local_catboost", "ridge"}
    assert set(early["warning"]) == {"candidate_without_test"}
    assert len(table) == len(plan) + len(early)
    page = together.output("08_reporting/report.html", "moved").read_text("utf-8")
    assert "aliado de un evento que no está en los datos" in page
    assert "muy poca historia para probarlo: sin peso" in page


def test_member_ids_leave_in_nothing_but_the_quarantine(together):
    quarantine = pd.read_parquet(together.output("02_intermediate/quarantine.parquet", "moved"))
    assert quarantine["reason"].tolist() == ["not a number"] * 4
    assert quarantine["raw"].str.contains(MARK).all()
    seen = []
    for file in together.folder.rglob("*"):
        if not file.is_file() or file.is_relative_to(together.folder / "src"):
            continue
        if "01_raw" in file.parts or file.name == "quarantine.parquet":
            continue
        if file.suffix == ".parquet":
            seen.append(file.name)
            assert MARK not in pd.read_parquet(file).to_csv()
        else:
            seen.append(file.name)
            assert MARK.encode() not in file.read_bytes(), file
    assert {"mlflow.db", "report.html", "forecasts.csv", "panel.parquet", "state.json"} <= set(seen)


def test_a_store_that_fails_is_visible_counted_and_covered(run, monkeypatch):
    """One store's own models raise; the other stores go on."""
    victim, attempt = "CJGRO_367", parallel.attempt

    def stumble(*_):
        raise ArithmeticError("no luck today")

    def sometimes(store_id, stage, function, *arguments):
        chosen = stumble if store_id == victim else function
        return attempt(store_id, stage, chosen, *arguments)

    monkeypatch.setattr(parallel, "attempt", sometimes)
    project = run(**{"modeling.max_failed_share": 0.2})
    failures = pd.read_csv(project.output("08_reporting/failures.csv"))
    assert set(failures["store_id"]) == {victim}
    assert set(failures["error"]) == {"ArithmeticError: no luck today"}
    (parent,) = runs_of(project, "pipeline")
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["total_stores_attempted"] == 8
    assert parent.data.metrics["successful_models"] == 7
    assert parent.data.metrics["success_rate"] == 100 * 7 / 8
    children = {child.data.tags["store_id"]: child for child in runs_of(project, "store")}
    assert len(children) == 8
    failed = children[victim]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["status"] == "failed"
    assert "no luck today" in failed.data.tags["failure_reason"]
    assert {child.info.status for id_, child in children.items() if id_ != victim} == {"FINISHED"}
    table = forecasts_of(project)
    own = table[table["store_id"] == victim]
    assert set(own["status"]) == {"fallback"}
    assert own["forecast"].sum() > 0
    metrics = pd.read_csv(project.output("08_reporting/store_metrics.csv")).set_index("store_id")
    assert metrics.loc[victim, "status"] == "failed"
    assert metrics.loc[victim, "quality"] == "POBRE"
    assert "no luck today" in project.output("08_reporting/report.html").read_text()
