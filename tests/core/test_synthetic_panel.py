"""The made-up chain has the structure that it claims, and the truth that goes with it."""

import holidays
import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.synthetic_panel import (
    COUNTRIES,
    LAST,
    N_PARTNERS,
    Traits,
    generate_panel,
)

DAYS = 500
OFF = Traits(
    noise=0,
    drift=0,
    promotion=0,
    payday=0,
    season=0,
    sunday_closed=0,
    holiday_closed=0,
    closure=0,
    level_shift=0,
    late=0,
)


def only(**traits):
    """A chain with these traits and no other."""
    return generate_panel(120, DAYS, seed=1, traits=Traits(**{**vars(OFF), **traits}))


@pytest.fixture(scope="module")
def chain():
    return generate_panel(n_stores=300, n_days=DAYS, seed=0, ahead=28)


@pytest.fixture(scope="module")
def flat():
    return only()


def weekday(made):
    return made.series.weekday()


def around_holidays(made, country):
    """(D,) bool: public holidays of the country; the two days before one."""
    known = holidays.country_holidays(COUNTRIES[country], years=range(2021, 2026))
    days = [pd.Timestamp(day).date() for day in made.series.dates]
    shut = np.array([day in known for day in days])
    soon = [any(day + pd.Timedelta(days=k) in known for k in (1, 2)) for day in days]
    return shut, np.array(soon) & ~shut


def ordinary(made):
    """(D,) bool: days that are no holiday of any country, and not before one."""
    marks = [mark for country in COUNTRIES for mark in around_holidays(made, country)]
    return ~np.any(marks, axis=0)


def correlation(values, lag):
    """Of (P, D) values with themselves so many days before, mean over rows."""
    pairs = [np.corrcoef(row[lag:], row[:-lag])[0, 1] for row in values]
    return np.mean(pairs)


def partner_sums(made):
    members = np.eye(N_PARTNERS)[made.series.partner]
    return members.T @ np.nan_to_num(made.series.y)


# --- shapes and seeds


def test_shapes_and_store_table(chain):
    assert chain.series.y.shape == (300, DAYS)
    assert chain.expected.shape == (300, DAYS + 28)
    assert len(chain.kinds) == 300
    assert chain.series.origin == LAST
    assert (np.diff(chain.series.dates).astype(int) == 1).all()
    stores = chain.series.stores
    assert tuple(stores.columns) == c.STORES
    assert stores[c.STORE_ID].is_unique
    assert stores[c.PARTNER_CODE].nunique() == N_PARTNERS
    assert set(stores[c.COUNTRY]) == set(COUNTRIES)
    assert (stores.groupby(c.PARTNER_CODE)[c.COUNTRY].nunique() == 1).all()


def test_values_are_finite_from_the_first_day_on(chain):
    seen = np.isfinite(chain.series.y)
    assert (np.diff(seen.astype(int), axis=1) >= 0).all()
    assert (chain.series.y[seen] >= 0).all()
    assert np.isfinite(chain.expected).all()


