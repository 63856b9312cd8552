"""Where the errors of a run lie: by day ahead, by weekday, by store, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.quality import NAIVE, RunFrames

BY_HORIZON, BY_WEEKDAY = c.HORIZON, "weekday"

# why a store is forecast badly
FAILED = "failed"  # its models failed: the base stands in
STOPPED = "stopped"  # it sold nothing in the window
LEVEL_UP = "level_up"  # it sold far more than forecast
LEVEL_DOWN = "level_down"  # it sold far less
NAIVE_BETTER = "naive_better"  # last week's values would have been better
YOUNG = "young"  # little history
SPARSE = "sparse"  # most days are without a sale
NOISY = "noisy"  # the sum is right, the single days are not
IN_LINE = "in_line"  # nothing special: large stores err in large numbers

LEVEL_SHIFT = 0.25  # relative difference of the window's sums
YOUNG_DAYS = 180
NOISY_WAPE = 50.0  # percent


def errors_by(backtest: pd.DataFrame, group: str) -> pd.DataFrame:
    """Errors of the blend by day ahead or by weekday, over all scored windows.

    Args:
        backtest: `columns.BACKTEST`.
        group: BY_HORIZON (1 is the first day) or BY_WEEKDAY (0 is Monday).

    Returns:
        `group, points, wape, bias, naive_wape`, percent of what was sold on those days; over the
        store-days that the naive forecast has too. nan where nothing was sold.
    """
    keys = [c.STORE_ID, c.ORIGIN, c.DATE]
    of = {name: backtest[backtest[c.CANDIDATE] == name] for name in (BLEND, NAIVE)}
    naive = of[NAIVE][[*keys, c.Y_HAT]].rename(columns={c.Y_HAT: "naive"})
    days = of[BLEND].merge(naive, on=keys).dropna(subset=[c.Y])
    by = days[c.HORIZON] if group == BY_HORIZON else days[c.DATE].dt.day_of_week
    error = days[c.Y_HAT] - days[c.Y]
    parts = pd.DataFrame(
        {
            "points": 1,
            "sold": days[c.Y].abs(),
            "wape": error.abs(),
            "bias": error,
            "naive_wape": (days["naive"] - days[c.Y]).abs(),
        }
    )
    summed = parts.groupby(by.rename("group").to_numpy()).sum()
    sold = summed.pop("sold").where(lambda value: value > 0)
    for name in ("wape", "bias", "naive_wape"):
        summed[name] = 100 * summed[name] / sold
    return summed.rename_axis("group").reset_index()


def worst_stores(table: pd.DataFrame, frames: RunFrames, most: int) -> pd.DataFrame:
    """The stores that the error of the test window comes from, and why.

    Args:
        table: what `core.quality.store_metrics` gave.
        frames: what the run produced.
        most: stores to name.

    Returns:
        `store_id, partner_code, test_wape, test_bias, naive_wape, share, reasons`: percent;
        `share` of the absolute error of all attempted stores, the largest first; `reasons` is a
        list of the codes above.
    """
    tried = table[table["attempted"].astype(bool)].dropna(subset=["test_mae"])
    opened = frames.stores.set_index(c.STORE_ID)[c.FIRST_DATE].reindex(tried[c.STORE_ID])
    age = (frames.panel[c.DATE].max() - opened).dt.days.to_numpy()
    error = tried["test_mae"] * tried["test_samples"]
    whole = error.sum()
    tried = tried.assign(share=100 * error / whole if whole > 0 else np.nan, age=age)
    worst = tried.sort_values(["share", c.STORE_ID], ascending=[False, True]).head(most)
    worst = worst.assign(reasons=[_reasons(row) for row in worst.to_dict("records")])
    names = [c.STORE_ID, c.PARTNER_CODE, "test_wape", "test_bias", "naive_wape", "share", "reasons"]
    return worst[names].reset_index(drop=True)


def _reasons(row: dict[str, Any]) -> list[str]:
    sold, expected = row["test_total"], row["test_forecast_total"]
    shifted = sold > 0 and abs(expected / sold - 1) > LEVEL_SHIFT
    found = {
        FAILED: row[c.STATUS] == "failed",
        STOPPED: sold == 0 and expected > 0,
        LEVEL_UP: shifted and sold > expected,
        LEVEL_DOWN: shifted and sold < expected,
        NAIVE_BETTER: row["test_wape"] > row["naive_wape"],
        YOUNG: row["age"] < YOUNG_DAYS,
        SPARSE: row[c.STORE_CLASS] == "intermittent",
        NOISY: sold > 0 and not shifted and row["test_wape"] > NOISY_WAPE,
    }
    return [code for code, applies in found.items() if applies] or [IN_LINE]
