"""The row balance: every raw row is used, quarantined, or dated after `as_of`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.panel import fingerprint
from lifemiles_forecasting.core.store_codes import first, without_rows
from lifemiles_forecasting.core.transactions import REASONS

if TYPE_CHECKING:
    import pandas as pd

FileCounts = Mapping[str, Any]  # file, rows_in, rows_used, rows_after_as_of


def by_reason(quarantine: pd.DataFrame) -> dict[str, int]:
    """Quarantined rows of each reason that occurs, in the order of REASONS."""
    counts = quarantine[c.REASON].value_counts()
    return {reason: int(counts[reason]) for reason in REASONS if reason in counts}


def check_balance(files: Sequence[FileCounts], quarantine: pd.DataFrame, used: int) -> None:
    """Refuse to go on when a row is lost or counted twice.

    Args:
        files: what was counted when the files were read.
        quarantine: the rows as they were saved.
        used: rows behind the store-days.

    Raises:
        RuntimeError: a row is in no place or in two; this is a defect of this package.
    """
    quarantined = quarantine[c.FILE].value_counts()
    for counts in files:
        aside = int(quarantined.get(counts["file"], 0))
        if counts["rows_in"] != counts["rows_used"] + aside:
            raise RuntimeError(
                f"row balance of {counts['file']}: {counts['rows_in']} rows in, "
                f"{counts['rows_used']} used, {aside} quarantined"
            )
    expected = sum(counts["rows_used"] for counts in files)
    if used != expected:
        raise RuntimeError(f"row balance: {expected} rows used, {used} behind the store-days")


def check_share(
    files: Sequence[FileCounts], quarantine: pd.DataFrame, max_share: float, where: str
) -> None:
    """Stop when too little can be used.

    Args:
        files: what was counted when the files were read.
        quarantine: the rows as they were saved.
        max_share: `data_processing.max_quarantined_share`.
        where: the file of the quarantine, for the message.

    Raises:
        InputError: no usable row at all, or more than `max_share` quarantined.
    """
    rows_in = sum(counts["rows_in"] for counts in files)
    after = sum(counts["rows_after_as_of"] for counts in files)
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in by_reason(quarantine).items())
    if not any(counts["rows_used"] for counts in files):
        raise InputError(
            f"no usable row: {rows_in:,} rows in {len(files)} files"
            + (f" ({reasons})" if reasons else "")
            + (f", and {after:,} dated after as_of" if after else ""),
            "at least one transaction",
            f"See the quarantined rows in {where}." if reasons else "Choose a later as_of.",
        )
    share = len(quarantine) / rows_in
    if share > max_share:
        raise InputError(
            f"{len(quarantine):,} of {rows_in:,} rows that cannot be used ({reasons})",
            f"at most {max_share:.1%} (it is {share:.1%})",
            f"See the rows in {where}; correct the files or the parameters of data_processing, "
            "or raise data_processing.max_quarantined_share.",
        )


def row_balance(
    files: Sequence[FileCounts],
    quarantine: pd.DataFrame,
    panel: pd.DataFrame,
    stores: pd.DataFrame,
    flawed: pd.DataFrame,
    not_read: Sequence[str],
) -> dict[str, Any]:
    """What became of the raw rows, ready for JSON.

    Args:
        files: what was counted when the files were read.
        quarantine: the rows as they were saved.
        panel: the daily panel.
        stores: the store table.
        flawed: codes in the quarantine, see `store_codes.flawed_codes`.
        not_read: names of what lies beside the files and may hold data.
    """
    lost = without_rows(flawed, stores)
    quarantined = quarantine[c.FILE].value_counts()
    details = [
        {**counts, "rows_quarantined": int(quarantined.get(counts["file"], 0))} for counts in files
    ]
    totals = {
        name: sum(detail[name] for detail in details)
        for name in ("rows_in", "rows_used", "rows_quarantined", "rows_after_as_of")
    }
    return {
        **totals,
        "quarantined_by_reason": by_reason(quarantine),
        "without_usable_rows": {"stores": len(lost), "first": first(lost)},
        "files": details,
        "not_read": list(not_read),
        "first_date": panel[c.DATE].min().date().isoformat(),
        "last_date": panel[c.DATE].max().date().isoformat(),
        "stores": len(stores),
        "store_days": int((panel[c.TRANSACTIONS] > 0).sum()),
        "data_fingerprint": fingerprint(panel),
    }


def ends_before(balance: Mapping[str, Any], as_of: str | None) -> bool:
    """Whether the data end before `as_of`; with rows after it, it is only a day without any.

    Args:
        balance: see `row_balance`.
        as_of: YYYY-MM-DD, or None.
    """
    return as_of is not None and not balance["rows_after_as_of"] and as_of > balance["last_date"]
