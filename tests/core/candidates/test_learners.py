"""The contract of the learners, run over each of them; ridge against its normal equations."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifemiles_forecasting.core.candidates.learners import (
    LARGEST_UNIT,
    LEAST_UNIT,
    MAX_STANDARD,
    CatBoostLearner,
    RidgeLearner,
    columns_for,
    load_catboost,
    load_ridge,
    residual_of,
    to_units,
    unit_of,
)
from lifemiles_forecasting.core.config import CatBoostSettings
from lifemiles_forecasting.core.tail import CLIP

NAMES = ("a", "b", "c", "d")
SIZE = CatBoostSettings(iterations=10, depth=2, learning_rate=0.3)
LEARNERS = {
    "catboost": CatBoostLearner(SIZE, NAMES, seed=3),
    "ridge": RidgeLearner(1.0, NAMES),
}
every_learner = pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)


@pytest.fixture(scope="module")
def data():
    """(X, residual, weight): a and b matter, c is noise with gaps, d never changes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    residual = (2 * X[:, 0] - X[:, 1] + rng.normal(0, 0.1, 300)).astype(np.float32)
    X[::5, 2] = np.nan
    X[:, 3] = 7
    return X, residual, rng.uniform(0.5, 2, 300)


@every_learner
@pytest.mark.parametrize("weighted", [True, False])
def test_learns_what_matters(learner, data, weighted):
    X, residual, weight = data
    model = learner.fit(X, residual, weight if weighted else None)
    predicted = model.predict(X)
    assert predicted.shape == (300,)
    assert np.isfinite(predicted).all()
    assert np.corrcoef(predicted, residual)[0, 1] > 0.85
    importance = model.importance()
    assert list(importance)[:2] == ["a", "b"]
    assert set(importance) == set(NAMES)
    assert sum(importance.values()) == pytest.approx(100)
    assert importance["d"] == 0


@every_learner
def test_is_deterministic_and_leaves_its_input_alone(learner, data):
    copies = [values.copy() for values in data]
    first, second = learner.fit(*data), learner.fit(*data)
    assert first.dump() == second.dump()
    np.testing.assert_array_equal(first.predict(data[0]), second.predict(data[0]))
    for values, copy in zip(data, copies, strict=True):
        np.testing.assert_array_equal(values, copy)


@every_learner
def test_comes_back_from_its_own_format(learner, data):
    model = learner.fit(*data)
    blob = model.dump()
    back = load_ridge(blob) if learner is LEARNERS["ridge"] else load_catboost(blob, NAMES)
    assert back.features == NAMES
    np.testing.assert_array_equal(back.predict(data[0]), model.predict(data[0]))


@every_learner
def test_other_data_give_another_model(learner, data):
    X, residual, weight = data
    assert learner.fit(X, residual, weight).dump() != learner.fit(X, residual * 2, weight).dump()


@every_learner
def test_nothing_to_learn_gives_the_constant_and_no_importance(learner, data):
    model = learner.fit(data[0], np.full(300, 0.25), None)
    np.testing.assert_allclose(model.predict(data[0]), 0.25, atol=1e-6)
    assert sum(model.importance().values()) == pytest.approx(0, abs=1e-6)


@every_learner
def test_a_column_without_any_value_does_no_harm(learner, data):
    X, residual, weight = data
    empty = X.copy()
    empty[:, 2] = np.nan
    assert np.isfinite(learner.fit(empty, residual, weight).predict(empty)).all()


def test_ridge_equals_its_normal_equations(data):
    X, residual, weight = data
    X = X[:, [0, 1]].astype(float)
    model = RidgeLearner(50.0, ("a", "b")).fit(X, residual, weight)
    z = np.clip((X - X.mean(0)) / X.std(0), -MAX_STANDARD, MAX_STANDARD)
    share = weight / weight.sum()
    centred, target = z - share @ z, residual - share @ residual
    gram = (centred * weight[:, None]).T @ centred + 50.0 * np.eye(2)
    slope = np.linalg.solve(gram, (centred * weight[:, None]).T @ target)
    np.testing.assert_allclose(model.coefficients, slope, rtol=1e-4)
    expected = z @ slope + share @ residual - (share @ z) @ slope
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-3, atol=1e-4)


def test_ridge_holds_wild_values_and_takes_gaps_for_the_mean(data):
    model = LEARNERS["ridge"].fit(*data)
    wild = np.array([[1e9, 0, 0, 7], [np.nan] * 4])
    z = model.standardise(wild)
    assert z[0, 0] == MAX_STANDARD
    np.testing.assert_array_equal(z[1], 0)
    assert model.predict(wild)[1] == model.intercept


def test_ridge_file_is_plain_json(data):
    def refuse(constant):
        raise ValueError(constant)

    state = json.loads(LEARNERS["ridge"].fit(*data).dump(), parse_constant=refuse)
    assert state["features"] == list(NAMES)


def test_residual_and_back():
    y, base = np.array([0.5, 2 * CLIP]), np.array([1.0, 1.0])
    residual = residual_of(y, np.ones(2), base)
    np.testing.assert_allclose(residual, [-0.5, CLIP - 1])
    lifted = residual_of(y, np.array([1.0, 1.25]), base)
    np.testing.assert_allclose(lifted, [-0.5, 1.25 * CLIP - 1])
    np.testing.assert_allclose(to_units(residual, 10 * base, 10.0), [5, 10 * CLIP])
    np.testing.assert_array_equal(to_units(np.array([-3.0]), np.array([10.0]), 10.0), [0.0])


@given(st.floats(-1e9, 1e9), st.floats(0, CLIP), st.floats(1e-3, 1e9))
def test_residual_in_units_of_the_base_gives_the_target_back(base, y, scale):
    """Whatever the base; what is beyond the bounds is measured in the bound itself."""
    unit = unit_of(np.array([base]))
    assert LEAST_UNIT <= unit[0] <= LARGEST_UNIT
    assert unit[0] == sorted([LEAST_UNIT, base, LARGEST_UNIT])[1]
    taught = residual_of(np.array([y]), np.ones(1), np.array([base])) / unit
    back = to_units(taught * unit, np.array([base]) * scale, scale)
    near = 1e-12 * scale * max(abs(base), 1.0)
    np.testing.assert_allclose(back, [y * scale], rtol=1e-12, atol=near)


def test_a_strong_and_a_weak_day_with_the_same_lift_teach_the_same():
    base = np.array([0.5, 1.0, 3.0])
    np.testing.assert_allclose(residual_of(1.4 * base, np.ones(3), base) / unit_of(base), 0.4)


def test_columns_of_own_and_pooled_models():
    names = ("mean_7", "partner_level", "log_scale", "month", "day_of_year", "weekday")

    def chosen(**which):
        return [names[k] for k in columns_for(names, **which)]

    assert chosen(own=False, yearly=True) == list(names)
    assert chosen(own=False, yearly=False) == ["mean_7", "partner_level", "log_scale", "weekday"]
    assert chosen(own=True, yearly=True) == ["mean_7", "month", "day_of_year", "weekday"]
    assert chosen(own=True, yearly=False) == ["mean_7", "weekday"]
