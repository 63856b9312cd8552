import json
import sys
import time
from types import ModuleType

import mlflow
import pandas as pd
import pytest
from kedro.io import DataCatalog, DatasetError
from mlflow.store.tracking.dbmodels import models as tables

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.core.results import StoreRun
from lifemiles_forecasting.datasets.store_runs import StoreRunsDataset
from lifemiles_forecasting.tracking import pages
from lifemiles_forecasting.tracking import store_runs as writing
from lifemiles_forecasting.tracking.store_runs import store_key
from lifemiles_forecasting.tracking.synthetic import synthetic_store_run

HOSTILE = "A/../B_' OR \"1\"='1` \\ ñ\n"


class StubModel:
    @classmethod
    def from_files(cls, files):
        model = cls()
        model.files = files
        return model

    def predict(self, frame):
        return pd.DataFrame({"store": [json.loads(self.files["state.json"])["store_id"]]})


@pytest.fixture
def parent(client):
    return mlflow.start_run(run_name="Training_Pipeline_1", tags={"training_mode": "full"}).info


def children(client, parent):
    runs = client.search_runs([parent.experiment_id], "tags.run_level = 'store'")
    return {run.data.tags["store_id"]: run for run in runs}


def test_save_writes_a_nested_run_per_store(client, parent, tmp_path):
    StoreRunsDataset().save([synthetic_store_run(0), synthetic_store_run(1)])
    runs = children(client, parent)
    assert sorted(runs) == ["CJGRO_0000", "CJGRO_0001"]
    run, expected = runs["CJGRO_0001"], synthetic_store_run(1)
    assert run.info.run_name == "Store CJGRO_0001"
    assert run.info.status == "FINISHED"
    assert run.data.metrics == dict(expected.metrics)
    assert run.data.params == {
        "partner_code": "CJGRO",
        "store_code": "0001",
        **{name: str(value) for name, value in expected.params.items()},
    }
    tags = run.data.tags
    assert tags["mlflow.parentRunId"] == parent.run_id
    assert tags["store_key"] == store_key("CJGRO_0001")
    assert (tags["partner_code"], tags["store_code"], tags["status"]) == ("CJGRO", "0001", "ok")
    assert (tags["model_quality"], tags["training_mode"]) == ("BUENO", "full")
    assert "failure_reason" not in tags
    artifacts = tmp_path / "mlruns" / run.info.run_id / "artifacts"
    assert json.loads((artifacts / "scaler" / "scaler.json").read_text())["mean"] == 11.5
    importance = json.loads((artifacts / "feature_importance.json").read_text())
    assert list(importance) == ["lag_7", "weekday"]
    assert 0 < client.get_run(parent.run_id).data.metrics["tracking_seconds"] < 10


def test_each_model_loads_from_its_run_and_is_the_stores_own(client, parent, monkeypatch):
    module = ModuleType("lifemiles_forecasting.core.store_model")
    module.StoreModel = StubModel
    monkeypatch.setitem(sys.modules, module.__name__, module)
    StoreRunsDataset().save([synthetic_store_run(number) for number in range(3)])
    for store_id, run in children(client, parent).items():
        model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
        assert model.predict(pd.DataFrame())["store"].tolist() == [store_id]
        (listed,) = json.loads(run.data.tags["mlflow.log-model.history"])
        assert listed["run_id"] == run.info.run_id
        assert listed["model_uuid"] == model.metadata.model_uuid


def test_failed_store_is_a_failed_run_with_its_reason(client, parent):
    StoreRunsDataset().save([synthetic_store_run(0, failed=True)])
    (run,) = children(client, parent).values()
    assert run.info.status == "FAILED"
    assert run.data.tags["status"] == "failed"
    assert run.data.tags["failure_reason"] == "ValueError: all days are zero"
    assert client.list_artifacts(run.info.run_id) == []


