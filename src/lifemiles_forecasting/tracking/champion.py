"""The registered model: which version is champion, and which one wants its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from lifemiles_forecasting.tracking.names import (
    CHALLENGER,
    CHAMPION,
    GATE_PREFIX,
    GATE_REASONS,
    GATE_STATUS,
    PROMOTED_AT,
    REGISTERED_MODEL,
)
from lifemiles_forecasting.tracking.queries import moment, training_row

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from mlflow.tracking import MlflowClient

Row = dict[str, Any]
T = TypeVar("T")

_METRICS = ("wape", "bias", "coverage_80")  # percent
_TRAINING = (
    "run_id",
    "run_name",
    "status",
    "start_time",
    "duration_seconds",
    "training_mode",
    "stores",
    "avg_r2",
    "avg_smape",
    "success_rate",
)


def registered_versions(client: MlflowClient) -> list[Row]:
    """The champion, then the challenger; what is not there is left out.

    Args:
        client: of the tracking store and the model registry.

    Returns:
        Rows of `alias, version, registered, champion_since`, what a list of training runs says of
        the run behind it, `wape, bias, coverage_80` (percent), `gate_status, gate_reasons` and any
        other tag of the gate, `model_uri`. All rows have the same columns.
    """
    model = _registered_model(client)
    if model is None:
        return []
    versions = {
        alias: client.get_model_version(REGISTERED_MODEL, model.aliases[alias])
        for alias in (CHAMPION, CHALLENGER)
        if alias in model.aliases
    }
    gate = {GATE_STATUS: None, GATE_REASONS: None}
    for version in versions.values():
        gate |= dict.fromkeys(filter(_of_gate, version.tags))
    return [_row(client, alias, version, gate) for alias, version in versions.items()]


def _registered_model(client: MlflowClient) -> RegisteredModel | None:
    return unless_missing(client.get_registered_model, REGISTERED_MODEL)


def _row(client: MlflowClient, alias: str, version: ModelVersion, gate: Row) -> Row:
    run = unless_missing(client.get_run, version.run_id) if version.run_id else None
    training = training_row(run) if run else dict.fromkeys(_TRAINING) | {"run_id": version.run_id}
    metrics = run.data.metrics if run else {}
    return {
        "alias": alias,
        "version": int(version.version),
        "registered": moment(version.creation_timestamp),
        "champion_since": version.tags.get(PROMOTED_AT),
        **training,
        **{name: metrics.get(name) for name in _METRICS},
        **{name: version.tags.get(name) for name in gate},
        "model_uri": f"models:/{REGISTERED_MODEL}@{alias}",
    }


def _of_gate(tag: str) -> bool:
    return tag.startswith(GATE_PREFIX)


def unless_missing(ask: Callable[[str], T], name: str) -> T | None:
    """What MLflow answers; nothing when it knows no such thing.

    Raises:
        MlflowException: it could not answer.
    """
    from mlflow.exceptions import MlflowException

    try:
        return ask(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
