"""`StoreRunsDataset`: one nested MLflow run per store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

from lifemiles_forecasting.core.results import StoreRun
from lifemiles_forecasting.datasets.active_run import client_and_run_id, known_run_id

if TYPE_CHECKING:
    import pandas as pd


class StoreRunsDataset(AbstractDataset[Sequence[StoreRun], "pd.DataFrame"]):
    """Saves a nested run per store under the active run, and loads them back as a table.

    Example of a catalog entry::

        store_runs:
          type: lifemiles_forecasting.datasets.store_runs.StoreRunsDataset

    Args:
        run_id: the parent run to read from or write to; by default the active run.
        metadata: for plugins such as kedro-viz.
    """

    _SINGLE_PROCESS = True  # MLflow's active run does not travel to other processes

    def __init__(self, run_id: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        self._run_id = run_id
        self.metadata = metadata

    def save(self, data: Sequence[StoreRun]) -> None:
        """Write the runs.

        Args:
            data: one result per store that was attempted.

        Raises:
            TrackingError: there is no run to write to.
        """
        from lifemiles_forecasting.tracking.store_runs import StoreRunWriter

        client, run_id = client_and_run_id(self._run_id)
        StoreRunWriter(client, client.get_run(run_id)).write_all(data)

    def load(self) -> pd.DataFrame:
        """Read the nested runs back.

        Returns:
            One row per store: run id, status, model URI, params, tags and metrics.

        Raises:
            TrackingError: there is no run to read from.
        """
        from lifemiles_forecasting.tracking.store_runs import store_frame

        return store_frame(*client_and_run_id(self._run_id))

    def _exists(self) -> bool:
        from lifemiles_forecasting.tracking.store_runs import has_store_runs

        if known_run_id(self._run_id) is None:
            return False
        return has_store_runs(*client_and_run_id(self._run_id))

    def _describe(self) -> dict[str, Any]:
        return {"run_id": self._run_id or "active run"}
