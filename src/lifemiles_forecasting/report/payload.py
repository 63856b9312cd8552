"""What the report's script needs, as compact JSON that is safe inside a page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.quality import BLEND, RunFrames, TestWindow
from lifemiles_forecasting.report.figures import partner_series

# What keeps the file below 15 MB; the report says how many stores it leaves out.
MAX_SERIES = 1500
MAX_WEIGHTS = 5_000  # stores whose weights are in the page
HISTORY_DAYS = 365
_BANDS = ("lower_80", "upper_80", "lower_95", "upper_95")
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_UNSAFE_PATTERN = re.compile("[<>&\u2028\u2029]")


def safe_json(value: Any) -> str:
    r"""Write JSON that no HTML parser can mistake for the end of its script element.

    nan and infinity become null: JSON has neither.

    >>> safe_json({"name": "</script>"})
    '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _UNSAFE_PATTERN.sub(lambda match: _UNSAFE[match.group()], text)


def store_rows(table: pd.DataFrame, stores: pd.DataFrame) -> list[list[Any]]:
    """One row per store for the table, the largest forecast first.

    Returns:
        `[store_id, partner_code, store_name, city, country, class, status, reason, quality,
        champion, r2, smape, wape, forecast_total]` each.
    """
    names = stores[[c.STORE_ID, c.STORE_NAME, c.CITY, c.COUNTRY]]
    rows = table.merge(names, on=c.STORE_ID, how="left")
    rows = rows.sort_values(["forecast_total", c.STORE_ID], ascending=[False, True])
    text = [c.STORE_ID, c.PARTNER_CODE, c.STORE_NAME, c.CITY, c.COUNTRY, c.STORE_CLASS, c.STATUS]
    text += [c.REASON, "quality", "champion"]
    digits = {"test_r2": 3, "test_smape": 1, "test_wape": 1, "forecast_total": 2}
    columns = [rows[name].astype(object).where(rows[name].notna(), "").tolist() for name in text]
    columns += [rows[name].astype(float).round(n).tolist() for name, n in digits.items()]
    return [list(row) for row in zip(*columns, strict=True)]


def weights_payload(table: pd.DataFrame, store_ids: list[str]) -> dict[str, Any]:
    """The weights of each store's candidates, as far as the report has room.

    Returns:
        `candidates`, the one with the largest mean weight first, and `rows`: the weights of the
        first `MAX_WEIGHTS` stores in the order of `store_ids`, null for a store without any.
    """
    weights = table.set_index(c.STORE_ID).filter(regex="^weight_")
    order = weights.mean().sort_values(ascending=False, kind="stable").index
    kept = weights[order].reindex(store_ids[:MAX_WEIGHTS])
    known = kept.notna().any(axis=1).tolist()
    values = kept.fillna(0.0).round(3).to_numpy(dtype=float)
    return {
        "candidates": [name.removeprefix("weight_") for name in order],
        "rows": [
            _compact(row) if there else None for row, there in zip(values, known, strict=True)
        ],
    }


def partner_payload(frames: RunFrames) -> dict[str, Any]:
    """Daily history and forecast sums by partner, the largest forecast first."""
    history, ahead = partner_series(frames)
    history = history.tail(HISTORY_DAYS)
    order = ahead.sum().sort_values(ascending=False).index
    first_name = frames.stores.groupby(c.PARTNER_CODE, observed=True)[c.PARTNER_NAME].first()
    return {
        "history_start": _day(history.index[0]),
        "forecast_start": _day(ahead.index[0]),
        "partners": [
            {
                "code": str(code),
                "name": str(first_name.get(code, "") or ""),
                "history": history[code].round(2).tolist(),
                "forecast": ahead[code].round(2).tolist(),
            }
            for code in order
        ],
    }


def series_payload(frames: RunFrames, store_ids: list[str]) -> dict[str, Any]:
    """Daily series of those stores, as far as the report has room: the first `MAX_SERIES`.

    Returns:
        `start` (first day of the history), `test_start`, `forecast_start`, and by store `o` (days
        from `start` to the store's first), `h` (history), `t` (test-window forecast or null), `f`
        (forecast) and `b` (lower and upper 80, lower and upper 95).
    """
    kept = store_ids[:MAX_SERIES]
    window = TestWindow.of(frames.backtest)
    last = frames.panel[c.DATE].max()
    recent = frames.panel[frames.panel[c.DATE] > last - pd.Timedelta(days=HISTORY_DAYS)]
    history = _wide(recent, c.Y, kept)
    ahead = {name: _wide(frames.forecasts, name, kept) for name in (c.FORECAST, *_BANDS)}
    tested = pd.DataFrame(window.y_hat[BLEND], index=window.store_ids).reindex(kept)
    past, test = _short(history.to_numpy()), _short(tested.to_numpy())
    bands = [_short(ahead[name].to_numpy()) for name in _BANDS]
    forecast = _short(ahead[c.FORECAST].to_numpy())
    stores = {}
    for row, store in enumerate(kept):
        known = np.flatnonzero(~np.isnan(past[row]))
        offset = int(known[0]) if len(known) else past.shape[1]
        stores[store] = {
            "o": offset,
            "h": _compact(past[row, offset:]),
            "t": None if np.isnan(test[row]).any() else _compact(test[row]),
            "f": _compact(forecast[row]),
            "b": [_compact(band[row]) for band in bands],
        }
    return {
        "start": _day(history.columns[0]),
        "test_start": _day(window.dates[0]),
        "forecast_start": _day(ahead[c.FORECAST].columns[0]),
        "stores": stores,
    }


def flat(configuration: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested settings to `a.b.c: value`.

    >>> flat({"reporting": {"language": "es"}, "horizon": 28})
    {'reporting.language': 'es', 'horizon': '28'}
    """
    out: dict[str, str] = {}
    for key, value in configuration.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = str(value)
    return out


def _wide(rows: pd.DataFrame, value: str, store_ids: list[str]) -> pd.DataFrame:
    rows = rows[rows[c.STORE_ID].isin(store_ids)]
    wide = rows.pivot(index=c.STORE_ID, columns=c.DATE, values=value).sort_index(axis=1)
    return wide.reindex(store_ids).astype(float)


def _short(values: np.ndarray) -> np.ndarray:
    """Four significant digits: what a chart can show, at half the size."""
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.floor(np.log10(np.abs(values)))
    digits = np.where(np.isfinite(magnitude), 3 - magnitude, 0).clip(0, 6)
    return np.round(values * 10**digits) / 10**digits


def _compact(values: np.ndarray) -> list[float | int]:
    """Whole numbers as integers: `12` takes half the room of `12.0`."""
    return [int(value) if value.is_integer() else value for value in values.tolist()]


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _day(value: Any) -> str:
    return pd.Timestamp(value).strftime("%Y-%m-%d")
