"""What a report is told, before anything is drawn or written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.notices import to_frame
from lifemiles_forecasting.core.quality import RunFrames


def _no_importance() -> pd.DataFrame:
    return pd.DataFrame(columns=list(c.IMPORTANCE))


@dataclass(frozen=True)
class ReportContent:
    """What a report tells.

    Attributes:
        frames: the frames of the run.
        table: what `core.quality.store_metrics` gave.
        metrics: what `core.quality.aggregate` gave.
        coverage: what `core.coverage.coverage_table` gave.
        failures: `columns.FAILURES`.
        row_balance: rows in, used and quarantined (by reason), first and last date, ...
        configuration: the run's parameters, nested.
        run: `run_id`, `run_name`, `experiment`; empty for a run that is not tracked.
        warnings: `columns.WARNINGS`.
        importance: `columns.IMPORTANCE`.
        verdict: what `core.gate.as_table` gave; None for a run that was not judged.
    """

    frames: RunFrames
    table: pd.DataFrame
    metrics: Mapping[str, float]
    coverage: pd.DataFrame
    failures: pd.DataFrame
    row_balance: Mapping[str, Any]
    configuration: Mapping[str, Any]
    run: Mapping[str, str] = field(default_factory=dict)
    warnings: pd.DataFrame = field(default_factory=lambda: to_frame([]))
    importance: pd.DataFrame = field(default_factory=_no_importance)
    verdict: Mapping[str, Any] | None = None

    @property
    def target(self) -> str:
        """What is forecast: billings, local_amount or miles."""
        return str(self.configuration["target"])

    @property
    def own_verdict(self) -> Mapping[str, Any] | None:
        """The verdict if it is on this run: a file may be left from an earlier one."""
        if self.verdict is None or "judged_wape" not in self.verdict:
            return None
        wape = self.metrics["wape"]  # nan where nothing was sold, which the file has as null
        judged = None if math.isnan(wape) else wape
        return self.verdict if self.verdict["judged_wape"] == judged else None
