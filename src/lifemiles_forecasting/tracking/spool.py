"""Where a run is tracked whose tracking store has gone away, and how it gets to the store later."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from lifemiles_forecasting.core.errors import ForecastingError, TrackingError
from lifemiles_forecasting.tracking.dead_runs import OUTPUTS_TAG
from lifemiles_forecasting.tracking.first_use import one_at_a_time
from lifemiles_forecasting.tracking.inventory import UNFINISHED
from lifemiles_forecasting.tracking.lifecycle import without_retries
from lifemiles_forecasting.tracking.pages import read_all
from lifemiles_forecasting.tracking.spooled_model import copy_models, remove_versions
from lifemiles_forecasting.tracking.store import artifact_location, has_content, probe, sqlite_uri
from lifemiles_forecasting.tracking.store_runs import PARENT_TAG, nested_filter

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run
    from mlflow.tracking import MlflowClient

REPLAYED_TAG = "replayed_from"  # run id in the spool
FOLDER = "06_models/untracked"
logger = logging.getLogger(__name__)

_REFUSALS = (ForecastingError, MlflowException, SQLAlchemyError, OSError)
_BATCH = 100  # MLflow's limit of parameters and tags in one call; of metrics it is 1,000


def spool_uri(outputs: Path) -> str:
    """Address of the spool of a folder of outputs."""
    return sqlite_uri((outputs / FOLDER).resolve() / "mlflow.db")


def has_spool(outputs: Path) -> bool:
    """Whether there is anything to replay."""
    return (outputs / FOLDER / "mlflow.db").is_file()


def replay(outputs: Path, target: MlflowClient) -> list[str]:
    """Write the spooled training runs, with their nested runs, to a tracking store.

    A run that an earlier replay has left unfinished is deleted there and written again, so each is
    there once. The spool is removed when all of it is there. What becomes of the models of all
    stores says `spooled_model.copy_models`.

    Args:
        outputs: folder of the outputs, which nobody else writes to.
        target: of the store that was away.

    Returns:
        Names of the training runs that were written now.

    Raises:
        TrackingError: the spool cannot be read, or some of its runs cannot be written; the others
            are, and the spool stays.
    """
    uri, folder = spool_uri(outputs), outputs / FOLDER
    written, problems = [], []
    with _one_error(folder):
        with one_at_a_time(uri):  # removes tables that a killed run has left half made
            pass
        for source, experiment, family in _families(uri):
            try:
                if _replay_family(source, target, experiment, family):
                    written.append(family[0].info.run_name)
            except _REFUSALS as error:
                problems.append(error)
        if problems:
            raise problems[0]
        shutil.rmtree(folder)
    return written


def replay_or_warn(outputs: Path, target: MlflowClient) -> list[str]:
    """`replay` for a run that goes on where it cannot be done."""
    try:
        return replay(outputs, target)
    except TrackingError as error:
        logger.warning("%s", error)
        return []


@contextmanager
def _one_error(folder: Path) -> Iterator[None]:
    """Raise a TrackingError in place of whatever a spool that cannot be replayed raises."""
    try:
        yield
    except _REFUSALS as error:
        reason = str(error).partition("\n")[0]
        raise TrackingError(
            f"runs in {folder} that cannot be written to the tracking store ({reason})",
            "a spool that can be read, and a store that takes it",
            "They are kept, and `kedro tracking replay` or the next run tries again; remove the "
            "folder to do without them",
        ) from error


def _families(uri: str) -> Iterator[tuple[MlflowClient, Experiment, list[Run]]]:
    """Each training run of a spool, oldest first, so that its version is too, with nested ones."""
    from mlflow.tracking import MlflowClient

    if not has_content(uri):
        return
    probe(uri)  # MLflow would try for two minutes to open what is no database
    source = MlflowClient(tracking_uri=uri, registry_uri=uri)
    for experiment in source.search_experiments():
        nested: dict[str, list[Run]] = {}
        for run in read_all(source, [experiment.experiment_id], "", keep=lambda run: run):
            nested.setdefault(run.data.tags.get(PARENT_TAG, ""), []).append(run)
        for parent in reversed(nested.get("", [])):
            yield source, experiment, [parent, *nested.get(parent.info.run_id, [])]


def _replay_family(
    source: MlflowClient, target: MlflowClient, like: Experiment, family: list[Run]
) -> bool:
    """Write a training run and its nested ones; whether they were not there yet."""
    run_id = family[0].info.run_id
    there = _experiment(target, like)
    if _is_there(target, there, run_id):
        return False
    try:
        _copy_family(source, target, there, family)
    except _REFUSALS:
        with without_retries(), suppress(*_REFUSALS):
            _is_there(target, there, run_id)  # deletes what there is of it
        raise
    return True


def _experiment(target: MlflowClient, like: Experiment) -> str:
    found = target.get_experiment_by_name(like.name)
    if found:
        return found.experiment_id
    place = artifact_location(target.tracking_uri, Path.cwd())
    return target.create_experiment(like.name, place, like.tags)


def _is_there(target: MlflowClient, experiment: str, run_id: str) -> bool:
    """Whether a run was replayed before; what is left of one that was interrupted is deleted."""
    there = False
    condition = f"tags.{REPLAYED_TAG} = '{run_id}'"
    for copied in read_all(target, [experiment], condition, keep=lambda run: run.info):
        if copied.status != "RUNNING":
            there = True
            continue
        children = nested_filter(copied.run_id)
        for child in read_all(target, [experiment], children, keep=lambda run: run.info.run_id):
            target.delete_run(child)
        remove_versions(target, copied.run_id)
        target.delete_run(copied.run_id)
    return there


def _copy_family(
    source: MlflowClient, target: MlflowClient, experiment: str, family: list[Run]
) -> None:
    """Copy a training run and its nested ones; it ends last, which says that all are there."""
    parent, *children = family
    copied = _copy(source, target, experiment, parent, {REPLAYED_TAG: parent.info.run_id})
    for child in children:
        changed = {PARENT_TAG: copied, REPLAYED_TAG: child.info.run_id}
        run_id = _copy(source, target, experiment, child, changed)
        _end(target, run_id, child)
    copy_models(source, target, parent, copied)
    _end(target, copied, parent)


def _end(target: MlflowClient, copied: str, run: Run) -> None:
    """End a copy as its run ended; one that still runs in the spool was killed without a word."""
    status = "KILLED" if run.info.status in UNFINISHED else run.info.status
    target.set_terminated(copied, status, run.info.end_time)


def _copy(
    source: MlflowClient, target: MlflowClient, experiment: str, run: Run, tags: Mapping[str, str]
) -> str:
    """Copy a run but its end; the id of the copy."""
    from mlflow.entities import Metric, Param, RunTag

    copied = target.create_run(
        experiment, run.info.start_time, dict(tags), run.info.run_name
    ).info.run_id
    # the models of a run name it in one of its tags
    mine = {key: v.replace(run.info.run_id, copied) for key, v in run.data.tags.items()}
    # it writes nowhere: the next run would take what an interrupted replay has left for a dead run
    left_out = {*tags, OUTPUTS_TAG}
    at = run.info.end_time or run.info.start_time  # a metric is logged once, without steps
    batches = (
        ("metrics", [Metric(key, value, at, 0) for key, value in run.data.metrics.items()]),
        ("params", [Param(key, value) for key, value in run.data.params.items()]),
        ("tags", [RunTag(key, value) for key, value in mine.items() if key not in left_out]),
    )
    for kind, values in batches:
        for k in range(0, len(values), _BATCH):
            target.log_batch(copied, **{kind: values[k : k + _BATCH]})
    if run.inputs.dataset_inputs:
        target.log_inputs(copied, run.inputs.dataset_inputs)
    if source.list_artifacts(run.info.run_id):
        with TemporaryDirectory() as folder:
            target.log_artifacts(copied, source.download_artifacts(run.info.run_id, "", folder))
    return copied
