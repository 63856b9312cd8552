"""The rolling-origin backtest: what is chosen when, and that it is the same every time."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import backtest, fitting, tasks, zero_rule
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.combine import absolute_errors
from lifemiles_forecasting.core.finish import closed_and_floor
from lifemiles_forecasting.core.forecast import final_intervals, forecast_all
from lifemiles_forecasting.core.intervals import NAMES
from lifemiles_forecasting.core.synthetic import generate_series, with_values


def with_workers(study, workers):
    return dataclasses.replace(
        study, settings=study.settings.model_copy(update={"workers": workers})
    )


def with_test_window(study, change):
    """The study with other values in the test window, and its rows made anew from them."""
    from lifemiles_forecasting.core.study import build_study

    y = study.series.y.copy()
    y[:, study.windows[-1] + 1 :] = change(y[:, study.windows[-1] + 1 :])
    series = with_values(study.series, y)
    attempted = study.attempted
    return build_study(
        series, attempted, study.horizon, study.settings, study.seed, study.min_samples
    )


# --- one seed, any number of workers


def test_one_and_two_workers_are_bit_identical(study, result):
    other = backtest.run(with_workers(study, 2))
    assert other.y_hat.keys() == result.y_hat.keys()
    for key, values in result.y_hat.items():
        assert other.y_hat[key].tobytes() == values.tobytes(), key
    assert other.weights.tobytes() == result.weights.tobytes()
    assert other.sizes == result.sizes
    tables = [
        forecast_all(study, made, final_intervals(study, made), study.series)
        for made in (result, other)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_the_same_seed_gives_the_same_run(study, result):
    pd.testing.assert_frame_equal(
        backtest.to_frame(study, backtest.run(study)),
        backtest.to_frame(study, result),
        check_exact=True,
    )


def test_run_does_not_modify_its_input(study, result):
    before = study.series.y.copy(), study.rows.X.copy(), study.rows.y.copy()
    backtest.run(study)
    for old, now in zip(before, (study.series.y, study.rows.X, study.rows.y), strict=True):
        np.testing.assert_array_equal(now, old)


# --- what is chosen, and on which windows


@pytest.mark.parametrize(
    "change",
    [lambda y: y * 50 + 3, lambda y: y[:, ::-1], lambda y: 0 * y],
    ids=["louder", "reversed", "silent"],
)
def test_weights_sizes_and_intervals_do_not_read_the_test_window(study, result, change):
    other = backtest.run(with_test_window(study, change))
    np.testing.assert_array_equal(other.weights, result.weights)
    assert other.sizes == result.sizes
    np.testing.assert_array_equal(other.intervals.distance, result.intervals.distance)
    test = study.windows[-1]
    np.testing.assert_array_equal(other.y_hat["blend", test], result.y_hat["blend", test])
    assert not np.array_equal(
        other.y_hat["blend", study.last], result.y_hat["blend", study.last], equal_nan=True
    )


def test_weights_do_read_the_window_before_the_test(study, result):
    y = study.series.y.copy()
    earlier = slice(study.windows[0] + 1, study.windows[1] + 1)
    y[:, earlier] = y[:, earlier][:, ::-1] * 2
    other = backtest.run(dataclasses.replace(study, series=with_values(study.series, y)))
    assert not np.array_equal(other.weights, result.weights)


def test_sizes_are_the_best_of_the_first_windows(study, result):
    early, qualified = study.windows[:2], study.attempted_at(study.windows[2])
    everything = [v for group in fitting.variants(study).values() for v in group]
    fits = fitting.fit(study, [(v, o) for v in everything for o in early], keep=())
    y_all = np.concatenate([backtest.actual(study, o) for o in early], axis=1)
    for name, group in fitting.variants(study).items():
        # a store's own models compete on a sample of those that qualified by the first choice
        pool = qualified if name in fitting.POOLED else study.attempted_at(early[-1])
        y = y_all[pool]
        y_hat = np.stack(
            [np.concatenate([fits.by[v, o].forecast for o in early], axis=1)[pool] for v in group]
        )
        errors = absolute_errors(y, y_hat)
        known = np.isfinite(errors).all(axis=0)
        assert result.sizes[name] == group[int(errors[:, known].sum(axis=1).argmin())][1]


def test_a_new_store_takes_the_place_of_one_at_most_among_those_that_choose_sizes(monkeypatch):
    ids = np.array([f"P{k % 3}_{k:04d}" for k in range(400)])
    known = np.arange(400) % 7 != 0

    def drawn(ids, known, seed=7):
        return set(ids[backtest._size_sample(ids, known, seed)])

    before = drawn(ids, known)
    assert len(before) == backtest.SIZE_SAMPLE
    assert before <= set(ids[known])
    assert drawn(ids, known, seed=8) != before
    for place in (0, 150, 400):
        more = drawn(np.insert(ids, place, "P0_new"), np.insert(known, place, True))
        assert len(before - more) <= 1
        assert more - before <= {"P0_new"}
    order = np.random.default_rng(0).permutation(400)
    assert drawn(ids[order], known[order]) == before
    few = np.arange(400) < 20
    assert drawn(ids, few) == set(ids[few])


def test_only_a_sample_of_the_stores_decides_on_the_size_of_their_own_models(study, monkeypatch):
    monkeypatch.setattr(backtest, "SIZE_SAMPLE", 2)
    fits = backtest._compete(study, fitting.variants(study), study.windows[:2])
    for group in fitting.variants(study).values():
        everyone, sampled = (
            np.isfinite(fits.by[variant, study.windows[1]].forecast).all(axis=1)
            for variant in (group[0], group[-1])
        )
        if group[0][0] in fitting.LOCAL:
            assert everyone.sum() > 2
            assert sampled.sum() == 2
            assert (sampled <= everyone).all()


def test_what_all_stores_share_is_fitted_once(study, monkeypatch):
    """Also where the first window already chooses another size than the first."""
    asked, fit = [], fitting.fit

    def spy(study, wanted, *args, **kwargs):
        asked.extend(wanted)
        return fit(study, wanted, *args, **kwargs)

    monkeypatch.setattr(fitting, "fit", spy)
    monkeypatch.setattr(backtest, "best_size", lambda y, y_hat: len(y_hat) - 1)
    result = backtest.run(study)
    last = {name: group[-1][1] for name, group in fitting.variants(study).items()}
    assert result.sizes == last
    pooled = [job for job in asked if job[0][0] in fitting.POOLED]
    assert len(pooled) == len(set(pooled))


def known(study, origin):
    """Closed days and dust floors at an origin."""
    holidays = study.calendar.holidays()
    return closed_and_floor(study.series.until(origin + 1), study.horizon, holidays)


def test_blend_is_weights_times_candidates_after_the_zero_rule(study, result):
    test = study.windows[-1]
    closed, floor = known(study, test)
    slow = np.zeros((10, study.horizon))
    for store in np.flatnonzero(study.attempted_at(test)):
        for k, name in enumerate(study.settings.candidates):
            if result.weights[store, k] > 0:
                slow[store] += result.weights[store, k] * result.y_hat[name, test][store]
    slow = zero_rule.apply(slow, closed, floor)
    rows = study.attempted_at(test)
    np.testing.assert_allclose(result.y_hat["blend", test][rows], slow[rows])


def test_first_window_and_stores_that_are_not_attempted_have_the_base(study, result):
    first = study.windows[0]
    closed, floor = known(study, first)
    base = zero_rule.apply(result.y_hat["base", first], closed, floor)
    np.testing.assert_allclose(result.y_hat["blend", first], base)
    for origin in (study.windows[-1], study.last):
        outside = ~study.attempted_at(origin)
        closed, floor = known(study, origin)
        base = zero_rule.apply(result.y_hat["base", origin], closed, floor)
        np.testing.assert_allclose(result.y_hat["blend", origin][outside], base[outside])


def test_weights_sum_to_one(study, result):
    np.testing.assert_allclose(result.weights.sum(axis=1), 1)
    assert (result.weights[~study.attempted, 0] == 1).all()


def test_what_models_made_of_a_store_when_it_was_young_has_no_say(made, make_study):
    """A store that opened 50 days before the first window is old enough before the second."""
    y = made.series.y.copy()
    study = make_study(made.series, candidates=("base", "direct"))
    first, second = study.windows[:2]
    y[0, : first - 49] = np.nan
    study = make_study(with_values(made.series, y), candidates=("base", "direct"))
    assert study.windows[:2] == (first, second)
    fits = fitting.fit(study, [(("direct", "small"), origin) for origin in (first, second)])
    known = {("direct", o): fits.by[("direct", "small"), o].forecast for o in (first, second)}
    y_hat = backtest._closed_forecasts(study) | known

    def weights(store, origin, factor):
        spoiled = y_hat["direct", origin].copy()
        spoiled[store] *= factor
        changed = y_hat | {("direct", origin): spoiled}
        return backtest._weights(study, fits, changed, (first, second))

    before = weights(0, first, 1.0)
    np.testing.assert_array_equal(weights(0, first, 50.0), before)
    for store, origin in ((0, second), (1, first)):
        after = weights(store, origin, 50.0)
        assert after[store, 1] < before[store, 1] - 0.01


def test_failed_store_is_forecast_by_the_base_alone(study, result, monkeypatch):
    original = tasks.fit_store

    def fail(task, jobs):
        if task.store_id == "P0_0001":
            raise ValueError("broken")
        return original(task, jobs)

    monkeypatch.setattr(tasks, "fit_store", fail)
    other = backtest.run(study)
    assert {f.store_id for f in other.fits.failures} == {"P0_0001"}
    assert other.weights[1].tolist() == [name == "base" for name in study.settings.candidates]
    np.testing.assert_allclose(
        other.y_hat["blend", study.last][1], other.y_hat["base", study.last][1]
    )
    others = np.arange(10) != 1
    for name in fitting.LEARNED:
        if other.sizes[name] == result.sizes[name]:
            for origin in (*study.windows[2:], study.last):
                old, new = result.y_hat[name, origin], other.y_hat[name, origin]
                assert new[others].tobytes() == old[others].tobytes()


# --- frames


def test_frame_holds_the_scored_windows_in_target_units(study, result):
    frame = backtest.to_frame(study, result)
    assert tuple(frame.columns) == c.BACKTEST
    assert set(frame[c.CANDIDATE]) == {
        *("seasonal_naive", "window_average", "blend"),
        *study.settings.candidates,
    }
    assert not frame[[c.Y, c.Y_HAT]].isna().any(axis=None)
    assert not frame.duplicated([c.STORE_ID, c.DATE, c.CANDIDATE]).any()
    assert (frame[c.Y_HAT] >= 0).all()
    line = frame.sample(50, random_state=0)
    store = pd.Index(study.series.store_ids).get_indexer(line[c.STORE_ID])
    day = (line[c.DATE].to_numpy().astype("datetime64[D]") - study.series.dates[0]).astype(int)
    np.testing.assert_array_equal(line[c.Y], study.series.y[store, day])
    ahead = (line[c.DATE] - line[c.ORIGIN]).dt.days
    np.testing.assert_array_equal(ahead, line[c.HORIZON])
    origins = pd.DatetimeIndex(study.series.dates[list(study.scored)].astype("datetime64[ns]"))
    assert set(frame[c.ORIGIN]) == set(origins)


def test_store_that_had_not_started_is_not_scored(made, make_study):
    y = made.series.y.copy()
    y[0, :200] = np.nan
    study = make_study(with_values(made.series, y), candidates=("base", "ridge"))
    frame = backtest.to_frame(study, backtest.run(study))
    assert "P0_0000" not in set(frame[c.STORE_ID])
    assert "P0_0001" in set(frame[c.STORE_ID])


def test_window_intervals_are_in_order_around_the_blend(study, result):
    frame = backtest.window_intervals(study, result)
    assert tuple(frame.columns) == (c.STORE_ID, c.DATE, *NAMES)
    blend = backtest.to_frame(study, result).query("candidate == 'blend'")
    joined = frame.merge(blend, on=[c.STORE_ID, c.DATE])
    assert len(joined) == len(frame)
    assert (frame[list(NAMES)] >= 0).all(axis=None)
    assert (joined["lower_95"] <= joined["lower_80"]).all()
    assert (joined["lower_80"] <= joined[c.Y_HAT]).all()
    assert (joined[c.Y_HAT] <= joined["upper_80"]).all()
    assert (joined["upper_80"] <= joined["upper_95"]).all()


# --- odd shapes


def test_two_windows_are_enough(make_study):
    study = make_study(generate_series(n_stores=4, n_days=120).series, horizon=32)
    assert len(study.windows) == 2
    result = backtest.run(study)
    frame = backtest.to_frame(study, result)
    assert frame[c.ORIGIN].nunique() == 1
    # nothing could be learned before the first window: only closed forms have a validation
    learned = np.isin(study.settings.candidates, fitting.LEARNED)
    assert (result.weights[:, learned] == 0).all()
    np.testing.assert_allclose(result.weights.sum(axis=1), 1)
    assert np.isfinite(result.y_hat["blend", study.last]).all()


@pytest.mark.parametrize("horizon", [1, 5, 35])
def test_horizons_that_are_no_28_days(make_study, horizon):
    study = make_study(generate_series(n_stores=4, n_days=260).series, horizon=horizon)
    result = backtest.run(study)
    assert result.y_hat["blend", study.last].shape == (4, horizon)
    assert np.isfinite(result.y_hat["blend", study.last]).all()
    assert result.fits.failures == []


def test_one_store_alone(made, make_study):
    study = make_study(made.series, max_stores=1)
    result = backtest.run(study)
    assert result.weights.shape == (1, len(study.settings.candidates))
    assert np.isfinite(result.y_hat["blend", study.last]).all()


def test_only_the_base(made, make_study):
    study = make_study(made.series, candidates=("base",))
    result = backtest.run(study)
    assert result.sizes == {}
    np.testing.assert_array_equal(result.weights, 1)


def test_no_store_qualified_before_the_test_window(make_study):
    """Everything opened late: nothing to choose on, the first sizes and the base serve."""
    made = generate_series(n_stores=3, n_days=140)
    y = made.series.y.copy()
    y[:, :70] = np.nan
    study = make_study(with_values(made.series, y), horizon=14, min_samples=60)
    assert not study.attempted_at(study.windows[-1]).any()
    result = backtest.run(study)
    assert np.isfinite(result.y_hat["blend", study.last]).all()
    base = study.settings.candidates.index("base")
    np.testing.assert_array_equal(
        result.weights, np.eye(len(study.settings.candidates))[[base] * 3]
    )
    untested = [n for n in backtest.notices(study, result) if n.warning == "candidate_without_test"]
    assert {n.subject for n in untested} == {*study.settings.candidates} - {"base"}


# --- a store's own models must be worth having


def test_own_models_worse_than_the_base_for_most_stores_have_no_weight(study, result, monkeypatch):
    assert set(result.no_worse) == set(fitting.LOCAL)
    monkeypatch.setattr(backtest, "share_no_worse", lambda *_: backtest.MOST - 0.01)
    other = backtest.run(study)
    own = [study.settings.candidates.index(name) for name in fitting.LOCAL]
    assert (other.weights[:, own] == 0).all()
    np.testing.assert_allclose(other.weights.sum(axis=1), 1)
    assert np.isfinite(other.y_hat["blend", study.last][study.attempted]).all()
    said = backtest.notices(study, other)
    assert [notice.subject for notice in said] == list(fitting.LOCAL)
    assert {notice.warning for notice in said} == {backtest.WORSE_THAN_BASE}
    assert {notice.stores for notice in said} == {int(study.attempted.sum())}


def test_no_warning_where_own_models_serve_most_stores(study, result, monkeypatch):
    monkeypatch.setattr(backtest, "share_no_worse", lambda *_: backtest.MOST)
    kept = backtest.run(study)
    assert backtest.notices(study, kept) == []


def test_own_models_are_judged_on_the_windows_before_the_test(study, result):
    earlier = study.windows[:-1]
    pool = np.flatnonzero(study.attempted_at(study.windows[-1]))
    for name, share in result.no_worse.items():
        won, met = 0, 0
        for store in pool:
            errors = {
                kind: sum(
                    np.abs(backtest.actual(study, o)[store] - result.y_hat[kind, o][store]).sum()
                    for o in earlier
                )
                for kind in (name, "base")
            }
            if np.isfinite(list(errors.values())).all():
                met += 1
                won += errors[name] <= errors["base"]
        assert share == pytest.approx(won / met)


def test_seconds_are_told_by_candidate(result):
    assert set(result.fits.spent) == set(fitting.LEARNED)
    assert min(result.fits.spent.values()) > 0
    # a store's seconds hold its share of every pooled fit
    assert sum(result.fits.spent.values()) <= result.fits.seconds.sum() * 1.01


# --- a short history, in which learners have nothing to say of the oldest window


def told_by(windows):
    """Forecasts by candidate and window, nan where it has none of any store."""
    values = {"base": (1, 1, 1, 1), **windows}
    return {
        (name, origin): np.full((3, 2), 1.0 if told else np.nan)
        for name, row in values.items()
        for origin, told in enumerate(row)
    }


@pytest.mark.parametrize(
    ("direct", "ridge", "first"),
    [
        ((1, 1, 1, 1), (1, 1, 1, 1), 0),
        ((0, 1, 1, 1), (1, 1, 1, 1), 1),
        ((0, 1, 1, 1), (0, 0, 1, 1), 2),
        ((0, 1, 1, 1), (0, 0, 0, 0), 1),  # one that never has any is not waited for
        ((1, 0, 1, 1), (1, 1, 1, 1), 2),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0),
    ],
)
def test_candidates_are_compared_over_the_windows_that_all_have_forecast(direct, ridge, first):
    y_hat = told_by({"direct": direct, "ridge": ridge})
    found = backtest._told(y_hat, ("base", "direct", "ridge"), (0, 1, 2, 3))
    assert found == tuple(range(first, 4))


@pytest.fixture(scope="module")
def short(make_study):
    """Four windows; `direct` has no forecast of the first, and `ridge` has too few rows for any."""
    return run_short(make_study, "base", "direct", "ridge")


def run_short(make_study, *candidates):
    series = generate_series(n_stores=20, n_days=120, noise=0.2).series
    study = make_study(series, candidates=candidates, n_windows=3)
    return study, backtest.run(study)


def test_a_window_too_early_for_a_learner_does_not_cost_it_its_weight(short, make_study):
    """Nor does a candidate that has no forecast of any window take weight from the others."""
    study, result = short
    direct = [np.isfinite(result.y_hat["direct", o]).all(axis=1).any() for o in study.windows]
    assert direct == [False, True, True, True]
    from_the_start = np.isfinite(study.series.y[:, 0]) & study.attempted_at(study.windows[-1])
    assert from_the_start.any()
    assert (result.weights[from_the_start, 1] > 0.1).all()
    _, without = run_short(make_study, "base", "direct")
    np.testing.assert_allclose(result.weights, np.column_stack([without.weights, np.zeros(20)]))


def test_a_candidate_that_could_not_be_tested_is_told(short):
    said = [(one.subject, one.warning) for one in backtest.notices(*short)]
    assert said == [("ridge", backtest.TOO_EARLY)]


def test_intervals_come_from_windows_that_were_combined(study, result):
    """Of the oldest one there is only the base, which errs more than what is handed out."""
    assert len(study.windows) > 2
    fitted = backtest.calibrate(study, result.y_hat, study.windows[:-1])
    later = backtest.calibrate(study, result.y_hat, study.windows[1:-1])
    np.testing.assert_array_equal(fitted.distance, later.distance)
    alone = backtest.calibrate(study, result.y_hat, study.windows[:1])
    assert (alone.distance != 0).any()
