"""Metrics against scikit-learn, hand-made cases and their own one-store form."""

import math
import time
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from lifemiles_forecasting.core import metrics
from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.metrics import METRICS, evaluate

ALL = ("mae", "rmse", "r2", "smape", "wape", "mase", "bias")
# sums of squares of much larger or smaller numbers test floating point, not the metrics
VALUES = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@st.composite
def windows(draw, min_days=1):
    shape = draw(st.integers(1, 5)), draw(st.integers(min_days, 30))
    matrix = arrays(float, shape, elements=VALUES)
    history = arrays(float, (shape[0], draw(st.integers(0, 30))), elements=VALUES)
    return draw(matrix), draw(matrix), draw(history)


def slow_smape(y, y_hat):
    terms = [
        0 if a == b == 0 else 200 * abs(b - a) / (abs(a) + abs(b))
        for a, b in zip(y, y_hat, strict=True)
    ]
    return sum(terms) / len(terms)


def slow_mase(y, y_hat, history):
    steps = [abs(b - a) for a, b in zip(history[:-7], history[7:], strict=True)]
    scale = sum(steps) / len(steps) if steps else 0
    return mean_absolute_error(y, y_hat) / scale if scale else math.nan


@given(windows(min_days=2))
def test_errors_equal_scikit_learn(case):
    for y, y_hat in zip(case[0], case[1], strict=True):
        assert metrics.mae(y, y_hat) == pytest.approx(mean_absolute_error(y, y_hat))
        assert metrics.rmse(y, y_hat) == pytest.approx(mean_squared_error(y, y_hat) ** 0.5)
        if np.ptp(y) > 0:  # else scikit-learn divides by what rounding leaves of 0
            assert metrics.r2(y, y_hat) == pytest.approx(r2_score(y, y_hat), rel=1e-6)


@given(windows())
def test_percentages_equal_their_slow_forms(case):
    for y, y_hat, history in zip(*case, strict=True):
        assert metrics.smape(y, y_hat) == pytest.approx(slow_smape(y, y_hat))
        expected = slow_mase(y, y_hat, history)
        assert metrics.mase(y, y_hat, history=history) == pytest.approx(expected, nan_ok=True)


@given(windows())
def test_evaluate_equals_each_store_alone(case):
    y, y_hat, history = case
    table = evaluate(y, y_hat, ALL, history)
    for store in range(len(y)):
        for name in ALL:
            alone = METRICS[name](y[store], y_hat[store], history=history[store])
            assert table.loc[store, name] == pytest.approx(alone, nan_ok=True, rel=1e-9)


@given(windows())
def test_bounds_and_perfection(case):
    y, y_hat, _ = case
    table = evaluate(y, y_hat, ALL)
    assert table["smape"].between(0, 200).all()
    assert (table["rmse"] >= table["mae"] * (1 - 1e-9)).all()
    perfect = evaluate(y, y, ALL)
    assert (perfect[["mae", "rmse", "smape"]] == 0).all(axis=None)
    assert perfect["r2"].dropna().eq(1).all()


@given(windows())
def test_inputs_are_not_modified(case):
    copies = [part.copy() for part in case]
    evaluate(case[0], case[1], ALL, case[2])
    for part, copy in zip(case, copies, strict=True):
        assert np.array_equal(part, copy)


def test_window_without_sales():
    zeros, ones = np.zeros(5), np.ones(5)
    assert metrics.smape(zeros, zeros) == 0
    assert metrics.smape(zeros, ones) == 200
    assert math.isnan(metrics.wape(zeros, ones))
    assert math.isnan(metrics.bias(zeros, ones))
    assert metrics.r2(zeros, zeros) == 1


@given(VALUES, st.integers(2, 60), st.floats(0.001, 1e6))
def test_constant_window_of_any_value_is_met_or_not(value, days, away):
    """The mean of equal days may differ from them in its last bit."""
    constant = np.full(days, value)
    assert metrics.r2(constant, constant) == 1
    assert metrics.r2(constant, constant + away) == 0


def test_constant_window():
    constant = np.full(4, 7.0)
    assert metrics.r2(constant, constant) == 1
    assert metrics.r2(constant, constant + 1) == 0


def test_one_day():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(metrics.r2([3.0], [4.0]))
    assert metrics.mae([3.0], [4.0]) == 1
    assert metrics.bias([4.0], [3.0]) == -25


