"""Stores that the codes of the raw rows name, and the panel does not have, or has twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.notices import Notice
from lifemiles_forecasting.core.transactions import FLAW, RECORD, USABLE

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

STAGE = "panel"
WITHOUT_ROWS, TWO_FORMS = "stores_without_usable_rows", "codes_in_two_forms"
SHOWN = 5  # ids; a damaged file may bring as many codes as it has rows


def flawed_codes(rows: ir.Table, rejected: ir.Table) -> ir.Table:
    """`partner_code, store_code` of the rows that go to the quarantine, each pair once.

    Args:
        rows: `record, partner_code, store_code, flaw` as `classify` returns them.
        rejected: `record` of the rows that are usable by themselves and quarantined nevertheless.
    """
    codes = [c.PARTNER_CODE, c.STORE_CODE]
    flawed = rows.filter(rows[FLAW] > USABLE).select(codes)
    return flawed.union(rows.semi_join(rejected, RECORD).select(codes)).drop_null().distinct()


def without_rows(flawed: pd.DataFrame, stores: pd.DataFrame) -> list[str]:
    """`store_id` of the stores that are in the quarantine alone, sorted.

    Args:
        flawed: see `flawed_codes`.
        stores: `columns.STORES`.
    """
    named = flawed[c.PARTNER_CODE] + "_" + flawed[c.STORE_CODE]
    return sorted(set(named) - set(stores[c.STORE_ID]))


def in_two_forms(stores: pd.DataFrame) -> list[str]:
    """`store_id` of the stores that only the form of their codes tells from another, in order.

    An accent is a character with its letter (NFC) or one of its own behind it (NFD); both look the
    same. Spreadsheets make 7 of 0007, and people mix upper and lower case. The rows of such a
    store are divided between two.
    """
    form = _form(stores[c.PARTNER_CODE]) + "_" + _form(stores[c.STORE_CODE])
    return stores.loc[form.duplicated(keep=False), c.STORE_ID].tolist()


def _form(codes: pd.Series) -> pd.Series:
    """Codes without case and leading zeros, in one form of Unicode."""
    return codes.str.normalize("NFC").str.casefold().str.replace("^0+(?=.)", "", regex=True)


def notices(stores: pd.DataFrame, row_balance: Mapping[str, Any]) -> list[Notice]:
    """Warnings of stores that have no usable row, and of those that are there in two forms.

    Args:
        stores: `columns.STORES`.
        row_balance: see `balance.row_balance`.
    """
    lost, doubled = row_balance["without_usable_rows"], in_two_forms(stores)
    found = [
        (lost["first"], WITHOUT_ROWS, lost["stores"]),
        (first(doubled), TWO_FORMS, len(doubled)),
    ]
    return [Notice(", ".join(ids), STAGE, warning, n) for ids, warning, n in found if n]


def first(ids: Sequence[str]) -> list[str]:
    """As many ids as are shown, and a sign that there are more."""
    return [*ids[:SHOWN], *(["..."] if len(ids) > SHOWN else [])]
