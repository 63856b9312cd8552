"""The reporting pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from lifemiles_forecasting.pipelines.groups import group
from lifemiles_forecasting.pipelines.reporting.nodes import (
    build_report,
    draw_figures,
    evaluate_stores,
)

# the frames of core.quality.RunFrames, under the same names in the catalog
FRAMES = ("panel", "stores", "backtest", "forecasts", "weights", "attempted", "test_intervals")
FIGURES = (
    "quality_distribution",
    "r2_against_smape",
    "actual_against_forecast",
    "partner_totals",
    "candidates",
)


def create_pipeline(**_: object) -> Pipeline:
    """Chain metrics, figures and report."""
    frames = {name: name for name in FRAMES}
    measured = {name: name for name in ("store_metrics", "aggregate_metrics", "coverage")}
    evaluation = group(
        "evaluation",
        [
            Node(
                evaluate_stores,
                inputs={"reporting": "params:reporting", **frames},
                outputs=["store_metrics", "aggregate_metrics", "coverage"],
                name="evaluate_stores",
                tags="reporting",
            ),
        ],
    )
    reporting = group(
        "reporting",
        [
            Node(
                draw_figures,
                inputs={
                    "reporting": "params:reporting",
                    "training_run": "training_run",
                    "store_metrics": "store_metrics",
                    **frames,
                },
                outputs={name: f"figure_{name}" for name in FIGURES},
                name="draw_figures",
                tags="reporting",
            ),
            Node(
                build_report,
                inputs={
                    "reporting": "params:reporting",
                    "failures": "failures",
                    "warnings": "warnings",
                    "importance": "importance",
                    "gate_verdict": "gate_verdict",
                    "row_balance": "row_balance",
                    "training_run": "training_run",
                    **measured,
                    **frames,
                },
                outputs="report",
                name="build_report",
                tags="reporting",
            ),
        ],
    )
    return evaluation + reporting
