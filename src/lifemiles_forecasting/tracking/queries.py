"""Past runs as plain rows, for `kedro explore`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.lifecycle import PIPELINE_LEVEL
from lifemiles_forecasting.tracking.model import ARTIFACT_PATH
from lifemiles_forecasting.tracking.pages import read_all
from lifemiles_forecasting.tracking.store_runs import (
    MODEL_HISTORY_TAG,
    PARENT_TAG,
    children_filter,
    store_key,
)

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run, RunInfo
    from mlflow.tracking import MlflowClient

Row = dict[str, Any]

_TRAININGS = f"tags.run_level = '{PIPELINE_LEVEL}'"
_STORES = "tags.run_level = 'store'"
_FINISHED = "attributes.status = 'FINISHED'"
_LATEST = "attributes.start_time DESC"
_LISTED = 5  # runs or stores that a message names
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_START_OF_ID = re.compile(r"[0-9a-f]{1,32}")
_PLAIN = re.compile(r"[\w.\-]+")
_IDS_PER_FILTER = 100
_LOWEST = "-1e300"  # below every R2


@dataclass(frozen=True)
class PastRuns:
    """Questions about what has been tracked; nothing is ever written.

    Attributes:
        client: of the tracking store.
    """

    client: MlflowClient

    def has_trainings(self) -> bool:
        """Whether any training run has been tracked."""
        return bool(self._search(self._chosen(None), [_TRAININGS], _LATEST, 1))

    def experiments(self) -> list[Row]:
        """Every experiment: id, name, number of training runs, start of the last one."""
        rows = []
        for experiment in self.client.search_experiments():
            starts = read_all(
                self.client,
                [experiment.experiment_id],
                _TRAININGS,
                keep=lambda run: run.info.start_time,
            )
            rows.append(
                {
                    "experiment_id": experiment.experiment_id,
                    "name": experiment.name,
                    "training_runs": len(starts),
                    "last_run": moment(max(starts)) if starts else None,
                }
            )
        return sorted(rows, key=lambda row: row["last_run"] or "", reverse=True)

    def training(self, reference: str, experiment_id: str | None = None) -> Run:
        """The training run that somebody means.

        Args:
            reference: its run id, the beginning of that if no other one begins so, or its name.
            experiment_id: only there.

        Raises:
            TrackingError: it is none, or several; or there is no such experiment.
        """
        chosen = self._chosen(experiment_id)
        found: dict[str, Run] = {}
        for clause in _naming(reference):
            for run in self._search(chosen, [_TRAININGS, clause], _LATEST, _LISTED + 1):
                found[run.info.run_id] = run
        if reference in found:
            return found[reference]
        if len(found) == 1:
            return next(iter(found.values()))
        raise _not_one(reference, [run.info for run in found.values()])

    def trainings(self, experiment_id: str, top: int) -> list[Row]:
        """The latest training runs of an experiment, newest first.

        Raises:
            TrackingError: there is no such experiment.
        """
        chosen = self._chosen(experiment_id)
        return [training_row(run) for run in self._search(chosen, [_TRAININGS], _LATEST, top)]

    def best_trainings(self, top: int, experiment_id: str | None = None) -> list[Row]:
        """The finished training runs with the highest mean R2 over stores.

        Raises:
            TrackingError: there is no such experiment.
        """
        clauses = [_TRAININGS, _FINISHED]
        runs = self._best(self._chosen(experiment_id), clauses, "avg_r2", top)
        return [training_row(run) for run in runs]

    def best_models(
        self, top: int, experiment_id: str | None = None, store_id: str | None = None
    ) -> list[Row]:
        """The store models with the highest R2 on the test window.

        Raises:
            TrackingError: there is no such experiment.
        """
        clauses = [_STORES, _FINISHED, *_of_store(store_id)]
        return [
            _model(run) for run in self._best(self._chosen(experiment_id), clauses, "test_r2", top)
        ]

    def history(self, store_id: str, top: int, experiment_id: str | None = None) -> list[Row]:
        """One store's runs over time, newest first, failed ones included.

        Raises:
            TrackingError: there is no such experiment.
        """
        clauses = [_STORES, *_of_store(store_id)]
        chosen = self._chosen(experiment_id)
        runs = self._search(chosen, clauses, _LATEST, top)
        names = self._names(chosen, {run.data.tags.get(PARENT_TAG, "") for run in runs})
        return [_attempt(run, names) for run in runs]

    def near_stores(self, store_id: str, experiment_id: str | None = None) -> list[str]:
        """A few stores of the latest finished training whose ids resemble one that is unknown.

        They contain it, or its code without the partner, or begin with nearly all of it. To
        compare spellings, all ids would have to be read, which takes a server seconds.

        Raises:
            TrackingError: there is no such experiment.
        """
        chosen = self._chosen(experiment_id)
        for parent in self._search(chosen, [_TRAININGS, _FINISHED], _LATEST, 1):
            stores_of = children_filter(parent.info.run_id)
            for pattern in _patterns(store_id):
                clauses = [stores_of, f"tags.store_id ILIKE '{pattern}'"]
                found = self._search(chosen, clauses, _LATEST, _LISTED)
                if found:
                    return sorted(run.data.tags["store_id"] for run in found)
        return []

    def _names(self, experiments: list[str], run_ids: Collection[str]) -> dict[str, str]:
        """Names of runs by id; what is no run id never reaches a filter."""
        ids = sorted(filter(_RUN_ID.fullmatch, run_ids))
        names: dict[str, str] = {}
        for start in range(0, len(ids), _IDS_PER_FILTER):
            listed = ", ".join(f"'{run_id}'" for run_id in ids[start : start + _IDS_PER_FILTER])
            found = read_all(
                self.client,
                experiments,
                f"attributes.run_id IN ({listed})",
                keep=lambda run: (run.info.run_id, run.info.run_name),
            )
            names.update(found)
        return names

    def _chosen(self, experiment_id: str | None) -> list[str]:
        found: Sequence[Experiment] = self.client.search_experiments()
        known = sorted(found, key=lambda one: (len(one.experiment_id), one.experiment_id))
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

    def _best(
        self, experiments: list[str], clauses: list[str], metric: str, top: int
    ) -> Sequence[Run]:
        # Runs without the metric would come last. To leave them out is also what lets SQLite look
        # the metric up by run; else it goes through all metrics for each run, 1.6 s for 6,000.
        there = f"metrics.{metric} > {_LOWEST}"
        return self._search(experiments, [*clauses, there], f"metrics.{metric} DESC", top)


def _of_store(store_id: str | None) -> list[str]:
    # the key is a hash in hex; the id itself could end the quotation
    return [] if store_id is None else [f"tags.store_key = '{store_key(store_id)}'"]


def _naming(reference: str) -> list[str]:
    """Clauses under which MLflow finds a run by the beginning of its id or by its name."""
    clauses = []
    if _START_OF_ID.fullmatch(reference):
        clauses.append(f"attributes.run_id LIKE '{reference}%'")
    quotes = [quote for quote in "'\"" if quote not in reference]
    if quotes:  # a filter has no way to write a name with both
        clauses.append(f"attributes.run_name = {quotes[0]}{reference}{quotes[0]}")
    return clauses


def _not_one(reference: str, found: Sequence[RunInfo]) -> TrackingError:
    if not found:
        return TrackingError(
            f"no training run {reference!r}",
            "a run id, the beginning of one, or a run name",
            "`kedro explore --experiment-id ID` lists them",
        )
    listed = ", ".join(f"{info.run_id} ({info.run_name!r})" for info in found[:_LISTED])
    more = ", ..." if len(found) > _LISTED else ""
    return TrackingError(
        f"several training runs that {reference!r} can mean: {listed}{more}",
        "one",
        "Give more of the run id",
    )


def _patterns(store_id: str) -> list[str]:
    """What to look for when there is no such store; nothing for an id that could end the quotation.

    >>> _patterns("CJGRO_38")
    ['%CJGRO_38%', '%38', 'CJGRO_3%', 'CJGRO_%']
    """
    if not _PLAIN.fullmatch(store_id):
        return []
    code = store_id.rpartition("_")[2]
    beginnings = [f"{store_id[:-cut]}%" for cut in (1, 2) if len(store_id) > cut + 2]
    return [f"%{store_id}%", *([f"%{code}"] if code else []), *beginnings]


def training_row(run: Run) -> Row:
    """What a list of training runs says of one."""
    metrics, info = run.data.metrics, run.info
    attempted = metrics.get("total_stores_attempted")
    return {
        "run_id": info.run_id,
        "run_name": info.run_name,
        "status": info.status,
        "start_time": moment(info.start_time),
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
        "start_time": moment(run.info.start_time),
        "model_uri": _model_uri(run),
    }


def _attempt(run: Run, names: Mapping[str, str]) -> Row:
    """A store's run in its history.

    Args:
        run: nested run of the store.
        names: of training runs, by id.
    """
    tags, metrics, parent = run.data.tags, run.data.metrics, run.data.tags.get(PARENT_TAG)
    return {
        "store_id": tags.get("store_id"),
        "start_time": moment(run.info.start_time),
        "training_run_name": None if parent is None else names.get(parent),
        "status": run.info.status,
        "champion": tags.get("champion", tags.get("model_type")),
        "model_quality": tags.get("model_quality"),
        "test_wape": metrics.get("test_wape"),
        "test_bias": metrics.get("test_bias"),
        "test_r2": metrics.get("test_r2"),
        "test_smape": metrics.get("test_smape"),
        "coverage_80": metrics.get("coverage_80"),
        "failure_reason": tags.get("failure_reason"),
        "model_uri": _model_uri(run) if MODEL_HISTORY_TAG in tags else None,
        "training_run": parent,
    }


def _model_uri(run: Run) -> str:
    return f"runs:/{run.info.run_id}/{ARTIFACT_PATH}"


def moment(milliseconds: int | None) -> str | None:
    """MLflow's time as local ISO 8601, to the second."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(timespec="seconds")


def _seconds(info: Any) -> float | None:
    return None if info.end_time is None else round((info.end_time - info.start_time) / 1000, 1)
