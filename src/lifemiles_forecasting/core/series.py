"""The panel as a matrix: stores in rows, days in columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.closures import mask_closures

MOST_PER_DAY = 1e15  # of a store, target units; no sum of usable amounts comes near it


@dataclass(frozen=True)
class Series:
    """Daily series of many stores on one calendar.

    Attributes:
        y: (S, D) float64, the target per store-day in its own units; nan before a store's
            first day, 0 on a day without transactions.
        dates: (D,) datetime64[D], consecutive.
        stores: S rows in the order of `y`, with the columns of `columns.STORES`.
    """

    y: np.ndarray
    dates: np.ndarray
    stores: pd.DataFrame

    @classmethod
    def from_frames(cls, panel: pd.DataFrame, stores: pd.DataFrame) -> Series:
        """Build the matrix.

        A store with a day beyond MOST_PER_DAY, which only a damaged panel has, is nan altogether:
        sums with it would be infinite for its whole partner.

        Args:
            panel: gap-free daily grid with `store_id, date, y`.
            stores: a row per store; stores that are not in it are left out.
        """
        stores = stores.sort_values(c.STORE_ID, ignore_index=True)
        row = pd.Index(stores[c.STORE_ID]).get_indexer(panel[c.STORE_ID])
        days = panel[c.DATE].to_numpy().astype("datetime64[D]")
        kept = row >= 0
        first, last = days[kept].min(), days[kept].max()
        y = np.full((len(stores), int((last - first).astype(int)) + 1), np.nan)
        y[row[kept], (days[kept] - first).astype(int)] = panel[c.Y].to_numpy(float)[kept]
        y[(np.abs(y) > MOST_PER_DAY).any(axis=1)] = np.nan
        return cls(y, np.arange(first, last + 1), stores)

    def until(self, end: int) -> Series:
        """Only the first `end` days: what was known at the origin `end - 1`."""
        return Series(self.y[:, :end], self.dates[:end], self.stores)

    def take(self, rows: np.ndarray) -> Series:
        """Only these stores."""
        return Series(self.y[rows], self.dates, self.stores.iloc[rows].reset_index(drop=True))

    @property
    def origin(self) -> np.datetime64:
        """The last known day."""
        return self.dates[-1]

    @cached_property
    def store_ids(self) -> np.ndarray:
        """(S,) text."""
        return self.stores[c.STORE_ID].to_numpy(object)

    @property
    def sold(self) -> np.ndarray:
        """(S,) bool, stores with a day of more sales than reversals: others teach nothing."""
        return (self.y > 0).any(axis=1)

    @cached_property
    def without_closures(self) -> np.ndarray:
        """(S, D) `y` with long closures that had ended by the last day as nan."""
        return mask_closures(self.y)

    @cached_property
    def partner(self) -> np.ndarray:
        """(S,) integer code of each store's partner."""
        return pd.factorize(self.stores[c.PARTNER_CODE], sort=True)[0]

    def weekday(self, horizon: int = 0) -> np.ndarray:
        """(D + horizon,) weekday of each day and of the days ahead, Monday = 0."""
        start = (int(self.dates[0].astype(int)) + 3) % 7  # 1970-01-01 was a Thursday
        return (start + np.arange(len(self.dates) + horizon)) % 7
