"""User and password in the address of the model registry: beside the address, and one login."""

import os
from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader

from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.settings import CONFIG_LOADER_ARGS
from lifemiles_forecasting.tracking_config import tracking_config

ROOT = Path(__file__).parents[1]
REGISTRY = "http://bob:SECRETPW@registry.example"
NAMES = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@pytest.fixture
def server(monkeypatch):
    """A function that gives the group `server`, with these variables."""

    def configured(tracking, **variables):
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        variables |= {"MLFLOW_TRACKING_URI": tracking, "MLFLOW_REGISTRY_URI": REGISTRY}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return tracking_config(OmegaConfigLoader(str(ROOT / "conf"), **CONFIG_LOADER_ARGS), ROOT)[
            "server"
        ]

    return configured


@pytest.mark.parametrize(
    ("tracking", "variables"),
    [
        ("http://mlflow.example", {}),
        ("http://bob:SECRETPW@mlflow.example", {}),
        ("http://mlflow.example", dict(zip(NAMES, ("bob", "SECRETPW"), strict=False))),
        ("sqlite:////tmp/mlflow.db", dict(zip(NAMES, ("ann", "other"), strict=False))),
    ],
)
def test_it_is_handed_to_mlflow_beside_the_address(server, tracking, variables):
    found = server(tracking, **variables)
    assert found["mlflow_registry_uri"] == "http://registry.example"
    assert "SECRETPW" not in str(found)
    assert [os.environ.get(name) for name in NAMES] == ["bob", "SECRETPW", None]


@pytest.mark.parametrize(
    ("tracking", "variables"),
    [
        ("https://ann:OTHERPW@mlflow.example", {}),
        ("https://mlflow.example", dict(zip(NAMES, ("ann", "OTHERPW"), strict=False))),
        ("https://mlflow.example", {"MLFLOW_TRACKING_TOKEN": "OTHERPW"}),
    ],
)
def test_two_logins_that_differ_are_refused(server, tracking, variables):
    message = r"^found a user and password in the address of the model registry that are not those"
    for _ in range(2):
        with pytest.raises(ConfigError, match=message) as caught:
            server(tracking, **variables)
        assert "PW" not in str(caught.value)
        assert "SECRETPW" not in [os.environ.get(name) for name in NAMES]
