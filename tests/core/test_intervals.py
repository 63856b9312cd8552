"""Intervals: do they cover what they claim, and stay in order, on errors of every shape."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lifemiles_forecasting.core.intervals import (
    MIN_POINTS,
    NAMES,
    SHARE_FLOOR,
    Intervals,
    Spread,
    bounds,
)
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import generate_series


def window(rng, stores, horizon, shape):
    """Exchangeable errors around a forecast of 100: values, forecasts and the spread."""
    level = rng.lognormal(3, 1, stores)
    day = level * rng.uniform(0.1, 0.9, stores)
    forecast = np.repeat(level[:, None], horizon, axis=1)
    draws = {
        "normal": rng.normal(size=forecast.shape),
        "skewed": rng.gamma(0.5, 2, forecast.shape) - 1,
        "heavy": rng.standard_t(2.5, forecast.shape),
    }
    return forecast + 0.5 * day[:, None] * draws[shape], forecast, Spread(day, level)


@pytest.mark.parametrize("shape", ["normal", "skewed", "heavy"])
@pytest.mark.parametrize("horizon", [3, 28])
def test_coverage_of_exchangeable_errors(shape, horizon):
    rng = np.random.default_rng(5)
    stores = 9_000 // horizon
    fitted = Intervals.fit([window(rng, stores, horizon, shape) for _ in range(2)])
    y, forecast, spread = window(rng, stores, horizon, shape)
    limits = forecast[..., None] + fitted.offsets(forecast, spread)
    for level, lower, upper in ((0.80, 0, 1), (0.95, 2, 3)):
        inside = (limits[..., lower] <= y) & (y <= limits[..., upper])
        assert inside.mean() == pytest.approx(level, abs=0.03)


def test_coverage_holds_where_values_are_cut_at_zero():
    """Rare sales: most days are 0 and the lower bound is 0 as well."""
    rng = np.random.default_rng(2)

    def rare():
        y = rng.gamma(1, 10, (500, 14)) * (rng.random((500, 14)) < 0.3)
        return y, np.full(y.shape, 3.0), Spread(np.full(500, 8.0), np.full(500, 3.0))

    fitted = Intervals.fit([rare(), rare()])
    y, forecast, spread = rare()
    limits = bounds(forecast, fitted.offsets(forecast, spread))
    for level, lower, upper in ((0.80, 0, 1), (0.95, 2, 3)):
        inside = (limits[..., lower] <= y) & (y <= limits[..., upper])
        assert inside.mean() >= level - 0.02


def test_noise_classes_and_weeks_have_their_own_width():
    rng = np.random.default_rng(0)
    level = np.full(600, 100.0)
    day = np.where(np.arange(600) < 300, 10.0, 80.0)
    forecast = np.full((600, 14), 100.0)
    width = np.where(np.arange(14) < 7, 1.0, 3.0) * np.where(np.arange(600) < 300, 1, 0.2)[:, None]
    y = forecast + rng.normal(size=forecast.shape) * width * day[:, None]
    fitted = Intervals.fit([(y, forecast, Spread(day, level))])
    steady, noisy = fitted.distance[np.unique(Spread(day, level).noise_class())]
    assert steady[1, 1] == pytest.approx(3 * steady[0, 1], rel=0.15)
    assert steady[0, 1] == pytest.approx(5 * noisy[0, 1], rel=0.15)


def test_small_group_takes_the_errors_of_more():
    few = MIN_POINTS // 7 - 1
    rng = np.random.default_rng(0)
    level, day = np.full(few + 100, 10.0), np.r_[np.full(few, 60.0), np.full(100, 1.0)]
    y = 10 + rng.normal(size=(few + 100, 7)) * day[:, None]
    fitted = Intervals.fit([(y, np.full(y.shape, 10.0), Spread(day, level))])
    everything = np.abs(fitted.distance[7, 0, :2]).sum()
    assert everything > 0
    np.testing.assert_array_equal(fitted.distance[7], fitted.distance[5])  # both too small: all


def test_nothing_to_calibrate_on_gives_no_width():
    none = np.full((3, 7), np.nan)
    fitted = Intervals.fit([(none, none, Spread(np.ones(3), np.ones(3)))])
    assert (fitted.distance == 0).all()


def test_days_that_are_forecast_to_be_zero_teach_the_others_nothing():
    """They have no interval, so their errors of exactly 0 would only make the others narrow."""
    rng = np.random.default_rng(3)
    y, forecast, spread = window(rng, 400, 14, "normal")
    closed = np.array(forecast), np.array(y)
    for values in closed:
        values[:, 6::7] = 0.0
        values[:130] = 0.0
    told = np.where(closed[0] > 0, y, np.nan)
    fitted = Intervals.fit([(closed[1], closed[0], spread)])
    expected = Intervals.fit([(told, forecast, spread)])
    np.testing.assert_array_equal(fitted.distance, expected.distance)


def test_store_that_opened_yesterday_has_a_width():
    made = generate_series(n_stores=12, n_days=200, noise=0.5).series
    y = made.y.copy()
    y[0] = np.nan
    y[0, -1] = 100.0
    young = Spread.of(Series(y, made.dates, made.stores))
    mates = (made.partner == made.partner[0]) & (np.isfinite(y).sum(axis=1) >= 56)
    assert mates.any()
    usual = np.mean(young.day[mates] / young.level[mates])
    assert young.day[0] == pytest.approx(100 * usual * np.sqrt(14 / 15))


@given(amount=st.integers(1, 10_000_000).map(lambda cents: cents / 100))
@settings(max_examples=60)
def test_store_that_sells_the_same_every_day_strays_by_a_hundredth(amount):
    """What rounding leaves of a standard deviation is no unit of error."""
    made = generate_series(n_stores=3, n_days=100).series
    y = made.y.copy()
    y[1] = amount
    spread = Spread.of(Series(y, made.dates, made.stores))
    assert spread.strayed().tolist() == [True, False, True]
    assert spread.day[1] == pytest.approx(0.01 * amount)


def test_store_that_never_strays_teaches_the_others_nothing():
    rng = np.random.default_rng(4)
    y, forecast, spread = window(rng, 40, 28, "normal")
    day, level = np.append(spread.day, 1e-15), np.append(spread.level, 19.9)
    y, forecast = (np.vstack([part, np.full(28, 19.9)]) for part in (y, forecast))
    fitted = Intervals.fit([(y, forecast * (1 + 1e-6), Spread(day, level))])
    expected = Intervals.fit([(y[:-1], forecast[:-1] * (1 + 1e-6), spread)])
    np.testing.assert_array_equal(fitted.distance, expected.distance)


def test_store_that_fell_silent_hardly_moves_the_bounds_of_the_others():
    """A steady one of forty stays away from its forecast by fifty times its spread."""
    rng = np.random.default_rng(6)
    forecast, level = np.full((40, 28), 100.0), np.full(40, 100.0)
    spread = Spread(np.append(np.full(39, 15.0), 2.0), level)
    usual = forecast + rng.normal(size=forecast.shape) * spread.day[:, None]
    y = usual.copy()
    y[-1] = 0.0
    moved, expected = (Intervals.fit([(values, forecast, spread)]) for values in (y, usual))
    before, after = (fitted.distance[0, :, :2] for fitted in (expected, moved))
    np.testing.assert_allclose(after, before, rtol=0.25)


def test_perfect_forecasts_give_no_width():
    y = np.full((50, 7), 4.0)
    fitted = Intervals.fit([(y, y, Spread(np.ones(50), np.full(50, 4.0)))])
    assert (fitted.distance == 0).all()


NUMBERS = st.floats(0, 1e6).map(lambda v: round(v, 2))


@given(st.data())
@settings(max_examples=60)
def test_bounds_are_in_order_and_never_negative(data):
    stores, horizon = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 16))
    shape = (stores, horizon)
    y, forecast = (data.draw(arrays(float, shape, elements=NUMBERS)) for _ in range(2))
    day, level = (data.draw(arrays(float, stores, elements=NUMBERS)) for _ in range(2))
    spread = Spread(day, level)
    fitted = Intervals.fit([(y, forecast, spread)])
    limits = bounds(forecast, fitted.offsets(forecast, spread))
    assert limits.shape == (*shape, len(NAMES))
    lower_80, upper_80, lower_95, upper_95 = np.moveaxis(limits, -1, 0)
    assert (limits >= 0).all()
    assert (lower_95 <= lower_80).all()
    assert (upper_80 <= upper_95).all()
    assert (lower_80 <= forecast).all()
    assert (forecast <= upper_80).all()
    assert (limits[forecast == 0] == 0).all()


@pytest.mark.parametrize("days", [1, 5, 40, 90, 230, 420])
def test_spread_equals_plain_pandas(days, slow_spread):
    series = generate_series(n_stores=24, n_days=420, noise=0.4).series.until(days)
    spread = Spread.of(series)
    expected = slow_spread(pd.DataFrame(series.y.T), series.partner)
    np.testing.assert_allclose(spread.level, expected["level"])
    np.testing.assert_allclose(spread.day, expected["day"])


def test_unit_grows_with_the_root_of_the_forecast():
    forecast = np.array([[0.0, 4.0]])
    unit = Spread(np.array([2.0]), np.array([1.0])).at(forecast)
    np.testing.assert_allclose(unit, [[2 * SHARE_FLOOR**0.5, 4.0]])


def test_store_without_a_day_has_no_spread():
    series = generate_series(n_stores=8, n_days=220).series.until(100)
    spread = Spread.of(series)
    late = np.isnan(series.y).all(axis=1)
    assert late.any()
    assert (spread.day[late] == 0).all()
    assert (spread.at(np.ones((8, 2)))[late] == 0).all()
