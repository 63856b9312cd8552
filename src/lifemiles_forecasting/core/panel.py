"""Usable rows to store-days, the gap-free daily panel and the store table.

All but the fingerprint are Ibis expressions. The target of a store-day is the exact decimal sum of
its rows and becomes a float only afterwards: the order of rows and files changes no bit of it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.transactions import (
    FLAW,
    LABEL_BREAK,
    LABELS,
    RECORD,
    TEXTS,
    USABLE,
    VALUE,
)

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

REGULAR, INTERMITTENT, SHORT, DORMANT = "regular", "intermittent", "short", "dormant"
LAST_RECORD = "last_record"


def exact_days(rows: ir.Table, rejected: ir.Table) -> ir.Table:
    """A row per store and day with at least one transaction, before its sum becomes a float.

    Args:
        rows: `record, partner_code, store_code, date, amount, flaw` as `classify` returns them.
        rejected: `record` of the rows that are usable by themselves and quarantined nevertheless.

    Returns:
        `partner_code, store_code, date, y` (target units, an exact decimal), `transactions` (rows),
        `last_record` (the highest record of the day).
    """
    kept = rows.filter(rows[FLAW] == USABLE).anti_join(rejected, RECORD)
    return kept.group_by(c.PARTNER_CODE, c.STORE_CODE, c.DATE).aggregate(
        **{
            c.Y: kept[VALUE].sum().cast("decimal(38, 6)"),
            c.TRANSACTIONS: kept.count(),
            LAST_RECORD: kept[RECORD].max(),
        }
    )


def finished_days(days: ir.Table) -> ir.Table:
    """The same with `store_id`, and `y` as a float; engines round large sums in different ways.

    Args:
        days: see `exact_days`.
    """
    return days.mutate(
        **{
            c.Y: days[c.Y].cast("float64"),
            c.STORE_ID: days[c.PARTNER_CODE] + "_" + days[c.STORE_CODE],
        }
    )


def store_days(rows: ir.Table, rejected: ir.Table) -> ir.Table:
    """A row per store and day with at least one transaction.

    Args:
        rows: see `exact_days`.
        rejected: see `exact_days`.

    Returns:
        `store_id, partner_code, store_code, date, y` (target units), `transactions` (rows),
        `last_record` (the highest record of the day).
    """
    return finished_days(exact_days(rows, rejected))


def naming_records(days: ir.Table) -> ir.Table:
    """`record` of every store's latest row, whose names the store has.

    Args:
        days: see `store_days`.
    """
    latest = days.group_by(c.STORE_ID).aggregate(**{RECORD: days[LAST_RECORD].argmax(days[c.DATE])})
    return latest.select(RECORD)


def check_store_ids(days: ir.Table) -> None:
    """Refuse two stores under one id, such as A_B + C and A + B_C.

    Args:
        days: see `store_days`.

    Raises:
        InputError: different pairs of codes lead to the same `store_id`.
    """
    pairs = days.select(c.STORE_ID, c.PARTNER_CODE, c.STORE_CODE).distinct()
    counted = pairs.group_by(c.STORE_ID).aggregate(pairs=pairs.count())
    shared = counted.filter(counted.pairs > 1).order_by(c.STORE_ID).to_pandas()
    if len(shared):
        raise InputError(
            f"different partner and store codes that both give {shared[c.STORE_ID][0]!r}",
            "a store_id (partner code, underscore, store code) of its own for every store",
            "Rename one of the codes in the files.",
        )


def daily_panel(days: ir.Table) -> ir.Table:
    """The gap-free daily grid of every store, from its first day to the last day of all stores.

    Args:
        days: see `store_days`.

    Returns:
        `store_id, date` (timestamp), `y` (target units, 0 on a day without transactions),
        `transactions`, sorted by store and date.
    """
    import ibis

    span = days.aggregate(first=days[c.DATE].min(), last=days[c.DATE].max())
    span = span.mutate(length=span["last"].delta(span["first"], unit="day") + 1)
    steps = span.select("first", step=ibis.range(0, span.length).unnest())
    calendar = steps.select(**{c.DATE: steps["first"] + steps.step.as_interval("D")})
    calendar = calendar.mutate(**{c.DATE: calendar[c.DATE].cast("date")})
    opened = days.group_by(c.STORE_ID).aggregate(opened=days[c.DATE].min())
    grid = opened.join(calendar, calendar[c.DATE] >= opened.opened).select(c.STORE_ID, c.DATE)
    sold = days.select(c.STORE_ID, c.DATE, c.Y, c.TRANSACTIONS)
    full = grid.left_join(sold, [c.STORE_ID, c.DATE])
    return full.select(
        **{
            c.STORE_ID: full[c.STORE_ID],
            c.DATE: full[c.DATE].cast("timestamp(6)"),
            c.Y: full[c.Y].coalesce(0.0),
            c.TRANSACTIONS: full[c.TRANSACTIONS].coalesce(0),
        }
    ).order_by(c.STORE_ID, c.DATE)


def _spans(days: ir.Table) -> ir.Table:
    """A row per store: codes, first and last day, active days, zero share, record of the labels."""
    overall = days.aggregate(end=days[c.DATE].max())
    spans = days.group_by(c.STORE_ID, c.PARTNER_CODE, c.STORE_CODE).aggregate(
        **{
            c.FIRST_DATE: days[c.DATE].min(),
            c.LAST_DATE: days[c.DATE].max(),
            c.ACTIVE_DAYS: days.count(),
            "sold_days": (days[c.Y] > 0).sum(),
            RECORD: days[LAST_RECORD].argmax(days[c.DATE]),
        }
    )
    spans = spans.cross_join(overall)
    length = spans["end"].delta(spans[c.FIRST_DATE], unit="day") + 1
    return spans.mutate(
        **{
            c.ZERO_SHARE: 1.0 - spans.sold_days.cast("float64") / length.cast("float64"),
            "silence": spans["end"].delta(spans[c.LAST_DATE], unit="day"),
        }
    )


def store_table(
    days: ir.Table,
    rows: ir.Table,
    min_samples: int,
    dormant_days: int,
    intermittent_zero_share: float,
) -> ir.Table:
    """What is known of every store, sorted by `store_id`.

    Args:
        days: see `store_days`.
        rows: `record, labels` as `classify` returns them; at least those of `naming_records`.
        min_samples: with fewer active days (days with a transaction) a store is short.
        dormant_days: without a transaction in the last so many days it is dormant.
        intermittent_zero_share: from this share of days with y = 0 on it is intermittent.

    Returns:
        The columns of `columns.STORES`. The first class that applies of: dormant, short,
        intermittent, regular. Names are those of the store's latest row (null where empty).
    """
    import ibis

    spans = _spans(days)
    named = spans.left_join(rows.select(RECORD, TEXTS), RECORD)
    parts = named[TEXTS].split(LABEL_BREAK)
    labels = {name: parts[i].strip().nullif("") for i, name in enumerate(LABELS)}
    store_class = ibis.cases(
        (named.silence >= dormant_days, DORMANT),
        (named[c.ACTIVE_DAYS] < min_samples, SHORT),
        (named[c.ZERO_SHARE] >= intermittent_zero_share, INTERMITTENT),
        else_=REGULAR,
    )
    dates = {name: named[name].cast("timestamp(6)") for name in (c.FIRST_DATE, c.LAST_DATE)}
    table = named.mutate(**labels, **dates, **{c.STORE_CLASS: store_class})
    return table.select(*c.STORES).order_by(c.STORE_ID)


def fingerprint(panel: pd.DataFrame) -> str:
    """SHA-256 (hexadecimal) of a panel's content: the same whatever files the rows came in.

    Args:
        panel: `store_id, date, y, transactions`, sorted by store and date.
    """
    digest = hashlib.sha256()
    days = panel.groupby(c.STORE_ID, sort=True).size()
    digest.update("\n".join(days.index).encode())
    digest.update(days.to_numpy().astype("<i8").tobytes())
    digest.update(panel[c.DATE].to_numpy().astype("datetime64[D]").astype("<i8").tobytes())
    digest.update(panel[c.Y].to_numpy().astype("<f8").tobytes())
    digest.update(panel[c.TRANSACTIONS].to_numpy().astype("<i8").tobytes())
    return digest.hexdigest()
