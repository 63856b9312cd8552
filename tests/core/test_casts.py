"""Texts that DuckDB would cast although they are no amounts or days; how others cast is in
tests/datasets (`test_transaction_table.py`, `test_spark_engine.py`)."""

from __future__ import annotations

import itertools
from decimal import ROUND_HALF_UP, Decimal, localcontext

import ibis
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lifemiles_forecasting.core import casts

NUMBER = itertools.count()
LARGEST = Decimal("999999999999.999999")


@pytest.fixture(scope="module")
def connection():
    return ibis.duckdb.connect()


def values(connection, function, *columns) -> list:
    """What becomes of columns of text."""
    table = pd.DataFrame({f"c{i}": list(column) for i, column in enumerate(columns)}, dtype="str")
    texts = connection.create_table(f"texts_{next(NUMBER)}", ibis.memtable(table))
    found = texts.select(found=function(*(texts[name] for name in table)))
    return found.to_pyarrow()["found"].to_pylist()


@pytest.mark.parametrize(
    "text", ["2.26455928e+12", "-9.9e12", "1_000", "1e12", "0x10", "--5", "+-5"]
)
def test_no_amount(connection, text):
    assert values(connection, casts.amount, [text]) == [None]


@pytest.mark.parametrize("text", [" 217-03-05", "-217-03-05", "2017-02-29", "2017-13-01"])
def test_no_day(connection, text):
    assert values(connection, casts.day, [text]) == [None]


amounts = st.decimals(-LARGEST, LARGEST, places=6)


@settings(max_examples=10)
@given(st.lists(st.tuples(amounts, amounts | st.decimals(-1, 1, places=6)), min_size=1))
@example([(Decimal("11902737319.475007"), Decimal("840142879036.590311"))])
def test_products_are_those_of_exact_arithmetic(pairs):
    def product(left, right):
        return casts.product(casts.amount(left), casts.amount(right))

    with localcontext(prec=60):  # 18 digits times 18 digits, where Python itself keeps 28
        exact = [(a * b).quantize(Decimal("0.000001"), ROUND_HALF_UP) for a, b in pairs]
    expected = [value if abs(value) <= LARGEST else None for value in exact]
    written = [[format(pair[side], "f") for pair in pairs] for side in (0, 1)]
    assert values(ibis.duckdb.connect(), product, *written) == expected
