"""Old runs deleted for good: their rows, their artifacts and the room that both took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.artifacts import (
    folder_bytes,
    is_remote,
    remove_folders,
)
from lifemiles_forecasting.tracking.database import (
    check_database,
    database_bytes,
    give_pages_back,
    snapshot,
    transaction,
)
from lifemiles_forecasting.tracking.erase import erase
from lifemiles_forecasting.tracking.inventory import Inventory, ModelRow, RunRow, read_inventory
from lifemiles_forecasting.tracking.lifecycle import PIPELINE_LEVEL
from lifemiles_forecasting.tracking.orphans import folders_of_nobody
from lifemiles_forecasting.tracking.registered_versions import Key, read_versions
from lifemiles_forecasting.tracking.retention import Choice, Rule, choose
from lifemiles_forecasting.tracking.store import sqlite_path, sqlite_uri, without_credentials

if TYPE_CHECKING:
    from sqlalchemy import Connection

_HINT = (
    "Where the artifacts are not files of this machine, delete runs in MLflow and let `mlflow gc` "
    "do the rest, on the machine of the tracking server"
)
_STRANGE = "its artifacts are not in its folder of the experiment's artifact location"


@dataclass(frozen=True)
class Plan:
    """What goes, as it was decided at one moment.

    Attributes:
        held: everything that there was.
        choice: the runs that go, and why others stay.
        models: ids of the logged models that go.
        versions: workspace, name and number of the registered versions that go.
        folders: folder that goes -> its experiment's id; nothing for one that belongs to no run.
    """

    held: Inventory
    choice: Choice
    models: frozenset[str]
    versions: Sequence[Key]
    folders: Mapping[Path, int | None]


@dataclass(frozen=True)
class Pruned:
    """What a clean-up freed, or would free.

    Attributes:
        plan: what went.
        freed: folder -> bytes.
        database_bytes: by which the database became smaller.
        remark: why it could not become as small as it might; nothing when it could.
    """

    plan: Plan
    freed: Mapping[Path, int]
    database_bytes: int
    remark: str = ""

    def by_experiment(self) -> list[dict[str, Any]]:
        """Runs and bytes that go, by experiment, and in a last row those of no run if any do."""
        held, gone = self.plan.held, self.plan.choice.gone
        runs = Counter((run.experiment_id, _kind(run), run.run_id in gone) for run in held.runs)
        models = Counter(m.experiment_id for m in held.models if m.model_id in self.plan.models)
        sizes: Counter[int | None] = Counter()
        for folder, size in self.freed.items():
            sizes[self.plan.folders[folder]] += size
        rows = [
            {
                "experiment_id": number,
                "experiment": experiment.name,
                "trainings_kept": runs[number, "training", False],
                "trainings": runs[number, "training", True],
                "nested_runs": runs[number, "nested", True],
                "other_runs": runs[number, "other", True],
                "logged_models": models[number],
                "artifact_bytes": sizes[number],
            }
            for number, experiment in sorted(held.experiments.items())
        ]
        orphans = sum(number is None for number in self.plan.folders.values())
        if not orphans:
            return rows
        nobody = dict.fromkeys(rows[0], 0) | {"experiment_id": None, "artifact_bytes": sizes[None]}
        return [*rows, nobody | {"experiment": f"({orphans} folders of no run)"}]

    def versions(self) -> list[dict[str, Any]]:
        """Registered versions that go because their run goes."""
        return [{"name": name, "version": version} for _, name, version in self.plan.versions]

    def spared(self) -> list[dict[str, Any]]:
        """Runs that stay, with all that is nested in them, though they are old enough to go."""
        return [
            {"run_id": run_id, "because_of": why} for run_id, why in self.plan.choice.spared.items()
        ]


def prune(
    uri: str,
    rule: Rule,
    orphans: bool = True,
    dry_run: bool = False,
    registry: str | None = None,
) -> Pruned:
    """Delete old runs, or find out what that would free.

    The database comes first: should the machine fail in between, what is left are folders that
    belong to no run, and the next call takes them.

    Args:
        uri: the absolute tracking URI of a SQLite file or a PostgreSQL database.
        rule: what to keep.
        orphans: whether folders that belong to no run go too.
        dry_run: change nothing; a SQLite database is pruned in a copy, so its bytes are exact.
        registry: URI of the model registry, where it is configured.

    Raises:
        TrackingError: the store is of another kind or busy, or it cannot be told what must be
            kept; then nothing was deleted. Or some folders could not be deleted.
    """
    if registry not in {None, uri}:
        raise TrackingError(
            f"a model registry of its own, {without_credentials(registry)}",
            "registered models beside their runs: only there can it be seen which must stay",
            "Nothing was deleted. Delete runs in MLflow, those of no registered version",
        )
    check_database(uri, _HINT)
    before = database_bytes(uri)
    lost = folders_of_nobody(uri) if orphans else []
    if dry_run:
        return _preview(uri, rule, lost, before)
    plan = _erase_rows(uri, rule, lost)
    freed = remove_folders(tqdm(plan.folders, "Deleting", unit="folder", disable=None))
    remark = give_pages_back(uri)
    return Pruned(plan, freed, max(0, before - database_bytes(uri)), remark)


def _preview(uri: str, rule: Rule, lost: Sequence[Path], before: int) -> Pruned:
    path = sqlite_path(uri)
    if path is None:
        with transaction(uri) as connection:
            plan = make_plan(connection, rule, lost)
        return Pruned(plan, _sizes(plan.folders), 0, "PostgreSQL keeps the room for new rows")
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        snapshot(path, copy)
        plan = _erase_rows(sqlite_uri(copy), rule, lost)
        remark = give_pages_back(sqlite_uri(copy))
        return Pruned(plan, _sizes(plan.folders), max(0, before - copy.stat().st_size), remark)


def _erase_rows(uri: str, rule: Rule, lost: Sequence[Path]) -> Plan:
    with transaction(uri, write=True) as connection:
        plan = make_plan(connection, rule, lost)
        erase(connection, plan.choice.gone | plan.models, plan.versions)
    return plan


def make_plan(connection: Connection, rule: Rule, lost: Sequence[Path]) -> Plan:
    """Decide what goes.

    Args:
        connection: to the tracking database, in a transaction.
        rule: what to keep.
        lost: folders of no run, which go too.

    Raises:
        TrackingError: artifacts of a run that would go are out of reach, or the history of a
            registered model cannot be understood.
    """
    held, versions = read_inventory(connection), read_versions(connection)
    logged_by = {model.model_id: model.run_id for model in held.models}
    kept = {one: version.why for version in versions if version.why for one in version.stands_on}
    protected = {logged_by.get(one) or one: why for one, why in kept.items()}
    choice = choose(held.runs, rule, protected)
    folders = _folders(held, choice.gone)
    strange = {row.run_id: _STRANGE for row in held.owners() if folders.get(row.key, row) is None}
    if strange:
        choice = choose(held.runs, rule, strange | protected)
    models = frozenset(
        model.model_id
        for model in held.models
        if model.model_id not in kept and _goes(model, choice, rule) and held.folder(model)
    )
    gone = choice.gone | models
    going: dict[Path, int | None] = {
        folders.get(row.key) or held.folder(row): row.experiment_id
        for row in held.owners()
        if row.key in gone
    }
    going |= {folder: None for folder in lost if _is_old(folder, rule)}
    doomed = [version.key for version in versions if version.stands_on & gone]
    return Plan(held, choice, models, doomed, going)


def _folders(held: Inventory, gone: Collection[str]) -> dict[str, Path | None]:
    """Folders of the runs that would go and of their logged models; nothing where it is strange.

    Raises:
        TrackingError: artifacts are not on this machine.
    """
    folders = {}
    for row in held.owners():
        if row.run_id in gone:
            if is_remote(row.artifact_uri):
                raise TrackingError(
                    f"artifacts of a run to be deleted at {without_credentials(row.artifact_uri)}",
                    "a folder on this machine",
                    f"Nothing was deleted. {_HINT}",
                )
            folders[row.key] = held.folder(row)
    return folders


def _goes(model: ModelRow, choice: Choice, rule: Rule) -> bool:
    if model.run_id in choice.gone:
        return True
    exists = model.run_id in choice.root
    if exists and choice.root[model.run_id] in choice.untouchable:
        return False
    lost = model.run_id is not None and not exists
    return rule.old_enough(model.created) and (lost or model.stage == "deleted")


def _is_old(folder: Path, rule: Rule) -> bool:
    """Whether a folder is old enough to go; one that has gone since it was listed is not there."""
    try:
        changed = folder.stat().st_mtime
    except FileNotFoundError:
        return False
    return rule.old_enough(int(changed * 1000))


def _kind(run: RunRow) -> str:
    if run.parent is not None:
        return "nested"
    return "training" if run.level == PIPELINE_LEVEL else "other"


def _sizes(folders: Collection[Path]) -> dict[Path, int]:
    return {
        folder: folder_bytes(folder)
        for folder in tqdm(folders, "Measuring", unit="folder", disable=None)
    }
