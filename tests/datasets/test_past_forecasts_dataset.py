import mlflow
import pytest
from kedro.io import DatasetError

from lifemiles_forecasting.datasets.past_forecasts import PastForecastsDataset


def test_load_looks_into_the_experiment_of_the_active_run(client):
    with mlflow.start_run() as run:
        archive = PastForecastsDataset().load()
        assert archive.experiment_id == run.info.experiment_id
        assert PastForecastsDataset().exists()
    assert (
        PastForecastsDataset(run_id=run.info.run_id).load().experiment_id == archive.experiment_id
    )


def test_without_an_active_run_there_is_one_clear_error():
    dataset = PastForecastsDataset()
    assert not dataset.exists()
    assert dataset._describe() == {"run_id": "active run"}
    with pytest.raises(DatasetError, match="no active MLflow run"):
        dataset.load()


def test_save_is_refused():
    with pytest.raises(DatasetError, match="past_forecasts is read only"):
        PastForecastsDataset().save(0)
