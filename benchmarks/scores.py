"""Errors of every method on exactly the same store-days, and the table of its figures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import metrics
from lifemiles_forecasting.core.candidates.closed import base
from lifemiles_forecasting.core.series import Series

AVERAGED = {"RMSE": "rmse", "R2": "r2", "SMAPE": "smape", "MASE": "mase"}
# pooled figures: sum of the first column over sum of the second, percent
POOLED = {
    "WAPE": ("absolute", "size"),
    "bias": ("error", "size"),
    "WAPE28": ("absolute_total", "size_total"),
}


def store_windows(series: Series, forecasts: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Errors of each method in each window of each store that had started at the origin.

    What is below 0 is cut at 0, and a day without a forecast gets that of our closed-form base,
    so that a gap costs a method nothing; `filled` says where.

    Args:
        series: the truth; every store of it is scored.
        forecasts: `method, store_id, origin, date, y_hat`.
        horizon: days ahead.

    Returns:
        A row per method, origin and store: `absolute, size, error, absolute_total, size_total`
        (sums over the window, target units), `rmse, r2, smape, mase` and `filled` (bool).
    """
    parts = []
    for origin, window in forecasts.groupby("origin"):
        column = int(np.searchsorted(series.dates, np.datetime64(origin, "D")))
        rows = np.flatnonzero(np.isfinite(series.y[:, column]))
        history = series.until(column + 1)
        days = series.dates[column + 1 : column + 1 + horizon]
        y = series.y[rows][:, column + 1 : column + 1 + horizon]
        fallback = base(history, horizon)[rows]
        for method, part in window.groupby("method"):
            y_hat = aligned(part, series.store_ids[rows], days)
            gap = ~np.isfinite(y_hat)
            y_hat = np.maximum(np.where(gap, fallback, y_hat), 0.0)
            errors = _errors(y, y_hat, history.y[rows])
            errors["filled"] = gap.any(axis=1)
            keys = {"method": method, "origin": origin, "store_id": series.store_ids[rows]}
            parts.append(pd.DataFrame(keys | errors))
    return pd.concat(parts, ignore_index=True)


def aligned(forecasts: pd.DataFrame, store_ids: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(stores, days) of `store_id, date, y_hat`; nan for what is not there."""
    wide = forecasts.pivot(index="store_id", columns="date", values="y_hat")
    wide.columns = wide.columns.astype("datetime64[ns]")
    return wide.reindex(index=store_ids, columns=days.astype("datetime64[ns]")).to_numpy(float)


def _errors(y: np.ndarray, y_hat: np.ndarray, history: np.ndarray) -> dict[str, np.ndarray]:
    error = y_hat - y
    averaged = metrics.evaluate(y, y_hat, tuple(AVERAGED.values()), history)
    return {
        "absolute": np.abs(error).sum(axis=1),
        "size": np.abs(y).sum(axis=1),
        "error": error.sum(axis=1),
        "absolute_total": np.abs(error.sum(axis=1)),
        "size_total": np.abs(y.sum(axis=1)),
    } | {name: averaged[name].to_numpy() for name in averaged}


def table(windows: pd.DataFrame) -> pd.DataFrame:
    """One row per method: pooled figures in percent, the others averaged over store-windows.

    Args:
        windows: of `store_windows`, or part of it.
    """
    by_method = windows.groupby("method", sort=False)
    sums = by_method[["absolute", "size", "error", "absolute_total", "size_total"]].sum()
    sold = sums.where(sums > 0)  # stores that sold nothing have no figure in percent
    figures = pd.DataFrame(
        {name: 100 * sums[top] / sold[bottom] for name, (top, bottom) in POOLED.items()}
    )
    means = by_method[list(AVERAGED.values())].mean()
    figures = figures.join(means.rename(columns={old: new for new, old in AVERAGED.items()}))
    return figures[["WAPE", "RMSE", "R2", "SMAPE", "MASE", "bias", "WAPE28"]]


def by_window(windows: pd.DataFrame) -> pd.DataFrame:
    """WAPE / bias of each method in each window, percent, as text."""
    sums = windows.groupby(["method", "origin"], sort=False)[["absolute", "size", "error"]].sum()
    shares = 100 * sums.div(sums["size"], axis=0)
    text = shares["absolute"].map("{:.2f}".format) + " / " + shares["error"].map("{:+.1f}".format)
    wide = text.unstack("origin")
    return wide.rename(columns={origin: f"{origin:%d %b}" for origin in wide.columns})
