"""The data of the page against the frames they come from."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_page import SETTINGS

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.quality import store_metrics
from lifemiles_forecasting.core.synthetic_run import synthetic_run
from lifemiles_forecasting.report.days import Days
from lifemiles_forecasting.report.payload import (
    FACTS,
    HISTORY_DAYS,
    cells_payload,
    flat,
    safe_json,
    series_payload,
    store_rows,
)


@given(st.recursive(st.text() | st.none() | st.integers(), st.lists))
def test_safe_json_is_json_without_dangerous_signs(value):
    text = safe_json(value)
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == value


def test_safe_json_writes_null_for_what_json_has_not():
    assert safe_json({"a": [math.nan, math.inf, 1.5]}) == '{"a":[null,null,1.5]}'


@pytest.mark.parametrize("unit", ["ns", "us"])
def test_stores_equal_the_frames(unit):
    frames = synthetic_run(8, n_days=HISTORY_DAYS + 30)
    panel = frames.panel.astype({c.DATE: f"datetime64[{unit}]"})
    frames = replace(frames, panel=panel)
    days, ids = Days.of(frames), frames.stores[c.STORE_ID].tolist()
    series = series_payload(frames, days, ids)
    rows = {row[0]: row for row in store_rows(store_metrics(frames, SETTINGS), days, ids)}
    for store in ids:
        one = series["stores"][store]
        y = panel[panel[c.STORE_ID] == store].set_index(c.DATE)[c.Y].tail(HISTORY_DAYS)
        assert one["h"] == pytest.approx(y.tolist(), rel=1e-3)
        first = pd.Timestamp(series["start"]) + pd.Timedelta(days=one["o"])
        assert first == y.index[0]
        ahead = frames.forecasts[frames.forecasts[c.STORE_ID] == store]
        assert one["b"][3] == pytest.approx(ahead["upper_95"].tolist(), rel=1e-3)
        *_, recent, tested, forecast = rows[store]
        assert forecast == pytest.approx(ahead[c.FORECAST].tolist(), rel=1e-3)
        known = [value for value in recent if not math.isnan(value)]
        assert known == pytest.approx(y.tail(28).tolist(), rel=1e-3)
        blend = frames.backtest[
            (frames.backtest[c.STORE_ID] == store) & (frames.backtest[c.CANDIDATE] == "blend")
        ]
        last = blend[blend[c.ORIGIN] == blend[c.ORIGIN].max()]
        expected = last[c.Y_HAT].tolist() if len(last) else None
        assert tested == (expected if expected is None else pytest.approx(expected, rel=1e-3))
    assert rows[ids[1]][-2] is None  # too short for a test window
    assert len(rows[ids[1]][-3]) == 28


def test_small_values_keep_their_digits():
    frames = synthetic_run(6)
    frames = replace(frames, forecasts=frames.forecasts.assign(forecast=0.0123456))
    store = frames.stores[c.STORE_ID][4]
    (row,) = store_rows(store_metrics(frames, SETTINGS), Days.of(frames), [store])
    assert set(row[-1]) == {0.01235}


def test_cells_are_the_sums_of_their_stores():
    frames = synthetic_run(20)
    payload = cells_payload(Days.of(frames))
    places = frames.stores[[c.STORE_ID, c.PARTNER_CODE, c.COUNTRY]]
    panel = frames.panel.merge(places, on=c.STORE_ID)
    blend = frames.backtest[frames.backtest[c.CANDIDATE] == "blend"]
    test = blend[blend[c.ORIGIN] == blend[c.ORIGIN].max()].merge(places, on=c.STORE_ID)
    assert sum(cell["stores"] for cell in payload["cells"]) == 20
    for cell in payload["cells"]:
        there = {c.PARTNER_CODE: cell["partner"], c.COUNTRY: cell["country"]}
        mine = [
            frame[(frame[list(there)] == list(there.values())).all(axis=1)]
            for frame in (panel, test)
        ]
        past, tested = mine
        by_day = past.groupby(c.DATE)[c.Y].sum()
        assert cell["history"] == pytest.approx(by_day.tolist(), rel=1e-4, abs=1e-4)
        sums = tested.groupby(c.DATE)[[c.Y, c.Y_HAT]].sum()
        assert cell["actual"] == pytest.approx(sums[c.Y].tolist(), rel=1e-4)
        assert cell["expected"] == pytest.approx(sums[c.Y_HAT].tolist(), rel=1e-4)
        missed = (tested[c.Y_HAT] - tested[c.Y]).abs().groupby(tested[c.DATE]).sum()
        assert cell["missed"] == pytest.approx(missed.tolist(), rel=1e-4)
        assert cell["tested"] == tested[c.STORE_ID].nunique()


@pytest.mark.parametrize("level", [1e-3, 1.0, 1e6, 1e9])
def test_totals_of_the_cells_are_those_of_the_files(level):
    """To a hundredth of the last digit that a page shows, in any currency."""
    frames = synthetic_run(20)
    forecasts = frames.forecasts.assign(**{c.FORECAST: level * frames.forecasts[c.FORECAST]})
    panel = frames.panel.assign(**{c.Y: level * frames.panel[c.Y]})
    backtest = frames.backtest.assign(
        **{name: level * frames.backtest[name] for name in (c.Y, c.Y_HAT)}
    )
    frames = replace(frames, forecasts=forecasts, panel=panel, backtest=backtest)
    days = Days.of(frames)
    cells = cells_payload(days)["cells"]
    for name, expected in (
        ("forecast", forecasts[c.FORECAST].sum()),
        ("history", panel[c.Y].sum()),
        ("actual", np.nansum(days.actual)),
        ("expected", np.nansum(days.tested)),
        ("missed", np.nansum(np.abs(days.tested - days.actual))),
    ):
        assert math.fsum(sum(cell[name]) for cell in cells) == pytest.approx(
            expected, rel=1e-14, abs=1e-4 if expected < 1000 else 1e-2
        )


def test_a_country_is_one_whatever_its_spelling():
    frames = synthetic_run(20)
    first = frames.stores[c.COUNTRY].eq("Colombia").idxmax()
    country = frames.stores[c.COUNTRY].where(frames.stores.index != first, "COLOMBIA")
    spelt = replace(frames, stores=frames.stores.assign(**{c.COUNTRY: country}))
    days, ids = Days.of(spelt), frames.stores[c.STORE_ID].tolist()
    assert cells_payload(days) == cells_payload(Days.of(frames))
    rows = store_rows(store_metrics(spelt, SETTINGS), days, ids)
    assert {row[FACTS.index(c.COUNTRY)] for row in rows} == {"Colombia", "Estados Unidos"}


@pytest.mark.parametrize(("horizon", "weeks"), [(28, 4), (10, 2), (7, 1), (3, 1)])
def test_days_ahead_are_compared_with_the_same_weekday_that_is_known(horizon, weeks):
    frames = synthetic_run(6)
    near = frames.forecasts[frames.forecasts[c.HORIZON] <= horizon]
    days = Days.of(replace(frames, forecasts=near))
    assert (days.horizon, days.weeks) == (horizon, weeks)
    assert days.before.shape == days.forecast.shape
    panel = frames.panel.set_index([c.STORE_ID, c.DATE])[c.Y]
    store = days.stores[c.STORE_ID][4]
    for ahead in range(horizon):
        then = days.first_day + pd.Timedelta(days=ahead - 7 * weeks)
        assert days.before[4, ahead] == panel[store, then]


def test_history_that_is_too_short_is_not_compared():
    frames = synthetic_run(6)
    late = frames.panel[c.DATE] > frames.panel[c.DATE].max() - pd.Timedelta(days=20)
    days = Days.of(replace(frames, panel=frames.panel[late]))
    assert not days.comparable
    assert np.isnan(days.recent[:, :8]).all()


def test_flat_keeps_every_leaf():
    nested = {"a": {"b": 1, "c": {"d": None}}, "e": [1, 2]}
    assert flat(nested) == {"a.b": "1", "a.c.d": "None", "e": "[1, 2]"}
    assert flat({}) == {}


def test_numbers_are_those_of_numpy_too():
    assert safe_json([np.float64(1.5)]) == "[1.5]"
