"""Models that were tracked aside: in the store and its registry afterwards, and never in charge
without having been compared."""

import shutil

import mlflow
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.database import snapshot
from lifemiles_forecasting.tracking.fleet import read_fleet
from lifemiles_forecasting.tracking.names import FILES_DIGEST, REGISTERED_MODEL
from lifemiles_forecasting.tracking.registry import Registry
from lifemiles_forecasting.tracking.spool import FOLDER, has_spool, replay
from lifemiles_forecasting.tracking.spooled_model import NOT_COMPARED


@pytest.fixture
def outputs(registered, tmp_path):
    """Outputs whose spool has two runs: the gate let the model of the first one pass."""
    spool = tmp_path / "data" / FOLDER
    spool.mkdir(parents=True)
    snapshot(registered.folder / "mlflow.db", spool / "mlflow.db")
    return tmp_path / "data"


@pytest.fixture
def store(tmp_path, empty_store):
    """The store that was away, as the global one too: who reads `models:/` asks that."""
    shutil.copy(empty_store, tmp_path)
    before, uri = mlflow.get_tracking_uri(), f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.create_experiment("Training", artifact_location=(tmp_path / "mlruns").as_uri())
    yield client
    mlflow.set_tracking_uri(before)


def roles(client):
    registry = Registry(client)
    named = {alias: registry.alias(alias) for alias in ("champion", "challenger")}
    return {alias: one and int(one.version) for alias, one in named.items()}


def runs_of(client):
    experiment = client.get_experiment_by_name("Training").experiment_id
    return {run.data.tags["model_version"]: run for run in client.search_runs([experiment])}


def test_replayed_models_forecast_as_before_and_keep_their_roles(registered, outputs, store):
    replay(outputs, store)
    assert not has_spool(outputs)
    assert roles(store) == {"champion": 1, "challenger": 2}
    runs = runs_of(store)
    first, second = (Registry(store).version(number) for number in (1, 2))
    assert first.run_id == runs["1"].info.run_id
    assert runs["1"].data.tags["model_role"] == "champion"
    assert second.tags["gate_reasons"] == runs["2"].data.tags["gate_reasons"]
    assert second.tags["gate_reasons"] == f"worse; {NOT_COMPARED}"
    served = mlflow.pyfunc.load_model(f"models:/{REGISTERED_MODEL}/1")
    assert served.metadata.run_id == first.run_id
    stores = list(registered.forecasts["store_id"].unique())
    answers = served.predict(pd.DataFrame({"store_id": stores}))
    registered.assert_rows(answers.to_dict("records"), *[(store,) for store in stores])


def test_a_changed_model_is_refused_after_its_replay_too(outputs, store):
    replay(outputs, store)
    version = Registry(store).version(2)
    with pytest.raises(TrackingError, match=r"changed, missing or added model files direct\.cbm"):
        read_fleet(f"models:/{REGISTERED_MODEL}/2", version.tags[FILES_DIGEST])


def test_a_model_that_was_not_compared_never_takes_the_champions_place(outputs, store):
    experiment = store.get_experiment_by_name("Training").experiment_id
    run = store.create_run(experiment).info.run_id
    model = store.create_logged_model(experiment, source_run_id=run)
    registry = Registry(store)
    registry.promote(registry.add(model.model_uri, run, {"training_mode": "full"}).version)
    replay(outputs, store)
    assert roles(store) == {"champion": 1, "challenger": 3}
    assert Registry(store).version(2).tags["gate_reasons"] == NOT_COMPARED
    assert Registry(store).version(2).tags["gate_status"] == "failed"


def test_versions_of_an_interrupted_replay_are_there_once(outputs, store, monkeypatch):
    """It ends after a model was registered, before its run was closed."""
    ends = MlflowClient.set_terminated
    monkeypatch.setattr(MlflowClient, "set_terminated", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        replay(outputs, store)
    assert len(Registry(store).versions()) == 1
    monkeypatch.setattr(MlflowClient, "set_terminated", ends)
    replay(outputs, store)
    versions = Registry(store).versions()
    assert [one.tags["gate_status"] for one in versions] == ["failed", "passed"]
    assert {one.run_id for one in versions} == {run.info.run_id for run in runs_of(store).values()}
    assert roles(store) == {"champion": 2, "challenger": 3}
