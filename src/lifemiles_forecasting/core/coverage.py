"""Do the intervals hold what they promise: coverage of the test window, in all and by group.

A day on which a store is known to be closed has no interval: its bounds are 0, and it is right
nearly always. Such days count in `coverage_*`, which says how often the bounds of the forecasts
hold, and not in `coverage_*_open`, which judges the intervals. The verdict goes by the latter.
Whether a day is open is known at the origin and does not depend on what was sold on it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import metrics as m
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.config import ReportSettings
from lifemiles_forecasting.core.intervals import LEVELS
from lifemiles_forecasting.core.quality import RunFrames

OK, LOW, HIGH, FEW = "ok", "too_low", "too_high", "too_few_points"
OVERALL, WEEK, CLASS, PARTNER = "overall", "horizon_week", "store_class", "partner"
ALL = "all"  # the one value of the group `overall`
DAYS = 7  # of a week of the horizon


def coverage_table(frames: RunFrames, settings: ReportSettings) -> pd.DataFrame:
    """Coverage of the attempted stores in the test window.

    Args:
        frames: what the run produced.
        settings: band and number of points of the verdict.

    Returns:
        The columns of `columns.COVERAGE`, coverage in percent of the store-days: a row for the
        run (`overall`), each week of the horizon, each class of stores and each partner, the one
        with most store-days first. `points` are store-days, `open_points` those of them that have
        an interval. Coverage of no store-day is nan.
    """
    days = _store_days(frames)
    groups = [days.assign(**{c.GROUP: OVERALL, c.VALUE: ALL})] if len(days) else []
    groups += [
        days.assign(**{c.GROUP: name, c.VALUE: days[name].astype(str)})
        for name in (WEEK, CLASS, PARTNER)
    ]
    measured = _measured(pd.concat(groups))
    if days.empty:
        measured.loc[0] = [OVERALL, ALL, 0, np.nan, np.nan, 0, np.nan, np.nan]
    judged = zip(measured["coverage_80_open"], measured["open_points"], strict=True)
    measured[c.VERDICT] = [judge(share, points, settings) for share, points in judged]
    return measured[list(c.COVERAGE)]


def of_window(y: np.ndarray, limits: np.ndarray, settings: ReportSettings) -> pd.DataFrame:
    """What `flag` and `gate_reasons` go by, of any stores' test window.

    Args:
        y: (S, H) what happened.
        limits: (S, H, 4) bounds, in the order of `intervals.NAMES`.
        settings: band and number of points of the verdict.

    Returns:
        The row `overall` with its `coverage_80_open` (percent), `open_points` and verdict.
    """
    lower, upper, lowest, highest = np.moveaxis(limits, -1, 0)
    is_open = highest > lowest
    share, points = m.coverage(y[is_open], lower[is_open], upper[is_open]), int(is_open.sum())
    row = {c.GROUP: OVERALL, c.VALUE: ALL, "coverage_80_open": share, "open_points": points}
    return pd.DataFrame([{**row, c.VERDICT: judge(share, points, settings)}])


def judge(coverage: float, points: int, settings: ReportSettings) -> str:
    """Say whether a coverage of the 80 % interval is what it should be.

    Args:
        coverage: percent of the store-days that have an interval.
        points: how many those are.
        settings: `coverage_band`, bounds included, and `coverage_min_points`.

    Returns:
        `ok`, `too_low`, `too_high`, or `too_few_points` to tell.
    """
    low, high = settings.coverage_band
    if points < settings.coverage_min_points:
        return FEW
    if coverage < low:
        return LOW
    return HIGH if coverage > high else OK


def flag(table: pd.DataFrame) -> str:
    """The verdict on the run as a whole.

    Args:
        table: what `coverage_table` gave, or the same read back.
    """
    return str(_overall(table)[c.VERDICT])


def metrics(table: pd.DataFrame) -> dict[str, float]:
    """What the parent run is told, under names that do not come from the data.

    Returns:
        `coverage_80_open`, `coverage_95_open`, `coverage_points` (store-days with an interval),
        `coverage_ok` (1 or 0; nan for too few points), `coverage_80_week_<n>` and
        `coverage_80_class_<class>`. The partners' coverage is in the table alone.
    """
    run, verdict = _overall(table), flag(table)
    out = {f"coverage_{level}_open": run[f"coverage_{level}_open"] for level in LEVELS}
    out["coverage_points"] = run["open_points"]
    out["coverage_ok"] = np.nan if verdict == FEW else verdict == OK
    for group, name in ((WEEK, "week"), (CLASS, "class")):
        part = table[table[c.GROUP] == group].set_index(c.VALUE)["coverage_80"]
        out |= {f"coverage_80_{name}_{value}": share for value, share in part.items()}
    return {name: float(value) for name, value in out.items()}


def gate_reasons(table: pd.DataFrame, settings: ReportSettings) -> list[str]:
    """Why the intervals of a run should not be trusted.

    Args:
        table: what `coverage_table` gave, or the same read back.
        settings: the band that is named.

    Returns:
        Sentences; none for a run whose coverage lies in the band or rests on too few points.
    """
    run, (low, high) = _overall(table), settings.coverage_band
    wrong = {LOW: "too narrow", HIGH: "too wide"}.get(flag(table))
    if wrong is None:
        return []
    return [
        f"the 80 % intervals are {wrong}: they hold {run['coverage_80_open']:.1f} % of "
        f"{int(run['open_points']):,} store-days of the test window, expected {low:g} to {high:g} %"
    ]


def _overall(table: pd.DataFrame) -> pd.Series:
    return table[table[c.GROUP] == OVERALL].iloc[0]


def _store_days(frames: RunFrames) -> pd.DataFrame:
    """Store-days of the test window: groups, whether they have an interval, whether it held."""
    rows = frames.backtest
    rows = rows[(rows[c.ORIGIN] == rows[c.ORIGIN].max()) & (rows[c.CANDIDATE] == BLEND)]
    rows = rows[rows[c.STORE_ID].isin(frames.attempted[c.STORE_ID])]
    keys = [c.STORE_ID, c.PARTNER_CODE, c.STORE_CLASS]
    rows = rows.merge(frames.test_intervals, on=[c.STORE_ID, c.DATE]).merge(
        frames.stores[keys], on=c.STORE_ID
    )
    bounds = [f"{side}_{level}" for side in ("lower", "upper") for level in LEVELS]
    rows = rows.dropna(subset=[c.Y, *bounds])
    held = {
        f"held_{level}": rows[c.Y].between(rows[f"lower_{level}"], rows[f"upper_{level}"])
        for level in LEVELS
    }
    return pd.DataFrame(
        {
            WEEK: (rows[c.HORIZON] - 1) // DAYS + 1,
            CLASS: rows[c.STORE_CLASS],
            PARTNER: rows[c.PARTNER_CODE],
            "open": rows["upper_95"] > rows["lower_95"],
            **held,
        }
    )


def _measured(days: pd.DataFrame) -> pd.DataFrame:
    """Points and coverage of every group and value."""
    keys = [c.GROUP, c.VALUE]
    held = {f"held_{level}": f"coverage_{level}" for level in LEVELS}
    every = days.groupby(keys, sort=False)
    open_days = days[days["open"]].groupby(keys, sort=False)
    parts = [every.size().rename("points")]
    parts += [(100 * every[list(held)].mean()).rename(columns=held)]
    parts += [open_days.size().rename("open_points")]
    parts += [(100 * open_days[list(held)].mean()).rename(columns=held).add_suffix("_open")]
    table = pd.concat(parts, axis=1).reset_index()
    table["open_points"] = table["open_points"].fillna(0).astype(int)
    order = [OVERALL, WEEK, CLASS, PARTNER]
    rank = table[c.GROUP].map(order.index)
    week = pd.to_numeric(table[c.VALUE].where(table[c.GROUP] == WEEK), errors="coerce")
    sorted_ = table.assign(rank=rank, week=week).sort_values(
        ["rank", "week", "points", c.VALUE], ascending=[True, True, False, True]
    )
    return sorted_[table.columns].reset_index(drop=True)
