"""A history that goes on with newer days: what a model knew, and what the files now say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.panel import DORMANT, INTERMITTENT, REGULAR, SHORT
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.transactions import LABELS

WEEK = 7  # days over which files must hold more than half of the sales that are known
FEWEST = 3  # stores of which more than half do not take all sales of a day back


def continued(known: Series, newer: Series, rules: Mapping[str, Any]) -> Series:
    """Put newer days after a known history.

    On the days that `newer` covers (`covered_from`, without `left_as_known`) it alone counts: a
    sale that was taken back there is gone, and a store without a row there has sold nothing. The
    other days come from `known`, and from `newer` only for stores and days that `known` says
    nothing of.

    Args:
        known: what a model was trained on.
        newer: of the files; may cover all days of `known`, or only the last ones.
        rules: `min_samples, dormant_days, intermittent_zero_share` that classes of stores go by.

    Returns:
        All stores of both, up to the last day of `newer`. Active days before `newer` are counted
        as days with y other than 0.

    Raises:
        InputError: days between the two are missing.
    """
    first = covered_from(known, newer)
    if first > known.dates[-1] + 1:
        raise InputError(
            f"transactions from {first} on, and a model that knows days up to {known.dates[-1]}",
            f"transactions from {known.dates[-1] + 1} on, or from earlier",
            "Add the files of the days between; if nobody sold on them, that of the last known day "
            "instead. Or train anew.",
        )
    dates = np.arange(min(known.dates[0], newer.dates[0]), newer.dates[-1] + 1)
    stores = stores_of(known, newer)
    before, sold = _laid_out(known, stores, dates), _laid_out(newer, stores, dates)
    # a store that the model knew goes on with zeros where the files do not name it any more
    began = np.logical_or.accumulate(np.isfinite(before), axis=1)
    covered = (dates >= first) & ~np.isin(dates, left_as_known(known, newer))
    before[:, covered] = np.nan
    y = np.where(np.isfinite(sold) & ~np.isfinite(before), sold, before)
    y = np.where(began & ~np.isfinite(y), 0.0, y)
    there = np.flatnonzero(np.isfinite(y[:, -1]))
    series = Series(y, dates, stores).take(there)
    return Series(series.y, dates, _described(series, before[there], sold[there], newer, rules))


def covered_from(known: Series, newer: Series) -> np.datetime64:
    """The first day that newer files cover: a late row of a store or two covers no day.

    On a day that both know, and over the week from it on, more than half as many stores must have
    sold something as are known to have. Of later days every one with a sale is covered.

    Args:
        known: see `continued`.
        newer: see `continued`.

    Returns:
        A day of `newer`, or the one after its last if it covers none.
    """
    dates = newer.dates
    if dates[-1] < known.dates[0] or dates[0] > known.dates[-1]:
        return dates[0]
    found, expected = _both_selling(known, newer)
    shared = np.isin(dates, known.dates)
    week_found, week_expected = _ahead(found * shared), _ahead(expected)
    covered = shared & (2 * found > expected) & (2 * week_found > week_expected)
    covered |= (dates > known.dates[-1]) & (found > 0)
    return dates[covered.argmax()] if covered.any() else dates[-1] + 1


def left_as_known(known: Series, newer: Series) -> np.ndarray:
    """Days after the first that newer files cover, for which there is no file.

    Files of a corrected week may lie beside the newest ones, and one file may be missing. On such
    days FEWEST stores or more are known to have sold, and no more than half as many have in the
    files.

    Args:
        known: see `continued`.
        newer: see `continued`.

    Returns:
        (D,) days of both.
    """
    found, expected = _both_selling(known, newer)
    scarce = (expected >= FEWEST) & (2 * found <= expected)
    return newer.dates[scarce & (newer.dates >= covered_from(known, newer))]


def _both_selling(known: Series, newer: Series) -> tuple[np.ndarray, np.ndarray]:
    """Stores that sold something on each day of `newer`: in it, and as is known (0 if nothing)."""
    expected = np.zeros(len(newer.dates))
    shared = np.isin(newer.dates, known.dates)
    expected[shared] = _selling(known)[np.isin(known.dates, newer.dates)]
    return _selling(newer), expected


def _selling(series: Series) -> np.ndarray:
    """(T,) stores that sold something."""
    return (np.isfinite(series.y) & (series.y != 0)).sum(axis=0).astype(float)


def _ahead(counts: np.ndarray) -> np.ndarray:
    """(T,) sums over the WEEK that begins each day."""
    total = np.concatenate([[0.0], np.cumsum(counts)])
    first = np.arange(len(counts))
    return total[np.minimum(first + WEEK, len(counts))] - total[first]


def _laid_out(series: Series, stores: pd.DataFrame, dates: np.ndarray) -> np.ndarray:
    """(stores, dates) values of a series; nan for what it does not know."""
    y = np.full((len(stores), len(dates)), np.nan)
    row = pd.Index(stores[c.STORE_ID]).get_indexer(series.store_ids)
    shared = np.isin(series.dates, dates)
    column = (series.dates[shared] - dates[0]).astype(int)
    y[np.ix_(row, column)] = series.y[:, shared]
    return y


def stores_of(known: Series, newer: Series) -> pd.DataFrame:
    """A row per store of either, the newer one where there are two, sorted by id.

    What the newer one does not say is known: newer files may be without a country, say, and
    without it the store would have no holidays.

    Args:
        known: see `continued`.
        newer: see `continued`.
    """
    both = pd.concat([newer.stores, known.stores], ignore_index=True)
    stores = both.drop_duplicates(c.STORE_ID).sort_values(c.STORE_ID, ignore_index=True)
    names = [name for name in LABELS if name in both]
    said = both.groupby(c.STORE_ID)[names].first()
    stores[names] = said.reindex(stores[c.STORE_ID]).to_numpy(object)
    return stores


def _described(
    series: Series, before: np.ndarray, sold: np.ndarray, newer: Series, rules: Mapping[str, Any]
) -> pd.DataFrame:
    """The store table as it is at the end of the series.

    `before` and `sold`, (S, T), are what comes from the known history and what the files say.
    """
    stores, y = series.stores.copy(), series.y
    recent = newer.stores.set_index(c.STORE_ID).reindex(stores[c.STORE_ID])
    earlier = np.isfinite(before)
    active = (earlier & (before != 0) & (np.nan_to_num(sold) == 0)).sum(axis=1)
    stores[c.ACTIVE_DAYS] = active + recent[c.ACTIVE_DAYS].fillna(0).to_numpy(int)
    began = np.isfinite(y).argmax(axis=1)
    stores[c.FIRST_DATE] = series.dates[began].astype("datetime64[us]")
    sold_before = np.where(earlier & (before != 0), np.arange(y.shape[1]), -1).max(axis=1)
    before = np.where(sold_before >= 0, sold_before, began)
    last_before = pd.Series(series.dates[before].astype("datetime64[us]"), recent.index)
    last = recent[c.LAST_DATE].astype("datetime64[us]").fillna(last_before).clip(lower=last_before)
    stores[c.LAST_DATE] = last.to_numpy()
    length = y.shape[1] - began
    stores[c.ZERO_SHARE] = 1.0 - (y > 0).sum(axis=1) / length
    silence = (series.dates[-1] - last.to_numpy().astype("datetime64[D]")).astype(int)
    stores[c.STORE_CLASS] = np.select(
        [
            silence >= rules["dormant_days"],
            stores[c.ACTIVE_DAYS] < rules["min_samples"],
            stores[c.ZERO_SHARE] >= rules["intermittent_zero_share"],
        ],
        [DORMANT, SHORT, INTERMITTENT],
        REGULAR,
    )
    return stores
