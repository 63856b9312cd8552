"""Holes in the data: stores and partners that went without a row for long, and what went silent."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c

STORE_GAP = 14  # days without a row that are no longer ordinary for a store that sells most days
SELDOM = 7  # times the usual time between its rows, from which on a gap is long for a partner
MIN_WEEKS = 4  # days of a weekday, below which it is not known whether one is closed on it
DAY = pd.Timedelta(days=1)


def store_gaps(panel: pd.DataFrame, stores: pd.DataFrame) -> pd.DataFrame:
    """Long gaps of regular stores, after a day with transactions.

    Args:
        panel: `columns.PANEL`.
        stores: `columns.STORES`.

    Returns:
        `store_id, first, last, days`: first and last day without a transaction, the longest gap
        first; gaps of at least STORE_GAP days. One that is still open ends with the data.
    """
    regular = stores.loc[stores[c.STORE_CLASS] == "regular", c.STORE_ID]
    sold = panel[(panel[c.TRANSACTIONS] > 0) & panel[c.STORE_ID].isin(regular)]
    return _gaps(sold, c.STORE_ID, STORE_GAP, panel[c.DATE].max())


def partner_gaps(panel: pd.DataFrame, stores: pd.DataFrame) -> pd.DataFrame:
    """Days on which no store of a partner has a row: a closed day, or a file that is missing.

    Gaps on nothing but weekdays on which the partner has no row more often than it has one are left
    out. Long gaps always count, and do not say which weekdays are usual: those of at least
    STORE_GAP days and SELDOM times the partner's usual time between rows. So a partner that seldom
    sells, and has no usual weekday, is listed once it is silent for longer than it ever is.

    Args:
        panel: `columns.PANEL`.
        stores: `columns.STORES`.

    Returns:
        `partner_code, first, last, days`, the longest first. One that is still open ends with the
        data; a partner whose stores are all dormant has none, as they are told of by themselves.
    """
    partner = stores.set_index(c.STORE_ID)[c.PARTNER_CODE]
    sold = panel[panel[c.TRANSACTIONS] > 0]
    sold = sold.assign(**{c.PARTNER_CODE: sold[c.STORE_ID].map(partner)})
    days = sold.drop_duplicates([c.PARTNER_CODE, c.DATE]).sort_values([c.PARTNER_CODE, c.DATE])
    found = _gaps(days, c.PARTNER_CODE, 1, panel[c.DATE].max())
    found = found[_unusual(found, days)]
    awake = stores.loc[stores[c.STORE_CLASS] != "dormant", c.PARTNER_CODE]
    over = found["last"] < panel[c.DATE].max()
    return found[over | found[c.PARTNER_CODE].isin(awake)].reset_index(drop=True)


def dormant_stores(panel: pd.DataFrame, stores: pd.DataFrame) -> pd.DataFrame:
    """Stores that have stopped selling.

    Returns:
        `store_id, partner_code, last_date, days, sold`: days since the last transaction, and all
        that they ever sold, target units; the largest first.
    """
    asleep = stores[stores[c.STORE_CLASS] == "dormant"]
    sold = panel.groupby(c.STORE_ID)[c.Y].sum()
    silent = (panel[c.DATE].max() - asleep[c.LAST_DATE]).dt.days
    table = asleep[[c.STORE_ID, c.PARTNER_CODE, c.LAST_DATE]].assign(
        days=silent, sold=asleep[c.STORE_ID].map(sold).astype(float)
    )
    return table.sort_values(["sold", c.STORE_ID], ascending=[False, True], ignore_index=True)


def _unusual(gaps: pd.DataFrame, days: pd.DataFrame) -> np.ndarray:
    """(G,) bool, gaps of partners that are long or include a weekday on which they usually sell.

    Args:
        gaps: from `_gaps`.
        days: `partner_code, date` of every day with a row, sorted by them.
    """
    partner, code = gaps[c.PARTNER_CODE], days[c.PARTNER_CODE]
    apart = days.groupby(code)[c.DATE].diff().dt.days.groupby(code).median()
    usual = apart.reindex(partner).fillna(1.0).to_numpy()
    long = gaps["days"].to_numpy() >= np.maximum(SELDOM * usual, STORE_GAP)
    weeks, rest = np.divmod(gaps["days"].to_numpy()[:, None], 7)
    since = (np.arange(7) - gaps["first"].dt.day_of_week.to_numpy()[:, None]) % 7
    missed = weeks + (since < rest)  # (G, 7) days of each weekday
    with_row = pd.crosstab(code, days[c.DATE].dt.day_of_week).reindex(
        columns=range(7), fill_value=0
    )
    without = pd.DataFrame(missed[~long], index=partner[~long]).groupby(level=0).sum()
    without = without.reindex(with_row.index, fill_value=0)
    closed = (without > with_row) & (without + with_row >= MIN_WEEKS)
    return long | ((missed > 0) & ~closed.loc[partner].to_numpy()).any(axis=1)


def _gaps(sold: pd.DataFrame, key: str, least: int, end: pd.Timestamp) -> pd.DataFrame:
    days = sold[[key, c.DATE]].sort_values([key, c.DATE])
    after = days.groupby(key)[c.DATE].shift(-1).fillna(end + DAY)
    missing = (after - days[c.DATE]).dt.days - 1
    table = pd.DataFrame(
        {key: days[key], "first": days[c.DATE] + DAY, "last": after - DAY, "days": missing}
    )[missing >= least]
    table = table.sort_values(["days", key, "first"], ascending=[False, True, True])
    return table.astype({"days": int}).reset_index(drop=True)
