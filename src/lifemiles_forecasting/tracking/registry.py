"""Versions of the model of all stores: which one is in charge, since when, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.champion import unless_missing
from lifemiles_forecasting.tracking.names import (
    CHALLENGER,
    CHAMPION,
    GATE_REASONS,
    GATE_STATUS,
    HISTORY_TAG,
    PROMOTED_AT,
    REGISTERED_MODEL,
)
from lifemiles_forecasting.tracking.registered_versions import champions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

MODE_TAG = "training_mode"
FULL = "full"
ROLLED_BACK_AT = "rolled_back_at"
REMEMBERED = 100  # champions in a row: a tag holds 5,000 characters in PostgreSQL
_HINT = "`kedro models show` lists the versions"


@dataclass(frozen=True)
class Registry:
    """The registered model; nothing is there before the first version.

    Attributes:
        client: of the tracking store and its registry.
        name: of the registered model.
    """

    client: MlflowClient
    name: str = REGISTERED_MODEL

    def versions(self) -> list[ModelVersion]:
        """All versions, newest first."""
        found = self.client.search_model_versions(f"name = '{self.name}'", max_results=10_000)
        return sorted(found, key=lambda one: int(one.version), reverse=True)

    def alias(self, alias: str) -> ModelVersion | None:
        """The version under an alias; None where there is none."""
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_model_version_by_alias(self.name, alias)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def version(self, version: int | str) -> ModelVersion:
        """One version.

        Raises:
            TrackingError: there is none of that number.
        """
        for one in (known := self.versions()):
            if int(one.version) == int(version):
                return one
        numbers = ", ".join(str(one.version) for one in known) or "none yet"
        raise TrackingError(f"no version {version} of {self.name}", f"one of {numbers}", _HINT)

    def chosen(self, version: int | None, alias: str) -> ModelVersion:
        """The version that is asked for: by its number, else by its alias.

        Raises:
            TrackingError: there is none.
        """
        if version is not None:
            return self.version(version)
        one = self.alias(alias)
        if one is None:
            raise TrackingError(
                f"no {alias} among the versions of {self.name}",
                "one that a full training run left",
                f"Run `kedro run`, or see `kedro models show` for why there is no {alias}",
            )
        return one

    def add(self, model_uri: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """Register a logged model as the next version.

        Args:
            model_uri: of the logged model.
            run_id: the training run.
            tags: of the version.
        """
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self.client.create_model_version(
            self.name,
            model_uri,
            run_id,
            tags={key: str(value) for key, value in tags.items()},
            model_id=model_uri.removeprefix("models:/"),
        )

    def promote(self, version: int | str) -> ModelVersion:
        """Put a version in charge.

        Raises:
            TrackingError: there is none, or it was trained on a part of the stores.
        """
        one = self.version(version)
        mode = one.tags.get(MODE_TAG) or self._mode_of_run(one.run_id)
        if mode == "limited":
            raise TrackingError(
                f"version {version} of {self.name}, which was trained on a part of the stores",
                "one of a run without max_stores",
                _HINT,
            )
        history, today, number = self.history(), self.alias(CHAMPION), int(one.version)
        if today is None or int(today.version) != number:  # the alias may have been taken away
            last = history[-1:] == [number]
            self._put_in_charge(one, history if last else [*history, number])
        return self.version(version)

    def rollback(self) -> tuple[ModelVersion, ModelVersion]:
        """Put the champion before today's in charge again.

        Returns:
            The version that is in charge now, and the one that was.

        Raises:
            TrackingError: there was none before it.
        """
        known = {int(one.version) for one in self.versions()}
        there = [number for number in self.history() if number in known]
        # where the one between is deleted, who was champion before and after it has no predecessor
        history = [number for number, _ in groupby(there)]
        if len(history) < 2:
            found = f"champions {history}" if history else "no champion"
            raise TrackingError(f"{found} of {self.name}", "two to roll back to the first", _HINT)
        left = self.version(history[-1])
        self.client.set_model_version_tag(self.name, left.version, ROLLED_BACK_AT, _now())
        self._put_in_charge(self.version(history[-2]), history[:-1])
        return self.version(history[-2]), left

    def challenge(self, version: str) -> None:
        """Let a version stand beside the champion."""
        self.client.set_registered_model_alias(self.name, CHALLENGER, version)

    def history(self) -> list[int]:
        """Versions in the order in which they came to be champion; the last one is today's."""
        from mlflow.exceptions import MlflowException

        try:
            tags = self.client.get_registered_model(self.name).tags
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return []
            raise
        past = champions(self.name, tags.get(HISTORY_TAG, ""))
        today = self.alias(CHAMPION)  # someone may have moved the alias in the UI
        if today is not None and (not past or past[-1] != int(today.version)):
            past.append(int(today.version))
        return past

    def ever_champion(self) -> frozenset[int]:
        """Versions that are or were champion, those that were rolled back among them."""
        promoted = {int(one.version) for one in self.versions() if PROMOTED_AT in one.tags}
        return frozenset(promoted.union(self.history()))

    def _put_in_charge(self, one: ModelVersion, history: list[int]) -> None:
        self.client.set_registered_model_alias(self.name, CHAMPION, one.version)
        text = ",".join(str(number) for number in history[-REMEMBERED:])
        self.client.set_registered_model_tag(self.name, HISTORY_TAG, text)
        self.client.set_model_version_tag(self.name, one.version, PROMOTED_AT, _now())
        challenger = self.alias(CHALLENGER)
        if challenger is not None and int(challenger.version) == int(one.version):
            self.client.delete_registered_model_alias(self.name, CHALLENGER)

    def _mode_of_run(self, run_id: str | None) -> Any:
        return self.client.get_run(run_id).data.tags.get(MODE_TAG) if run_id else None


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def open_registry(uri: str, registry_uri: str | None = None) -> Registry:
    """The registry of a tracking store.

    Args:
        uri: of the tracking store.
        registry_uri: of the model registry, where it is another one.

    Raises:
        TrackingError: it does not answer, or nothing has been tracked in it yet.
    """
    from lifemiles_forecasting.tracking.store import has_content, probe, switch_telemetry_off

    switch_telemetry_off()
    probe(registry_uri or uri)
    if not has_content(registry_uri or uri):
        raise TrackingError(
            "no tracked run", "one with a registered model", "Run `kedro run` first"
        )
    from mlflow.tracking import MlflowClient

    return Registry(MlflowClient(uri, registry_uri))


