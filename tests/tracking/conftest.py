import mlflow
import pytest
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.tracking.store import tune_sqlite


@pytest.fixture
def client(tmp_path):
    """A real SQLite tracking store with one experiment, and MLflow's global state put back."""
    before = mlflow.get_tracking_uri()
    tune_sqlite()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(tracking_uri=uri)
    client.create_experiment("Training", artifact_location=(tmp_path / "mlruns").as_uri())
    mlflow.set_experiment("Training")
    yield client
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
