"""The HTML report: one file that opens without a network, from a mail attachment too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lifemiles_forecasting.core import breakdown
from lifemiles_forecasting.core.config import ReportSettings
from lifemiles_forecasting.core.quality import POOR, RunFrames, candidate_accuracy
from lifemiles_forecasting.report import figures, figures_analysis, theme
from lifemiles_forecasting.report.analysis import analysis
from lifemiles_forecasting.report.content import ReportContent
from lifemiles_forecasting.report.days import Days
from lifemiles_forecasting.report.headline import ago, ahead, count_movers, headline
from lifemiles_forecasting.report.payload import (
    MAX_BANDS,
    MAX_MOVERS,
    bands_payload,
    cells_payload,
    day,
    listed_stores,
    safe_json,
    series_payload,
    store_rows,
    weights_payload,
)
from lifemiles_forecasting.report.texts import TEXTS, named, number, percent

# in the order in which they run: each but the last two leaves one object for those after it
SCRIPTS = ("base", "state", "sums", "charts", "tables", "stores", "downloads", "main")


def build_figures(
    frames: RunFrames, table: pd.DataFrame, settings: ReportSettings, target: str
) -> dict[str, go.Figure]:
    """Draw every figure of a run that stands by itself, by name."""
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
    days = Days.of(content.frames)
    ids = listed_stores(content.table, days)
    accuracy = candidate_accuracy(content.frames.backtest)
    drawn = _analyst_figures(content, accuracy, settings)
    data = safe_json(_script_data(content, settings, days, ids) | {"figures": drawn})
    series = safe_json(series_payload(content.frames, days, ids))
    template = _environment(texts).get_template("report.html")
    return template.render(
        t=texts,
        settings=settings,
        language=settings.language,
        # only scripts that carry it run; from the content, so that the same run gives the same file
        nonce=hashlib.sha256((data + series).encode()).hexdigest()[:32],
        css=Markup(resource("report.css")),  # noqa: S704 -- our own files and JSON made safe
        scripts=[Markup(resource(f"scripts/{name}.js")) for name in SCRIPTS],  # noqa: S704
        plotly_js=Markup(get_plotlyjs()),  # noqa: S704
        data=Markup(data),  # noqa: S704
        series=Markup(series),  # noqa: S704
        n_listed=len(ids),
        **headline(content, days, texts),
        **analysis(content, accuracy, settings, texts),
        has_importance=len(content.importance) > 0,
    )


def _environment(texts: Mapping[str, str]) -> Environment:
    """Templates that escape whatever they are given, and write numbers as the language does."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        loader=FunctionLoader(resource),
    )
    environment.filters |= {
        "number": partial(number, texts=texts),
        "percent": partial(percent, texts=texts),
        "named": lambda value, kind: named(texts, kind, str(value)),
    }
    return environment


def resource(name: str) -> str:
    """Read a template, style or script of this package."""
    return files("lifemiles_forecasting.report").joinpath(name).read_text(encoding="utf-8")


def _script_data(
    content: ReportContent, settings: ReportSettings, days: Days, ids: list[str]
) -> dict[str, Any]:
    """What the scripts read: texts, sums, a row per listed store."""
    texts = TEXTS[settings.language]
    return {
        "texts": dict(texts),
        "target": texts[f"target_{content.target}"],
        "unit": texts[f"unit_{content.target}"],
        "tiers": {tier: theme.tier_color(tier) for tier in (*settings.tiers, POOR)},
        "horizon": days.horizon,
        "weeks": days.weeks,
        "ago": ago(days, texts),
        "ahead": ahead(days, texts),
        "comparable": days.comparable,
        "first_day": day(days.first_day),
        "stores": len(days.stores),
        "totals": cells_payload(days),
        "bands": bands_payload(content.frames),
        "most_bands": MAX_BANDS,
        "movers": count_movers(days),
        "most_movers": MAX_MOVERS,
        "rows": store_rows(content.table, days, ids),
        "weights": weights_payload(content.table, ids),
    }


def _analyst_figures(
    content: ReportContent, accuracy: pd.DataFrame, settings: ReportSettings
) -> dict[str, Any]:
    """Figures of the analyst's part, as JSON."""
    backtest = content.frames.backtest
    horizon = breakdown.errors_by(backtest, breakdown.BY_HORIZON)
    weekday = breakdown.errors_by(backtest, breakdown.BY_WEEKDAY)
    drawn = {
        "quality_distribution": figures.quality_distribution(content.table, settings),
        "r2_against_smape": figures.r2_against_smape(content.table, settings),
        "candidates": figures.candidates(accuracy, settings),
        "errors_by_horizon": figures_analysis.errors_by_horizon(horizon, settings),
        "errors_by_weekday": figures_analysis.errors_by_weekday(weekday, settings),
    }
    if len(content.importance):
        drawn["importance"] = figures_analysis.importance(content.importance, settings)
    return {name: json.loads(figure.to_json()) for name, figure in drawn.items()}
