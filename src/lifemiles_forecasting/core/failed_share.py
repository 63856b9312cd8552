"""Whether so many stores failed that the run itself did."""

from __future__ import annotations

import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import TooManyFailuresError

MOST_REASONS = 3  # that the message names


def check(failures: pd.DataFrame, attempted: pd.DataFrame, most: float, ledger: str) -> None:
    """Count the stores that go without models of their own because something went wrong.

    Args:
        failures: the columns of `columns.FAILURES`.
        attempted: `store_id`; stores of `failures` that are not in it were set aside before.
        most: share of all these stores that may fail.
        ledger: where the failures can be read.

    Raises:
        TooManyFailuresError: a larger share failed.
    """
    failed = failures[c.STORE_ID].nunique()
    count = len(set(attempted[c.STORE_ID]) | set(failures[c.STORE_ID]))
    if not failed or failed / count <= most:
        return
    reasons = failures.drop_duplicates([c.STORE_ID, "error"])["error"].value_counts()
    told = "; ".join(f"{error} ({n:,})" for error, n in reasons.head(MOST_REASONS).items())
    raise TooManyFailuresError(
        f"{failed:,} of {count:,} stores ({100 * failed / count:.1f} %) without models of their "
        f"own, because of: {told}",
        f"at most {100 * most:g} % (modeling.max_failed_share)",
        f"All outputs are written, with the base for these stores. Each one is in {ledger}.",
    )
