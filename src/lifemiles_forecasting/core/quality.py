"""How good the forecasts of a run are: a row per store, quality tiers, one dict per run.

Everything here is out of sample: the test window is the backtest's last origin, which took no part
in choosing weights. Numbers are in the target's own units; percentages say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import metrics as m
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.config import QualityTier, ReportSettings
from lifemiles_forecasting.core.intervals import LEVELS

NAIVE = "seasonal_naive"
POOR = "POBRE"  # the tier of whatever meets no other
NO_TIER = ""  # stores that were not attempted are not judged
# The tracking contract names these four, so they are counted even where none is configured.
CONTRACT_TIERS = ("EXCELENTE", "BUENO", "REGULAR", POOR)
# Always computed: the tracking contract names them. `reporting.metrics` adds to them.
REQUIRED = ("mae", "rmse", "r2", "smape", "wape", "mase", "bias")
_TEXT = (c.PARTNER_CODE, c.STORE_CODE, c.STORE_CLASS, c.STATUS, c.REASON, "quality", "champion")


@dataclass(frozen=True)
class RunFrames:
    """The frames of a run that say how good it is.

    Attributes:
        panel: `columns.PANEL`, a gap-free daily grid per store.
        stores: `columns.STORES`, every store of the data.
        backtest: `columns.BACKTEST`, long; candidates with `blend` and `seasonal_naive`.
        forecasts: `columns.FORECASTS`, every store and day of the horizon.
        weights: `store_id, candidate, weight`; a store's weights sum to 1.
        attempted: `store_id, status (ok|failed), reason, champion, train_seconds, train_*`.
        test_intervals: `store_id, date, lower_80, upper_80, lower_95, upper_95`, test window.
    """

    panel: pd.DataFrame
    stores: pd.DataFrame
    backtest: pd.DataFrame
    forecasts: pd.DataFrame
    weights: pd.DataFrame
    attempted: pd.DataFrame
    test_intervals: pd.DataFrame

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Name the frames, in order."""
        return tuple(field.name for field in fields(cls))


@dataclass(frozen=True)
class TestWindow:
    """The backtest's last origin as matrices, (stores, days); rows follow `store_ids`.

    Stores whose actual values are incomplete there (they opened later) are left out.
    """

    __test__ = False  # not a test, whatever pytest makes of the name

    origin: pd.Timestamp
    store_ids: pd.Index
    dates: pd.DatetimeIndex
    y: np.ndarray
    y_hat: dict[str, np.ndarray]

    @classmethod
    def of(cls, backtest: pd.DataFrame) -> TestWindow:
        """Cut the test window out of a backtest.

        Raises:
            ValueError: for a backtest without rows, without `blend`, or with a candidate that
                misses a store-day of the test window.
        """
        if backtest.empty:
            raise ValueError("found a backtest without rows; expected a test window")
        origin = backtest[c.ORIGIN].max()
        rows = backtest[backtest[c.ORIGIN] == origin]
        by_candidate = dict(list(rows.groupby(c.CANDIDATE, observed=True)))
        if BLEND not in by_candidate:
            raise ValueError(f"found candidates {sorted(by_candidate)}; expected {BLEND!r} too")
        y = _matrix(by_candidate[BLEND], c.Y).dropna()
        y_hat = {}
        for name, part in by_candidate.items():
            values = _matrix(part, c.Y_HAT).reindex(index=y.index, columns=y.columns)
            # a candidate may skip a whole store (a local model that failed), never single days
            present = values.notna().any(axis=1)
            if values[present].isna().any(axis=None):
                raise ValueError(f"candidate {name!r} misses days of its test window")
            y_hat[name] = values.to_numpy(dtype=float)
        dates = pd.DatetimeIndex(y.columns)
        return cls(origin, y.index, dates, y.to_numpy(dtype=float), y_hat)

    def rows(self, store_ids: pd.Index, candidate: str) -> np.ndarray:
        """Tell the row numbers of those stores that the candidate forecasts."""
        known = ~np.isnan(self.y_hat[candidate]).any(axis=1) if candidate in self.y_hat else False
        return np.flatnonzero(self.store_ids.isin(store_ids) & known)


