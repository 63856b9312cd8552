"""Colours and layout that all figures share; colour-blind safe and readable on paper."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

INK = "#1b2733"
MUTED = "#5b6b7b"
GRID = "#e3e8ee"
ACTUAL = "#0b4f8a"
FORECAST = "#c2410c"
TEST = "#7a3e9d"
BAND_80 = "rgba(194,65,12,0.22)"
BAND_95 = "rgba(194,65,12,0.10)"
NAIVE_GREY = "#6b7885"
CANDIDATE = "#3f74a6"
TICKS = 6  # of an axis of days, at most
DAY = 86_400_000  # milliseconds, which Plotly counts dates in
TIER_COLORS = {
    "EXCELENTE": "#1a7f4e",
    "BUENO": "#2f7fb8",
    "REGULAR": "#c98a00",
    "POBRE": "#b3372f",
}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def tier_color(tier: str) -> str:
    """Give a tier its colour; grey for one that the configuration has invented."""
    return TIER_COLORS.get(tier, NAIVE_GREY)


def styled(figure: go.Figure, title: str, texts: Mapping[str, str], height: int = 380) -> go.Figure:
    """Give a figure the common look, in place, and return it."""
    figure.update_layout(
        template="none",
        title={"text": title, "x": 0, "xanchor": "left", "xref": "container", "pad": {"l": 16}},
        title_font={"size": 16, "color": INK},
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        separators=texts["decimal"] + texts["thousands"],
        height=height,
        margin={"l": 56, "r": 20, "t": 72, "b": 48},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "font": {"size": 12}},
        hoverlabel={"bgcolor": "white", "bordercolor": GRID, "font": {"color": INK}},
    )
    axis = {"gridcolor": GRID, "linecolor": GRID, "zerolinecolor": GRID, "automargin": True}
    # numbers in full: Plotly's "B" is 10^9, and a Spanish billón is 10^12
    axis |= {"exponentformat": "none", "separatethousands": True}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def dated(figure: go.Figure, texts: Mapping[str, str]) -> go.Figure:
    """Write days on the x axes of a figure of daily series, in place, and return it.

    Ticks are a day apart at least: closer ones would repeat the day.
    """
    shown = pd.to_datetime([day for trace in figure.data for day in trace.x])
    few = len(shown) and (shown.max() - shown.min()).days < TICKS
    apart = {"dtick": DAY} if few else {"nticks": TICKS}
    return figure.update_xaxes(tickformat=texts["tick_format"], **apart)
