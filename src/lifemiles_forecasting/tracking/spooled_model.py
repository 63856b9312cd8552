"""The models of a run that was tracked aside: into the store, and into its registry."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lifemiles_forecasting.tracking.entities import tags_of
from lifemiles_forecasting.tracking.names import (
    CHALLENGER,
    CHAMPION,
    GATE_REASONS,
    GATE_STATUS,
    REGISTERED_MODEL,
)
from lifemiles_forecasting.tracking.registered_fleet import ROLE_TAG, VERSION_TAG
from lifemiles_forecasting.tracking.registry import Registry

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run
    from mlflow.tracking import MlflowClient

NOT_COMPARED = (
    "it was trained while the tracking store was away, and not compared with the champion"
)


def copy_models(source: MlflowClient, target: MlflowClient, run: Run, copied: str) -> None:
    """Copy the logged models of a spooled run, and register what it had registered.

    The new version takes charge only where nobody is and the gate let it pass in the spool: there
    it was not compared with the champion. Else it is the challenger.

    Args:
        source: of the spool; its files are on this machine.
        target: of the store that was away.
        run: the training run in the spool.
        copied: id of its copy.
    """
    from mlflow.entities import LoggedModelStatus

    condition = f"source_run_id = '{run.info.run_id}'"
    for model in source.search_logged_models([run.info.experiment_id], condition):
        if model.status != LoggedModelStatus.READY:  # the run was killed while it logged it
            continue
        uri = _copy_model(target, model, copied)
        if model.name == REGISTERED_MODEL and VERSION_TAG in run.data.tags:
            _register(Registry(source), Registry(target), run, copied, uri)


def remove_versions(target: MlflowClient, run_id: str) -> None:
    """Remove the versions that a run of an interrupted replay had registered."""
    for one in target.search_model_versions(f"run_id = '{run_id}'"):
        target.delete_model_version(one.name, one.version)


def _copy_model(target: MlflowClient, model: LoggedModel, run_id: str) -> str:
    """Copy the files of a logged model, whose `MLmodel` names its run and itself; its address."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model
    from mlflow.utils.file_utils import local_file_uri_to_path

    experiment = target.get_run(run_id).info.experiment_id
    new = target.create_logged_model(
        experiment, model.name, run_id, model.tags, model.params, model.model_type
    )
    with TemporaryDirectory() as folder:
        files = Path(folder) / "model"
        shutil.copytree(local_file_uri_to_path(model.artifact_location), files)
        description = Model.load(str(files / "MLmodel"))
        description.run_id, description.model_id = run_id, new.model_id
        description.artifact_path = new.artifact_location
        description.save(str(files / "MLmodel"))
        target.log_model_artifacts(new.model_id, str(files))
    target.finalize_logged_model(new.model_id, "READY")
    target.log_outputs(run_id, [LoggedModelOutput(new.model_id, step=0)])
    return new.model_uri


def _register(spooled: Registry, registry: Registry, run: Run, copied: str, uri: str) -> None:
    tags = dict(spooled.version(run.data.tags[VERSION_TAG]).tags)
    in_charge = tags.get(GATE_STATUS) == "passed" and registry.alias(CHAMPION) is None
    if not in_charge:
        reasons = [tags.get(GATE_REASONS), NOT_COMPARED]
        tags |= {GATE_STATUS: "failed", GATE_REASONS: "; ".join(filter(None, reasons))}
    version = registry.add(uri, copied, tags).version
    if in_charge:
        registry.promote(version)
    else:
        registry.challenge(version)
    gate = {name: tags[name] for name in (GATE_STATUS, GATE_REASONS) if name in tags}
    role = CHAMPION if in_charge else CHALLENGER
    registry.client.log_batch(copied, tags=tags_of({**gate, VERSION_TAG: version, ROLE_TAG: role}))
