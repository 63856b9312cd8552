"""The fleet model: it forecasts what the run forecast, and goes on with newer days."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import backtest
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.backtest import BLEND
from lifemiles_forecasting.core.config import DataSettings
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.events import no_events, parse_events
from lifemiles_forecasting.core.fleet import FleetModel
from lifemiles_forecasting.core.fleet_of_run import fleet_of_run, recipe_of
from lifemiles_forecasting.core.forecast import final_intervals, forecast_all
from lifemiles_forecasting.core.notices import Notice
from lifemiles_forecasting.core.scoring import notices, score, strange_events
from lifemiles_forecasting.core.study import build_study, prepare
from lifemiles_forecasting.core.synthetic import generate_series, small_settings, with_values

RULES = DataSettings(columns={}, dormant_days=56)


def fleet_of(study, result, everyone, events=None, **how):
    plan = no_events() if events is None else events
    recipe = recipe_of(study, result, "billings", RULES)
    return fleet_of_run(study, result, everyone, recipe, plan, **how)


@pytest.fixture(scope="module")
def fleet(study, result):
    return fleet_of(study, result, study.series)


@pytest.fixture(scope="module")
def tested(study, result):
    return fleet_of(study, result, study.series, before_test=True)


@pytest.fixture(scope="module")
def read_back(fleet):
    return FleetModel.from_files(fleet.to_files())


def test_forecasts_of_a_model_read_back_are_those_of_the_run(study, result, read_back):
    table = forecast_all(study, result, final_intervals(study, result), study.series)
    pd.testing.assert_frame_equal(read_back.forecast(read_back.history), table, rtol=0, atol=1e-9)


def test_every_candidate_has_a_part_in_these_forecasts(study, result):
    assert (result.weights > 0).any(axis=0).sum() >= 4


def test_files_are_the_same_every_time_and_none_is_a_pickle(fleet, read_back):
    files = fleet.to_files()
    assert files == fleet.to_files()
    assert set(files) == set(read_back.to_files())
    assert {name.rpartition(".")[2] for name in files} == {"json", "npz", "parquet", "cbm"}
    assert json.loads(files["fleet.json"])["trained_until"] == str(fleet.history.dates[-1])


def test_another_format_is_refused(fleet):
    files = fleet.to_files()
    recipe = json.loads(files["fleet.json"]) | {"format": 99}
    files["fleet.json"] = json.dumps(recipe).encode()
    with pytest.raises(InputError, match="a fleet model of another format; expected format 4"):
        FleetModel.from_files(files)


def test_model_before_the_test_window_gives_its_backtest(study, result, tested):
    """The candidates of the test window, blended with the same weights, are what it says."""
    origin = study.windows[-1]
    again = FleetModel.from_files(tested.to_files()).blend(study.series.until(origin + 1))
    np.testing.assert_allclose(again, result.y_hat[BLEND, origin], rtol=0, atol=1e-9)
    assert str(tested.trained_until) == str(study.series.dates[origin])


@pytest.mark.parametrize("late", [1, 2])
def test_model_before_the_test_window_gives_its_backtest_of_stores_that_had_opened_late(
    late, make_study
):
    """Some have too few days by then, some candidates none at all: the base is their forecast."""
    made = generate_series(n_stores=3, n_days=112, of=("weekly",)).series
    y = made.y.copy()
    y[:late, :62] = np.nan
    study = make_study(with_values(made, y), horizon=28, min_samples=28)
    result = backtest.run(study)
    origin = study.windows[-1]
    assert (study.attempted & ~study.attempted_at(origin)).sum() == late
    fleet = fleet_of(study, result, study.series, before_test=True)
    again = fleet.blend(study.series.until(origin + 1))
    np.testing.assert_allclose(again, result.y_hat[BLEND, origin], rtol=0, atol=1e-9)
    table = forecast_all(study, result, final_intervals(study, result), study.series)
    after = fleet_of(study, result, study.series).forecast(study.series)
    pd.testing.assert_frame_equal(after, table, rtol=0, atol=1e-9)


def test_model_before_the_test_window_holds_no_later_day(made, study, tested):
    """Everything in its files is the same when the test window sold something else."""
    origin = study.windows[-1]
    y = study.series.y.copy()
    y[:, origin + 1 :] = np.nan_to_num(y[:, origin + 1 :]) * 3 + 7
    y[:, origin + 1 :][np.isnan(y[:, origin])] = np.nan
    changed = with_values(study.series, y)
    other = build_study(
        changed, study.attempted, study.horizon, study.settings, study.seed, study.min_samples
    )
    after = fleet_of(other, backtest.run(other), changed, before_test=True)
    known = study.series.until(origin + 1)
    np.testing.assert_array_equal(after.blend(known), tested.blend(known))


def test_no_forecast_from_a_day_reads_a_later_one(fleet, study):
    """Cut at an origin, or changed behind it, the history gives the same forecasts."""
    origin = len(study.series.dates) - 20
    y = study.series.y.copy()
    y[:, origin + 1 :] *= 5
    changed = with_values(study.series, y).until(origin + 1)
    np.testing.assert_array_equal(fleet.blend(study.series.until(origin + 1)), fleet.blend(changed))


def test_stores_of_a_limited_run_that_were_left_out_get_the_base(made, make_study):
    study = make_study(made.series, min_samples=60, max_stores=3)
    result = backtest.run(study)
    fleet = FleetModel.from_files(fleet_of(study, result, made.series).to_files())
    table = forecast_all(study, result, final_intervals(study, result), made.series)
    pd.testing.assert_frame_equal(fleet.forecast(made.series), table, rtol=0, atol=1e-9)
    assert not fleet.recipe["whole"]
    assert set(table[c.STATUS]) == {"ok", "fallback", "dormant"}


def test_planned_events_are_kept_and_can_be_replaced():
    """A plan that is taken off makes no difference any more; the one of the training does."""
    made = generate_series(n_stores=8, n_days=260)
    first, last = made.series.dates[0], made.series.dates[-1]
    lines = [f",,{first + 20 * k},{first + 20 * k + 2},doble,2" for k in range(1, 12)]
    text = "partner_code,store_code,start_date,end_date,name,value\n"
    plan = parse_events((text + "\n".join([*lines, f",,{last + 3},{last + 5},doble,2"])), "e.csv")
    y = made.series.y.copy()
    for k in range(1, 12):
        y[:, 20 * k : 20 * k + 3] *= 3
    series = with_values(made.series, y)
    chosen, attempted = prepare(series, 14, 60, None)
    study = build_study(chosen, attempted, 14, small_settings(), 7, 60, events=plan)
    result = backtest.run(study)
    fleet = FleetModel.from_files(fleet_of(study, result, series, plan).to_files())
    table = forecast_all(study, result, final_intervals(study, result), series)
    pd.testing.assert_frame_equal(fleet.forecast(series), table, rtol=0, atol=1e-9)
    without = fleet.forecast(series, no_events())
    on = table[c.HORIZON].between(3, 5) & (table[c.FORECAST] > 0)
    assert table[on][c.FORECAST].sum() > 1.1 * without[on][c.FORECAST].sum()
    other = parse_events(text + f",,{last + 3},{last + 5},nunca vista,2", "e.csv")
    unknown = fleet.forecast(series, other)  # an event, and of none of the names that it learned
    assert not unknown.isna().any(axis=None)
    assert strange_events(fleet, other, unknown) == ["nunca vista"]
    assert strange_events(fleet, plan, table) == []
    assert unknown[on][c.FORECAST].sum() < table[on][c.FORECAST].sum()


def test_nothing_is_noticed_where_nothing_is_odd(fleet):
    table = fleet.forecast(fleet.history)
    assert notices(fleet, fleet.history, None, table) == []
    assert notices(fleet, fleet.history, no_events(), table) == []


def test_what_scoring_notices_is_told_of_whom_it_concerns(fleet):
    """Stores of no country, a plan of strangers, a wish for nobody, days that the model knows."""
    history = fleet.history.until(len(fleet.history.dates) - 5)
    stores = history.stores.copy()
    stores.loc[stores.index[:2], c.COUNTRY] = "Atlantis"
    newer = replace(history, stores=stores)
    first = newer.dates[-1] + 1
    text = "partner_code,store_code,start_date,end_date,name,value\n"
    lines = f",,{first},{first},nunca vista,2\nP99,,{first},{first},nunca vista,2"
    plan, known = parse_events(text + lines, "e.csv"), newer.store_ids[0]
    table = score(fleet, newer, plan, [known, "nobody"], 7)
    assert notices(fleet, newer, plan, table) == [
        Notice("Atlantis", "holidays", "unknown_country", 2),
        Notice("P99", "events", "unknown_partner", 0),
        Notice("nunca vista", "events", "event_not_learned", 0),
        Notice("nobody", "scoring", "store_not_found", 1),
        Notice(str(fleet.trained_until), "scoring", "retrospective", 2),
    ]


def test_days_between_files_are_noticed_and_stay_as_the_model_knows_them(fleet):
    history = fleet.history
    y = history.y[:, 50:].copy()
    y[:, 60:70] = np.where(np.isfinite(y[:, 60:70]), 0.0, np.nan)
    newer = replace(history, y=y, dates=history.dates[50:])
    (found,) = notices(fleet, newer, None, fleet.forecast(history))
    assert found == Notice(
        f"{history.dates[110]}/{history.dates[119]}", "scoring", "days_without_a_file", len(y)
    )
    pd.testing.assert_frame_equal(
        score(fleet, newer, None, None, 7), score(fleet, history, None, None, 7)
    )


def test_what_the_newest_file_does_not_name_is_known_to_the_model(fleet):
    """A store without a row, and a country that the file leaves out, are nothing to warn of."""
    history, last = fleet.history, len(fleet.history.dates) - 3
    stores = history.stores.assign(**{c.COUNTRY: None})
    few = replace(
        history, y=history.y[:4, last:], dates=history.dates[last:], stores=stores.iloc[:4]
    )
    absent = history.stores.iloc[-1]
    first = history.dates[-1] + 1
    text = "partner_code,store_code,start_date,end_date,name,value\n"
    line = f"{absent[c.PARTNER_CODE]},{absent[c.STORE_CODE]},{first},{first},any,1"
    plan = parse_events(text + line, "e.csv")
    found = notices(fleet, few, plan, score(fleet, few, plan, None, 7))
    assert not [one for one in found if one.warning.startswith("unknown_")]


def test_files_with_few_stores_on_their_first_days_are_noticed(fleet):
    history = fleet.history
    y = history.y[:, 50:].copy()
    y[1:, :60] = np.nan
    newer = replace(history, y=y, dates=history.dates[50:])
    found = notices(fleet, newer, None, fleet.forecast(history))
    assert [(notice.stage, notice.warning, notice.stores) for notice in found] == [
        ("scoring", "scattered_rows", len(y))
    ]
    assert history.dates[100] < np.datetime64(found[0].subject) < history.dates[130]
