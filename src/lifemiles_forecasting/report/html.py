"""The HTML report: one file that opens without a network, from a mail attachment too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.resources import files
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import coverage
from lifemiles_forecasting.core.config import ReportSettings
from lifemiles_forecasting.core.notices import to_frame
from lifemiles_forecasting.core.quality import RunFrames, TestWindow, candidate_accuracy
from lifemiles_forecasting.report import figures, theme
from lifemiles_forecasting.report.payload import (
    MAX_SERIES,
    MAX_WEIGHTS,
    flat,
    partner_payload,
    safe_json,
    series_payload,
    store_rows,
    weights_payload,
)
from lifemiles_forecasting.report.texts import TEXTS, named, number, percent

MAX_FAILURES = 200  # rows of the ledger in the page
MAX_WARNINGS = 200
MAX_COVERAGE = 60  # rows of the coverage table in the page


@dataclass(frozen=True)
class ReportContent:
    """What a report tells.

    Attributes:
        frames: the frames of the run.
        table: what `core.quality.store_metrics` gave.
        metrics: what `core.quality.aggregate` gave.
        coverage: what `core.coverage.coverage_table` gave.
        failures: `columns.FAILURES`.
        row_balance: rows in, used and quarantined (by reason), first and last date, ...
        configuration: the run's parameters, nested.
        run: `run_id`, `run_name`, `experiment`; empty for a run that is not tracked.
        warnings: `columns.WARNINGS`.
    """

    frames: RunFrames
    table: pd.DataFrame
    metrics: Mapping[str, float]
    coverage: pd.DataFrame
    failures: pd.DataFrame
    row_balance: Mapping[str, Any]
    configuration: Mapping[str, Any]
    run: Mapping[str, str] = field(default_factory=dict)
    warnings: pd.DataFrame = field(default_factory=lambda: to_frame([]))

    @property
    def target(self) -> str:
        """What is forecast: billings, local_amount or miles."""
        return str(self.configuration["target"])


def build_figures(
    frames: RunFrames, table: pd.DataFrame, settings: ReportSettings, target: str
) -> dict[str, go.Figure]:
    """Draw every figure of a run, by name."""
    frames = frames.of_this_run()
    featured = figures.featured_stores(table, settings)
    accuracy = candidate_accuracy(frames.backtest)
    return {
        "quality_distribution": figures.quality_distribution(table, settings),
        "r2_against_smape": figures.r2_against_smape(table, settings),
        "actual_against_forecast": figures.actual_against_forecast(
            frames, featured, settings, target
        ),
        "partner_totals": figures.partner_totals(frames, settings, target),
        "candidates": figures.candidates(accuracy, settings),
    }


def render_report(content: ReportContent, settings: ReportSettings) -> str:
    """Write the report.

    Args:
        content: what it tells.
        settings: language, tiers and targets.

    Returns:
        One HTML document that holds its scripts, styles and data; every value from the data is
        escaped, and its content security policy forbids any request.
    """
    texts = TEXTS[settings.language]
    content = _of_this_run(content)
    rows = store_rows(content.table, content.frames.stores)
    ids = [row[0] for row in rows]
    data = safe_json(_script_data(content, settings, rows))
    series = safe_json(series_payload(content.frames, ids))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "number": partial(number, texts=texts),
        "percent": partial(percent, texts=texts),
        "named": lambda value, kind: named(texts, kind, str(value)),
    }
    return environment.from_string(resource("report.html")).render(
        t=texts,
        settings=settings,
        language=settings.language,
        # only scripts that carry it run; from the content, so that the same run gives the same file
        nonce=hashlib.sha256((data + series).encode()).hexdigest()[:32],
        css=Markup(resource("report.css")),  # noqa: S704 -- our own files and JSON made safe
        js=Markup(resource("report.js")),  # noqa: S704
        plotly_js=Markup(get_plotlyjs()),  # noqa: S704
        data=Markup(data),  # noqa: S704
        series=Markup(series),  # noqa: S704
        **_summary(content, texts),
        **_details(content, texts),
        **_intervals(content, settings),
    )


def _of_this_run(content: ReportContent) -> ReportContent:
    """Leave out the stores that a limited run has no forecast for."""
    frames = content.frames.of_this_run()
    table = content.table[content.table[c.STORE_ID].isin(frames.stores[c.STORE_ID])]
    return replace(content, frames=frames, table=table)


def resource(name: str) -> str:
    """Read a template, style or script of this package."""
    return files("lifemiles_forecasting.report").joinpath(name).read_text(encoding="utf-8")


def _script_data(
    content: ReportContent, settings: ReportSettings, rows: list[list[Any]]
) -> dict[str, Any]:
    """Gather table, partners and figures; the stores' series are apart, parsed when asked for."""
    texts = TEXTS[settings.language]
    drawn = build_figures(content.frames, content.table, settings, content.target)
    return {
        "texts": dict(texts),
        "target": texts[f"target_{content.target}"],
        "maxSeries": MAX_SERIES,
        "tiers": {tier: theme.tier_color(tier) for tier in (*settings.tiers, "POBRE")},
        "totals": partner_payload(content.frames),
        "rows": rows,
        "weights": weights_payload(content.table, [row[0] for row in rows]),
        "figures": {
            name: json.loads(figure.to_json())
            for name, figure in drawn.items()
            # the page draws these itself: any store, and partners that fit a phone
            if name not in ("actual_against_forecast", "partner_totals")
        },
    }


