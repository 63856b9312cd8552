"""The gate: every bound holds on its own, and the champion is measured on days it has not seen."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import backtest, gate
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.backtest import BLEND
from lifemiles_forecasting.core.config import (
    CatBoostSettings,
    DataSettings,
    GateSettings,
    PooledSettings,
    ReportSettings,
)
from lifemiles_forecasting.core.events import no_events
from lifemiles_forecasting.core.fleet_of_run import fleet_of_run, recipe_of
from lifemiles_forecasting.core.synthetic import generate_series, with_campaigns, with_values
from lifemiles_forecasting.report.texts import TEXTS

REPORT = ReportSettings(tiers={"ONE": {"min_r2": 0.5, "max_smape": 20}}, metrics=())
GOOD = {"success_rate": 100.0, "bias": 3.0, "wape": 30.0, "naive_wape": 40.0}


def covered(verdict="ok", share=80.0):
    row = dict.fromkeys(c.COVERAGE, 0)
    row |= {c.GROUP: "overall", c.VALUE: "all", c.VERDICT: verdict, "coverage_80_open": share}
    return pd.DataFrame([row | {"open_points": 5_000}])


def fleet(study, result, everyone, events=None, **how):
    recipe = recipe_of(study, result, "billings", DataSettings(columns={}))
    plan = no_events() if events is None else events
    return fleet_of_run(study, result, everyone, recipe, plan, **how)


def facts_of(study, result, events=None):
    plan = no_events() if events is None else events
    return gate.Tested(study, result, "billings", study.series, GOOD, covered(), plan)


@pytest.fixture(scope="module")
def new(study, result):
    return facts_of(study, result)


@pytest.fixture(scope="module")
def itself(study, result):
    """A champion that was trained on the same data in the same way."""
    return gate.Incumbent("3", fleet(study, result, study.series, before_test=True))


@pytest.fixture(scope="module")
def earlier(study, make_study):
    """A champion that was trained two weeks ago."""
    known = study.series.until(len(study.series.dates) - 14)
    before = make_study(known, min_samples=60)
    return gate.Incumbent("2", fleet(before, backtest.run(before), known, before_test=True))


def judge(new, incumbent=None, **changes):
    settings = GateSettings(**changes.pop("settings", {}))
    return gate.judge(dataclasses.replace(new, **changes), incumbent, settings, REPORT)


def test_first_model_passes_by_itself(new):
    verdict = judge(new)
    assert verdict.passed
    assert gate.as_table(verdict, GOOD) == {
        "status": "passed",
        "reasons": [],
        "findings": [],
        "judged_wape": 30.0,
        "champion": "",
    }


def test_table_tells_the_findings_in_words_and_in_figures(new):
    table = gate.as_table(judge(new, measured=GOOD | {"bias": 12.25}), GOOD)
    assert table["status"] == "failed"
    assert table["reasons"] == ["bias +12.2 %, expected within 10 % of 0"]
    assert table["findings"] == [{"code": "bias", "figures": {"found": 12.25, "limit": 10.0}}]
    assert json.loads(json.dumps(table)) == table


def test_every_finding_has_words_in_both_languages():
    """The codes as they stand in the source, so that a new one is not forgotten."""
    source = Path(gate.__file__).read_text(encoding="utf-8")
    codes = set(re.findall(r'Finding\("(\w+)"', source))
    assert {"bias", "champion_better", "other_target"} <= codes
    for texts in TEXTS.values():
        assert {f"gate_{code}" for code in (*codes, "limited")} <= set(texts)
        assert {"gate_intervals_too_low", "gate_intervals_too_high"} <= set(texts)


@pytest.mark.parametrize(
    ("figure", "value", "reason"),
    [
        ("success_rate", 94.9, "success rate 94.9 %, expected at least 95 %"),
        ("bias", -10.1, "bias -10.1 %, expected within 10 % of 0"),
        ("bias", 10.1, "bias +10.1 %, expected within 10 % of 0"),
        ("wape", 40.1, "WAPE 40.10 %, expected at most the 40.00 % of the naive forecast"),
        (
            "wape",
            np.nan,
            "WAPE that could not be measured, expected at most the 40.00 % of the naive forecast",
        ),
        ("bias", np.nan, "bias that could not be measured, expected within 10 % of 0"),
    ],
)
def test_each_bound_of_the_model_itself(new, figure, value, reason):
    assert judge(new, measured=GOOD | {figure: value}).reasons == (reason,)


def test_on_the_bounds_it_passes(new):
    measured = {"success_rate": 95.0, "bias": -10.0, "wape": 40.0, "naive_wape": 40.0}
    assert judge(new, measured=measured).passed


def test_stores_that_sell_the_same_every_day_pass(new):
    """The naive forecast errs by exactly nothing, and a learned one by rounding errors."""
    assert judge(new, measured=GOOD | {"wape": 1e-6, "naive_wape": 0.0}).passed
    assert not judge(new, measured=GOOD | {"wape": 0.01, "naive_wape": 0.0}).passed


def test_a_run_that_counts_as_failed_passes_no_gate(new):
    """A bound of the gate below that of the run does not let it through."""
    settings = new.study.settings.model_copy(update={"max_failed_share": 0.02})
    study = dataclasses.replace(new.study, settings=settings)
    given = {"study": study, "settings": {"min_success_rate": 0}}
    (reason,) = judge(new, measured=GOOD | {"success_rate": 97.9}, **given).reasons
    assert reason == "success rate 97.9 %, expected at least 98 %"
    assert judge(new, measured=GOOD | {"success_rate": 98.0}, **given).passed


def test_intervals_that_do_not_hold_are_a_reason(new):
    (reason,) = judge(new, coverage=covered("too_low", 60.0)).reasons
    assert reason.startswith("the 80 % intervals are too narrow: they hold 60.0 %")


def test_the_same_model_again_is_no_worse(new, itself):
    verdict = judge(new, itself)
    assert verdict.passed
    figures = verdict.figures
    assert figures["wape"] == pytest.approx(figures["champion_wape"], abs=1e-9)
    assert verdict.champion == "3"


def test_figures_are_those_of_the_test_window(new, study, result, itself):
    """Against the sum over the store-days that the backtest's own table has."""
    table = backtest.to_frame(study, result)
    last = table[(table[c.ORIGIN] == table[c.ORIGIN].max()) & (table[c.CANDIDATE] == BLEND)]
    wape = 100 * (last[c.Y] - last[c.Y_HAT]).abs().sum() / last[c.Y].abs().sum()
    figures = judge(new, itself).figures
    assert figures["wape"] == pytest.approx(wape)
    assert figures["store_days"] == len(last)


