"""One bad store never harms another: whatever it does, the others are the same to the bit."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import backtest, fitting
from lifemiles_forecasting.core.backtest import BLEND, LEFT_OUT, MOST
from lifemiles_forecasting.core.candidates.learners import RidgeLearner
from lifemiles_forecasting.core.config import DataSettings, RidgeSettings
from lifemiles_forecasting.core.events import no_events
from lifemiles_forecasting.core.fleet import FleetModel
from lifemiles_forecasting.core.fleet_of_run import fleet_of_run, recipe_of
from lifemiles_forecasting.core.forecast import final_intervals, forecast_all
from lifemiles_forecasting.core.series import MOST_PER_DAY, Series
from lifemiles_forecasting.core.study import that_sold, unusable
from lifemiles_forecasting.core.synthetic import generate_series, to_panel, with_values
from lifemiles_forecasting.core.tasks import pooled_task

LIMIT = 1.0  # seconds; a ridge regression of a store takes milliseconds
BAD = 3
CANDIDATES = ("base", "ridge", "direct")
ALPHAS = RidgeSettings(alphas={"weak": 30.0})


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
    """A ridge regression that does something else for a store.

    Attributes:
        ridge: what it is for the others.
        first: the first training row of the store.
        least: training rows from which on it is bad.
        behave: what it does; a model if it makes one.
    """

    ridge: RidgeLearner
    first: np.ndarray
    least: int
    behave: Callable

    def load(self):
        self.ridge.load()

    def fit(self, X, residual, weight):
        if np.array_equal(X[0], self.first, equal_nan=True) and len(X) >= self.least:
            found = self.behave(X)
            if found is not None:
                return found
        return self.ridge.fit(X, residual, weight)


@pytest.fixture(scope="module")
def fortnightly(made):
    """Ten stores that sell more in every other week, which the base does not know."""
    week = np.arange(made.series.y.shape[1]) // 7
    return with_values(made.series, made.series.y * np.where(week % 2, 1.4, 0.6))


@pytest.fixture(scope="module")
def small(make_study, fortnightly):
    """Ten stores with a ridge regression each, which are worth having, in one process."""
    return make_study(fortnightly, min_samples=60, candidates=("base", "ridge"), ridge=ALPHAS)


@pytest.fixture(scope="module")
def pooled(make_study, fortnightly):
    """The same with a model over all stores."""
    return make_study(fortnightly, min_samples=60, candidates=CANDIDATES, ridge=ALPHAS)


@pytest.fixture(scope="module")
def without_models(small):
    """The backtest of a run that never asks for models of the store that will be bad."""
    attempted = small.attempted.copy()
    assert attempted[BAD]
    attempted[BAD] = False
    return backtest.run(dataclasses.replace(small, attempted=attempted))


def spoil(monkeypatch, study, behave, late=False, store=BAD):
    """Let the ridge regressions of a store, or only the last one, do something else."""
    made, rows = fitting.learner, study.rows
    own = slice(rows.bounds[store], rows.bounds[store + 1])
    known = np.isfinite(rows.y[own])
    least = known.sum() if late else 0

    def learner(some_study, variant, names):
        if variant[0] != "ridge":
            return made(some_study, variant, names)
        columns = [rows.names.index(name) for name in names]
        first = rows.X[own][known][0, columns]
        return BadForOne(made(some_study, variant, names), first, least, behave)

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


RAISED = "ArithmeticError: no such thing"
NOT_FINITE = "FloatingPointError: ridge gave a forecast that is not finite"
WAYS = {  # what it does, whether only in the last fit, and what is said of it
    "raises": (refuse, False, RAISED),
    "raises_at_last": (refuse, True, RAISED),
    "not_finite": (forecast_nothing, False, NOT_FINITE),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_store_that_fails_is_to_the_others_as_if_it_had_asked_for_no_models(
    way, small, without_models, monkeypatch
):
    behave, late, error = WAYS[way]
    spoil(monkeypatch, small, behave, late)
    result = backtest.run(small)
    (failure,) = result.fits.failures
    assert (failure.store_id, failure.stage) == (small.series.store_ids[BAD], "local models")
    assert failure.error == error
    assert len(failure.traceback_hash) == 12
    assert_others_equal(small, result, without_models)
    assert (result.weights[BAD] == [1, 0]).all()
    table = forecast_all(small, result, final_intervals(small, result), small.series)
    own = table[table["store_id"] == failure.store_id]
    assert set(own["status"]) == {"fallback"}
    np.testing.assert_array_equal(own["forecast"], result.y_hat[BLEND, small.last][BAD])
    assert own["forecast"].gt(0).any()
    assert (table.loc[table["store_id"] != failure.store_id, "status"] != "fallback").all()


def test_the_same_store_is_sound_without_its_fault(small, without_models):
    """Else the tests above would compare nothing with nothing."""
    result = backtest.run(small)
    assert result.fits.failures == []
    assert result.weights[BAD, 1] > 0
    for one in (result, without_models):
        assert one.no_worse["ridge"] >= MOST
        assert (np.delete(one.weights[:, 1], BAD) > 0).sum() >= 7
    assert result.weights.tobytes() != without_models.weights.tobytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_stores_that_hang_or_end_their_process_are_given_up_and_nobody_else(
    workers, pooled, monkeypatch
):
    wanted = [(("ridge", "weak"), pooled.last), (("direct", "small"), pooled.last)]
    usual = fitting.fit(pooled, wanted, keep=(pooled.last,))
    expected = {"P0_0003": "TimeLimitExceeded: local models took longer than 1 s"}
    spoil(monkeypatch, pooled, hang)
    if workers == 2:  # in a chunk of its own, and a model of all stores at the same time
        spoil(monkeypatch, pooled, end_process, store=9)
        break_direct(monkeypatch, end_process, pooled.last)
        expected["P1_0009"] = "ProcessEnded: local models took their process down"
    study = with_settings(pooled, workers=workers, store_seconds=LIMIT)
    after = fitting.fit(study, wanted, keep=(pooled.last,))
    assert {f.store_id: f.error for f in after.failures} == expected
    assert {f.stage for f in after.failures} == {"local models"}
    assert after.seconds[BAD] >= LIMIT
    bad = np.isin(pooled.series.store_ids, list(expected))
    old, new = (fits.by[wanted[0]] for fits in (usual, after))
    assert new.forecast[~bad].tobytes() == old.forecast[~bad].tobytes()
    assert np.isnan(new.forecast[bad]).all()
    assert {store: model.dump() for store, model in new.models.items()} == {
        store: model.dump() for store, model in old.models.items() if not bad[store]
    }
    old, new = (fits.by[wanted[1]] for fits in (usual, after))
    if workers == 1:
        assert (after.left_out, new.forecast.tobytes()) == ([], old.forecast.tobytes())
        return
    (left_out,) = after.left_out
    assert left_out.store_id == "direct"
    assert left_out.error == "ProcessEnded: pooled models took their process down"
    assert np.isnan(new.forecast).all()


# --- a model of all stores that fails


@dataclasses.dataclass(frozen=True)
class BadAtLast:
    """A fit over all stores that does something else from a cutoff on."""

    cutoff: int
    behave: Callable

    def __call__(self, job, *args):
        if job.cutoff >= self.cutoff:
            self.behave(None)
        return pooled_task(job, *args)


def break_direct(monkeypatch, behave, cutoff):
    monkeypatch.setattr(fitting, "pooled_task", BadAtLast(cutoff, behave))


def test_a_model_of_all_stores_that_hangs_is_given_up_and_no_store_with_it(pooled, monkeypatch):
    wanted = [(("ridge", "weak"), pooled.last), (("direct", "small"), pooled.last)]
    usual = fitting.fit(pooled, wanted[:1])
    break_direct(monkeypatch, hang, pooled.last)
    after = fitting.fit(with_settings(pooled, workers=2, pooled_seconds=LIMIT), wanted)
    (left_out,) = after.left_out
    assert left_out.store_id == "direct"
    assert left_out.error == "TimeLimitExceeded: pooled models took longer than 1 s"
    assert after.spent["direct"] >= LIMIT
    assert np.isnan(after.by[wanted[1]].forecast).all()
    assert after.failures == []
    old, new = (fits.by[wanted[0]].forecast for fits in (usual, after))
    assert new.tobytes() == old.tobytes()


@pytest.mark.parametrize("late", [False, True], ids=["every_fit", "the_last_fit"])
def test_a_candidate_over_all_stores_that_raises_is_left_out(pooled, small, late, monkeypatch):
    break_direct(monkeypatch, refuse, pooled.last if late else 0)
    result = backtest.run(pooled)
    assert {f.store_id for f in result.fits.left_out} == {"direct"}
    assert result.fits.failures == []
    assert (result.weights[:, CANDIDATES.index("direct")] == 0).all()
    np.testing.assert_allclose(result.weights.sum(axis=1), 1)
    table = forecast_all(pooled, result, final_intervals(pooled, result), pooled.series)
    assert_model_of_all_stores_gives(table, pooled, result, pooled.series)
    (notice,) = backtest.notices(pooled, result)
    assert notice == ("direct", "pooled models", LEFT_OUT, small.attempted.sum())
    alone = backtest.run(small)
    for origin in (*small.windows, small.last):
        np.testing.assert_array_equal(result.y_hat[BLEND, origin], alone.y_hat[BLEND, origin])


def test_a_candidate_without_a_forecast_in_any_window_has_no_weight(study, result):
    earlier = study.windows[:-1]
    met = 0
    for k, name in enumerate(study.settings.candidates):
        for store in np.flatnonzero(study.attempted_at(study.windows[-1])):
            known = [np.isfinite(backtest.actual(study, o)[store]) for o in earlier]
            forecasts = [result.y_hat[name, o][store] for o in earlier]
            lacking = any(np.isnan(f[k]).any() for f, k in zip(forecasts, known, strict=True))
            met += lacking
            assert not lacking or result.weights[store, k] == 0
    assert met > 0


# --- stores of which nothing can be learned, with and without


DAYS = 220
INFINITE = 1.25e300  # stands for a day of minus infinity until there is a panel


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
    "one_infinite_day": with_one(days(10, 20.0), 100, INFINITE),
    "just_too_much": with_one(days(0, 20.0), DAYS - 1, 1.001 * MOST_PER_DAY),
    "not_a_number": days(0, np.nan),
}
DAMAGED = {"all_of_1e308", "one_day_of_1e308", "one_infinite_day", "just_too_much", "not_a_number"}


@pytest.fixture(scope="module")
def twenty():
    return generate_series(n_stores=20, n_days=DAYS).series


def with_kinds(series, kinds):
    """Stores 11 and on replaced by those of these kinds."""
    y = series.y[: 10 + len(kinds)].copy()
    y[10:] = list(kinds.values())
    return dataclasses.replace(series.take(np.arange(len(y))), y=y)


def run_on(make_study, series):
    """Forecasts of a run on the panel of these stores, and its backtest."""
    panel = to_panel(series)
    panel["y"] = panel["y"].replace(INFINITE, -np.inf)
    everyone = Series.from_frames(panel, series.stores)
    study = make_study(that_sold(everyone), min_samples=60)
    result = backtest.run(study)
    table = forecast_all(study, result, final_intervals(study, result), everyone)
    assert_model_of_all_stores_gives(table, study, result, everyone)
    return table, result, everyone


def assert_model_of_all_stores_gives(table, study, result, everyone):
    """What is registered forecasts the same, read back from its files."""
    recipe = recipe_of(study, result, "billings", DataSettings(columns={}))
    fleet = fleet_of_run(study, result, everyone, recipe, no_events())
    assert fleet.recipe["whole"]
    again = FleetModel.from_files(fleet.to_files()).forecast(everyone)
    pd.testing.assert_frame_equal(again, table, rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module")
def without(make_study, twenty):
    return run_on(make_study, twenty.take(np.arange(10)))


def test_useless_stores_change_no_bit_of_the_others(make_study, twenty, without):
    series = with_kinds(twenty, USELESS)
    table, result, everyone = run_on(make_study, series)
    useless = table["store_id"].isin(series.store_ids[10:])
    old_table, old, _ = without
    assert table[~useless].to_csv(index=False) == old_table.to_csv(index=False)
    for key, forecast in old.y_hat.items():
        assert forecast.tobytes() == result.y_hat[key].tobytes()
    assert old.weights.tobytes() == result.weights.tobytes()
    assert useless.sum() == 14 * len(USELESS)
    assert (table.loc[useless, ["forecast", "lower_80", "upper_95"]] == 0).all(axis=None)
    failures = unusable(everyone)
    assert {failure.store_id for failure in failures} == {
        store for store, kind in zip(series.store_ids[10:], USELESS, strict=True) if kind in DAMAGED
    }
    assert {f.error for f in failures} == {"UnusablePanel: no day, or one of more than 1e+15"}


ODD = {
    "constant": days(0, 5.0),
    "one_day": days(DAYS - 1, 50.0),
    "one_day_long_ago": with_one(days(30, 0.0), 30, 50.0),
    "gaps": np.where(np.arange(DAYS) // 40 % 2, 0.0, 30.0),
    "holes": np.where(np.arange(DAYS) // 9 % 2, np.nan, 30.0),
    "nearly_too_much": days(0, 0.999 * MOST_PER_DAY),
    "tiny": days(0, 1e-300),
}


def test_odd_stores_are_forecast_and_leave_the_others_sound(make_study, twenty, without):
    series = with_kinds(twenty, ODD)
    table, result, everyone = run_on(make_study, with_values(series, series.y))
    odd = table["store_id"].isin(series.store_ids[10:])
    assert result.fits.left_out == []
    assert not {failure.store_id for failure in result.fits.failures} & set(series.store_ids[:10])
    assert np.isfinite(table[["forecast", "lower_80", "upper_95"]]).all(axis=None)
    assert unusable(everyone) == ()
    sums = [t.groupby("store_id")["forecast"].sum() for t in (table[~odd], without[0])]
    np.testing.assert_allclose(*sums, rtol=0.35, atol=1)
    constant = table[table["store_id"] == series.store_ids[10]]
    np.testing.assert_allclose(constant["forecast"], 5.0, rtol=0.05)


FIRST_FIT = """
import sys
import numpy as np
from lifemiles_forecasting.core.candidates.learners import CatBoostLearner, RidgeLearner
from lifemiles_forecasting.core.config import CatBoostSettings

X = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
settings = CatBoostSettings(iterations=2, depth=2, learning_rate=0.1)
learners = {
    "ridge": RidgeLearner(3.0, tuple("abc")),
    "catboost": CatBoostLearner(settings, tuple("abc"), 1),
}
learner = learners[sys.argv[1]]
learner.load()
before = set(sys.modules)
learner.fit(X, X[:, 0], None).predict(X)
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("name", ["ridge", "catboost"])
def test_time_of_the_first_store_of_a_process_is_not_that_of_imports(name):
    """Else a low limit on a busy machine would give sound stores up."""
    command = [sys.executable, "-c", FIRST_FIT, name]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