def store_metrics(frames: RunFrames, settings: ReportSettings) -> pd.DataFrame:
    """Judge every store of the data, attempted or not.

    Args:
        frames: what the run produced.
        settings: tiers, and metrics beyond the required ones.

    Returns:
        One row per store of `frames.stores`: `store_id, partner_code, store_code, store_class,
        attempted, status, reason, quality, champion, test_samples, test_<metric>...,
        coverage_80, coverage_95, naive_wape, test_total, test_forecast_total, forecast_total,
        weight_<candidate>...`. R2 and SMAPE of a store that sold nothing in the window are nan.
        `status` is that of the training for attempted stores and that of
        the forecast for the others. Numbers that a store has not are nan.
    """
    window = TestWindow.of(frames.backtest)
    keys = [c.STORE_ID, c.PARTNER_CODE, c.STORE_CODE, c.STORE_CLASS]
    table = frames.stores[keys].set_index(c.STORE_ID).sort_index()
    attempted = frames.attempted.set_index(c.STORE_ID)
    forecasts = frames.forecasts.groupby(c.STORE_ID, observed=True)
    table["attempted"] = table.index.isin(attempted.index)
    table[c.STATUS] = attempted[c.STATUS].reindex(table.index)
    table[c.STATUS] = table[c.STATUS].fillna(forecasts[c.STATUS].first()).fillna("")
    for name in (c.REASON, "champion"):
        table[name] = attempted[name].reindex(table.index).fillna("")
    table = table.join(_accuracy(window, frames.panel, settings))
    table = table.join(_store_coverage(window, frames.test_intervals))
    quality = assign_quality(table, settings.tiers)
    # a failed store is covered by a fallback; that does not make its model a success
    quality = quality.where(table[c.STATUS] != "failed", POOR).where(table["attempted"], NO_TIER)
    table.insert(table.columns.get_loc("champion"), "quality", quality)
    table["forecast_total"] = forecasts[c.FORECAST].sum()
    weights = frames.weights.pivot(index=c.STORE_ID, columns=c.CANDIDATE, values="weight")
    table = table.join(weights.add_prefix("weight_").rename_axis(columns=None))
    return table.reset_index()


def restored(table: pd.DataFrame) -> pd.DataFrame:
    """Give a table that was read back from CSV its empty texts: a file has only empty cells."""
    return table.fillna(dict.fromkeys(_TEXT, ""))


def assign_quality(
    metrics: pd.DataFrame, tiers: Mapping[str, QualityTier] | dict[str, QualityTier]
) -> pd.Series:
    """Put every store into the first tier whose bounds it meets.

    Args:
        metrics: columns `test_r2` and `test_smape` (percent).
        tiers: bounds by name, strictest first, as `ReportSettings` has them.

    Returns:
        The tier's name by row; POBRE where no tier is met or a metric is nan.
    """
    conditions = [
        (metrics["test_r2"] >= tier.min_r2) & (metrics["test_smape"] <= tier.max_smape)
        for tier in tiers.values()
    ]
    return pd.Series(np.select(conditions, list(tiers), POOR), index=metrics.index, dtype=object)


def aggregate(
    table: pd.DataFrame, frames: RunFrames, settings: ReportSettings, train_seconds: float
) -> dict[str, float]:
    """Sum a run up, under the names of the tracking contract.

    Only attempted stores count. A failed one counts in `total_stores_attempted`, lowers
    `success_rate` and is POBRE; if the backtest holds a (fallback) forecast for it, that counts
    in the accuracy, too. `avg_`, `std_`, `median_`, `best_`, `rmse` and `mase` are taken over
    stores; `wape`, `wape_28d`, `bias`, `coverage_*` and `naive_wape` over all their store-days
    together, in percent. `r2_target_achieved` and `smape_target_achieved` are flags, 1 or 0: does
    the average meet its target? `skill_vs_naive` is 1 - wape / naive_wape on the stores that both
    forecast: above 0 the run beats last week's values. Names in `reporting.metrics` beyond the
    contract come as `avg_<name>`.

    Args:
        table: what `store_metrics` gave.
        frames: what the run produced.
        settings: tiers and targets.
        train_seconds: seconds of one core that training took.

    Returns:
        Metrics by name; values may be nan where a run has nothing to measure.
    """
    tried = table[table["attempted"].astype(bool)]
    n, ok = len(tried), int((tried[c.STATUS] == "ok").sum())
    means = tried[["test_r2", "test_smape", "test_rmse", "test_mase"]].mean()
    out = {
        "total_stores_attempted": n,
        "successful_models": ok,
        "success_rate": _percent(ok, n),
        "avg_r2": means["test_r2"],
        "avg_smape": means["test_smape"],
        "std_r2": tried["test_r2"].std(ddof=0),
        "std_smape": tried["test_smape"].std(ddof=0),
        "best_r2": tried["test_r2"].max(),
        "best_smape": tried["test_smape"].min(),
        **_tier_counts(tried["quality"], settings),
        "r2_target_achieved": means["test_r2"] >= settings.target_r2,
        "smape_target_achieved": means["test_smape"] <= settings.target_smape,
        "median_r2": tried["test_r2"].median(),
        "rmse": means["test_rmse"],
        "mase": means["test_mase"],
        **_pooled(TestWindow.of(frames.backtest), pd.Index(tried[c.STORE_ID]), frames),
        "train_seconds": train_seconds,
    }
    for name in settings.metrics:
        if name not in REQUIRED:
            out[f"avg_{name}"] = tried[f"test_{name}"].mean()
    return {name: float(value) for name, value in out.items()}


