"""The modeling pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from lifemiles_forecasting.pipelines.groups import group
from lifemiles_forecasting.pipelines.modeling import nodes

RUN_PARAMETERS = ("modeling", "horizon", "min_samples", "max_stores", "seed", "resume")


def create_pipeline(**_: object) -> Pipeline:
    """Chain study, backtest, forecasts and what goes to MLflow."""
    result, measured = ["study", "backtest_result"], ["aggregate_metrics", "coverage"]
    models = group(
        "modeling",
        [
            Node(
                nodes.plan_training,
                inputs={
                    "registered_fleets": "registered_fleets",
                    "last_drift": "last_drift",
                    **{
                        name: f"params:{name}"
                        for name in ("retrain", "target", "horizon", "modeling")
                    },
                },
                outputs="training_plan",
                name="plan_training",
            ),
            Node(
                nodes.build_study,
                inputs=[
                    "panel",
                    "stores",
                    "planned_events",
                    "training_plan",
                    "fits",
                    *(f"params:{name}" for name in RUN_PARAMETERS),
                ],
                outputs="study",
                name="build_study",
            ),
            Node(
                nodes.run_backtest,
                inputs="study",
                outputs=["backtest_result", "backtest", "test_intervals"],
                name="run_backtest",
            ),
            Node(
                nodes.collect_warnings,
                inputs=[*result, "panel", "stores", "planned_events", "row_balance"],
                outputs="warnings",
                name="collect_warnings",
            ),
            Node(
                nodes.describe_fits,
                inputs=result,
                outputs=["weights", "attempted", "failures", "training"],
                name="describe_fits",
            ),
            Node(
                nodes.describe_run,
                inputs=["backtest_result", "parameters", "run_info"],
                outputs="training_run",
                name="describe_run",
            ),
            Node(
                nodes.measure_importance,
                inputs=result,
                outputs="importance",
                name="measure_importance",
            ),
            Node(
                nodes.forecast_stores,
                inputs=["panel", "stores", *result],
                outputs=["forecasts", "forecasts_csv"],
                name="forecast_stores",
            ),
        ],
        tags="modeling",
    )
    tracked = group(
        "tracking",
        [
            Node(
                nodes.package_store_runs,
                inputs=[*result, "store_metrics", "attempted"],
                outputs="store_runs",
                name="package_store_runs",
            ),
            Node(
                nodes.package_run_record,
                inputs=[
                    *("study", "panel", "row_balance", "training"),
                    *measured,
                    "params:raw_transactions",
                ],
                outputs="run_record",
                name="package_run_record",
            ),
        ],
        tags="modeling",
    )
    return models + tracked
