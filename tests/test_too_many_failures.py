"""A run that loses more stores than it may: everything is there, and it has failed."""

import pandas as pd
import pytest
from small_models import as_parameters

STORES = 3
LIMIT = 0.001  # seconds: no store's models are made in that


@pytest.fixture(scope="module")
def lost(copy_project, few_stores, tmp_path_factory):
    """A project, and a run of it in which the own models of every store take too long."""
    project = copy_project(tmp_path_factory.mktemp("lost"))
    told = f"raw_transactions={few_stores},max_stores={STORES},modeling.store_seconds={LIMIT}"
    told += f",{as_parameters()}"
    return project, project.kedro("run", "--env=quick", f"--params={told}")


def test_it_ends_with_one_error_that_names_count_share_reason_and_ledger(lost):
    _, result = lost
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    said = " ".join(result.stderr.split())
    assert (
        "Error: found 3 of 3 stores (100.0 %) without models of their own, because of: "
        "TimeLimitExceeded: local models took longer than 0.001 s (3); expected at most 5 % "
        "(modeling.max_failed_share). All outputs are written, with the base for these stores. "
        "Each one is in data/08_reporting/failures.csv."
    ) in said


def test_everything_is_written_first_and_the_stores_have_the_base(lost):
    project, _ = lost
    failures = pd.read_csv(project.output("08_reporting/failures.csv"), dtype=str)
    assert len(failures) == STORES
    assert set(failures["error"]) == {f"TimeLimitExceeded: local models took longer than {LIMIT} s"}
    forecasts = pd.read_csv(
        project.output("07_model_output/forecasts.csv"), dtype={"store_id": str}
    )
    theirs = forecasts[forecasts["store_id"].isin(failures["store_id"])]
    assert len(theirs) == STORES * 28
    assert set(theirs["status"]) == {"fallback"}
    assert theirs["forecast"].sum() > 0
    assert project.output("08_reporting/report.html").stat().st_size > 10_000


def test_the_parent_run_has_failed_with_all_its_nested_runs(lost):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=lost[0].tracking_uri)
    experiment = client.get_experiment_by_name("LifeMiles_Forecasting_Training")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FAILED"] * (STORES + 1)
    (parent,) = (run for run in runs if run.data.tags.get("run_level") == "pipeline")
    assert parent.data.metrics["success_rate"] == 0
    assert parent.info.end_time is not None
