"""The audit of a run's own data: it covers everything, names what leaks, and says what it did."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import audit, backtest, fitting, leakage, rows
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.config import AuditSettings
from lifemiles_forecasting.core.errors import InputError, LeakError
from lifemiles_forecasting.core.events import parse_events
from lifemiles_forecasting.core.rows import features_at
from lifemiles_forecasting.core.synthetic import generate_series, small_settings

HORIZON = 14


ALL = ("base", "ets", "direct", "recursive", "local_catboost", "ridge")
FAST = ("base", "direct")


def plan_of(stores=8, origins=2, candidates=ALL, max_iterations=3, **changes):
    settings = AuditSettings(stores=stores, origins=origins, max_iterations=max_iterations)
    given = {"horizon": HORIZON, "min_samples": 65, "seed": 7} | changes
    return audit.AuditPlan(settings, small_settings(candidates=candidates), **given)


@pytest.fixture(scope="module")
def many():
    return generate_series(n_stores=48, n_days=220).series


@pytest.fixture(scope="module")
def table(made):
    """Of every store, with models of as many rounds as in a run of `small_settings`."""
    plan = plan_of(max_iterations=8)
    assert plan.models() == small_settings(candidates=ALL)
    return audit.audit(made.series, plan)


def test_audit_lists_every_feature_candidate_choice_and_bound(made, table):
    assert tuple(table.columns) == c.LEAK_AUDIT
    named = table.groupby("kind")["name"].agg(set)
    last = len(made.series.dates) - 1
    at = features_at(made.series, leakage.Calendar.of(made.series, HORIZON), last, HORIZON)
    assert named["feature"] == set(at.names)
    assert named["candidate"] == {*ALL, "blend", "seasonal_naive", "window_average"}
    assert named["choice"] == {
        *("scale", "tail", "usable", "weights", "sizes", "closed days", "dust floor")
    }
    assert named["interval"] == {"lower_80", "upper_80", "lower_95", "upper_95"}
    dates = made.series.dates
    expected = {str(dates[last - 2 * HORIZON]), str(dates[last - HORIZON])}
    assert set(table[c.ORIGIN]) == expected
    assert set(table["futures"]) == {5}
    assert (table["values"] > 0).all()
    at_both = {*ALL, "blend", "window_average", "dust floor"}
    for origin in expected:
        assert at_both <= set(table.loc[table[c.ORIGIN] == origin, "name"])


def test_honest_code_has_no_leak(table):
    """No feature, forecast, weight, size or interval reads the future."""
    assert not table["changed"].any()
    assert set(table["changed_by"]) == {""}
    audit.refuse_leaks(table, "leak_audit.csv")


def test_planned_events_are_audited_too(made):
    """Every name of the plan has features of its own, and no model that has seen them leaks."""
    first, last = made.series.dates[0], made.series.dates[-1]
    spans = [(first + 20 * k, first + 20 * k + 2) for k in range(1, 12)] + [(last - 2, last + 5)]
    lines = ["start_date,end_date,name", *(f"{start},{end},doble" for start, end in spans)]
    table = audit.audit(
        made.series, plan_of(candidates=FAST, events=parse_events("\n".join(lines), "e.csv"))
    )
    features = set(table.loc[table["kind"] == audit.FEATURE, "name"])
    assert {"event:doble", "event_day", "event_days_left"} <= features
    assert audit.empty(table) == []
    assert not table["changed"].any()


def test_audit_does_not_depend_on_the_number_of_processes(made):
    one = plan_of(origins=1, candidates=FAST)
    two = replace(one, modeling=one.modeling.model_copy(update={"workers": 2}))
    pd.testing.assert_frame_equal(audit.audit(made.series, two), audit.audit(made.series, one))


def test_audit_names_a_leaky_feature_before_what_it_spoils(made, monkeypatch):
    """The whole of tomorrow, under a harmless name."""

    def leaky(series, calendar, origin, horizon):
        at = features_at(series, calendar, origin, horizon)
        peek = np.nan_to_num(series.y[:, min(origin + 1, series.y.shape[1] - 1)])
        column = np.broadcast_to(peek[:, None, None], (*at.X.shape[:2], 1))
        X = np.concatenate([at.X, column.astype(np.float32)], axis=2)
        return replace(at, X=X, names=(*at.names, "momentum"))

    for module in (leakage, fitting, rows):
        monkeypatch.setattr(module, "features_at", leaky)
    found = audit.audit(made.series, plan_of(origins=1, candidates=FAST))
    leaks = found[found["changed"]]
    assert leaks.iloc[0]["name"] == "momentum"
    assert set(leaks.loc[leaks["kind"] == "feature", "name"]) == {"momentum"}
    assert {"direct", "blend"} <= set(leaks.loc[leaks["kind"] == "candidate", "name"])
    assert "louder" in leaks.iloc[0]["changed_by"]
    message = r"audited things that change with the days after their origin: feature 'momentum', "
    with pytest.raises(LeakError, match=message):
        audit.refuse_leaks(found, "leak_audit.csv")


def test_audit_names_bounds_that_were_calibrated_on_the_test_window(made, monkeypatch):
    calibrate = backtest.calibrate
    monkeypatch.setattr(
        backtest, "calibrate", lambda study, y_hat, _: calibrate(study, y_hat, study.windows)
    )
    found = audit.audit(made.series, plan_of(origins=1, candidates=FAST))
    leaks = found[found["changed"]]
    assert set(leaks["kind"]) == {"interval"}
    assert len(leaks) == 4


def test_sample_holds_every_kind_and_is_always_the_same(many):
    sample, kinds = audit.sample_stores(many, plan_of(stores=12))
    assert len(sample.y) == 12
    for kind in ("regular", "intermittent", "crossing", "dormant"):
        assert kind in kinds
    again, _ = audit.sample_stores(many, plan_of(stores=12))
    assert again.store_ids.tolist() == sample.store_ids.tolist()
    other, _ = audit.sample_stores(many, plan_of(stores=12, seed=8))
    assert other.store_ids.tolist() != sample.store_ids.tolist()


def test_sample_of_few_stores_is_all_of_them(made):
    sample, _ = audit.sample_stores(made.series, plan_of(stores=40))
    assert sample.store_ids.tolist() == made.series.store_ids.tolist()


def test_sample_knows_stores_that_open_after_the_first_origin(made):
    y = made.series.y.copy()
    y[3, : -HORIZON - 1] = np.nan
    _, kinds = audit.sample_stores(replace(made.series, y=y), plan_of())
    assert "1 late" in kinds


def test_models_are_lighter_in_iterations_alone():
    plan = plan_of()
    small = plan.models()
    assert small.direct.sizes["large"].iterations == 3
    assert small.local_catboost.sizes["small"].iterations == 3
    assert small.direct.sizes["large"].depth == plan.modeling.direct.sizes["large"].depth
    assert small.candidates == plan.modeling.candidates
    assert (small.n_windows, small.workers) == (2, 1)
    assert plan.modeling.direct.sizes["large"].iterations == 8


def test_origins_are_the_last_windows_that_history_allows(made):
    last = len(made.series.dates) - 1
    assert plan_of(origins=3).origins(made.series) == [last - 42, last - 28, last - 14]
    assert len(plan_of(origins=12, horizon=45).origins(made.series)) == 3


def test_audit_InputError_when_there_is_too_little_history(made):
    with pytest.raises(InputError, match="days of data"):
        audit.audit(made.series.until(80), plan_of(min_samples=28))


def test_summary_says_what_was_audited():
    rows_ = [
        ("feature", "lag_28", "2017-11-05", 28, 5, False, ""),
        ("feature", "lag_28", "2017-12-03", 28, 5, False, ""),
        ("feature", "mean_7", "2017-12-03", 28, 5, False, ""),
        ("candidate", "ridge", "2017-12-03", 0, 5, False, ""),
        ("interval", "lower_80", "2017-12-03", 28, 5, False, ""),
    ]
    assert audit.summary(pd.DataFrame(rows_, columns=c.LEAK_AUDIT)) == (
        "2 features, 1 interval at 2 origins (2017-11-05, 2017-12-03) under 5 futures"
    )


def test_what_has_no_values_is_not_called_audited(table):
    assert audit.empty(table) == []
    none = table.assign(values=table["values"].where(table["name"] != "ridge", 0))
    assert audit.empty(none) == ["candidate 'ridge'"]
    once = none.copy()
    once.loc[once.index[once["name"] == "ridge"][0], "values"] = 3
    assert audit.empty(once) == []


def test_error_names_the_first_leaks_and_counts_the_others():
    rows_ = [("feature", f"f{k}", "2017-12-03", 28, 5, True, "noise") for k in range(15)]
    with pytest.raises(LeakError) as caught:
        audit.refuse_leaks(pd.DataFrame(rows_, columns=c.LEAK_AUDIT), "here.csv")
    message = str(caught.value)
    assert message.startswith("found 15 of 15 audited things that change with the days after")
    assert "feature 'f0', " in message
    assert "'f11' and 3 more; expected none" in message
    assert message.endswith("the whole list is in here.csv")


def test_inputs_are_not_modified(made, table):
    before = made.series.y.copy(), made.series.stores.copy()
    audit.sample_stores(made.series, plan_of())
    np.testing.assert_array_equal(made.series.y, before[0])
    pd.testing.assert_frame_equal(made.series.stores, before[1])
