"""Where a run is tracked whose tracking store has gone away, and how it gets to the store later."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lifemiles_forecasting.tracking.pages import read_all
from lifemiles_forecasting.tracking.spooled_model import copy_models, remove_versions
from lifemiles_forecasting.tracking.store_runs import PARENT_TAG, nested_filter

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run
    from mlflow.tracking import MlflowClient

REPLAYED_TAG = "replayed_from"  # run id in the spool
FOLDER = "06_models/untracked"
_BATCH = 100  # MLflow's limit of parameters and tags in one call; of metrics it is 1,000


def spool_uri(outputs: Path) -> str:
    """Address of the spool of a folder of outputs."""
    return f"sqlite:///{(outputs / FOLDER).resolve().as_posix()}/mlflow.db"


def has_spool(outputs: Path) -> bool:
    """Whether there is anything to replay."""
    return (outputs / FOLDER / "mlflow.db").is_file()


def replay(outputs: Path, target: MlflowClient) -> list[str]:
    """Write the spooled training runs, with their nested runs, to a tracking store.

    A run that an earlier replay has left unfinished is deleted there and written again, so each is
    there once. The spool is removed when all of it is there. What becomes of the models of all
    stores says `spooled_model.copy_models`.

    Args:
        outputs: folder of the outputs.
        target: of the store that was away.

    Returns:
        Names of the training runs that were written now.
    """
    from mlflow.tracking import MlflowClient

    uri = spool_uri(outputs)
    source = MlflowClient(tracking_uri=uri, registry_uri=uri)
    written = []
    for experiment in source.search_experiments():
        runs = read_all(source, [experiment.experiment_id], "", keep=lambda run: run)
        nested: dict[str, list[Run]] = {}
        for run in runs:
            nested.setdefault(run.data.tags.get(PARENT_TAG, ""), []).append(run)
        for parent in reversed(nested.get("", [])):  # oldest first, so that its version is too
            there = _experiment(target, experiment)
            if _is_there(target, there, parent.info.run_id):
                continue
            _copy_family(source, target, there, [parent, *nested.get(parent.info.run_id, [])])
            written.append(parent.info.run_name)
    shutil.rmtree(outputs / FOLDER)
    return written


def _experiment(target: MlflowClient, like: Experiment) -> str:
    found = target.get_experiment_by_name(like.name)
    return found.experiment_id if found else target.create_experiment(like.name, tags=like.tags)


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
        target.set_terminated(run_id, child.info.status, child.info.end_time)
    copy_models(source, target, parent, copied)
    target.set_terminated(copied, parent.info.status, parent.info.end_time)


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
    at = run.info.end_time or run.info.start_time  # a metric is logged once, without steps
    batches = (
        ("metrics", [Metric(key, value, at, 0) for key, value in run.data.metrics.items()]),
        ("params", [Param(key, value) for key, value in run.data.params.items()]),
        ("tags", [RunTag(key, value) for key, value in mine.items() if key not in tags]),
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
