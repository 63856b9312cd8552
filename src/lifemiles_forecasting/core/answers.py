"""Questions about single stores and days, answered from the forecasts of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError

UNKNOWN, OUTSIDE = "unknown_store", "outside_horizon"
CENTURY = 36_525  # days; a day further off is not told back: pandas may not hold its date


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
                both is asked for its horizon, a row with neither for every day of the horizon.

        Returns:
            The columns of `columns.FORECASTS`, in the order of the rows. A store that is not known
            and a day outside the horizon have the status `unknown_store` or `outside_horizon` and
            no numbers.

        Raises:
            InputError: no `store_id` or one that is no text, or a horizon or date that is none.
        """
        ids = _texts(asked)
        ahead = days_ahead(asked, self._origin)
        store = self._stores.get_indexer(ids)
        whole = np.isnan(ahead) & (store >= 0)
        each = np.repeat(np.arange(len(asked)), np.where(whole, self._horizon, 1))
        first = np.concatenate([[True], each[1:] != each[:-1]]) if len(each) else each > 0
        turn = np.arange(len(each)) - np.maximum.accumulate(
            np.where(first, np.arange(len(each)), 0)
        )
        near = np.clip(np.nan_to_num(ahead[each]), -CENTURY, CENTURY)
        day = np.where(whole[each], turn + 1, near).astype(np.int64)
        known = store[each] >= 0
        inside = known & (day >= 1) & (day <= self._horizon)
        row = np.where(inside, store[each] * self._horizon + day - 1, -1)
        answer = self.table.take(np.maximum(row, 0)).reset_index(drop=True)
        if inside.all():
            return answer
        told = ~inside & (np.abs(ahead[each]) <= CENTURY)
        return self._with_gaps(answer, inside, ids[each], known, np.where(told, day, np.nan))

    def _with_gaps(
        self,
        answer: pd.DataFrame,
        inside: np.ndarray,
        ids: np.ndarray,
        known: np.ndarray,
        day: np.ndarray,
    ) -> pd.DataFrame:
        """Blank what could not be answered, and say why; `day` is nan where none is told."""
        answer = answer.astype(object)
        answer.loc[~inside, :] = None
        answer.loc[~inside, c.STORE_ID] = ids[~inside]
        answer.loc[~inside, c.STATUS] = np.where(known, OUTSIDE, UNKNOWN)[~inside]
        told = ~np.isnan(day)
        answer.loc[told, c.HORIZON] = day[told].astype(np.int64)
        answer.loc[told, c.DATE] = (self._origin + pd.to_timedelta(day[told], "D")).to_numpy()
        return answer


def days_ahead(asked: pd.DataFrame, origin: pd.Timestamp) -> np.ndarray:
    """How many days after the origin each row asks for.

    Args:
        asked: optionally `horizon` (days ahead, from 1) and `date`; the horizon goes first.
        origin: the last known day.

    Returns:
        (rows,); nan for a row that has neither.

    Raises:
        InputError: a horizon or date that is none.
    """
    ahead = np.full(len(asked), np.nan)
    if c.DATE in asked:
        given = asked[c.DATE].notna().to_numpy()
        days = _read(asked.loc[given, c.DATE], _ordinal, "YYYY-MM-DD")
        ahead[given] = days - origin.toordinal()
    if c.HORIZON in asked:
        given = asked[c.HORIZON].notna().to_numpy()
        ahead[given] = _read(asked.loc[given, c.HORIZON], _whole, "whole days ahead")
    return ahead


def _texts(asked: pd.DataFrame) -> np.ndarray:
    """(rows,) store ids."""
    if c.STORE_ID not in asked or asked[c.STORE_ID].isna().any():
        raise InputError("a row without store_id", "one in every row")
    ids = asked[c.STORE_ID].to_numpy(object)
    for one in ids:
        if not isinstance(one, str):
            raise InputError(f"store_id {one!r}", "text", "A number would lose leading zeros")
    return ids


def _read(values: pd.Series, read: Callable[[Any], float], expected: str) -> np.ndarray:
    """Read one value after another, so that an error can name it."""
    numbers = np.empty(len(values))
    for place, value in enumerate(values.tolist()):
        try:
            numbers[place] = read(value)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{values.name} {value!r}", expected) from None
    return numbers


def _whole(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool | np.bool_) or number % 1 != 0:  # of infinity, nan
        raise ValueError
    return number


def _ordinal(value: Any) -> float:
    """The day as it is written: its time of day and time zone make no other day of it."""
    day = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(day, date):
        raise TypeError
    return day.toordinal()
