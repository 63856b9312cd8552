"""The closed-form base against a slow form that follows its description line by line."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.base import (
    FLOOR,
    PRIOR_DAYS,
    SHRINK_WEEKS,
    SPAN,
    YOUNG_DAYS,
    fit_base,
)
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import (
    KINDS,
    RECENT_KINDS,
    WEEK,
    describe,
    generate_series,
    with_values,
)


def slow_base(history, horizon, alpha=0.02):
    """(level, profile, forecast), store by store and day by day."""
    days = pd.DatetimeIndex(history.dates.astype("datetime64[ns]"))
    ahead = pd.date_range(days[-1] + pd.Timedelta(days=1), periods=horizon)
    known = [pd.Series(row, days).iloc[-SPAN:].dropna() for row in history.y]
    codes = history.stores[c.PARTNER_CODE].to_numpy()
    levels, sums = [], []
    for store, sold in enumerate(known):
        recent = sold
        if 0 < len(recent) < YOUNG_DAYS:  # how often the partner's stores sell after day one
            mates = [known[k] for k in np.flatnonzero(codes == codes[store])]
            later = pd.concat([mate.iloc[1:] for mate in mates])
            chance = (later > 0).mean() if len(later) else 1.0
            start = days[-SPAN:][0]
            opened = [m.iloc[1:YOUNG_DAYS] for m in mates if len(m) and m.index[0] > start]
            sales = sum((mate > 0).sum() for mate in opened) + PRIOR_DAYS * chance
            chance = sales / (sum(map(len, opened)) + PRIOR_DAYS)
            recent = sold * np.where(np.arange(len(sold)) == 0, chance, 1.0)
        age = (days[-1] - recent.index).days
        weight = (1 - alpha) ** age.to_numpy(float)
        level = (weight * recent).sum() / weight.sum() if len(recent) else 0.0
        by_weekday = [recent.index.day_of_week == day for day in range(7)]
        total = np.array([(weight * recent)[day].sum() for day in by_weekday])
        mass = np.array([weight[day].sum() for day in by_weekday])
        levels.append((level, FLOOR * recent.mean() if len(recent) else 0.0))
        sums.append((total, mass * level, np.array([day.sum() for day in by_weekday])))
    partners = history.stores[c.PARTNER_CODE].to_numpy()
    profiles = []
    for store, (total, expected, weeks) in enumerate(sums):
        own = divide(total, expected)
        mates = np.flatnonzero(partners == partners[store])
        partner = divide(sum(sums[k][0] for k in mates), sum(sums[k][1] for k in mates))
        if not partner.any():
            partner = np.ones(7)
        profile = (weeks * own + SHRINK_WEEKS * partner) / (weeks + SHRINK_WEEKS)
        profiles.append(profile / profile.mean() if profile.mean() > 0 else np.ones(7))
    level = np.array([max(pair) for pair in levels])
    profile = np.array(profiles)
    return level, profile, np.maximum(level[:, None] * profile[:, ahead.day_of_week], 0.0)


def divide(a, b):
    return np.array([x / y if y else 0.0 for x, y in zip(a, b, strict=True)])


@pytest.mark.parametrize("alpha", [0.005, 0.02, 0.06])
@pytest.mark.parametrize("days", [60, 143, 220, 500])
def test_base_equals_its_slow_form(days, alpha):
    made = generate_series(n_stores=10, n_days=max(days, 120), noise=0.3).series.until(days)
    fitted = fit_base(made, 17, alpha)
    level, profile, forecast = slow_base(made, 17, alpha)
    np.testing.assert_allclose(fitted.level, level, rtol=1e-10)
    np.testing.assert_allclose(fitted.profile, profile, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(fitted.forecast(), forecast, rtol=1e-10, atol=1e-12)


def test_base_equals_its_slow_form_among_young_stores():
    made = generate_series(n_stores=26, n_days=200, noise=0.3, of=(*KINDS, *RECENT_KINDS))
    y = made.series.y.copy()
    young = np.flatnonzero(np.isin(made.kinds, ["late", "short", "new"]))
    y[young, 1::3] *= 0.0  # a young store that sells seldom
    y[8, 200 - 30] = 40.0
    series = with_values(made.series, y)
    fitted = fit_base(series, 17)
    level, profile, forecast = slow_base(series, 17)
    np.testing.assert_allclose(fitted.level, level, rtol=1e-10)
    np.testing.assert_allclose(fitted.profile, profile, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(fitted.forecast(), forecast, rtol=1e-10, atol=1e-12)


def test_store_that_opened_yesterday_sells_as_often_as_those_that_opened_before_it():
    """The old ones sell daily; of those that were seen to open, one day in ten has a sale."""
    made = generate_series(n_stores=5, n_days=200).series
    y = np.full_like(made.y, 10.0)
    y[2:4, :100], y[2:4, 100:] = np.nan, 0.0
    y[2:4, 100::10] = 10.0
    y[4] = np.nan
    y[4, -1] = 100.0
    early = np.mean([[day % 10 == 0 for day in range(1, YOUNG_DAYS)]] * 2)
    later = (2 * 199 + 2 * 9) / (2 * 199 + 2 * 99)
    days = 2 * (YOUNG_DAYS - 1)
    chance = (days * early + PRIOR_DAYS * later) / (days + PRIOR_DAYS)
    level = fit_base(with_values(made, y), 7).level
    assert level[4] == pytest.approx(100 * chance)
    assert chance < 0.15


def test_store_that_opened_yesterday_is_not_forecast_to_sell_every_day():
    """Its only day is a sale by definition; its partner's stores sell on every fourth day."""
    made = generate_series(n_stores=8, n_days=200).series
    y = np.zeros_like(made.y)
    y[:, ::4] = 10.0
    y[0], y[1] = np.nan, 10.0
    y[0, -1] = 100.0
    made.stores[c.PARTNER_CODE] = ["A", "B", *["A"] * 6]
    made.stores.loc[1, c.PARTNER_CODE] = "B"
    level = fit_base(with_values(made, y), 7).level
    later = (y[2:, -200:][:, 1:] > 0).mean()
    assert level[0] == pytest.approx(100 * later)
    assert level[1] == pytest.approx(10)
    alone = fit_base(with_values(made, y).take(np.array([0])), 7).level
    assert alone[0] == pytest.approx(100)  # nobody to learn the chance from


