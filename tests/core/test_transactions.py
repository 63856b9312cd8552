"""Typed rows, their flaws, duplicates and reversals."""

from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal
from pathlib import Path

import ibis
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lifemiles_forecasting.core import transactions as t
from lifemiles_forecasting.core.config import DataSettings, parse
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.headers import resolve_columns

CONF = Path(__file__).parents[2] / "conf/base/parameters_data_processing.yml"
DATA = parse(DataSettings, yaml.safe_load(CONF.read_text("utf-8"))["data_processing"])
TODAY = date(2020, 1, 1)
HEADER = ["Partner Code", "Store Code", "Process Date", "Facturación"]
NUMBER = itertools.count()


@pytest.fixture(scope="module")
def engine():
    return ibis.duckdb.connect()


def configured(**changes) -> DataSettings:
    return parse(DataSettings, DATA.model_dump() | changes)


def classify(engine, rows, target="billings", as_of=None, **changes) -> pd.DataFrame:
    base = {"partner_code": "P", "store_code": "1", "process_date": "2017-03-05"}
    table = pd.DataFrame([base | row for row in rows], dtype="str")
    texts = engine.create_table(f"texts_{next(NUMBER)}", ibis.memtable(table))
    return t.classify(texts, configured(**changes), target, as_of, TODAY).to_pandas()


def reasons(frame: pd.DataFrame) -> list[str]:
    return [t.REASONS[i] if i > 0 else {0: "used", -1: "after"}[i] for i in frame["flaw"]]


def read(frame: pd.DataFrame, column: str) -> list:
    """Of each row the value of a column, or the reason why the row is not used."""
    return [
        value if reason == "used" else reason
        for value, reason in zip(frame[column], reasons(frame), strict=True)
    ]


# rows of one table each: to compile the query takes longer than to read them
DATES = [
    ("2017-03-05", "ymd", "2017-03-05"),
    (" 2017-03-05 ", "ymd", "2017-03-05"),
    ("2017-03-05 23:59:59", "ymd", "2017-03-05"),
    ("2017-03-05T23:59:59.123Z", "ymd", "2017-03-05"),
    ("2017-03-05 23:59:59-05:00", "ymd", "2017-03-05"),
    ("2017/03/05", "ymd", "2017-03-05"),
    ("2017/03/05 10:00", "ymd", "2017-03-05"),
    ("20170305", "ymd", "2017-03-05"),
    ("05/03/2017", "dmy", "2017-03-05"),
    ("5.3.2017", "dmy", "2017-03-05"),
    ("05-03-2017 10:00", "dmy", "2017-03-05"),
    ("05/03/2017", "mdy", "2017-05-03"),
    ("5/3/2017 12:00:00 AM", "mdy", "2017-05-03"),
    ("5/3/2017 1:05 pm", "dmy", "2017-03-05"),
    ("5/3/2017 12:00:00 a. m.", "dmy", "2017-03-05"),
    ("5/3/2017 12:00:00\u202fp.\xa0m.", "dmy", "2017-03-05"),
    ("2017-03-05 11:59:59PM", "ymd", "2017-03-05"),
    ("5/3/2017 12:00:00 XM", "mdy", None),
    ("5/3/2017 AM", "mdy", None),
    ("2017-03-05", "dmy", "2017-03-05"),
    ("05/03/2017", "ymd", None),
    ("2017-3-5", "ymd", None),
    ("2017-03-5", "ymd", None),
    ("2017-02-29", "ymd", None),
    ("2017-03/05", "ymd", None),
    ("2017-03-05x", "ymd", None),
    ("2017-03-05 noon", "ymd", None),
    ("13/13/2017", "dmy", None),
    ("1700000000", "ymd", None),
    ("infinity", "ymd", None),
    ("", "ymd", None),
    (None, "ymd", None),
]


