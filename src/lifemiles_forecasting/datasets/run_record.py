"""`RunRecordDataset`: aggregate metrics and the training data on the parent MLflow run."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset

from lifemiles_forecasting.core.results import RunRecord
from lifemiles_forecasting.datasets.active_run import client_and_run_id, known_run_id


class RunRecordDataset(AbstractDataset[RunRecord, dict[str, float]]):
    """Saves a run's record in one batch under plain names, and loads its metrics back.

    Example of a catalog entry::

        run_record:
          type: lifemiles_forecasting.datasets.run_record.RunRecordDataset

    Args:
        run_id: the run to read from or write to; by default the active run.
        metadata: for plugins such as kedro-viz.
    """

    _SINGLE_PROCESS = True  # MLflow's active run does not travel to other processes

    def __init__(self, run_id: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        self._run_id = run_id
        self.metadata = metadata

    def save(self, data: RunRecord) -> None:
        """Write the record.

        Args:
            data: params, metrics, tags and the training data.

        Raises:
            TrackingError: there is no run to write to.
        """
        from lifemiles_forecasting.tracking.run_record import write_record

        write_record(*client_and_run_id(self._run_id), data)

    def load(self) -> dict[str, float]:
        """Read the run's metrics back.

        Raises:
            TrackingError: there is no run to read from.
        """
        client, run_id = client_and_run_id(self._run_id)
        return dict(client.get_run(run_id).data.metrics)

    def _exists(self) -> bool:
        return known_run_id(self._run_id) is not None and bool(self.load())

    def _describe(self) -> dict[str, Any]:
        return {"run_id": self._run_id or "active run"}
