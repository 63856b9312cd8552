"""The days that a report compares, and the stores' values on them as matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.quality import RunFrames, TestWindow
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.totals import countries


@dataclass(frozen=True)
class Days:
    """Every store's values on the days that are compared; rows follow `stores`.

    A day ahead is compared with the same weekday so many whole weeks before that it is known.

    Attributes:
        stores: `columns.STORES` of the run's stores, sorted by id; each country in one spelling.
        history: (S, D) what was sold, nan before a store's first day.
        start: first day of the history.
        forecast: (S, H) days ahead.
        tested: (S, H) the forecast of the test window; nan for a store that has none.
        actual: (S, H) what was sold in it, nan where `tested` is.
        weeks: whole weeks between a day ahead and the one that it is compared with.
    """

    stores: pd.DataFrame
    history: np.ndarray
    start: pd.Timestamp
    forecast: np.ndarray
    tested: np.ndarray
    actual: np.ndarray
    weeks: int

    @classmethod
    def of(cls, frames: RunFrames) -> Days:
        """Lay the frames out."""
        series = Series.from_frames(frames.panel, frames.stores)
        ids = series.store_ids
        stores = series.stores.assign(**{c.COUNTRY: countries(series.stores[c.COUNTRY])})
        ahead = wide(frames.forecasts, c.FORECAST, ids)
        window = TestWindow.of(frames.backtest)
        tested, sold = (
            pd.DataFrame(values, index=window.store_ids).reindex(ids).to_numpy(dtype=float)
            for values in (window.y_hat[BLEND], window.y)
        )
        actual = np.where(np.isnan(tested), np.nan, sold)
        weeks = -(-ahead.shape[1] // 7)
        start = pd.Timestamp(series.dates[0])
        return cls(stores, series.y, start, ahead, tested, actual, weeks)

    @property
    def horizon(self) -> int:
        """Days ahead."""
        return self.forecast.shape[1]

    @property
    def first_day(self) -> pd.Timestamp:
        """The first day ahead."""
        return self.start + pd.Timedelta(days=self.history.shape[1])

    @property
    def comparable(self) -> bool:
        """Whether the history reaches back to the days that those ahead are compared with."""
        return self.history.shape[1] >= 7 * self.weeks

    @property
    def recent(self) -> np.ndarray:
        """(S, 7 * weeks) what was sold last; nan where there is no history."""
        width = 7 * self.weeks
        missing = max(width - self.history.shape[1], 0)
        padded = np.pad(self.history, ((0, 0), (missing, 0)), constant_values=np.nan)
        return padded[:, -width:]

    @property
    def before(self) -> np.ndarray:
        """(S, H) what was sold on the days that those ahead are compared with."""
        return self.recent[:, : self.horizon]

    @property
    def moved(self) -> np.ndarray:
        """(S,) how much more is forecast than was sold on the days compared, target units."""
        return self.forecast.sum(axis=1) - np.nan_to_num(self.before).sum(axis=1)


def wide(rows: pd.DataFrame, value: str, store_ids: np.ndarray | list[str]) -> np.ndarray:
    """(S, days) values of those stores, in their order; nan for a store without any."""
    rows = rows[rows[c.STORE_ID].isin(store_ids)]
    matrix = rows.pivot(index=c.STORE_ID, columns=c.DATE, values=value).sort_index(axis=1)
    return matrix.reindex(store_ids).to_numpy(dtype=float)


def change(before: float, after: float) -> float | None:
    """Percent change; None where there is nothing to compare with.

    >>> change(50.0, 60.0)
    20.0
    """
    return 100 * (float(after) / float(before) - 1) if before > 0 else None
