"""What the page says before any script runs: the headline figures and the partners' table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.report.content import ReportContent
from lifemiles_forecasting.report.days import Days, change
from lifemiles_forecasting.report.texts import number

PLAIN_DIGITS = 2  # of a figure in a sentence


def headline(content: ReportContent, days: Days, texts: Mapping[str, str]) -> dict[str, Any]:
    """Headline figures of all stores, and a row per partner."""
    before = np.nan_to_num(days.before) if days.comparable else None
    sold, expected = float(np.nansum(days.actual)), float(np.nansum(days.tested))
    missed = float(np.nansum(np.abs(days.tested - days.actual)))
    last = days.first_day + pd.Timedelta(days=days.horizon - 1)
    test_first = days.first_day - pd.Timedelta(days=days.horizon)
    data_until = days.first_day - pd.Timedelta(days=1)
    written = texts["date_format"]
    return {
        "metrics": content.metrics,
        "ago": ago(days, texts),
        "ahead": ahead(days, texts),
        "first_day": days.first_day.strftime(written),
        "last_day": last.strftime(written),
        "data_until": data_until.strftime(written),
        "test_first": test_first.strftime(written),
        "test_last": data_until.strftime(written),
        "all_stores": _group(days.forecast, before),
        "test": {
            "sold": sold,
            "expected": expected,
            "error": change(sold, expected),
            "wape": 100 * missed / sold if sold > 0 else None,
            "stores": int(np.isfinite(days.tested).all(axis=1).sum()),
        },
        "movers": count_movers(days),
        "partners": _partners(days, before),
        "target_name": texts[f"target_{content.target}"],
        "unit": texts[f"unit_{content.target}"],
        "verdict": _verdict(content, texts),
    }


def _group(forecast: np.ndarray, before: np.ndarray | None) -> dict[str, Any]:
    """Stores, sums and change of a group of stores."""
    ahead = float(forecast.sum())
    past = None if before is None else float(before.sum())
    return {
        "stores": len(forecast),
        "before": past,
        "next": ahead,
        "change": None if past is None else change(past, ahead),
    }


def count_movers(days: Days) -> dict[str, int]:
    """How many stores grow and how many fall; none where there is nothing to compare with."""
    if not days.comparable:
        return {"up": 0, "down": 0}
    return {"up": int((days.moved > 0).sum()), "down": int((days.moved < 0).sum())}


def ahead(days: Days, texts: Mapping[str, str]) -> str:
    """The days that are forecast, in words."""
    one = days.horizon == 1
    return texts["card_next_one"] if one else texts["card_next"].format(days=days.horizon)


def ago(days: Days, texts: Mapping[str, str]) -> str:
    """When the days are that they are compared with, in words."""
    one = days.weeks == 1
    return texts["weeks_before_one"] if one else texts["weeks_before"].format(weeks=days.weeks)


def _partners(days: Days, before: np.ndarray | None) -> list[dict[str, Any]]:
    """A row per partner, the largest forecast first."""
    rows = []
    for code, index in days.stores.groupby(c.PARTNER_CODE, sort=True).groups.items():
        own = index.to_numpy()
        past = None if before is None else before[own]
        rows.append({"code": code, **_group(days.forecast[own], past)})
    return sorted(rows, key=lambda row: -row["next"])


def _verdict(content: ReportContent, texts: Mapping[str, str]) -> dict[str, Any]:
    """One line on whether this run's model is in charge: what to say, and how to colour it."""
    verdict = content.own_verdict
    if verdict is None:
        return {"kind": "", "text": texts["verdict_none"]}
    if verdict["status"] == "passed":
        compared = verdict.get("champion_wape")
        key = "verdict_champion" if compared is None else "verdict_better"
        figures = {name: _plain(verdict.get(name), texts) for name in ("wape", "champion_wape")}
        return {"kind": "good", "text": texts[key].format(**figures)}
    reasons = [
        finding_text(finding, sentence, texts)
        for finding, sentence in zip(verdict["findings"], verdict["reasons"], strict=True)
    ]
    return {"kind": "bad", "text": texts["verdict_challenger"].format(reasons="; ".join(reasons))}


def finding_text(finding: Mapping[str, Any], sentence: str, texts: Mapping[str, str]) -> str:
    """A finding of the gate in the language of the page.

    Args:
        finding: `code` and `figures`, as `core.gate.as_table` writes them.
        sentence: the same in English, for a code that the page has no words for.
        texts: words of the page.
    """
    known = texts.get(f"gate_{finding['code']}")
    if known is None:
        return sentence
    return known.format(
        **{name: _plain(value, texts) for name, value in finding["figures"].items()}
    )


def _plain(value: float | str | None, texts: Mapping[str, str]) -> str:
    """A figure without needless zeros; text as it is."""
    if isinstance(value, str):
        return value
    if value is None or not math.isfinite(value):
        return number(None, texts)
    digits = next(
        d
        for d in range(PLAIN_DIGITS + 1)
        if d == PLAIN_DIGITS or round(value, d) == round(value, PLAIN_DIGITS)
    )
    return number(value, texts, digits)