@pytest.mark.parametrize("order", ["ymd", "dmy", "mdy"])
def test_dates(engine, order):
    written = {text: expected for text, its_order, expected in DATES if its_order == order}
    found = classify(
        engine, [{"process_date": text, "billings": "1"} for text in written], date_order=order
    )
    days = [str(day)[:10] for day in read(found, "date")]
    assert dict(zip(written, days, strict=True)) == {
        text: expected or t.BAD_DATE for text, expected in written.items()
    }
    assert found["date"].isna().tolist() == [expected is None for expected in written.values()]


AMOUNTS = {
    "1.5": Decimal("1.5"),
    " 1.5\t": Decimal("1.5"),
    "-2": Decimal(-2),
    "+1e3": Decimal(1000),
    "0.1234564": Decimal("0.123456"),
    "999999999999.999999": Decimal("999999999999.999999"),
    "": t.MISSING_AMOUNT,
    None: t.MISSING_AMOUNT,
    "  ": t.MISSING_AMOUNT,
    "abc": t.NOT_A_NUMBER,
    "nan": t.NOT_A_NUMBER,
    "1_000": t.NOT_A_NUMBER,
    "1,5": t.NOT_A_NUMBER,
    "1.234,5": t.NOT_A_NUMBER,
    "-inf": t.INFINITE,
    "1e400": t.INFINITE,
    "1e12": t.IMPLAUSIBLE,
    "-1e308": t.IMPLAUSIBLE,
}


@pytest.mark.parametrize("target", ["billings", "miles", "local_amount"])
def test_amounts(engine, target):
    found = classify(engine, [{target: text} for text in AMOUNTS], target=target)
    assert dict(zip(AMOUNTS, read(found, "amount"), strict=True)) == AMOUNTS


def test_a_decimal_comma_is_read_only_when_it_is_configured(engine):
    found = classify(
        engine, [{"billings": "1,5"}, {"billings": "1.5"}, {"billings": "-2"}], decimal=","
    )
    assert reasons(found) == ["used", t.NOT_A_NUMBER, "used"]
    assert found["amount"][0] == Decimal("1.5")


GROUPED = [
    ("1,234.5", ".", ",", Decimal("1234.5")),
    ("-10,900", ".", ",", Decimal(-10900)),
    ("1.234,5", ",", ".", Decimal("1234.5")),
    ("0,900", ".", ",", t.NOT_A_NUMBER),
    ("-0,900", ".", ",", t.NOT_A_NUMBER),
    ("012,345", ".", ",", t.NOT_A_NUMBER),
    ("0.123,4", ",", ".", t.NOT_A_NUMBER),
    ("0.900", ",", ".", t.NOT_A_NUMBER),
    ("0 900", ".", " ", t.NOT_A_NUMBER),
]


@pytest.mark.parametrize(("decimal", "thousands"), [(".", ","), (",", "."), (".", " ")])
def test_thousands_are_read_as_configured_and_do_not_begin_with_zero(engine, decimal, thousands):
    form = (decimal, thousands)
    written = {text: expected for text, *its_form, expected in GROUPED if (*its_form,) == form}
    rows = [{"billings": text} for text in written]
    found = classify(engine, rows, decimal=decimal, thousands=thousands)
    assert dict(zip(written, read(found, "amount"), strict=True)) == written


PRICED = [
    ("3.25", "100", "0.015", Decimal("3.25")),
    ("", "77", "0.015", Decimal("1.155")),
    (" ", "77", "0.015", Decimal("1.155")),
    ("0", "77", "0.015", Decimal(0)),
    ("abc", "77", "0.015", t.NOT_A_NUMBER),
    ("", "", "0.015", t.MISSING_AMOUNT),
    ("", "77", "", t.MISSING_AMOUNT),
    ("", "x", "0.015", t.NOT_A_NUMBER),
    ("", "inf", "0.015", t.INFINITE),
    ("", "1e9", "1e9", t.IMPLAUSIBLE),
]


def test_billings_are_miles_times_price_where_they_are_not_given(engine):
    names = ("billings", "miles", "mile_price")
    rows = [dict(zip(names, given, strict=True)) for *given, _ in PRICED]
    found = read(classify(engine, rows), "amount")
    assert [(*row.values(), value) for row, value in zip(rows, found, strict=True)] == PRICED


