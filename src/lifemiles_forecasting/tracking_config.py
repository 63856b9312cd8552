"""Which tracking store a run uses, as `mlflow.yml`, the environment and a lost store say."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lifemiles_forecasting import config_checks
from lifemiles_forecasting.core.config import unusable
from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.hosts import LOOPBACK, in_address, is_web_address

if TYPE_CHECKING:
    from kedro.config import AbstractConfigLoader

    from lifemiles_forecasting.tracking.summary import Places

_LOGIN = [f"MLFLOW_TRACKING_{name}" for name in ("USERNAME", "PASSWORD", "TOKEN")]


def tracking_config(loader: AbstractConfigLoader, project_path: Path) -> dict[str, Any]:
    """`mlflow.yml` with addresses that do not depend on the current folder and hold no password.

    User and password of a server, of the model registry's too, go to the environment variables that
    MLflow reads.

    Args:
        loader: Kedro's configuration loader.
        project_path: root of the project.

    Raises:
        ConfigError: an environment variable that it takes a value from is not set, it says what it
            may not, or two servers have different logins.
    """
    from lifemiles_forecasting.tracking import store
    from lifemiles_forecasting.tracking.names import SPOOL_VARIABLE

    config = _mlflow_yml(loader)
    server = dict(config.get("server") or {})
    if spool := os.environ.get(SPOOL_VARIABLE):  # the configured store has gone away
        # its registry too: MLflow itself would go on with MLFLOW_REGISTRY_URI
        server = {"mlflow_tracking_uri": spool, "mlflow_registry_uri": spool}
    uri = store.absolute_uri(server.get("mlflow_tracking_uri"), project_path)
    registry_uri = server.get("mlflow_registry_uri") or None
    server["mlflow_tracking_uri"] = store.credentials_to_environment(uri)
    server["mlflow_registry_uri"] = registry_uri and _without_login(
        store.absolute_uri(registry_uri, project_path), uri
    )
    tracking = dict(config.get("tracking") or {})
    experiment = dict(tracking.get("experiment") or {})
    creation = dict(experiment.get("create_experiment_kwargs") or {})
    if creation.get("artifact_location") is None:
        creation["artifact_location"] = store.artifact_location(uri, project_path)
    experiment["create_experiment_kwargs"] = creation
    return {**config, "server": server, "tracking": {**tracking, "experiment": experiment}}


def _without_login(registry_uri: str, tracking_uri: str) -> str:
    """The address of the model registry, whose user and password MLflow gets beside it.

    Raises:
        ConfigError: they are not those of the tracking server, and MLflow knows one login.
    """
    from lifemiles_forecasting.tracking.store import credentials_to_environment

    before = {name: os.environ.get(name, "") for name in _LOGIN}
    alone = credentials_to_environment(registry_uri)
    changed = any(os.environ.get(name, "") != value for name, value in before.items())
    if changed and any(before.values()) and is_web_address(tracking_uri):
        os.environ.update(before)
        raise ConfigError(
            "a user and password in the address of the model registry that are not those of the "
            "tracking server",
            "one login for both, because MLflow has one pair of variables for it",
            "Give both servers the same login, or register on the tracking server: leave "
            "MLFLOW_REGISTRY_URI out",
        )
    return alone


def _mlflow_yml(loader: AbstractConfigLoader) -> dict[str, Any]:
    config = dict(loader["mlflow"])
    config_checks.check_tracking(config)
    return config


@contextmanager
def checked_mlflow_yml() -> Iterator[None]:
    """One clear error where kedro-mlflow finds something in `mlflow.yml` that it does not know.

    Raises:
        ConfigError: in place of its own.
    """
    try:
        yield
    except ValidationError as error:
        from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig

        if error.title != KedroMlflowConfig.__name__:
            raise
        raise unusable(error, KedroMlflowConfig, "setting of mlflow.yml") from None


def probe_servers(server: Mapping[str, Any]) -> None:
    """Make sure that the tracking store answers, and the model registry where it is another one.

    Args:
        server: group `server` of `tracking_config`.

    Raises:
        TrackingError: one does not.
    """
    from lifemiles_forecasting.tracking.store import BUSY_SECONDS, probe

    uri, registry_uri = server["mlflow_tracking_uri"], server["mlflow_registry_uri"]
    probe(uri, busy=BUSY_SECONDS)
    if registry_uri not in {None, uri}:
        probe(registry_uri, store="model registry", busy=BUSY_SECONDS)


def places(tracking: Mapping[str, Any], parameters: Mapping[str, Any]) -> Places:
    """Where the results of a run are looked at.

    Args:
        tracking: from `tracking_config`.
        parameters: flat.
    """
    from lifemiles_forecasting.tracking.store import without_credentials
    from lifemiles_forecasting.tracking.summary import Places, ui_command

    report = f"{parameters['data_root']}/08_reporting/report.html"
    uri = tracking["server"]["mlflow_tracking_uri"]
    if is_web_address(uri):
        return Places(report, without_credentials(uri).rstrip("/"), "")
    ui = tracking.get("ui") or {}
    address = f"http://{in_address(ui.get('host', LOOPBACK))}:{ui.get('port', '5000')}"
    return Places(report, address, ui_command(uri, ui))
