"""The ledger of warnings."""

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.notices import Notice, to_frame


def test_ledger_has_its_columns_with_and_without_rows():
    rows = [
        Notice("b", "events", "unknown_store", 0),
        Notice("a", "holidays", "unknown_country", 2),
    ]
    frame = to_frame(rows)
    assert tuple(frame.columns) == tuple(to_frame([]).columns) == c.WARNINGS
    assert list(frame.itertuples(index=False, name=None)) == rows
    assert frame["stores"].dtype == to_frame([])["stores"].dtype == "int64"