def test_billings_without_a_column_of_their_own(engine):
    found = classify(engine, [{"miles": "10", "mile_price": "0.02"}])
    assert found["amount"][0] == Decimal("0.2")


def test_each_row_has_the_first_reason_that_applies(engine):
    rows = [
        {"partner_code": " ", "process_date": "bad", "billings": "x"},
        {"store_code": None, "billings": "1"},
        {"process_date": "bad", "billings": "x", "transaction_type": "Other"},
        {"process_date": "2020-01-02", "billings": "x"},
        {"process_date": "1999-12-31", "billings": "x"},
        {"billings": "x", "transaction_type": "Other"},
        {"billings": "x", "transaction_type": " Accrual "},
        {"billings": "1", "transaction_type": "Accrual", "process_date": "2020-01-01"},
        {"billings": "1", "transaction_type": None},
    ]
    found = reasons(classify(engine, rows, transaction_types=["Accrual"]))
    assert found == [
        t.MISSING_CODE,
        t.MISSING_CODE,
        t.BAD_DATE,
        t.FUTURE_DATE,
        t.EARLY_DATE,
        t.UNKNOWN_TYPE,
        t.NOT_A_NUMBER,
        "used",
        t.UNKNOWN_TYPE,
    ]


def test_rows_after_as_of_are_set_apart_whatever_else_is_wrong(engine):
    rows = [
        {"process_date": "2017-03-05", "billings": "1"},
        {"process_date": "2017-03-06", "billings": "x"},
        {"process_date": "2099-01-01", "billings": "1", "store_code": ""},
        {"process_date": "bad", "billings": "1"},
    ]
    found = reasons(classify(engine, rows, as_of=date(2017, 3, 5)))
    assert found == ["used", "after", "after", t.BAD_DATE]


def test_codes_are_text_without_outer_white_space(engine):
    written = [(" 007\t", "0 1"), ("007\n", "\r0 1\x0c"), ("007", "0 1\x0b"), ("NULL\n", "\n")]
    rows = [{"partner_code": p, "store_code": s, "billings": "1"} for p, s in written]
    found = classify(engine, rows)[["partner_code", "store_code"]]
    assert found[:3].to_numpy().tolist() == [["007", "0 1"]] * 3
    assert found[3:].isna().all(axis=None)


def test_names_are_found_without_case_accents_and_spaces():
    header = ["PARTNERCODE", "store code ", "Process  Date", "facturacion", "More"]
    found = resolve_columns(header, "a.csv", DATA, "billings")
    assert found == {"partner_code": 0, "store_code": 1, "process_date": 2, "billings": 3}


@pytest.mark.parametrize("column", ["partner_code", "store_code"])
def test_a_word_for_nothing_is_no_code_and_similar_ones_are(engine, column):
    words = ["NULL", "null", "None", "NaN", "N/A", r"\N", " NULL\xa0", "\tN/A "]
    codes = ["NA", "NAN", "nan", "Null", "N", "NULL 1", "nulls", "0", r"\n"]
    found = classify(engine, [{column: text, "billings": "1"} for text in words + codes])
    assert reasons(found) == [t.MISSING_CODE] * len(words) + ["used"] * len(codes)
    assert found[column].tolist()[len(words) :] == codes


def test_a_word_for_nothing_is_no_activity_number(engine):
    rows = [{"activity_id": word, "billings": "1"} for word in ("NULL", " NaN ", "A")]
    assert classify(engine, rows)["activity_id"].fillna("").tolist() == ["", "", "A"]


@pytest.mark.parametrize("spelt", ["{}_{}", "{}-{}", " {} _ {}", "_{}__{}_"])
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_names_of_warehouses_are_found(spelt, case):
    header = [case(spelt.format(*name.split())) for name in (*HEADER[:3], "Activity Number")]
    found = resolve_columns([*header, "FACTURACION"], "a.csv", DATA, "billings")
    expected = ["partner_code", "store_code", "process_date", "activity_id", "billings"]
    assert found == {name: at for at, name in enumerate(expected)}


