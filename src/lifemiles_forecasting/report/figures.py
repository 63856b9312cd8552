"""Plotly figures of a run, for `kedro viz`, the tracking UI and the report.

Every value of the data that ends up in a label or a hover text is escaped: Plotly reads those as
a kind of HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.config import ReportSettings
from lifemiles_forecasting.core.quality import NAIVE, POOR, RunFrames
from lifemiles_forecasting.report import theme
from lifemiles_forecasting.report.texts import TEXTS, named, number

MAX_PARTNERS = 7  # panels of their own; the others are summed
HISTORY_DAYS = 120  # days of history in a small chart
R2_FLOOR = -1.0  # a few stores at -50 would press all others into a line

Texts = Mapping[str, str]


def quality_distribution(table: pd.DataFrame, settings: ReportSettings) -> go.Figure:
    """Count the attempted stores by quality tier.

    Args:
        table: what `core.quality.store_metrics` gave.
        settings: tiers and language.
    """
    texts = TEXTS[settings.language]
    tiers = [*settings.tiers, POOR]
    counts = table.loc[table["attempted"], "quality"].value_counts().reindex(tiers, fill_value=0)
    whole = max(int(counts.sum()), 1)
    labels = [f"{n} ({number(100 * n / whole, texts, 1)} %)" for n in counts]
    bars = go.Bar(
        x=[escape(tier) for tier in tiers],
        y=counts.tolist(),
        text=labels,
        textposition="outside",
        textangle=0,
        constraintext="none",
        cliponaxis=False,
        marker_color=[theme.tier_color(tier) for tier in tiers],
        hovertemplate="%{x}: %{text}<extra></extra>",
    )
    figure = theme.styled(go.Figure(bars), texts["quality_title"], texts)
    return figure.update_yaxes(title=texts["quality_axis"], rangemode="tozero")


def r2_against_smape(table: pd.DataFrame, settings: ReportSettings) -> go.Figure:
    """Draw every attempted store by its two target metrics, with the targets as lines."""
    texts = TEXTS[settings.language]
    shown = table[table["attempted"]].dropna(subset=["test_r2", "test_smape"])
    figure = go.Figure()
    for tier in (*settings.tiers, POOR):
        part = shown[shown["quality"] == tier]
        if part.empty:
            continue
        hover = [
            f"<b>{escape(row.store_id)}</b><br>R² {number(row.test_r2, texts, 2)}"
            f"<br>SMAPE {number(row.test_smape, texts, 1)} %"
            for row in part.itertuples()
        ]
        figure.add_scatter(
            x=part["test_smape"].round(2).tolist(),
            y=part["test_r2"].clip(lower=R2_FLOOR).round(3).tolist(),
            mode="markers",
            name=escape(tier),
            text=hover,
            hovertemplate="%{text}<extra></extra>",
            marker={"color": theme.tier_color(tier), "size": 7, "opacity": 0.7},
        )
    line = {"line": {"color": theme.MUTED, "dash": "dash", "width": 1}}
    figure.add_hline(settings.target_r2, annotation_text=f"{texts['target_line']} R²", **line)
    figure.add_vline(settings.target_smape, annotation_text=f"{texts['target_line']} SMAPE", **line)
    hidden = int((shown["test_r2"] < R2_FLOOR).sum())
    note = texts["scatter_hidden"].format(n=hidden, floor=number(R2_FLOOR, texts))
    theme.styled(figure, texts["scatter_title"], texts)
    figure.update_xaxes(title="SMAPE, %" + (f"<br><sub>{note}</sub>" if hidden else ""))
    return figure.update_yaxes(title="R²", range=[R2_FLOOR - 0.1, 1.08])


def featured_stores(table: pd.DataFrame, settings: ReportSettings) -> list[str]:
    """Choose the stores that stand for the run: the largest forecasts among the attempted."""
    tried = table[table["attempted"]]
    return tried.nlargest(settings.featured_stores, "forecast_total")[c.STORE_ID].tolist()


def actual_against_forecast(
    frames: RunFrames, store_ids: list[str], settings: ReportSettings, target: str
) -> go.Figure:
    """Draw history, test-window forecast and the days ahead with their bands, store by store."""
    texts = TEXTS[settings.language]
    rows = max((len(store_ids) + 1) // 2, 1)
    titles = [escape(store) for store in store_ids]
    figure = make_subplots(rows=rows, cols=2, subplot_titles=titles, vertical_spacing=0.28 / rows)
    for number_, store in enumerate(store_ids):
        at = {"row": number_ // 2 + 1, "col": number_ % 2 + 1}
        for trace in _store_traces(frames, store, texts, legend=number_ == 0):
            figure.add_trace(trace, **at)
    title = f"{texts['stores_title']} · {texts[f'target_{target}']}"
    theme.styled(figure, title, texts, height=110 + 250 * rows)
    # the legend would lie on the titles of the first row
    figure.update_layout(legend={"y": -0.06, "yanchor": "top"})
    return theme.dated(figure, texts)


def partner_totals(frames: RunFrames, settings: ReportSettings, target: str) -> go.Figure:
    """Draw the total and every large partner: history, and the sum of the stores' forecasts."""
    texts = TEXTS[settings.language]
    history, ahead = partner_series(frames)
    order = ahead.sum().sort_values(ascending=False).index.tolist()
    panels = [(texts["total"], order), *((code, [code]) for code in order[:MAX_PARTNERS])]
    if len(order) > MAX_PARTNERS:
        panels.append((texts["other_partners"], order[MAX_PARTNERS:]))
    rows = (len(panels) + 1) // 2
    titles = [escape(name) for name, _ in panels]
    figure = make_subplots(rows=rows, cols=2, subplot_titles=titles, vertical_spacing=0.3 / rows)
    for number_, (_, codes) in enumerate(panels):
        at = {"row": number_ // 2 + 1, "col": number_ % 2 + 1}
        past = history[codes].sum(axis=1).tail(HISTORY_DAYS)
        for series, name, color in (
            (past, "history", theme.ACTUAL),
            (ahead[codes].sum(axis=1), "forecast", theme.FORECAST),
        ):
            figure.add_trace(line(series, texts[name], color, legend=number_ == 0), **at)
    title = f"{texts['partners_title']} · {texts[f'target_{target}']}"
    theme.styled(figure, title, texts, height=110 + 230 * rows)
    figure.update_layout(legend={"y": -0.06, "yanchor": "top"})
    figure.update_yaxes(rangemode="tozero")
    return theme.dated(figure, texts)


def candidates(accuracy: pd.DataFrame, settings: ReportSettings) -> go.Figure:
    """Compare the candidates' WAPE, the naive one included, on the test window and earlier.

    Args:
        accuracy: what `core.quality.candidate_accuracy` gave.
        settings: language.
    """
    texts = TEXTS[settings.language]
    test = accuracy[accuracy[c.ORIGIN] == accuracy[c.ORIGIN].max()]
    test = test.sort_values("wape", ascending=False)
    earlier = accuracy[accuracy[c.ORIGIN] < accuracy[c.ORIGIN].max()]
    special = {BLEND: theme.FORECAST, NAIVE: theme.NAIVE_GREY}
    figure = go.Figure()
    figure.add_bar(
        y=[escape(named(texts, "candidate", name)) for name in test[c.CANDIDATE]],
        x=test["wape"].round(2).tolist(),
        orientation="h",
        name=texts["test_window"],
        text=[number(value, texts, 1) for value in test["wape"]],
        textposition="inside",
        insidetextanchor="start",
        textfont_color="white",
        marker_color=[special.get(name, theme.CANDIDATE) for name in test[c.CANDIDATE]],
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
    )
    figure.add_scatter(
        y=[escape(named(texts, "candidate", name)) for name in earlier[c.CANDIDATE]],
        x=earlier["wape"].round(2).tolist(),
        mode="markers",
        name=texts["earlier_windows"],
        marker={"color": theme.INK, "size": 8, "symbol": "diamond-open"},
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
    )
    theme.styled(figure, texts["candidates_title"], texts, height=150 + 36 * len(test))
    # bars have the colour of their candidate: a legend in the colour of the first one misleads
    figure.update_traces(showlegend=False, selector={"type": "bar"})
    return figure.update_xaxes(title=texts["candidates_axis"], rangemode="tozero")


def partner_series(frames: RunFrames) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sum history and forecasts by partner: two (days x partners) frames."""
    partner = frames.stores.set_index(c.STORE_ID)[c.PARTNER_CODE]
    past = frames.panel.assign(partner=frames.panel[c.STORE_ID].map(partner))
    history = past.pivot_table(index=c.DATE, columns="partner", values=c.Y, aggfunc="sum")
    ahead = frames.forecasts.pivot_table(
        index=c.DATE, columns=c.PARTNER_CODE, values=c.FORECAST, aggfunc="sum"
    )
    return history.reindex(columns=ahead.columns).fillna(0.0), ahead


def _store_traces(frames: RunFrames, store: str, texts: Texts, *, legend: bool) -> list[go.Scatter]:
    ahead = frames.forecasts[frames.forecasts[c.STORE_ID] == store].set_index(c.DATE).sort_index()
    past = frames.panel[frames.panel[c.STORE_ID] == store].set_index(c.DATE)[c.Y].sort_index()
    rows = frames.backtest[frames.backtest[c.STORE_ID] == store]
    last = frames.backtest[c.ORIGIN].max()
    test = rows[(rows[c.ORIGIN] == last) & (rows[c.CANDIDATE] == BLEND)]
    traces = bands(ahead, texts, legend=legend)
    traces.append(line(past.tail(HISTORY_DAYS), texts["history"], theme.ACTUAL, legend=legend))
    tested = line(
        test.set_index(c.DATE)[c.Y_HAT].sort_index(),
        texts["test_forecast"],
        theme.TEST,
        legend=legend,
    )
    traces.append(tested.update(line_dash="dot"))
    traces.append(line(ahead[c.FORECAST], texts["forecast"], theme.FORECAST, legend=legend))
    return traces


def bands(days: pd.DataFrame, texts: Texts, *, legend: bool) -> list[go.Scatter]:
    """Draw both intervals, the wider one first.

    Args:
        days: `lower_80, upper_80, lower_95, upper_95` by day.
        texts: of the language.
        legend: whether they are named in the legend.
    """
    traces = []
    for level, color in ((95, theme.BAND_95), (80, theme.BAND_80)):
        lower = line(days[f"lower_{level}"], "", color, legend=False)
        upper = line(days[f"upper_{level}"], texts[f"band_{level}"], color, legend=legend)
        traces += [
            lower.update(line_width=0, hoverinfo="skip", hovertemplate=None),
            upper.update(line_width=0, fill="tonexty", fillcolor=color),
        ]
    return traces


def line(series: pd.Series, name: str, color: str, *, legend: bool) -> go.Scatter:
    """Draw a daily series, target units per day."""
    return go.Scatter(
        x=pd.DatetimeIndex(series.index).strftime("%Y-%m-%d").tolist(),
        y=series.astype(float).round(2).tolist(),
        mode="lines",
        name=name,
        legendgroup=name,
        showlegend=legend,
        line={"color": color, "width": 1.6},
        hovertemplate="%{x}: %{y:,.2f}<extra>" + name + "</extra>",
    )
