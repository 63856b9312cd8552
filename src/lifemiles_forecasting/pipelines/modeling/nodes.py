"""Nodes of the modeling pipeline: they parse settings and call `core`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # heavy, and this module is imported at every kedro command
    import pandas as pd

    from lifemiles_forecasting.core.backtest import Backtest
    from lifemiles_forecasting.core.results import FleetReader, RunRecord, StoreRun
    from lifemiles_forecasting.core.retraining import TrainingPlan
    from lifemiles_forecasting.core.reuse import FitStore
    from lifemiles_forecasting.core.study import Study

logger = logging.getLogger(__name__)


def plan_training(
    *,
    registered_fleets: FleetReader,
    last_drift: pd.DataFrame | None,
    retrain: str,
    target: str,
    horizon: int,
    modeling: dict[str, Any],
) -> TrainingPlan:
    """Which stores are trained anew, and what stays of the model in charge.

    Raises:
        TrackingError: there is no model in charge.
        InputError: no store is known to have drifted.
        ConfigError: the model in charge does not go with this run.
    """
    from lifemiles_forecasting.core import retraining
    from lifemiles_forecasting.core.config import ModelSettings, parse

    if retrain == "all":
        return retraining.TrainingPlan()
    stores = retraining.drifted_stores(last_drift)
    champion = registered_fleets.read(None, "champion")
    before_test = registered_fleets.read_before_test(champion)
    kept = retraining.Kept(champion.version, champion.fleet, before_test, stores)
    retraining.check_same(kept, target, horizon, parse(ModelSettings, modeling))
    logger.info("Version %s is kept but for %s stores.", kept.version, len(stores))
    return retraining.TrainingPlan(kept)


def build_study(  # noqa: PLR0913, PLR0917 - every run-time parameter is an input of its own
    panel: pd.DataFrame,
    stores: pd.DataFrame,
    planned_events: pd.DataFrame,
    training_plan: TrainingPlan,
    fits: FitStore,
    modeling: dict[str, Any],
    horizon: int,
    min_samples: int,
    max_stores: int | None,
    seed: int,
    resume: bool,
) -> Study:
    """Choose the stores of this run and build their training rows.

    Raises:
        InputError: no store has enough history for a backtest.
    """
    from lifemiles_forecasting.core import retraining, study
    from lifemiles_forecasting.core.config import ModelSettings, parse
    from lifemiles_forecasting.core.series import Series

    settings = parse(ModelSettings, modeling)
    everyone = Series.from_frames(panel, stores)
    sold = study.that_sold(everyone)
    chosen, attempted = study.prepare(sold, horizon, min_samples, max_stores)
    rest = {"events": planned_events, "kept": training_plan.kept, "fits": fits, "resume": resume}
    rest["set_aside"] = study.unusable(everyone)
    built = study.build_study(chosen, attempted, horizon, settings, seed, min_samples, **rest)
    retraining.check_study(built)
    return built


def collect_warnings(
    study: Study,
    backtest_result: Backtest,
    panel: pd.DataFrame,
    stores: pd.DataFrame,
    planned_events: pd.DataFrame,
    row_balance: dict[str, Any],
) -> pd.DataFrame:
    """The ledger of what was noticed and is no failure."""
    from lifemiles_forecasting.core import (
        backtest,
        edges,
        event_days,
        file_checks,
        notices,
        retraining,
        store_codes,
        unread,
    )

    found = [
        *store_codes.notices(stores, row_balance),
        *study.calendar.notices(),
        *retraining.notices(study),
        *backtest.notices(study, backtest_result),
        *event_days.notices(planned_events, stores, study.series.dates, study.horizon),
    ]
    for notice in found:
        logger.warning("%s", notices.in_words(notice))
    not_read = row_balance.get("not_read", [])  # balances of earlier versions do not have it
    doubtful = row_balance.get("doubtful_amounts", [])
    before = [*unread.notices(not_read), *file_checks.notices(doubtful), *edges.notices(panel)]
    return notices.to_frame([*before, *found])  # the former were told when they were found


def run_backtest(study: Study) -> tuple[Backtest, pd.DataFrame, pd.DataFrame]:
    """Backtest, choose and refit; the scored windows and the test window's intervals."""
    from lifemiles_forecasting.core import backtest, training_ledger

    result = backtest.run(study)
    logger.info("%s.", training_ledger.summary(result.training, result.fits))
    spent = sorted(result.fits.spent.items(), key=lambda item: -item[1])
    logger.info(
        "Seconds of one core by candidate, all sizes and windows: %s.",
        ", ".join(f"{name} {seconds:.0f}" for name, seconds in spent),
    )
    return result, backtest.to_frame(study, result), backtest.window_intervals(study, result)


