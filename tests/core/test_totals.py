"""Bands of totals against a plain pandas version, and their coverage where the truth is known."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.quality import RunFrames
from lifemiles_forecasting.core.synthetic_run import synthetic_run
from lifemiles_forecasting.core.totals import EVERY, MIN_DAYS, countries, reach, totals


@pytest.fixture(scope="module")
def frames():
    return synthetic_run(20)


@pytest.fixture(scope="module")
def measured(frames):
    return {(total.partner, total.country): total for total in totals(frames, most=100)}


def unit_of(spread, forecast):
    """Unit of a store's error: its standard deviation, more on busy days. Plain Python."""
    level = spread["level"]
    return [spread["day"] * math.sqrt(max(f / level if level else f, 0.05)) for f in forecast]


def spreads(frames, slow_spread, last):
    """`day` and `level` of every store, from what is known on a day."""
    known = frames.panel[frames.panel[c.DATE] <= last]
    wide = known.pivot(index=c.DATE, columns=c.STORE_ID, values=c.Y)
    partner = frames.stores.set_index(c.STORE_ID)[c.PARTNER_CODE]
    return slow_spread(wide, partner.reindex(wide.columns).to_numpy())


def slow_window(frames, slow_spread, ids, origin):
    """Errors and units of one window's total, store by store."""
    rows = frames.backtest
    rows = rows[(rows[c.CANDIDATE] == "blend") & (rows[c.ORIGIN] == origin)]
    error, squares = 0.0, 0.0
    spread = spreads(frames, slow_spread, origin)
    for store in ids:
        mine = rows[rows[c.STORE_ID] == store].sort_values(c.DATE)
        if mine.empty:
            continue
        error = error + (mine[c.Y_HAT] - mine[c.Y]).to_numpy()
        unit = unit_of(spread.loc[store], mine[c.Y_HAT])
        squares = squares + np.square(unit)
    return error, np.sqrt(squares)


@pytest.mark.parametrize("partner", [EVERY, "CJGRO"])
def test_band_is_that_of_a_plain_version(frames, measured, slow_spread, partner):
    stores = frames.stores
    ids = stores.loc[stores[c.PARTNER_CODE].eq(partner) | (partner == EVERY), c.STORE_ID]
    origins = sorted(frames.backtest[c.ORIGIN].unique())
    parts = [slow_window(frames, slow_spread, ids, origin) for origin in origins]
    score = sorted(np.concatenate([np.abs(error) / unit for error, unit in parts]))
    squares, forecast = 0.0, 0.0
    spread = spreads(frames, slow_spread, frames.panel[c.DATE].max())
    for store in ids:
        ahead = frames.forecasts[frames.forecasts[c.STORE_ID] == store].sort_values(c.DATE)
        squares = squares + np.square(unit_of(spread.loc[store], ahead[c.FORECAST]))
        forecast = forecast + ahead[c.FORECAST].to_numpy()
    total = measured[partner, EVERY]
    assert total.days == len(score) == 84
    for k, level in enumerate((0.80, 0.95)):
        step = score[math.ceil(85 * level) - 1] * np.sqrt(squares)
        np.testing.assert_allclose(total.bounds[:, 2 * k], np.maximum(forecast - step, 0))
        np.testing.assert_allclose(total.bounds[:, 2 * k + 1], forecast + step)


def test_windows_are_sums_of_their_stores(frames, measured):
    blend = frames.backtest[frames.backtest[c.CANDIDATE] == "blend"]
    summed = blend.groupby(c.ORIGIN)[[c.Y, c.Y_HAT]].sum()
    windows = measured[EVERY, EVERY].windows
    np.testing.assert_allclose(windows[[c.Y, c.Y_HAT]], summed)
    np.testing.assert_allclose(windows["error"], 100 * (summed[c.Y_HAT] / summed[c.Y] - 1))
    assert windows["first"].tolist() == [origin + pd.Timedelta("1D") for origin in summed.index]
    assert set(windows["stores"]) == {18}


def test_every_partner_country_and_pair_is_measured(frames, measured):
    stores = frames.stores
    pairs = set(zip(stores[c.PARTNER_CODE], stores[c.COUNTRY], strict=True))
    partners = {(partner, EVERY) for partner, _ in pairs}
    countries = {(EVERY, country) for _, country in pairs}
    assert set(measured) == pairs | partners | countries | {(EVERY, EVERY)}


def test_the_largest_groups_are_kept(frames):
    some = totals(frames, most=3)
    assert len(some) == 3
    assert (some[0].partner, some[0].country) == (EVERY, EVERY)


def test_a_partner_in_one_country_is_measured_once(frames):
    stores = frames.stores.assign(**{c.COUNTRY: "Perú"})
    found = [(t.partner, t.country) for t in totals(replace(frames, stores=stores), most=100)]
    assert sorted(found) == [
        ("", ""),
        *((code, "") for code in sorted(set(stores[c.PARTNER_CODE]))),
    ]
    first = stores[c.PARTNER_CODE] == stores[c.PARTNER_CODE].iloc[0]
    stores = stores.assign(**{c.COUNTRY: stores[c.COUNTRY].where(first, "Chile")})
    found = {(t.partner, t.country) for t in totals(replace(frames, stores=stores), most=100)}
    assert {pair for pair in found if pair[1]} == {("", "Chile"), ("", "Perú")}


