"""The monitoring report: one HTML file on past forecasts and what happened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.coverage import PARTNER, WEEK
from lifemiles_forecasting.core.drift import MIN_DAYS, summary
from lifemiles_forecasting.report import figures, theme
from lifemiles_forecasting.report.html import resource
from lifemiles_forecasting.report.payload import safe_json
from lifemiles_forecasting.report.texts import TEXTS, number, percent

MAX_STORES = 200  # rows of the table of stores in the page
MAX_PARTNERS = 60
LARGE = 100  # target units per day, from which on nobody reads decimals
_LABEL = (c.STORE_NAME, c.CITY)


@dataclass(frozen=True)
class MonitoringContent:
    """What a monitoring report tells.

    Attributes:
        totals: what `core.monitoring.daily_totals` gave.
        accuracy: what `core.monitoring.accuracy_table` gave.
        drift: what `core.drift.find_drift` gave.
        metrics: what `core.monitoring.run_metrics` gave.
        stores: `columns.STORES`; the names of stores.
        past_runs: `runs` (read), `left_out` (how many could not be read), `cut` (older ones exist),
            `stand_ins` (no run of a model that was in charge counts).
        target: billings, local_amount or miles.
        run: `run_id`, `run_name`, `experiment`; empty for a run that is not tracked.
    """

    totals: pd.DataFrame
    accuracy: pd.DataFrame
    drift: pd.DataFrame
    metrics: Mapping[str, float]
    stores: pd.DataFrame
    past_runs: Mapping[str, Any]
    target: str
    run: Mapping[str, str] = field(default_factory=dict)


def total_figure(totals: pd.DataFrame, language: str, target: str) -> go.Figure:
    """Draw what all stores sold and were forecast to sell, with both bands.

    Args:
        totals: from `core.monitoring.daily_totals`.
        language: es or en.
        target: what is forecast; it names the axis.
    """
    texts = TEXTS[language]
    days = totals.set_index(c.DATE)
    figure = go.Figure(figures.bands(days, texts, legend=True))
    figure.add_trace(figures.line(days[c.FORECAST], texts["forecast"], theme.FORECAST, legend=True))
    figure.add_trace(figures.line(days[c.Y], texts["history"], theme.ACTUAL, legend=True))
    theme.styled(figure, "", texts, height=420)
    figure.update_layout(legend={"y": -0.1, "yanchor": "top"}, margin={"t": 28})
    figure.update_yaxes(title=texts[f"target_{target}"], rangemode="tozero")
    return theme.dated(figure, texts).update_xaxes(tickangle=0)


def render_monitoring(content: MonitoringContent, language: str) -> str:
    """Write the report.

    Args:
        content: what it tells.
        language: es or en.

    Returns:
        One HTML document that holds its scripts, styles and data; every value from the data is
        escaped, and its content security policy forbids any request.
    """
    texts = TEXTS[language]
    figure = total_figure(content.totals, language, content.target)
    data = safe_json(json.loads(figure.to_json()))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "number": partial(number, texts=texts),
        "percent": partial(percent, texts=texts),
        "level": lambda value: number(value, texts, 0 if value >= LARGE else 2),
    }
    return environment.from_string(resource("monitoring.html")).render(
        t=texts,
        language=language,
        # only scripts that carry it run; from the content, so that the same run gives the same file
        nonce=hashlib.sha256(data.encode()).hexdigest()[:32],
        css=Markup(resource("report.css")),  # noqa: S704 -- our own files and JSON made safe
        plotly_js=Markup(get_plotlyjs()),  # noqa: S704
        figure=Markup(data),  # noqa: S704
        **_period(content, texts),
        **_tables(content, texts),
    )


def _period(content: MonitoringContent, texts: Mapping[str, str]) -> dict[str, Any]:
    totals = content.totals
    return {
        "target_name": texts[f"target_{content.target}"],
        "first_day": totals[c.DATE].min().strftime(texts["date_format"]),
        "last_day": totals[c.DATE].max().strftime(texts["date_format"]),
        "days": len(totals),
        "held": int(totals[c.Y].between(totals["lower_80"], totals["upper_80"]).sum()),
        "run": content.run,
        "metrics": content.metrics,
        "past_runs": content.past_runs,
        "found": summary(content.drift),
        "least_days": MIN_DAYS,
    }


def _tables(content: MonitoringContent, texts: Mapping[str, str]) -> dict[str, Any]:
    accuracy = content.accuracy
    partners = accuracy[accuracy[c.GROUP] == PARTNER]
    drifted = content.drift[content.drift["drifted"]]
    shown = drifted.head(MAX_STORES)
    named = labels(content.stores, shown[c.STORE_ID])
    rows = [
        {**row, "label": named.get(row[c.STORE_ID], ""), "why": _why(row, texts)}
        for row in shown.to_dict("records")
    ]
    return {
        "weeks": accuracy[accuracy[c.GROUP] == WEEK].to_dict("records"),
        "partners": partners.head(MAX_PARTNERS).to_dict("records"),
        "n_partners": len(partners),
        "drifted": rows,
        "n_drifted": len(drifted),
    }


def labels(stores: pd.DataFrame, store_ids: pd.Series) -> dict[str, str]:
    """Name and city of those stores that are known, by id.

    Args:
        stores: `columns.STORES`.
        store_ids: of the stores to label, which are few beside all stores.
    """
    wanted = stores[stores[c.STORE_ID].isin(store_ids)]
    names = wanted[list(_LABEL)].astype(object).fillna("").to_numpy()
    return {
        store: " · ".join(filter(None, row))
        for store, row in zip(wanted[c.STORE_ID], names, strict=True)
    }


def _why(row: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """The reasons of `core.drift`, in the reader's language."""
    said = []
    if row["error"] > row["error_limit"]:
        times = number(row["error"] / row["error_before"], texts, 1)
        own = np.isfinite(row["error_before"])
        said.append(texts["mon_error_times" if own else "mon_error_any"].format(times=times))
    if abs(row["shift"]) > row["shift_limit"]:
        said.append(texts["mon_sells_more" if row["shift"] > 0 else "mon_sells_less"])
    return "; ".join(said)
