"""Nodes of the forecasting pipeline: they parse settings and call `core`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # heavy, and this module is imported at every kedro command
    import pandas as pd

    from lifemiles_forecasting.core.notices import Notice
    from lifemiles_forecasting.core.results import FleetReader, LoadedVersion, RunRecord

logger = logging.getLogger(__name__)

STRANGE_EVENT = (
    "Event %r is not one that the model has learned by its name: it has the effect that rarer ones "
    "share, or none. Train with the plan to learn it."
)
SCATTERED = (
    "Rows before %s: the files have those of few stores there, so these days stay as the model "
    "knows them."
)
BETWEEN = (
    "No file for %s, between days that the files have: these days stay as the model knows them. "
    "Add their files if they say something else."
)
RETROSPECTIVE = "The model knows days up to %s: its forecasts of earlier ones are no test of it."
UNKNOWN_STORES = (
    "%s of the stores that were asked for are unknown to the model and the transactions, and have "
    "no forecast: %s."
)


def choose_model(
    *,
    registered_fleets: FleetReader,
    model_version: int | None,
    model_alias: str,
    target: str,
    horizon: int,
) -> LoadedVersion:
    """The registered model that is asked for.

    Raises:
        TrackingError: there is none.
        ConfigError: it forecasts another target, or not so far ahead.
    """
    from lifemiles_forecasting.core import scoring

    model = registered_fleets.read(model_version, model_alias)
    scoring.check_question(model.fleet, target, horizon)
    logger.info("Model version %s, trained until %s.", model.version, model.fleet.trained_until)
    return model


def score_stores(  # noqa: PLR0913 - every run-time parameter is an input of its own
    *,
    chosen_model: LoadedVersion,
    panel: pd.DataFrame,
    stores: pd.DataFrame,
    planned_events: pd.DataFrame,
    events: str | None,
    wanted: list[str] | None,
    horizon: int,
    row_balance: dict[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The next days of the stores, once for each file format, and what was noticed on the way."""
    from lifemiles_forecasting.core import (
        edges,
        file_checks,
        notices,
        scoring,
        store_codes,
        unread,
    )
    from lifemiles_forecasting.core.series import Series

    plan = None if events is None else planned_events
    newer = Series.from_frames(panel, stores)
    table = scoring.score(chosen_model.fleet, newer, plan, wanted, horizon)
    found = [
        *store_codes.notices(stores, row_balance),
        *scoring.notices(chosen_model.fleet, newer, plan, table),
    ]
    _log(found)
    files = [
        *unread.notices(row_balance["not_read"]),
        *file_checks.notices(row_balance["doubtful_amounts"]),
    ]
    before = [*files, *edges.notices(panel)]  # told when they were found
    return table, table, notices.to_frame([*before, *found])


def _log(found: list[Notice]) -> None:
    """Say every warning in words that tell what to do, where there is something."""
    from lifemiles_forecasting.core import event_days, notices, scoring
    from lifemiles_forecasting.core.names import first_few, printable

    words = {
        scoring.SCATTERED: SCATTERED,
        scoring.BETWEEN: BETWEEN,
        scoring.RETROSPECTIVE: RETROSPECTIVE,
        event_days.NOT_LEARNED: STRANGE_EVENT,
    }
    unknown = [notice.subject for notice in found if notice.warning == scoring.NOT_FOUND]
    if unknown:
        logger.warning(UNKNOWN_STORES, f"{len(unknown):,}", first_few(unknown))
    for notice in found:
        if notice.warning in words:
            logger.warning(words[notice.warning], printable(notice.subject))
        elif notice.warning != scoring.NOT_FOUND:
            logger.warning("%s", notices.in_words(notice))


def describe_scoring(
    chosen_model: LoadedVersion,
    panel: pd.DataFrame,
    forecasts: pd.DataFrame,
    row_balance: dict[str, Any],
    raw_transactions: str,
) -> RunRecord:
    """What the scoring run says of itself."""
    from lifemiles_forecasting.core import scoring
    from lifemiles_forecasting.core.results import RunRecord, panel_input

    fleet, fingerprint = chosen_model.fleet, row_balance["data_fingerprint"]
    retrospective = scoring.is_retrospective(fleet, forecasts)
    return RunRecord(
        params={
            "scored_with": f"version {chosen_model.version}",
            "dataset_file": raw_transactions,
            "dataset_shape": str(panel.shape),
        },
        metrics=scoring.metrics(fleet, forecasts),
        tags={
            "model_version": chosen_model.version,
            "trained_by": chosen_model.run_id,
            "data_fingerprint": fingerprint,
            "retrospective": str(retrospective).lower(),
        },
        dataset=panel_input(panel, fingerprint, raw_transactions, "scoring"),
    )
