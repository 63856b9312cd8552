"""Fits that are found again: the same to the bit, and no more of them made than are missing."""

import copy
import dataclasses

import numpy as np
import pytest
from fits_in_memory import FitsInMemory
from hypothesis import given
from hypothesis import strategies as st

from lifemiles_forecasting.core import backtest, reuse
from lifemiles_forecasting.core.fitting import _job, _store_tasks
from lifemiles_forecasting.core.reuse import Reuse, digest
from lifemiles_forecasting.core.rows import collect, features_at
from lifemiles_forecasting.core.synthetic import with_values
from lifemiles_forecasting.core.training_ledger import RECORD

OWN = (("local_catboost", "small"), ("ridge", "weak"))


def with_fits(study, fits, workers=1, **changes):
    settings = study.settings.model_copy(update={"workers": workers, **changes})
    return dataclasses.replace(study, fits=fits, settings=settings)


def content(result):
    """Everything that a backtest gives but how long it took, as comparable bytes."""
    arrays = {"weights": result.weights, "distance": result.intervals.distance, **result.y_hat}
    found = {name: np.ascontiguousarray(values).tobytes() for name, values in arrays.items()}
    for key, fit in result.fits.by.items():
        found["fit", key] = fit.forecast.tobytes(), fit.fitted.tobytes()
        for store, model in fit.models.items():
            found["model", key, store] = model.features, model.dump(), model.importance()
    failures = [dataclasses.astuple(failure) for failure in result.fits.failures]
    return found | {"sizes": result.sizes, "no_worse": result.no_worse, "failures": failures}


@pytest.fixture(scope="module")
def undisturbed(result):
    return content(result)


@pytest.fixture(scope="module")
def left(study):
    """What a finished run leaves, which tests copy."""
    kept = FitsInMemory()
    return kept, backtest.run(with_fits(study, kept))


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_keeping_and_reusing_fits_changes_no_bit(study, fits, undisturbed, first, second):
    made = backtest.run(with_fits(study, fits, first))
    assert content(made) == undisturbed
    assert made.fits.work.reused == set()
    again = backtest.run(with_fits(study, fits, second))
    assert content(again) == undisturbed
    work = again.fits.work
    assert (work.stores, work.fitted) == (set(), set())
    assert work.reused == made.fits.work.fitted != set()
    assert again.fits.seconds.sum() == 0


def test_every_file_that_is_put_is_wanted_again(left):
    kept, made = left
    assert set(kept.blobs) == made.fits.work.keys | {RECORD}
    assert len(kept.puts) == len(kept.blobs) + 1  # the record is put twice


