"""Accuracy on the shipped sample: blend, candidates and naive forecasts, window by window.

Target `local_amount`, the stores with at least 200 active days, the three scored windows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

PROJECT = Path(__file__).parents[1]
MIN_ACTIVE_DAYS = 200


def settings():
    """The modeling settings that are shipped."""
    from lifemiles_forecasting.core.config import ModelSettings, parse

    text = (PROJECT / "conf/base/parameters_modeling.yml").read_text()
    return parse(ModelSettings, yaml.safe_load(text)["modeling"])


def backtest_of(panel: pd.DataFrame, stores: pd.DataFrame, seed: int = 7) -> tuple:
    """Backtest of all stores, and the intervals of its test window."""
    from lifemiles_forecasting.core import backtest, study
    from lifemiles_forecasting.core.series import Series

    series, attempted = study.prepare(Series.from_frames(panel, stores), 28, 56, None)
    built = study.build_study(series, attempted, 28, settings(), seed)
    result = backtest.run(built)
    frame = backtest.to_frame(built, result)
    return frame, backtest.window_intervals(built, result), result


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per candidate: figures over all windows, and WAPE and bias of each."""
    rows = []
    for name, part in frame.groupby("candidate"):
        error = part["y_hat"] - part["y"]
        keyed = part.assign(error=error, square=error**2)
        by_store = keyed.groupby(["store_id", "origin"])
        smape = 200 * error.abs() / (part["y"].abs() + part["y_hat"].abs()).replace(0, np.inf)
        total = part["y"].sum()
        spread = part.groupby(["store_id", "origin"])["y"].var(ddof=0)
        r2 = (1 - by_store["square"].mean() / spread.where(spread > 0)).dropna()
        row = {
            "candidate": name,
            "WAPE": 100 * error.abs().sum() / total,
            "bias": 100 * error.sum() / total,
            "WAPE28": 100 * by_store["error"].sum().abs().sum() / total,
            "RMSE": np.sqrt(by_store["square"].mean()).mean(),
            "R2": r2.mean(),
            "SMAPE": smape.mean(),
        }
        for origin, window in keyed.groupby("origin"):
            share = 100 / window["y"].sum()
            row[f"{origin:%d %b}"] = (
                f"{share * window['error'].abs().sum():.2f} / {share * window['error'].sum():+.1f}"
            )
        rows.append(row)
    return pd.DataFrame(rows).sort_values("WAPE").round(3)


def measure(panel: pd.DataFrame, stores: pd.DataFrame) -> str:
    """The section of RESULTS.md."""
    frame, intervals, result = backtest_of(panel, stores)
    busy = set(stores.loc[stores["active_days"] >= MIN_ACTIVE_DAYS, "store_id"])
    figures = table(frame[frame["store_id"].isin(busy)])
    test = frame[(frame["candidate"] == "blend") & (frame["origin"] == frame["origin"].max())]
    merged = test.merge(intervals, on=["store_id", "date"])
    covered = {
        level: 100 * merged["y"].between(merged[f"lower_{level}"], merged[f"upper_{level}"]).mean()
        for level in (80, 95)
    }
    blend = figures.set_index("candidate").loc["blend"]
    others = figures[figures["candidate"] != "blend"]
    lines = [
        f"{len(busy)} stores with at least {MIN_ACTIVE_DAYS} active days, windows after "
        + ", ".join(f"{origin:%Y-%m-%d}" for origin in sorted(frame["origin"].unique()))
        + ". Percent, RMSE in US dollars per store-day; last columns WAPE / bias by window.",
        "",
        figures.to_markdown(index=False),
        "",
        f"Sizes chosen by backtest: {result.sizes}.",
        f"Blend against the best of its own and of the naive ones: WAPE {blend['WAPE']:.2f} "
        f"against {others['WAPE'].min():.2f}; bias {blend['bias']:+.2f} %.",
        f"Coverage of the test window over all {merged['store_id'].nunique()} attempted stores "
        f"with intervals calibrated before it: {covered[80]:.1f} % at 80, {covered[95]:.1f} % "
        "at 95.",
    ]
    return "\n".join(lines)
