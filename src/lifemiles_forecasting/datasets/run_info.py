"""`RunInfoDataset`: which MLflow run this is, for what is printed into a report."""

from __future__ import annotations

from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from lifemiles_forecasting.datasets.active_run import known_run_id


class RunInfoDataset(AbstractDataset[None, dict[str, str]]):
    """Loads `run_id`, `run_name` and `experiment` of the active run; nothing without one.

    Example of a catalog entry::

        run_info:
          type: lifemiles_forecasting.datasets.run_info.RunInfoDataset

    Args:
        run_id: the run to tell about; by default the active run.
        metadata: for plugins such as kedro-viz.
    """

    _SINGLE_PROCESS = True  # MLflow's active run does not travel to other processes

    def __init__(self, run_id: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        self._run_id = run_id
        self.metadata = metadata

    def load(self) -> dict[str, str]:
        """Look the run up; a run without tracking is none, and gives an empty dict."""
        from mlflow.tracking import MlflowClient

        run_id = known_run_id(self._run_id)
        if run_id is None:
            return {}
        client = MlflowClient()
        info = client.get_run(run_id).info
        experiment = client.get_experiment(info.experiment_id).name
        return {"run_id": run_id, "run_name": info.run_name, "experiment": experiment}

    def save(self, data: None) -> NoReturn:
        """Refuse: a run gets its name where it is started.

        Raises:
            DatasetError: always.
        """
        raise DatasetError("run_info is read only")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"run_id": self._run_id or "active run"}
