"""The model of all stores in MLflow's registry: written by training, read by scoring."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from lifemiles_forecasting.datasets.active_run import client_and_run_id, known_run_id

if TYPE_CHECKING:
    from lifemiles_forecasting.core.gate import Incumbent
    from lifemiles_forecasting.core.results import Registration
    from lifemiles_forecasting.tracking.registered_fleet import RegisteredFleets

logger = logging.getLogger(__name__)


class RegistrationDataset(AbstractDataset["Registration", "NoReturn"]):
    """Logs the model to the active run and registers it: as champion, or as challenger.

    Example of a catalog entry::

        registered_model:
          type: lifemiles_forecasting.datasets.registered_fleet.RegistrationDataset

    Args:
        metadata: for plugins such as kedro-viz.
    """

    _SINGLE_PROCESS = True  # MLflow's active run does not travel to other processes

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def save(self, data: Registration) -> None:
        """Log and register.

        Args:
            data: the model and what the gate says of it.

        Raises:
            TrackingError: there is no run to write to.
        """
        from lifemiles_forecasting.tracking.registered_fleet import log_and_register

        logger.info(log_and_register(*client_and_run_id(None), data))

    def load(self) -> NoReturn:
        """Refuse: `registered_fleets` is what reads.

        Raises:
            DatasetError: always.
        """
        raise DatasetError("registered_model is written only; registered_fleets reads")

    def _exists(self) -> bool:
        from lifemiles_forecasting.tracking.registered_fleet import is_registered

        return known_run_id(None) is not None and is_registered(*client_and_run_id(None))

    def _describe(self) -> dict[str, Any]:
        return {}


class _ReadOnly(AbstractDataset[None, Any]):
    _SINGLE_PROCESS = True

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def save(self, data: None) -> NoReturn:
        """Refuse: the registry is written by training.

        Raises:
            DatasetError: always.
        """
        raise DatasetError("the registry is written by registered_model")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}


class IncumbentDataset(_ReadOnly):
    """Loads the model in charge as a later run is measured against it.

    Example of a catalog entry::

        incumbent:
          type: lifemiles_forecasting.datasets.registered_fleet.IncumbentDataset

    Args:
        metadata: for plugins such as kedro-viz.
    """

    def load(self) -> Incumbent | None:
        """Read today's champion; None where there is none yet.

        A champion that cannot be read does not end a run that has trained for hours: it comes with
        its problem, and the new model stays a challenger.
        """
        from mlflow.tracking import MlflowClient

        from lifemiles_forecasting.tracking.registered_fleet import incumbent

        return incumbent(MlflowClient())


class RegisteredFleetsDataset(_ReadOnly):
    """Loads a reader of registered models, which is then asked for one of them.

    Example of a catalog entry::

        registered_fleets:
          type: lifemiles_forecasting.datasets.registered_fleet.RegisteredFleetsDataset

    Args:
        metadata: for plugins such as kedro-viz.
    """

    def load(self) -> RegisteredFleets:
        """The reader; nothing is read yet."""
        from mlflow.tracking import MlflowClient

        from lifemiles_forecasting.tracking.registered_fleet import RegisteredFleets

        return RegisteredFleets(MlflowClient())
