"""Fitting: stores do not touch each other, and one that fails is a row of the ledger."""

import dataclasses

import numpy as np
import pytest

from lifemiles_forecasting.core import fitting, tasks
from lifemiles_forecasting.core.candidates.learners import LARGEST_UNIT, LEAST_UNIT
from lifemiles_forecasting.core.features import MIN_HISTORY
from lifemiles_forecasting.core.fitting import fit, variants
from lifemiles_forecasting.core.rows import YEARLY, YEARLY_DAYS, collect, features_at
from lifemiles_forecasting.core.synthetic import generate_series, with_values
from lifemiles_forecasting.core.tail import CLIP
from lifemiles_forecasting.core.tasks import Job, without_drift

OWN = (("local_catboost", "small"), ("ridge", "weak"))


def local_fits(study, cutoff):
    return fit(study, [(variant, cutoff) for variant in OWN], keep=(cutoff,))


@pytest.fixture(scope="module")
def fits(study):
    return local_fits(study, study.last)


def test_variants_are_every_size_of_what_is_configured(study, make_study, made):
    assert variants(study) == {
        "direct": [("direct", "small"), ("direct", "large")],
        "recursive": [("recursive", "small"), ("recursive", "large")],
        "local_catboost": [("local_catboost", "small"), ("local_catboost", "large")],
        "ridge": [("ridge", "strong"), ("ridge", "weak")],
    }
    few = make_study(made.series, candidates=("base", "ridge"))
    assert list(variants(few)) == ["ridge"]


def test_every_attempted_store_with_enough_rows_has_a_model(study, fits):
    for variant in OWN:
        made = fits.by[variant, study.last]
        enough = [
            np.isfinite(study.rows.y[a:b]).sum() >= tasks.MIN_LOCAL_ROWS
            for a, b in zip(study.rows.bounds[:-1], study.rows.bounds[1:], strict=True)
        ]
        modelled = np.flatnonzero(study.attempted & np.array(enough))
        assert sorted(made.models) == list(modelled)
        assert np.isfinite(made.forecast[modelled]).all()
        assert (made.forecast[modelled] >= 0).all()
        assert np.isnan(np.delete(made.forecast, modelled, axis=0)).all()
        assert np.isfinite(made.fitted[study.rows.store == modelled[0]]).any()
    assert fits.failures == []
    assert (fits.seconds[study.attempted] > 0).all()


def test_fitted_values_only_of_known_rows(study):
    cutoff = study.windows[-1]
    made = local_fits(study, cutoff).by[OWN[0], cutoff]
    assert np.isnan(made.fitted[study.rows.due > cutoff]).all()


def test_models_are_kept_only_where_asked(study):
    made = fit(study, [(OWN[1], study.last)], keep=()).by[OWN[1], study.last]
    assert not made.models
    assert made.fitted.size == 0
    assert np.isfinite(made.forecast).any()


def test_changing_a_store_of_another_partner_changes_no_local_model(study, made, fits):
    y = made.series.y.copy()
    y[9] = 3 * y[9, ::-1] + 11
    changed = dataclasses.replace(
        study,
        series=(series := with_values(made.series, y)),
        rows=collect(series, study.calendar, study.horizon),
    )
    after = local_fits(changed, study.last)
    for variant in OWN:
        old, new = fits.by[variant, study.last], after.by[variant, study.last]
        mates = made.series.partner == 0
        np.testing.assert_array_equal(new.forecast[mates], old.forecast[mates])
        assert not np.array_equal(new.forecast[9], old.forecast[9])
        for store in set(old.models) - {8, 9}:
            assert new.models[store].dump() == old.models[store].dump()


