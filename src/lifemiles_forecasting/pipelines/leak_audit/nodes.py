"""Nodes of the leak audit: they parse settings and call `core`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # heavy, and this module is imported at every kedro command
    import pandas as pd

logger = logging.getLogger(__name__)


def audit_leaks(  # noqa: PLR0913, PLR0917 - every run-time parameter is an input of its own
    panel: pd.DataFrame,
    stores: pd.DataFrame,
    planned_events: pd.DataFrame,
    leak_audit: dict[str, Any],
    modeling: dict[str, Any],
    horizon: int,
    min_samples: int,
    seed: int,
) -> pd.DataFrame:
    """Change the future of a sample of stores and tell what of their past changes.

    Raises:
        InputError: the data are too few for a backtest.
    """
    from lifemiles_forecasting.core import audit
    from lifemiles_forecasting.core.config import AuditSettings, ModelSettings, parse
    from lifemiles_forecasting.core.series import Series

    plan = audit.AuditPlan(
        parse(AuditSettings, leak_audit),
        parse(ModelSettings, modeling),
        horizon=horizon,
        min_samples=min_samples,
        seed=seed,
        events=planned_events,
    )
    sample, kinds = audit.sample_stores(Series.from_frames(panel, stores), plan)
    logger.info("Auditing %s stores: %s.", len(sample.y), kinds)
    return audit.audit(sample, plan)


def refuse_leaks(leak_audit: pd.DataFrame, data_root: str) -> None:
    """Say what was audited; a leak is an error, once the table is there to read.

    Raises:
        LeakError: something changed with the days after its origin.
    """
    from lifemiles_forecasting.core import audit

    for name in audit.empty(leak_audit):
        logger.warning("Not audited, for it has no value at any of these origins: %s.", name)
    audit.refuse_leaks(leak_audit, f"{data_root}/08_reporting/leak_audit.csv")
    logger.info("Audited %s: no leak.", audit.summary(leak_audit))
