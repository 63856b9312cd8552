"""Files of planned events: what is read, and what each refusal says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.events import no_events, parse_events

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "events.csv"
HEADER = "partner_code,store_code,start_date,end_date,name,value\n"
ROW = "P,001,2024-05-01,2024-05-03,double miles,2\n"


def refusal(text):
    with pytest.raises(InputError) as caught:
        parse_events(text, "events.csv")
    return str(caught.value)


def test_a_row_of_each_kind():
    text = (
        HEADER
        + "0101,,2024-05-01,2024-05-03,Double miles,2\n"
        + "0101,0007,2024-05-02,2024-05-02,Aniversario,1.5\n"
        + ",,2024-12-24,9999-12-31,Everywhere,\n"
    )
    frame = parse_events(text, "events.csv")
    assert tuple(frame.columns) == c.EVENTS
    assert frame[c.PARTNER_CODE].tolist() == ["0101", "0101", ""]
    assert frame[c.STORE_CODE].tolist() == ["", "0007", ""]
    assert frame[c.VALUE].tolist() == [2.0, 1.5, 1.0]
    days = frame[[c.START_DATE, c.END_DATE]].to_numpy().astype("datetime64[D]")
    assert days[0].astype(str).tolist() == ["2024-05-01", "2024-05-03"]
    assert str(days[2, 1]) == "9999-12-31"


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + ROW,
        HEADER.replace(",", ";") + ROW.replace(",", ";"),
        HEADER.replace(",", "\t") + ROW.replace(",", "\t"),
        HEADER.replace("\n", "\r\n") + ROW.replace("\n", "\r\n"),
        HEADER.replace("\n", "\r") + ROW.replace("\n", "\r"),
        (HEADER + ROW).replace(",", ";").replace("\n", "\r"),
        "\n" + HEADER + "\n  ,\n".replace(",", " ") + ROW + "\n\n",
        "Partner Code,STORE_CODE,Start Date,end_date,Name,value\n" + ROW,
        'partner_code,store_code,start_date,end_date,name,value\n"P"," 001 ",2024-05-01,2024-05-03,'
        '"double miles",+2.0\n',
        "name,end_date,start_date,store_code,value,partner_code\n"
        "double miles,2024-05-03,2024-05-01,001,2,P",
    ],
    ids=[
        "bom",
        "semicolon",
        "tab",
        "crlf",
        "cr",
        "cr and semicolon",
        "blank lines",
        "header",
        "quotes",
        "order",
    ],
)
def test_forms_that_mean_the_same(text):
    pd.testing.assert_frame_equal(
        parse_events(text, "events.csv"), parse_events(HEADER + ROW, "events.csv")
    )


def test_decimal_comma_of_a_spreadsheet():
    text = "start_date;end_date;name;value\n2024-05-01;2024-05-03;triple;1,5"
    assert parse_events(text, "events.csv")[c.VALUE].tolist() == [1.5]


def test_names_that_differ_in_writing_are_one():
    names = ["Cámara doble", "camara DOBLE", "Cámara  doble", "camara triple"]
    rows = "".join(f"2024-05-01,2024-05-03,{name}\n" for name in names)
    frame = parse_events("start_date,end_date,name\n" + rows, "events.csv")
    assert frame[c.NAME].tolist() == [*["Cámara doble"] * 3, "camara triple"]


def test_header_alone_and_no_file_are_the_same_frame():
    pd.testing.assert_frame_equal(parse_events(HEADER, "events.csv"), no_events())


def test_frame_survives_parquet(tmp_path):
    for k, frame in enumerate((parse_events(HEADER + ROW, "e"), no_events())):
        frame.to_parquet(tmp_path / f"{k}.parquet", index=False)
        back = pd.read_parquet(tmp_path / f"{k}.parquet")
        pd.testing.assert_frame_equal(back, frame, check_dtype=False)
        assert back[c.STORE_CODE].tolist() == frame[c.STORE_CODE].tolist()


def test_example_of_the_documentation_can_be_read():
    frame = parse_events(EXAMPLE.read_text("utf-8"), EXAMPLE.name)
    assert set(frame[c.NAME]) == {"Millas dobles", "Aniversario"}
    assert set(frame[c.PARTNER_CODE]) == {"CJGRO"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "P,,01/05/2024,2024-05-03,x,2",
            "found '01/05/2024' in column 'start_date', line 3 of events.csv; "
            "expected a date YYYY-MM-DD",
        ),
        (
            "P,,2024-05-01,2024-02-30,x,2",
            "found '2024-02-30' in column 'end_date', line 3 of events.csv; "
            "expected a date YYYY-MM-DD",
        ),
        (
            "P,,,2024-05-03,x,2",
            "found '' in column 'start_date', line 3 of events.csv; expected a date YYYY-MM-DD",
        ),
        (
            "P,,2024-05-03,2024-05-01,x,2",
            "found '2024-05-01' in column 'end_date', line 3 of events.csv; "
            "expected a day not before the start, 2024-05-03",
        ),
        (
            "P,,2024-05-01,2024-05-03, ,2",
            "found '' in column 'name', line 3 of events.csv; expected the name of the event",
        ),
        (
            "P,,2024-05-01,2024-05-03,x,two",
            "found 'two' in column 'value', line 3 of events.csv; "
            "expected a number such as 2 or 1.5",
        ),
        (
            "P,,2024-05-01,2024-05-03,x",
            "found 5 values in line 3 of events.csv; expected 6, as in its header",
        ),
    ],
)
def test_InputError_when_a_row_cannot_be_used(row, message):
    assert refusal(HEADER + ROW + row + "\n" + ROW) == message


@pytest.mark.parametrize("value", ["nan", "inf", "1e9", "1_0", "1.234,5", "9" * 400, "٣x"])
def test_InputError_when_value_is_no_plain_number(value):
    assert "in column 'value'" in refusal(HEADER + f'P,,2024-05-01,2024-05-03,x,"{value}"')


def test_InputError_names_the_first_row_and_counts_the_others():
    bad = "P,,soon,2024-05-03,x,2\n"
    message = refusal(HEADER + ROW + bad + "\n" + bad + bad)
    assert message.startswith("found 'soon' in column 'start_date', line 3 of events.csv;")
    assert message.endswith(". 2 more rows cannot be used")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_those_of_the_file(end):
    text = HEADER + 'P,,2024-05-01,2024-05-03,"two\nlines",2\n' + "\n" + "P,,x,2024-05-03,y,2\n"
    assert "line 5 of events.csv" in refusal(text.replace("\n", end))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "found an empty file events.csv; expected a header (partner_code, store_code, "
            "start_date, end_date, name, value) and rows",
        ),
        (
            "partner_cod,start_date,end_date,name\n",
            "found an unknown column 'partner_cod' in events.csv; expected one of partner_code, "
            "store_code, start_date, end_date, name, value. Did you mean 'partner_code'?",
        ),
        (
            "start_date,name\n",
            "found no column 'end_date' in events.csv, which has: start_date, name; "
            "expected it beside start_date and name",
        ),
        (
            "start_date,end_date,name,Start Date\n",
            "found column 'Start Date' more than once in the header of events.csv; expected it "
            "once",
        ),
        (
            HEADER + 'P,,2024-05-01,2024-05-03,"open,2\n',
            "found a line that is no CSV in events.csv, line 2 (unexpected end of data); "
            "expected a CSV file",
        ),
    ],
)
def test_InputError_when_the_file_cannot_be_used(text, message):
    assert refusal(text) == message


DAYS = st.dates(min_value=pd.Timestamp("1990-01-01").date())
CODES = st.text("0123456789AÑ _-", max_size=6).map(str.strip)
NAMES = st.text("abcÁé ;\"'", min_size=1).filter(str.strip)


@given(st.lists(st.tuples(CODES, CODES, DAYS, DAYS, NAMES, st.integers(-99, 99)), max_size=8))
def test_what_is_written_is_read(rows):
    rows = [(p, s, *sorted([a, b]), name, value) for p, s, a, b, name, value in rows]
    written = pd.DataFrame(rows, columns=list(c.EVENTS))
    frame = parse_events(written.to_csv(index=False), "events.csv")
    assert len(frame) == len(rows)
    for name in (c.PARTNER_CODE, c.STORE_CODE, c.VALUE):
        assert frame[name].tolist() == written[name].tolist()
    for name in (c.START_DATE, c.END_DATE):
        expected = np.array(written[name].tolist(), dtype="datetime64[D]")
        np.testing.assert_array_equal(frame[name].to_numpy().astype("datetime64[D]"), expected)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_in_one_message(text):
    try:
        parse_events(HEADER + text, "events.csv")
    except InputError as error:
        assert str(error).startswith("found ")
