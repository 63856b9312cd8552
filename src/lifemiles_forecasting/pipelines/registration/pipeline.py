"""The registration pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from lifemiles_forecasting.pipelines.groups import group
from lifemiles_forecasting.pipelines.registration import nodes

SETTINGS = ("gate", "reporting", "target", "max_stores")


def create_pipeline(**_: object) -> Pipeline:
    """Judge the new model against the one in charge, then register it."""
    names = ("study", "backtest_result", "panel", "stores", "planned_events")
    run = {name: name for name in names}
    return group(
        "registration",
        [
            Node(
                nodes.judge_model,
                inputs={
                    **run,
                    **{name: name for name in ("aggregate_metrics", "coverage", "incumbent")},
                    **{name: f"params:{name}" for name in SETTINGS},
                },
                outputs=["verdict", "gate_verdict"],
                name="judge_model",
            ),
            Node(
                nodes.register_model,
                inputs={
                    **run,
                    "verdict": "verdict",
                    "target": "params:target",
                    "data_processing": "params:data_processing",
                },
                outputs="registered_model",
                name="register_model",
            ),
        ],
        tags="registration",
    )
