"""Weights: what they sum to, what they reward, and where shrinkage takes them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lifemiles_forecasting.core.combine import (
    LEAST_SQUARES,
    absolute_errors,
    best_size,
    blend,
    pooled_weights,
    share_no_worse,
    store_weights,
)
from lifemiles_forecasting.core.config import CombineSettings

STORES, DAYS = 30, 56


@pytest.fixture
def y():
    return np.random.default_rng(0).gamma(4, 25, (STORES, DAYS))


def forecasts(y, *spreads, seed=1):
    """A candidate for each spread: the truth with independent noise."""
    rng = np.random.default_rng(seed)
    return np.stack([y + rng.normal(0, spread, y.shape) for spread in spreads])


def weigh(y, y_hat, power=6.0, shrink_days=100.0, pool=None):
    chosen = CombineSettings(power=power, shrink_days=shrink_days)
    return store_weights(y, y_hat, chosen, np.ones(len(y), bool) if pool is None else pool)


def test_absolute_errors_equal_a_loop(y):
    y_hat = forecasts(y, 1, 5)
    y[0, :10] = np.nan
    y_hat[1, 2, 7] = np.nan
    errors = absolute_errors(y, y_hat)
    for k in range(2):
        for store in range(STORES):
            days = [d for d in range(DAYS) if np.isfinite(y[store, d])]
            slow = sum(abs(y[store, d] - y_hat[k, store, d]) for d in days)
            assert errors[k, store] == pytest.approx(slow, nan_ok=True)
    assert np.isnan(errors[1, 2])


def test_best_size_takes_the_smaller_error_over_stores_that_all_can_forecast(y):
    y_hat = forecasts(y, 10, 5, 20)
    assert best_size(y, y_hat) == 1
    y_hat[1, 3] = np.nan  # the best one cannot forecast a store: it is not counted for anyone
    y_hat[0, 3] = y[3] + 1e9
    assert best_size(y, y_hat) == 1


def test_best_size_without_any_common_store_is_the_first(y):
    y_hat = forecasts(y, 10, 5)
    y_hat[0] = np.nan
    assert best_size(y, y_hat) == 0


def test_better_candidate_gets_more(y):
    weights = weigh(y, forecasts(y, 5, 10, 20))
    assert (np.diff(weights.mean(axis=0)) < 0).all()
    pooled = pooled_weights(y, forecasts(y, 5, 10, 20), 6.0)
    assert (np.diff(pooled) < 0).all()


def test_pooled_weights_know_which_candidates_err_together(y):
    """By its own error each would have a third; the one without a twin has more to say."""
    first, second = forecasts(y, 10, 10)
    pooled = pooled_weights(y, np.stack([first, first, second]), 6.0)
    assert pooled[2] == pytest.approx((1 / 2 + 1 / 3) / 2, abs=0.06)


def test_pooled_weights_find_the_best_combination(y):
    """Against the closed form for independent errors: inverse variances."""
    y_hat = forecasts(y, 10, 20)
    error = (y_hat - y).reshape(2, -1)
    inverse = np.linalg.inv(error @ error.T).sum(axis=1)
    best = inverse / inverse.sum()
    size = np.abs(error).mean(axis=1)
    by_error = size**-12.0 / (size**-12.0).sum()
    expected = LEAST_SQUARES * best + (1 - LEAST_SQUARES) * by_error
    np.testing.assert_allclose(pooled_weights(y, y_hat, 12.0), expected, atol=1e-4)


def test_useless_candidate_has_no_weight(y):
    pooled = pooled_weights(y, np.stack([forecasts(y, 5)[0], y + 1e4]), 6.0)
    assert pooled[1] == pytest.approx(0, abs=1e-6)


def test_perfect_candidates_share_the_weights(y):
    pooled = pooled_weights(y, np.stack([y, y, y + 1.0]), 6.0)
    np.testing.assert_allclose(pooled, [0.5, 0.5, 0.0], atol=1e-3)


def test_without_validation_weights_are_equal(y):
    np.testing.assert_allclose(pooled_weights(y * np.nan, forecasts(y, 1, 2), 6.0), 0.5)


def test_incomplete_candidate_gets_nothing(y):
    y_hat = forecasts(y, 5, 10, 20)
    y_hat[0, 4, 20] = np.nan
    y_hat[:, 7] = np.nan
    weights = weigh(y, y_hat)
    assert weights[4, 0] == 0
    assert weights[4].sum() == pytest.approx(1)
    assert np.isnan(weights[7]).all()
    others = np.delete(np.arange(STORES), [4, 7])
    assert (weights[others] > 0).all()


def test_endless_shrinkage_gives_the_pooled_weights(y):
    y_hat = forecasts(y, 5, 10)
    pooled = pooled_weights(y, y_hat, 6.0)
    np.testing.assert_allclose(weigh(y, y_hat, shrink_days=1e12), np.tile(pooled, (STORES, 1)))


def test_without_shrinkage_a_store_follows_its_own_errors(y):
    y_hat = forecasts(y, 10, 10)
    y_hat[:, 3] = y[3] + np.array([[1.0], [30.0]])
    free = weigh(y, y_hat, shrink_days=0)
    held = weigh(y, y_hat, shrink_days=DAYS)
    assert free[3, 0] > 0.99
    assert 0.5 < held[3, 0] < free[3, 0]


def test_tilt_is_the_formula(y):
    """weight ~ pooled * (r_own / r_pooled)^(-power * trust), by hand for one store."""
    y_hat = forecasts(y, 8, 10, 12)
    pooled, errors = pooled_weights(y, y_hat, 6.0), absolute_errors(y, y_hat)
    trust = DAYS / (DAYS + 100)
    own = errors[:, 5] / (pooled @ errors[:, 5])
    every = errors.sum(axis=1) / (pooled @ errors.sum(axis=1))
    raw = pooled * (own / every) ** (-6 * trust)
    np.testing.assert_allclose(weigh(y, y_hat)[5], raw / raw.sum())


def test_stores_outside_the_pool_do_not_move_the_others(y):
    y_hat = forecasts(y, 5, 10)
    pool = np.arange(STORES) < 20
    before = weigh(y, y_hat, pool=pool)
    y_hat[:, ~pool] *= -3
    after = weigh(y, y_hat, pool=pool)
    np.testing.assert_array_equal(after[pool], before[pool])
    assert not np.allclose(after[~pool], before[~pool])


def test_perfect_and_hopeless_stores_stay_finite(y):
    y_hat = forecasts(y, 5, 10)
    y_hat[:, 0] = y[0]  # no error at all
    y_hat[0, 1] = y[1]  # one candidate without error
    y[2] = np.nan  # a store without a day
    weights = weigh(y, y_hat)
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights[2], pooled_weights(y, y_hat, 6.0))


def test_a_store_of_a_candidate_that_is_useless_elsewhere_is_forecast_by_it():
    """The other one is without an error where both can be compared, so it has all the weight."""
    y = np.array([[0.0, np.nan], [np.nan, 0.0]])
    y_hat = np.array([[[np.nan, np.nan], [np.nan, 0.0]], [[0.0, np.nan], [np.nan, 1.0]]])
    np.testing.assert_allclose(weigh(y, y_hat), [[0.0, 1.0], [1.0, 0.0]], atol=1e-12)


def test_candidate_without_any_forecast_takes_nothing_from_what_is_known_of_the_others(y):
    """Nor has it a weight for a store without a day of its own, for which all are complete."""
    y = np.concatenate([y, np.full((1, y.shape[1]), np.nan)])
    y_hat = np.stack([y + 1, y + 3, np.full_like(y, np.nan)])
    weights = weigh(y, y_hat)
    np.testing.assert_allclose(weights[:, :2], weigh(y, y_hat[:2]))
    np.testing.assert_array_equal(weights[:, 2], 0)


NUMBERS = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6).map(lambda v: round(v, 2)))


@given(st.data())
@settings(max_examples=60)
def test_weights_sum_to_one_or_are_unknown(data):
    count, stores, days = (data.draw(st.integers(1, n)) for n in (4, 4, 9))
    y = data.draw(arrays(float, (stores, days), elements=NUMBERS))
    y_hat = data.draw(arrays(float, (count, stores, days), elements=NUMBERS))
    pool = data.draw(arrays(bool, stores))
    weights = weigh(y, y_hat, pool=pool)
    complete = np.isfinite(absolute_errors(y, y_hat)).T
    known = complete.any(axis=1)
    np.testing.assert_allclose(weights[known].sum(axis=1), 1)
    assert (weights[known] >= 0).all()
    assert (weights[known][~complete[known]] == 0).all()
    assert np.isnan(weights[~known]).all()


def test_blend_equals_a_loop_and_a_zero_weight_hides_a_gap():
    rng = np.random.default_rng(0)
    y_hat, weight = rng.normal(size=(3, 4, 5)), rng.dirichlet(np.ones(3), 4)
    weight[2] = [0, 0.25, 0.75]
    y_hat[0, 2] = np.nan
    mixed = blend(y_hat, weight)
    for store in range(4):
        for day in range(5):
            slow = sum(
                weight[store, k] * y_hat[k, store, day] for k in range(3) if weight[store, k] > 0
            )
            assert mixed[store, day] == pytest.approx(slow)
    assert np.isfinite(mixed).all()


def test_share_of_stores_served_no_worse_than_by_the_base():
    y = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [np.nan, np.nan], [4.0, 4.0]])
    base = y + 1
    candidate = np.array([[1.5, 1.5], [4.0, 4.0], [4.0, 4.0], [0.0, 0.0], [np.nan, 4.0]])
    # better, worse, alike; one store had not started, one has no forecast
    assert share_no_worse(y, candidate, base) == pytest.approx(2 / 3)
    assert np.isnan(share_no_worse(y[3:4], candidate[3:4], base[3:4]))


def test_candidate_that_is_not_allowed_has_no_weight_and_moves_no_other():
    rng = np.random.default_rng(0)
    y = rng.lognormal(3, 1, (6, 40))
    y_hat = np.stack([y + rng.normal(0, sd, y.shape) for sd in (1.0, 2.0, 0.1)])
    pool = np.ones(6, bool)
    allowed = np.array([True, True, False])
    weights = store_weights(y, y_hat, CombineSettings(power=6, shrink_days=100), pool, allowed)
    assert (weights[:, 2] == 0).all()
    np.testing.assert_allclose(weights[:, :2], weigh(y, y_hat[:2]))


@pytest.mark.parametrize("shrink_days", [0.0, 100.0])
def test_store_without_a_day_of_its_own_has_the_pooled_weights(y, shrink_days):
    y_hat = forecasts(y, 1, 5, 20)
    known = y.copy()
    known[0] = np.nan
    weights = weigh(known, y_hat, shrink_days=shrink_days)
    others = pooled_weights(known[1:], y_hat[:, 1:], 6.0)
    np.testing.assert_allclose(weights[0], others, rtol=1e-9)


def test_days_that_are_not_judged_are_to_be_forecast_and_have_no_other_say(y):
    """As if they had not been there, but for a candidate with a gap in them."""
    y_hat, chosen = forecasts(y, 5, 10, 20), CombineSettings(power=6.0, shrink_days=100.0)
    everyone, judged = np.ones(STORES, bool), np.ones(y.shape, bool)
    judged[4, :28] = False
    unseen = np.where(judged, y, np.nan)
    expected = store_weights(unseen, y_hat, chosen, everyone)
    y_hat[0, 4, :28] *= 50
    given_weights = store_weights(y, y_hat, chosen, everyone, judged=judged)
    np.testing.assert_allclose(given_weights, expected, rtol=1e-12)
    assert np.abs(store_weights(y, y_hat, chosen, everyone) - expected).max() > 0.01
    y_hat[0, 4, 3] = np.nan
    with_gap = store_weights(y, y_hat, chosen, everyone, judged=judged)
    assert with_gap[4, 0] == 0
    assert with_gap[4, 1:].sum() == pytest.approx(1)
