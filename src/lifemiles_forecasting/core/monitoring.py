"""Past forecasts beside what happened: which of them count, and how good they were.

A job that runs every night makes many forecasts of the same day. The table by week ahead counts
all of them. Everything else counts one per store-day (`one_per_day`), chosen so that the days of
the period look as a backtest window does: forecast from one origin, the day before the period, 1 to
28 days ahead. So no figure depends on how often forecasts were made, and errors can be held against
those of the backtest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import metrics as m
from lifemiles_forecasting.core.coverage import ALL, DAYS, OVERALL, PARTNER, WEEK
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.forecast import FALLBACK, OK
from lifemiles_forecasting.core.intervals import LEVELS, NAMES
from lifemiles_forecasting.core.series import Series

STORE = "store"  # a group of the accuracy table, beside those of `core.coverage`
NAIVE = "naive"
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Actuals:
    """What happened, and the days that are judged.

    Attributes:
        series: every store of the panel.
        days: length of the period, which ends with the last day of the data.
    """

    series: Series
    days: int

    @classmethod
    def of(cls, panel: pd.DataFrame, days: int) -> Actuals:
        """Read a panel with `store_id, date, y`; all stores count as one partner's."""
        stores = pd.DataFrame({c.STORE_ID: panel[c.STORE_ID].unique(), c.PARTNER_CODE: ""})
        return cls(Series.from_frames(panel, stores), days)

    @property
    def last(self) -> np.datetime64:
        """The last day of the data."""
        return self.series.origin

    @property
    def first(self) -> np.datetime64:
        """The first day of the period."""
        return max(self.last - self.days + 1, self.series.dates[0])

    def at(self, store_ids: pd.Series, dates: np.ndarray) -> np.ndarray:
        """(N,) target units of store-days.

        The panel ends for all stores on the same day, so a store that is not in it on a day of its
        range sold nothing on it; nan for days outside the range.
        """
        index = pd.Index(self.series.store_ids)
        ids = pd.Categorical(store_ids)  # a store's name is looked up once, not once per day
        row = index.get_indexer(ids.categories)[ids.codes]
        column = (dates.astype("datetime64[D]") - self.series.dates[0]).astype(int)
        within = (column >= 0) & (column < len(self.series.dates))
        known = within & (row >= 0)
        y = np.where(within, 0.0, np.nan)
        y[known] = np.nan_to_num(self.series.y[row[known], column[known]])
        return y

    def before(self) -> Series:
        """What was known on the day before the period."""
        return self.series.until(len(self.series.dates) - self.judged_days)

    @property
    def judged_days(self) -> int:
        """How many days of the data the period has."""
        return int((self.last - self.first).astype(int)) + 1


@dataclass(frozen=True)
class PastForecasts:
    """Forecasts that earlier runs left.

    Attributes:
        frame: `run_id, origin, store_id, partner_code, date, horizon, forecast, lower_80, upper_80,
            lower_95, upper_95, status, trains` (whether the run trained the store for a model that
            came to be in charge), the newest run first.
        runs: how many runs they come from.
        left_out: why a run could not be read, by its name and id.
        cut: whether there are older runs that were not looked at.
        stand_ins: whether they are of models that were never in charge, for want of others.
    """

    frame: pd.DataFrame
    runs: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    stand_ins: bool = False


class ForecastReader(Protocol):
    """Where past forecasts are read from."""

    def read(self, target: str, first: np.datetime64, max_runs: int) -> PastForecasts:
        """Read those that reach a day or later, of the newest runs."""


@dataclass(frozen=True)
class Tested:
    """Past forecasts of days that have come.

    Attributes:
        actuals: what happened.
        every: a row per origin, store and day of the period: `store_id, partner_code, origin, date,
            horizon, forecast, lower_80, upper_80, lower_95, upper_95, status, trains, y, naive`
            (target units; `naive` is the last value of that weekday known at the origin).
        daily: those rows of them that count once per store-day.
        untested: how many forecasts were of days that have not come.
        trained: stores that got models of their own from a run that trained on days of the period.
    """

    actuals: Actuals
    every: pd.DataFrame
    daily: pd.DataFrame
    untested: int
    trained: frozenset[str]


