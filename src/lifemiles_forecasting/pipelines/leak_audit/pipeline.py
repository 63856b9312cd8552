"""The leak-audit pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from lifemiles_forecasting.pipelines.groups import group
from lifemiles_forecasting.pipelines.leak_audit.nodes import audit_leaks, refuse_leaks

TABLES = ("panel", "stores", "planned_events")
RUN_PARAMETERS = ("leak_audit", "modeling", "horizon", "min_samples", "seed")


def create_pipeline(**_: object) -> Pipeline:
    """Audit the panel of the last run."""
    return group(
        "leak_audit",
        [
            Node(
                audit_leaks,
                inputs=[*TABLES, *(f"params:{name}" for name in RUN_PARAMETERS)],
                outputs="leak_audit",
                name="audit_leaks",
            ),
            # takes the table as it was saved: when there is a leak, it is there to read
            Node(
                refuse_leaks,
                inputs=["leak_audit", "params:data_root"],
                outputs=None,
                name="refuse_leaks",
            ),
        ],
        tags="leak_audit",
    )
