"""Forecasts of every store: complete, in order, with the status that says where they come from."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import backtest
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.forecast import (
    final_intervals,
    forecast_all,
    modelled_stores,
    statuses,
)
from lifemiles_forecasting.core.parallel import Failure
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import to_panel


@pytest.fixture(scope="module")
def table(study, result):
    return forecast_all(study, result, final_intervals(study, result), study.series)


def test_every_store_has_every_day_in_order(study, table):
    assert tuple(table.columns) == c.FORECASTS
    assert len(table) == 10 * study.horizon
    assert not table.isna().any(axis=None)
    days = pd.date_range(study.series.origin, periods=study.horizon + 1)[1:]
    for store_id, rows in table.groupby(c.STORE_ID, sort=False):
        assert list(rows[c.DATE]) == list(days)
        assert list(rows[c.HORIZON]) == list(range(1, study.horizon + 1))
        assert (rows[c.PARTNER_CODE] + "_" + rows[c.STORE_CODE] == store_id).all()
    assert list(table[c.STORE_ID].unique()) == list(study.series.store_ids)


def test_bounds_are_in_order_and_never_negative(table):
    ordered = ["lower_95", "lower_80", c.FORECAST, "upper_80", "upper_95"]
    assert (table[ordered] >= 0).all(axis=None)
    assert (np.diff(table[ordered].to_numpy(), axis=1) >= 0).all()


def test_status_and_dormant_stores(made, study, table):
    status = table.groupby(c.STORE_ID, sort=False)[c.STATUS].first().to_numpy()
    dormant = made.row("dormant")
    assert status[dormant] == "dormant"
    assert (table[table[c.STATUS] == "dormant"][c.FORECAST] == 0).all()
    assert (np.delete(status, dormant) == "ok").all()


def test_closed_sunday_is_forecast_zero(made, study, table):
    rows = table[table[c.STORE_ID] == study.series.store_ids[made.row("closed_sunday")]]
    sunday = rows[c.DATE].dt.day_of_week == 6
    assert (rows[sunday][c.FORECAST] == 0).all()
    assert (rows[~sunday][c.FORECAST] > 0).all()


def test_intermittent_store_is_not_silenced(made, study, table):
    rows = table[table[c.STORE_ID] == study.series.store_ids[made.row("intermittent")]]
    assert (rows[c.FORECAST] > 0).mean() > 0.8


def test_forecasts_are_near_the_truth(made, study, table):
    truth = made.expected[:, 220 : 220 + study.horizon]
    forecast = table[c.FORECAST].to_numpy().reshape(truth.shape)
    for kind in ("weekly", "closed_sunday", "level_shift", "closure", "late"):
        row = made.row(kind)
        assert np.abs(forecast[row] - truth[row]).sum() < 0.2 * truth[row].sum(), kind


def test_limited_run_still_forecasts_every_store(made, make_study):
    study = make_study(made.series, max_stores=2)
    result = backtest.run(study)
    table = forecast_all(study, result, final_intervals(study, result), made.series)
    assert table[c.STORE_ID].nunique() == 10
    status = table.groupby(c.STORE_ID, sort=False)[c.STATUS].first()
    assert (status == "ok").sum() == 2
    assert set(status[status != "ok"]) == {"fallback", "dormant"}
    assert not table.isna().any(axis=None)


def test_short_and_failed_stores(study, result):
    stores = study.series.stores.copy()
    stores.loc[5, c.STORE_CLASS] = "short"
    everyone = Series(study.series.y, study.series.dates, stores)
    attempted = study.attempted.copy()
    attempted[5] = False
    failed = dataclasses.replace(result.fits, failures=[Failure("P0_0000", "x", "y", "z")])
    modelled = modelled_stores(
        dataclasses.replace(study, attempted=attempted),
        dataclasses.replace(result, fits=failed),
    )
    status = statuses(modelled, everyone)
    assert status[[0, 5, 1]].tolist() == ["fallback", "short_history", "ok"]


def test_store_without_rows_is_forecast_zero(made, make_study):
    panel = to_panel(made.series)
    gone = made.series.store_ids[0]
    series = Series.from_frames(panel[panel[c.STORE_ID] != gone], made.series.stores)
    study = make_study(series, candidates=("base", "ridge"))
    result = backtest.run(study)
    table = forecast_all(study, result, final_intervals(study, result), series)
    assert not table.isna().any(axis=None)
    assert (table[table[c.STORE_ID] == gone][c.FORECAST] == 0).all()
