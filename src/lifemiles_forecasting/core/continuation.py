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


def continued(known: Series, newer: Series, rules: Mapping[str, Any]) -> Series:
    """Put newer days after a known history.

    On the days that `newer` covers it alone counts: a sale that was taken back there is gone, and
    a store without a row there has sold nothing. The days before come from `known`.

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
    first = newer.dates[0]
    if first > known.dates[-1] + 1:
        raise InputError(
            f"transactions from {first} on, and a model that knows days up to {known.dates[-1]}",
            f"transactions from {known.dates[-1] + 1} on, or from earlier",
            "Add the files of the days between, or train anew.",
        )
    dates = np.arange(min(known.dates[0], first), newer.dates[-1] + 1)
    stores = _stores(known.stores, newer.stores)
    y = _laid_out(known, stores, dates)
    # a store that the model knew goes on with zeros where the files do not name it any more
    began, covered = np.logical_or.accumulate(np.isfinite(y), axis=1), dates >= first
    y[:, covered] = np.where(began[:, covered], 0.0, np.nan)
    sold = _laid_out(newer, stores, dates)
    series = Series(np.where(np.isfinite(sold), sold, y), dates, stores)
    series = series.take(np.flatnonzero(np.isfinite(series.y[:, -1])))
    return Series(series.y, dates, _described(series, newer, rules))


def _laid_out(series: Series, stores: pd.DataFrame, dates: np.ndarray) -> np.ndarray:
    """(stores, dates) values of a series; nan for what it does not know."""
    y = np.full((len(stores), len(dates)), np.nan)
    row = pd.Index(stores[c.STORE_ID]).get_indexer(series.store_ids)
    shared = np.isin(series.dates, dates)
    column = (series.dates[shared] - dates[0]).astype(int)
    y[np.ix_(row, column)] = series.y[:, shared]
    return y


def _stores(known: pd.DataFrame, newer: pd.DataFrame) -> pd.DataFrame:
    """A row per store of either, the newer one where there are two, sorted by id.

    What the newer one does not say is known: newer files may be without a country, say, and
    without it the store would have no holidays.
    """
    both = pd.concat([newer, known], ignore_index=True)
    stores = both.drop_duplicates(c.STORE_ID).sort_values(c.STORE_ID, ignore_index=True)
    names = [name for name in LABELS if name in both]
    said = both.groupby(c.STORE_ID)[names].first()
    stores[names] = said.reindex(stores[c.STORE_ID]).to_numpy(object)
    return stores


def _described(series: Series, newer: Series, rules: Mapping[str, Any]) -> pd.DataFrame:
    """The store table as it is at the end of the series."""
    stores, y = series.stores.copy(), series.y
    recent = newer.stores.set_index(c.STORE_ID).reindex(stores[c.STORE_ID])
    earlier = (series.dates < newer.dates[0])[None, :] & np.isfinite(y)
    active = np.where(earlier, y != 0, False).sum(axis=1)
    stores[c.ACTIVE_DAYS] = active + recent[c.ACTIVE_DAYS].fillna(0).to_numpy(int)
    began = np.isfinite(y).argmax(axis=1)
    stores[c.FIRST_DATE] = series.dates[began].astype("datetime64[us]")
    sold_before = np.where(earlier & (y != 0), np.arange(y.shape[1]), -1).max(axis=1)
    before = np.where(sold_before >= 0, sold_before, began)
    last_before = pd.Series(series.dates[before].astype("datetime64[us]"), recent.index)
    last = recent[c.LAST_DATE].astype("datetime64[us]").fillna(last_before)
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
