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
from lifemiles_forecasting.core.names import first_few, heading
from lifemiles_forecasting.core.notices import Notice
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
    from collections.abc import Callable

    import ibis.expr.types as ir
    import pandas as pd

    Step = Callable[[ir.Table], ir.Table]

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
DOUBTFUL = "doubtful_amounts"  # code of a warning
AMOUNTS = {"billings": ("billings", "miles", "mile_price")}  # columns of a target, if not its own
LOOKED_AT = 1_000  # rows of a file that cannot be read
MOST = 0.5  # share of a file's rows
FEWEST_ROWS = 10  # with fewer, one odd row would be a large share of a file
FEWEST_DAYS = 10  # equal store-days in two files; fewer may be chance
DAY = [c.PARTNER_CODE, c.STORE_CODE, c.DATE]
FEWEST_AMOUNTS = 20  # with a decimal sign; the form of fewer may be chance
OTHER_ORDER = {"dmy": "mdy", "mdy": "dmy"}
LAST_MONTH = 12


def doubtful_amount(texts: Sequence[str], decimal: str) -> str | None:
    """An amount whose decimal sign may be one that parts thousands; None if that is unlikely.

    Args:
        texts: amounts of one file as they are written.
        decimal: the configured sign.

    Returns:
        The first of those with most signs: one with two leaves no doubt.

    >>> doubtful_amount(["45.900", "1.200"] * 10, ".")
    '45.900'
    >>> doubtful_amount(["45.900", "1.200.000"] * 10, ".")
    '1.200.000'
    >>> doubtful_amount(["45.900", "0.200"] * 10, ".")
    """
    grouped = re.compile(rf"\s*[+-]?[1-9]\d{{0,2}}(\{decimal}\d{{3}})+\s*")
    signed = [text for text in texts if decimal in text]
    if len(signed) < FEWEST_AMOUNTS or not all(map(grouped.fullmatch, signed)):
        return None
    return max(signed, key=lambda text: text.count(decimal)).strip()


def doubtful_files(
    files: Iterable[tuple[str, Mapping[str, Sequence[str]]]], settings: DataSettings, target: str
) -> dict[str, str]:
    """The files whose decimal sign may be one that parts thousands, each with an amount.

    Args:
        files: name, and texts of the first rows by canonical name of the column.
        settings: `decimal`.
        target: whose columns are looked at.

    Raises:
        InputError: the sign does part thousands, as an amount with two of them shows.
    """
    doubtful = {}
    for name, first in files:
        told = (doubtful_amount(texts, settings.decimal) for texts in _told(first, target))
        found = [amount for amount in told if amount is not None]
        if found:
            doubtful[name] = max(found, key=lambda text: text.count(settings.decimal))
    for name, amount in doubtful.items():
        if amount.count(settings.decimal) > 1:
            mark, other = settings.decimal, {".": ",", ",": "."}[settings.decimal]
            raise InputError(
                f"amounts such as {amount} in {name}, where {mark!r} parts thousands",
                f"a decimal sign, as data_processing.decimal says of {mark!r}",
                f"Set data_processing.thousands to {mark!r} and data_processing.decimal to "
                f"{other!r}.",
            )
    return doubtful


def _told(first: Mapping[str, Sequence[str]], target: str) -> list[Sequence[str]]:
    """The texts of each column that a target's amounts come from."""
    own = first.get(target)
    if own is not None and all(text.strip() for text in own):
        return [own]
    return [first[name] for name in AMOUNTS.get(target, (target,)) if name in first]


def notices(doubtful: Sequence[str]) -> list[Notice]:
    """A warning of the files whose amounts are in doubt; whom it concerns nobody knows."""
    return [Notice(first_few(doubtful), "files", DOUBTFUL, 0)] if doubtful else []


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


def alike_files(rows: ir.Table, keep: Step, fewest: int = FEWEST_DAYS) -> ir.Table:
    """Pairs of files with so many equal store-days: `file, again, equal, shared`.

    A store-day is equal when its rows have the same number, sum, smallest and largest amount; what
    both files have of it at all is shared. Rows with an activity number do not count: their copies
    are found one by one.

    Args:
        rows: `file, partner_code, store_code, date, amount, activity_id, flaw`.
        keep: materialises an expression, so that it is computed once.
        fewest: equal days of a pair; all pairs of many small files would be too many to look at.
    """
    bare = rows.filter(rows[FLAW] == USABLE, rows[ACTIVITY].isnull())
    amount = bare[VALUE]
    sums = {"total": amount.sum(), "smallest": amount.min(), "largest": amount.max()}
    days = keep(bare.group_by([c.FILE, *DAY]).aggregate(rows=bare.count(), **sums))
    equal = _pairs(days, [*DAY, "rows", *sums], "equal")
    equal = keep(equal.filter(equal.equal >= fewest))
    theirs = days[c.FILE].isin(equal[c.FILE]) | days[c.FILE].isin(equal["again"])
    shared = _pairs(days.filter(theirs), DAY, "shared")
    return equal.inner_join(shared, [c.FILE, "again"])


def _pairs(days: ir.Table, key: Sequence[str], count: str) -> ir.Table:
    """`file, again` and how many of their days are the same in the columns of a key."""
    others = days.view()
    same = [days[name] == others[name] for name in key]
    both = days.join(others, [*same, days[c.FILE] < others[c.FILE]])
    pairs = both.select(days[c.FILE], again=others[c.FILE])
    return pairs.group_by([c.FILE, "again"]).aggregate(**{count: pairs.count()})


def check_repeats(rows: ir.Table, settings: DataSettings, keep: Step) -> None:
    """Stop when two files hold the same sales and no activity number tells which are copies.

    Args:
        rows: see `alike_files`.
        settings: names of the column of activity numbers.
        keep: see `alike_files`.

    Raises:
        InputError: most store-days that two files share are equal, and that is no chance.
    """
    pairs = alike_files(rows, keep)
    alike = keep(pairs.filter(pairs.equal > MOST * pairs.shared))
    for pair in alike.order_by([c.FILE, "again"]).limit(1).to_pandas().itertuples():
        activity = settings.columns.get(ACTIVITY, (ACTIVITY,))[0]
        raise InputError(
            f"the same rows in {pair.file} and {pair.again}, on {pair.equal:,} of the "
            f"{pair.shared:,} store-days that both have",
            "each sale in one file",
            f"Remove the copy, or export the column {activity!r}, which tells copies of a row "
            "from another sale. If both are right, join the two files.",
        )
