"""What the tracking database holds, read at one moment: experiments, runs and logged models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lifemiles_forecasting.tracking.artifacts import is_remote, location_folder, owned_folder
from lifemiles_forecasting.tracking.store_runs import PARENT_TAG

if TYPE_CHECKING:
    from sqlalchemy import Connection

UNFINISHED = frozenset({"RUNNING", "SCHEDULED"})

_EXPERIMENTS = "SELECT experiment_id, name, artifact_location FROM experiments"
_RUNS = """
SELECT runs.run_uuid, runs.experiment_id, runs.name, level.value, parent.value, runs.status,
       runs.lifecycle_stage, runs.start_time, runs.artifact_uri
FROM runs
LEFT JOIN tags AS level ON level.run_uuid = runs.run_uuid AND level.key = 'run_level'
LEFT JOIN tags AS parent ON parent.run_uuid = runs.run_uuid AND parent.key = :parent_tag
"""
_MODELS = """
SELECT model_id, experiment_id, source_run_id, lifecycle_stage, creation_timestamp_ms,
       artifact_location
FROM logged_models
"""


@dataclass(frozen=True)
class ExperimentRow:
    """An experiment, and the address under which its artifacts are."""

    experiment_id: int
    name: str
    location: str


@dataclass(frozen=True)
class RunRow:
    """A run, as far as housekeeping goes.

    Attributes:
        level: tag `run_level`: `pipeline`, `store`, ...; nothing for runs that are not ours.
        parent: run id of the run that it is nested in.
        stage: `active`, or `deleted` for one in MLflow's bin.
        started: milliseconds since 1970.
        artifact_uri: address of its artifacts.
    """

    run_id: str
    experiment_id: int
    name: str | None = None
    level: str | None = None
    parent: str | None = None
    status: str = "FINISHED"
    stage: str = "active"
    started: int | None = 0
    artifact_uri: str | None = None

    @property
    def key(self) -> str:
        """Its id."""
        return self.run_id


@dataclass(frozen=True)
class ModelRow:
    """A LoggedModel: its artifacts are beside those of the runs, not among them.

    Attributes:
        run_id: the run that logged it, if one did.
        stage: `active`, or `deleted` for one in MLflow's bin.
        created: milliseconds since 1970.
        artifact_uri: address of its artifacts.
    """

    model_id: str
    experiment_id: int
    run_id: str | None
    stage: str
    created: int
    artifact_uri: str

    @property
    def key(self) -> str:
        """Its id."""
        return self.model_id


@dataclass(frozen=True)
class Inventory:
    """Everything that may have artifacts."""

    experiments: Mapping[int, ExperimentRow]
    runs: Sequence[RunRow]
    models: Sequence[ModelRow]

    def owners(self) -> Iterator[RunRow | ModelRow]:
        """Everything that has artifacts of its own: runs, then logged models."""
        yield from self.runs
        yield from self.models

    def keys(self) -> set[str]:
        """Ids of all runs and logged models."""
        return {row.key for row in self.owners()}

    @cached_property
    def places(self) -> Mapping[int, Path]:
        """Experiment id -> folder of its artifacts, where that is on this machine."""
        return {
            experiment.experiment_id: location_folder(experiment.location)
            for experiment in self.experiments.values()
            if not is_remote(experiment.location)
        }

    def folder(self, row: RunRow | ModelRow) -> Path | None:
        """The folder that a row owns; nothing when its address is not the one MLflow gives out."""
        return owned_folder(self.places.get(row.experiment_id), row.artifact_uri, row.key)


def read_inventory(connection: Connection) -> Inventory:
    """Read it all.

    Args:
        connection: to the tracking database, in a transaction.
    """
    from sqlalchemy import text

    experiments = [ExperimentRow(*row) for row in connection.execute(text(_EXPERIMENTS))]
    return Inventory(
        {experiment.experiment_id: experiment for experiment in experiments},
        [RunRow(*row) for row in connection.execute(text(_RUNS), {"parent_tag": PARENT_TAG})],
        [ModelRow(*row) for row in connection.execute(text(_MODELS))],
    )
