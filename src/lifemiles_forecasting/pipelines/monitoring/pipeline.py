"""The monitoring pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from lifemiles_forecasting.pipelines import data_processing
from lifemiles_forecasting.pipelines.forecasting.pipeline import in_namespace
from lifemiles_forecasting.pipelines.monitoring import nodes

NAMESPACE = "monitoring"
SHARED = ("past_forecasts", "backtest_errors", "run_info")


def create_pipeline(**_: object) -> Pipeline:
    """Read new transactions as training does, and hold past forecasts against them."""
    settings = "params:monitoring"
    judged = {name: name for name in ("tested", "past_runs", "accuracy", "metrics", "drift")}
    monitor = Pipeline(
        [
            Node(
                nodes.join_forecasts,
                inputs=["past_forecasts", "panel", settings, "params:target"],
                outputs=["tested", "past_runs"],
                name="join_forecasts",
            ),
            Node(
                nodes.measure_accuracy,
                inputs="tested",
                outputs=["accuracy", "metrics"],
                name="measure_accuracy",
            ),
            Node(
                nodes.find_drift,
                inputs=["tested", "backtest_errors", settings],
                outputs="drift",
                name="find_drift",
            ),
            Node(
                nodes.build_report,
                inputs={
                    **judged,
                    "stores": "stores",
                    "run_info": "run_info",
                    "reporting": "params:reporting",
                    "target": "params:target",
                },
                outputs="report",
                name="build_report",
            ),
            Node(
                nodes.describe_monitoring,
                inputs=[
                    "panel",
                    "row_balance",
                    "metrics",
                    "drift",
                    "past_runs",
                    "params:raw_transactions",
                ],
                outputs="run_record",
                name="describe_monitoring",
            ),
        ]
    )
    return in_namespace(data_processing.create_pipeline() + monitor, NAMESPACE, *SHARED)