def candidate_accuracy(backtest: pd.DataFrame) -> pd.DataFrame:
    """Compare the candidates on the stores that all of them forecast, window by window.

    Returns:
        One row per origin and candidate: `origin, candidate, stores, wape, bias, wape_total`
        (percent), best first within an origin.
    """
    rows: list[dict[str, Any]] = []
    for origin, part in backtest.groupby(c.ORIGIN):
        window = TestWindow.of(part)
        known = [~np.isnan(y_hat).any(axis=1) for y_hat in window.y_hat.values()]
        keep = np.flatnonzero(np.all(known, axis=0))
        for name, y_hat in window.y_hat.items():
            y, candidate = window.y[keep], y_hat[keep]
            rows.append(
                {
                    c.ORIGIN: origin,
                    c.CANDIDATE: name,
                    "stores": len(keep),
                    "wape": m.pooled_wape(y, candidate),
                    "bias": m.pooled_bias(y, candidate),
                    "wape_total": m.wape_total(y, candidate),
                }
            )
    table = pd.DataFrame(rows)
    return table.sort_values([c.ORIGIN, "wape"]).reset_index(drop=True)


def _matrix(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    return rows.pivot(index=c.STORE_ID, columns=c.DATE, values=value).sort_index(axis=1)


def _accuracy(window: TestWindow, panel: pd.DataFrame, settings: ReportSettings) -> pd.DataFrame:
    """Every metric by store for the blend, and the naive forecast's WAPE beside it."""
    names = tuple(dict.fromkeys((*REQUIRED, *settings.metrics)))
    keep = window.rows(window.store_ids, BLEND)
    ids, y, y_hat = window.store_ids[keep], window.y[keep], window.y_hat[BLEND][keep]
    past = panel[(panel[c.DATE] < window.dates[0]) & panel[c.STORE_ID].isin(ids)]
    history = _matrix(past, c.Y).reindex(ids).to_numpy(dtype=float)
    out = m.evaluate(y, y_hat, names, history).add_prefix("test_").set_axis(ids)
    # a store that sold nothing in the window: a perfect forecast of zeros proves nothing
    out.loc[y.sum(axis=1) == 0, ["test_r2", "test_smape"]] = np.nan
    out.insert(0, "test_samples", float(len(window.dates)))
    naive = window.rows(ids, NAIVE)
    naive_wape = m.wape(window.y[naive], window.y_hat[NAIVE][naive]) if len(naive) else []
    out["naive_wape"] = pd.Series(naive_wape, index=window.store_ids[naive], dtype=float)
    out["test_total"], out["test_forecast_total"] = y.sum(axis=1), y_hat.sum(axis=1)
    return out


def _bounds(window: TestWindow, intervals: pd.DataFrame, level: int) -> tuple[np.ndarray, ...]:
    """Lower and upper bounds of the window, and the rows that have them for every day."""
    lower, upper = (
        _matrix(intervals, f"{side}_{level}")
        .reindex(index=window.store_ids, columns=window.dates)
        .to_numpy(dtype=float)
        for side in ("lower", "upper")
    )
    return lower, upper, ~(np.isnan(lower) | np.isnan(upper)).any(axis=1)


def _store_coverage(window: TestWindow, intervals: pd.DataFrame) -> pd.DataFrame:
    out = pd.DataFrame(index=window.store_ids)
    for level in LEVELS:
        lower, upper, known = _bounds(window, intervals, level)
        covered = m.coverage(window.y[known], lower[known], upper[known], axis=1)
        out.loc[known, f"coverage_{level}"] = covered
    return out


def _pooled(window: TestWindow, ids: pd.Index, frames: RunFrames) -> dict[str, float]:
    """Accuracy over all store-days of those stores together, percent."""
    keep = window.rows(ids, BLEND)
    y, y_hat = window.y[keep], window.y_hat[BLEND][keep]
    both = np.intersect1d(keep, window.rows(ids, NAIVE))
    naive_wape = m.pooled_wape(window.y[both], window.y_hat[NAIVE][both]) if len(both) else np.nan
    blend_wape = m.pooled_wape(window.y[both], window.y_hat[BLEND][both])
    out = {
        "wape": m.pooled_wape(y, y_hat),
        "wape_28d": m.wape_total(y, y_hat),
        "bias": m.pooled_bias(y, y_hat),
        "naive_wape": naive_wape,
        "skill_vs_naive": 1 - blend_wape / naive_wape if naive_wape > 0 else np.nan,
    }
    for level in LEVELS:
        lower, upper, known = _bounds(window, frames.test_intervals, level)
        rows = keep[known[keep]]
        out[f"coverage_{level}"] = m.coverage(window.y[rows], lower[rows], upper[rows])
    return out


def _tier_counts(quality: pd.Series, settings: ReportSettings) -> dict[str, float]:
    counts: dict[str, float] = {}
    for tier in dict.fromkeys((*CONTRACT_TIERS, *settings.tiers)):
        count = int((quality == tier).sum())
        counts[f"quality_{tier.lower()}_count"] = count
        counts[f"quality_{tier.lower()}_pct"] = _percent(count, len(quality))
    return counts


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else float("nan")
