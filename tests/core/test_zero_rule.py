"""Days that are known to be zero, and those that must not be taken for it."""

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import zero_rule
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import generate_series

MONDAY = np.datetime64("2023-01-02")


def series_of(*rows):
    y = np.array(rows, dtype=float)
    return Series(y, MONDAY + np.arange(y.shape[1]), pd.DataFrame())


def slow_closed(row, horizon, weekday_of):
    """One store: a weekday is closed if chance explains its silence less often than 1 in 100."""
    past = {d: [row[k] for k in range(len(row)) if weekday_of(k) == d][-8:] for d in range(7)}
    silent = {
        d for d, v in past.items() if len(v) == 8 and all(np.isfinite(x) and x <= 0 for x in v)
    }
    opened = [x for d in set(past) - silent for x in past[d] if np.isfinite(x)]
    rate = sum(x > 0 for x in opened) / max(len(opened), 1)
    known = len(silent) == 7 or (1 - rate) ** 8 < 0.01
    return [known and weekday_of(len(row) + h) in silent for h in range(horizon)]


@pytest.mark.parametrize("days", [40, 56, 100, 220])
@pytest.mark.parametrize("horizon", [1, 10, 28])
def test_closed_days_equal_their_slow_form(days, horizon):
    series = generate_series(n_stores=16, n_days=220, noise=0.5).series.until(days)
    fast = zero_rule.closed_days(series, horizon)
    slow = [slow_closed(row, horizon, lambda k: k % 7) for row in series.y]
    np.testing.assert_array_equal(fast, slow)


def test_closed_sunday_is_closed_and_no_other_day(made):
    closed = zero_rule.closed_days(made.series, 28)[made.row("closed_sunday")]
    weekday = made.series.weekday(28)[-28:]
    np.testing.assert_array_equal(closed, weekday == 6)


def test_rare_sales_close_no_weekday():
    """A store that sells on 10 % of days has a weekday without a sale by chance, often."""
    rare = np.random.default_rng(1).random((200, 56)) < 0.1
    rare[:, 0] = True
    history = series_of(*rare)
    silent = ~(rare.reshape(-1, 8, 7).any(axis=1))
    assert silent.any(axis=1).mean() > 0.9
    assert not zero_rule.closed_days(history, 28).any()


def test_dormant_store_is_closed_throughout(made):
    assert zero_rule.closed_days(made.series, 30)[made.row("dormant")].all()


def test_seven_weeks_are_not_enough():
    row = np.ones(49)
    row[6::7] = 0
    assert not zero_rule.closed_days(series_of(row), 7).any()
    assert zero_rule.closed_days(series_of(np.tile(row[:7], 8)), 7)[0].tolist() == [False] * 6 + [
        True
    ]


def test_one_sale_in_eight_weeks_keeps_the_weekday_open():
    row = np.ones(56)
    row[6::7] = 0
    row[6] = 3
    assert not zero_rule.closed_days(series_of(row), 7).any()


def test_reversals_are_no_sale():
    row = np.ones(56)
    row[6::7] = -2
    assert zero_rule.closed_days(series_of(row), 7)[0, 6]


def test_dust_floor_only_for_stores_that_sell_every_open_day():
    regular, closed, rare = np.ones(56), np.ones(56), np.zeros(56)
    closed[6::7] = 0
    rare[::2] = 1
    floor = zero_rule.dust_floor(series_of(regular, closed, rare), np.array([100.0, 50.0, 10.0]))
    np.testing.assert_allclose(floor, [10, 5, 0])


def test_apply():
    forecast = np.array([[5.0, 0.4, 3.0], [0.4, np.nan, 1.0]])
    closed = np.array([[True, False, False], [False, False, False]])
    applied = zero_rule.apply(forecast, closed, np.array([0.5, 0.0]))
    np.testing.assert_array_equal(applied, [[0, 0, 3], [0.4, np.nan, 1]])
    assert forecast[0, 0] == 5, "the input is as it was"


@pytest.mark.parametrize(("days", "known"), [(1, False), (6, False), (27, False), (28, True)])
def test_dust_floor_waits_for_four_weeks(days, known):
    """A store of one sale has sold on each of its days, and is no regular one for that."""
    history = series_of(np.r_[np.full(60 - days, np.nan), np.ones(days)])
    floor = zero_rule.dust_floor(history, np.ones(1))
    assert (floor > 0).tolist() == [known]