def test_a_worse_model_stays_a_challenger_and_the_margin_decides(new, study, earlier):
    other = dict(new.result.y_hat)
    key = BLEND, study.windows[-1]
    other[key] = other[key] * 1.6
    worse = dataclasses.replace(new.result, y_hat=other)
    verdict = judge(new, earlier, result=worse)
    (reason,) = verdict.reasons
    ours, theirs = verdict.figures["wape"], verdict.figures["champion_wape"]
    assert ours > 1.01 * theirs
    assert reason == (
        f"WAPE {ours:.2f} % against {theirs:.2f} % of champion version 2 on the same "
        f"{verdict.figures['store_days']:,.0f} store-days, expected at most {1.01 * theirs:.2f} %"
    )
    margin = 100 * (ours / theirs - 1)
    assert judge(new, earlier, result=worse, settings={"wape_margin": margin + 0.01}).passed
    assert not judge(new, earlier, result=worse, settings={"wape_margin": margin - 0.01}).passed


def test_champion_is_measured_without_the_days_of_the_window(new, study, earlier):
    """Its forecast of the window is the same whatever was sold in the window."""
    origin = study.windows[-1]
    y = study.series.y.copy()
    y[:, origin + 1 :] = np.where(np.isfinite(y[:, origin + 1 :]), 1e6, np.nan)
    changed = dataclasses.replace(new.everyone, y=y)
    known = new.everyone.until(origin + 1)
    np.testing.assert_array_equal(
        earlier.fleet.blend(known), earlier.fleet.blend(changed.until(origin + 1))
    )
    assert earlier.fleet.trained_until < study.series.dates[origin]


def test_champion_is_measured_with_the_plan_of_today(make_study):
    """As it would be used: a campaign in the window was planned after the champion's training."""
    made = generate_series(8, 220, of=("weekly",), noise=0.05)
    made, plan = with_campaigns(made, "P0", range(66, 220, 14), 4, 0.8)
    series, known = made.series, made.series.until(206)
    size = {"only": CatBoostSettings(iterations=40, depth=4, learning_rate=0.2)}
    settings = {"candidates": ("base", "direct"), "direct": PooledSettings(sizes=size)}

    def trained(series, events):
        study = make_study(with_values(series, series.y), min_samples=60, events=events, **settings)
        return study, backtest.run(study)

    earlier = plan[plan[c.START_DATE] <= pd.Timestamp(known.origin - 14)]
    old, new = trained(known, earlier), trained(series, plan)
    champion = fleet(*old, known, earlier, before_test=True)
    figures = gate.compare(facts_of(*new, plan), champion)
    origin = new[0].windows[-1]
    y = series.y[:, origin + 1 :]
    by = {
        name: 100 * np.abs(champion.blend(series.until(origin + 1), events) - y).sum() / y.sum()
        for name, events in (("its own", earlier), ("today's", plan))
    }
    assert figures["champion_wape"] == pytest.approx(by["today's"])
    assert by["today's"] < by["its own"] - 1
    assert figures["wape"] == pytest.approx(figures["champion_wape"], abs=1)


def test_stores_that_the_champion_does_not_know_get_its_base():
    """The new run has stores that opened since: they count, by what the champion would say."""
    made = generate_series(n_stores=6, n_days=220)
    known = made.series.take(np.arange(4))
    from lifemiles_forecasting.core.study import build_study, prepare
    from lifemiles_forecasting.core.synthetic import small_settings

    def trained(series):
        chosen, attempted = prepare(series, 14, 60, None)
        study = build_study(chosen, attempted, 14, small_settings(), 7, 60)
        return study, backtest.run(study)

    old, (study, result) = trained(known), trained(made.series)
    incumbent = gate.Incumbent("1", fleet(*old, known, before_test=True))
    new = facts_of(study, result)
    figures = gate.compare(new, incumbent.fleet)
    assert np.isfinite(list(figures.values())).all()
    assert figures["store_days"] == 14 * study.attempted.sum()


def test_what_cannot_be_compared_stays_a_challenger(new, itself, study, result):
    gone = gate.Incumbent("3", None, "no files")
    assert judge(new, gone).reasons == (
        "champion version 3 could not be measured on this window: no files",
    )
    assert judge(new, itself, target="miles").reasons == (
        "target miles, expected billings as champion version 3",
    )
    final = gate.Incumbent("3", fleet(study, result, study.series))
    (reason,) = judge(new, final).reasons
    assert "it cannot be measured on days that it has seen" in reason
    longer = dataclasses.replace(study, horizon=28)
    assert judge(new, itself, study=longer).reasons == (
        "horizon 28, expected 14 as champion version 3",
    )
