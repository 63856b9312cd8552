"""What a run noticed and went on all the same: rows of a ledger, like failures but milder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.names import printable


class Notice(NamedTuple):
    """One warning; any stage may make them, `to_frame` gathers them.

    Attributes:
        subject: what it is about: the name of a country, a partner, an event, a candidate.
        stage: where it was noticed.
        warning: a code such as `unknown_country`; `report.texts` says it in words.
        stores: how many stores it concerns.
    """

    subject: str
    stage: str
    warning: str
    stores: int


def in_words(notice: Notice) -> str:
    """A warning as the log has it."""
    subject = printable(notice.subject)
    return f"Warning in {notice.stage}: {subject}, {notice.warning}; stores: {notice.stores}"


def to_frame(notices: Iterable[Notice]) -> pd.DataFrame:
    """The ledger of warnings, with the columns of `columns.WARNINGS`, in the order given.

    >>> to_frame([Notice("Atlantis", "holidays", "unknown_country", 3)]).loc[0, "subject"]
    'Atlantis'
    """
    frame = pd.DataFrame(list(notices), columns=list(c.WARNINGS))
    return frame.astype({c.STORES_COUNT: "int64"})