def join_actuals(past: pd.DataFrame, actuals: Actuals) -> Tested:
    """Put what happened beside what was forecast.

    Args:
        past: the frame of `PastForecasts`. Where two runs forecast a store-day from the same origin
            the newer one counts, unless it fell back on the base and the other did not.
        actuals: what happened.

    Returns:
        Forecasts of the period's days.

    Raises:
        InputError: a run forecasts a store-day twice, or no day that was forecast has come.
    """
    past = past[past[c.FORECAST].notna()]  # a store that was asked for and is not known has none
    _refuse_duplicates(past)
    dates = past[c.DATE].to_numpy().astype("datetime64[D]")
    inside = (dates >= actuals.first) & (dates <= actuals.last)
    if not inside.any():
        raise InputError(
            f"no forecast of a day from {actuals.first} to {actuals.last}, only of days to come",
            "transactions of days that an earlier run has forecast",
            "Come back when there are newer ones, or train with an earlier --params=as_of=DATE.",
        )
    every = _once_per_origin(past[inside])
    date, ahead = every[c.DATE].to_numpy(), every[c.HORIZON].to_numpy()
    weeks_back = (-(-ahead // m.SEASON) * m.SEASON).astype("timedelta64[D]")
    every[c.Y] = actuals.at(every[c.STORE_ID], date)
    every[NAIVE] = actuals.at(every[c.STORE_ID], date - weeks_back)
    untested = int((dates > actuals.last).sum())
    daily = one_per_day(every, actuals.first)
    return Tested(actuals, every, daily, untested, _trained(past, actuals.first))


def one_per_day(every: pd.DataFrame, first: np.datetime64) -> pd.DataFrame:
    """The forecast of each store-day that counts.

    Of the origins before the period the last one, as in a window of the backtest; for days that it
    does not reach, the earliest one within the period.

    Args:
        every: `store_id, date, origin`, ...
        first: first day of the period.
    """
    early = (first - DAY - every[c.ORIGIN].to_numpy().astype("datetime64[D]")).astype(int)
    rank = np.where(early >= 0, early, early.max(initial=0) - early)
    order = every.iloc[rank.argsort(kind="stable")]
    return order.drop_duplicates([c.STORE_ID, c.DATE]).sort_index().reset_index(drop=True)


def accuracy_table(tested: Tested) -> pd.DataFrame:
    """How good the forecasts were, in all and by group.

    Args:
        tested: from `join_actuals`.

    Returns:
        The columns of `columns.ACCURACY` in percent of the actual values (wape, bias) and of the
        store-days (coverage): a row for all (`overall`), for each week ahead, partner and store,
        those with most sales first. `points` are forecasts for weeks and store-days elsewhere.
        wape and bias of a group that sold nothing are nan.
    """
    daily, every = tested.daily, tested.every
    parts = [
        measured(daily.assign(**{OVERALL: ALL}), OVERALL),
        measured(every.assign(**{WEEK: (every[c.HORIZON] - 1) // DAYS + 1}), WEEK),
        _largest_first(measured(daily.rename(columns={c.PARTNER_CODE: PARTNER}), PARTNER)),
        _largest_first(measured(daily.rename(columns={c.STORE_ID: STORE}), STORE)),
    ]
    return pd.concat(parts, ignore_index=True)[list(c.ACCURACY)]


def run_metrics(tested: Tested) -> dict[str, float]:
    """What the monitoring run is told.

    Returns:
        `wape, bias, coverage_80, coverage_95` (percent), `naive_wape` (the last known week
        repeated) and `skill_vs_naive` (1 - wape / naive_wape) of one forecast per store-day;
        `points` (those store-days), `stores_measured`, `forecasts_tested` and
        `forecasts_untested` (of days that have not come).
    """
    overall = measured(tested.daily.assign(**{OVERALL: ALL}), OVERALL).iloc[0]
    known = tested.daily.dropna(subset=[NAIVE])
    y = known[c.Y].to_numpy()
    naive = m.pooled_wape(y, known[NAIVE].to_numpy())
    ours = m.pooled_wape(y, known[c.FORECAST].to_numpy())
    names = ("wape", "bias", "coverage_80", "coverage_95", "points")
    return {
        **{name: float(overall[name]) for name in names},
        "naive_wape": naive,
        "skill_vs_naive": 1 - ours / naive if naive > 0 else float("nan"),
        "stores_measured": float(tested.daily[c.STORE_ID].nunique()),
        "forecasts_tested": float(len(tested.every)),
        "forecasts_untested": float(tested.untested),
    }


def daily_totals(tested: Tested) -> pd.DataFrame:
    """What all stores together sold and were forecast to sell, day by day.

    Returns:
        `date, y, forecast, lower_80, upper_80, lower_95, upper_95, stores`, target units, over the
        store-days that had a forecast. The bounds are those of a sum of independent errors; a day
        that goes well or badly everywhere at once strays further.
    """
    daily = tested.daily
    squares = {name: (daily[name] - daily[c.FORECAST]) ** 2 for name in NAMES}
    days = daily.assign(**squares).groupby(c.DATE)
    totals = days[[c.Y, c.FORECAST]].sum()
    for name in NAMES:
        reach = np.sqrt(days[name].sum())
        bound = totals[c.FORECAST] + (reach if name.startswith("upper") else -reach)
        totals[name] = bound.clip(lower=0.0)
    return totals.assign(stores=days.size()).reset_index()


def _once_per_origin(past: pd.DataFrame) -> pd.DataFrame:
    """A row per store, day and origin, sorted by them: the newest that did not fall back."""
    own_first = (past[c.STATUS] == FALLBACK).to_numpy().argsort(kind="stable")
    one = past.iloc[own_first].drop_duplicates([c.STORE_ID, c.DATE, c.ORIGIN])
    store = pd.factorize(one[c.STORE_ID].to_numpy(object), sort=True)[0]
    order = np.lexsort((one[c.ORIGIN].to_numpy(), one[c.DATE].to_numpy(), store))
    return one.drop(columns="run_id").iloc[order].reset_index(drop=True)


def _trained(past: pd.DataFrame, first: np.datetime64) -> frozenset[str]:
    late = past["trains"] & (past[c.STATUS] == OK) & (past[c.ORIGIN] >= pd.Timestamp(first))
    return frozenset(past.loc[late, c.STORE_ID].unique())


def _refuse_duplicates(past: pd.DataFrame) -> None:
    twice = past.duplicated(["run_id", c.STORE_ID, c.DATE])
    if twice.any():
        row = past[twice].iloc[0]
        raise InputError(
            f"two forecasts of store {row[c.STORE_ID]!r} for {row[c.DATE]:%Y-%m-%d} in run "
            f"{row['run_id']}",
            "one forecast per run, store and day",
            "Delete that run, or its forecasts, in MLflow.",
        )


def measured(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """How good the forecasts of each group of store-days were.

    Args:
        rows: store-days, as those of `Tested`.
        key: the column that parts them.

    Returns:
        A row per value of `key`, sorted by it: `group, value, points, sales, wape, bias` and
        `coverage_*` in percent, `mae` and `shift` (mean of what was sold beyond the forecast) in
        target units per day.
    """
    values = rows[key].to_numpy(object) if rows[key].dtype == "category" else rows[key].to_numpy()
    code, names = pd.factorize(values, sort=True)
    order = code.argsort(kind="stable")
    cuts = np.searchsorted(code[order], np.arange(len(names) + 1))
    points = np.diff(cuts)
    parts = []
    # groups of as many points are measured together: of 10,000 stores most have as many days
    for length in np.unique(points):
        own = np.flatnonzero(points == length)
        at = order[cuts[own][:, None] + np.arange(length)]
        named = {c.GROUP: key, c.VALUE: [str(names[k]) for k in own], "points": length}
        parts.append(pd.DataFrame(named | _metrics(rows, at), index=own))
    return pd.concat(parts).sort_index()


def _metrics(rows: pd.DataFrame, at: np.ndarray) -> dict[str, np.ndarray]:
    """(G,) metrics of groups whose rows are (G, points) `at`."""
    y, y_hat = (rows[name].to_numpy(float)[at] for name in (c.Y, c.FORECAST))
    covered = {}
    for level in LEVELS:
        bounds = (rows[f"{side}_{level}"].to_numpy(float)[at] for side in ("lower", "upper"))
        covered[f"coverage_{level}"] = m.coverage(y, *bounds, axis=1)
    return {
        "sales": y.sum(axis=1),
        "wape": m.wape(y, y_hat),
        "bias": m.bias(y, y_hat),
        "mae": m.mae(y, y_hat),
        "shift": (y - y_hat).mean(axis=1),
        **covered,
    }


def _largest_first(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(["sales", c.VALUE], ascending=[False, True])
