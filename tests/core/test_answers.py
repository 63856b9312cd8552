"""Questions to the forecasts of all stores: every row gets its answer, in its place."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.answers import Answers
from lifemiles_forecasting.core.errors import InputError

STORES, HORIZON = ("A_1", "A_2", "B_1"), 5
NUMBERS = [c.FORECAST, "lower_80", "upper_80", "lower_95", "upper_95"]


def forecasts():
    frame = pd.DataFrame(
        {
            c.STORE_ID: np.repeat(STORES, HORIZON),
            c.PARTNER_CODE: np.repeat([name[0] for name in STORES], HORIZON),
            c.STORE_CODE: np.repeat([name[2] for name in STORES], HORIZON),
            c.DATE: np.tile(pd.date_range("2024-03-01", periods=HORIZON), len(STORES)),
            c.HORIZON: np.tile(np.arange(1, HORIZON + 1), len(STORES)),
            c.STATUS: "ok",
        }
    )
    for place, name in enumerate(NUMBERS):
        frame[name] = np.arange(len(frame)) + place / 10
    return frame[list(c.FORECASTS)]


@pytest.fixture(scope="module")
def answers():
    return Answers(forecasts())


rows = st.lists(
    st.tuples(
        st.sampled_from([*STORES, "A_3", "", "A_1'; --", "../A_1"]),
        st.one_of(st.none(), st.integers(-3, 9)),
    ),
    min_size=1,
    max_size=12,
)


@given(rows)
def test_every_row_has_its_answer_in_its_place(asked):
    """Against a look-up row by row."""
    table = forecasts().set_index([c.STORE_ID, c.HORIZON])
    frame = pd.DataFrame(asked, columns=[c.STORE_ID, c.HORIZON]).astype({c.HORIZON: "Int64"})
    found = Answers(forecasts()).of(frame).to_dict("records")
    for store, day in asked:
        whole = day is None and store in STORES
        for ahead in range(1, HORIZON + 1) if whole else [day]:
            row = found.pop(0)
            assert row[c.STORE_ID] == store
            if (store, ahead) in table.index:
                assert row[c.STATUS] == "ok"
                assert [row[name] for name in NUMBERS] == list(table.loc[(store, ahead), NUMBERS])
                assert row[c.HORIZON] == ahead
            else:
                expected = "outside_horizon" if store in STORES else "unknown_store"
                assert row[c.STATUS] == expected
                assert all(row[name] is None for name in NUMBERS)
                assert row[c.HORIZON] == day
    assert found == []


@pytest.mark.parametrize(
    ("name", "day"),
    [(c.HORIZON, 10**12), (c.HORIZON, 10**30), (c.DATE, "9999-12-31"), (c.DATE, "0001-01-01")],
)
def test_a_day_far_off_is_outside_the_horizon_and_not_told_back(answers, name, day):
    (row,) = answers.of(pd.DataFrame({c.STORE_ID: ["A_1"], name: [day]})).to_dict("records")
    assert (row[c.STATUS], row[c.HORIZON], row[c.DATE]) == ("outside_horizon", None, None)


def test_a_date_is_the_day_that_it_names_in_any_time_zone(answers):
    days = [
        "2024-03-02T23:30:00-05:00",
        pd.Timestamp("2024-03-02 23:30", tz="America/Bogota"),
        date(2024, 3, 2),
    ]
    found = answers.of(pd.DataFrame({c.STORE_ID: "B_1", c.DATE: days}))
    assert list(found[c.HORIZON]) == [2, 2, 2]


def test_dates_are_days_ahead(answers):
    days = ["2024-03-01", "2024-03-05T12:00:00Z", pd.Timestamp("2024-03-02"), "2024-03-06"]
    found = answers.of(pd.DataFrame({c.STORE_ID: "B_1", c.DATE: days}))
    assert list(found[c.HORIZON]) == [1, 5, 2, 6]
    assert list(found[c.STATUS]) == ["ok", "ok", "ok", "outside_horizon"]
    assert found[c.DATE].iloc[3] == pd.Timestamp("2024-03-06")


def test_horizon_goes_before_date(answers):
    asked = {c.STORE_ID: ["A_2", "A_2"], c.HORIZON: [4, None], c.DATE: ["2024-03-01"] * 2}
    assert list(answers.of(pd.DataFrame(asked))[c.HORIZON]) == [4, 1]


def test_an_unknown_store_is_valid_json(answers):
    found = answers.of(pd.DataFrame({c.STORE_ID: ["nobody", "A_1"], c.HORIZON: [2, 2]}))
    text = json.dumps(found.drop(columns=c.DATE).to_dict("records"), allow_nan=False)
    assert '"status": "unknown_store"' in text


def test_no_rows_no_answers(answers):
    empty = pd.DataFrame({c.STORE_ID: pd.Series(dtype=object)})
    assert answers.of(empty).empty
    assert tuple(answers.of(empty).columns) == c.FORECASTS


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({c.HORIZON: [1]}, "found a row without store_id; expected one in every row"),
        ({c.STORE_ID: ["A_1", None]}, "found a row without store_id; expected one in every row"),
        ({c.STORE_ID: ["A_1"], c.HORIZON: [1.5]}, "found horizon 1.5; expected whole days ahead"),
        ({c.STORE_ID: ["A_1"], c.HORIZON: ["x"]}, "found horizon 'x'; expected whole days ahead"),
        (
            {c.STORE_ID: [101]},
            "found store_id 101; expected text. A number would lose leading zeros",
        ),
        ({c.STORE_ID: ["A_1"], c.HORIZON: [True]}, "found horizon True; expected whole days ahead"),
        ({c.STORE_ID: ["A_1"], c.DATE: [20240301]}, "found date 20240301; expected YYYY-MM-DD"),
        ({c.STORE_ID: ["A_1"], c.DATE: ["1 Mar"]}, "found date '1 Mar'; expected YYYY-MM-DD"),
    ],
)
def test_what_cannot_be_read_is_refused(answers, asked, message):
    with pytest.raises(InputError, match=message):
        answers.of(pd.DataFrame(asked))
