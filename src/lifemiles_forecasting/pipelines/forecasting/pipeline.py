"""The forecasting pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from lifemiles_forecasting.pipelines import data_processing
from lifemiles_forecasting.pipelines.forecasting import nodes
from lifemiles_forecasting.pipelines.groups import in_namespace

NAMESPACE = "scoring"
SETTINGS = ("model_version", "model_alias", "stores", "target", "horizon", "events")


def create_pipeline(**_: object) -> Pipeline:
    """Read new transactions as training does, and forecast with a registered model."""
    score = Pipeline(
        [
            Node(
                nodes.choose_model,
                inputs={
                    "registered_fleets": "registered_fleets",
                    **{
                        name: f"params:{name}"
                        for name in ("model_version", "model_alias", "target", "horizon")
                    },
                },
                outputs="chosen_model",
                name="choose_model",
            ),
            Node(
                nodes.score_stores,
                inputs={
                    "chosen_model": "chosen_model",
                    "panel": "panel",
                    "stores": "stores",
                    "planned_events": "planned_events",
                    "events": "params:events",
                    "wanted": "params:stores",
                    "horizon": "params:horizon",
                    "row_balance": "row_balance",
                },
                outputs=["forecasts", "forecasts_csv", "warnings"],
                name="score_stores",
            ),
            Node(
                nodes.describe_scoring,
                inputs=[
                    "chosen_model",
                    "panel",
                    "forecasts",
                    "row_balance",
                    "params:raw_transactions",
                ],
                outputs="run_record",
                name="describe_scoring",
            ),
        ]
    )
    return in_namespace(
        data_processing.create_pipeline(NAMESPACE) + score, NAMESPACE, "registered_fleets"
    )
