"""Stores that a scoring run is asked for: some may be unknown, not all."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import scoring
from lifemiles_forecasting.core.errors import ConfigError

KNOWN, HORIZON = ["P1_1", "P1_2", "P2_1"], 3


@pytest.fixture(scope="module")
def score():
    """Forecasts of the stores, of a fleet that has them at hand."""
    table = pd.DataFrame(
        {
            **dict.fromkeys(c.FORECASTS, 1.0),
            c.STORE_ID: np.repeat(KNOWN, HORIZON),
            c.PARTNER_CODE: "P",
            c.STORE_CODE: "1",
            c.DATE: np.tile(pd.date_range("2024-03-01", periods=HORIZON), len(KNOWN)),
            c.HORIZON: np.tile(np.arange(1, HORIZON + 1), len(KNOWN)),
            c.STATUS: "ok",
        }
    )
    fleet = SimpleNamespace(history=None, recipe=None, forecast=lambda *_: table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "continued", lambda *_: None)
        yield lambda wanted: scoring.score(fleet, None, None, wanted, HORIZON)


@given(wanted=st.lists(st.sampled_from([*KNOWN, "P1_3", "p1_1", "\x1b[2J"])))
def test_unknown_stores_are_told_unless_all_are(score, wanted):
    strange = [one for one in dict.fromkeys(wanted) if one not in KNOWN]
    if set(wanted) & set(KNOWN):
        assert scoring.unknown_stores(score(wanted)) == strange
    else:
        with pytest.raises(ConfigError, match="'stores' with no known store: "):
            score(wanted)


def test_without_a_wish_no_store_is_unknown(score):
    assert scoring.unknown_stores(score(None)) == []


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["P1_3"], "no known store: P1_3; expected .* have. Did you mean P1_[12]\\?$"),
        ([f"x\x1b{n}" for n in range(9)], r"store: x\?0, x\?1, x\?2, x\?3, x\?4, \.\.\.; expected"),
        ([], "no known store: it is empty; .* Without stores, all are forecast$"),
    ],
)
def test_all_unknown_is_one_error(score, wanted, message):
    with pytest.raises(ConfigError, match=message):
        score(wanted)
