"""Forecasts of a model that was trained before, from newer days."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import event_days
from lifemiles_forecasting.core.answers import UNKNOWN, Answers
from lifemiles_forecasting.core.continuation import (
    continued,
    covered_from,
    left_as_known,
    stores_of,
)
from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.fleet import FleetModel
from lifemiles_forecasting.core.names import first_few
from lifemiles_forecasting.core.notices import Notice
from lifemiles_forecasting.core.series import Series

# codes of warnings
STAGE = "scoring"
SCATTERED = "scattered_rows"  # days that the files have of few stores
BETWEEN = "days_without_a_file"  # between those of the files, and known to the model
NOT_FOUND = "store_not_found"  # asked for; neither the model nor the files have it
RETROSPECTIVE = "retrospective"  # the model has learned from days that it forecasts


def check_question(fleet: FleetModel, target: str, horizon: int) -> None:
    """Make sure that the model can answer what is asked.

    Raises:
        ConfigError: it forecasts another target, or not so far ahead.
    """
    check_target(fleet, target)
    if horizon > fleet.horizon:
        raise ConfigError(
            f"horizon {horizon} and a model of {fleet.horizon} days",
            f"1 to {fleet.horizon}",
            "Train anew to forecast further ahead",
        )


def check_target(fleet: FleetModel, target: str) -> None:
    """Make sure that the model forecasts what is asked for.

    Raises:
        ConfigError: it forecasts something else.
    """
    known = fleet.recipe["target"]
    if target != known:
        raise ConfigError(
            f"target {target} and a model of {known}",
            "the same",
            f"Use --params=target={known}, or choose another model_version",
        )


def score(
    fleet: FleetModel,
    newer: Series,
    events: pd.DataFrame | None,
    wanted: Sequence[str] | None,
    horizon: int,
) -> pd.DataFrame:
    """Forecast from the last day of newer transactions.

    Args:
        fleet: what was trained.
        newer: of the transactions; where they begin later than the model's history, that history
            comes before them.
        events: planned events; None for those of the training.
        wanted: store ids; None for all. One that is not known has a row with the status
            `unknown_store` for every day.
        horizon: days ahead, at most those of the training.

    Returns:
        The columns of `columns.FORECASTS`.

    Raises:
        InputError: days between the model's history and the transactions are missing.
        ConfigError: none of the wanted stores is known.
    """
    series = continued(fleet.history, newer, fleet.recipe)
    table = fleet.forecast(series, events)
    table = table[table[c.HORIZON] <= horizon].reset_index(drop=True)
    if wanted is None:
        return table
    days = np.arange(1, horizon + 1)
    ids = list(dict.fromkeys(wanted))
    _check_some_known(ids, table[c.STORE_ID])
    asked = {c.STORE_ID: np.repeat(ids, horizon), c.HORIZON: np.tile(days, len(ids))}
    return Answers(table).of(pd.DataFrame(asked)).astype(table.dtypes.drop(c.HORIZON).to_dict())


def _check_some_known(ids: Sequence[str], known: pd.Series) -> None:
    """Make sure that there is a store to forecast.

    Raises:
        ConfigError: the model and the transactions have none of these.
    """
    if known.isin(ids).any():
        return
    near = difflib.get_close_matches(str(ids[0]), known.unique(), n=1) if ids else []
    raise ConfigError(
        f"parameter 'stores' with no known store: {first_few(ids) or 'it is empty'}",
        "at least one that the model or the transactions have",
        f"Did you mean {first_few(near)}?" if near else "Without stores, all are forecast",
    )


def unknown_stores(forecasts: pd.DataFrame) -> list[str]:
    """Wanted stores that neither the model nor the transactions have."""
    return list(forecasts.loc[forecasts[c.STATUS] == UNKNOWN, c.STORE_ID].unique())


def strange_events(fleet: FleetModel, events: pd.DataFrame, forecasts: pd.DataFrame) -> list[str]:
    """Names of planned events on the days of a forecast that the model did not learn by name."""
    ahead = forecasts[c.DATE].to_numpy().astype("datetime64[D]")
    return event_days.not_learned(
        events, fleet.event_features, np.arange(ahead.min(), ahead.max() + 1)
    )


def is_retrospective(fleet: FleetModel, forecasts: pd.DataFrame) -> bool:
    """Whether the model has learned from days that it forecasts."""
    first = forecasts[c.DATE].min()
    return bool(np.datetime64(first, "D") <= fleet.trained_until)


def scattered_until(fleet: FleetModel, newer: Series) -> np.datetime64 | None:
    """The day before which the files have so few stores that the model's history is taken."""
    covered = covered_from(fleet.history, newer)
    return covered if covered > max(fleet.history.dates[0], newer.dates[0]) else None


def _spans(days: np.ndarray) -> list[tuple[np.datetime64, np.datetime64]]:
    """First and last day of each run of days in a row."""
    parts = np.split(days, np.flatnonzero(np.diff(days).astype(int) > 1) + 1)
    return [(part[0], part[-1]) for part in parts if len(part)]


def notices(
    fleet: FleetModel,
    newer: Series,
    events: pd.DataFrame | None,
    forecasts: pd.DataFrame,
) -> list[Notice]:
    """What was noticed in scoring, beside what the transactions by themselves tell.

    Args:
        fleet: what forecast.
        newer: of the transactions.
        events: planned events; None for those of the training.
        forecasts: from `score`.
    """
    stores = stores_of(fleet.history, newer)
    found = fleet.country_notices(stores)
    if (day := scattered_until(fleet, newer)) is not None:
        found.append(Notice(str(day), STAGE, SCATTERED, len(newer.stores)))
    found += [
        Notice(f"{first}/{last}", STAGE, BETWEEN, len(newer.stores))
        for first, last in _spans(left_as_known(fleet.history, newer))
    ]
    if events is not None:
        found += event_days.strangers(events, stores)
        names = strange_events(fleet, events, forecasts)
        found += [Notice(name, event_days.STAGE, event_days.NOT_LEARNED, 0) for name in names]
    found += [Notice(store, STAGE, NOT_FOUND, 1) for store in unknown_stores(forecasts)]
    if is_retrospective(fleet, forecasts):
        scored = forecasts[c.STORE_ID].nunique()
        found.append(Notice(str(fleet.trained_until), STAGE, RETROSPECTIVE, scored))
    return found


def metrics(fleet: FleetModel, forecasts: pd.DataFrame) -> dict[str, float]:
    """What a scoring run measures.

    Returns:
        `stores_scored`, `stores_<status>` for each status, `forecast_total` (target units over
        all stores and days) and `days_since_training`.
    """
    status = forecasts.groupby(c.STORE_ID, sort=False)[c.STATUS].first()
    origin = np.datetime64(forecasts[c.DATE].min(), "D") - 1
    return {
        "stores_scored": float((status != UNKNOWN).sum()),
        **{f"stores_{name}": float(count) for name, count in status.value_counts().items()},
        "forecast_total": float(forecasts[c.FORECAST].sum()),
        "days_since_training": float((origin - fleet.trained_until).astype(int)),
    }
