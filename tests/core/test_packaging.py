"""What each attempted store leaves behind."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

from lifemiles_forecasting.core import backtest, packaging
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.candidates.closed import CLOSED
from lifemiles_forecasting.core.forecast import final_intervals
from lifemiles_forecasting.core.parallel import Failure


def measured(study):
    """Stands for the store metrics of `core.quality`, which has tests of its own."""
    ids = study.series.store_ids
    return pd.DataFrame(
        {c.STORE_ID: ids, "quality": "BUENO", "test_r2": 0.5, "coverage_80": 0.8, "naive_wape": 30}
    )


def runs_of(study, result):
    attempted = packaging.attempted_frame(study, result)
    intervals = final_intervals(study, result)
    return packaging.store_runs(study, result, intervals, measured(study), attempted)


@pytest.fixture(scope="module")
def runs(study, result):
    return runs_of(study, result)


@pytest.fixture(scope="module")
def broken(study, result, runs):
    """The same run in which the second store failed twice."""
    failure = Failure("P0_0001", "local models", "ValueError: broken", "abc")
    fits = dataclasses.replace(result.fits, failures=[failure, failure])
    return dataclasses.replace(result, fits=fits)


def test_weights_frame(study, result):
    frame = packaging.weights_frame(study, result)
    assert list(frame.columns) == [c.STORE_ID, c.CANDIDATE, "weight"]
    np.testing.assert_allclose(frame.groupby(c.STORE_ID)["weight"].sum(), 1)
    row = frame[(frame[c.STORE_ID] == "P0_0003") & (frame[c.CANDIDATE] == "ridge")]
    assert row["weight"].item() == result.weights[3, study.settings.candidates.index("ridge")]


def test_importance_frame_is_the_mean_over_the_models_of_the_refit(study, result):
    frame = packaging.importance_frame(study, result)
    assert tuple(frame.columns) == c.IMPORTANCE
    learners = [name for name in study.settings.candidates if name in result.sizes]
    assert frame[c.CANDIDATE].drop_duplicates().tolist() == learners
    for name in learners:
        models = result.fits.by[(name, result.sizes[name]), study.last].models
        shares = pd.DataFrame([model.importance() for model in models.values()]).fillna(0).mean()
        mine = frame[frame[c.CANDIDATE] == name].set_index(c.FEATURE)[c.SHARE]
        assert mine.to_dict() == pytest.approx(shares.to_dict())
        assert mine.sum() == pytest.approx(100)
        assert mine.is_monotonic_decreasing


def test_importance_frame_without_learners_has_no_row(study, result):
    none = dataclasses.replace(result, sizes={})
    frame = packaging.importance_frame(study, none)
    assert frame.empty
    assert tuple(frame.columns) == c.IMPORTANCE


def test_failures_frame_holds_each_failure_once(broken):
    frame = packaging.failures_frame(broken.fits.failures)
    assert tuple(frame.columns) == c.FAILURES
    assert frame.to_numpy().tolist() == [["P0_0001", "local models", "ValueError: broken", "abc"]]
    assert packaging.failures_frame([]).empty


def test_attempted_frame_measures_the_fit_of_the_test_window(study, result):
    frame = packaging.attempted_frame(study, result).set_index(c.STORE_ID)
    assert list(frame.index) == list(study.series.store_ids[study.attempted])
    store, test = 0, study.windows[-1]
    own = slice(study.rows.bounds[store], study.rows.bounds[store + 1])
    scale, base = study.rows.scale[own], study.rows.base[own] * study.rows.scale[own]
    weight = dict(zip(study.settings.candidates, result.weights[store], strict=True))
    # those without a fit on these rows hand their weight to the others
    total, mass = weight["base"] * base, weight["base"]
    for name in ("direct", "local_catboost", "ridge"):
        fitted = result.fits.by[(name, result.sizes[name]), test].fitted[own]
        total = total + weight[name] * np.maximum(base + fitted * scale, 0)
        mass += weight[name]
    blend = total / mass
    known = study.rows.due[own] <= test
    y = (study.rows.y[own] * scale)[known]
    line = frame.loc["P0_0000"]
    assert line["train_samples"] == known.sum()
    assert line["train_mae"] == pytest.approx(mean_absolute_error(y, blend[known]), rel=1e-5)
    assert line["train_r2"] == pytest.approx(r2_score(y, blend[known]), rel=1e-4)
    assert line["train_seconds"] > 0
    assert line[c.STATUS] == "ok"
    assert line[c.REASON] == ""


def test_failed_store_stays_visible(study, broken):
    line = packaging.attempted_frame(study, broken).set_index(c.STORE_ID).loc["P0_0001"]
    assert (line[c.STATUS], line[c.REASON]) == ("failed", "local models: ValueError: broken")
    run = next(run for run in runs_of(study, broken) if run.store_id == "P0_0001")
    assert (run.status, run.reason) == ("failed", "local models: ValueError: broken")
    assert not run.model
    assert not run.importance
    assert not run.scaler


def test_a_run_for_every_attempted_store(study, result, runs):
    assert [run.store_id for run in runs] == list(study.series.store_ids[study.attempted])
    for run in runs:
        assert f"{run.partner_code}_{run.store_code}" == run.store_id
        assert run.status == "ok"
        assert run.metrics["test_r2"] == 0.5
        assert {"train_mae", "train_rmse", "train_r2", "train_smape", "n_features"} <= set(
            run.metrics
        )
        assert run.tags["model_quality"] == "BUENO"
        assert run.tags["model_type"] == run.params["model_type"] in study.settings.candidates
        assert run.params["size_direct"] == result.sizes["direct"]
        assert run.scaler["target_scale"] > 0


def test_importance_sums_to_100_in_descending_order(runs):
    for run in runs:
        shares = list(run.importance.values())
        assert sum(shares) == pytest.approx(100) or not any(shares)
        assert shares == sorted(shares, reverse=True)


def test_champion_and_its_settings(study, result, runs):
    for champion in study.settings.candidates:
        one = [float(name == champion) for name in study.settings.candidates]
        weights = result.weights.copy()
        weights[0] = one
        forced = dataclasses.replace(result, weights=weights)
        assert packaging.champion_of(study, forced, 0) == champion
        line = packaging.attempted_frame(study, forced).iloc[0]
        run = runs_of(study, forced)[0]
        assert run.params["n_features"] == line["n_features"]
        if champion == "ridge":
            assert run.params["alpha"] == study.settings.ridge.alphas[result.sizes["ridge"]]
        elif champion in CLOSED:
            assert run.params["n_features"] == 0
            assert not {"alpha", "iterations"} & set(run.params)
        else:
            group = getattr(study.settings, champion)
            assert run.params["depth"] == group.sizes[result.sizes[champion]].depth


@pytest.mark.parametrize("name", ["local_catboost.cbm", "ridge.json", "state.json"])
def test_every_model_file_differs_between_stores(runs, name):
    files = [run.model[name] for run in runs if name in run.model]
    assert len(set(files)) == len(files) > 5


def test_store_too_young_for_models_of_its_own_is_still_packed(study, result, monkeypatch):
    bare = {key: dataclasses.replace(fit, models={}) for key, fit in result.fits.by.items()}
    empty = dataclasses.replace(result, fits=dataclasses.replace(result.fits, by=bare))
    run = runs_of(study, empty)[0]
    assert set(run.model) == {"state.json"}
    assert backtest.BLEND not in run.params
