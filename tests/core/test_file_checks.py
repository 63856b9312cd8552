"""Files in another form than the configured one, and files that are there twice."""

from __future__ import annotations

import itertools
import json
from datetime import date

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifemiles_forecasting.core import file_checks
from lifemiles_forecasting.core import transactions as t
from lifemiles_forecasting.core.config import DataSettings
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.notices import Notice

COLUMNS = {
    "process_date": ("Process Date",),
    "activity_id": ("Number",),
    "billings": ("Billings",),
}


def quarantine(*rows: tuple[str, int, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["file", "line", "reason", "raw"])


def forms(
    rows_in: int, bad: int, reason: str, share: float = 0.05, amount: str = "", day: str = ""
) -> None:
    files = [{"file": "a.csv", "rows_in": rows_in}, {"file": "b.csv", "rows_in": 1000}]
    raw = json.dumps({"BILLINGS": amount, "PROCESS_DATE": day})
    rows = [("a.csv", i + 2, reason, raw) for i in range(bad)]
    configured = DataSettings(columns=COLUMNS, max_quarantined_share=share)
    file_checks.check_forms(files, quarantine(*rows), configured, "billings", "q.parquet")


@pytest.mark.parametrize(("reason", "parameter"), file_checks.FORMS.items())
def test_input_error_when_most_of_a_file_is_in_another_form(reason, parameter):
    message = (
        rf"found 6 of 10 rows in a\.csv that cannot be used \({reason}\), the first in line 2; "
        rf"expected a file as data_processing\.{parameter} says\. See the rows in q\.parquet; set "
    )
    with pytest.raises(InputError, match=message):
        forms(10, 6, reason, day="31/1/2024")


def test_input_error_says_that_there_are_no_dates():
    message = (
        r"expected a date in every row\. See the rows in q\.parquet; fill the column of dates "
    )
    with pytest.raises(InputError, match=message):
        forms(10, 6, t.BAD_DATE, day=" ")


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("1,5", r"as data_processing\.decimal says.*; set data_processing\.decimal to the form"),
        ("12,345.60", r"as data_processing\.thousands says.*; set data_processing\.thousands to "),
        ("1.234,50", r"as data_processing\.decimal and data_processing\.thousands say\. "),
        ("12,345", r"as data_processing\.decimal or data_processing\.thousands says\. "),
        ("twelve", r"as data_processing\.decimal or data_processing\.thousands says\. "),
        ("$12.34", r"expected amounts without a currency sign\. .*; remove the currency signs fr"),
        ("€ 9 345.60", r"data_processing\.thousands says, and amounts without a currency sign\."),
    ],
)
def test_input_error_names_what_would_read_the_amounts(amount, message):
    with pytest.raises(InputError, match=message) as caught:
        forms(10, 6, t.NOT_A_NUMBER, amount=amount)
    assert amount not in str(caught.value)  # another column may have been taken for it


def test_input_error_names_the_cells_where_lines_cannot_be_read():
    message = (
        r"that cannot be used \(unreadable line\), the first in line 2; expected rows of as many "
        r"cells as the header, and no stray quotes\. See the rows in q\.parquet; put values that "
    )
    with pytest.raises(InputError, match=message) as caught:
        forms(10, 6, t.UNREADABLE)
    assert "data_processing" not in str(caught.value)


@pytest.mark.parametrize("day", ["2024-1-5", "5/1/24", "13/13/2024", "13.13.2024 11:59 PM"])
def test_input_error_names_the_forms_of_dates_and_quotes_one_that_is_of_none(day):
    message = (
        r"\(bad date\), .*; expected dates YYYY-MM-DD, YYYY/MM/DD or YYYYMMDD, or as "
        r"data_processing\.date_order says DD/MM/YYYY or MM/DD/YYYY, without or with a time such as"
        rf".*; convert the dates of the file, such as {day}\.$"
    )
    with pytest.raises(InputError, match=message):
        forms(10, 6, t.BAD_DATE, day=day)


