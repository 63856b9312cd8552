"""Days at the end of the data, or a hole in them, that a few stray rows make of nothing.

A day without a row is a day without a sale. So one row that is dated too late makes every other
store silent up to it, and one that is dated long ago makes the data years long. Both may be true (a
strike, a store that opened long before the others), so a run goes on and says what it saw.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.notices import Notice

STAGE = "panel"
THIN_END, HOLE = "few_stores_at_the_end", "days_without_any_row"
USUAL_DAYS = 91  # the last days with rows, whose middle number of stores is the usual one
THIN = 0.2  # of the usual number of stores; a day with no more is thin
THIN_DAYS = 4  # thin days at the end that are more than a long weekend
HOLE_DAYS = 28  # days without a row of any store that are more than holidays


def notices(panel: pd.DataFrame) -> list[Notice]:
    """Find what the dates of a few rows have made of the others.

    Args:
        panel: `columns.PANEL`.

    Returns:
        THIN_END with the thin days at the end and how many stores have rows on them; HOLE for each
        hole with its days and how many stores have rows before it.
    """
    rows = panel.loc[panel[c.TRANSACTIONS] > 0, [c.STORE_ID, c.DATE]]
    stores = rows.groupby(c.DATE).size()
    usual = stores.iloc[-USUAL_DAYS:].median()
    last_usual, end = stores.index[stores > THIN * usual].max(), stores.index[-1]
    found = []
    if (end - last_usual).days >= THIN_DAYS:
        late = rows.loc[rows[c.DATE] > last_usual, c.STORE_ID].nunique()
        found.append(Notice(_days(last_usual, end), STAGE, THIN_END, late))
    for place in np.flatnonzero(np.diff(stores.index.to_numpy()) > np.timedelta64(HOLE_DAYS, "D")):
        before, after = stores.index[place], stores.index[place + 1]
        early = rows.loc[rows[c.DATE] <= before, c.STORE_ID].nunique()
        found.append(Notice(_days(before, after - pd.Timedelta(days=1)), STAGE, HOLE, early))
    return found


def _days(before: pd.Timestamp, last: pd.Timestamp) -> str:
    """The days after one day, up to another."""
    return f"{before + pd.Timedelta(days=1):%Y-%m-%d} - {last:%Y-%m-%d}"
