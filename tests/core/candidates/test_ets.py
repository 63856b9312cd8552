"""ETS on a grid against plain Python: one store, one day, one pair of smoothing parameters.

What every closed form keeps (units, determinism, constants) is in test_closed.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.candidates.ets import (
    ALPHAS,
    GAMMAS,
    MIN_DAYS,
    SPAN,
    WARM_UP,
    ets,
)
from lifemiles_forecasting.core.closures import mask_closures
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import describe, generate_series, with_values

HORIZON = 16
MONDAY = np.datetime64("2022-01-03")


def series_of(*rows):
    y = np.array(rows, dtype=float)
    dates = MONDAY + np.arange(y.shape[1])
    names = pd.DataFrame({c.PARTNER_CODE: "A", c.STORE_CODE: [f"{k:02d}" for k in range(len(y))]})
    return Series(y, dates, describe(y, dates, names))


def smooth(sold, ahead, alpha, gamma):
    """One store, one pair: (sum of squares after the warm-up, forecast of the weekdays ahead).

    `sold` is a list of (weekday, value) of the days that count, oldest first.
    """
    first = sold[:WARM_UP]
    level = sum(value for _, value in first) / len(first)
    week = {}
    for day in range(7):
        values = [value for weekday, value in first if weekday == day]
        week[day] = sum(values) / len(values) - level if values else 0.0
    squared = 0.0
    for number, (weekday, value) in enumerate(sold):
        error = value - level - week[weekday]
        if number >= WARM_UP:
            squared += error**2
        level += alpha * error
        week[weekday] += gamma * error
    return squared, [max(level + week[weekday], 0.0) for weekday in ahead]


def slow_candidates(series, store, horizon):
    """Forecasts of every pair whose errors are the smallest, as far as floats can tell."""
    row = mask_closures(series.y)[store][-SPAN:]  # closures have a slow form in test_features
    days = pd.DatetimeIndex(series.dates.astype("datetime64[ns]"))[-SPAN:]
    sold = [(d.weekday(), v) for d, v in zip(days, row, strict=True) if not np.isnan(v)]
    ahead = [(days[-1] + pd.Timedelta(days=h)).weekday() for h in range(1, horizon + 1)]
    tried = [smooth(sold, ahead, alpha, gamma) for alpha in ALPHAS for gamma in GAMMAS]
    best = min(squared for squared, _ in tried)
    size = sum(value**2 for _, value in sold)
    return [forecast for squared, forecast in tried if squared <= best + 1e-12 * size]


def assert_equals_slow_form(series, horizon):
    fast = ets(series, horizon)
    for store, row in enumerate(series.y):
        if np.isfinite(row).sum() < MIN_DAYS:
            assert np.isnan(fast[store]).all()
            continue
        size = np.nanmax(np.abs(row)) or 1.0
        near = [
            np.allclose(fast[store], forecast, rtol=1e-9, atol=1e-9 * size)
            for forecast in slow_candidates(series, store, horizon)
        ]
        assert any(near), store


@pytest.mark.parametrize("days", [20, 34, 60, 143, 220, 800])
def test_equals_its_slow_form(days):
    made = generate_series(n_stores=9, n_days=max(days, 220), noise=0.4)
    assert_equals_slow_form(made.series.until(days), HORIZON)


VALUES = st.one_of(st.just(0.0), st.floats(-1e3, 1e6).map(lambda value: round(value, 2)))


@given(arrays(float, st.tuples(st.integers(1, 2), st.integers(20, 90)), elements=VALUES), st.data())
@settings(max_examples=40)
def test_equals_its_slow_form_on_any_values(y, data):
    start = data.draw(st.integers(0, y.shape[1] - 1))
    y[0, :start] = np.nan
    assert_equals_slow_form(series_of(*y), 9)


def test_many_days_and_the_best_pair_is_not_always_the_same():
    """A grid of which one pair were always the best would be tested by nothing above."""
    rng = np.random.default_rng(2)
    steady = 50 + rng.normal(0, 5, 400)
    walking = 50 + np.cumsum(rng.normal(0, 3, 400))
    swinging = 50 + np.tile(rng.normal(0, 10, 7), 58)[:400] * np.linspace(2, -2, 400)
    series = series_of(steady, walking, swinging)
    sold = [[(k % 7, v) for k, v in enumerate(row)] for row in series.y]
    best = [min((smooth(s, [0], a, g)[0], a, g) for a in ALPHAS for g in GAMMAS)[1:] for s in sold]
    assert best[0][0] < best[1][0]
    assert best[0][1] < best[2][1]
    assert_equals_slow_form(series, HORIZON)


def test_closure_is_passed_over_as_if_it_had_not_been():
    made = generate_series(n_stores=1, n_days=300, noise=0.2).series
    open_days = made.y[0]
    shut = np.concatenate([open_days[:150], np.zeros(21), open_days[150:]])  # three whole weeks
    never = np.concatenate([np.full(21, np.nan), open_days])
    both = ets(series_of(shut, never), HORIZON)
    np.testing.assert_array_equal(both[0], both[1])
    assert both[0].mean() == pytest.approx(open_days.mean(), rel=0.2)


@pytest.mark.parametrize("days", [14, 28])
def test_new_level_is_followed_within_two_weeks(days):
    """Forty steady stores that doubled so long ago: the mistake is a third of the step at most."""
    made = generate_series(n_stores=40, n_days=300, noise=0.2, of=("weekly",))
    y = made.series.y.copy()
    y[:, -days:] *= 2
    truth = 2 * made.expected[:, 300:]
    mistake = np.abs(ets(with_values(made.series, y), 28) - truth).mean(1) / (truth / 2).mean(1)
    assert mistake.mean() < 1 / 3


def test_closure_that_has_not_ended_is_no_closure():
    open_days = generate_series(n_stores=1, n_days=200, noise=0.2).series.y[0].copy()
    before = ets(series_of(open_days), HORIZON)
    open_days[-30:] = 0.0
    assert ets(series_of(open_days), HORIZON).mean() < 0.9 * before.mean()


@pytest.mark.parametrize(("days", "known"), [(MIN_DAYS - 1, False), (MIN_DAYS, True)])
def test_short_history_has_no_forecast(days, known):
    y = np.full((2, 200), 7.0)
    y[0, :-days] = np.nan
    values = ets(series_of(*y), HORIZON)
    assert np.isfinite(values[0]).all() == known
    assert np.isnan(values[0]).all() != known
    np.testing.assert_allclose(values[1], 7.0)
    assert np.isfinite(ets(series_of(*y[:, -days:]), HORIZON)).all() == known


def test_store_that_starts_late_is_as_if_the_others_started_then_too():
    made = generate_series(n_stores=8, n_days=200, noise=0.3)
    late, opening = made.row("late"), 120
    alone = made.series.take(np.array([late]))
    short = Series(alone.y[:, opening:], alone.dates[opening:], alone.stores)
    np.testing.assert_array_equal(ets(short, HORIZON)[0], ets(made.series, HORIZON)[late])


def test_stores_do_not_touch_each_other():
    series = generate_series(n_stores=8, n_days=200, noise=0.3).series
    together = ets(series, HORIZON)
    order = np.random.default_rng(0).permutation(8)
    np.testing.assert_array_equal(ets(series.take(order), HORIZON), together[order])
    alone = [ets(series.take(np.array([k])), HORIZON)[0] for k in range(8)]
    np.testing.assert_array_equal(alone, together)


def test_so_much_more_every_day_is_so_much_more_ahead():
    """Additive errors, an additive week: the method knows no zero, except that it stops there."""
    series = generate_series(n_stores=1, n_days=200, noise=0.3).series
    more = ets(with_values(series, series.y + 1000), HORIZON)
    np.testing.assert_allclose(more, 1000 + ets(series, HORIZON), rtol=1e-9)


def test_what_lies_further_back_than_its_span_does_not_matter():
    y = generate_series(n_stores=1, n_days=SPAN + 100, noise=0.3).series.y
    other = y.copy()
    other[0, :100] *= 50
    np.testing.assert_array_equal(ets(series_of(*other), HORIZON), ets(series_of(*y), HORIZON))


def test_closure_across_the_start_of_its_span_is_a_closure_still():
    y = generate_series(n_stores=1, n_days=SPAN + 100, noise=0.3).series.y
    y[0, 86:105] = 0.0
    missing = y.copy()
    missing[0, :105] = np.nan
    np.testing.assert_array_equal(ets(series_of(*y), HORIZON), ets(series_of(*missing), HORIZON))


def test_starts_afresh_from_any_weekday():
    """The weekday of the first day is read off the dates, not counted from zero."""
    made = generate_series(n_stores=1, n_days=300, noise=0).series
    for cut in range(7):
        later = Series(made.y[:, cut:], made.dates[cut:], made.stores)
        weekly = ets(later, 14)[0]
        np.testing.assert_allclose(weekly, made.y[0, -14:], rtol=1e-9)


def test_does_not_modify_its_input():
    series = generate_series(n_stores=8, n_days=200).series
    before = series.y.copy()
    ets(series, HORIZON)
    np.testing.assert_array_equal(series.y, before)
