import json
import shutil

import mlflow
import pytest
from kedro.io import DatasetError
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.core.results import RunRecord
from lifemiles_forecasting.datasets.run_record import RunRecordDataset
from lifemiles_forecasting.tracking.synthetic import synthetic_record


@pytest.fixture
def run_id(tmp_path, empty_store):
    shutil.copy(empty_store, tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.create_experiment("Training", artifact_location=(tmp_path / "mlruns").as_uri())
    mlflow.set_experiment("Training")
    with mlflow.start_run() as run:
        yield run.info.run_id
    mlflow.set_tracking_uri(before)


def test_save_writes_params_metrics_and_tags(run_id):
    RunRecordDataset().save(synthetic_record())
    data = MlflowClient().get_run(run_id).data
    assert data.params == {
        "dataset_file": "data_lm_2017*.csv.gz",
        "dataset_shape": "(289963, 19)",
    }
    assert data.metrics["avg_r2"] == 0.61
    assert "mase" not in data.metrics
    assert data.tags["nonfinite_metrics"] == "mase"
    assert data.tags["data_fingerprint"] == "5e1f" * 16


def test_save_writes_the_training_data_as_dataset_input(run_id):
    RunRecordDataset().save(synthetic_record())
    (logged,) = MlflowClient().get_run(run_id).inputs.dataset_inputs
    assert [(tag.key, tag.value) for tag in logged.tags] == [("mlflow.data.context", "training")]
    data = logged.dataset
    assert (data.name, data.digest, data.source_type) == ("transactions", "5e1f" * 9, "local")
    assert json.loads(data.source) == {"uri": synthetic_record().dataset["source"]}
    assert json.loads(data.profile) == {"num_rows": 289_963}
    assert json.loads(data.schema)["mlflow_colspec"] == [
        {"type": "string", "name": "store_id", "required": True},
        {"type": "datetime", "name": "date", "required": True},
        {"type": "double", "name": "y", "required": True},
    ]


def test_the_source_is_the_one_that_the_catalog_knows(run_id):
    mlflow.set_tag("data_source", "postgresql:shop.sales")
    RunRecordDataset().save(synthetic_record())
    (logged,) = MlflowClient().get_run(run_id).inputs.dataset_inputs
    assert logged.dataset.source_type == "postgresql"
    assert json.loads(logged.dataset.source) == {"uri": "postgresql:shop.sales"}


def test_load_gives_the_metrics(run_id):
    dataset = RunRecordDataset()
    assert not dataset.exists()
    dataset.save(RunRecord(metrics={"avg_r2": 0.5, "wape": 12.0}))
    assert dataset.exists()
    assert dataset.load() == {"avg_r2": 0.5, "wape": 12.0}
    assert RunRecordDataset(run_id=run_id).load() == {"avg_r2": 0.5, "wape": 12.0}
    assert MlflowClient().get_run(run_id).inputs.dataset_inputs == []


def test_without_an_active_run_there_is_one_clear_error():
    dataset = RunRecordDataset()
    assert not dataset.exists()
    assert dataset._describe() == {"run_id": "active run"}
    with pytest.raises(DatasetError, match="no active MLflow run"):
        dataset.save(RunRecord())
