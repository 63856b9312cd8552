"""Stores that are in the quarantine alone, and those that are there in two forms."""

from __future__ import annotations

import unicodedata

import ibis
import pandas as pd

from lifemiles_forecasting.core import store_codes
from lifemiles_forecasting.core.notices import Notice
from lifemiles_forecasting.core.store_codes import STAGE, TWO_FORMS, WITHOUT_ROWS
from lifemiles_forecasting.core.transactions import AFTER_AS_OF, USABLE

FLAWED = 3
NONE_LOST = {"without_usable_rows": {"stores": 0, "first": []}}


def stores_of(*ids):
    table = pd.DataFrame({"store_id": pd.Series(ids, dtype="str")})
    table[["partner_code", "store_code"]] = table["store_id"].str.split("_", expand=True)
    return table


def lost_of(rows, rejected, stores):
    frame = pd.DataFrame(rows, columns=["partner_code", "store_code", "flaw"])
    table = ibis.memtable(frame.assign(record=range(len(frame))))
    records = ibis.memtable(pd.DataFrame({"record": pd.Series(rejected, dtype="int64")}))
    flawed = store_codes.flawed_codes(table, records).to_pandas()
    assert not flawed.duplicated().any()
    return store_codes.without_rows(flawed, stores)


def test_stores_without_a_usable_row_are_found_whatever_became_of_their_rows():
    rows = [
        ("A", "1", USABLE),
        ("A", "1", FLAWED),
        ("B", "1", FLAWED),
        ("B", "1", FLAWED),
        ("C", "1", USABLE),  # rejected beside the others
        ("D", "1", AFTER_AS_OF),
        (None, "1", FLAWED),
        ("A", None, FLAWED),
    ]
    assert lost_of(rows, [4], stores_of("A_1")) == ["B_1", "C_1"]
    assert lost_of(rows[:2], [], stores_of("A_1")) == []


def test_store_in_two_forms_of_unicode_is_told():
    """An accent as a character with its letter, and as one of its own."""
    nfc, nfd = (unicodedata.normalize(form, "Café_Peñón") for form in ("NFC", "NFD"))
    stores = stores_of("Cafe_Penon", nfc, nfd, "Café_Ñandú")
    assert store_codes.in_two_forms(stores) == [nfc, nfd]
    (notice,) = store_codes.notices(stores, NONE_LOST)
    assert notice == Notice(f"{nfc}, {nfd}", STAGE, TWO_FORMS, 2)
    assert store_codes.notices(stores_of("Cafe_Penon", nfc), NONE_LOST) == []


def test_stores_that_case_or_leading_zeros_tell_apart_are_told():
    """As a spreadsheet and people write them."""
    stores = stores_of("0101_0007", "101_7", "MODA_1", "moda_1", "P_0", "P_10", "P_100", "P_01x")
    assert store_codes.in_two_forms(stores) == ["0101_0007", "101_7", "MODA_1", "moda_1"]


def test_many_stores_are_one_warning_that_names_the_first():
    ids = [f"B_{k}" for k in range(9)]
    balance = {"without_usable_rows": {"stores": 9, "first": store_codes.first(ids)}}
    (notice,) = store_codes.notices(stores_of("A_1"), balance)
    assert notice == Notice("B_0, B_1, B_2, B_3, B_4, ...", STAGE, WITHOUT_ROWS, 9)
