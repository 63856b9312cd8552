"""The one rule, and the mistakes of the source system that it rules out.

The audit itself is tested by features that leak in the ways that the source system's did.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import backtest, leakage, packaging
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.calendar import Calendar
from lifemiles_forecasting.core.candidates.learners import RidgeLearner
from lifemiles_forecasting.core.features import build
from lifemiles_forecasting.core.rows import collect, features_at
from lifemiles_forecasting.core.study import Study
from lifemiles_forecasting.core.synthetic import generate_series, small_settings, with_values

CROSSING = 65  # active days: the intermittent and the late store reach it in the last window


# --- the audit: what it must name, and what it must not


def leaky(function):
    """A build of one honest and one leaky feature; `function` sees (D,) one store's whole life."""

    def build(series, origin):
        ahead = slice(origin + 1, origin + 8)
        frame = pd.DataFrame(series.y.T)
        return {
            "honest": frame.rolling(7, min_periods=1).mean().to_numpy()[origin],
            "leaky": function(frame).to_numpy()[ahead],
        }

    return build


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y.rolling(7, center=True, min_periods=1).mean(),
        lambda y: y - y.rolling(7, min_periods=1).mean(),
        lambda y: y.pct_change(7, fill_method=None),
        lambda y: y.rank(),
        lambda y: (y - y.mean()) / y.std(),
        lambda y: y.replace(0, np.nan).bfill(),
        lambda y: y.ewm(span=7).mean(),
    ],
    ids=["centred", "minus_mean", "momentum", "rank", "z_score", "back_fill", "ewm_incl_today"],
)
def test_audit_names_the_features_of_the_source_system(made, function):
    found = leakage.future_perturbation(leaky(function), made.series, 150)
    assert found == ["leaky"]


def test_audit_names_a_single_store_that_leaks(made):
    def build(series, origin):
        values = series.y[:, origin].copy()
        values[5] = series.y[5, origin + 1]
        return {"one store": values}

    assert leakage.future_perturbation(build, made.series, 180) == ["one store"]


def test_audit_names_what_comes_and_goes(made):
    def build(series, origin):
        late = np.isfinite(series.y[:, origin + 1]) & np.isnan(series.y[:, origin])
        return {f"store {k}": np.zeros(1) for k in np.flatnonzero(late)} | {"same": np.zeros(2)}

    found = leakage.future_perturbation(build, made.series, 100)
    assert found == ["store 6"]


def test_futures_keep_the_past_and_cross_every_line(made):
    origin = 160
    futures = dict(leakage.other_futures(made.series, origin))
    for other in futures.values():
        assert np.array_equal(
            other.y[:, : origin + 1], made.series.y[:, : origin + 1], equal_nan=True
        )
        assert not np.array_equal(other.y, made.series.y, equal_nan=True)
    active = {name: other.stores[c.ACTIVE_DAYS].to_numpy() for name, other in futures.items()}
    assert ((active["busy"] >= CROSSING) & (active["silent"] < CROSSING)).any()
    early = dict(leakage.other_futures(made.series, 100))
    late = made.row("late")
    assert np.isfinite(early["busy"].y[late, 101:]).all()
    assert np.isnan(early["unborn"].y[late]).all()


# --- the one rule over every feature and every candidate


@pytest.mark.parametrize("horizon", [1, 5, 14, 28, 45])
@pytest.mark.parametrize("origin", [59, 100, 145, 190])
def test_no_feature_reads_the_future(made, horizon, origin):
    assert leakage.future_perturbation(leakage.features(horizon), made.series, origin) == []


@pytest.mark.parametrize("origin", [0, 3, 30, 139, 140, 200])
def test_no_closed_form_reads_the_future(made, origin):
    assert leakage.future_perturbation(leakage.closed_forms(28), made.series, origin) == []


# that no forecast, weight, size or interval does is in test_audit: of the same stores, once


def test_audit_names_shared_choices_made_on_stores_that_qualify_later(made, monkeypatch):
    monkeypatch.setattr(Study, "attempted_at", lambda study, origin: study.attempted)
    settings = small_settings(candidates=("base", "direct"))
    build = leakage.forecasts(14, settings, CROSSING, seed=7)
    assert "blend" in leakage.future_perturbation(build, made.series, len(made.series.dates) - 15)


def test_stores_that_open_after_the_origin_change_nothing(made):
    """One more row of the matrix; BLAS may then add in another order, hence the last bit."""
    origin, horizon = 120, 14
    known = made.series.take(np.flatnonzero(np.array(made.kinds) != "late"))
    calendar = Calendar.of(made.series, horizon)
    old = {name: k for k, name in enumerate(known.store_ids)}
    both = [k for k, name in enumerate(made.series.store_ids) if name in old]
    without = features_at(known, Calendar.of(known, horizon), origin, horizon)
    joined = features_at(made.series, calendar, origin, horizon)
    np.testing.assert_allclose(joined.X[both], without.X, rtol=1e-6)
    np.testing.assert_allclose(joined.base[both], without.base, rtol=1e-12)


