"""What amounts say about the form that they are written in."""

from __future__ import annotations

from datetime import date
from functools import cache

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifemiles_forecasting.core import transactions as t
from lifemiles_forecasting.core.amount_forms import FORMS, advice
from lifemiles_forecasting.core.config import DataSettings

FORM = st.sampled_from(FORMS)
ROW = {"partner_code": "P", "store_code": "1", "process_date": "2018-01-01"}


def configured(form: tuple[str, str]) -> DataSettings:
    columns = {"billings": ("Billings",)}
    return DataSettings(decimal=form[0], thousands=form[1], columns=columns)


@cache
def engine() -> ibis.BaseBackend:
    """With a table of rows of text, for amounts of every form."""
    made = ibis.duckdb.connect()
    made.create_table("amounts", schema=dict.fromkeys((*ROW, "billings", "record"), "string"))
    return made


@cache
def query(form: tuple[str, str]) -> str:
    """What a run asks of rows with amounts of this form, as SQL: that takes long to be made."""
    table = engine().table("amounts")
    return engine().compile(t.classify(table, configured(form), "billings", None, date(2020, 1, 1)))


def read(texts: list[str], form: tuple[str, str]) -> list[bool]:
    """Which amounts a run would use."""
    rows = [ROW | {"billings": text, "record": str(k)} for k, text in enumerate(texts)]
    duckdb = engine().con
    duckdb.execute("DELETE FROM amounts")
    duckdb.register("given", pd.DataFrame(rows, dtype="str"))
    duckdb.execute("INSERT INTO amounts BY NAME SELECT * FROM given")
    found = duckdb.sql(query(form)).df()
    in_order = found.iloc[found["record"].astype(int).argsort()]
    return (in_order["flaw"] == t.USABLE).tolist()


@settings(max_examples=20)
@given(FORM, FORM, st.lists(st.integers(100_000, 10**11), min_size=1, max_size=5), st.booleans())
def test_what_is_advised_reads_the_amounts(have, given_form, cents, signed):
    """All that are advised do, unless the amounts are read as they are."""
    signs = str.maketrans({",": have[1], ".": have[0]})
    texts = [f"{cent / 100:,.2f}".translate(signs) for cent in cents]
    if all(read(texts, given_form)):
        return
    written = [f"$ {text}" if signed else text for text in texts]
    choices, found = advice(written, configured(given_form))
    assert found == signed
    for choice in choices:
        forms = [form for form in FORMS if differs(form, given_form) == choice]
        assert any(all(read(texts, form)) for form in forms)


def differs(form: tuple[str, str], other: tuple[str, str]) -> tuple[str, ...]:
    names = ("decimal", "thousands")
    return tuple(name for name, a, b in zip(names, form, other, strict=True) if a != b)


def test_a_thousand_does_not_begin_with_zero():
    assert advice(["12,345", "0,900"], configured((".", ""))) == ([("decimal",)], False)


@pytest.mark.parametrize("texts", [[], ["twelve"], ["1/2", "-"]])
def test_of_no_amount_either_setting_may_be_the_wrong_one(texts):
    assert advice(texts, configured((".", ""))) == ([("decimal",), ("thousands",)], False)