def test_stores_without_a_country_belong_to_no_country(frames):
    nowhere = replace(frames, stores=frames.stores.assign(**{c.COUNTRY: None}))
    assert {total.country for total in totals(nowhere, most=100)} == {EVERY}


def test_test_window_is_calibrated_before_it(frames, measured):
    """Whatever happened in the test window, its band stays."""
    last = frames.backtest[c.ORIGIN].max()
    wild = frames.backtest.copy()
    wild.loc[wild[c.ORIGIN] == last, c.Y] *= 50
    (after,) = totals(replace(frames, backtest=wild), most=1)
    before = measured[EVERY, EVERY]
    np.testing.assert_array_equal(after.test_bounds, before.test_bounds)
    assert after.held == (0.0, 0.0)
    assert after.bounds[0, 3] > 2 * before.bounds[0, 3]


def shared_run(rng, shared):
    """Twelve stores whose errors have a part in common, and what will happen to their total."""
    days = pd.date_range("2024-01-01", periods=300)
    ids = [f"P_{k:02d}" for k in range(12)]
    shock = 1 + shared * rng.standard_normal(len(days) + 28)
    y = 100 * shock + 10 * rng.standard_normal((12, len(days) + 28))
    y = np.maximum(y, 0)
    base = synthetic_run(12)
    stores = base.stores.assign(**{c.STORE_ID: ids, c.PARTNER_CODE: "P", c.COUNTRY: "Peru"})
    parts = []
    for back in (84, 56, 28):
        window = slice(300 - back, 328 - back)
        for k, store in enumerate(ids):
            part = pd.DataFrame({c.DATE: days[window], c.Y: y[k, :300][window], c.Y_HAT: 100.0})
            parts.append(part.assign(**{c.STORE_ID: store, c.ORIGIN: days[299 - back]}))
    backtest = pd.concat(parts).assign(**{c.CANDIDATE: "blend", c.HORIZON: 1})
    ahead = pd.date_range(days[-1], periods=29)[1:]
    forecasts = pd.DataFrame(
        {c.STORE_ID: np.repeat(ids, 28), c.DATE: np.tile(ahead, 12), c.FORECAST: 100.0}
    )
    panel = pd.DataFrame(
        {c.STORE_ID: np.repeat(ids, 300), c.DATE: np.tile(days, 12), c.Y: y[:, :300].ravel()}
    )
    empty = pd.DataFrame()
    return RunFrames(panel, stores, backtest, forecasts, empty, empty, empty), y[:, 300:].sum(0)


@pytest.mark.parametrize("shared", [0.0, 0.3])
def test_band_holds_what_it_promises_whether_stores_stray_together_or_not(shared):
    rng = np.random.default_rng(3)
    held = {80: [], 95: []}
    for _ in range(12):
        run, truth = shared_run(rng, shared)
        (total,) = totals(run, most=1)
        for k, level in enumerate(held):
            lower, upper = total.bounds[:, 2 * k], total.bounds[:, 2 * k + 1]
            held[level] += ((lower <= truth) & (truth <= upper)).tolist()
    assert np.mean(held[80]) == pytest.approx(0.80, abs=0.06)
    assert np.mean(held[95]) == pytest.approx(0.95, abs=0.04)


def test_few_days_give_no_band(frames):
    short = frames.backtest[frames.backtest[c.HORIZON] <= 7]
    (total,) = totals(replace(frames, backtest=short), most=1)
    assert total.bounds is None and total.test_bounds is None and total.held is None
    assert total.days == 21
    assert len(total.windows) == 3


def test_reach_leaves_days_without_a_unit_out():
    error, unit = np.ones(MIN_DAYS), np.ones(MIN_DAYS)
    assert reach(error, unit).tolist() == [1, 1]
    assert reach(error, np.append(unit[1:], 0.0)) is None


def test_spellings_of_a_country_are_one(frames):
    stores = frames.stores
    there = np.flatnonzero(stores[c.COUNTRY] == "Colombia")
    country = stores[c.COUNTRY].to_numpy(object).copy()
    country[there[:2]] = ["COLOMBIA", " colómbia "]
    spelt = replace(frames, stores=stores.assign(**{c.COUNTRY: country}))
    expected, found = totals(frames, most=100), totals(spelt, most=100)
    assert [(t.partner, t.country) for t in found] == [(t.partner, t.country) for t in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.bounds, other.bounds)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["PERÚ", "Peru", "Peru"], ["Peru"] * 3),
        (["Peru", "PERU", "Chile"], ["PERU", "PERU", "Chile"]),  # as often: the first in order
        ([None, np.nan, "", "  "], [EVERY] * 4),
    ],
)
def test_country_is_shown_as_most_write_it(names, shown):
    assert countries(pd.Series(names, dtype=object)).tolist() == shown