@pytest.mark.parametrize("day", ["00000900", "123-45-6789", "Ana", "5/1/2024 Ana", "45296"])
def test_input_error_quotes_nothing_that_may_be_no_date(day):
    with pytest.raises(InputError, match=r"convert the dates of the file\.$") as caught:
        forms(10, 6, t.BAD_DATE, day=day)
    assert day not in str(caught.value)


@pytest.mark.parametrize("day", ["5/1/2024", "31/1/2024 12:00:00 AM"])
def test_input_error_names_the_order_where_one_reads_the_dates(day):
    with pytest.raises(InputError, match=r"set data_processing\.date_order to the form of the"):
        forms(10, 6, t.BAD_DATE, day=day)


def test_no_error_for_half_of_a_file_a_tiny_file_or_what_the_share_allows():
    forms(10, 5, t.BAD_DATE)
    forms(9, 9, t.BAD_DATE)
    forms(10, 9, t.BAD_DATE, share=0.9)
    forms(10, 10, t.DUPLICATE)


def dated(order: str, fitting: int, swapped: int, written: str) -> None:
    rows = pd.DataFrame(
        {
            "file": "a.csv",
            "date": [date(2018, 1, 12)] * 5 + [date(2018, 1, 13)] * fitting,
            "flaw": 0,
        }
    )
    raw = json.dumps({"PROCESS_DATE": written, "Other": "13/13/2018"})
    bad = quarantine(*[("a.csv", i, t.BAD_DATE, raw) for i in range(swapped)])
    configured = DataSettings(columns=COLUMNS, date_order=order)
    file_checks.check_date_order(ibis.memtable(rows), bad, configured)


def test_input_error_when_more_dates_fit_the_other_order():
    message = (
        r"found 3 dates in a\.csv that are days in the order mdy only, and 2 in the order dmy only;"
        r" expected dates as .* \(dmy\)\. Set data_processing\.date_order to mdy, or convert the"
    )
    with pytest.raises(InputError, match=message):
        dated("dmy", 2, 3, " 01/13/2018 ")
    for written in ("13.01.2018 10:00", "13/1/2018 12:00:00 a. m."):
        with pytest.raises(InputError, match=r"date_order to dmy"):
            dated("mdy", 0, 1, written)


@pytest.mark.parametrize(
    ("order", "fitting", "written"),
    [
        ("dmy", 3, "01/13/2018"),
        ("dmy", 0, "13/13/2018"),
        ("dmy", 0, "soon"),
        ("dmy", 0, "05/45/2017"),  # a day of no order
        ("dmy", 0, "02/30/2017"),
        ("mdy", 0, "13/13/2018"),
        ("dmy", 0, "01/12/2018 noon"),  # a day of both, whose time is not read
        ("dmy", 0, "01/13/2018 noon"),  # a day of one, which it would not be there either
        ("ymd", 0, "01/13/2018"),
    ],
)
def test_no_error_for_dates_that_prove_nothing(order, fitting, written):
    dated(order, fitting, 3, written)


def slow_pairs(drawn: list[tuple]) -> dict[tuple[str, str], tuple[int, int]]:
    """Shared and equal store-days of two files, with dictionaries."""
    days: dict[str, dict[tuple, list]] = {}
    for file, store, day, amount, activity, flaw in drawn:
        if flaw == 0 and activity is None:
            days.setdefault(file, {}).setdefault((store, day), []).append(amount)
    found = {}
    for first, second in itertools.combinations(sorted(days), 2):
        shared = days[first].keys() & days[second].keys()
        told = [
            [(len(x), sum(x), min(x), max(x)) for x in (days[first][key], days[second][key])]
            for key in shared
        ]
        if shared:
            found[first, second] = len(shared), sum(one == two for one, two in told)
    return found


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from("12"),
            st.integers(1, 3),
            st.integers(-2, 2),
            st.sampled_from([None, None, "N"]),
            st.sampled_from([0, 0, 3]),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_alike_files_match_plain_dictionaries(drawn):
    names = ["file", "store_code", "date", "amount", "activity_id", "flaw"]
    rows = pd.DataFrame(drawn, columns=names).assign(partner_code="P")
    table = ibis.memtable(rows).cast({"activity_id": "string"})
    for fewest in (1, 2):
        found = file_checks.alike_files(table, lambda kept: kept, fewest).to_pandas()
        pairs = zip(found["file"], found["again"], strict=True)
        counts = zip(found["shared"], found["equal"], strict=True)
        slow = {pair: n for pair, n in slow_pairs(drawn).items() if n[1] >= fewest}
        assert dict(zip(pairs, counts, strict=True)) == slow