def test_poisoned_store_fails_by_name_and_the_others_are_byte_identical(study, fits):
    poisoned = study.rows.base.copy()
    store = 2
    poisoned[study.rows.bounds[store]] = np.inf
    broken = dataclasses.replace(study, rows=dataclasses.replace(study.rows, base=poisoned))
    after = local_fits(broken, study.last)
    (failure,) = after.failures
    assert failure.store_id == "P0_0002"
    assert failure.stage == "local models"
    assert failure.error
    others = np.arange(10) != store
    for variant in OWN:
        old, new = fits.by[variant, study.last], after.by[variant, study.last]
        assert new.forecast[others].tobytes() == old.forecast[others].tobytes()
        assert np.isnan(new.forecast[store]).all()
        assert store not in new.models
        assert {k: m.dump() for k, m in new.models.items()} == {
            k: m.dump() for k, m in old.models.items() if k != store
        }


def test_forecast_that_is_not_finite_is_a_failure(study, monkeypatch):
    original = tasks.to_units

    def spoil(residual, base, scale):
        values = original(residual, base, scale)
        return values * np.nan if scale == at.scale[4] else values

    at = features_at(study.series, study.calendar, study.last, study.horizon)
    monkeypatch.setattr(tasks, "to_units", spoil)
    (failure,) = local_fits(study, study.last).failures
    assert failure.store_id == "P0_0004"
    assert failure.error == "FloatingPointError: local_catboost gave a forecast that is not finite"


def test_any_error_in_one_store_is_its_own(study, fits, monkeypatch):
    original = tasks.fit_store

    def fail(task, jobs):
        if task.store_id == "P1_0008":
            raise MemoryError("no room")
        return original(task, jobs)

    monkeypatch.setattr(tasks, "fit_store", fail)
    after = local_fits(study, study.last)
    assert [(f.store_id, f.error) for f in after.failures] == [("P1_0008", "MemoryError: no room")]
    others = np.arange(10) != 8
    for variant in OWN:
        old, new = fits.by[variant, study.last].forecast, after.by[variant, study.last].forecast
        assert new[others].tobytes() == old[others].tobytes()


def test_two_workers_give_the_same_fits(study):
    parallel = dataclasses.replace(study, settings=study.settings.model_copy(update={"workers": 2}))
    wanted = [(variant, study.last) for variant in (*OWN, ("direct", "small"))]
    one, two = (fit(s, wanted, keep=(study.last,)) for s in (study, parallel))
    for key, made in one.by.items():
        np.testing.assert_array_equal(two.by[key].forecast, made.forecast)
        np.testing.assert_array_equal(two.by[key].fitted, made.fitted)
        for store, model in made.models.items():
            assert two.by[key].models[store].dump() == model.dump()


def test_every_local_model_differs_between_stores(study, fits):
    for variant in OWN:
        files = [model.dump() for model in fits.by[variant, study.last].models.values()]
        assert len(set(files)) == len(files) > 5


def test_pooled_model_sees_only_rows_that_were_known(study):
    seen = {}

    class Recorder:
        def fit(self, X, residual, weight):
            seen.update(X=X, residual=residual, weight=weight)

    cutoff, columns = study.windows[-1], np.array([0, 3])
    job = Job(("direct", "small"), cutoff, Recorder(), columns, keep=False)
    tasks.pooled_model(study.rows, job, (0, 10**6))
    rows, known = study.rows, (study.rows.due <= cutoff) & np.isfinite(study.rows.y)
    np.testing.assert_array_equal(seen["X"], rows.X[known][:, columns])
    base, weight = rows.base[known], rows.weight()[known]
    target = np.minimum(rows.y[known], CLIP) * rows.tail[known]
    away = without_drift(target - base, weight, rows.origin[known])
    unit = np.clip(base, LEAST_UNIT, LARGEST_UNIT)
    assert len(np.unique(unit)) > 100
    np.testing.assert_allclose(seen["residual"], away / unit, rtol=1e-5, atol=1e-6)
    # a squared error in these units, so weighted, is the squared error in units of the scale
    error = seen["weight"] * seen["residual"] ** 2
    np.testing.assert_allclose(error, weight * away**2, rtol=1e-4, atol=1e-6)
    tasks.pooled_model(study.rows, job, (0, 500))
    assert len(seen["X"]) == len(seen["residual"]) == len(seen["weight"]) == 500