def test_an_exact_name_wins_over_a_similar_one():
    found = resolve_columns(["FACTURACION", *HEADER], "a.csv", DATA, "billings")
    assert found["billings"] == 4


def test_input_error_when_two_columns_are_equally_similar():
    header = ["Partner_Code", "partner-code", *HEADER[1:]]
    message = (
        r"found columns 'Partner_Code' and 'partner-code' in a\.csv; expected one column 'Partner "
        r"Code'\. Remove one of them, or name the right one in data_processing\.columns\."
    )
    with pytest.raises(InputError, match=message):
        resolve_columns(header, "a.csv", DATA, "billings")
    header = [*HEADER[:3], "FACTURACION", "facturaciòn"]
    with pytest.raises(InputError, match=r"columns 'FACTURACION' and 'facturaciòn' in a\.csv"):
        resolve_columns(header, "a.csv", DATA, "billings")


def test_input_error_when_a_name_stands_twice():
    with pytest.raises(InputError, match=r"'Miles' more than once in the header of a\.csv"):
        resolve_columns([*HEADER, "Miles", "Miles"], "a.csv", DATA, "billings")


def test_a_name_that_is_not_used_may_stand_twice():
    found = resolve_columns(["Note", *HEADER, "Note", "", ""], "a.csv", DATA, "billings")
    assert found == {"partner_code": 1, "store_code": 2, "process_date": 3, "billings": 4}


@pytest.mark.parametrize(
    ("header", "target", "message"),
    [
        (HEADER[1:], "billings", r"no column 'Partner Code' in a\.csv, which has: Store Code, "),
        (HEADER, "miles", r"no column 'Miles' in a\.csv.*because the target 'miles' needs it"),
        (HEADER[:3], "billings", r"'Billings / Facturación / Facturacion' or 'Miles' with 'Mile P"),
        (
            ["Partner Code", "Store Code", "Transaction Date", "Miles"],
            "miles",
            r"no column 'Process Date'.*chosen with data_processing\.date_column",
        ),
        ([";".join(HEADER)], "billings", r"separated by ';': set data_processing\.separator"),
    ],
)
def test_input_error_names_the_missing_column(header, target, message):
    with pytest.raises(InputError, match=message):
        resolve_columns(header, "a.csv", DATA, target)


def test_input_error_names_a_column_that_no_name_is_accepted_for():
    data = configured(columns=DATA.columns | {"partner_code": ()})
    message = (
        r"found no column 'partner_code' in a\.csv, which has: Partner Code, .*; expected it in "
        r"every file\. data_processing\.columns has no name for partner_code: add the file's\.$"
    )
    with pytest.raises(InputError, match=message):
        resolve_columns(HEADER, "a.csv", data, "billings")


@pytest.mark.parametrize("separator", [",", ";"])
def test_input_error_shows_nothing_of_a_row_where_the_header_should_be(separator):
    row = ["00000900", "CJFRE", "Fresh", "2017-03-01", "1"]
    cells = row if separator == "," else [separator.join(row)]
    with pytest.raises(
        InputError, match=r"a first line in a\.csv with none of the names"
    ) as caught:
        resolve_columns(cells, "a.csv", DATA, "billings")
    assert f"({len(cells)} cells); expected the header there" in str(caught.value)
    assert not any(cell in str(caught.value) for cell in row[:-1])


def test_a_transaction_type_is_required_only_when_types_are_configured():
    why = "expected it, because data_processing.transaction_types names some"
    with pytest.raises(InputError, match=f"no column 'Transaction Type'.*{why}"):
        resolve_columns(HEADER, "a", configured(transaction_types=["Accrual"]), "billings")


