"""Nodes of the reporting pipeline: they parse settings and call `core` and `report`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # heavy, and this module is imported at every kedro command
    import pandas as pd
    import plotly.graph_objects as go

logger = logging.getLogger(__name__)


def evaluate_stores(
    reporting: dict[str, Any], **frames: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, float], pd.DataFrame]:
    """Measure every store and the run on the test window.

    Args:
        reporting: `ReportSettings`.
        **frames: those of `core.quality.RunFrames`.

    Returns:
        A row per store, the metrics of the run, and the coverage of its intervals.
    """
    from lifemiles_forecasting.core import coverage
    from lifemiles_forecasting.core.config import ReportSettings, parse
    from lifemiles_forecasting.core.quality import RunFrames, aggregate, store_metrics

    settings, run = parse(ReportSettings, reporting), RunFrames(**frames)
    table = store_metrics(run, settings)
    seconds = float(run.attempted["train_seconds"].sum())
    covered = coverage.coverage_table(run, settings)
    for reason in coverage.gate_reasons(covered, settings):
        logger.warning("Flagged (%s): %s.", coverage.flag(covered), reason)
    summed = aggregate(table, run, settings, seconds)
    return table, summed | coverage.metrics(covered), covered


def draw_figures(
    reporting: dict[str, Any],
    training_run: dict[str, Any],
    store_metrics: pd.DataFrame,
    **frames: pd.DataFrame,
) -> dict[str, go.Figure]:
    """Draw the figures of a run.

    Args:
        reporting: `ReportSettings`.
        training_run: of the run that made all this; its target names the axes.
        store_metrics: from `evaluate_stores`.
        **frames: those of `core.quality.RunFrames`.

    Returns:
        Figures by name.
    """
    from lifemiles_forecasting.core.config import ReportSettings, parse
    from lifemiles_forecasting.core.quality import RunFrames, restored
    from lifemiles_forecasting.report.html import build_figures

    settings, target = parse(ReportSettings, reporting), training_run["parameters"]["target"]
    return build_figures(RunFrames(**frames), restored(store_metrics), settings, target)


def build_report(  # noqa: PLR0913, PLR0917 - every part of the report is an input of its own
    reporting: dict[str, Any],
    store_metrics: pd.DataFrame,
    aggregate_metrics: dict[str, float],
    coverage: pd.DataFrame,
    failures: pd.DataFrame,
    warnings: pd.DataFrame,
    importance: pd.DataFrame,
    gate_verdict: dict[str, Any] | None,
    row_balance: dict[str, Any],
    training_run: dict[str, Any],
    **frames: pd.DataFrame,
) -> str:
    """Write the report for people.

    Args:
        reporting: the parameters of this name, of the run that writes the report.
        store_metrics: from `evaluate_stores`.
        aggregate_metrics: from `evaluate_stores`.
        coverage: from `evaluate_stores`.
        failures: the ledger of failures.
        warnings: the ledger of warnings.
        importance: what the learners look at.
        gate_verdict: whether the model of the run takes charge; None where it was not judged.
        row_balance: where every raw row ended.
        training_run: `run`, id and name of the run that made all this (empty without tracking),
            and `parameters`, all of its own, which are printed.
        **frames: those of `core.quality.RunFrames`.

    Returns:
        One HTML document.
    """
    from lifemiles_forecasting.core.config import ReportSettings, parse
    from lifemiles_forecasting.core.quality import RunFrames, restored
    from lifemiles_forecasting.report.content import ReportContent
    from lifemiles_forecasting.report.html import render_report

    parameters = training_run["parameters"] | {"reporting": reporting}
    content = ReportContent(
        frames=RunFrames(**frames),
        table=restored(store_metrics),
        metrics=aggregate_metrics,
        coverage=coverage,
        failures=failures,
        row_balance=row_balance,
        configuration=parameters,
        run=training_run["run"],
        warnings=warnings,
        importance=importance,
        verdict=gate_verdict,
    )
    return render_report(content, parse(ReportSettings, reporting))