def test_net_reversals_keep_the_sign_of_the_bias():
    # sum(e) / sum(y): both negative here
    assert metrics.bias([-4.0, 2.0], [-5.0, 2.0]) == pytest.approx(50)


def test_mase_ignores_days_before_the_first_one():
    history = np.array([1.0] * 7 + [2.0] * 7)
    late = np.concatenate([np.full(9, np.nan), history])
    assert metrics.mase([2.0], [4.0], history=late) == metrics.mase([2.0], [4.0], history=history)


@pytest.mark.parametrize("history", [None, [], [1.0] * 7, [3.0] * 20, [np.nan] * 20])
def test_mase_without_a_scale_is_nan(history):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(metrics.mase([1.0], [2.0], history=history))


def test_pooled_metrics_weigh_stores_by_their_size():
    y = np.array([[100.0, 100.0], [1.0, 1.0]])
    y_hat = np.array([[90.0, 110.0], [2.0, 2.0]])
    assert metrics.pooled_wape(y, y_hat) == pytest.approx(100 * 22 / 202)
    assert metrics.pooled_bias(y, y_hat) == pytest.approx(100 * 2 / 202)
    assert metrics.wape_total(y, y_hat) == pytest.approx(100 * 2 / 202)


def test_pooled_metrics_of_no_store_are_nan():
    none = np.empty((0, 28))
    assert math.isnan(metrics.pooled_wape(none, none))
    assert math.isnan(metrics.pooled_bias(none, none))
    assert math.isnan(metrics.wape_total(none, none))
    assert math.isnan(metrics.coverage(none, none, none))


def test_coverage_counts_its_bounds():
    y = np.array([[0.0, 1.0], [2.0, 3.0]])
    lower, upper = np.zeros((2, 2)), np.full((2, 2), 2.0)
    assert metrics.coverage(y, lower, upper) == 75
    assert metrics.coverage(y, lower, upper, axis=1).tolist() == [100, 50]


def test_evaluate_value_error_when_a_forecast_is_nan():
    with pytest.raises(ValueError, match="found 1 values of y_hat that are not finite"):
        evaluate([[1.0, 2.0]], [[1.0, math.nan]], ALL)


def test_evaluate_value_error_when_shapes_differ():
    with pytest.raises(ValueError, match=r"found y of shape \(1, 2\) and y_hat of shape \(1, 3\)"):
        evaluate([[1.0, 2.0]], [[1.0, 2.0, 3.0]], ALL)
    with pytest.raises(ValueError, match=r"expected \(stores, days\)"):
        evaluate([1.0], [1.0], ALL)
    with pytest.raises(ValueError, match=r"found history of shape \(2, 1\); expected \(1, days\)"):
        evaluate([[1.0]], [[1.0]], ALL, [[1.0], [2.0]])


def test_evaluate_config_error_when_a_metric_is_unknown():
    with pytest.raises(ConfigError, match=r"unknown metric 'wappe'.*Did you mean 'wape'\?"):
        evaluate([[1.0]], [[1.0]], ("mae", "wappe"))


def test_a_new_metric_is_one_function(monkeypatch):
    monkeypatch.setattr(metrics, "METRICS", dict(METRICS))

    @metrics.metric
    def worst_day(y, y_hat, *, history=None):
        return np.abs(y_hat - y).max(axis=-1)

    table = evaluate([[1.0, 2.0], [0.0, 0.0]], [[1.0, 5.0], [1.0, 0.0]], ("worst_day",))
    assert table["worst_day"].tolist() == [3, 1]


def test_metric_value_error_when_it_reduces_too_much(monkeypatch):
    monkeypatch.setattr(metrics, "METRICS", dict(METRICS))

    @metrics.metric
    def everything(y, y_hat, *, history=None):
        return np.abs(y_hat - y).max()

    with pytest.raises(ValueError, match="a metric reduces the last axis"):
        evaluate([[1.0, 2.0]], [[1.0, 5.0]], ("everything",))


def test_evaluate_is_fast_enough_for_a_chain():
    rng = np.random.default_rng(7)
    y, y_hat = rng.random((2, 1115, 28))
    history = rng.random((1115, 900))
    start = time.perf_counter()
    evaluate(y, y_hat, ALL, history)
    assert time.perf_counter() - start < 0.5
