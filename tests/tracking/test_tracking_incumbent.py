"""The model in charge, where nobody can say which one it is."""

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from services import free_port

from lifemiles_forecasting.tracking.registered_fleet import incumbent


def test_registry_that_is_away_does_not_end_a_run_that_has_trained(client, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    port = free_port()
    away = MlflowClient(client.tracking_uri, f"http://127.0.0.1:{port}")
    found = incumbent(away)
    assert (found.version, found.fleet) == ("?", None)
    assert found.problem.startswith("API request to ... failed with exception ")
    assert "127.0.0.1" not in found.problem


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("API request to https://me:pw@registry.example/api failed", "API request to ... failed"),
        ("Pool(host='registry.example', port=1): closed", "Pool(host=..., port=1): closed"),
        (
            'connection to server at "db.example", port 1 failed',
            "connection to server at ..., port",
        ),
        ("Failed to resolve 'registry.example' (Name unknown)", "Failed to resolve ... (Name"),
        ("no route to 10.0.0.1:5432", "no route to ..."),
        ("Run with id=ab12 not found", "Run with id=ab12 not found"),
    ],
)
def test_reason_for_the_gate_names_no_host(client, monkeypatch, said, told):
    def fails(*_):
        raise MlflowException(said)

    monkeypatch.setattr(MlflowClient, "get_model_version_by_alias", fails)
    assert incumbent(client).problem.startswith(told)
    assert "example" not in incumbent(client).problem
