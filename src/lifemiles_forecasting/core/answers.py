"""Questions about single stores and days, answered from the forecasts of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError

UNKNOWN, OUTSIDE = "unknown_store", "outside_horizon"


@dataclass(frozen=True)
class Answers:
    """The forecasts of every store, to be asked for.

    Attributes:
        table: the columns of `columns.FORECASTS`, all stores one after another, each with every
            day of the horizon in order.
    """

    table: pd.DataFrame

    @cached_property
    def _horizon(self) -> int:
        return int(self.table[c.HORIZON].max())

    @cached_property
    def _stores(self) -> pd.Index:
        return pd.Index(self.table[c.STORE_ID].to_numpy()[:: self._horizon])

    @cached_property
    def _origin(self) -> pd.Timestamp:
        return self.table[c.DATE].iloc[0] - pd.Timedelta(days=1)

    def of(self, asked: pd.DataFrame) -> pd.DataFrame:
        """Answer every row.

        Args:
            asked: `store_id`, and optionally `horizon` (days ahead, from 1) or `date`. A row with
                neither asks for every day of the horizon.

        Returns:
            The columns of `columns.FORECASTS`, in the order of the rows. A store that is not known
            and a day outside the horizon have the status `unknown_store` or `outside_horizon` and
            no numbers.

        Raises:
            InputError: no `store_id`, or a horizon or date that is none.
        """
        if c.STORE_ID not in asked or asked[c.STORE_ID].isna().any():
            raise InputError("a row without store_id", "one in every row")
        ids = asked[c.STORE_ID].astype(str).to_numpy(object)
        ahead = self._days_ahead(asked)
        store = self._stores.get_indexer(ids)
        whole = np.isnan(ahead) & (store >= 0)
        each = np.repeat(np.arange(len(asked)), np.where(whole, self._horizon, 1))
        first = np.concatenate([[True], each[1:] != each[:-1]]) if len(each) else each > 0
        turn = np.arange(len(each)) - np.maximum.accumulate(
            np.where(first, np.arange(len(each)), 0)
        )
        day = np.where(whole[each], turn + 1, np.nan_to_num(ahead[each])).astype(np.int64)
        known = store[each] >= 0
        inside = known & (day >= 1) & (day <= self._horizon)
        row = np.where(inside, store[each] * self._horizon + day - 1, -1)
        answer = self.table.take(np.maximum(row, 0)).reset_index(drop=True)
        if inside.all():
            return answer
        return self._with_gaps(answer, inside, ids[each], known, day)

    def _with_gaps(
        self,
        answer: pd.DataFrame,
        inside: np.ndarray,
        ids: np.ndarray,
        known: np.ndarray,
        day: np.ndarray,
    ) -> pd.DataFrame:
        """Blank what could not be answered, and say why."""
        answer = answer.astype(object)
        answer.loc[~inside, :] = None
        answer.loc[~inside, c.STORE_ID] = ids[~inside]
        answer.loc[~inside, c.STATUS] = np.where(known, OUTSIDE, UNKNOWN)[~inside]
        said = ~inside & (day != 0)
        answer.loc[said, c.HORIZON] = day[said]
        answer.loc[said, c.DATE] = (self._origin + pd.to_timedelta(day[said], "D")).to_numpy()
        return answer

    def _days_ahead(self, asked: pd.DataFrame) -> np.ndarray:
        """(rows,) days ahead; nan where a row asks for all of them."""
        ahead = np.full(len(asked), np.nan)
        for name in (c.HORIZON, c.DATE):
            if name not in asked:
                continue
            given = asked[name].notna().to_numpy()
            if name == c.HORIZON:
                read = pd.to_numeric(asked[name], errors="coerce")
                read = read.where(read % 1 == 0)
            else:
                days = pd.to_datetime(asked[name], errors="coerce", format="ISO8601", utc=True)
                read = (days.dt.tz_localize(None).dt.normalize() - self._origin).dt.days
            wrong = given & read.isna().to_numpy()
            if wrong.any():
                expected = "whole days ahead" if name == c.HORIZON else "YYYY-MM-DD"
                raise InputError(f"{name} {asked[name][wrong].tolist()[0]!r}", expected)
            ahead = np.where(np.isnan(ahead) & given, read.to_numpy(float), ahead)
        return ahead