# --- the mistakes of the source system


def test_target_is_in_no_feature(made):
    """Each row's own target, changed by itself, changes no feature of that row."""
    series, horizon = made.series, 7
    calendar = Calendar.of(series, horizon)
    before = collect(series, calendar, horizon, step=14)
    row = np.flatnonzero(np.isfinite(before.y))[len(before.y) // 2]
    y = series.y.copy()
    y[before.store[row], before.due[row]] *= 1e6
    after = collect(with_values(series, y), calendar, horizon, step=14)
    key = np.column_stack([after.store, after.origin, after.due])
    same = (key == [before.store[row], before.origin[row], before.due[row]]).all(axis=1)
    assert after.y[same] == pytest.approx(before.y[row] * 1e6, rel=1e-5)
    np.testing.assert_array_equal(after.X[same][0], before.X[row])


def test_windows_do_not_run_across_stores(made):
    """Neither the neighbours nor the order of the stores matters to a store's own features."""
    history = made.series.until(200)
    calendar = Calendar.of(history, 14)
    own = [k for k, name in enumerate(build(history, calendar, 14).names) if "partner" not in name]
    before = build(history, calendar, 14).X
    order = np.random.default_rng(0).permutation(len(history.y))
    moved = build(history.take(order), calendar.take(order), 14).X
    np.testing.assert_array_equal(moved[:, :, own], before[order][:, :, own])
    y = history.y.copy()
    y[3] = 1e6
    others = np.arange(len(y)) != 3
    names = build(history, calendar, 14).names
    alone = [k for k in own if "profile" not in names[k]]  # those are shrunk to the partner's
    after = build(with_values(history, y), calendar, 14).X
    np.testing.assert_array_equal(after[others][:, :, alone], before[others][:, :, alone])


def test_gaps_are_not_filled_from_the_future(made):
    late, opening = made.row("late"), 140
    history = made.series.until(opening + 10)
    names = (at := build(history, Calendar.of(history, 7), 7)).names
    lags = [k for k, name in enumerate(names) if name in ("weekday_lag_2", "weekday_lag_3")]
    assert np.isnan(at.X[late][:, lags[1]]).all()  # three weeks ago there was no store
    assert (
        np.isnan(build(made.series.until(opening), Calendar.of(history, 7), 7).base[late]).sum()
        == 0
    )
    before = build(made.series.until(opening), Calendar.of(made.series.until(opening), 7), 7)
    own = [k for k, name in enumerate(names) if name.startswith(("mean_", "weekday_", "lag_"))]
    assert np.isnan(before.X[late][:, own]).all()
    assert before.scale[late] == 0
    assert not before.usable[late]


def test_outliers_stay_in_the_test_window(study, made):
    y = made.series.y.copy()
    store, day = 0, len(made.series.dates) - 3
    y[store, day] *= 1000
    spiked = dataclasses.replace(study, series=with_values(made.series, y))
    frame = backtest.to_frame(spiked, backtest.run(study))
    one = frame[
        (frame[c.STORE_ID] == spiked.series.store_ids[store]) & (frame[c.CANDIDATE] == "base")
    ]
    assert one[c.Y].max() == y[store, day]
    assert (one.groupby(c.ORIGIN).size() == study.horizon).all()


def test_metrics_are_in_the_units_of_the_target(made, make_study):
    """On a logarithmic scale a thousandfold target would not have a thousandfold error."""
    small = make_study(made.series, candidates=("base", "ridge"))
    large = make_study(with_values(made.series, made.series.y * 1000), candidates=("base", "ridge"))
    frames = [packaging.attempted_frame(s, backtest.run(s)) for s in (small, large)]
    np.testing.assert_allclose(frames[1]["train_mae"], 1000 * frames[0]["train_mae"], rtol=1e-4)
    np.testing.assert_allclose(frames[1]["train_smape"], frames[0]["train_smape"], rtol=1e-4)


def test_no_estimator_is_shared_between_fits():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    learner = RidgeLearner(1.0, ("a", "b", "c"))
    first = learner.fit(X, X[:, 0], None)
    before = first.predict(X)
    second = learner.fit(X, -5 * X[:, 1], None)
    assert second is not first
    np.testing.assert_array_equal(first.predict(X), before)


def test_lags_are_past_values_not_draws():
    made = generate_series(n_stores=1, n_days=200, noise=0.3)
    at = build(made.series, Calendar.of(made.series, 28), 28)
    lag = at.X[0, :, at.names.index("lag_28")] * at.scale[0]
    np.testing.assert_allclose(lag, made.series.y[0, -28:], rtol=1e-6)