def version_rows(registry: Registry) -> list[dict[str, Any]]:
    """Every version as a plain row, newest first."""
    roles = {}
    for name in (CHALLENGER, CHAMPION):
        one = registry.alias(name)
        roles |= {one.version: name} if one else {}
    return [
        {
            "version": int(one.version),
            "role": roles.get(one.version),
            "trained_until": one.tags.get("trained_until"),
            "target": one.tags.get("target"),
            MODE_TAG: one.tags.get(MODE_TAG),
            "gate": one.tags.get(GATE_STATUS),
            "wape": _wape(registry.client, one),
            "champion_wape": _number(one.tags.get("gate_champion_wape")),
            "promoted_at": one.tags.get(PROMOTED_AT),
            "rolled_back_at": one.tags.get(ROLLED_BACK_AT),
            "reasons": one.tags.get(GATE_REASONS),
            "training_run": one.run_id,
        }
        for one in registry.versions()
    ]


def _wape(client: MlflowClient, one: ModelVersion) -> float | None:
    """WAPE of the test window, percent: as the gate compared it, else that of the training run."""
    if "gate_wape" in one.tags:
        return float(one.tags["gate_wape"])
    run = unless_missing(client.get_run, one.run_id) if one.run_id else None
    return run.data.metrics.get("wape") if run else None


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
