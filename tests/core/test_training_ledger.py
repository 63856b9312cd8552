"""The ledger says of every attempted store whether it was trained, and the true reason."""

import dataclasses

import numpy as np
import pytest

from lifemiles_forecasting.core import backtest, parallel
from lifemiles_forecasting.core.rows import collect
from lifemiles_forecasting.core.synthetic import with_values
from lifemiles_forecasting.core.training_ledger import RECORD, counts, summary

CANDIDATES = ("base", "ridge")  # the reasons do not depend on how long a fit takes


@pytest.fixture
def study(made, make_study, fits):
    built = make_study(made.series, min_samples=60, candidates=CANDIDATES)
    return dataclasses.replace(built, fits=fits)


def reasons(study):
    """What the ledger says of each store of a run, by what it says."""
    table = backtest.run(study).training
    assert table["store_id"].tolist() == study.series.store_ids[study.attempted].tolist()
    said = {}
    for line in table.itertuples():
        said.setdefault((line.outcome, line.why), []).append(line.store_id)
    return said


def everyone(study, outcome, why):
    return {(outcome, why): study.series.store_ids[study.attempted].tolist()}


def with_y(study, y):
    series = with_values(study.series, y)
    return dataclasses.replace(
        study, series=series, rows=collect(series, study.calendar, study.horizon)
    )


def test_first_run_and_one_with_nothing_to_do(study):
    assert reasons(study) == everyone(study, "trained", "new store")
    assert reasons(study) == everyone(study, "reused", "nothing changed")


def test_asked_for(study):
    reasons(study)
    asked = dataclasses.replace(study, resume=False)
    assert reasons(asked) == everyone(study, "trained", "asked")
    assert reasons(study) == everyone(study, "reused", "nothing changed")


def test_without_a_store_of_fits_every_store_is_new(study):
    without = dataclasses.replace(study, fits=None)
    for _ in range(2):
        assert reasons(without) == everyone(study, "trained", "new store")


def test_changed_inputs_and_those_of_the_same_partner(study):
    reasons(study)
    y = study.series.y.copy()
    y[9, -30:] += 10
    said = reasons(with_y(study, y))
    assert said["trained", "inputs changed"] == ["P1_0009"]
    # the base of a store borrows from its partner's week
    assert said["trained", "other stores changed"] == ["P1_0008"]
    assert len(said["reused", "nothing changed"]) == study.attempted.sum() - 2


def test_new_day_is_new_to_every_store(made, make_study, fits):
    days = made.series.until(len(made.series.dates) - 1)
    for series, why in ((days, "new store"), (made.series, "inputs changed")):
        built = make_study(series, min_samples=60, candidates=CANDIDATES)
        told = reasons(dataclasses.replace(built, fits=fits))
        assert set(told) == {("trained", why)}


def test_changed_settings(study):
    reasons(study)
    ridge = study.settings.ridge.model_copy(update={"alphas": {"strong": 1.0}})
    settings = study.settings.model_copy(update={"ridge": ridge})
    other = dataclasses.replace(study, settings=settings)
    assert reasons(other) == everyone(study, "trained", "settings changed")


def test_changed_software(study, fits):
    reasons(study)
    fits.software = "an upgrade"
    assert reasons(study) == everyone(study, "trained", "software changed")


def test_store_that_is_added(made, make_study, fits):
    for rows in (np.arange(9), np.arange(10)):
        built = make_study(made.series.take(rows), min_samples=60, candidates=CANDIDATES)
        said = reasons(dataclasses.replace(built, fits=fits))
    assert said["trained", "new store"] == ["P1_0009"]
    assert ("trained", "inputs changed") not in said


def test_killed_run_leaves_stores_that_are_not_finished(study, fits):
    put = fits.put

    def stop(key, blob):
        if len(fits.puts) == 4:
            raise KeyboardInterrupt
        put(key, blob)

    fits.put = stop
    with pytest.raises(KeyboardInterrupt):
        backtest.run(study)
    fits.put = put
    assert reasons(study) == everyone(study, "trained", "not finished before")


def test_store_of_a_finished_run_keeps_that_in_a_killed_one(study, fits):
    """A run that is killed before it has trained anything has changed nothing for the others."""
    reasons(study)
    y = study.series.y.copy()
    y[9] += 10
    changed, put = with_y(study, y), fits.put

    def stop(key, blob):
        put(key, blob)
        raise KeyboardInterrupt  # the record of the start is there

    fits.put = stop
    with pytest.raises(KeyboardInterrupt):
        backtest.run(changed)
    fits.put = put
    said = reasons(changed)
    assert said["trained", "not finished before"] == ["P1_0008", "P1_0009"]
    assert len(said["reused", "nothing changed"]) == study.attempted.sum() - 2


def test_fits_that_are_gone(study, fits):
    reasons(study)
    fits.keep_only({RECORD})
    assert reasons(study) == everyone(study, "trained", "no longer kept")


def test_store_that_failed_is_tried_again(study, monkeypatch):
    attempt = parallel.attempt

    def fails(store_id, stage, function, *arguments):
        if store_id == "P0_0003":
            return attempt(store_id, stage, lambda *_: 1 / 0)
        return attempt(store_id, stage, function, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(parallel, "attempt", fails)
        reasons(study)
    said = reasons(study)
    assert said["trained", "not finished before"] == ["P0_0003"]
    assert reasons(study) == everyone(study, "reused", "nothing changed")


def test_another_size_is_chosen(study, monkeypatch):
    reasons(study)
    best = backtest.best_size
    monkeypatch.setattr(backtest, "best_size", lambda *a: 1 - best(*a))
    assert reasons(study) == everyone(study, "trained", "another size was chosen")


def test_without_own_models_a_store_is_as_new_as_the_models_of_all(made, make_study, fits):
    built = make_study(made.series, min_samples=60, candidates=("base", "direct"))
    study = dataclasses.replace(built, fits=fits)
    assert reasons(study) == everyone(study, "trained", "new store")
    assert reasons(study) == everyone(study, "reused", "nothing changed")
    y = study.series.y.copy()
    y[9] += 10
    said = reasons(with_y(study, y))
    assert said.pop(("trained", "inputs changed")) == ["P1_0009"]
    assert set(said) == {("trained", "other stores changed")}


def test_words_and_metrics_are_those_of_the_table(study):
    backtest.run(study)
    y = study.series.y.copy()
    y[9] += 10
    result = backtest.run(with_y(study, y))
    stores = study.attempted.sum()
    assert summary(result.training, result.fits) == (
        "Stores: 2 trained (other stores changed: 1, inputs changed: 1), "
        f"{stores - 2} as they were. Fits over all stores: 0 made, 0 as they were"
    )
    assert counts(result.training) == {"stores_trained": 2.0, "stores_reused": stores - 2.0}
