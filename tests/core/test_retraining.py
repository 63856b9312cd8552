"""Training some stores anew: the others are forecast as before, to the bit."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import backtest, retraining
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.backtest import BLEND
from lifemiles_forecasting.core.config import DataSettings
from lifemiles_forecasting.core.errors import ConfigError, InputError
from lifemiles_forecasting.core.events import no_events
from lifemiles_forecasting.core.fleet import FleetModel
from lifemiles_forecasting.core.fleet_of_run import fleet_of_run, recipe_of
from lifemiles_forecasting.core.forecast import final_intervals, forecast_all
from lifemiles_forecasting.core.notices import Notice
from lifemiles_forecasting.core.study import build_study, prepare
from lifemiles_forecasting.core.synthetic import small_settings

HORIZON, STORES = 14, frozenset({"P0_0000", "P1_0008"})


def fleets(study, result):
    recipe = recipe_of(study, result, "billings", DataSettings(columns={}))
    run = (study, result, study.series, recipe, no_events())
    made = (fleet_of_run(*run), fleet_of_run(*run, before_test=True))
    return [FleetModel.from_files(fleet.to_files()) for fleet in made]


def study_of(series, kept=None):
    chosen, attempted = prepare(series, HORIZON, 60, None)
    return build_study(chosen, attempted, HORIZON, small_settings(), 7, 60, kept=kept)


@pytest.fixture(scope="module")
def kept(made):
    """Everything was trained two weeks before the end of the data."""
    before = study_of(made.series.until(len(made.series.dates) - HORIZON))
    return retraining.Kept("4", *fleets(before, backtest.run(before)), STORES)


@pytest.fixture(scope="module")
def anew(made, kept):
    study = study_of(made.series, kept)
    return study, backtest.run(study)


def test_nobody_is_warned_of_where_every_drifted_store_is_trained(anew):
    assert retraining.notices(anew[0]) == []


def test_only_those_stores_are_trained(anew):
    study, result = anew
    assert set(study.series.store_ids[study.attempted]) == STORES
    trained = {
        store
        for (variant, cutoff), fit in result.fits.by.items()
        if variant[0] in ("local_catboost", "ridge")
        for store in np.flatnonzero(np.isfinite(fit.forecast).all(axis=1))
    }
    assert set(study.series.store_ids[list(trained)]) == STORES


def test_no_window_is_forecast_by_models_that_have_seen_it(anew, kept):
    study, _ = anew
    assert len(study.windows) == 2
    assert study.series.dates[study.windows[0]] >= kept.before_test.trained_until


def test_the_others_are_forecast_as_the_model_in_charge_would(anew, kept):
    study, result = anew
    rest = ~study.attempted
    theirs = kept.final.blend(study.series)
    assert np.isfinite(theirs[rest]).all()
    np.testing.assert_array_equal(result.y_hat[BLEND, study.last][rest], theirs[rest])
    test = study.windows[-1]
    known = study.series.until(test + 1)
    before = kept.before_test.blend(known)
    np.testing.assert_array_equal(result.y_hat[BLEND, test][rest], before[rest])


def test_pooled_models_stay(anew, kept):
    study, result = anew
    final, before_test = fleets(study, result)
    for name, model in kept.final.pooled.items():
        assert final.pooled[name].dump() == model.dump()
        assert before_test.pooled[name].dump() == kept.before_test.pooled[name].dump()


def test_the_new_fleet_holds_both_and_forecasts_what_the_run_does(anew, kept):
    study, result = anew
    final, before_test = fleets(study, result)
    table = forecast_all(study, result, final_intervals(study, result), study.series)
    pd.testing.assert_frame_equal(final.forecast(study.series), table, rtol=0, atol=1e-9)
    origin = study.windows[-1]
    np.testing.assert_allclose(
        before_test.blend(study.series.until(origin + 1)), result.y_hat[BLEND, origin], atol=1e-9
    )
    old = kept.final.forecast(study.series)
    same = ~table[c.STORE_ID].isin(STORES)
    np.testing.assert_array_equal(table[c.FORECAST][same], old[c.FORECAST][same])
    assert not np.allclose(table[c.FORECAST][~same], old[c.FORECAST][~same])
    assert (table[c.STATUS] == old[c.STATUS]).all()


def test_too_soon_after_training_is_refused(made, kept):
    soon = made.series.until(len(made.series.dates) - 1)
    message = (
        "found 1 windows of 14 days that the kept models .version 4, before its test known until "
        f"{kept.since}. have not learned from; expected two: 14 days after the last one"
    )
    with pytest.raises(InputError, match=message):
        retraining.check_study(study_of(soon, kept))


def test_stores_without_history_are_refused(made, kept):
    other = dataclasses.replace(kept, stores=frozenset({"P9_nobody"}))
    with pytest.raises(InputError, match="found 1 drifted stores, none with 60 active days"):
        retraining.check_study(study_of(made.series, other))


def test_drifted_store_that_is_not_trained_after_all_keeps_its_models(made, kept):
    """It has too few active days in the files of this run: as if it had never been on the list."""
    chosen, attempted = prepare(made.series, HORIZON, 60, None)
    left_out = "P1_0008"
    attempted &= chosen.store_ids != left_out
    study = build_study(chosen, attempted, HORIZON, small_settings(), 7, 60, kept=kept)
    notice = Notice(left_out, "retraining", "drifted_store_not_trained", 1)
    assert retraining.notices(study) == [notice]
    result = backtest.run(study)
    final, _ = fleets(study, result)
    table = forecast_all(study, result, final_intervals(study, result), study.series)
    pd.testing.assert_frame_equal(final.forecast(study.series), table, rtol=0, atol=1e-9)
    own = table[c.STORE_ID] == left_out
    assert set(table[c.STATUS][own]) == {"ok"}
    old = kept.final.forecast(study.series)
    np.testing.assert_array_equal(table[c.FORECAST][own], old[c.FORECAST][own])
    for name, models in kept.final.own.items():
        assert (left_out in models) == (left_out in final.own[name])


def test_drift_table_is_needed_and_must_name_stores():
    with pytest.raises(InputError, match=r"found no drift.csv of the monitoring; .* first"):
        retraining.drifted_stores(None)
    table = pd.DataFrame({c.STORE_ID: ["A_1", "A_2"], "retrain": [True, False]})
    assert retraining.drifted_stores(table) == {"A_1"}
    with pytest.raises(InputError, match="found no store to train anew"):
        retraining.drifted_stores(table.assign(retrain=False))


def test_another_question_than_that_of_the_champion_is_refused(kept):
    settings = small_settings()
    retraining.check_same(kept, "billings", HORIZON, settings)
    message = "found target miles and a champion .version 4. of billings; expected the same"
    with pytest.raises(ConfigError, match=message):
        retraining.check_same(kept, "miles", HORIZON, settings)
    with pytest.raises(ConfigError, match="found horizon 7 and a champion"):
        retraining.check_same(kept, "billings", 7, settings)
    fewer = small_settings(candidates=("base", "direct"))
    with pytest.raises(ConfigError, match=r"found candidates \['base', 'direct'\] and a champion"):
        retraining.check_same(kept, "billings", HORIZON, fewer)


def test_models_that_are_kept_keep_their_own_features(anew):
    """Those trained anew may have others: a second year has begun, or the plan has changed."""
    study, result = anew
    final, _ = fleets(study, result)
    name = "local_catboost"
    kept, new = (next(s for s in final.own[name] if (s in STORES) == chosen) for chosen in (0, 1))
    model = final.own[name][kept]
    others = ("event:Gone", *model.features[1:])  # as if one event had been dropped from the plan
    renamed = dataclasses.replace(model, features=others)
    mixed = dataclasses.replace(final, own={name: {kept: renamed, new: final.own[name][new]}})
    back = FleetModel.from_files(mixed.to_files())
    assert back.own[name][kept].features == others
    assert back.own[name][new].features == final.own[name][new].features
    ours, theirs = (fleet.blend(study.series) for fleet in (mixed, back))
    np.testing.assert_array_equal(theirs, ours)


def test_the_recipe_tells_all_features_of_a_kind_of_own_models(anew, kept):
    """What is learned of planned events is looked for there."""
    study, result = anew
    name = "local_catboost"
    store = next(one for one in kept.final.own[name] if one not in STORES)
    model = kept.final.own[name][store]
    known = dataclasses.replace(model, features=("event:Gone", *model.features[1:]))
    own = {**kept.final.own, name: {**kept.final.own[name], store: known}}
    before = dataclasses.replace(kept, final=dataclasses.replace(kept.final, own=own))
    study = dataclasses.replace(study, kept=before)
    final = fleet_of_run(
        study,
        result,
        study.series,
        recipe_of(study, result, "billings", DataSettings(columns={})),
        no_events(),
    )
    assert final.event_features == {"event:Gone"}
    assert set(model.features) <= set(final.recipe["features"][name])
