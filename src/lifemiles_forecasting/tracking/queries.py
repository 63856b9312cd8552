"""Past runs as plain rows, for `kedro explore`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.lifecycle import PIPELINE_LEVEL
from lifemiles_forecasting.tracking.model import ARTIFACT_PATH
from lifemiles_forecasting.tracking.store_runs import MODEL_HISTORY_TAG, PARENT_TAG, store_key

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run
    from mlflow.tracking import MlflowClient

Row = dict[str, Any]

_TRAININGS = f"tags.run_level = '{PIPELINE_LEVEL}'"
_STORES = "tags.run_level = 'store'"
_FINISHED = "attributes.status = 'FINISHED'"
_LATEST = "attributes.start_time DESC"
_COUNTED = 10_000


@dataclass(frozen=True)
class PastRuns:
    """Questions about what has been tracked; nothing is ever written.

    Attributes:
        client: of the tracking store.
    """

    client: MlflowClient

    def experiments(self) -> list[Row]:
        """Every experiment: id, name, number of training runs, start of the last one."""
        rows = []
        for experiment in self.client.search_experiments():
            runs = self.client.search_runs(
                [experiment.experiment_id], _TRAININGS, max_results=_COUNTED, order_by=[_LATEST]
            )
            last = _moment(runs[0].info.start_time) if runs else None
            rows.append(
                {
                    "experiment_id": experiment.experiment_id,
                    "name": experiment.name,
                    "training_runs": len(runs),
                    "last_run": last,
                }
            )
        return sorted(rows, key=lambda row: row["last_run"] or "", reverse=True)

    def trainings(self, experiment_id: str, top: int) -> list[Row]:
        """The latest training runs of an experiment, newest first.

        Raises:
            TrackingError: there is no such experiment.
        """
        chosen = self._chosen(experiment_id)
        return [_training(run) for run in self._search(chosen, [_TRAININGS], _LATEST, top)]

    def best_trainings(self, top: int, experiment_id: str | None = None) -> list[Row]:
        """The finished training runs with the highest mean R2 over stores.

        Raises:
            TrackingError: there is no such experiment.
        """
        runs = self._search(
            self._chosen(experiment_id), [_TRAININGS, _FINISHED], "metrics.avg_r2 DESC", top
        )
        return [_training(run) for run in runs if "avg_r2" in run.data.metrics]

    def best_models(
        self, top: int, experiment_id: str | None = None, store_id: str | None = None
    ) -> list[Row]:
        """The store models with the highest R2 on the test window.

        Raises:
            TrackingError: there is no such experiment.
        """
        clauses = [_STORES, _FINISHED, *_of_store(store_id)]
        runs = self._search(self._chosen(experiment_id), clauses, "metrics.test_r2 DESC", top)
        return [_model(run) for run in runs if "test_r2" in run.data.metrics]

    def history(self, store_id: str, top: int, experiment_id: str | None = None) -> list[Row]:
        """One store's runs over time, newest first, failed ones included.

        Raises:
            TrackingError: there is no such experiment.
        """
        clauses = [_STORES, *_of_store(store_id)]
        runs = self._search(self._chosen(experiment_id), clauses, _LATEST, top)
        return [_attempt(run) for run in runs]

    def _chosen(self, experiment_id: str | None) -> list[str]:
        known: Sequence[Experiment] = self.client.search_experiments()
        ids = [experiment.experiment_id for experiment in known]
        if experiment_id is None:
            return ids
        if experiment_id not in ids:
            names = ", ".join(f"{one.experiment_id} ({one.name})" for one in known) or "none yet"
            raise TrackingError(
                f"no experiment with id {experiment_id!r}",
                f"one of {names}",
                "`kedro explore` lists them",
            )
        return [experiment_id]

    def _search(
        self, experiments: list[str], clauses: list[str], order: str, top: int
    ) -> Sequence[Run]:
        condition = " AND ".join(clauses)
        return self.client.search_runs(experiments, condition, max_results=top, order_by=[order])


def _of_store(store_id: str | None) -> list[str]:
    # the key is a hash in hex; the id itself could end the quotation
    return [] if store_id is None else [f"tags.store_key = '{store_key(store_id)}'"]


def _training(run: Run) -> Row:
    metrics, info = run.data.metrics, run.info
    attempted = metrics.get("total_stores_attempted")
    return {
        "run_id": info.run_id,
        "run_name": info.run_name,
        "status": info.status,
        "start_time": _moment(info.start_time),
        "duration_seconds": _seconds(info),
        "training_mode": run.data.tags.get("training_mode"),
        "stores": None if attempted is None else int(attempted),
        "avg_r2": metrics.get("avg_r2"),
        "avg_smape": metrics.get("avg_smape"),
        "success_rate": metrics.get("success_rate"),
    }


def _model(run: Run) -> Row:
    tags, metrics = run.data.tags, run.data.metrics
    return {
        "store_id": tags.get("store_id"),
        "model_quality": tags.get("model_quality"),
        "model_type": tags.get("model_type"),
        "test_r2": metrics.get("test_r2"),
        "test_smape": metrics.get("test_smape"),
        "test_wape": metrics.get("test_wape"),
        "start_time": _moment(run.info.start_time),
        "model_uri": f"runs:/{run.info.run_id}/{ARTIFACT_PATH}",
    }


def _attempt(run: Run) -> Row:
    tags = run.data.tags
    outcome = {"status": run.info.status, "failure_reason": tags.get("failure_reason")}
    if MODEL_HISTORY_TAG not in tags:
        outcome["model_uri"] = None
    return {**_model(run), **outcome, "training_run": tags.get(PARENT_TAG)}


def _moment(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(timespec="seconds")


def _seconds(info: Any) -> float | None:
    return None if info.end_time is None else round((info.end_time - info.start_time) / 1000, 1)