def _summary(content: ReportContent, texts: Mapping[str, str]) -> dict[str, Any]:
    """Headline figures and the partner table."""
    history, ahead = figures.partner_series(content.frames)
    days = len(ahead)
    past = history.tail(days) if len(history) >= days else history.iloc[:0]
    window = TestWindow.of(content.frames.backtest)
    partners = [
        {
            "code": code,
            "stores": int((content.frames.stores[c.PARTNER_CODE] == code).sum()),
            "last": float(past[code].sum()) if len(past) else None,
            "next": float(ahead[code].sum()),
            "change": _change(past[code].sum(), ahead[code].sum()),
        }
        for code in ahead.sum().sort_values(ascending=False).index
    ]
    total, before = float(ahead.to_numpy().sum()), float(past.to_numpy().sum())
    date_format = texts["date_format"]
    return {
        "metrics": content.metrics,
        "days": days,
        "first_day": ahead.index[0].strftime(date_format),
        "last_day": ahead.index[-1].strftime(date_format),
        "data_until": history.index[-1].strftime(date_format),
        "test_first": window.dates[0].strftime(date_format),
        "test_last": window.dates[-1].strftime(date_format),
        "total": total,
        "before": before if len(past) else None,
        "total_change": _change(before, total),
        "partners": partners,
        "n_stores": len(content.table),
        "target_name": texts[f"target_{content.target}"],
        "unit": texts[f"unit_{content.target}"],
    }


def _details(content: ReportContent, texts: Mapping[str, str]) -> dict[str, Any]:
    """Gather what the analyst looks at: candidates, weights, failures, data, configuration."""
    accuracy = candidate_accuracy(content.frames.backtest)
    tried = content.table[content.table["attempted"]]
    weights = tried.filter(like="weight_").fillna(0.0).mean().sort_values(ascending=False)
    champions = tried["champion"].value_counts()
    balance = content.row_balance
    parts = ("rows_used", "rows_quarantined", "rows_after_as_of")
    return {
        "accuracy": accuracy[accuracy[c.ORIGIN] == accuracy[c.ORIGIN].max()].to_dict("records"),
        "weights": [
            {"candidate": name, "weight": 100 * value, "champion": int(champions.get(name, 0))}
            for name, value in weights.rename(lambda name: name.removeprefix("weight_")).items()
        ],
        "max_weights": MAX_WEIGHTS if len(tried) > MAX_WEIGHTS else 0,
        "failures": content.failures.head(MAX_FAILURES).fillna("").to_dict("records"),
        "n_failures": len(content.failures),
        "warnings": content.warnings.head(MAX_WARNINGS).to_dict("records"),
        "n_warnings": len(content.warnings),
        "balance": balance,
        "balanced": balance["rows_in"] == sum(balance.get(part, 0) for part in parts),
        "classes": content.frames.stores[c.STORE_CLASS].value_counts().to_dict(),
        "configuration": flat(content.configuration),
        "run": content.run,
    }


def _intervals(content: ReportContent, settings: ReportSettings) -> dict[str, Any]:
    """Gather how often the intervals held, and the verdict on that."""
    table = content.coverage
    low, high = settings.coverage_band
    return {
        "coverage": table.head(MAX_COVERAGE).to_dict("records"),
        "n_coverage": len(table),
        "coverage_flag": coverage.flag(table),
        "band": {"low": f"{low:g}", "high": f"{high:g}"},
    }


def _change(before: float, after: float) -> float | None:
    """Percent change; None where there is nothing to compare with."""
    return 100 * (float(after) / float(before) - 1) if before > 0 else None