def repeated(equal: int, other: int) -> None:
    days = [{"file": file, "date": i, "amount": 1.0} for i in range(equal) for file in "ab"]
    days += [
        {"file": file, "date": equal + i, "amount": amount}
        for i in range(other)
        for file, amount in (("a", 1.0), ("b", 2.0))
    ]
    rows = pd.DataFrame(days).assign(partner_code="P", store_code="1", activity_id="", flaw=0)
    table = ibis.memtable(rows)
    table = table.mutate(activity_id=table.activity_id.nullif(""))
    file_checks.check_repeats(table, DataSettings(columns=COLUMNS), lambda kept: kept)


def test_input_error_when_two_files_hold_the_same_sales():
    message = (
        "found the same rows in a and b, on 10 of the 19 store-days that both have; expected each "
        "sale in one file. Remove the copy, or export the column 'Number'"
    )
    with pytest.raises(InputError, match=message):
        repeated(10, 9)


def test_no_error_for_store_days_that_are_equal_by_chance():
    repeated(9, 0)
    repeated(10, 10)


@pytest.mark.parametrize(
    ("texts", "decimal", "expected"),
    [
        ([" 45.900", "-1.200"] * 10, ".", "45.900"),
        (["45,900"] * 20 + ["7", "x"], ",", "45,900"),
        (["45.900"] * 19, ".", None),
        (["45.900"] * 20 + ["45.90"], ".", None),
        (["45.900"] * 20 + ["0.900"], ".", None),
        (["45.900"] * 20 + ["1234.900"], ".", None),
        (["45.900"] * 20, ",", None),
        (["45.900"] * 20 + ["1.234.500"], ".", "1.234.500"),
        (["45.900"] * 20 + ["1.234.50"], ".", None),
    ],
)
def test_amounts_whose_decimal_sign_may_part_thousands(texts, decimal, expected):
    assert file_checks.doubtful_amount(texts, decimal) == expected


DOUBTED = ["45.900"] * 20


def doubtful(target="billings", **first):
    return file_checks.doubtful_files([("a.csv", first)], DataSettings(columns=COLUMNS), target)


def test_every_column_that_amounts_come_from_may_be_in_doubt():
    assert doubtful(miles=DOUBTED, mile_price=["1.2"] * 20) == {"a.csv": "45.900"}
    assert doubtful(billings=[*DOUBTED, ""]) == {"a.csv": "45.900"}
    assert doubtful(billings=["1.5", " "] * 20, miles=DOUBTED) == {"a.csv": "45.900"}
    assert doubtful(billings=["1.5"] * 20, miles=DOUBTED) == {}, "billings are there in every row"
    assert doubtful("miles", miles=DOUBTED, billings=["1.5"]) == {"a.csv": "45.900"}


def test_input_error_where_the_decimal_sign_does_part_thousands():
    message = (
        r"found amounts such as 1\.234\.500 in a\.csv, where '\.' parts thousands; expected a "
        r"decimal sign.*Set data_processing\.thousands to '\.' and data_processing\.decimal to ','"
    )
    with pytest.raises(InputError, match=message):
        doubtful(billings=[*DOUBTED, "1.234.500"])


def test_files_in_doubt_are_one_warning():
    (notice,) = file_checks.notices([f"{k}.csv" for k in range(9)])
    assert notice == Notice(
        "0.csv, 1.csv, 2.csv, 3.csv, 4.csv, ...", "files", "doubtful_amounts", 0
    )
    assert file_checks.notices([]) == []
