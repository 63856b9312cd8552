"""Where the errors lie, against plain loops; reasons of single stores, case by case."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import breakdown
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.config import QualityTier, ReportSettings
from lifemiles_forecasting.core.quality import store_metrics
from lifemiles_forecasting.core.synthetic_run import synthetic_run

SETTINGS = ReportSettings(tiers={"BUENO": QualityTier(min_r2=0.6, max_smape=20)}, metrics=())


@pytest.fixture(scope="module")
def frames():
    return synthetic_run(10)


@pytest.fixture(scope="module")
def table(frames):
    return store_metrics(frames, SETTINGS)


def slow(frames, group_of):
    """Sums of sold, absolute error, error and naive error by group, row by row."""
    rows = {}
    for row in frames.backtest.itertuples():
        if row.candidate in ("blend", "seasonal_naive"):
            rows.setdefault((row.store_id, row.origin, row.date), {})[row.candidate] = row
    sums = {}
    for pair in rows.values():
        blend, naive = pair["blend"], pair["seasonal_naive"]
        total = sums.setdefault(group_of(blend), [0, 0.0, 0.0, 0.0, 0.0])
        total[0] += 1
        total[1] += abs(blend.y)
        total[2] += abs(blend.y_hat - blend.y)
        total[3] += blend.y_hat - blend.y
        total[4] += abs(naive.y_hat - naive.y)
    return {
        group: (n, 100 * wape / sold, 100 * bias / sold, 100 * naive / sold)
        for group, (n, sold, wape, bias, naive) in sums.items()
    }


@pytest.mark.parametrize(
    ("group", "group_of"),
    [
        (breakdown.BY_HORIZON, lambda row: row.horizon),
        (breakdown.BY_WEEKDAY, lambda row: row.date.weekday()),
    ],
)
def test_errors_by_group_are_those_of_a_plain_loop(frames, group, group_of):
    found = breakdown.errors_by(frames.backtest, group)
    expected = slow(frames, group_of)
    assert found["group"].tolist() == sorted(expected)
    for row in found.itertuples():
        mine = (row.points, row.wape, row.bias, row.naive_wape)
        assert mine == pytest.approx(expected[row.group])


def test_days_on_which_nothing_was_sold_have_no_percentage(frames):
    silent = frames.backtest.assign(**{c.Y: 0.0})
    found = breakdown.errors_by(silent, breakdown.BY_HORIZON)
    assert found[["wape", "bias", "naive_wape"]].isna().all(axis=None)
    assert (found["points"] > 0).all()


def test_worst_stores_are_those_that_add_most_to_the_error(frames, table):
    worst = breakdown.worst_stores(table, frames, 4)
    blend = frames.backtest[frames.backtest[c.CANDIDATE] == "blend"]
    test = blend[blend[c.ORIGIN] == blend[c.ORIGIN].max()]
    error = (test[c.Y_HAT] - test[c.Y]).abs().groupby(test[c.STORE_ID]).sum()
    share = (100 * error / error.sum()).nlargest(4)
    assert worst[c.STORE_ID].tolist() == share.index.tolist()
    np.testing.assert_allclose(worst["share"], share)


ORDINARY = {
    "test_total": 100.0,
    "test_forecast_total": 100.0,
    "test_wape": 30.0,
    "naive_wape": 40.0,
    c.STATUS: "ok",
    c.STORE_CLASS: "regular",
}


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({}, ["in_line"]),
        ({c.STATUS: "failed"}, ["failed"]),
        ({"test_total": 0.0, "test_wape": np.nan}, ["stopped"]),
        ({"test_forecast_total": 74.0}, ["level_up"]),
        ({"test_forecast_total": 75.0}, ["in_line"]),
        ({"test_forecast_total": 126.0}, ["level_down"]),
        ({"naive_wape": 29.0}, ["naive_better"]),
        ({c.STORE_CLASS: "intermittent"}, ["sparse"]),
        ({"test_wape": 51.0, "naive_wape": 60.0}, ["noisy"]),
        ({"test_wape": 70.0, "test_forecast_total": 50.0}, ["level_up", "naive_better"]),
    ],
)
def test_reasons(frames, table, changed, reasons):
    store = table[c.STORE_ID][5]
    one = table[table[c.STORE_ID] == store].assign(**(ORDINARY | changed))
    opened = frames.panel[c.DATE].min() - pd.Timedelta(days=99)
    old = frames.stores.assign(**{c.FIRST_DATE: opened})
    (found,) = breakdown.worst_stores(one, replace(frames, stores=old), 1)["reasons"]
    assert found == reasons


def test_young_stores_are_named_so(frames, table):
    worst = breakdown.worst_stores(table, frames, 20)  # 150 days of history
    assert all("young" in reasons for reasons in worst["reasons"])


def test_nothing_attempted_gives_no_store(frames, table):
    assert breakdown.worst_stores(table.assign(attempted=False), frames, 5).empty
