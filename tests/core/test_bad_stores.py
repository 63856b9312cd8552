"""One bad store never harms another: whatever it does, the others are the same to the bit."""

import dataclasses
import os
import re
import signal

import catboost  # noqa: F401 - so that a worker imports it before a time limit begins
import numpy as np
import pytest

from lifemiles_forecasting.core import backtest, fitting
from lifemiles_forecasting.core.backtest import BLEND, LEFT_OUT
from lifemiles_forecasting.core.candidates.learners import RidgeLearner
from lifemiles_forecasting.core.forecast import final_intervals, forecast_all
from lifemiles_forecasting.core.series import MOST_PER_DAY, Series
from lifemiles_forecasting.core.study import unusable
from lifemiles_forecasting.core.synthetic import generate_series, to_panel, with_values

LIMIT = 2.0  # seconds; a ridge regression of a store takes milliseconds
BAD = 3
CANDIDATES = ("base", "direct", "ridge")


def refuse(_X):
    raise ArithmeticError("no such thing")


def hang(_X):
    # within C, holding the lock of the interpreter: no signal and no thread of Python's gets in
    re.match(r"(a+)+$", "a" * 64 + "b")


def end_process(_X):
    os.kill(os.getpid(), signal.SIGKILL)


class NotFinite:
    """A model that forecasts nothing that can be used."""

    features = ("nothing",)

    def predict(self, X):
        return np.full(len(X), np.nan)


def forecast_nothing(_X):
    return NotFinite()


@dataclasses.dataclass(frozen=True)
class BadForOne:
    """A ridge regression that does something else for the store with these training rows."""

    ridge: RidgeLearner
    rows: np.ndarray
    behave: object

    def fit(self, X, residual, weight):
        if X.shape[1] == self.rows.shape[1] and (X[0] == self.rows[0]).all():
            found = self.behave(X)
            if found is not None:
                return found
        return self.ridge.fit(X, residual, weight)


@pytest.fixture(scope="module")
def small(make_study, made):
    """Ten stores, a model over all of them and ridge regressions, in one process."""
    return make_study(made.series, min_samples=60, candidates=CANDIDATES)


@pytest.fixture(scope="module")
def without_models(small):
    """The backtest of a run that never asks for models of the store that will be bad."""
    attempted = small.attempted.copy()
    assert attempted[BAD]
    attempted[BAD] = False
    return backtest.run(dataclasses.replace(small, attempted=attempted))


def spoil(monkeypatch, study, behave, first_cutoff=0):
    """Let the ridge regressions of the store BAD, from a cutoff on, do something else."""
    made = fitting.learner
    rows = study.rows
    own = slice(rows.bounds[BAD], rows.bounds[BAD + 1])

    def learner(some_study, variant, names):
        found = made(some_study, variant, names)
        if variant[0] != "ridge":
            return found
        columns = fitting._columns(study, "ridge", study.last)
        return BadForOne(found, rows.X[own][:, columns], behave)

    monkeypatch.setattr(fitting, "learner", learner)


def with_settings(study, **changes):
    return dataclasses.replace(study, settings=study.settings.model_copy(update=changes))


def assert_others_equal(study, one, two):
    """Forecasts of every candidate and window, weights and intervals, to the bit."""
    others = np.arange(len(study.series.y)) != BAD
    assert one.y_hat.keys() == two.y_hat.keys()
    for key, forecast in one.y_hat.items():
        assert forecast[others].tobytes() == two.y_hat[key][others].tobytes(), key
    assert one.weights[others].tobytes() == two.weights[others].tobytes()
    assert one.intervals.distance.tobytes() == two.intervals.distance.tobytes()
    assert (one.sizes, one.no_worse) == (two.sizes, two.no_worse)


