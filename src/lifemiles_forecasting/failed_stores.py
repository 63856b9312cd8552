"""A run that lost too many stores ends as failed, after everything is written and tracked."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from lifemiles_forecasting.core.errors import TooManyFailuresError
from lifemiles_forecasting.tracking import lifecycle

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline

NEEDED = ("failures", "attempted")


class FailedStoresHooks:
    """Counts the failures of a run once all else is done.

    A node could not: Kedro has no order between nodes but what they hand on, and nothing may come
    after it. So the run is closed as finished, and then marked as failed.
    """

    @hook_impl(wrapper=True, tryfirst=True)  # around all others, which write and close the run
    def after_pipeline_run(
        self, pipeline: Pipeline, catalog: CatalogProtocol
    ) -> Generator[None, Any, Any]:
        """Let the run be closed, then count.

        Raises:
            TooManyFailuresError: more stores failed than `modeling.max_failed_share` allows.
        """
        from lifemiles_forecasting.core import failed_share
        from lifemiles_forecasting.core.config import ModelSettings, parse

        run_id = lifecycle.active_run_id()
        results = yield
        if not set(NEEDED) <= pipeline.all_outputs():
            return results
        failures, attempted = (catalog.load(name) for name in NEEDED)
        most = parse(ModelSettings, catalog.load("params:modeling")).max_failed_share
        ledger = f"{catalog.load('parameters')['data_root']}/08_reporting/failures.csv"
        try:
            failed_share.check(failures, attempted, most, ledger)
        except TooManyFailuresError:
            if run_id is not None:  # else the pipeline is not tracked
                mark_failed(run_id)
            raise
        return results


def mark_failed(run_id: str) -> None:
    """Close a run as FAILED, whatever it was closed as."""
    from mlflow.tracking import MlflowClient

    MlflowClient().set_terminated(run_id, "FAILED")
