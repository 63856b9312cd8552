"""When so many stores failed that the run did."""

import pandas as pd
import pytest

from lifemiles_forecasting.core.columns import FAILURES
from lifemiles_forecasting.core.errors import TooManyFailuresError
from lifemiles_forecasting.core.failed_share import check

ATTEMPTED = pd.DataFrame({"store_id": [f"s{k:02}" for k in range(20)]})


def ledger(*rows):
    return pd.DataFrame([(s, "local models", e, "0" * 12) for s, e in rows], columns=list(FAILURES))


@pytest.mark.parametrize("failed", [0, 1])
def test_a_share_up_to_the_limit_is_none_too_many(failed):
    check(ledger(*[(f"s{k:02}", "E: x") for k in range(failed)]), ATTEMPTED, 0.05, "failures.csv")


def test_a_store_counts_once_however_often_it_failed():
    check(ledger(("s01", "E: x"), ("s01", "E: y")), ATTEMPTED, 0.05, "failures.csv")


def test_no_store_at_all_is_no_failure():
    check(ledger(), ATTEMPTED[:0], 0.0, "failures.csv")


def test_error_names_count_share_the_most_frequent_reasons_and_the_ledger():
    reasons = ["E: a", "E: b", "E: b", "E: c", "E: c", "E: d", "E: d", "E: d"]
    rows = ledger(*[(f"s{k:02}", reason) for k, reason in enumerate(reasons)])
    with pytest.raises(TooManyFailuresError) as caught:
        check(rows, ATTEMPTED, 0.05, "data/failures.csv")
    assert str(caught.value) == (
        "found 8 of 20 stores (40.0 %) without models of their own, because of: E: d (3); "
        "E: b (2); E: c (2); expected at most 5 % (modeling.max_failed_share). All outputs are "
        "written, with the base for these stores. Each one is in data/failures.csv."
    )


def test_stores_that_were_set_aside_count_among_all():
    rows = ledger(("s01", "E: x"), ("aside", "E: y"))
    with pytest.raises(TooManyFailuresError, match=r"^found 2 of 21 stores \(9\.5 %\)"):
        check(rows, ATTEMPTED, 0.05, "failures.csv")
