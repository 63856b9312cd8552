"""Stray rows at the edges of the data: found where they move the days of all others."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifemiles_forecasting.core import edges
from lifemiles_forecasting.core.notices import Notice

FIRST = pd.Timestamp("2023-01-02")


def panel(days_by_store):
    """Store-days with a row on the given days, counted from FIRST."""
    pairs = [(store, day) for store, days in days_by_store.items() for day in days]
    frame = pd.DataFrame(pairs, columns=["store_id", "day"])
    frame["date"] = FIRST + pd.to_timedelta(frame.pop("day"), "D")
    return frame.assign(y=1.0, transactions=1)


def usual(days=400, stores=20, seed=0):
    """Stores that sell on most days but Sundays."""
    rng = np.random.default_rng(seed)
    week = np.arange(days)
    return {f"S{k}": week[(rng.random(days) < 0.8) & (week % 7 != 6)] for k in range(stores)}


def test_ordinary_data_have_none():
    assert edges.notices(panel(usual())) == []


@given(days=st.integers(30, 200), late=st.integers(7, 400), stores=st.integers(8, 30))
@settings(max_examples=25)
def test_rows_of_one_store_after_all_others_are_found(days, late, stores):
    """As days with few stores, or as a hole before them when they are far away."""
    given = usual(days, stores)
    given["S0"] = np.append(given["S0"], days - 1 + late)
    found = edges.notices(panel(given))
    assert found
    assert {notice.warning for notice in found} <= {edges.THIN_END, edges.HOLE}


def test_thin_days_and_holes_are_named():
    given = usual(days=384, stores=10)  # the last day is a Saturday
    given["S0"] = np.concatenate([[-1000], given["S0"], [390, 395]])
    given["S1"] = np.append(given["S1"], 392)
    assert edges.notices(panel(given)) == [
        Notice("2024-01-21 - 2024-02-01", edges.STAGE, edges.THIN_END, 2),
        Notice("2020-04-08 - 2023-01-01", edges.STAGE, edges.HOLE, 1),
    ]


@pytest.mark.parametrize("closed", [3, 27])
def test_holidays_of_all_stores_are_none(closed):
    """Between two days with sales up to four weeks, at the end not at all: the data end before."""
    given = {store: days[(days < 200) | (days >= 200 + closed)] for store, days in usual().items()}
    assert edges.notices(panel(given)) == []
