"""Events by store and day against a loop over everything; what a campaign does to forecasts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifemiles_forecasting.core import backtest, leakage
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.config import CatBoostSettings, PooledSettings
from lifemiles_forecasting.core.event_days import (
    FAR,
    MOST_NAMES,
    OTHERS,
    TIMING,
    EventDays,
    not_learned,
    notices,
)
from lifemiles_forecasting.core.events import no_events, parse_events
from lifemiles_forecasting.core.study import build_study, prepare
from lifemiles_forecasting.core.synthetic import generate_series, small_settings, with_campaigns

DAYS = np.datetime64("2024-01-01") + np.arange(40)
HEADER = "partner_code,store_code,start_date,end_date,name,value\n"


def stores_of(*codes):
    frame = pd.DataFrame(codes, columns=[c.PARTNER_CODE, c.STORE_CODE])
    frame[c.STORE_ID] = frame[c.PARTNER_CODE] + "_" + frame[c.STORE_CODE]
    return frame


STORES = stores_of(("A", "1"), ("A", "2"), ("B", "1"), ("B", "03"), ("C", "9"))


def plan(*rows):
    return parse_events(HEADER + "\n".join(rows), "events.csv")


def slow_days(events, stores, days):
    """(S, D, E) by looking at every event for every store and day."""
    names = [*sorted({f"event:{name}" for name in events[c.NAME]}), *TIMING]
    values = np.zeros((len(stores), len(days), len(names)))
    for s, store in stores.iterrows():
        for d, day in enumerate(days):
            on = [
                event
                for _, event in events.iterrows()
                if event[c.PARTNER_CODE] in ("", store[c.PARTNER_CODE])
                and event[c.STORE_CODE] in ("", store[c.STORE_CODE])
                and event[c.START_DATE] <= pd.Timestamp(day) <= event[c.END_DATE]
            ]
            for event in on:
                values[s, d, names.index(f"event:{event[c.NAME]}")] += event[c.VALUE]
            if on:
                age = [(pd.Timestamp(day) - event[c.START_DATE]).days + 1 for event in on]
                left = [(event[c.END_DATE] - pd.Timestamp(day)).days + 1 for event in on]
                values[s, d, -2:] = min([FAR, *age]), min([FAR, *left])
    return names, values


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["", "A", "B", "X"]),
        st.sampled_from(["", "1", "03", "77"]),
        st.integers(-40, 50),
        st.integers(0, 50),
        st.sampled_from(["doble", "triple", "aniversario"]),
        st.sampled_from([1, 2, 0.5, -1]),
    ),
    max_size=6,
)


@given(EVENTS)
@settings(max_examples=30)
def test_events_by_day_equal_their_slow_form(rows):
    events = plan(
        *(f"{p},{s},{DAYS[0] + a},{DAYS[0] + a + n},{name},{v}" for p, s, a, n, name, v in rows)
    )
    names, slow = slow_days(events, STORES, DAYS)
    found = EventDays.of(events, STORES, DAYS)
    if found is None:
        assert not slow.any()
        return
    fast = found.of_days(slice(None))
    assert fast.dtype == np.float32
    assert set(found.names) <= set(names)
    for k, name in enumerate(names):  # a name that no store has on any of the days is left out
        expected = fast[:, :, found.names.index(name)] if name in found.names else 0 * slow[:, :, k]
        np.testing.assert_array_equal(expected, slow[:, :, k], err_msg=name)


def test_stores_of_a_partner_share_their_days():
    events = plan("A,,2024-01-05,2024-01-06,doble,2", "B,03,2024-01-05,2024-01-06,doble,2")
    found = EventDays.of(events, STORES, DAYS)
    assert len(found.values) == 3  # partner A, store B_03, everyone else
    assert found.group[0] == found.group[1]
    assert found.group[2] == found.group[4]
    np.testing.assert_array_equal(found.take(np.array([3])).of_days(slice(4, 5)), [[[2, 1, 2]]])


NOT_HERE = [f"X,,2024-01-01,2024-01-01,theirs,{k}" for k in range(9)]


def test_rarer_names_share_a_feature():
    often = [
        *NOT_HERE,
        *(f",,2024-01-0{day},2024-01-0{day},n{k:02d},1" for k in range(20) for day in (1, 2)),
    ]
    rare = [",,2024-01-09,2024-01-09,rare,3", ",,2024-01-09,2024-01-09,rarer,4"]
    events = plan(*rare, *often)
    found = EventDays.of(events, STORES, DAYS)
    assert len(found.names) == MOST_NAMES + 1 + len(TIMING)
    assert (found.of_days(slice(8, 9))[:, 0, found.names.index(OTHERS)] == 7).all()
    assert found.notices() == [
        ("rare", "events", "event_among_others", 5),
        ("rarer", "events", "event_among_others", 5),
    ]


def test_nothing_on_these_days_is_nothing():
    assert EventDays.of(no_events(), STORES, DAYS) is None
    assert EventDays.of(plan(",,2023-01-05,2023-12-31,doble,2"), STORES, DAYS) is None
    assert notices(no_events(), STORES, DAYS, 28) == []


def test_notices_name_what_will_not_work():
    events = plan(
        "X,,2024-01-05,2024-01-06,doble,2",
        "X,7,2024-01-05,2024-01-06,doble,2",
        "A,77,2024-01-05,2024-01-06,doble,2",
        ",88,2024-01-05,2024-01-06,doble,2",
        "A,,2024-02-25,2024-02-26,triple,3",  # ahead, never before
        "B,,2024-02-25,2024-02-26,doble,2",  # ahead, and its name had only unknown stores
        "C,,2024-01-05,2024-01-06,once,2",
        "C,,2024-02-25,2024-02-26,once,2",
        "C,,2025-03-05,2025-03-06,never in sight,2",
    )
    assert notices(events, STORES, DAYS, 28) == [
        ("X", "events", "unknown_partner", 0),
        ("A_77", "events", "unknown_store", 0),
        ("88", "events", "unknown_store", 0),
        ("doble", "events", "event_without_past", 2),
        ("triple", "events", "event_without_past", 2),
    ]


def test_inputs_are_not_modified():
    events = plan("A,,2024-01-05,2024-01-06,doble,2")
    before, stores = events.copy(), STORES.copy()
    EventDays.of(events, stores, DAYS)
    notices(events, stores, DAYS, 28)
    pd.testing.assert_frame_equal(events, before)
    pd.testing.assert_frame_equal(stores, STORES)


# --- what a campaign does

EFFECT = 0.6  # more than on the same day without the campaign
LENGTH, HORIZON, DAYS_BACK = 5, 14, 364
STARTS = (20, 70, 110, 160, 205, 250, 290, 330, DAYS_BACK + 4)  # the last one is only planned


@pytest.fixture(scope="module")
def campaign():
    """Series in which partner P0 sells more on the days of its campaign, and the plan of it."""
    usual = generate_series(n_stores=16, n_days=DAYS_BACK)
    made, events = with_campaigns(usual, "P0", STARTS, LENGTH, EFFECT)
    theirs = (usual.series.stores[c.PARTNER_CODE] == "P0").to_numpy()
    steady = np.array([kind in ("weekly", "payday", "closed_sunday") for kind in made.kinds])
    groups = {"theirs": theirs & steady, "others": ~theirs & steady}
    ahead = slice(DAYS_BACK, DAYS_BACK + HORIZON)
    normal, boosted = usual.expected[:, ahead], made.expected[:, ahead]
    return made.series, events, normal, groups, (boosted > normal).any(axis=0)


@pytest.fixture(scope="module")
def lifts(campaign):
    """Forecast over the normal level, by group of stores, on days of the campaign and others."""
    series, events, normal, groups, on = campaign
    sizes = {"one": CatBoostSettings(iterations=150, depth=6, learning_rate=0.1)}
    rules = small_settings(candidates=("base", "direct"), direct=PooledSettings(sizes=sizes))

    def measure(events):
        chosen, attempted = prepare(series, HORIZON, 56, None)
        study = build_study(chosen, attempted, HORIZON, rules, 7, events=events)
        result = backtest.run(study)
        return {
            (name, group, days): result.y_hat[name, study.last][rows][:, at].sum()
            / normal[rows][:, at].sum()
            for name in ("direct", "blend")
            for group, rows in groups.items()
            for days, at in (("campaign", on), ("usual", ~on))
        }

    return {"with": measure(events), "without": measure(None)}


def test_a_planned_campaign_lifts_its_own_days_by_about_its_effect(lifts):
    planned, unknown = lifts["with"], lifts["without"]
    assert planned["direct", "theirs", "campaign"] == pytest.approx(1 + EFFECT, abs=0.15)
    assert unknown["direct", "theirs", "campaign"] < 1.15
    # the base knows nothing of campaigns and has its share of the blend
    assert 1 + EFFECT / 2 < planned["blend", "theirs", "campaign"] < 1 + EFFECT
    assert unknown["blend", "theirs", "campaign"] < 1.15


def test_a_planned_campaign_leaves_other_days_and_stores_alone(lifts):
    for key, lift in lifts["with"].items():
        if key[1:] != ("theirs", "campaign"):
            assert lift == pytest.approx(1, abs=0.1), key


@pytest.mark.parametrize("origin", [100, 190])
def test_event_features_are_known_and_read_no_sale(made, origin):
    dates = made.series.dates
    text = f"P0,,{dates[95]},{dates[110]},doble,2\nP1,0008,{dates[191]},{dates[199]},triple,3"
    build = leakage.features(14, plan(text))
    seen = build(made.series, origin)
    assert {"event:doble", "event:triple", *TIMING} <= seen.keys()
    assert seen["event:doble" if origin == 100 else "event:triple"].any()
    assert leakage.future_perturbation(build, made.series, origin) == []


def test_no_forecast_of_a_run_with_events_reads_the_future(made):
    dates = made.series.dates
    starts = dates[0] + np.arange(70, 225, 15)
    rows = [f"P0,,{day},{day + 2},doble,2" for day in starts]
    rules = small_settings(candidates=("base", "direct", "ridge"))
    build = leakage.forecasts(14, rules, 65, 7, plan(*rows))
    assert leakage.future_perturbation(build, made.series, len(dates) - 15) == []


@pytest.mark.parametrize(("before", "told"), [(DAYS[0] - 1, True), (DAYS[0], False)])
def test_past_before_the_first_day_of_the_data_teaches_nothing(before, told):
    ahead = DAYS[-1] + 3
    events = plan(f",,{before - 2},{before},promo,2", f",,{ahead},{ahead},promo,2")
    expected = [("promo", "events", "event_without_past", len(STORES))] if told else []
    assert notices(events, STORES, DAYS, 28) == expected


@pytest.mark.parametrize("name", ["Millas dobles", "MILLAS  DOBLES", "Míllas Dobles"])
def test_event_is_known_by_its_name_however_it_is_written(name):
    events, learned = plan(f",,2024-01-05,2024-01-06,{name},2"), {"event:Millas dobles", OTHERS}
    assert EventDays.of(events, STORES, DAYS, learned).names == ("event:Millas dobles", *TIMING)
    assert not_learned(events, learned, DAYS) == []


def test_names_that_a_model_did_not_learn_are_told_if_they_are_ahead():
    learned = {"event:doble", OTHERS}
    events = plan(
        ",,2024-01-05,2024-01-06,doble,2",
        ",,2024-01-05,2024-01-06,nueva,2",
        ",,2023-01-05,2023-01-06,vieja,2",
    )
    assert not_learned(events, learned, DAYS) == ["nueva"]
