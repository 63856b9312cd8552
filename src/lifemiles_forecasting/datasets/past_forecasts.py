"""`PastForecastsDataset`: what earlier runs forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from lifemiles_forecasting.datasets.active_run import client_and_run_id, known_run_id

if TYPE_CHECKING:
    from lifemiles_forecasting.tracking.past_forecasts import ForecastArchive


class PastForecastsDataset(AbstractDataset[None, "ForecastArchive"]):
    """Loads what reads the forecasts of the experiment that the active run belongs to.

    Example of a catalog entry::

        past_forecasts:
          type: lifemiles_forecasting.datasets.past_forecasts.PastForecastsDataset

    Args:
        run_id: a run of the experiment to look into; by default the active run.
        metadata: for plugins such as kedro-viz.
    """

    _SINGLE_PROCESS = True  # MLflow's active run does not travel to other processes

    def __init__(self, run_id: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        self._run_id = run_id
        self.metadata = metadata

    def load(self) -> ForecastArchive:
        """The archive; nothing is read before it is asked.

        Raises:
            TrackingError: there is no run to tell the experiment by.
        """
        from lifemiles_forecasting.tracking.past_forecasts import ForecastArchive

        client, run_id = client_and_run_id(self._run_id)
        return ForecastArchive(client, client.get_run(run_id).info.experiment_id)

    def save(self, data: None) -> NoReturn:
        """Refuse: forecasts are written by the runs that make them.

        Raises:
            DatasetError: always.
        """
        raise DatasetError("past_forecasts is read only")

    def _exists(self) -> bool:
        return known_run_id(self._run_id) is not None

    def _describe(self) -> dict[str, Any]:
        return {"run_id": self._run_id or "active run"}