def test_seed_decides_on_everything():
    first, again, other = (generate_panel(24, 200, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.series.y, again.series.y)
    np.testing.assert_array_equal(first.expected, again.expected)
    assert first.kinds == again.kinds
    assert not np.array_equal(first.series.y, other.series.y, equal_nan=True)


# --- the truth


def test_expected_values_are_the_mean_of_the_process(chain):
    seen = np.isfinite(chain.series.y)
    sold = np.where(seen, chain.series.y, 0.0).sum(axis=1)
    mean = np.where(seen, chain.expected[:, :DAYS], 0.0).sum(axis=1)
    assert sold.sum() / mean.sum() == pytest.approx(1, abs=0.002)
    np.testing.assert_allclose(sold / mean, 1, atol=0.04)
    open_days = seen & (chain.expected[:, :DAYS] > 0)
    ratio = chain.series.y[open_days] / chain.expected[:, :DAYS][open_days]
    assert ratio.std() == pytest.approx(Traits().noise, rel=0.02)


def test_a_day_without_expected_sales_has_none(chain):
    closed = np.isfinite(chain.series.y) & (chain.expected[:, :DAYS] == 0)
    assert closed.mean() > 0.05
    assert (chain.series.y[closed] == 0).all()
    assert (chain.series.y[~closed & np.isfinite(chain.series.y)] > 0).all()


def test_without_noise_the_series_is_the_truth(flat):
    np.testing.assert_array_equal(flat.series.y, flat.expected)


# --- traits


def test_shares_of_traits_are_near_what_was_asked():
    asked = Traits(closure=0.3, level_shift=0.4, late=0.2, sunday_closed=0.6, holiday_closed=0.5)
    made = generate_panel(1200, 400, seed=2, traits=asked)
    kinds = pd.Series(made.kinds).value_counts(normalize=True)
    assert kinds["late"] == pytest.approx(0.2, abs=0.04)
    assert kinds["closure"] == pytest.approx(0.3 * 0.8, abs=0.04)
    assert kinds["level_shift"] == pytest.approx(0.4 * 0.7 * 0.8, abs=0.04)
    sunday = made.expected[:, weekday(made) == 6]
    assert (sunday == 0).all(axis=1).mean() == pytest.approx(0.6, abs=0.04)
    american = (made.series.stores[c.COUNTRY] == "Estados Unidos").to_numpy()
    shut, _ = around_holidays(made, "Estados Unidos")
    assert (made.expected[american][:, shut] == 0).all(axis=1).mean() == pytest.approx(0.5, abs=0.1)


def test_late_stores_have_two_months_at_least(chain):
    late = np.array(chain.kinds) == "late"
    days = np.isfinite(chain.series.y).sum(axis=1)
    assert (days[~late] == DAYS).all()
    assert (days[late] < DAYS).all()
    assert days.min() >= 60


def test_closures_are_long_runs_without_sales():
    made = only(closure=1)
    for row in made.series.y:
        zero = np.flatnonzero(row == 0)
        assert 30 <= len(zero) <= 180
        assert (np.diff(zero) == 1).all()


def test_a_shifted_level_stays_shifted(flat):
    made = only(level_shift=1)
    ratio = made.series.y / flat.series.y
    for row in ratio:
        steps = np.flatnonzero(np.abs(np.diff(row)) > 1e-9)
        assert len(steps) <= 1
        assert row[0] == pytest.approx(1)
        assert 0.6 <= row[-1] <= 1.6
    assert (np.abs(ratio[:, -1] - 1) > 0.05).mean() > 0.8


def test_stores_close_on_the_real_holidays_of_their_country():
    made = only(holiday_closed=1)
    for country in COUNTRIES:
        rows = (made.series.stores[c.COUNTRY] == country).to_numpy()
        shut, soon = around_holidays(made, country)
        assert shut.sum() >= 10
        assert (made.series.y[rows][:, shut] == 0).all()
        assert (made.series.y[rows][:, ~shut] > 0).all()
        # the two days before a holiday are busier than the same weekdays a week earlier
        eve = np.flatnonzero(soon[7:] & ordinary(made)[:-7]) + 7
        rush = made.series.y[rows][:, eve] / made.series.y[rows][:, eve - 7]
        assert np.median(rush) == pytest.approx(1.3, abs=0.1)
    independence = made.series.dates == np.datetime64("2023-07-04")
    american = (made.series.stores[c.COUNTRY] == "Estados Unidos").to_numpy()
    assert (made.series.y[american][:, independence] == 0).all()
    assert (made.series.y[~american][:, independence] > 0).all()


def test_every_other_week_is_promoted():
    promoted, plain = only(promotion=0.35), only()
    working = weekday(promoted) < 5
    both = partner_sums(promoted)[:, working] / partner_sums(plain)[:, working]
    weekly, fortnightly = correlation(both, 5), correlation(both, 10)
    assert weekly < -0.5
    assert fortnightly > 0.5
    assert (both > 1.01).mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_allclose(partner_sums(promoted)[:, ~working].sum(), plain_weekends(plain))


def plain_weekends(made):
    return partner_sums(made)[:, weekday(made) >= 5].sum()


def test_default_chain_repeats_after_two_weeks_rather_than_one(chain):
    sums = partner_sums(chain)
    assert correlation(sums, 14) > correlation(sums, 7) + 0.05
    plain = generate_panel(300, DAYS, seed=0, traits=Traits(promotion=0))
    assert correlation(partner_sums(plain), 14) < correlation(partner_sums(plain), 7) + 0.02


def test_turn_of_the_month_is_lifted(flat):
    paid = only(payday=0.15)
    lift = paid.series.y / flat.series.y
    dates = pd.DatetimeIndex(paid.series.dates.astype("datetime64[ns]"))
    turn = (dates.day <= 3) | (dates.days_in_month - dates.day <= 1)
    middle = (dates.day >= 14) & (dates.day <= 16)
    assert (lift[:, turn] > 1).all()
    np.testing.assert_allclose(lift[:, ~turn & ~middle], 1)
    twice = paid.series.partner % 2 == 0
    assert (lift[twice][:, middle] > 1).all()
    np.testing.assert_allclose(lift[~twice][:, middle], 1)
    assert lift[:, turn].mean() == pytest.approx(1 + 0.15 * np.exp(0.4**2 / 2), rel=0.02)


def test_december_is_lifted_until_christmas(flat):
    seasonal = only(season=0.25)
    lift = seasonal.series.y / flat.series.y
    days = seasonal.series.dates
    before = (days >= np.datetime64("2023-12-10")) & (days < np.datetime64("2023-12-25"))
    away = days < np.datetime64("2023-11-20")
    assert (lift[:, before] > 1.02).all()
    np.testing.assert_allclose(lift[:, away], 1)


def test_without_traits_a_week_is_like_the_one_before(flat):
    """Holidays and a slow yearly wave are no traits; away from them every week is the same."""
    usual = ordinary(flat)
    both = usual[7:] & usual[:-7]
    ratio = (flat.series.y[:, 7:] / flat.series.y[:, :-7])[:, both]
    assert both.sum() > 100
    np.testing.assert_allclose(ratio, 1, atol=0.03)


def test_drift_moves_a_level_slowly():
    made = only(drift=0.01)
    plain = only()
    walk = np.log(made.expected / plain.expected)
    assert np.diff(walk, axis=1).std() == pytest.approx(0.01, rel=0.05)
    assert np.abs(walk[:, -1]).max() > 0.2
