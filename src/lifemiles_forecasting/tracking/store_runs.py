"""Nested runs, one per store, written in batches under the parent run."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.time import get_current_time_millis
from mlflow.utils.uri import is_local_uri
from tqdm import tqdm

from lifemiles_forecasting.core.hosts import is_web_address
from lifemiles_forecasting.tracking.entities import metrics_of, params_of, tags_of
from lifemiles_forecasting.tracking.model import ARTIFACT_PATH, model_template
from lifemiles_forecasting.tracking.pages import read_all

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run, RunTag
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.core.results import StoreRun

FAILED = "failed"
WRITERS = 8  # stores at once that are sent to a server: a request is mostly waited for
PARENT_TAG = "mlflow.parentRunId"
MODEL_HISTORY_TAG = "mlflow.log-model.history"  # what the UI lists in its Models column
_NAME_LENGTH = (
    250  # of a run in MLflow's tables, which SQLite does not insist on and PostgreSQL does
)
_INHERITED = ("mlflow.user", "mlflow.source.name", "mlflow.source.type", "training_mode")


def store_key(store_id: str) -> str:
    """A store's id as it may stand in a filter: the id itself can hold any symbol."""
    return hashlib.sha256(store_id.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class StoreRunWriter:
    """Writes the nested runs of one parent with four database transactions each.

    To a server, each is a dozen requests, and those of several stores go out at once.

    Attributes:
        client: of the tracking store.
        parent: the run that trained the stores.
    """

    client: MlflowClient
    parent: Run

    def write_all(self, runs: Sequence[StoreRun]) -> float:
        """Write a nested run per store, then the time it took (`tracking_seconds`) on the parent.

        Returns:
            Seconds that all of it took.
        """
        started = time.perf_counter()
        written = self._written(runs)
        for _ in tqdm(written, "Tracking stores", len(runs), unit="store", disable=None):
            pass
        seconds = time.perf_counter() - started
        self.client.log_metric(self.parent.info.run_id, "tracking_seconds", seconds)
        return seconds

    def _written(self, runs: Sequence[StoreRun]) -> Iterator[None]:
        """Write them, and tell of each; the first that cannot be written ends it."""
        if not is_web_address(self.client.tracking_uri):
            yield from map(self._write, runs)
            return
        model_template()  # made here, once
        with ThreadPoolExecutor(WRITERS) as pool:
            yield from pool.map(self._write, runs)  # what has not begun at an error never does

    def _write(self, run: StoreRun) -> None:
        metrics, dropped = metrics_of(run.metrics)
        tags = {**self._tags(run), **dropped}
        info = self.client.create_run(
            self.parent.info.experiment_id,
            start_time=get_current_time_millis(),
            tags={tag.key: tag.value for tag in tags_of(tags)},
            run_name=f"Store {run.store_id}"[:_NAME_LENGTH],  # the tags have all of it
        ).info
        status = "KILLED"  # stays so when the writing is interrupted
        try:
            history = self._write_artifacts(run, info.run_id, info.artifact_uri)
            self.client.log_batch(info.run_id, metrics, params_of(self._params(run)), history)
            status = "FAILED" if run.status == FAILED else "FINISHED"
        finally:
            self.client.set_terminated(info.run_id, status)

    def _params(self, run: StoreRun) -> dict[str, Any]:
        return {"store_code": run.store_code, "partner_code": run.partner_code, **run.params}

    def _tags(self, run: StoreRun) -> dict[str, str]:
        parent = self.parent.data.tags
        tags = {
            **{name: parent[name] for name in _INHERITED if name in parent},
            **run.tags,
            "run_level": "store",
            PARENT_TAG: self.parent.info.run_id,
            "store_id": run.store_id,
            "store_key": store_key(run.store_id),
            "partner_code": run.partner_code,
            "store_code": run.store_code,
            "status": run.status,
        }
        return tags | ({"failure_reason": run.reason} if run.reason else {})

    def _write_artifacts(self, run: StoreRun, run_id: str, artifact_uri: str) -> list[RunTag]:
        """Put the store's files in place; returns the tag by which the UI lists the model."""
        if is_local_uri(artifact_uri):
            # straight to where they belong: a temporary folder costs 10 ms per store
            return _write_files(run, run_id, Path(local_file_uri_to_path(artifact_uri)))
        with TemporaryDirectory() as folder:
            tags = _write_files(run, run_id, Path(folder))
            # the client would read the whole run back to learn this address
            repository = get_artifact_repository(artifact_uri, self.client.tracking_uri)
            repository.log_artifacts(folder)
        return tags


def _write_files(run: StoreRun, run_id: str, folder: Path) -> list[RunTag]:
    folder.mkdir(parents=True, exist_ok=True)
    if run.scaler:
        (folder / "scaler").mkdir()
        _write_json(folder / "scaler" / "scaler.json", run.scaler)
    if run.importance:
        _write_json(folder / "feature_importance.json", run.importance)
    if not run.model:
        return []
    uuid = model_template().save(folder / ARTIFACT_PATH, run.model, run_id)
    return tags_of({MODEL_HISTORY_TAG: _model_history(run_id, uuid)})


def store_frame(client: MlflowClient, parent_id: str) -> pd.DataFrame:
    """The nested runs of a parent as a table: what was written, one row per store.

    Args:
        client: of the tracking store.
        parent_id: run id of the parent.

    Returns:
        Columns `run_id`, `run_status`, `model_uri`, tags, params and metrics by their own names;
        sorted by `store_id`.
    """
    import pandas as pd

    experiment = client.get_run(parent_id).info.experiment_id
    rows = read_all(client, [experiment], children_filter(parent_id), keep=_row)
    frame = pd.DataFrame(rows)
    return frame.sort_values("store_id", ignore_index=True) if rows else frame


def has_store_runs(client: MlflowClient, parent_id: str) -> bool:
    """Whether a parent has nested store runs."""
    experiment = client.get_run(parent_id).info.experiment_id
    return bool(client.search_runs([experiment], children_filter(parent_id), max_results=1))


def children_filter(parent_id: str) -> str:
    """The filter for the store runs of a parent."""
    return f"{nested_filter(parent_id)} AND tags.run_level = 'store'"


def nested_filter(parent_id: str) -> str:
    """The filter for all runs that are nested in a parent, half-written ones among them."""
    return f"tags.`{PARENT_TAG}` = '{parent_id}'"


def _row(run: Run) -> dict[str, Any]:
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
    return {
        "run_id": run.info.run_id,
        "run_status": run.info.status,
        "model_uri": f"runs:/{run.info.run_id}/{ARTIFACT_PATH}",
        **run.data.params,
        **tags,
        **run.data.metrics,
    }


def _model_history(run_id: str, model_uuid: str) -> str:
    flavor = {"python_function": {"loader_module": "lifemiles_forecasting.tracking.model"}}
    created = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime())
    entry = {
        "run_id": run_id,
        "artifact_path": ARTIFACT_PATH,
        "utc_time_created": created,
        "model_uuid": model_uuid,
        "flavors": flavor,
    }
    return json.dumps([entry])


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False))
