"""What only shows once a file is read: another form than the configured one, or a second copy.

A file in the wrong form harms most where it is small: its rows are too few to stop the run by
their share of all, yet its days would count as days without a sale, or as other days.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.amount_forms import advice
from lifemiles_forecasting.core.config import DataSettings
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.names import heading
from lifemiles_forecasting.core.transactions import (
    ACTIVITY,
    BAD_DATE,
    FLAW,
    NOT_A_NUMBER,
    NUMBERED,
    TIME,
    UNREADABLE,
    USABLE,
    VALUE,
    WRONG_ENCODING,
)

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

# reasons that a whole file has when it is of another form than a setting says
FORMS = {WRONG_ENCODING: "encoding", BAD_DATE: "date_order"}
# of unreadable lines; their separator is the configured one, as the header has been found
CELLS = (
    "rows of as many cells as the header, and no stray quotes",
    "put values that have the separator in them into quotes",
)
NO_DATES = (
    "a date in every row",
    "fill the column of dates in, or choose another one with data_processing.date_column",
)
DATES = (
    "dates YYYY-MM-DD, YYYY/MM/DD or YYYYMMDD, or as data_processing.date_order says DD/MM/YYYY or "
    "MM/DD/YYYY, without or with a time such as 23:59:59 or 11:59 PM"
)
# what is quoted is surely a date: another column may have been taken for it
QUOTED = re.compile(
    "([0-9]{4}[/.-][0-9]{1,2}[/.-][0-9]{1,2}|[0-9]{1,2}[/.-][0-9]{1,2}[/.-]([0-9]{4}|[0-9]{2}))"
    "([ T][0-9:., APMapm]*)?"
)
AMOUNTS = {"billings": ("billings", "miles", "mile_price")}  # columns of a target, if not its own
LOOKED_AT = 1_000  # rows of a file that cannot be read
MOST = 0.5  # share of a file's rows
FEWEST_ROWS = 10  # with fewer, one odd row would be a large share of a file
FEWEST_DAYS = 10  # equal store-days in two files; fewer may be chance
FEWEST_AMOUNTS = 20  # with a decimal sign; the form of fewer may be chance
OTHER_ORDER = {"dmy": "mdy", "mdy": "dmy"}
LAST_MONTH = 12


def doubtful_amount(texts: Sequence[str], decimal: str) -> str | None:
    """An amount whose decimal sign may be one that parts thousands; None if that is unlikely.

    Args:
        texts: amounts of one file as they are written.
        decimal: the configured sign.

    >>> doubtful_amount(["45.900", "1.200"] * 10, ".")
    '45.900'
    >>> doubtful_amount(["45.900", "0.200"] * 10, ".")
    """
    grouped = re.compile(rf"\s*[+-]?[1-9]\d{{0,2}}\{decimal}\d{{3}}\s*")
    signed = [text for text in texts if decimal in text]
    if len(signed) < FEWEST_AMOUNTS or not all(map(grouped.fullmatch, signed)):
        return None
    return signed[0].strip()


def check_forms(
    files: Sequence[Mapping[str, Any]],
    quarantine: pd.DataFrame,
    settings: DataSettings,
    target: str,
    where: str,
) -> None:
    """Stop when most of a file cannot be used for one reason that lies in its form.

    Args:
        files: what was counted when the files were read.
        quarantine: the rows as they were saved.
        settings: `max_quarantined_share` counts where it is above MOST.
        target: whose amounts are looked at where they are the reason.
        where: the file of the quarantine, for the message.

    Raises:
        InputError: a file in another form than the configured one.
    """
    found = quarantine[quarantine[c.REASON].isin([*FORMS, UNREADABLE, NOT_A_NUMBER])]
    counts = found.groupby([c.FILE, c.REASON])[c.LINE].agg(["size", "min"])
    rows_in = {counted["file"]: counted["rows_in"] for counted in files}
    for (file, reason), rows, line in counts.itertuples():
        most = max(MOST, settings.max_quarantined_share)
        if rows_in[file] >= FEWEST_ROWS and rows > most * rows_in[file]:
            bad = found[(found[c.FILE] == file) & (found[c.REASON] == reason)]
            raw = bad[c.RAW].head(LOOKED_AT)
            expected, remedy = _advised(reason, raw, settings, target)
            raise InputError(
                f"{rows:,} of {rows_in[file]:,} rows in {file} that cannot be used ({reason}), "
                f"the first in line {line}",
                expected,
                f"See the rows in {where}; {remedy}.",
            )


def _advised(
    reason: str, rows: Iterable[str], settings: DataSettings, target: str
) -> tuple[str, str]:
    """What is expected of a file whose rows have this reason, and what to do."""
    if reason == UNREADABLE:
        return CELLS
    if reason == NOT_A_NUMBER:
        return _remedy(*advice(_amounts(rows, settings, target), settings))
    dates = _texts(rows, settings.columns[settings.date_column]) if reason == BAD_DATE else []
    if reason == BAD_DATE and not dates:
        return NO_DATES
    unread = [text for text in dates if not _orders(text)]
    if len(unread) <= MOST * len(dates):
        return _remedy([(FORMS[reason],)], False)
    quoted = next(filter(QUOTED.fullmatch, unread), "")
    return DATES, "convert the dates of the file" + f", such as {quoted}" * bool(quoted)


def _remedy(choices: Sequence[Sequence[str]], signs: bool) -> tuple[str, str]:
    """What is expected of a file, and what to do; `advice` has the arguments."""
    named = " or ".join(
        " and ".join(f"data_processing.{name}" for name in choice) for choice in choices
    )
    expected, steps = [], []
    if named:
        expected.append(f"a file as {named} {'say' if ' and ' in named else 'says'}")
        steps.append(f"set {named} to the form of the file, or convert the file")
    if signs:
        expected.append("amounts without a currency sign")
        steps.append("remove the currency signs from the file")
    return ", and ".join(expected), "; ".join(steps)


def _texts(rows: Iterable[str], names: Iterable[str]) -> list[str]:
    """What stands in some columns of rows of the quarantine, without outer white space."""
    accepted = {heading(name) for name in names}
    cells = (cell for row in rows for cell in json.loads(row).items())
    return [text.strip() for name, text in cells if heading(name) in accepted and text.strip()]


def _amounts(rows: Iterable[str], settings: DataSettings, target: str) -> list[str]:
    """The texts of the amounts in some rows of the quarantine."""
    columns = AMOUNTS.get(target, (target,))
    return _texts(rows, [name for key in columns for name in settings.columns.get(key, ())])


def _swapped(quarantine: pd.DataFrame, settings: DataSettings) -> dict[str, int]:
    """By file, dates that are none in the configured order and are one in the other."""
    bad = quarantine[quarantine[c.REASON] == BAD_DATE]
    names, other = settings.columns[settings.date_column], OTHER_ORDER[settings.date_order]
    return {
        file: sum(_orders(text) == [other] for text in _texts(rows, names))
        for file, rows in bad.groupby(c.FILE)[c.RAW]
    }


def _orders(text: str) -> list[str]:
    """The orders of day and month in which three numbers, and a time if one follows, are read."""
    parts = re.search(NUMBERED, text)
    if not parts or (parts[4] and not re.search(TIME, parts[4])):
        return []
    year, days = parts[3], {"dmy": (parts[2], parts[1]), "mdy": (parts[1], parts[2])}
    return [order for order, (month, day) in days.items() if _is_date(year, month, day)]


def _is_date(*numbers: str) -> bool:
    try:
        date(*map(int, numbers))
    except ValueError:
        return False
    return True


def check_date_order(rows: ir.Table, quarantine: pd.DataFrame, settings: DataSettings) -> None:
    """Stop when a file's dates speak for the other order of day and month.

    Only days after the 12th tell. Where more of them fit the other order than the configured one,
    the file's other days have been read as days of other months.

    Args:
        rows: `file, date, flaw` as `classify` returns them.
        quarantine: the rows as they were saved.
        settings: order of dates, names of the date's column.

    Raises:
        InputError: a file in the other order.
    """
    swapped = _swapped(quarantine, settings) if settings.date_order in OTHER_ORDER else {}
    if not any(swapped.values()):
        return
    late = rows.filter(rows[FLAW] == USABLE, rows[c.DATE].day() > LAST_MONTH)
    fitting = late.group_by(c.FILE).aggregate(days=late.count()).to_pandas()
    fits = dict(zip(fitting[c.FILE], fitting["days"], strict=True))
    other = OTHER_ORDER[settings.date_order]
    for file, dates in swapped.items():
        if dates > fits.get(file, 0):
            raise InputError(
                f"{dates:,} dates in {file} that are days in the order {other} only, and "
                f"{fits.get(file, 0):,} in the order {settings.date_order} only",
                f"dates as data_processing.date_order says ({settings.date_order})",
                f"Set data_processing.date_order to {other}, or convert the file.",
            )


def repeated_days(rows: ir.Table) -> ir.Table:
    """Pairs of files and how many store-days they share: `file, again, shared, equal`.

    A store-day is equal when its rows have the same number, sum, smallest and largest amount. Rows
    with an activity number do not count: their copies are found one by one.

    Args:
        rows: `file, partner_code, store_code, date, amount, activity_id, flaw`.
    """
    bare = rows.filter(rows[FLAW] == USABLE, rows[ACTIVITY].isnull())
    key = [c.PARTNER_CODE, c.STORE_CODE, c.DATE]
    amount = bare[VALUE]
    days = bare.group_by([c.FILE, *key]).aggregate(
        rows=bare.count(), total=amount.sum(), smallest=amount.min(), largest=amount.max()
    )
    others = days.view()
    same_day = [days[name] == others[name] for name in key]
    pairs = days.join(others, [*same_day, days[c.FILE] < others[c.FILE]]).select(
        days[c.FILE],
        again=others[c.FILE],
        same=(days["rows"] == others["rows"])
        & (days.total == others.total)
        & (days.smallest == others.smallest)
        & (days.largest == others.largest),
    )
    return pairs.group_by([c.FILE, "again"]).aggregate(shared=pairs.count(), equal=pairs.same.sum())


def check_repeats(rows: ir.Table, settings: DataSettings) -> None:
    """Stop when two files hold the same sales and no activity number tells which are copies.

    Args:
        rows: see `repeated_days`.
        settings: names of the column of activity numbers.

    Raises:
        InputError: most store-days that two files share are equal, and that is no chance.
    """
    pairs = repeated_days(rows)
    alike = pairs.filter(pairs.equal >= FEWEST_DAYS, pairs.equal > MOST * pairs.shared)
    for pair in alike.order_by([c.FILE, "again"]).limit(1).to_pandas().itertuples():
        activity = settings.columns.get(ACTIVITY, (ACTIVITY,))[0]
        raise InputError(
            f"the same rows in {pair.file} and {pair.again}, on {pair.equal:,} of the "
            f"{pair.shared:,} store-days that both have",
            "each sale in one file",
            f"Remove the copy, or export the column {activity!r}, which tells copies of a row "
            "from another sale. If both are right, join the two files.",
        )
