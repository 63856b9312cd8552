"""What the modeling nodes log: a name from somebody's file is never more than a name."""

import logging
from types import SimpleNamespace

import numpy as np

from lifemiles_forecasting.core import backtest, edges, event_days, store_codes
from lifemiles_forecasting.core.notices import Notice
from lifemiles_forecasting.pipelines.modeling import nodes

HOSTILE = "Atlantis\n23:59:59 INFO    Pipeline execution completed\x1b[2J"


def test_country_forges_no_log_line(monkeypatch, caplog):
    series = SimpleNamespace(dates=np.zeros(0))
    notice = Notice(HOSTILE, "holidays", "unknown_country", 3)
    calendar = SimpleNamespace(notices=lambda: [notice])
    monkeypatch.setattr(backtest, "notices", lambda *_: [])
    monkeypatch.setattr(edges, "notices", lambda _: [Notice("late", "panel", "known", 1)])
    monkeypatch.setattr(event_days, "notices", lambda *_: [])
    monkeypatch.setattr(store_codes, "notices", lambda *_: [])
    study = SimpleNamespace(calendar=calendar, series=series, horizon=28, kept=None)
    with caplog.at_level(logging.WARNING):
        told = {"not_read": ["2024/"]}
        table = nodes.collect_warnings(study, None, None, None, None, told)
    shown = HOSTILE.replace("\n", "?").replace("\x1b", "?")
    assert caplog.messages == [f"Warning in holidays: {shown}, unknown_country; stores: 3"]
    assert table["subject"].tolist() == ["2024/", "late", HOSTILE]  # two were told before
