"""The monitoring pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from lifemiles_forecasting.pipelines import data_processing
from lifemiles_forecasting.pipelines.groups import in_namespace
from lifemiles_forecasting.pipelines.monitoring import nodes

NAMESPACE = "monitoring"
SHARED = ("past_forecasts", "registered_fleets", "run_info")


def create_pipeline(**_: object) -> Pipeline:
    """Read new transactions as training does, and hold past forecasts against them."""
    settings = "params:monitoring"
    judged = {name: name for name in ("tested", "past_runs", "accuracy", "metrics", "drift")}
    monitor = Pipeline(
        [
            Node(
                nodes.read_model,
                inputs=[
                    "registered_fleets",
                    "params:model_version",
                    "params:model_alias",
                    "params:target",
                ],
                outputs="judged_by",
                name="read_model",
            ),
            Node(
                nodes.join_forecasts,
                inputs={
                    **{name: name for name in ("past_forecasts", "judged_by", "panel", "stores")},
                    "monitoring": settings,
                    "target": "params:target",
                },
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
                inputs=["tested", "judged_by", settings],
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
    return in_namespace(data_processing.create_pipeline(NAMESPACE) + monitor, NAMESPACE, *SHARED)