@pytest.mark.parametrize("seed", range(3))
def test_only_what_is_missing_is_fitted(study, left, undisturbed, seed):
    kept = copy.deepcopy(left[0])
    keys = sorted(set(kept.blobs) - {RECORD})
    lost = np.random.default_rng(seed).choice(keys, len(keys) // 3, replace=False)
    for key in lost:
        del kept.blobs[key]
    kept.puts.clear()
    again = backtest.run(with_fits(study, kept, workers=1 + seed % 2))
    assert content(again) == undisturbed
    assert sorted(set(kept.puts) - {RECORD}) == sorted(lost)
    assert kept.blobs.keys() == left[0].blobs.keys()


class Stops(KeyboardInterrupt):
    pass


@pytest.mark.parametrize(("puts", "workers"), [(1, 1), (6, 2), (17, 1), (30, 2)])
def test_run_that_is_stopped_is_gone_on_with(study, fits, left, undisturbed, puts, workers):
    put = fits.put

    def stop(key, blob):
        if len(fits.puts) == puts:
            raise Stops
        put(key, blob)

    fits.put = stop
    with pytest.raises(Stops):
        backtest.run(with_fits(study, fits, workers))
    fits.put = put
    assert len(fits.puts) == puts
    again = backtest.run(with_fits(study, fits, workers))
    assert content(again) == undisturbed
    made = [key for key in fits.puts if key != RECORD]
    assert len(made) == len(set(made))  # nothing was fitted twice
    assert set(made) == set(left[0].blobs) - {RECORD}


def test_asked_for_everything_is_fitted_anew_and_kept(study, left, undisturbed):
    kept = copy.deepcopy(left[0])
    kept.puts.clear()
    asked = dataclasses.replace(with_fits(study, kept), resume=False)
    again = backtest.run(asked)
    assert content(again) == undisturbed
    assert set(kept.puts) == set(kept.blobs) == set(left[0].blobs)


def changed_store(study, made, store):
    y = made.series.y.copy()
    y[store] = 2 * y[store] + 3
    series = with_values(made.series, y)
    rows = collect(series, study.calendar, study.horizon)
    return dataclasses.replace(study, series=series, rows=rows)


def test_changed_store_leaves_other_partners_alone(study, made, left, fits):
    kept = copy.deepcopy(left[0])
    study = changed_store(study, made, 9)  # the second partner has stores 8 and 9
    after = backtest.run(with_fits(study, kept))
    assert after.fits.work.stores <= {8, 9}
    assert 9 in after.fits.work.stores
    assert after.fits.work.reused == set()
    assert content(after) == content(backtest.run(with_fits(study, fits)))


@pytest.mark.parametrize(
    ("change", "stores", "pooled"),
    [
        (lambda s: {"workers": 2}, False, set()),
        (lambda s: {"combine": s.combine.model_copy(update={"power": 2.0})}, False, set()),
        (lambda s: {"ridge": s.ridge.model_copy(update={"alphas": {"one": 7.0}})}, True, set()),
        (lambda s: {"direct": s.direct.model_copy(update={"max_rows": 1500})}, False, {"direct"}),
        (
            lambda s: {"recursive": s.recursive.model_copy(update={"max_rows": 1500})},
            False,
            {"recursive"},
        ),
    ],
    ids=["workers", "combine", "ridge", "direct", "recursive"],
)
def test_changed_setting_refits_what_depends_on_it(study, left, fits, change, stores, pooled):
    kept = copy.deepcopy(left[0])
    changed = with_fits(study, kept, **change(study.settings))
    after = backtest.run(changed)
    assert after.fits.work.stores == (set(np.flatnonzero(study.attempted)) if stores else set())
    spent = {name for name, seconds in after.fits.spent.items() if seconds > 0}
    assert spent & {"direct", "recursive"} == pooled
    assert content(after) == content(backtest.run(dataclasses.replace(changed, fits=fits)))


@pytest.mark.parametrize("change", [{"seed": 8}, {"horizon": 13}], ids=["seed", "horizon"])
def test_seed_and_horizon_are_in_every_pooled_fit(study, left, change):
    kept = copy.deepcopy(left[0])
    other = dataclasses.replace(study, fits=kept, **change)
    horizon = other.horizon
    rows = collect(study.series, study.calendar, horizon)
    assert backtest.run(dataclasses.replace(other, rows=rows)).fits.work.reused == set()


def test_other_software_refits_everything(study, left, undisturbed):
    kept = copy.deepcopy(left[0])
    kept.software = "other versions"
    after = backtest.run(with_fits(study, kept))
    assert content(after) == undisturbed
    assert after.fits.work.reused == set()
    assert after.fits.work.stores == set(np.flatnonzero(study.attempted))
    assert not set(kept.blobs) & set(left[0].blobs) - {RECORD}


@pytest.fixture(scope="module")
def keys(study):
    """A function from a store's task to its key, and the task of one store."""
    study = dataclasses.replace(study, fits=FitsInMemory())
    at = {study.last: features_at(study.series, study.calendar, study.last, study.horizon)}
    jobs = [_job(study, variant, study.last, keep=True) for variant in OWN]
    one = np.arange(len(study.attempted)) == 3
    (task,) = _store_tasks(study, at, one)
    return Reuse(study, at, [], jobs).own_key, task, jobs


def test_key_covers_every_value_that_a_store_learns_from(keys):
    key, task, jobs = keys
    own = sorted({column for job in jobs for column in job.columns})
    others = sorted(set(range(task.X.shape[1])) - set(own))
    assert others
    rng = np.random.default_rng(0)
    for name in ("X", "y", "base", "due"):
        values = getattr(task, name).copy()
        place = rng.integers(len(values)), *([rng.choice(own)] if name == "X" else [])
        values[place] = values[place] + 1 if np.isfinite(values[place]) else 0
        assert key(dataclasses.replace(task, **{name: values})) != key(task), name
    ((cutoff, ahead),) = task.at.items()
    for number, part in enumerate(ahead):
        parts = list(ahead)
        parts[number] = part * 1.0000001
        assert key(dataclasses.replace(task, at={cutoff: tuple(parts)})) != key(task), number
    foreign = task.X.copy()
    foreign[:, others] = 5
    assert key(dataclasses.replace(task, X=foreign, store=99)) == key(task)


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary())
nested = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(nested, nested)
def test_digest_tells_values_apart(one, two):
    assert (digest(one) == digest(two)) == (repr(one) == repr(two) or _alike(one, two))


def _alike(one, two):
    """Mappings in another order."""
    if isinstance(one, dict) and isinstance(two, dict):
        return repr(sorted(one.items())) == repr(sorted(two.items()))
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(_alike(a, b) for a, b in zip(one, two, strict=True))
    return repr(one) == repr(two)


def test_digest_of_an_array_is_of_its_values():
    X = np.arange(12.0).reshape(3, 4)
    assert digest(np.asfortranarray(X)) == digest(X) == digest(np.repeat(X, 2, axis=1)[:, ::2])
    others = (X.T, X.ravel(), X.astype(np.float32), X.astype(int), X + 1e-15, -X)
    assert len({digest(X), *map(digest, others)}) == 1 + len(others)
    assert digest(np.array([0.0])) != digest(np.array([-0.0]))
    assert digest("ab", "c") != digest("a", "bc") != digest(("a", "bc"))


def test_digest_refuses_what_it_does_not_know():
    with pytest.raises(TypeError, match=r"^no digest of a set$"):
        digest({"a": {1, 2}})


def test_nothing_is_pickled(left):
    for key, blob in left[0].blobs.items():
        if key != RECORD:
            assert all(array.dtype != object for array in reuse._unpacked(blob).values())
