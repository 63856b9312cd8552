"""The matrix against the panel that it was made of."""

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import to_panel


def test_from_frames_gives_the_panel_back(made):
    panel, stores = to_panel(made.series), made.series.stores
    series = Series.from_frames(panel.sample(frac=1, random_state=0), stores.iloc[::-1])
    np.testing.assert_array_equal(series.y, made.series.y)
    np.testing.assert_array_equal(series.dates, made.series.dates)
    pd.testing.assert_frame_equal(series.stores, stores)
    pd.testing.assert_frame_equal(to_panel(series), panel)


def test_from_frames_equals_a_pivot(made):
    panel = to_panel(made.series)
    pivot = panel.pivot(index=c.STORE_ID, columns=c.DATE, values=c.Y)
    series = Series.from_frames(panel, made.series.stores)
    np.testing.assert_array_equal(series.y, pivot.to_numpy())
    assert list(series.store_ids) == list(pivot.index)


def test_stores_outside_the_table_are_left_out(made):
    series = Series.from_frames(to_panel(made.series), made.series.stores.iloc[[2, 4]])
    np.testing.assert_array_equal(series.y, made.series.y[[2, 4]])


def test_store_without_rows_is_all_nan(made):
    panel = to_panel(made.series)
    gone = made.series.store_ids[3]
    series = Series.from_frames(panel[panel[c.STORE_ID] != gone], made.series.stores)
    assert np.isnan(series.y[3]).all()
    assert np.isfinite(series.y[4]).all()


def test_from_frames_does_not_modify_its_input(made):
    panel, stores = to_panel(made.series), made.series.stores.iloc[::-1]
    before = panel.copy(), stores.copy()
    Series.from_frames(panel, stores)
    pd.testing.assert_frame_equal(panel, before[0])
    pd.testing.assert_frame_equal(stores, before[1])


@pytest.mark.parametrize("first", ["1969-12-29", "1970-01-01", "2017-01-01", "2024-02-29"])
def test_weekday_equals_pandas(first):
    dates = np.datetime64(first) + np.arange(20)
    series = Series(np.zeros((1, 20)), dates, pd.DataFrame())
    expected = pd.date_range(first, periods=29).day_of_week
    np.testing.assert_array_equal(series.weekday(9), expected)


def test_until_and_take(made):
    cut = made.series.until(150)
    assert cut.origin == made.series.dates[149]
    assert cut.y.shape == (10, 150)
    few = made.series.take(np.array([8, 1]))
    assert list(few.store_ids) == ["P1_0008", "P0_0001"]
    np.testing.assert_array_equal(few.partner, [1, 0])
    np.testing.assert_array_equal(few.y, made.series.y[[8, 1]])
