"""Questions to the real server: the answers are those of forecasts.csv, and strict JSON."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lifemiles_forecasting.core import columns as c

ROOT = Path(__file__).parents[2]
STORE, OTHER, ODD = "P0_0000", "P0_0001", 'P1_O\'Hara "ñandú" <script>alert(1)</script>'
HORIZON, FIRST, SECOND, LAST = 14, "2024-01-01", "2024-01-02", "2024-01-14"
NUMBERS = [c.FORECAST, "lower_80", "upper_80", "lower_95", "upper_95"]


def assert_blank(row, store, status):
    assert (row[c.STORE_ID], row[c.STATUS]) == (store, status)
    assert all(row[name] is None for name in NUMBERS)


def test_one_store_one_day_by_horizon_or_by_date(server, registered):
    for row in ({c.HORIZON: 2}, {c.DATE: SECOND}, {c.DATE: f"{SECOND}T23:30:00-05:00"}):
        registered.assert_rows(server.ask({c.STORE_ID: STORE, **row}), (STORE, 2))


@pytest.mark.parametrize("nothing", [{}, {c.HORIZON: None}, {c.DATE: None}])
def test_a_store_without_a_day_is_asked_for_its_whole_horizon(server, registered, nothing):
    answers = server.ask({c.STORE_ID: STORE, **nothing})
    registered.assert_rows(answers, (STORE,))
    assert [row[c.HORIZON] for row in answers] == list(range(1, HORIZON + 1))
    assert (answers[0][c.DATE], answers[-1][c.DATE]) == (FIRST, LAST)


def test_all_stores_at_once_are_forecasts_csv(server, registered):
    stores = registered.forecasts[c.STORE_ID].unique()[::-1]
    assert ODD in stores
    answers = server.ask(*({c.STORE_ID: store} for store in stores))
    registered.assert_rows(answers, *((store,) for store in stores))
    assert len(answers) == len(registered.forecasts) == 10 * HORIZON
    assert {row[c.STATUS] for row in answers} == {"ok", "dormant"}


def test_rows_with_and_without_a_day_are_answered_in_their_order(server, registered):
    asked = [
        {c.STORE_ID: OTHER, c.HORIZON: 3},
        {c.STORE_ID: STORE},
        {c.STORE_ID: "nobody", c.HORIZON: 1},
        {c.STORE_ID: ODD, c.DATE: LAST},
    ]
    answers = server.ask(*asked)
    registered.assert_rows(answers[:15], (OTHER, 3), (STORE,))
    assert_blank(answers[15], "nobody", "unknown_store")
    registered.assert_rows(answers[16:], (ODD, HORIZON))


@pytest.mark.parametrize(
    "form",
    [
        {"dataframe_split": {"columns": [c.STORE_ID, c.HORIZON], "data": [[STORE, 2], [ODD, 1]]}},
        {"instances": [{c.STORE_ID: STORE, c.HORIZON: 2}, {c.STORE_ID: ODD, c.HORIZON: 1}]},
        {"inputs": {c.STORE_ID: [STORE, ODD], c.HORIZON: [2, 1]}},
        {"inputs": {c.STORE_ID: [STORE, ODD], c.DATE: [SECOND, FIRST]}},
    ],
)
def test_every_form_of_mlflow_has_the_same_answer(server, registered, form):
    answer = server.post(form)
    assert answer.status == 200
    registered.assert_rows(answer.json["predictions"], (STORE, 2), (ODD, 1))


@pytest.mark.parametrize(
    "store",
    [
        "nobody",
        "",
        "P0_0000' OR '1'='1",
        '"; DROP TABLE runs; --',
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "tienda_ñandú_日本_🛒",
        "null\x00byte",
        "x" * 300,
    ],
)
def test_a_store_that_is_not_known_is_a_row_and_says_so(server, store):
    asked = ({c.STORE_ID: store, c.HORIZON: 1}, {c.STORE_ID: store})
    dated, undated = server.ask(*asked)
    assert_blank(dated, store, "unknown_store")
    assert (dated[c.HORIZON], dated[c.DATE]) == (1, FIRST)
    assert_blank(undated, store, "unknown_store")
    assert (undated[c.HORIZON], undated[c.DATE]) == (None, None)


@pytest.mark.parametrize(
    ("day", "horizon", "date_told"),
    [
        ({c.HORIZON: 0}, 0, "2023-12-31"),
        ({c.HORIZON: -1}, -1, "2023-12-30"),
        ({c.HORIZON: HORIZON + 1}, HORIZON + 1, "2024-01-15"),
        ({c.DATE: "2023-12-31"}, 0, "2023-12-31"),
        ({c.DATE: "2024-02-29"}, 60, "2024-02-29"),
        ({c.HORIZON: 10**30}, None, None),
        ({c.DATE: "9999-12-31"}, None, None),
        ({c.DATE: "0001-01-01"}, None, None),
    ],
)
def test_a_day_outside_the_horizon_is_a_row_and_says_so(server, day, horizon, date_told):
    (row,) = server.ask({c.STORE_ID: STORE, **day})
    assert_blank(row, STORE, "outside_horizon")
    assert (row[c.HORIZON], row[c.DATE]) == (horizon, date_told)


def one(**values):
    return {"dataframe_records": [{c.STORE_ID: STORE, **values}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"dataframe_records": [', "Ensure that input is a valid JSON"),
        ("", "Ensure that input is a valid JSON"),
        (b"\xff\xfe", "Ensure that input is a valid JSON"),
        ("[]", "must be a JSON dictionary"),
        ({}, "must be a JSON dictionary with exactly one of the input fields"),
        ({"dataframe_records": []}, "Model is missing inputs ['store_id']"),
        ({"dataframe_records": [{"horizon": 1}]}, "Model is missing inputs ['store_id']"),
        ({"instances": [1]}, "Model is missing inputs ['store_id']"),
        (one(store_id=101), "found store_id 101; expected text. A number would lose leading zeros"),
        (one(store_id=["A"]), "found store_id ['A']; expected text"),
        (one(store_id=None), "found a row without store_id; expected one in every row"),
        (one(horizon="soon"), "found horizon 'soon'; expected whole days ahead"),
        (one(horizon=1.5), "found horizon 1.5; expected whole days ahead"),
        (one(horizon=True), "found horizon True; expected whole days ahead"),
        (one(horizon=[1]), "found horizon [1]; expected whole days ahead"),
        (one(horizon=float("inf")), "found horizon inf; expected whole days ahead"),
        (one(date="soon"), "found date 'soon'; expected YYYY-MM-DD"),
        (one(date="2024-02-30"), "found date '2024-02-30'; expected YYYY-MM-DD"),
        (one(date=1704067200000), "found date 1704067200000; expected YYYY-MM-DD"),
        (one(date={"day": 1}), "found date {'day': 1}; expected YYYY-MM-DD"),
    ],
)
def test_what_cannot_be_read_is_answered_with_400_and_why(server, registered, body, message):
    answer = server.post(body)
    assert answer.status == 400
    assert message in answer.json["message"]
    assert "stack_trace" not in answer.json
    folders = (ROOT, sys.prefix, registered.folder)
    assert not any(str(folder) in answer.text for folder in folders)
    assert server.is_ready()


def test_a_table_without_rows_has_an_answer_without_rows(server):
    empty = {"dataframe_split": {"columns": [c.STORE_ID], "data": []}}
    answer = server.post(empty)
    assert (answer.status, answer.json) == (200, {"predictions": []})


def test_anything_but_json_is_refused(server):
    assert server.post("store_id\nA", "text/html").status == 415
    assert server.post("store_id\nA", "text/csv").status == 400
    assert server.is_ready()


def test_two_hundred_questions_of_four_clients_at_once(server, registered):
    stores = list(registered.forecasts[c.STORE_ID].unique())
    asked = [(stores[k % len(stores)], k % HORIZON + 1) for k in range(200)]
    with ThreadPoolExecutor(4) as clients:
        questions = ({c.STORE_ID: store, c.HORIZON: day} for store, day in asked)
        answers = [row for rows in clients.map(server.ask, questions) for row in rows]
    registered.assert_rows(answers, *asked)