def test_values_that_mlflow_cannot_hold(client, parent):
    odd = StoreRun(
        HOSTILE,
        "A/..",
        "x",
        status="failed",
        reason="r" * 9_000,
        params={"settings": "p" * 9_000},
        metrics={"test_r2": float("nan"), "test_smape": float("inf"), "test_mae": 1.0},
    )
    StoreRunsDataset().save([odd])
    run = children(client, parent)[HOSTILE]
    assert run.data.metrics == {"test_mae": 1.0}
    assert run.data.tags["nonfinite_metrics"] == "test_r2, test_smape"
    assert len(run.data.tags["failure_reason"]) == 8_000
    assert len(run.data.params["settings"]) == 6_000


def test_a_very_long_id_fits_the_columns_of_a_strict_database(client, parent):
    """SQLite takes any length; PostgreSQL refuses what is longer than MLflow's columns."""
    long = "P" * 2_000 + "_" + "7" * 2_000
    StoreRunsDataset().save([StoreRun(long, "P" * 2_000, "7" * 2_000, status="failed")])
    run = children(client, parent)[long]
    assert run.info.run_name == f"Store {long}"[: tables.SqlRun.name.type.length]
    for table, values in ((tables.SqlTag, run.data.tags), (tables.SqlParam, run.data.params)):
        assert max(map(len, values)) <= table.key.type.length
        assert max(map(len, values.values())) <= table.value.type.length


def test_load_gives_a_row_per_store(client, parent):
    dataset = StoreRunsDataset()
    assert not dataset.exists()
    dataset.save([synthetic_store_run(1), synthetic_store_run(0, failed=True)])
    assert dataset.exists()
    for frame in (dataset.load(), StoreRunsDataset(run_id=parent.run_id).load()):
        assert frame["store_id"].tolist() == ["CJGRO_0000", "CJGRO_0001"]
        assert frame["run_status"].tolist() == ["FAILED", "FINISHED"]
        assert frame.loc[1, "test_r2"] == 0.89
        assert frame.loc[1, "model_type"] == "blend"
        assert frame.loc[1, "model_uri"] == f"runs:/{frame.loc[1, 'run_id']}/model"


def test_load_of_a_run_without_stores_is_empty_and_pages_are_joined(client, parent, monkeypatch):
    dataset = StoreRunsDataset()
    assert dataset.load().empty
    monkeypatch.setattr(pages, "PAGE", 2)
    dataset.save([synthetic_store_run(number, failed=True) for number in range(5)])
    assert len(dataset.load()) == 5


def test_without_an_active_run_there_is_one_clear_error(client):
    dataset = StoreRunsDataset()
    assert not dataset.exists()
    with pytest.raises(DatasetError) as caught:
        dataset.save([])
    assert isinstance(caught.value.__cause__, TrackingError)
    assert str(caught.value.__cause__) == (
        "found no active MLflow run; expected one to read from or write to. "
        "Use `kedro run`, or give the catalog entry a run_id"
    )


def test_interrupted_writing_leaves_a_killed_run(client, parent, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "_write_files", interrupt)
    with pytest.raises(KeyboardInterrupt):
        StoreRunsDataset().save([synthetic_store_run()])
    (run,) = children(client, parent).values()
    assert run.info.status == "KILLED"


def test_artifacts_go_through_mlflow_when_the_store_is_not_local(client, parent, monkeypatch):
    monkeypatch.setattr(writing, "is_local_uri", lambda _: False)
    StoreRunsDataset().save([synthetic_store_run()])
    (run,) = children(client, parent).values()
    names = [file.path for file in client.list_artifacts(run.info.run_id)]
    assert names == ["feature_importance.json", "model", "scaler"]


def test_describes_itself_as_a_catalog_entry(client):
    entry = {"type": "lifemiles_forecasting.datasets.store_runs.StoreRunsDataset"}
    dataset = DataCatalog.from_config({"store_runs": entry})["store_runs"]
    assert isinstance(dataset, StoreRunsDataset)
    assert dataset._describe() == {"run_id": "active run"}
    assert StoreRunsDataset(run_id="ab")._describe() == {"run_id": "ab"}


def test_a_store_costs_less_than_the_budget(client, parent):
    dataset, batch = StoreRunsDataset(), [synthetic_store_run(number) for number in range(15)]
    dataset.save(batch)  # what is done once per run
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        dataset.save(batch)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) / len(batch) <= 0.06  # the quickest: other tests share the machine
