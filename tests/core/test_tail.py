"""Cut days are given back on the whole, and hardly by a single one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifemiles_forecasting.core.features import build, mean_seen
from lifemiles_forecasting.core.tail import CLIP, PRIOR_DAYS, SPAN, tail_factor, taught


def baskets(stores=24, days=500, sigma=1.2, seed=0):
    """(S, D) stores that sell on a third of their days, in lognormal amounts; scaled."""
    rng = np.random.default_rng(seed)
    y = (rng.random((stores, days)) < 0.3) * rng.lognormal(0, sigma, (stores, days))
    return y / y[:, -SPAN:].mean(axis=1, keepdims=True)


def slow_factor(y, partner):
    """One store after another, one day after another."""
    stores = []
    for row in y[:, -SPAN:]:
        seen = [v for v in row if np.isfinite(v)]
        mean = sum(seen) / len(seen) if seen else 0.0
        square = sum((v - mean) ** 2 for v in seen) / len(seen) if seen else 0.0
        beyond = [v - CLIP for v in seen if v > CLIP]
        stores.append((1 / (0.1 + square), beyond, sum(min(v, CLIP) for v in seen)))

    def mean_of(members):
        count = sum(weight * len(beyond) for weight, beyond, _ in members)
        return sum(weight * sum(beyond) for weight, beyond, _ in members) / count if count else 0.0

    def drawn(mean, count, prior):
        return (count * mean + PRIOR_DAYS * prior) / (count + PRIOR_DAYS)

    everyone, factors = mean_of(stores), []
    for (_, beyond, left), code in zip(stores, partner, strict=True):
        members = [s for s, p in zip(stores, partner, strict=True) if p == code]
        theirs = drawn(mean_of(members), sum(len(s[1]) for s in members), everyone)
        own = drawn(sum(beyond) / len(beyond) if beyond else 0.0, len(beyond), theirs)
        factors.append(1 + len(beyond) * own / left if left > 0 else 1.0)
    return factors


@pytest.mark.parametrize("days", [40, 300, 500])
def test_factor_equals_its_slow_form(days):
    y, partner = baskets()[:, :days], np.arange(24) % 5
    y[0], y[1, :200], y[2] = np.nan, np.nan, 0.0
    y[3, 5] = -2.0  # more came back than was sold
    np.testing.assert_allclose(tail_factor(y, partner), slow_factor(y, partner), rtol=1e-12)


def test_on_the_whole_the_taught_volume_is_the_volume_that_was_sold():
    y = baskets(stores=200)[:, -SPAN:]
    cut = np.minimum(y, CLIP).sum() / y.sum()
    given_back = taught(y, tail_factor(y, np.arange(200) % 4)[:, None]).sum() / y.sum()
    assert cut < 0.8
    assert given_back == pytest.approx(1.0, abs=0.02)


@given(st.lists(st.floats(0, CLIP), min_size=10, max_size=10))
def test_where_no_day_is_cut_nothing_changes(row):
    y = np.array([row, row[::-1]])
    factor = tail_factor(y, np.array([0, 1]))
    np.testing.assert_array_equal(factor, 1.0)
    np.testing.assert_array_equal(taught(y, factor[:, None]), y)


def test_one_basket_among_stores_without_any_lifts_its_store_by_little_and_no_other():
    y = np.ones((30, SPAN))
    y[7, 100] = 300.0
    factor = tail_factor(y, np.arange(30) % 3)
    assert 1 < factor[7] < 1 + 300 / SPAN
    np.testing.assert_array_equal(np.delete(factor, 7), 1.0)


def test_few_cut_days_are_drawn_to_what_the_partner_shows():
    y = baskets(stores=40)
    y[0] = np.minimum(y[0], 1.0)
    y[0, -1] = 4 * y.max()  # of a partner whose other stores show what a cut day is like
    one, many = tail_factor(y, np.zeros(40, int)), tail_factor(y, np.arange(40))
    own = (y[0, -1] - CLIP) / np.minimum(y[0, -SPAN:], CLIP).sum()
    assert one[0] - 1 < 0.6 * own
    assert one[0] < many[0] < 1 + own


def test_rows_beyond_the_last_year_do_not_count():
    y, partner = baskets(), np.arange(24) % 4
    other = y.copy()
    other[:, :-SPAN] = 1000.0
    np.testing.assert_array_equal(tail_factor(y, partner), tail_factor(other, partner))


def test_features_carry_the_factor_of_the_scaled_history(study):
    history = study.series
    features = build(history, study.calendar, study.horizon)
    masked = history.without_closures
    scale = np.nan_to_num(mean_seen(masked[:, -SPAN:], 1))
    expected = slow_factor(masked / np.where(scale > 0, scale, 1.0)[:, None], history.partner)
    np.testing.assert_allclose(features.tail, expected, rtol=1e-12)
