"""Raw transactions to the daily panel and the store table. Wiring only."""

from __future__ import annotations

import logging
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core.config import DataSettings, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir
    import pandas as pd

    from lifemiles_forecasting.datasets.events import EventFile
    from lifemiles_forecasting.datasets.reading import Reading, Transactions

logger = logging.getLogger(__name__)

DOUBTFUL = (
    "%s: all amounts with a decimal sign have three digits behind it, such as %s. They are read as "
    "decimals, as configured. If %r parts thousands there, set data_processing.thousands to it and "
    "data_processing.decimal to the other sign."
)
NOT_READ = (
    "Not read: %s. A run reads the .csv and .csv.gz files of the folder itself, no others: if "
    "these are transactions too, bring them there in that form."
)
EDGES = {
    "few_stores_at_the_end": "%s: only %s stores have rows on these last days; for all others they "
    "are days without a sale. Add the files that are missing, correct dates that are wrong, or end "
    "before these days with as_of.",
    "days_without_any_row": "%s: no store has a row on these days, %s stores have some before. If "
    "those are dated wrongly, correct them, or leave them out with data_processing.date_floor; if "
    "the rows after these days are, end before them with as_of.",
}
LATE_AS_OF = (
    "as_of=%s is after the last day of the data, %s: it changes nothing, and forecasts begin after "
    "that day."
)


def read_events(events: EventFile) -> pd.DataFrame:
    """The plan of campaigns and other events; without a file, one without a row.

    Raises:
        InputError: the file cannot be read, or a row of it cannot be used.
    """
    from lifemiles_forecasting.core.events import no_events, parse_events

    text = events.read()
    return no_events() if text is None else parse_events(text, events.name)


def read_transactions(
    source: Transactions, data_processing: dict[str, Any], target: str, as_of: str | None
) -> tuple[Reading, ir.Table]:
    """Typed rows of all transactions, and those that are not usable beside the others.

    Raises:
        InputError: a file cannot be read, has not the columns that the target needs, or its
            amounts have marks of thousands where the decimal sign is expected.
    """
    from lifemiles_forecasting.core import unread
    from lifemiles_forecasting.core.file_checks import doubtful_files
    from lifemiles_forecasting.core.headers import resolve_columns
    from lifemiles_forecasting.core.names import printable
    from lifemiles_forecasting.core.transactions import classify, settle

    settings = parse(DataSettings, data_processing)
    limit = None if as_of is None else date.fromisoformat(as_of)
    today = date.today()
    reading = source.read(
        settings.separator,
        settings.encoding,
        columns=partial(resolve_columns, settings=settings, target=target),
        classify=partial(classify, settings=settings, target=target, as_of=limit, today=today),
    )
    for notice in unread.notices(reading.not_read):
        logger.warning(NOT_READ, printable(notice.subject))
    for name, amount in doubtful_files(_first_texts(reading), settings, target).items():
        logger.warning(DOUBTFUL, name, amount, settings.decimal)
    return reading, settle(reading.rows, reading.keep, reading.parts)


def _first_texts(reading: Reading) -> list[tuple[str, Mapping[str, list[str]]]]:
    return [(file.name, file.first) for file in reading.files]


def quarantine_rows(
    transactions: Reading, rejected: ir.Table
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The rows that are not used, with their reasons, and the counts of every file."""
    return transactions.quarantine(rejected), transactions.counts(rejected)


def trust_rows(  # noqa: PLR0913, PLR0917 - every run-time parameter is an input of its own
    transactions: Reading,
    rejected: ir.Table,
    row_counts: list[dict[str, Any]],
    quarantine: pd.DataFrame,
    data_processing: dict[str, Any],
    target: str,
    data_root: str,
    job: str = "",
) -> ir.Table:
    """Store-days of the usable rows, once the quarantine is saved and the rows add up.

    `job` is whose quarantine it is, if not that of the training.

    Raises:
        InputError: no usable row, too many in the quarantine, or a file in another form than the
            configured one or that is there twice.
    """
    from lifemiles_forecasting.core.balance import check_balance, check_share
    from lifemiles_forecasting.core.columns import TRANSACTIONS
    from lifemiles_forecasting.core.file_checks import check_date_order, check_forms, check_repeats
    from lifemiles_forecasting.core.panel import check_store_ids, exact_days, finished_days

    settings = parse(DataSettings, data_processing)
    where = "/".join(filter(None, (data_root, "02_intermediate", job, "quarantine.parquet")))
    check_date_order(transactions.rows, quarantine, settings)
    check_forms(row_counts, quarantine, settings, target, where)
    check_share(row_counts, quarantine, settings.max_quarantined_share, where)
    days = transactions.fetch(exact_days(transactions.rows, rejected), finished_days)
    check_balance(row_counts, quarantine, int(days[TRANSACTIONS].sum().execute()))
    check_store_ids(days)
    check_repeats(transactions.rows, settings, transactions.keep)
    return days


def build_panel(
    store_days: ir.Table,
    transactions: Reading,
    data_processing: dict[str, Any],
    min_samples: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The gap-free daily panel and the store table."""
    from lifemiles_forecasting.core.panel import daily_panel, store_table

    settings = parse(DataSettings, data_processing)
    stores = store_table(
        store_days,
        transactions.naming_rows(store_days),
        min_samples,
        settings.dormant_days,
        settings.intermittent_zero_share,
    )
    return daily_panel(store_days).to_pandas(), stores.to_pandas()


def balance_rows(  # noqa: PLR0913, PLR0917 - every table that is counted is an input of its own
    transactions: Reading,
    rejected: ir.Table,
    row_counts: list[dict[str, Any]],
    quarantine: pd.DataFrame,
    panel: pd.DataFrame,
    stores: pd.DataFrame,
    data_processing: dict[str, Any],
    **asked: Any,
) -> dict[str, Any]:
    """What became of the raw rows, for the log and the report, and what was asked of them."""
    from lifemiles_forecasting.core import edges
    from lifemiles_forecasting.core.balance import ends_before, row_balance
    from lifemiles_forecasting.core.file_checks import doubtful_files
    from lifemiles_forecasting.core.store_codes import flawed_codes

    flawed = flawed_codes(transactions.rows, rejected).to_pandas()
    balance = row_balance(row_counts, quarantine, panel, stores, flawed, transactions.not_read)
    logger.info(
        "Rows: %s in = %s used + %s quarantined; %s after as_of. %s stores, %s to %s.",
        *(f"{balance[f'rows_{name}']:,}" for name in ("in", "used", "quarantined", "after_as_of")),
        f"{balance['stores']:,}",
        balance["first_date"],
        balance["last_date"],
    )
    for reason, rows in balance["quarantined_by_reason"].items():
        logger.warning("Quarantined: %s rows, %s.", f"{rows:,}", reason)
    for notice in edges.notices(panel):
        logger.warning(EDGES[notice.warning], notice.subject, notice.stores)
    if ends_before(balance, asked["as_of"]):
        logger.warning(LATE_AS_OF, asked["as_of"], balance["last_date"])
    settings = parse(DataSettings, data_processing)
    doubtful = doubtful_files(_first_texts(transactions), settings, asked["target"])
    return balance | {"doubtful_amounts": list(doubtful)} | asked
