"""Training some stores anew with a plan, and holidays, that the model in charge was not told of."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import backtest, event_days, retraining
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.backtest import BLEND
from lifemiles_forecasting.core.config import (
    CatBoostSettings,
    DataSettings,
    HolidaySettings,
    LocalSettings,
    PooledSettings,
)
from lifemiles_forecasting.core.fleet import FleetModel
from lifemiles_forecasting.core.fleet_of_run import fleet_of_run, recipe_of
from lifemiles_forecasting.core.forecast import final_intervals, forecast_all
from lifemiles_forecasting.core.scoring import score
from lifemiles_forecasting.core.study import build_study, prepare
from lifemiles_forecasting.core.synthetic import (
    generate_series,
    small_settings,
    with_campaigns,
    with_values,
)

DAYS, HORIZON, UNTIL = 240, 14, 240 - 14
ELSEWHERE = HolidaySettings(countries={"Estados Unidos": "Colombia"})
SIZES = {"only": CatBoostSettings(iterations=40, depth=4, learning_rate=0.2)}


def trained(series, events, kept=None, holidays=None):
    series = with_values(series, series.y)
    settings = small_settings(
        candidates=("base", "direct", "recursive", "local_catboost"),
        direct=PooledSettings(sizes=SIZES),
        recursive=PooledSettings(sizes=SIZES),
        local_catboost=LocalSettings(sizes=SIZES),
        holidays=holidays or HolidaySettings(),
    )
    chosen, attempted = prepare(series, HORIZON, 60, None)
    study = build_study(chosen, attempted, HORIZON, settings, 7, 60, events=events, kept=kept)
    return study, backtest.run(study)


def fleets(study, result, events):
    recipe = recipe_of(study, result, "billings", DataSettings(columns={}))
    run = (study, result, study.series, recipe, events)
    made = (fleet_of_run(*run), fleet_of_run(*run, before_test=True))
    return [FleetModel.from_files(fleet.to_files()) for fleet in made]


@pytest.fixture(scope="module")
def chain():
    """Stores of two partners with campaigns, and the plan: one of them lies ahead."""
    made = generate_series(8, DAYS, of=("weekly",), noise=0.05)
    made, often = with_campaigns(made, "P0", range(60, DAYS + 14, 14), 4, 0.8)
    made, rarely = with_campaigns(made, "P1", range(66, DAYS + 14, 28), 4, 0.5, name="sale")
    return made.series, pd.concat([often, rarely], ignore_index=True)


@pytest.fixture(scope="module")
def kept(chain):
    """The champion knew no campaign after its training, and the sales as one of the others."""
    series, plan = chain
    known = plan[plan[c.START_DATE] <= pd.Timestamp(series.dates[UNTIL - 1])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_days, "MOST_NAMES", 1)
        study, result = trained(series.until(UNTIL), known)
    final, before_test = fleets(study, result, known)
    assert final.event_features >= {"event:campaign", "event_others"}
    return retraining.Kept("1", final, before_test, frozenset(series.store_ids[:2]))


@pytest.fixture(scope="module")
def run(chain, kept):
    series, plan = chain
    return trained(series, plan, kept, ELSEWHERE)


def test_run_forecasts_what_the_model_that_it_makes_does(chain, kept, run):
    _, plan = chain
    study, result = run
    final, before_test = fleets(study, result, plan)
    table = forecast_all(study, result, final_intervals(study, result), study.series)
    scored = score(final, study.series, plan, None, HORIZON)
    in_order = table.sort_values([c.STORE_ID, c.DATE], ignore_index=True)
    pd.testing.assert_frame_equal(in_order, scored, rtol=0, atol=1e-9)
    test = study.windows[-1]
    again = before_test.blend(study.series.until(test + 1), plan)
    np.testing.assert_allclose(result.y_hat[BLEND, test], again, rtol=0, atol=1e-9)


@pytest.mark.parametrize("changed", ["events", "holidays"])
def test_plan_and_holidays_of_the_champion_would_have_been_others(kept, run, changed):
    """That the forecasts above are equal says something."""
    study, result = run
    final = study.kept.final
    recipe = {**final.recipe, "holidays": kept.final.recipe["holidays"]}
    of_old = {"events": {"events": kept.final.events}, "holidays": {"recipe": recipe}}
    old = dataclasses.replace(final, **of_old[changed]).blend(study.series)
    rest = ~study.attempted
    difference = np.abs(old - result.y_hat[BLEND, study.last])[rest]
    assert difference.max() > 0.01 * old[rest].mean()


def test_names_that_the_champion_does_not_know_are_told(run):
    study, _ = run
    assert [notice.subject for notice in study.calendar.notices()] == ["sale"]
