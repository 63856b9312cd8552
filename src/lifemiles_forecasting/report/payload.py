"""What the report's scripts need, as compact JSON that is safe inside a page.

Sums over partners and countries are made here, of every store. Single stores are in the page as
far as there is room: their number is bounded by the values that they take, so that the page stays
below a size whatever the horizon; the largest forecasts come first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.intervals import NAMES
from lifemiles_forecasting.core.quality import RunFrames
from lifemiles_forecasting.core.totals import totals
from lifemiles_forecasting.report.days import Days, wide

HISTORY_DAYS = 365
# A value takes about five bytes: these keep 1,200 stores below 15 MB and any number below 20 MB.
MAX_LISTED_VALUES = 1_200_000  # recent days, test window and days ahead of the listed stores
MAX_SERIES_VALUES = 1_000_000  # history and intervals of the largest of them
MAX_WEIGHTS = 5_000  # stores whose weights are in the page
MAX_BANDS = 400  # groups of stores (partners, countries, pairs) whose total has a band
MAX_MOVERS = 10  # stores that grow most, and as many that fall most
CELL_DECIMALS = 6  # of a sum of a day
TEXT = (c.STORE_ID, c.PARTNER_CODE, c.STORE_NAME, c.CITY, c.COUNTRY, c.STORE_CLASS, c.STATUS)
FACTS = (*TEXT, c.REASON, "quality", "champion", "test_r2", "test_smape", "test_wape")
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


def listed_stores(table: pd.DataFrame, days: Days) -> list[str]:
    """Ids of the stores that are in the page one by one, the largest forecast first.

    Among them, whatever their forecast, are those that grow and fall most.
    """
    most = MAX_LISTED_VALUES // (2 * days.horizon + 7 * days.weeks)
    rows = table.sort_values(["forecast_total", c.STORE_ID], ascending=[False, True])
    ids = rows[c.STORE_ID].tolist()
    if len(ids) <= most:
        return ids
    moved = _movers(days, min(MAX_MOVERS, most // 4))
    others = [store for store in ids if store not in moved]
    kept = moved | set(others[: most - len(moved)])
    return [store for store in ids if store in kept]


def _movers(days: Days, count: int) -> set[str]:
    """Ids of so many stores that grow most, and of as many that fall most."""
    if not days.comparable:
        return set()
    moved = pd.Series(days.moved, days.stores[c.STORE_ID])
    ends = (moved[moved > 0].nlargest(count), moved[moved < 0].nsmallest(count))
    return {str(store) for end in ends for store in end.index}


def store_rows(table: pd.DataFrame, days: Days, store_ids: list[str]) -> list[list[Any]]:
    """One row for each of those stores.

    Returns:
        The values of FACTS, then three lists of days: what was sold last (null before its first
        day), the forecast of the test window (null without one) and that of the days ahead.
    """
    names = days.stores[[c.STORE_ID, c.STORE_NAME, c.CITY, c.COUNTRY]]
    facts = table.merge(names, on=c.STORE_ID, how="left").set_index(c.STORE_ID, drop=False)
    facts = facts.loc[store_ids]
    digits = {"test_r2": 3, "test_smape": 1, "test_wape": 1}
    columns = [
        facts[name].astype(float).round(digits[name]).tolist()
        if name in digits
        else facts[name].astype(object).where(facts[name].notna(), "").tolist()
        for name in FACTS
    ]
    at = pd.Index(days.stores[c.STORE_ID]).get_indexer(store_ids)
    recent, forecast = _short(days.recent[at]), _short(days.forecast[at])
    tested = _short(days.tested[at])
    series = [
        [_compact(recent[k]), _whole(tested[k]), _compact(forecast[k])] for k in range(len(at))
    ]
    return [[*row, *own] for row, own in zip(zip(*columns, strict=True), series, strict=True)]


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


def cells_payload(days: Days) -> dict[str, Any]:
    """Daily sums over the stores of each partner and country, the largest forecast first.

    Returns:
        `start` (first day of the history), `names` (of the partners, by code) and `cells`:
        `partner, country, stores, tested` (how many have a test window), `history, forecast`, and
        of the test window `actual, expected, missed` (the sum of the stores' absolute errors).
    """
    stores = days.stores
    history = days.history[:, -HISTORY_DAYS:]
    keys = [stores[c.PARTNER_CODE].astype(str), stores[c.COUNTRY]]
    missed = np.abs(days.tested - days.actual)
    cells = []
    for (partner, country), index in stores.groupby(keys, sort=True).groups.items():
        rows = index.to_numpy()
        sums = {
            "history": history[rows],
            "forecast": days.forecast[rows],
            "actual": days.actual[rows],
            "expected": days.tested[rows],
            "missed": missed[rows],
        }
        tested = int(np.isfinite(days.tested[rows]).all(axis=1).sum())
        cell = {"partner": partner, "country": country, "stores": len(rows), "tested": tested}
        # the page adds them up: rounded to few digits, large totals are not those of the files
        cell |= {
            name: _compact(np.nansum(part, axis=0).round(CELL_DECIMALS))
            for name, part in sums.items()
        }
        cells.append(cell)
    cells.sort(key=lambda cell: -sum(cell["forecast"]))
    names = stores.dropna(subset=[c.PARTNER_NAME]).groupby(c.PARTNER_CODE)[c.PARTNER_NAME].first()
    start = days.first_day - pd.Timedelta(days=history.shape[1])
    return {"start": day(start), "names": names.to_dict(), "cells": cells}


def bands_payload(frames: RunFrames) -> list[dict[str, Any]]:
    """Bands of the totals and their measured errors, see `core.totals.Total`.

    Returns:
        `partner, country` ("" for every one), `days`, `bounds` and `test` (four lists of days in
        the order of `intervals.NAMES`, or null), `held` (percent at 80 and 95, or null) and
        `windows`: first and last day, stores, sold, forecast and error in percent; those in which
        none of its stores was tested are left out.
    """
    return [
        {
            "partner": total.partner,
            "country": total.country,
            "days": total.days,
            "bounds": _columns(total.bounds),
            "test": _columns(total.test_bounds),
            "held": total.held,
            "windows": [
                [day(one.first), day(one.last), one.stores, one.y, one.y_hat, one.error]
                for one in total.windows.itertuples()
                if one.stores
            ],
        }
        for total in totals(frames, MAX_BANDS)
    ]


def series_payload(frames: RunFrames, days: Days, store_ids: list[str]) -> dict[str, Any]:
    """History and intervals of those stores, as far as the report has room.

    Returns:
        `start` (first day of the history) and by store `o` (days from `start` to its first), `h`
        (history) and `b` (lower and upper 80, lower and upper 95).
    """
    history = days.history[:, -HISTORY_DAYS:]
    most = MAX_SERIES_VALUES // (history.shape[1] + len(NAMES) * days.horizon)
    kept = store_ids[:most]
    at = pd.Index(days.stores[c.STORE_ID]).get_indexer(kept)
    past = _short(history[at])
    bands = [_short(wide(frames.forecasts, name, kept)) for name in NAMES]
    stores = {}
    for row, store in enumerate(kept):
        known = np.flatnonzero(~np.isnan(past[row]))
        offset = int(known[0]) if len(known) else past.shape[1]
        stores[store] = {
            "o": offset,
            "h": _compact(past[row, offset:]),
            "b": [_compact(band[row]) for band in bands],
        }
    return {"start": day(days.first_day - pd.Timedelta(days=past.shape[1])), "stores": stores}


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


def day(value: Any) -> str:
    """A day as ISO 8601.

    >>> day(pd.Timestamp("2017-12-31"))
    '2017-12-31'
    """
    return pd.Timestamp(value).strftime("%Y-%m-%d")


def _short(values: np.ndarray, significant: int = 4) -> np.ndarray:
    """So many significant digits: four are what a chart can show, at half the size."""
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.floor(np.log10(np.abs(values)))
    digits = np.where(np.isfinite(magnitude), significant - 1 - magnitude, 0).clip(0, 6)
    return np.round(values * 10**digits) / 10**digits


def _compact(values: np.ndarray) -> list[float | int]:
    """Whole numbers as integers: `12` takes half the room of `12.0`."""
    return [int(value) if value.is_integer() else value for value in values.tolist()]


def _whole(values: np.ndarray) -> list[float | int] | None:
    return None if np.isnan(values).any() else _compact(values)


def _columns(bounds: np.ndarray | None) -> list[list[float | int]] | None:
    return None if bounds is None else [_compact(column) for column in _short(bounds, 6).T]


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
