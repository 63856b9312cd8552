"""Plotly figures of the analyst's part: where the errors lie, and what the models look at."""

from __future__ import annotations

from html import escape

import pandas as pd
import plotly.graph_objects as go

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.config import ReportSettings
from lifemiles_forecasting.core.fitting import POOLED
from lifemiles_forecasting.report import theme
from lifemiles_forecasting.report.texts import TEXTS, named

MOST_FEATURES = 12
# of the learners, in the order in which they come; distinct without colour, too, by their place
COLORS = (theme.FORECAST, theme.CANDIDATE, theme.TEST, theme.NAIVE_GREY, "#1a7f4e", "#8a6d00")


def errors_by_horizon(errors: pd.DataFrame, settings: ReportSettings) -> go.Figure:
    """Draw the error by day ahead, beside that of the naive forecast.

    Args:
        errors: what `core.breakdown.errors_by` gave for the horizon.
        settings: language.
    """
    texts = TEXTS[settings.language]
    figure = go.Figure()
    for name, label, color in (
        ("naive_wape", named(texts, "candidate", "seasonal_naive"), theme.NAIVE_GREY),
        ("wape", texts["forecast"], theme.FORECAST),
    ):
        figure.add_scatter(
            x=errors["group"].tolist(),
            y=errors[name].round(2).tolist(),
            mode="lines+markers",
            name=label,
            line={"color": color, "width": 2},
            marker={"size": 5},
            hovertemplate="%{y:.1f} %<extra>" + label + "</extra>",
        )
    theme.styled(figure, texts["horizon_title"], texts)
    figure.update_xaxes(title=texts["horizon_axis"])
    return figure.update_yaxes(title="WAPE, %", rangemode="tozero")


def errors_by_weekday(errors: pd.DataFrame, settings: ReportSettings) -> go.Figure:
    """Draw error and bias by weekday.

    Args:
        errors: what `core.breakdown.errors_by` gave for the weekday.
        settings: language.
    """
    texts = TEXTS[settings.language]
    days = [texts[f"weekday_{number}"] for number in errors["group"]]
    figure = go.Figure()
    for name, label, color in (
        ("wape", texts["wape"], theme.CANDIDATE),
        ("bias", texts["bias"], theme.FORECAST),
    ):
        figure.add_bar(
            x=days,
            y=errors[name].round(2).tolist(),
            name=label,
            marker_color=color,
            hovertemplate="%{x}: %{y:.1f} %<extra>" + label + "</extra>",
        )
    theme.styled(figure, texts["weekday_title"], texts)
    return figure.update_yaxes(title="%")


def importance(shares: pd.DataFrame, settings: ReportSettings) -> go.Figure:
    """Draw what the pooled models look at: the features with the largest share in any of them.

    Args:
        shares: `columns.IMPORTANCE`.
        settings: language.
    """
    texts = TEXTS[settings.language]
    pooled = shares[shares[c.CANDIDATE].isin(POOLED)]
    shares = pooled if len(pooled) else shares  # a run may have no pooled model
    by = shares.pivot_table(index=c.FEATURE, columns=c.CANDIDATE, values=c.SHARE, sort=False)
    order = by.max(axis=1).sort_values(ascending=False).index[:MOST_FEATURES][::-1]
    kept = by.loc[order].fillna(0.0)
    figure = go.Figure()
    for number, name in enumerate(kept.columns):
        label = escape(named(texts, "candidate", name))
        figure.add_bar(
            y=[escape(feature) for feature in kept.index],
            x=kept[name].round(2).tolist(),
            orientation="h",
            name=label,
            marker_color=COLORS[number % len(COLORS)],
            hovertemplate="%{y}: %{x:.1f} %<extra>" + label + "</extra>",
        )
    theme.styled(figure, texts["importance_title"], texts, height=160 + 44 * len(kept))
    figure.update_layout(legend={"traceorder": "normal"}, bargap=0.25)
    return figure.update_xaxes(title=texts["importance_axis"], rangemode="tozero")
