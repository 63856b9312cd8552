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
    regular, closed, rare = np.full(56, 100.0), np.full(56, 50.0), np.zeros(56)
    closed[6::7] = 0
    rare[::2] = 10
    floor = zero_rule.dust_floor(series_of(regular, closed, rare), np.array([100.0, 50.0, 10.0]))
    np.testing.assert_allclose(floor, [10, 5, 0])


def test_what_a_store_has_sold_lately_is_no_dust():
    """Sundays of a twentieth of the other days are forecast, and not set to 0."""
    weak = np.ones(70)
    weak[6::7] = 0.05
    weak[6] = 0.01  # more than eight weeks ago
    floor = zero_rule.dust_floor(series_of(weak), np.array([1.0]))
    np.testing.assert_allclose(floor, [0.05])


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


# --- public holidays


def slow_holiday_closure(row, holiday, horizon):
    """One store: closed if it sold on none, and chance explains that less often than 1 in 100."""
    last = range(max(0, len(row) - 728), len(row))
    past = [k for k in last if np.isfinite(row[k])]
    chance = 1.0
    for k in past:
        if not holiday[k]:
            continue
        if row[k] > 0:
            return [False] * horizon
        same = [row[j] > 0 for j in past if j % 7 == k % 7 and not holiday[j]]
        chance *= max(1 - (sum(same) / len(same) if same else 0), 0.02)
    return [chance < 0.01 and bool(holiday[len(row) + h]) for h in range(horizon)]


@pytest.mark.parametrize("days", [50, 300, 800])
def test_closed_holidays_equal_their_slow_form(days):
    rng = np.random.default_rng(days)
    holiday = rng.random((40, days + 28)) < 0.03
    sells = rng.choice([0.05, 0.4, 0.95, 1.0], 40)[:, None]
    y = np.where(rng.random((40, days)) < sells, 5.0, 0.0)
    y[:, 6::7] = 0.0  # Sundays say nothing of holidays
    y[rng.random(40) < 0.7] *= ~holiday[0, :days]
    holiday[rng.random(40) < 0.8] = holiday[0]
    y[3, : days // 2] = np.nan
    found = zero_rule.closed_holidays(series_of(*y), 28, holiday)
    slow = [slow_holiday_closure(*pair, 28) for pair in zip(y, holiday, strict=True)]
    np.testing.assert_array_equal(found, slow)
    assert found.any()
    assert (found <= holiday[:, days:]).all()


@pytest.mark.parametrize(
    ("rate", "past", "sold", "closed"),
    [
        (1.0, 2, 0, True),
        (1.0, 1, 0, False),  # one holiday alone proves nothing
        (1.0, 10, 1, False),  # it opens on some
        (0.3, 10, 0, False),  # chance
        (0.3, 20, 0, True),
    ],
)
def test_holidays_that_chance_does_not_explain_are_closed(rate, past, sold, closed):
    days, row = 400, np.zeros(400)
    for weekday in range(7):  # the rate is the same on each weekday
        row[weekday::7] = np.arange(len(row[weekday::7])) % 10 < 10 * rate
    holiday = np.zeros((1, days + 7), bool)
    holiday[0, np.arange(past) * 19 + 5] = True
    holiday[0, days + 3] = True
    row[holiday[0, :days]] = 0
    row[np.arange(sold) * 19 + 5] = 1
    found = zero_rule.closed_holidays(series_of(row), 7, holiday)
    assert found[0].tolist() == [closed and day == 3 for day in range(7)]
