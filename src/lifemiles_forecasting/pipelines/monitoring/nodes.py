"""Nodes of the monitoring pipeline: they parse settings and call `core` and `report`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # heavy, and this module is imported at every kedro command
    import pandas as pd

    from lifemiles_forecasting.core.monitoring import ForecastReader, Tested
    from lifemiles_forecasting.core.results import FleetReader, LoadedVersion, RunRecord

logger = logging.getLogger(__name__)


def read_model(
    registered_fleets: FleetReader, model_version: int | None, model_alias: str, target: str
) -> LoadedVersion:
    """The model whose backtest says how far stores usually stray.

    Raises:
        TrackingError: there is none.
        ConfigError: it forecasts another target.
    """
    from lifemiles_forecasting.core.scoring import check_target

    model = registered_fleets.read(model_version, model_alias)
    check_target(model.fleet, target)
    logger.info("Judged by the backtest of model version %s.", model.version)
    return model


def join_forecasts(
    *,
    past_forecasts: ForecastReader,
    judged_by: LoadedVersion,
    panel: pd.DataFrame,
    stores: pd.DataFrame,
    monitoring: dict[str, Any],
    target: str,
) -> tuple[Tested, dict[str, Any]]:
    """Past forecasts beside what happened, and where they come from.

    Raises:
        InputError: no run has forecast a day of the period, or days are missing between what the
            model knows and the transactions.
    """
    from lifemiles_forecasting.core.config import MonitoringSettings, parse
    from lifemiles_forecasting.core.continuation import continued
    from lifemiles_forecasting.core.monitoring import Actuals, join_actuals
    from lifemiles_forecasting.core.series import Series

    settings, fleet = parse(MonitoringSettings, monitoring), judged_by.fleet
    series = continued(fleet.history, Series.from_frames(panel, stores), fleet.recipe)
    actuals = Actuals(series, settings.days)
    past = past_forecasts.read(target, actuals.first, settings.max_runs)
    for run, reason in past.left_out.items():
        logger.warning("The forecasts of run %s cannot be read: %s", run, reason)
    if past.cut:
        logger.warning("Only the newest %s runs were looked at (max_runs).", settings.max_runs)
    if past.stand_ins:
        logger.warning(
            "No model that was in charge has forecast a day of the period: those that were not "
            "are looked at. Forecast with `kedro run --pipelines=forecasting` every night."
        )
    tested = join_actuals(past.frame, actuals)
    logger.info(
        "%s forecasts of %s runs for %s to %s; %s of days that have not come.",
        f"{len(tested.every):,}",
        past.runs,
        actuals.first,
        actuals.last,
        f"{tested.untested:,}",
    )
    about = {"runs": past.runs, "left_out": len(past.left_out)}
    return tested, {**about, "cut": past.cut, "stand_ins": past.stand_ins}


def measure_accuracy(tested: Tested) -> tuple[pd.DataFrame, dict[str, float]]:
    """Accuracy in all and by week ahead, partner and store; the metrics of the run."""
    from lifemiles_forecasting.core.monitoring import accuracy_table, run_metrics

    return accuracy_table(tested), run_metrics(tested)


def find_drift(
    tested: Tested, judged_by: LoadedVersion, monitoring: dict[str, Any]
) -> pd.DataFrame:
    """The verdict on every store."""
    from lifemiles_forecasting.core import drift
    from lifemiles_forecasting.core.config import MonitoringSettings, parse

    settings = parse(MonitoringSettings, monitoring)
    table = drift.find_drift(tested, judged_by.fleet.errors, settings.drift_percentile)
    found = drift.summary(table)
    logger.info(
        "%d of %d stores have drifted; %d of them need training.",
        found["drifted_stores"],
        found["stores_judged"],
        found["stores_to_retrain"],
    )
    return table


def build_report(  # noqa: PLR0913 - every part of the report is an input of its own
    *,
    tested: Tested,
    past_runs: dict[str, Any],
    accuracy: pd.DataFrame,
    metrics: dict[str, float],
    drift: pd.DataFrame,
    stores: pd.DataFrame,
    run_info: dict[str, str],
    reporting: dict[str, Any],
    target: str,
) -> str:
    """The report for people: one HTML document."""
    from lifemiles_forecasting.core.config import ReportSettings, parse
    from lifemiles_forecasting.core.monitoring import daily_totals
    from lifemiles_forecasting.report.monitoring import MonitoringContent, render_monitoring

    content = MonitoringContent(
        totals=daily_totals(tested),
        accuracy=accuracy,
        drift=drift,
        metrics=metrics,
        stores=stores,
        past_runs=past_runs,
        target=target,
        run=run_info,
    )
    return render_monitoring(content, parse(ReportSettings, reporting).language)


def describe_monitoring(
    panel: pd.DataFrame,
    row_balance: dict[str, Any],
    metrics: dict[str, float],
    drift: pd.DataFrame,
    past_runs: dict[str, Any],
    raw_transactions: str,
) -> RunRecord:
    """What the monitoring run says of itself."""
    from lifemiles_forecasting.core.drift import summary
    from lifemiles_forecasting.core.results import RunRecord, panel_input

    fingerprint = row_balance["data_fingerprint"]
    runs = {"runs_read": past_runs["runs"], "runs_left_out": past_runs["left_out"]}
    return RunRecord(
        params={"dataset_file": raw_transactions, "dataset_shape": str(panel.shape)},
        metrics={**metrics, **summary(drift), **runs},
        tags={
            "data_fingerprint": fingerprint,
            "runs_cut": str(past_runs["cut"]).lower(),
            "runs_stand_in": str(past_runs["stand_ins"]).lower(),
        },
        dataset=panel_input(panel, fingerprint, raw_transactions, "monitoring"),
    )
