"""The MLflow run that our datasets read and write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.lifecycle import active_run_id

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def known_run_id(run_id: str | None) -> str | None:
    """The given run, else the active one, else nothing."""
    return run_id or active_run_id()


def client_and_run_id(run_id: str | None) -> tuple[MlflowClient, str]:
    """A client of the tracking store, and the run to use.

    Args:
        run_id: as given in the catalog; by default the active run.

    Raises:
        TrackingError: neither is there.
    """
    from mlflow.tracking import MlflowClient

    known = known_run_id(run_id)
    if known is None:
        raise TrackingError(
            "no active MLflow run",
            "one to read from or write to",
            "Use `kedro run`, or give the catalog entry a run_id",
        )
    return MlflowClient(), known
