"""Holes in the data, against a plain walk over the days."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import gaps

START = pd.Timestamp("2024-01-01")


def panel_of(sold):
    """A panel from `{store: [transactions by day]}`."""
    parts = [
        pd.DataFrame(
            {
                c.STORE_ID: store,
                c.DATE: pd.date_range(START, periods=len(days)),
                c.TRANSACTIONS: days,
            }
        )
        for store, days in sold.items()
    ]
    panel = pd.concat(parts, ignore_index=True)
    return panel.assign(**{c.Y: panel[c.TRANSACTIONS] * 2.0})


def stores_of(panel, partner=None, kind="regular"):
    ids = panel[c.STORE_ID].unique()
    last = panel[panel[c.TRANSACTIONS] > 0].groupby(c.STORE_ID)[c.DATE].max()
    return pd.DataFrame(
        {
            c.STORE_ID: ids,
            c.PARTNER_CODE: [partner or store[0] for store in ids],
            c.STORE_CLASS: kind,
            c.LAST_DATE: pd.to_datetime(pd.Series([last.get(store) for store in ids])),
        }
    )


def walked(days, least):
    """Runs of days without a transaction after one that has some, day by day; START, run."""
    found, run, seen = [], 0, False
    for number, count in enumerate(days):
        if count > 0:
            if seen and run >= least:
                found.append((START + pd.Timedelta(days=number - run), run))
            run, seen = 0, True
        else:
            run += 1
    if seen and run >= least:
        found.append((START + pd.Timedelta(days=len(days) - run), run))
    return found


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=60), min_size=1, max_size=4))
def test_gaps_are_those_of_a_walk(stores):
    end = max(map(len, stores))  # a panel goes on to the last day of the data
    stores = [days + [0] * (end - len(days)) for days in stores]
    panel = panel_of({f"A_{k}": days for k, days in enumerate(stores)})
    found = gaps.store_gaps(panel, stores_of(panel))
    mine = {(row.store_id, row.first, row.days) for row in found.itertuples()}
    expected = {
        (f"A_{k}", first, run)
        for k, days in enumerate(stores)
        for first, run in walked(days, gaps.STORE_GAP)
    }
    assert mine == expected
    assert (found["last"] - found["first"]).dt.days.add(1).tolist() == found["days"].tolist()
    assert found["days"].is_monotonic_decreasing


def test_only_regular_stores_have_gaps():
    panel = panel_of({"A_1": [1, *[0] * 20, 1]})
    assert len(gaps.store_gaps(panel, stores_of(panel))) == 1
    assert gaps.store_gaps(panel, stores_of(panel, kind="intermittent")).empty


def test_partner_gap_is_a_day_on_which_none_of_its_stores_sold():
    panel = panel_of({"A_1": [1, 0, 0, 1, 1], "A_2": [1, 0, 1, 0, 1], "B_1": [1, 0, 0, 0, 1]})
    found = gaps.partner_gaps(panel, stores_of(panel))
    day = pd.Timedelta(days=1)
    assert found.to_numpy().tolist() == [
        ["B", START + day, START + 3 * day, 3],
        ["A", START + day, START + day, 1],
    ]


def test_a_partner_whose_newest_file_is_missing_is_told_and_one_that_has_gone_is_not():
    panel = panel_of({"A_1": [1] * 5 + [0] * 3, "B_1": [1] * 8, "C_1": [1, 0, 1] + [0] * 5})
    stores = stores_of(panel)
    stores.loc[stores[c.STORE_ID] == "C_1", c.STORE_CLASS] = "dormant"
    day = pd.Timedelta(days=1)
    assert gaps.partner_gaps(panel, stores).to_numpy().tolist() == [
        ["A", START + 5 * day, START + 7 * day, 3],
        ["C", START + day, START + day, 1],
    ]


def test_dormant_stores_come_with_their_silence():
    panel = panel_of({"A_1": [3, *[0] * 80], "A_2": [5, 1, *[0] * 79], "A_3": [1] * 81})
    stores = stores_of(panel)
    stores[c.STORE_CLASS] = np.where(stores[c.STORE_ID] == "A_3", "regular", "dormant")
    found = gaps.dormant_stores(panel, stores)
    assert found[[c.STORE_ID, "days", "sold"]].to_numpy().tolist() == [
        ["A_2", 79, 12.0],
        ["A_1", 80, 6.0],
    ]


def usual(days):
    """Gaps of a partner that are told, day by day; START, run."""
    rows = [number for number, count in enumerate(days) if count > 0]
    steps = [later - earlier for earlier, later in pairwise(rows)]
    long = max(gaps.STORE_GAP, gaps.SELDOM * (np.median(steps) if steps else 1))
    found = [((first - START).days, run) for first, run in walked(days, 1)]
    in_long = {k for first, run in found if run >= long for k in range(first, first + run)}
    closed = set()
    for weekday in range(7):
        judged = [k for k in range(rows[0], len(days)) if k % 7 == weekday and k not in in_long]
        without = sum(days[k] == 0 for k in judged)
        if len(judged) >= gaps.MIN_WEEKS and without > len(judged) - without:
            closed.add(weekday)
    return [
        (START + pd.Timedelta(days=first), run)
        for first, run in found
        if run >= long or {k % 7 for k in range(first, first + run)} - closed
    ]


@settings(max_examples=60)
@given(st.floats(0.02, 0.98), st.lists(st.booleans(), min_size=7, max_size=7), st.randoms())
def test_gaps_of_a_partner_are_those_of_a_walk(busy, open_on, random):
    days = [1, *(int(open_on[k % 7] and random.random() < busy) for k in range(1, 120))]
    panel = panel_of({"A_1": days, "B_1": [1] * 120})
    found = gaps.partner_gaps(panel, stores_of(panel))
    assert set(found[c.PARTNER_CODE]) <= {"A"}
    assert sorted(zip(found["first"], found["days"], strict=True)) == usual(days)


def test_a_hole_is_told_and_the_usual_closing_day_is_not():
    closed = [int(k % 7 != 6) for k in range(200)]
    holes = {"A_1": [1] * 200, "B_1": closed.copy(), "C_1": closed.copy()}
    holes["A_1"][90] = holes["B_1"][100] = 0  # a Saturday, a Wednesday; of B the only one
    holes["C_1"][103:106] = [0, 0, 0]  # Saturday, closed Sunday, Monday
    panel = panel_of(holes)
    day = pd.Timedelta(days=1)
    assert gaps.partner_gaps(panel, stores_of(panel)).to_numpy().tolist() == [
        ["C", START + 103 * day, START + 105 * day, 3],
        ["A", START + 90 * day, START + 90 * day, 1],
        ["B", START + 100 * day, START + 100 * day, 1],
    ]


def test_a_partner_that_seldom_sells_is_told_once_it_is_silent_for_long():
    rng = np.random.default_rng(1)
    seldom = (rng.random(400) < 0.2).astype(int)
    seldom[-1] = 1
    panel = panel_of({"A_1": seldom, "B_1": [1] * 400})
    assert gaps.partner_gaps(panel, stores_of(panel)).empty
    seldom[200:260] = 0
    panel = panel_of({"A_1": seldom, "B_1": [1] * 400})
    assert gaps.partner_gaps(panel, stores_of(panel))["days"].between(60, 80).tolist() == [True]


def test_partners_without_a_gap_have_none():
    panel = panel_of({"A_1": [1] * 5})
    assert gaps.partner_gaps(panel, stores_of(panel)).empty


def test_a_hole_longer_than_all_other_days_hides_no_other():
    days = [*[1] * 60, *[0] * 200, *[1] * 20, 0, *[1] * 20]
    panel = panel_of({"A_1": days})
    assert gaps.partner_gaps(panel, stores_of(panel))["days"].tolist() == [200, 1]


@pytest.mark.parametrize("function", [gaps.store_gaps, gaps.partner_gaps, gaps.dormant_stores])
def test_inputs_stay_as_they_are(function):
    panel = panel_of({"A_1": [1, *[0] * 20, 1]})
    stores = stores_of(panel)
    before = panel.copy(), stores.copy()
    function(panel, stores)
    pd.testing.assert_frame_equal(panel, before[0])
    pd.testing.assert_frame_equal(stores, before[1])