def test_pooled_answer_is_in_units_of_the_day_s_base(study):
    """A model that always says a tenth lifts every day by a tenth of its base, within bounds."""

    class Tenth:
        features = study.rows.names

        def predict(self, X):
            return np.full(len(X), 0.1)

    at = features_at(study.series, study.calendar, study.last, study.horizon)
    columns = np.arange(len(study.rows.names))
    job = Job(("direct", "small"), study.last, None, columns, keep=True, given=Tenth())
    made = tasks.pooled_task(job, study.rows, (0, 10**6), at)
    for store, scale in enumerate(at.scale):
        for day, base in enumerate(at.base[store]):
            unit = scale * min(max(base / scale, LEAST_UNIT), LARGEST_UNIT)
            assert made.forecast[store, day] == pytest.approx(base + 0.1 * unit, rel=1e-9)
    lifted = made.forecast / np.where(at.base > 0, at.base, np.nan)
    assert np.nanmedian(lifted) == pytest.approx(1.1)
    told = 0.1 * np.clip(study.rows.base, LEAST_UNIT, LARGEST_UNIT)
    expected = np.where(study.rows.due <= study.last, told, np.nan)
    np.testing.assert_allclose(made.fitted, expected, rtol=1e-5)


def test_pooled_model_has_no_forecast_for_a_store_without_sales(study):
    at = features_at(study.series, study.calendar, study.last, study.horizon)
    empty = dataclasses.replace(at, scale=np.where(np.arange(10) == 3, 0.0, at.scale))

    class Nothing:
        features = study.rows.names

        def predict(self, X):
            return np.zeros(len(X))

    forecast = tasks.pooled_forecast(Nothing(), empty)
    assert np.isnan(forecast[3]).all()
    others = np.arange(10) != 3
    np.testing.assert_allclose(forecast[others], at.base[others])


@pytest.mark.parametrize("days", [8, 20, MIN_HISTORY - 1, MIN_HISTORY])
def test_store_younger_than_any_that_taught_keeps_the_base(study, days):
    y = study.series.y.copy()
    y[2, :-days] = np.nan
    at = features_at(with_values(study.series, y), study.calendar, study.last, study.horizon)

    class Always:
        features = study.rows.names

        def predict(self, X):
            return np.full(len(X), 0.5)

    forecast = tasks.pooled_forecast(Always(), at)
    lifted = (forecast > at.base).any(axis=1)
    np.testing.assert_array_equal(lifted, (np.arange(10) != 2) | (days >= MIN_HISTORY))
    np.testing.assert_array_equal(forecast[~lifted], at.base[~lifted])


def test_too_early_for_rows_is_no_forecast(study):
    made = fit(study, [(("direct", "small"), 60), (OWN[0], 60)], keep=())
    for one in made.by.values():
        assert np.isnan(one.forecast).all()
    assert made.failures == []


def test_drift_of_each_origin_is_taken_out():
    rng = np.random.default_rng(0)
    origin = np.repeat([3, 9], 50)
    residual, weight = rng.normal(size=100) + origin, rng.uniform(1, 2, 100)
    centred = without_drift(residual, weight, origin)
    for one in (3, 9):
        here = origin == one
        assert np.average(centred[here], weights=weight[here]) == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(np.diff(centred[here]), np.diff(residual[here]))


def test_yearly_features_need_a_second_year(study):
    assert not set(YEARLY) & set(fitting.feature_names(study, "direct", YEARLY_DAYS - 1))
    assert set(YEARLY) <= set(fitting.feature_names(study, "direct", YEARLY_DAYS))
    own = fitting.feature_names(study, "ridge", 200)
    assert not [name for name in own if name.startswith("partner_") or name == "log_scale"]


def test_constant_stores_are_forecast_by_their_constant(make_study):
    series = generate_series(n_stores=3, n_days=200).series
    y = np.repeat([[5.0], [40.0], [300.0]], 200, axis=1)
    study = make_study(with_values(series, y))
    everything = [v for group in variants(study).values() for v in group]
    made = fit(study, [(variant, study.last) for variant in everything], keep=())
    assert made.failures == []
    for one in made.by.values():
        np.testing.assert_allclose(one.forecast, y[:, :14], rtol=1e-4)
