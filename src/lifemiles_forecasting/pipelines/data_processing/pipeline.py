"""The data-processing pipeline."""

from __future__ import annotations

from functools import partial, update_wrapper
from typing import Any

from kedro.pipeline import Pipeline, node

from lifemiles_forecasting.pipelines.data_processing import nodes
from lifemiles_forecasting.pipelines.groups import group

BALANCED = ("transactions", "row_counts", "quarantine", "panel", "stores")
ASKED = ("target", "as_of")  # of the raw rows, which a later run by itself must ask as well


def create_pipeline(job: str = "", **_: Any) -> Pipeline:
    """Raw files to quarantine, panel, store table, row balance and plan of events.

    Args:
        job: namespace of the outputs, where they are not those of the training.
    """
    settings = "params:data_processing"
    trust_rows = update_wrapper(partial(nodes.trust_rows, job=job), nodes.trust_rows)
    return group(
        "data_processing",
        [
            node(nodes.read_events, "events", "planned_events", name="read_events"),
            node(
                nodes.read_transactions,
                ["raw_transactions", settings, "params:target", "params:as_of"],
                ["transactions", "rejected_rows"],
                name="read_transactions",
            ),
            node(
                nodes.quarantine_rows,
                ["transactions", "rejected_rows"],
                ["quarantine", "row_counts"],
                name="quarantine_rows",
            ),
            # takes the quarantine as it was saved: when the run stops here, it is there to read
            node(
                trust_rows,
                [
                    "transactions",
                    "rejected_rows",
                    "row_counts",
                    "quarantine",
                    settings,
                    "params:target",
                    "params:data_root",
                ],
                "store_days",
                name="trust_rows",
            ),
            node(
                nodes.build_panel,
                ["store_days", "transactions", settings, "params:min_samples"],
                ["panel", "stores"],
                name="build_panel",
            ),
            node(
                nodes.balance_rows,
                {
                    **{name: name for name in BALANCED},
                    "rejected": "rejected_rows",
                    "data_processing": settings,
                    **{name: f"params:{name}" for name in ASKED},
                },
                "row_balance",
                name="balance_rows",
            ),
        ],
    )
