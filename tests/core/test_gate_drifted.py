"""The gate over a run that trained some stores: what shifted is no reason, what is worse is."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import backtest, coverage, gate, retraining
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.backtest import BLEND
from lifemiles_forecasting.core.config import DataSettings, GateSettings, ReportSettings
from lifemiles_forecasting.core.events import no_events
from lifemiles_forecasting.core.fleet_of_run import fleet_of_run, recipe_of
from lifemiles_forecasting.core.study import build_study, prepare
from lifemiles_forecasting.core.synthetic import generate_series, small_settings, with_values

HORIZON, DRIFTED, LIFT = 14, 3, 1.5
SETTINGS = small_settings(candidates=("base", "ridge"))
REPORT = ReportSettings(
    tiers={"ONE": {"min_r2": 0.5, "max_smape": 20}}, metrics=(), coverage_min_points=30
)


def trained(series, kept=None):
    series = with_values(series, series.y)
    chosen, attempted = prepare(series, HORIZON, 60, None)
    study = build_study(chosen, attempted, HORIZON, SETTINGS, 7, 60, kept=kept)
    return study, backtest.run(study)


@pytest.fixture(scope="module")
def shifted():
    """Thirty stores, of which three sell half as much again since the champion was trained."""
    series = generate_series(30, 240, of=("weekly",), noise=0.12).series
    y = series.y.copy()
    y[:DRIFTED, -HORIZON:] *= LIFT
    return with_values(series, y)


@pytest.fixture(scope="module")
def champion(shifted):
    study, result = trained(shifted.until(len(shifted.dates) - HORIZON))
    recipe = recipe_of(study, result, "billings", DataSettings(columns={}))
    run = (study, result, study.series, recipe, no_events())
    return fleet_of_run(*run), fleet_of_run(*run, before_test=True)


@pytest.fixture(scope="module")
def new(shifted, champion):
    """The run that trains the three anew, with the figures that the report has of them."""
    kept = retraining.Kept("1", *champion, frozenset(shifted.store_ids[:DRIFTED]))
    study, result = trained(shifted, kept)
    origin = study.windows[-1]
    y = backtest.actual(study, origin)[:DRIFTED]
    error = result.y_hat[BLEND, origin][:DRIFTED] - y
    measured = {
        "success_rate": 100.0,
        "bias": 100 * error.sum() / y.sum(),
        "wape": 100 * np.abs(error).sum() / y.sum(),
        "naive_wape": 20.0,
    }
    limits = backtest.window_bounds(study, result)[:DRIFTED]
    covered = coverage.of_window(y, limits, REPORT)
    return gate.Tested(study, result, "billings", study.series, measured, covered, no_events())


def judge(new, champion, **changes):
    given = dataclasses.replace(new, **changes)
    return gate.judge(given, gate.Incumbent("1", champion[1]), GateSettings(), REPORT)


def times(new, factor, rows):
    """The same run with other forecasts of the test window."""
    key = BLEND, new.study.windows[-1]
    y_hat = new.result.y_hat[key].copy()
    y_hat[rows] *= factor
    return dataclasses.replace(new.result, y_hat={**new.result.y_hat, key: y_hat})


def test_stores_that_shifted_do_not_speak_against_the_model_of_all(new, champion):
    assert new.measured["bias"] < -25
    assert new.measured["wape"] > new.measured["naive_wape"]
    assert coverage.flag(new.coverage) == coverage.LOW
    verdict = judge(new, champion)
    assert verdict.reasons == ()
    assert verdict.figures["wape"] == pytest.approx(verdict.figures["champion_wape"], rel=0.01)


def test_bias_and_naive_forecast_are_those_of_all_stores(new, champion):
    """Against the long table of a study that attempts every store."""
    result = times(new, 1.6, slice(None))
    everyone = dataclasses.replace(new.study, attempted=np.ones(len(new.study.series.y), bool))
    table = backtest.to_frame(everyone, result)
    table = table[table[c.ORIGIN] == table[c.ORIGIN].max()]
    table = table.assign(error=table[c.Y_HAT] - table[c.Y])
    sums = pd.DataFrame(
        {
            "bias": table.groupby(c.CANDIDATE)["error"].sum(),
            "wape": table["error"].abs().groupby(table[c.CANDIDATE]).sum(),
        }
    )
    percent = 100 * sums.div(table.groupby(c.CANDIDATE)[c.Y].sum(), axis=0)
    bias, wape = percent.loc[BLEND]
    naive = percent.loc["seasonal_naive", "wape"]
    assert judge(new, champion, result=result).reasons[:2] == (
        f"bias {bias:+.1f} %, expected within 10 % of 0",
        f"WAPE {wape:.2f} %, expected at most the {naive:.2f} % of the naive forecast",
    )


def test_intervals_of_the_kept_stores_have_to_hold(new, champion):
    narrow = dataclasses.replace(new.result.intervals, distance=new.result.intervals.distance / 5)
    result = dataclasses.replace(new.result, intervals=narrow)
    (reason,) = judge(new, champion, result=result).reasons
    points = HORIZON * (30 - DRIFTED)
    assert reason.startswith("the 80 % intervals are too narrow: they hold ")
    assert f"of {points} store-days" in reason


def test_trained_stores_alone_are_compared_with_the_champion(new, champion):
    """Over all stores, what the kept ones add to both would hide it within the margin."""
    result = times(new, 0.95, slice(DRIFTED))
    verdict = judge(new, champion, result=result)
    assert verdict.figures["store_days"] == HORIZON * DRIFTED
    assert [finding.code for finding in verdict.findings] == ["champion_better"]
    unseen = judge(new, champion, result=times(new, 0.95, slice(DRIFTED, None)))
    assert unseen.figures == judge(new, champion).figures


def test_models_of_another_champion_are_not_compared(new, champion):
    """Over the trained stores alone nothing would be said of those that are kept."""
    verdict = gate.judge(new, gate.Incumbent("2", champion[1]), GateSettings(), REPORT)
    assert verdict.reasons == (
        "it keeps models of version 1, expected those of champion version 2",
    )
