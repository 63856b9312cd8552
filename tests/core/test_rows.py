"""Training rows: each one against the features and the days that it stands for."""

import numpy as np
import pytest

from lifemiles_forecasting.core.calendar import Calendar
from lifemiles_forecasting.core.features import MIN_HISTORY, build
from lifemiles_forecasting.core.rows import collect, features_at, training_origins
from lifemiles_forecasting.core.tasks import MIN_LOCAL_ROWS


@pytest.fixture(scope="module")
def calendar(made):
    return Calendar.of(made.series, 14)


@pytest.fixture(scope="module")
def rows(made, calendar):
    return collect(made.series, calendar, 14)


@pytest.mark.parametrize(
    ("days", "step", "expected"),
    [
        (400, None, 7),
        (401, None, 14),
        (100, 3, 3),
    ],
)
def test_origins_are_aligned_with_the_last_day(days, step, expected):
    origins = training_origins(days, step)
    assert set(np.diff(origins)) == {expected}
    assert origins[-1] == days - 1 - expected
    assert MIN_HISTORY <= origins[0] < MIN_HISTORY + expected


@pytest.mark.parametrize("days", [300, 401])
@pytest.mark.parametrize("horizon", range(1, 31))
def test_every_weekday_is_taught_and_rows_are_not_fewer_than_a_week_ahead(days, horizon):
    origins = np.array(training_origins(days, None, horizon))
    due = origins[:, None] + 1 + np.arange(horizon)
    assert set(due.ravel() % 7) == set(range(7))
    week = training_origins(days, None, 7)
    assert due.size >= 7 * len(week)
    assert horizon < 7 or origins.tolist() == week


def test_a_day_ahead_teaches_every_weekday_and_stores_of_a_year_their_own_models(made):
    year = made.series.until(365)
    rows = collect(year, Calendar.of(year, 1), 1)
    assert set(rows.due % 7) == set(range(7))
    old = np.isfinite(year.y).all(axis=1)
    assert old.any()
    assert (np.diff(rows.bounds)[old] >= MIN_LOCAL_ROWS).any()


@pytest.mark.parametrize("days", [1, 20, 56, 60, 63])
def test_no_origins_in_a_short_history(days):
    assert training_origins(days, None) == []


def test_rows_hold_what_was_known_and_what_followed(made, calendar, rows):
    y, random = made.series.y, np.random.default_rng(0)
    for k in random.choice(len(rows.y), 100, replace=False):
        store, origin, due = rows.store[k], rows.origin[k], rows.due[k]
        assert 1 <= due - origin <= 14
        at = build(made.series.until(origin + 1), calendar, 14)
        np.testing.assert_array_equal(rows.X[k], at.X[store, due - origin - 1])
        assert rows.scale[k] == pytest.approx(at.scale[store])
        assert rows.tail[k] == pytest.approx(at.tail[store])
        assert rows.base[k] * rows.scale[k] == pytest.approx(
            at.base[store, due - origin - 1], rel=1e-5
        )
        if due < y.shape[1]:
            assert rows.y[k] * rows.scale[k] == pytest.approx(y[store, due], rel=1e-5)
        else:
            assert np.isnan(rows.y[k])


def test_rows_are_sorted_by_store_and_bounded(made, rows):
    assert (np.diff(rows.store) >= 0).all()
    for store in range(len(made.series.y)):
        own = slice(rows.bounds[store], rows.bounds[store + 1])
        assert (rows.store[own] == store).all()
    assert rows.bounds[-1] == len(rows.y)


def test_only_usable_stores_have_rows(made, calendar, rows):
    for origin in np.unique(rows.origin):
        at = features_at(made.series, calendar, origin, 14)
        having = np.unique(rows.store[rows.origin == origin])
        np.testing.assert_array_equal(having, np.flatnonzero(at.usable))


def test_weight_falls_with_the_noise_of_the_store(made, rows):
    weight = rows.weight()
    assert np.isfinite(weight).all()
    steady, rare = (rows.store == made.row(kind) for kind in ("weekly", "intermittent"))
    assert weight[steady].min() > weight[rare].max()


def test_short_history_gives_no_rows_but_all_names(made):
    short = made.series.until(60)
    calendar = Calendar.of(short, 7)
    rows = collect(short, calendar, 7)
    assert rows.X.shape == (0, len(build(short, calendar, 7).names))
    assert rows.names == build(short, calendar, 7).names
    assert (rows.bounds == 0).all()
    assert rows.weight().shape == (0,)


@pytest.mark.parametrize("most", [3_000, 1_000, 300])
def test_rows_are_capped_by_thinning_the_horizon(made, calendar, rows, most):
    thin = collect(made.series, calendar, 14, most=most)
    assert 0 < len(thin.y) <= most
    places = {(s, o, d): k for k, (s, o, d) in enumerate(_places(rows))}
    same = [places[place] for place in _places(thin)]  # each is a row that there was without a cap
    np.testing.assert_array_equal(thin.X, rows.X[same])
    np.testing.assert_array_equal(thin.y, rows.y[same])
    # no store and no part of its history goes missing
    assert set(thin.store) == set(rows.store)
    for store in set(thin.store):
        kept, all_ = thin.store == store, rows.store == store
        ahead = (thin.due - thin.origin)[kept]
        if most == 3_000:
            assert set(thin.origin[kept]) == set(rows.origin[all_])
            assert set(ahead) == set(range(1, 15))


def _places(rows):
    return zip(rows.store.tolist(), rows.origin.tolist(), rows.due.tolist(), strict=True)