def test_profile_has_mean_one(made):
    profile = fit_base(made.series, 7).profile
    np.testing.assert_allclose(profile.mean(axis=1), 1.0)


def test_noise_free_store_gets_its_own_week_back():
    made = generate_series(n_stores=1, n_days=400, noise=0)
    base = fit_base(made.series, 28)
    np.testing.assert_allclose(base.profile[0], WEEK / WEEK.mean(), rtol=0.02)
    np.testing.assert_allclose(base.forecast()[0], made.expected[0, 400:], rtol=0.04)


def test_level_follows_a_shift_but_never_falls_below_its_floor(made):
    shifted = made.series.y[made.row("level_shift")]
    level = fit_base(made.series, 7).level
    assert level[made.row("level_shift")] > 1.2 * shifted[:110].mean()
    year = generate_series(n_stores=1, n_days=400).series
    silent = year.y.copy()
    silent[0, 60:] = 0
    floored = fit_base(with_values(year, silent), 7).level[0]
    assert floored == pytest.approx(FLOOR * silent[0, -SPAN:].mean())


def test_short_store_takes_the_profile_of_its_partner(made):
    """Three days say nothing of a week; the other stores of the partner do."""
    young = made.series.y.copy()
    young[0, :-3] = np.nan
    base = fit_base(with_values(made.series, young), 7)
    mates = base.profile[1:7].mean(axis=0)
    assert np.corrcoef(base.profile[0], mates)[0, 1] > 0.9


def test_other_partners_do_not_matter(made):
    y = made.series.y.copy()
    theirs = made.series.partner == 1
    y[theirs] = 5000 - y[theirs]
    before, after = fit_base(made.series, 14), fit_base(with_values(made.series, y), 14)
    np.testing.assert_array_equal(before.forecast()[~theirs], after.forecast()[~theirs])
    assert not np.array_equal(before.forecast()[theirs], after.forecast()[theirs])


def test_does_not_modify_its_input(made):
    before = made.series.y.copy()
    fit_base(made.series, 14)
    np.testing.assert_array_equal(made.series.y, before)


VALUES = st.one_of(st.just(0.0), st.just(np.nan), st.floats(-1e6, 1e6).map(lambda v: round(v, 2)))


@given(arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=VALUES))
@settings(deadline=None)
def test_forecast_is_finite_and_never_negative(y):
    dates = np.datetime64("2023-01-04") + np.arange(y.shape[1])
    names = pd.DataFrame({c.PARTNER_CODE: ["A"] * len(y), c.STORE_CODE: list("wxyz")[: len(y)]})
    forecast = fit_base(Series(y, dates, describe(y, dates, names)), 9).forecast()
    assert np.isfinite(forecast).all()
    assert (forecast >= 0).all()
