"""What the analyst looks at: accuracy, candidates, the state of the data, the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lifemiles_forecasting.core import breakdown, coverage, gaps
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.config import ReportSettings
from lifemiles_forecasting.report.content import ReportContent
from lifemiles_forecasting.report.payload import MAX_WEIGHTS, flat

# rows of a table in the page; it says how many there are
MAX_FAILURES = 200
MAX_WARNINGS = 200
MAX_COVERAGE = 60
MAX_WORST = 20
MAX_GAPS = 20
MAX_DORMANT = 20


def analysis(
    content: ReportContent,
    accuracy: pd.DataFrame,
    settings: ReportSettings,
    texts: Mapping[str, str],
) -> dict[str, Any]:
    """Gather the tables of the analyst's part.

    Args:
        content: what the report tells.
        accuracy: what `core.quality.candidate_accuracy` gave.
        settings: band of the coverage.
        texts: words of the page.
    """
    return {
        **_models(content, accuracy),
        **_intervals(content, settings),
        **_ledgers(content),
        **_data(content, texts),
        "configuration": flat(content.configuration),
        "run": content.run,
    }


def _models(content: ReportContent, accuracy: pd.DataFrame) -> dict[str, Any]:
    tried = content.table[content.table["attempted"]]
    weights = tried.filter(like="weight_").fillna(0.0).mean().sort_values(ascending=False)
    largest = tried["champion"].value_counts()
    return {
        "accuracy": accuracy[accuracy[c.ORIGIN] == accuracy[c.ORIGIN].max()].to_dict("records"),
        "weights": [
            {"candidate": name, "weight": 100 * value, "champion": int(largest.get(name, 0))}
            for name, value in weights.rename(lambda name: name.removeprefix("weight_")).items()
        ],
        "max_weights": MAX_WEIGHTS if len(tried) > MAX_WEIGHTS else 0,
        "worst": breakdown.worst_stores(content.table, content.frames, MAX_WORST).to_dict(
            "records"
        ),
    }


def _intervals(content: ReportContent, settings: ReportSettings) -> dict[str, Any]:
    """How often the intervals held, and the verdict on that."""
    table = content.coverage
    low, high = settings.coverage_band
    return {
        "coverage": table.head(MAX_COVERAGE).to_dict("records"),
        "n_coverage": len(table),
        "coverage_flag": coverage.flag(table),
        "band": {"low": f"{low:g}", "high": f"{high:g}"},
    }


def _ledgers(content: ReportContent) -> dict[str, Any]:
    return {
        "failures": content.failures.head(MAX_FAILURES).fillna("").to_dict("records"),
        "n_failures": len(content.failures),
        "warnings": content.warnings.head(MAX_WARNINGS).to_dict("records"),
        "n_warnings": len(content.warnings),
    }


def _data(content: ReportContent, texts: Mapping[str, str]) -> dict[str, Any]:
    panel, stores, balance = content.frames.panel, content.frames.stores, content.row_balance
    dates = {
        name: pd.Timestamp(balance[name]).strftime(texts["date_format"])
        for name in ("first_date", "last_date")
        if name in balance
    }
    tables = {
        "store_gaps": (gaps.store_gaps(panel, stores), MAX_GAPS),
        "partner_gaps": (gaps.partner_gaps(panel, stores), MAX_GAPS),
        "dormant": (gaps.dormant_stores(panel, stores), MAX_DORMANT),
    }
    shown = {
        name: _dated(table.head(most), texts).to_dict("records")
        for name, (table, most) in tables.items()
    }
    return {
        "balance": {**balance, **dates},
        # rows after the as-of date are counted apart: they are not among those read
        "balanced": balance["rows_in"] == balance["rows_used"] + balance["rows_quarantined"],
        "classes": stores[c.STORE_CLASS].value_counts().to_dict(),
        **shown,
        **{f"n_{name}": len(table) for name, (table, _) in tables.items()},
    }


def _dated(table: pd.DataFrame, texts: Mapping[str, str]) -> pd.DataFrame:
    """Dates as the language writes them."""
    dates = table.select_dtypes("datetime").columns
    return table.assign(**{name: table[name].dt.strftime(texts["date_format"]) for name in dates})
