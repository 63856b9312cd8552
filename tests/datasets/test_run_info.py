"""`RunInfoDataset` tells which run this is, and is quiet where none is tracked."""

import shutil

import mlflow
import pytest
from kedro.io import DatasetError

from lifemiles_forecasting.datasets.run_info import RunInfoDataset


@pytest.fixture
def store(tmp_path, empty_store):
    shutil.copy(empty_store, tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.create_experiment("training", artifact_location=(tmp_path / "mlruns").as_uri())
    mlflow.set_experiment("training")
    yield
    mlflow.set_tracking_uri(before)


def test_active_run_is_named(store):
    with mlflow.start_run(run_name="Training_Pipeline_20171231_221500") as run:
        info = RunInfoDataset().load()
    assert info == {
        "run_id": run.info.run_id,
        "run_name": "Training_Pipeline_20171231_221500",
        "experiment": "training",
    }
    assert RunInfoDataset(run_id=run.info.run_id).load() == info


def test_without_a_run_there_is_nothing_to_tell(store):
    assert RunInfoDataset().load() == {}
    assert RunInfoDataset().exists()


def test_save_dataset_error_when_called():
    with pytest.raises(DatasetError, match="run_info is read only"):
        RunInfoDataset().save({"run_id": "x"})
    assert "active run" in str(RunInfoDataset())
