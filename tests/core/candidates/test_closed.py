"""The closed forms against slow forms, and the contract that each of them keeps."""

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.candidates.closed import (
    CLOSED,
    NAIVE,
    seasonal_naive,
    window_average,
)
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import describe, generate_series, with_values

HORIZON = 17
every_form = pytest.mark.parametrize("forecast", CLOSED.values(), ids=CLOSED)


def of_one_partner_each(y):
    """Stores that share no partner: nothing that one does reaches another."""
    dates = np.datetime64("2023-03-01") + np.arange(y.shape[1])
    codes = [f"{k:03d}" for k in range(len(y))]
    return Series(
        y, dates, describe(y, dates, pd.DataFrame({c.PARTNER_CODE: codes, c.STORE_CODE: codes}))
    )


def slow_window(row, horizon, weeks):
    days = pd.Series(row)
    same = [days[(days.index - len(row) - h) % 7 == 0].iloc[-weeks:] for h in range(horizon)]
    return [values.mean() for values in same]


@pytest.mark.parametrize("days", [5, 30, 60, 220])
def test_naive_forms_equal_their_slow_forms(days):
    series = generate_series(n_stores=9, n_days=220, noise=0.4).series.until(days)
    full = np.full((9, 7 * 8), np.nan)
    full[:, -min(days, 56) :] = series.y[:, -56:]
    for store, row in enumerate(full):
        week = [row[-7:][h % 7] for h in range(HORIZON)]
        np.testing.assert_array_equal(seasonal_naive(series, HORIZON)[store], week)
        slow = slow_window(row, HORIZON, 8)
        np.testing.assert_allclose(window_average(series, HORIZON)[store], slow)


@every_form
def test_shape_and_values(forecast, made):
    values = forecast(made.series, HORIZON)
    assert values.shape == (10, HORIZON)
    assert np.isfinite(values).all()
    assert (values >= 0).all()


@every_form
@pytest.mark.parametrize("origin", [0, 2, 6, 13, 60, 139, 142])
def test_a_store_that_has_not_started_has_no_forecast(forecast, made, origin):
    values = forecast(made.series.until(origin + 1), HORIZON)
    late = made.row("late")
    if origin < 140:
        assert np.isnan(values[late]).all()
    assert (np.nan_to_num(values) >= 0).all()


@every_form
def test_is_deterministic_and_leaves_its_input_alone(forecast, made):
    before = made.series.y.copy()
    first = forecast(made.series, HORIZON)
    np.testing.assert_array_equal(forecast(made.series, HORIZON), first)
    np.testing.assert_array_equal(made.series.y, before)
    first[:] = -1  # a view of the history would change it now
    np.testing.assert_array_equal(made.series.y, before)


@every_form
def test_units_do_not_matter(forecast, made):
    cents = forecast(with_values(made.series, made.series.y * 1000), HORIZON)
    np.testing.assert_allclose(cents, 1000 * forecast(made.series, HORIZON), rtol=1e-12)


@every_form
def test_one_store_a_thousand_times_larger(forecast, made):
    alone = of_one_partner_each(made.series.y)
    factor = np.where(np.arange(10) == 4, 1000.0, 1.0)[:, None]
    larger = forecast(of_one_partner_each(made.series.y * factor), HORIZON)
    np.testing.assert_allclose(larger, factor * forecast(alone, HORIZON), rtol=1e-12)


@every_form
def test_constant_store_gives_the_constant_and_zero_gives_zeros(forecast):
    y = np.stack([np.full(200, 12.5), np.zeros(200), np.full(200, 3.0)])
    values = forecast(of_one_partner_each(y), HORIZON)
    np.testing.assert_allclose(values, np.repeat([[12.5], [0.0], [3.0]], HORIZON, axis=1))


@every_form
def test_reversals_never_make_a_forecast_negative(forecast):
    y = np.full((2, 100), -5.0)
    y[1, ::7] = 80
    assert (forecast(of_one_partner_each(y), HORIZON) >= 0).all()


@every_form
def test_noise_free_week_comes_back(forecast):
    made = generate_series(n_stores=1, n_days=300, noise=0)
    np.testing.assert_allclose(forecast(made.series, 28)[0], made.expected[0, 300:], rtol=0.05)


def test_naive_ones_are_closed_forms():
    assert set(NAIVE) < set(CLOSED)
