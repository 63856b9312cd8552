"""What amounts say about the form that they are written in."""

from __future__ import annotations

from datetime import date

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifemiles_forecasting.core import transactions as t
from lifemiles_forecasting.core.amount_forms import FORMS, advice
from lifemiles_forecasting.core.config import DataSettings

FORM = st.sampled_from(FORMS)


def configured(form: tuple[str, str]) -> DataSettings:
    columns = {"billings": ("Billings",)}
    return DataSettings(decimal=form[0], thousands=form[1], columns=columns)


def read(texts: list[str], data: DataSettings) -> list[bool]:
    """Which amounts a run would use."""
    row = {"partner_code": "P", "store_code": "1", "process_date": "2018-01-01"}
    table = ibis.memtable(pd.DataFrame([row | {"billings": text} for text in texts]))
    rows = t.classify(table, data, "billings", None, date(2020, 1, 1)).to_pandas()
    return (rows["flaw"] == t.USABLE).tolist()


@settings(max_examples=20)
@given(FORM, FORM, st.lists(st.integers(100_000, 10**11), min_size=1, max_size=5), st.booleans())
def test_what_is_advised_reads_the_amounts(have, given_form, cents, signed):
    """All that are advised do, unless the amounts are read as they are."""
    signs = str.maketrans({",": have[1], ".": have[0]})
    texts = [f"{cent / 100:,.2f}".translate(signs) for cent in cents]
    data = configured(given_form)
    if all(read(texts, data)):
        return
    choices, found = advice([f"$ {text}" if signed else text for text in texts], data)
    assert found == signed
    for choice in choices:
        forms = [form for form in FORMS if differs(form, given_form) == choice]
        assert any(all(read(texts, configured(form))) for form in forms)


def differs(form: tuple[str, str], other: tuple[str, str]) -> tuple[str, ...]:
    names = ("decimal", "thousands")
    return tuple(name for name, a, b in zip(names, form, other, strict=True) if a != b)


def test_a_thousand_does_not_begin_with_zero():
    assert advice(["12,345", "0,900"], configured((".", ""))) == ([("decimal",)], False)


@pytest.mark.parametrize("texts", [[], ["twelve"], ["1/2", "-"]])
def test_of_no_amount_either_setting_may_be_the_wrong_one(texts):
    assert advice(texts, configured((".", ""))) == ([("decimal",), ("thousands",)], False)
