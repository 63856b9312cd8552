"""Nodes of the registration pipeline: they parse settings and call `core`."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # heavy, and this module is imported at every kedro command
    import pandas as pd

    from lifemiles_forecasting.core.backtest import Backtest
    from lifemiles_forecasting.core.gate import Incumbent, Verdict
    from lifemiles_forecasting.core.results import Registration
    from lifemiles_forecasting.core.study import Study

logger = logging.getLogger(__name__)


def judge_model(  # noqa: PLR0913 - every run-time parameter is an input of its own
    *,
    study: Study,
    backtest_result: Backtest,
    panel: pd.DataFrame,
    stores: pd.DataFrame,
    aggregate_metrics: dict[str, float],
    coverage: pd.DataFrame,
    planned_events: pd.DataFrame,
    incumbent: Incumbent | None,
    gate: dict[str, Any],
    reporting: dict[str, Any],
    target: str,
    max_stores: int | None,
) -> tuple[Verdict, dict[str, Any]]:
    """Whether the model of this run may take charge, and the same as a table."""
    from lifemiles_forecasting.core import gate as gates
    from lifemiles_forecasting.core.config import GateSettings, ReportSettings, parse
    from lifemiles_forecasting.core.series import Series

    everyone = Series.from_frames(panel, stores)
    measured = (aggregate_metrics, coverage, planned_events)
    new = gates.Tested(study, backtest_result, target, everyone, *measured)
    settings, report = parse(GateSettings, gate), parse(ReportSettings, reporting)
    verdict = gates.judge(new, incumbent, settings, report)
    if max_stores is not None:
        stores = len(study.series.y)
        sentence = f"trained on the {stores:,} largest stores only (max_stores)"
        limited = gates.Finding("limited", sentence, {"stores": stores})
        verdict = replace(verdict, findings=(limited, *verdict.findings))
    return verdict, gates.as_table(verdict, aggregate_metrics)


def register_model(  # noqa: PLR0913 - every part of the model is an input of its own
    *,
    study: Study,
    backtest_result: Backtest,
    panel: pd.DataFrame,
    stores: pd.DataFrame,
    planned_events: pd.DataFrame,
    verdict: Verdict,
    target: str,
    data_processing: dict[str, Any],
) -> Registration:
    """The model of all stores, as it forecasts and as later runs are measured against it."""
    from lifemiles_forecasting.core.config import DataSettings, parse
    from lifemiles_forecasting.core.fleet_of_run import fleet_of_run, recipe_of
    from lifemiles_forecasting.core.results import Registration
    from lifemiles_forecasting.core.series import Series

    rules = parse(DataSettings, data_processing)
    recipe = recipe_of(study, backtest_result, target, rules)
    run = (study, backtest_result, Series.from_frames(panel, stores), recipe, planned_events)
    return Registration(fleet_of_run(*run), fleet_of_run(*run, before_test=True), verdict)