def describe_fits(
    study: Study, backtest_result: Backtest
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Weights, how each attempted store went, and the ledgers of failures and of training."""
    from lifemiles_forecasting.core import packaging
    from lifemiles_forecasting.core.names import printable

    failures = packaging.failures_frame([*study.set_aside, *backtest_result.fits.failures])
    for line in failures.itertuples():
        said = f"Store {line.store_id} failed in {line.stage}: {line.error}"
        logger.warning("%s", printable(said))
    for left_out in backtest_result.fits.left_out:
        said = f"Candidate {left_out.store_id} is left out: {left_out.error}"
        logger.warning("%s", printable(said))
    return (
        packaging.weights_frame(study, backtest_result),
        packaging.attempted_frame(study, backtest_result),
        failures,
        backtest_result.training,
    )


def measure_importance(study: Study, backtest_result: Backtest) -> pd.DataFrame:
    """What the learners of the refit look at, in percent."""
    from lifemiles_forecasting.core import packaging

    return packaging.importance_frame(study, backtest_result)


def forecast_stores(
    panel: pd.DataFrame, stores: pd.DataFrame, study: Study, backtest_result: Backtest
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The next days of every store, once for each file format."""
    from lifemiles_forecasting.core import forecast
    from lifemiles_forecasting.core.series import Series

    intervals = forecast.final_intervals(study, backtest_result)
    everyone = Series.from_frames(panel, stores)
    table = forecast.forecast_all(study, backtest_result, intervals, everyone)
    return table, table


def package_store_runs(
    study: Study,
    backtest_result: Backtest,
    store_metrics: pd.DataFrame,
    attempted: pd.DataFrame,
) -> list[StoreRun]:
    """One run with its model for every attempted store."""
    from lifemiles_forecasting.core import forecast, packaging

    intervals = forecast.final_intervals(study, backtest_result)
    return packaging.store_runs(study, backtest_result, intervals, store_metrics, attempted)


def describe_run(
    backtest_result: Backtest, parameters: dict[str, Any], run_info: dict[str, str]
) -> dict[str, Any]:
    """Which run made the outputs, by which parameters and chosen sizes: a later report tells of it.

    It is said once there is a result; a run that fails before leaves what it says of another one.
    """
    return {"run": run_info, "parameters": parameters, "sizes": backtest_result.sizes}


def package_run_record(  # noqa: PLR0913, PLR0917 - every part of the record is an input of its own
    study: Study,
    panel: pd.DataFrame,
    row_balance: dict[str, Any],
    training: pd.DataFrame,
    aggregate_metrics: dict[str, float],
    coverage: pd.DataFrame,
    raw_transactions: str,
) -> RunRecord:
    """What the parent run says beyond its configuration."""
    from lifemiles_forecasting.core import training_ledger
    from lifemiles_forecasting.core.coverage import flag
    from lifemiles_forecasting.core.results import RunRecord, panel_input

    fingerprint = row_balance["data_fingerprint"]
    return RunRecord(
        params={"dataset_file": raw_transactions, "dataset_shape": str(panel.shape)},
        metrics=aggregate_metrics | training_ledger.counts(training),
        tags={
            "data_fingerprint": fingerprint,
            "test_window": study.test_window,
            "coverage_flag": flag(coverage),
        },
        dataset=panel_input(panel, fingerprint, raw_transactions),
    )
