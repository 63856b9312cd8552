"""Stores that have fallen silent: who counts as one, and what is learned from those that did."""

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import silence
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.silence import Silence
from lifemiles_forecasting.core.synthetic import describe

DAYS, HORIZON = 300, 28


def series_of(y):
    dates = np.datetime64("2023-03-01") + np.arange(y.shape[1])
    names = pd.DataFrame({c.PARTNER_CODE: "P", c.STORE_CODE: [f"{k:03d}" for k in range(len(y))]})
    return Series(y, dates, describe(y, dates, names))


def slow_class(row):
    """One store, day by day."""
    found = -1
    for index, days in enumerate(silence.LENGTHS):
        before = [value for value in row[:-days][-91:] if not np.isnan(value)]
        if len(row) <= days + 56 or len(before) < 56 or any(v != 0 for v in row[-days:]):
            continue
        if sum(value > 0 for value in before) >= 0.5 * len(before):
            found = index
    return found


def test_classes_equal_the_slow_form():
    rng = np.random.default_rng(0)
    y = rng.lognormal(2, 0.3, (60, 160)) * (rng.random((60, 160)) < rng.random((60, 1)))
    for row, days in zip(y, rng.integers(0, 60, 60), strict=True):
        row[160 - days :] = 0
    y[:10, :70] = np.nan
    y[10:15, :120] = np.nan
    found = silence.silence_class(y)
    assert found.tolist() == [slow_class(row) for row in y]
    assert set(found) == {-1, 0, 1}


@pytest.mark.parametrize("days", [1, 14, 56])
def test_nobody_is_silent_in_a_short_history(days):
    assert (silence.silence_class(np.zeros((3, days))) == -1).all()


def closures(n, length, back):
    """`n` stores of level 10 that close for `length` days each, one after the other."""
    y = np.full((n, DAYS), 10.0)
    for k in range(n):
        start = 110 + k % 5 * 20
        y[k, start : start + length] = 0
        y[k, start + length :] = back
    return y


def test_shares_are_those_of_the_stores_that_came_back():
    """All come back after three weeks at half their level; all stay closed; nobody ever closed."""
    after, count = silence.returning_shares(closures(200, 21, 5.0), HORIZON)
    # seen at ages 14 to 20 days, they are closed for some more days and then sell the half
    assert after[0, -7:] == pytest.approx(0.5, abs=0.02)
    assert (np.diff(after[0]) >= 0).all()
    assert count[0] >= 200
    assert count[1] == 0
    gone, count = silence.returning_shares(closures(200, DAYS, 0.0), HORIZON)
    np.testing.assert_array_equal(gone, 0)
    assert (count >= 200).all()
    nobody, count = silence.returning_shares(np.full((5, DAYS), 10.0), HORIZON)
    assert not nobody.any()
    assert not count.any()


def test_every_past_silence_counts_once_per_origin():
    y = closures(7, 40, 12.0)
    total, stores = np.zeros((2, HORIZON)), np.zeros(2)
    for origin in range(DAYS - 1 - HORIZON, 56, -7):
        for row in y:
            kind = slow_class(row[: origin + 1][-119:])
            if kind >= 0:
                days = silence.LENGTHS[kind]
                usual = np.mean(row[: origin + 1][:-days][-91:])
                total[kind] += np.minimum(row[origin + 1 : origin + 1 + HORIZON] / usual, 2.0)
                stores[kind] += 1
    assert (stores > 0).all()
    expected = total.reshape(2, 4, 7).mean(axis=2).repeat(7, axis=1) / stores[:, None]
    shares, count = silence.returning_shares(y, HORIZON)
    np.testing.assert_allclose(shares, expected)
    np.testing.assert_array_equal(count, stores)


def test_forecast_is_drawn_to_a_share_of_the_usual_week_of_silent_stores_alone():
    weekday = (np.arange(DAYS) + 2) % 7  # the first day is a Wednesday
    week = np.array([0.5, 1.0, 1.0, 1.0, 1.5, 2.0, 0.0])
    y = np.tile(10 * week[weekday], (41, 1))
    y[0, -20:] = 0
    y[1:, 120:140] = 0  # they came back in full
    made = Silence.of(series_of(y), HORIZON)
    assert not made.trust[1:].any()
    assert made.trust[0] == pytest.approx(40 / 45, abs=0.1)
    usual = 10 * np.tile(week, 5)[(np.arange(HORIZON) + DAYS + 2) % 7]
    np.testing.assert_allclose(made.values[0, -7:], usual[-7:], rtol=0.15, atol=0.2)
    before = np.ones((41, HORIZON))
    after = made.apply(before)
    np.testing.assert_array_equal(after[1:], 1)
    np.testing.assert_allclose(after[0], 1 - made.trust[0] + made.trust[0] * made.values[0])


def test_without_a_past_silence_the_forecast_stays():
    y = np.full((3, DAYS), 10.0)
    y[0, -20:] = 0
    forecast = np.arange(3 * HORIZON, dtype=float).reshape(3, HORIZON)
    made = Silence.of(series_of(y), HORIZON)
    np.testing.assert_array_equal(made.apply(forecast), forecast)


def test_what_follows_the_history_is_not_read():
    y, origin = closures(50, 40, 10.0), 165
    known = Silence.of(series_of(y).until(origin + 1), HORIZON)
    y[:, origin + 1 :] *= 1000
    seen = Silence.of(series_of(y).until(origin + 1), HORIZON)
    np.testing.assert_array_equal(seen.values, known.values)
    np.testing.assert_array_equal(seen.trust, known.trust)
    assert known.trust.any()


def test_units_do_not_matter_and_the_input_is_left_alone():
    y = closures(30, 40, 10.0)[:, :190]
    before = y.copy()
    made = Silence.of(series_of(y), HORIZON)
    np.testing.assert_array_equal(y, before)
    assert made.values.any()
    np.testing.assert_allclose(Silence.of(series_of(1000 * y), HORIZON).values, 1000 * made.values)
