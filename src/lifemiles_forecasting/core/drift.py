"""Has a store changed, or only had a bad month: its recent errors beside those of its backtest.

Errors are in units of the store's own daily spread at the origin, as those of the intervals are.
`error` is the mean absolute error of a window, `shift` the mean error (above 0: it sold more than
forecast). How far a healthy store strays from its own usual error is told by the backtest of all
stores: each window against the other windows of its store (`Limits`). A store that strays further
than all but one in a hundred of those has drifted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.backtest import Backtest, actual
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.forecast import FALLBACK, OK, modelled_stores
from lifemiles_forecasting.core.intervals import Spread
from lifemiles_forecasting.core.monitoring import Actuals, Tested, measured
from lifemiles_forecasting.core.study import Study

MIN_DAYS = 7  # a shorter period is not judged: it has not seen every weekday
MIN_WINDOWS = 2  # with fewer a store's usual error is not known
MIN_STORES = 20  # with fewer of those, how far stores stray from their usual error is not known
PRIOR = 1.0  # windows that the error of all stores counts for in a store's usual error
GROUP_POINTS = 300  # windows at least that a limit rests on, where there are so many
MOST_GROUPS = 8
SMALLEST = 1e-6  # an error below it, in daily spreads, is none
LEVEL_DAYS = 56  # before the period, for the level that people are shown
JUDGED, TOO_FEW = "judged", "too_few_days"


def backtest_errors(study: Study, result: Backtest) -> pd.DataFrame:
    """What the errors of every store with models of its own were in the scored windows.

    A short period strays more than a long one, so each window is measured several times: its first
    7, 14, 21, ... days, and all of it.

    Args:
        study: the stores of the run.
        result: of the backtest; the blend is measured.

    Returns:
        The columns of `columns.ERRORS`: `error` and `shift` in units of the store's daily spread at
        the origin, over the first `days` days of its window: of the stores that were attempted, and
        of those whose models were kept from an earlier run. Stores that had not started at an
        origin, or never strayed before it, have none there.
    """
    kept = np.isin(study.series.store_ids, list(modelled_stores(study, result)))
    parts = []
    for origin in study.scored:
        y, y_hat = actual(study, origin), result.y_hat[BLEND, origin]
        spread = Spread.of(study.series.until(origin + 1))
        known = np.isfinite(y + y_hat).all(axis=1)
        used = (study.attempted | kept) & spread.strayed() & known
        away = (y - y_hat)[used] / spread.day[used, None]
        for days in (*range(MIN_DAYS, study.horizon, 7), study.horizon):
            part = {
                c.STORE_ID: study.series.store_ids[used],
                c.ORIGIN: study.series.dates[origin].astype("datetime64[ns]"),
                "days": days,
                "error": np.abs(away[:, :days]).mean(axis=1),
                "shift": away[:, :days].mean(axis=1),
            }
            parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)[list(c.ERRORS)]


@dataclass(frozen=True)
class Limits:
    """How far stores stray when nothing has changed.

    Attributes:
        usual: each store's usual error, in units of its daily spread: the geometric mean of its
            windows and PRIOR windows of all stores. Only stores with MIN_WINDOWS; none of them
            where there are fewer than MIN_STORES such stores.
        edges: usual errors that part the groups below. Stores that hardly ever sell stray by far
            larger multiples of their tiny errors than others do, and have a group of their own.
        error_times: by group, limit of a store's error in multiples of its usual error.
        shift_times: by group, limit of its absolute shift in multiples of the same: the usual shift
            is about nothing, and no measure for another one.
        error_any: limit of the error of a store whose usual error is not known.
        shift_any: limit of its absolute shift.
    """

    usual: pd.Series
    edges: np.ndarray
    error_times: np.ndarray
    shift_times: np.ndarray
    error_any: float
    shift_any: float

    @classmethod
    def of(cls, errors: pd.DataFrame, days: int, percentile: float) -> Limits:
        """Learn them from a backtest.

        Args:
            errors: from `backtest_errors`.
            days: how many are judged; the longest part of the windows that is no longer counts.
            percentile: of all stores' strayings.

        Raises:
            InputError: no store was measured in the backtest.
        """
        part = _of_length(errors, days)
        error, shift = part["error"].to_numpy(), part["shift"].abs().to_numpy()
        whole = _limit(error, percentile), _limit(shift, percentile)
        log = np.log(np.maximum(error, SMALLEST))
        store = part[c.STORE_ID].to_numpy()
        sums = pd.Series(log).groupby(store)
        total, count = sums.transform("sum").to_numpy(), sums.transform("size").to_numpy()
        prior = PRIOR * np.median(log)
        usual = pd.Series(np.exp((total + prior) / (count + PRIOR)), index=store)
        enough = count >= MIN_WINDOWS
        usual = usual[enough & ~usual.index.duplicated()]
        if len(usual) < MIN_STORES:
            none = np.array([])
            return cls(usual.iloc[:0], none, none, none, *whole)
        others = np.exp((total - log + prior) / (count - 1 + PRIOR))  # without the window itself
        error, shift, others = error[enough], shift[enough], others[enough]
        edges = _edges(others)
        group = np.digitize(others, edges)
        times = [
            np.array([_limit((x / others)[group == k], percentile) for k in range(len(edges) + 1)])
            for x in (error, shift)
        ]
        return cls(usual, edges, *times, *whole)

    def at(self, store_ids: pd.Index) -> pd.DataFrame:
        """`error_before` (nan if not known), `error_limit, shift_limit` of these stores."""
        usual = self.usual.reindex(store_ids)
        known = usual.notna().to_numpy()
        table = pd.DataFrame({"error_before": usual})
        table["error_limit"], table["shift_limit"] = self.error_any, self.shift_any
        group = np.digitize(usual[known], self.edges)
        table.loc[known, "error_limit"] = usual[known] * self.error_times[group]
        table.loc[known, "shift_limit"] = usual[known] * self.shift_times[group]
        return table


def _of_length(errors: pd.DataFrame, days: int) -> pd.DataFrame:
    if errors.empty:
        raise InputError(
            "a backtest without the errors of any store: in its windows each had models of too "
            "short a history, or had sold the same every day",
            "those of one store at least, to know how far healthy ones stray",
            "Train anew with `kedro run` once there are more days.",
        )
    lengths = errors["days"].unique()
    return errors[errors["days"] == max(lengths[lengths <= days], default=lengths.min())]


def _edges(values: np.ndarray) -> np.ndarray:
    """Values that part groups of about the same size, none of which is empty."""
    groups = min(max(len(values) // GROUP_POINTS, 1), MOST_GROUPS)
    edges = np.quantile(values, np.arange(1, groups) / groups, method="higher")
    edges = np.unique(edges)  # errors of stores that hardly sell may be the same
    return edges[edges > values.min()]


def _limit(values: np.ndarray, percentile: float) -> float:
    """The value that so many percent do not exceed, with the conformal rank."""
    rank = int(np.ceil((len(values) + 1) * percentile / 100))
    return float(np.sort(values)[min(rank, len(values)) - 1])


def find_drift(tested: Tested, errors: pd.DataFrame, percentile: float) -> pd.DataFrame:
    """Judge every store that had a forecast in the period.

    A store that was trained within the period is not listed for another training: what is judged
    of it is a model that is no longer in charge. Neither is one that is forecast without a model
    of its own (new and sleeping stores), for training would change nothing.

    Args:
        tested: past forecasts beside what happened.
        errors: from `backtest_errors`, of the training whose models are in charge. Windows that
            reach into the period are left out where there are others: they would take what is
            judged for the measure.
        percentile: of what healthy stores do, from which on a store has drifted.

    Returns:
        The columns of `columns.DRIFT`, a row per store, those to be trained first, then the others
        by how far they are over their limit. `error`, `shift` and their limits in units of the
        store's daily spread before the period (of all days where it had not strayed before),
        `level_*` in target units per day, `wape`, `bias` and `coverage_80` in percent.
    """
    actuals = tested.actuals
    table = _measured(tested.daily)
    table = table.join(_levels(actuals, table.index))
    unit = table.pop("unit")
    for name in ("error", "shift"):
        with np.errstate(divide="ignore"):
            value = table[name] / unit
        table[name] = value.where(table[name] != 0, 0.0)
    table = table.join(_limits(table["days"], _before(errors, actuals), percentile))
    enough = table["days"] >= MIN_DAYS
    wrong = enough & (table["error"] > table["error_limit"])
    shifted = enough & (table["shift"].abs() > table["shift_limit"])
    table["drifted"] = wrong | shifted
    table[c.STATUS] = np.where(enough, JUDGED, TOO_FEW)
    models = table.pop("forecast_status").isin([OK, FALLBACK])
    table["retrain"] = table["drifted"] & models & ~table.index.isin(list(tested.trained))
    table["reasons"] = [
        _reasons(row, bool(w), bool(s))
        for row, w, s in zip(table.itertuples(), wrong, shifted, strict=True)
    ]
    return _worst_first(table).rename_axis(c.STORE_ID).reset_index()[list(c.DRIFT)]


def _worst_first(table: pd.DataFrame) -> pd.DataFrame:
    """Stores to be trained, then others that drifted, each by how far they exceed a limit."""
    error, shift = table["error"] / table["error_limit"], table["shift"] / table["shift_limit"]
    over = np.maximum(error, shift.abs())
    order = pd.DataFrame({"a": table["retrain"], "b": table["drifted"], "c": over})
    order = order.sort_values(["a", "b", "c"], ascending=False, kind="stable")
    return table.loc[order.index]


def summary(drift: pd.DataFrame) -> dict[str, float]:
    """`drifted_stores`, `stores_to_retrain` and `stores_judged` for the monitoring run."""
    return {
        "stores_judged": float((drift[c.STATUS] == JUDGED).sum()),
        "drifted_stores": float(drift["drifted"].sum()),
        "stores_to_retrain": float(drift["retrain"].sum()),
    }


def _measured(daily: pd.DataFrame) -> pd.DataFrame:
    """A row per store: days, accuracy, mean errors in target units, status of its last forecast."""
    table = measured(daily, c.STORE_ID).set_index(c.VALUE).rename_axis(None)
    first, last = (daily.drop_duplicates(c.STORE_ID, keep=end) for end in ("first", "last"))
    partner = pd.Series(first[c.PARTNER_CODE].to_numpy(object), first[c.STORE_ID].to_numpy(object))
    status = pd.Series(last[c.STATUS].to_numpy(object), last[c.STORE_ID].to_numpy(object))
    return table.rename(columns={"points": "days", "mae": "error"}).assign(
        level_now=table["sales"] / table["points"],
        forecast_status=status,
        **{c.PARTNER_CODE: partner},
    )


def _levels(actuals: Actuals, store_ids: pd.Index) -> pd.DataFrame:
    """`unit` (daily spread) and `level_before`, target units per day; 0 and nan if unknown."""
    before = actuals.before()
    spread = Spread.of(before)
    unit = np.where(spread.strayed(), spread.day, Spread.of(actuals.series).day)
    recent = before.y[:, -LEVEL_DAYS:]
    seen = np.isfinite(recent)
    total, count = np.where(seen, recent, 0.0).sum(axis=1), seen.sum(axis=1)
    level = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    known = pd.DataFrame({"unit": unit, "level_before": level}, index=actuals.series.store_ids)
    return known.reindex(store_ids).fillna({"unit": 0.0})


def _before(errors: pd.DataFrame, actuals: Actuals) -> pd.DataFrame:
    """The windows that end before the period; all where there are none."""
    end = errors[c.ORIGIN] + pd.to_timedelta(errors["days"], unit="D")
    earlier = errors[end < pd.Timestamp(actuals.first)]
    return earlier if len(earlier) else errors


def _limits(days: pd.Series, errors: pd.DataFrame, percentile: float) -> pd.DataFrame:
    """`error_before, error_limit, shift_limit` of every store, by how many days are judged."""
    return pd.concat(
        [
            Limits.of(errors, int(length), percentile).at(part.index)
            for length, part in days.groupby(days)
        ]
    )


def _reasons(row: object, wrong: bool, shifted: bool) -> str:
    """In words, for the table; the report says it in its own language."""
    said = []
    if wrong and np.isfinite(row.error_before):
        said.append(f"error {row.error / row.error_before:.1f} times its backtest")
    elif wrong:
        said.append("error above the limit of all stores")
    if shifted:
        said.append(f"sells {'more' if row.shift > 0 else 'less'} than forecast")
    return "; ".join(said)