def settled(engine, rows: pd.DataFrame, parts: int = 1) -> dict[int, str]:
    """The rejected records and why."""
    base = {"partner_code": "P", "store_code": "1", "date": date(2017, 1, 1), "flaw": 0}
    full = rows.assign(**{k: v for k, v in base.items() if k not in rows}, record=range(len(rows)))
    table = ibis.memtable(full).cast({"amount": t.AMOUNT, "activity_id": "string"})
    keep = lambda e: engine.create_table(f"kept_{next(NUMBER)}", e)  # noqa: E731
    found = t.settle(keep(table), keep, parts).to_pandas()
    return {r: t.REASONS[f] for r, f in zip(found["record"], found["flaw"], strict=True)}


def test_the_first_usable_row_of_an_activity_number_stays(engine):
    rows = pd.DataFrame(
        {
            "amount": [1.0] * 7,
            "activity_id": ["A", "B", "A", None, None, "B", "A"],
            "flaw": [7, 0, 0, 0, 0, -1, 0],
        }
    )
    assert settled(engine, rows) == {6: t.DUPLICATE}


def test_a_number_is_of_its_partner(engine):
    """Two partners that both count from 1."""
    rows = pd.DataFrame({"amount": 1.0, "activity_id": ["1", "2", "1", "2", "1"]})
    rows["partner_code"] = list("PPQQQ")
    assert settled(engine, rows) == {4: t.DUPLICATE}


@pytest.mark.parametrize("order", [[500.0, -500.0], [-500.0, 500.0]])
def test_the_opposite_amount_under_a_number_is_a_reversal(engine, order):
    """Of the first row, within its store and once; all else under the number is a duplicate."""
    rows = pd.DataFrame({"amount": [*order, *order, 500.0, -200.0, 0.0], "activity_id": "A"})
    assert settled(engine, rows) == dict.fromkeys(range(2, 7), t.DUPLICATE)
    rows["store_code"] = ["1", "2", *"11111"]
    assert settled(engine, rows)[1] == t.DUPLICATE
    rows = pd.DataFrame({"amount": [0.0, 0.0], "activity_id": "A"})
    assert settled(engine, rows) == {1: t.DUPLICATE}


def test_the_smallest_reversals_stay(engine):
    rows = pd.DataFrame({"amount": [5.0, -1.0, -4.5, -4.0, -4.0], "activity_id": None})
    assert settled(engine, rows) == {2: t.EXCESS_REVERSAL, 4: t.EXCESS_REVERSAL}


def test_reversals_are_exact(engine):
    rows = pd.DataFrame({"amount": [0.1, 0.2, -0.3], "activity_id": None})
    assert settled(engine, rows) == {}


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([-500, -200, -7, 0, 7, 200, 500]),
            st.sampled_from(["", "A", "B", "C"]),
            st.sampled_from("12"),
            st.sampled_from("PQ"),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 3),
)
def test_rejected_rows_match_a_plain_loop(drawn, parts):
    names = ["amount", "activity_id", "store_code", "partner_code"]
    rows = pd.DataFrame(drawn, columns=names)
    rows["amount"] = rows["amount"] / 100
    rows["activity_id"] = rows["activity_id"].where(rows["activity_id"] != "", None)
    expected, first, seen, reversed_ = {}, {}, set(), set()
    for i, (amount, number, store, partner) in enumerate(rows[names].itertuples(index=False)):
        if not isinstance(number, str):
            continue
        sale = first.setdefault((partner, number), (store, amount))
        back = amount != 0 and (store, -amount) == sale and (partner, number) not in reversed_
        if back:
            reversed_.add((partner, number))
        elif (partner, number) in seen:
            expected[i] = t.DUPLICATE
        seen.add((partner, number))
    for _, day in rows.drop(index=list(expected)).groupby(["partner_code", "store_code"]):
        exact = [(Decimal(str(a)), i) for i, a in day["amount"].items()]
        net = sum(a for a, _ in exact if a > 0)
        for amount, i in sorted((-a, i) for a, i in exact if a < 0):
            net -= amount
            if net < 0:
                expected[i] = t.EXCESS_REVERSAL
    assert settled(ibis.duckdb.connect(), rows, parts) == expected