WAYS = {
    "raises": (refuse, 1, None, "ArithmeticError: no such thing"),
    "not_finite": (
        forecast_nothing,
        1,
        None,
        "FloatingPointError: ridge gave a forecast that is not finite",
    ),
    "hangs": (hang, 2, LIMIT, "TimeLimitExceeded: local models took longer than 2 s"),
    "hangs_alone": (hang, 1, LIMIT, "TimeLimitExceeded: local models took longer than 2 s"),
    "ends_its_process": (
        end_process,
        2,
        None,
        "ProcessEnded: local models took their process down",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_store_that_fails_is_to_the_others_as_if_it_had_asked_for_no_models(
    way, small, without_models, monkeypatch
):
    behave, workers, limit, error = WAYS[way]
    spoil(monkeypatch, small, behave)
    study = with_settings(small, workers=workers, store_seconds=limit)
    result = backtest.run(study)
    (failure,) = result.fits.failures
    assert (failure.store_id, failure.stage) == (small.series.store_ids[BAD], "local models")
    assert failure.error == error
    assert len(failure.traceback_hash) == 12
    assert_others_equal(small, result, without_models)
    table = forecast_all(study, result, final_intervals(study, result), study.series)
    own = table[table["store_id"] == failure.store_id]
    assert set(own["status"]) == {"fallback"}
    np.testing.assert_array_equal(own["forecast"], result.y_hat[BLEND, study.last][BAD])
    assert own["forecast"].gt(0).any()
    assert (table.loc[table["store_id"] != failure.store_id, "status"] != "fallback").all()


def test_the_same_store_is_sound_without_its_fault(small, without_models):
    """Else the tests above would compare nothing with nothing."""
    result = backtest.run(small)
    assert result.fits.failures == []
    assert result.weights[BAD, CANDIDATES.index("ridge")] > 0
    assert result.weights.tobytes() != without_models.weights.tobytes()


# --- a model of all stores that fails


def break_direct(monkeypatch, behave, late):
    made = fitting.pooled_task

    def task(job, rows, sample, at):
        if job.cutoff >= late:
            behave(None)
        return made(job, rows, sample, at)

    monkeypatch.setattr(fitting, "pooled_task", task)


@pytest.mark.parametrize("late", [False, True], ids=["every_fit", "the_last_fit"])
def test_a_candidate_over_all_stores_that_raises_is_left_out(small, late, make_study, monkeypatch):
    break_direct(monkeypatch, refuse, small.last if late else 0)
    result = backtest.run(small)
    assert {f.store_id for f in result.fits.left_out} == {"direct"}
    assert result.fits.failures == []
    assert (result.weights[:, CANDIDATES.index("direct")] == 0).all()
    np.testing.assert_allclose(result.weights.sum(axis=1), 1)
    notice = backtest.notices(small, result)[-1]
    assert notice == ("direct", "pooled models", LEFT_OUT, small.attempted.sum())
    alone = backtest.run(make_study(small.series, min_samples=60, candidates=("base", "ridge")))
    for origin in (*small.windows, small.last):
        np.testing.assert_array_equal(result.y_hat[BLEND, origin], alone.y_hat[BLEND, origin])


def test_a_candidate_over_all_stores_that_ends_its_process_is_left_out(small, monkeypatch):
    break_direct(monkeypatch, end_process, small.last)
    result = backtest.run(with_settings(small, workers=2))
    (failure,) = result.fits.left_out
    assert failure.error == "ProcessEnded: pooled models took their process down"
    assert result.fits.failures == []
    assert (result.weights[:, CANDIDATES.index("direct")] == 0).all()
    assert np.isfinite(result.y_hat[BLEND, small.last]).all()


# --- stores of which nothing can be learned, with and without


DAYS = 220


def days(begin, value):
    y = np.full(DAYS, np.nan)
    y[begin:] = value
    return y


def with_one(y, day, value):
    y[day] = value
    return y


USELESS = {
    "all_zero": days(0, 0.0),
    "zero_from_its_first_day": days(150, 0.0),
    "one_day_of_nothing": days(DAYS - 1, 0.0),
    "takes_back_more_than_it_sells": days(0, -4.0),
    "all_of_1e308": days(0, 1e308),
    "one_day_of_1e308": with_one(days(0, 20.0), 100, 1e308),
    "one_infinite_day": with_one(days(10, 20.0), 100, -np.inf),
    "just_too_much": with_one(days(0, 20.0), DAYS - 1, 1.001 * MOST_PER_DAY),
    "not_a_number": days(0, np.nan),
}


@pytest.fixture(scope="module")
def eleven():
    return generate_series(n_stores=11, n_days=DAYS).series


def run_on(make_study, series):
    """Forecasts of a run on the panel of these stores, and its backtest."""
    everyone = Series.from_frames(to_panel(series), series.stores)
    study = make_study(everyone, min_samples=60)
    result = backtest.run(study)
    table = forecast_all(study, result, final_intervals(study, result), everyone)
    return table, result, everyone


@pytest.fixture(scope="module")
def without(make_study, eleven):
    return run_on(make_study, eleven.take(np.arange(10)))


@pytest.mark.parametrize("kind", USELESS)
def test_a_useless_store_changes_no_bit_of_the_others(kind, make_study, eleven, without):
    y = eleven.y.copy()
    y[10] = USELESS[kind]
    series = dataclasses.replace(eleven, y=y)
    table, result, everyone = run_on(make_study, series)
    its = table["store_id"] == series.store_ids[10]
    old_table, old, _ = without
    assert table[~its].to_csv() == old_table.to_csv()
    for key, forecast in old.y_hat.items():
        assert forecast.tobytes() == result.y_hat[key].tobytes()
    assert old.weights.tobytes() == result.weights.tobytes()
    assert len(table[its]) == 14
    assert (table.loc[its, ["forecast", "lower_80", "upper_95"]] == 0).all(axis=None)
    told = [failure.store_id for failure in unusable(everyone)]
    damaged = "1e308" in kind or kind in {"one_infinite_day", "just_too_much", "not_a_number"}
    assert told == ([series.store_ids[10]] if damaged else [])


ODD = {
    "constant": days(0, 5.0),
    "one_day": days(DAYS - 1, 50.0),
    "one_day_long_ago": with_one(days(30, 0.0), 30, 50.0),
    "gaps": np.where(np.arange(DAYS) // 40 % 2, 0.0, 30.0),
    "holes": np.where(np.arange(DAYS) // 9 % 2, np.nan, 30.0),
    "nearly_too_much": days(0, 0.999 * MOST_PER_DAY),
    "tiny": days(0, 1e-300),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_store_is_forecast_and_leaves_the_others_sound(kind, make_study, eleven, without):
    y = eleven.y.copy()
    y[10] = ODD[kind]
    table, result, everyone = run_on(make_study, with_values(eleven, y))
    assert result.fits.left_out == []
    assert not {failure.store_id for failure in result.fits.failures} - {everyone.store_ids[10]}
    assert np.isfinite(table[["forecast", "lower_80", "upper_95"]]).all(axis=None)
    others = table["store_id"] != everyone.store_ids[10]
    sums = [t.groupby("store_id")["forecast"].sum() for t in (table[others], without[0])]
    np.testing.assert_allclose(*sums, rtol=0.35, atol=1)
