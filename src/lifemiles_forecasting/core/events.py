"""A file of planned events (campaigns such as double miles), read and checked.

An event is known at every origin, before and after it begins: the file holds a plan. Only what was
planned before it started may stand in it; anything else would be a leak.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterator
from datetime import date

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.headers import SEPARATORS
from lifemiles_forecasting.core.names import heading, plain

REQUIRED = (c.START_DATE, c.END_DATE, c.NAME)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
LINE_END = re.compile("\r\n|\r|\n")
NUMBER = re.compile(r"[+-]?\d{1,9}([.,]\d{1,9})?")
TYPES = {
    c.PARTNER_CODE: "str",
    c.STORE_CODE: "str",
    c.START_DATE: "datetime64[s]",  # the year 9999 may stand for no end
    c.END_DATE: "datetime64[s]",
    c.NAME: "str",
    c.VALUE: "float64",
}


def no_events() -> pd.DataFrame:
    """The frame of planned events without a row."""
    return pd.DataFrame(columns=list(c.EVENTS)).astype(TYPES)


def parse_events(text: str, file: str) -> pd.DataFrame:
    r"""Read a file of planned events.

    Args:
        text: CSV with `start_date, end_date` (both included, YYYY-MM-DD) and `name`, and where
            wanted `partner_code`, `store_code` (of neither: everyone) and `value` (1 if empty).
        file: its name, for the messages.

    Returns:
        The columns of `columns.EVENTS`; codes are text, empty for any. Names that differ in
        nothing but case, accents and white space are one, as it is written first.

    Raises:
        InputError: a column is missing or unknown, or a row cannot be used.

    >>> text = "start_date,end_date,name\n2024-05-01,2024-05-03,double miles"
    >>> parse_events(text, "events.csv").loc[0, "name"]
    'double miles'
    """
    records = _records(text.removeprefix("\ufeff"), file)
    header = next(records, None)
    if header is None:
        raise InputError(f"an empty file {file}", f"a header ({', '.join(c.EVENTS)}) and rows")
    names = _columns(header[1], file)
    rows, flaws = [], []
    for line, values in records:
        try:
            rows.append(_event(dict(zip(names, values, strict=True)), f"line {line} of {file}"))
        except ValueError:
            width = f"{len(values)} values in line {line} of {file}"
            flaws.append(InputError(width, f"{len(names)}, as in its header"))
        except InputError as flaw:
            flaws.append(flaw)
    if flaws:
        others = f"{len(flaws) - 1} more rows cannot be used" if flaws[1:] else ""
        raise InputError(flaws[0].found, flaws[0].expected, others)
    if not rows:
        return no_events()
    frame = pd.DataFrame(rows)[list(c.EVENTS)].astype(TYPES)
    same = frame[c.NAME].map(plain)
    frame[c.NAME] = frame.groupby(same)[c.NAME].transform("first")
    return frame


def _records(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and values of each record that is not blank; the header is the first."""
    first = LINE_END.split(text.lstrip(), maxsplit=1)[0]
    separator = max(SEPARATORS, key=first.count)
    lines = io.StringIO(text, newline="")  # of which a carriage return alone ends one, too
    reader, line = csv.reader(lines, delimiter=separator, strict=True), 0
    try:
        for values in reader:
            if any(value.strip() for value in values):
                yield line + 1, [value.strip() for value in values]
            line = reader.line_num
    except csv.Error as error:
        raise InputError(
            f"a line that is no CSV in {file}, line {line + 1} ({error})", "a CSV file"
        ) from None


def _columns(header: list[str], file: str) -> list[str]:
    """The header in our names."""
    known = {name.replace("_", ""): name for name in c.EVENTS}
    found = []
    for name in header:
        written = heading(name)
        if written not in known:
            near = difflib.get_close_matches(written, known, n=1)
            raise InputError(
                f"an unknown column {name!r} in {file}",
                f"one of {', '.join(c.EVENTS)}",
                f"Did you mean {known[near[0]]!r}?" if near else "",
            )
        if known[written] in found:
            raise InputError(f"column {name!r} more than once in the header of {file}", "it once")
        found.append(known[written])
    for name in REQUIRED:
        if name not in found:
            raise InputError(
                f"no column {name!r} in {file}, which has: {', '.join(header)}",
                f"it beside {' and '.join(other for other in REQUIRED if other != name)}",
            )
    return found


def _event(row: dict[str, str], where: str) -> dict[str, object]:
    """The values of one row in our types."""

    def flaw(column: str, expected: str) -> InputError:
        return InputError(f"{row[column]!r} in column {column!r}, {where}", expected)

    def day(column: str) -> date:
        try:
            return date.fromisoformat(row[column] if DAY.fullmatch(row[column]) else "")
        except ValueError:
            raise flaw(column, "a date YYYY-MM-DD") from None

    start, end, value = day(c.START_DATE), day(c.END_DATE), row.get(c.VALUE) or "1"
    if end < start:
        raise flaw(c.END_DATE, f"a day not before the start, {start}")
    if not row[c.NAME]:
        raise flaw(c.NAME, "the name of the event")
    if not NUMBER.fullmatch(value):
        raise flaw(c.VALUE, "a number such as 2 or 1.5")
    return {
        c.PARTNER_CODE: row.get(c.PARTNER_CODE, ""),
        c.STORE_CODE: row.get(c.STORE_CODE, ""),
        c.START_DATE: np.datetime64(start, "s"),
        c.END_DATE: np.datetime64(end, "s"),
        c.NAME: row[c.NAME],
        c.VALUE: float(value.replace(",", ".")),
    }
