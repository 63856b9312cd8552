"""The data of the page against the frames they come from."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.synthetic_run import synthetic_run
from lifemiles_forecasting.report.payload import HISTORY_DAYS, flat, safe_json, series_payload


@given(st.recursive(st.text() | st.none() | st.integers(), st.lists))
def test_safe_json_is_json_without_dangerous_signs(value):
    text = safe_json(value)
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == value


def test_safe_json_writes_null_for_what_json_has_not():
    assert safe_json({"a": [math.nan, math.inf, 1.5]}) == '{"a":[null,null,1.5]}'


@pytest.mark.parametrize("unit", ["ns", "us"])
def test_series_equal_the_frames(unit):
    frames = synthetic_run(8, n_days=HISTORY_DAYS + 30)
    panel = frames.panel.astype({c.DATE: f"datetime64[{unit}]"})
    frames = replace(frames, panel=panel)
    ids = frames.stores[c.STORE_ID].tolist()
    series = series_payload(frames, ids)
    for store in ids:
        one = series["stores"][store]
        y = panel[panel[c.STORE_ID] == store].set_index(c.DATE)[c.Y].tail(HISTORY_DAYS)
        assert one["h"] == pytest.approx(y.tolist(), rel=1e-3)
        first = pd.Timestamp(series["start"]) + pd.Timedelta(days=one["o"])
        assert first == y.index[0]
        ahead = frames.forecasts[frames.forecasts[c.STORE_ID] == store]
        assert one["f"] == pytest.approx(ahead[c.FORECAST].tolist(), rel=1e-3)
        assert one["b"][3] == pytest.approx(ahead["upper_95"].tolist(), rel=1e-3)
    assert series["stores"][ids[1]]["t"] is None  # too short for a test window
    assert len(series["stores"][ids[5]]["t"]) == 28


def test_small_values_keep_their_digits():
    frames = synthetic_run(6)
    frames = replace(frames, forecasts=frames.forecasts.assign(forecast=0.0123456))
    store = frames.stores[c.STORE_ID][4]
    assert set(series_payload(frames, [store])["stores"][store]["f"]) == {0.01235}


def test_flat_keeps_every_leaf():
    nested = {"a": {"b": 1, "c": {"d": None}}, "e": [1, 2]}
    assert flat(nested) == {"a.b": "1", "a.c.d": "None", "e": "[1, 2]"}
    assert flat({}) == {}


def test_numbers_are_those_of_numpy_too():
    assert safe_json([np.float64(1.5)]) == "[1.5]"
