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


def ordinary(series, horizon):
    """No holidays at all."""
    return np.zeros((len(series.y), len(series.dates) + horizon), bool)


def closed_days(series, horizon):
    return zero_rule.closed_days(series, horizon, ordinary(series, horizon))


def dust_floor(series, level):
    return zero_rule.dust_floor(series, level, ordinary(series, 0))


def slow_closed(row, holiday, horizon):
    """One store: a weekday is closed if chance explains its silence less often than 1 in 100."""
    past = {d: [k for k in range(len(row)) if k % 7 == d][-8:] for d in range(7)}
    known = {d for d, days in past.items() if len(days) == 8 and np.isfinite(row[days]).all()}
    plain = {
        d: [k for k in days if np.isfinite(row[k]) and not holiday[k]] for d, days in past.items()
    }
    silent = {d for d in known if all(row[k] <= 0 for k in plain[d])}
    opened = [row[k] > 0 for d in set(past) - silent for k in plain[d]]
    rate = sum(opened) / max(len(opened), 1)
    closed = {d for d in silent if (1 - rate) ** len(plain[d]) < 0.01}
    never = {d for d in closed if all(row[k] <= 0 for k in past[d])}
    if len(known) == 7 and all(row[k] <= 0 for days in past.values() for k in days):
        return [True] * horizon
    ahead = range(len(row), len(row) + horizon)
    return [k % 7 in (never if holiday[k] else closed) for k in ahead]


@pytest.mark.parametrize("days", [40, 56, 100, 220])
@pytest.mark.parametrize("horizon", [1, 10, 28])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.4])
def test_closed_days_equal_their_slow_form(days, horizon, share):
    series = generate_series(n_stores=16, n_days=220, noise=0.5).series.until(days)
    holidays = np.random.default_rng(days).random((16, days + horizon)) < share
    fast = zero_rule.closed_days(series, horizon, holidays)
    slow = [slow_closed(row, off, horizon) for row, off in zip(series.y, holidays, strict=True)]
    np.testing.assert_array_equal(fast, slow)


def test_closed_mondays_stay_closed_where_those_that_are_holidays_are_open():
    """As many restaurants in Colombia, whose holidays are moved to Mondays."""
    row = np.ones(56)
    row[0::7] = 0
    row[21] = 3  # a Monday
    holidays = np.zeros((1, 84), bool)
    holidays[0, [21, 70]] = True
    closed = zero_rule.closed_days(series_of(row), 28, holidays)[0]
    assert np.flatnonzero(closed).tolist() == [0, 7, 21], "but the holiday two weeks ahead is open"


def test_a_holiday_on_a_weekday_without_any_sale_is_closed():
    row = np.ones(56)
    row[6::7] = 0
    holidays = np.zeros((1, 63), bool)
    holidays[0, [20, 62]] = True
    assert zero_rule.closed_days(series_of(row), 7, holidays)[0].tolist() == [False] * 6 + [True]


def test_an_open_holiday_does_not_make_dust_of_a_closed_weekday():
    row = np.full(56, 100.0)
    row[0::7] = 0
    row[21] = 300
    holidays = np.zeros((1, 56), bool)
    holidays[0, 21] = True
    np.testing.assert_allclose(
        zero_rule.dust_floor(series_of(row), np.array([100.0]), holidays), 10
    )


def test_closed_sunday_is_closed_and_no_other_day(made):
    closed = closed_days(made.series, 28)[made.row("closed_sunday")]
    weekday = made.series.weekday(28)[-28:]
    np.testing.assert_array_equal(closed, weekday == 6)


def test_rare_sales_close_no_weekday():
    """A store that sells on 10 % of days has a weekday without a sale by chance, often."""
    rare = np.random.default_rng(1).random((200, 56)) < 0.1
    rare[:, 0] = True
    history = series_of(*rare)
    silent = ~(rare.reshape(-1, 8, 7).any(axis=1))
    assert silent.any(axis=1).mean() > 0.9
    assert not closed_days(history, 28).any()


def test_dormant_store_is_closed_throughout(made):
    assert closed_days(made.series, 30)[made.row("dormant")].all()


def test_seven_weeks_are_not_enough():
    row = np.ones(49)
    row[6::7] = 0
    assert not closed_days(series_of(row), 7).any()
    assert closed_days(series_of(np.tile(row[:7], 8)), 7)[0].tolist() == [False] * 6 + [True]


def test_one_sale_in_eight_weeks_keeps_the_weekday_open():
    row = np.ones(56)
    row[6::7] = 0
    row[6] = 3
    assert not closed_days(series_of(row), 7).any()


def test_reversals_are_no_sale():
    row = np.ones(56)
    row[6::7] = -2
    assert closed_days(series_of(row), 7)[0, 6]


def test_dust_floor_only_for_stores_that_sell_every_open_day():
    regular, closed, rare = np.full(56, 100.0), np.full(56, 50.0), np.zeros(56)
    closed[6::7] = 0
    rare[::2] = 10
    floor = dust_floor(series_of(regular, closed, rare), np.array([100.0, 50.0, 10.0]))
    np.testing.assert_allclose(floor, [10, 5, 0])


def test_what_a_store_has_sold_lately_is_no_dust():
    """Sundays of a twentieth of the other days are forecast, and not set to 0."""
    weak = np.ones(70)
    weak[6::7] = 0.05
    weak[6] = 0.01  # more than eight weeks ago
    floor = dust_floor(series_of(weak), np.array([1.0]))
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
    floor = dust_floor(history, np.ones(1))
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
