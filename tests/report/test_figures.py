"""Figures: what they show equals the frames, and what they label is escaped."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from lifemiles_forecasting.core import breakdown
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.config import QualityTier, ReportSettings
from lifemiles_forecasting.core.quality import candidate_accuracy, store_metrics
from lifemiles_forecasting.core.synthetic_run import (
    HOSTILE,
    synthetic_importance,
    synthetic_run,
)
from lifemiles_forecasting.report import figures, figures_analysis
from lifemiles_forecasting.report.html import build_figures
from lifemiles_forecasting.report.texts import TEXTS, named, number, percent

SETTINGS = ReportSettings(
    tiers={"EXCELENTE": QualityTier(min_r2=0.8, max_smape=10)}, metrics=("mae",), featured_stores=5
)


@pytest.fixture(scope="module")
def frames():
    return synthetic_run(40)


@pytest.fixture(scope="module")
def table(frames):
    return store_metrics(frames, SETTINGS)


def test_quality_counts_every_attempted_store(table):
    bars = figures.quality_distribution(table, SETTINGS).data[0]
    assert list(bars.x) == ["EXCELENTE", "POBRE"]
    assert sum(bars.y) == table["attempted"].sum()


def test_scatter_shows_every_store_and_both_targets(table):
    figure = figures.r2_against_smape(table, SETTINGS)
    assert sum(len(trace.x) for trace in figure.data) == table["test_r2"].notna().sum()
    assert min(min(trace.y) for trace in figure.data) >= figures.R2_FLOOR
    lines = figure.layout.shapes
    assert (lines[0].y0, lines[1].x0) == (SETTINGS.target_r2, SETTINGS.target_smape)


def test_store_panels_show_history_test_and_forecast(frames, table):
    ids = figures.featured_stores(table, SETTINGS)
    assert len(ids) == 5
    figure = figures.actual_against_forecast(frames, ids, SETTINGS, "billings")
    assert len(figure.data) == 5 * 7
    names = [trace.name for trace in figure.data if trace.showlegend]
    assert names == [
        TEXTS["es"][key] for key in ("band_95", "band_80", "history", "test_forecast", "forecast")
    ]
    ahead = frames.forecasts[frames.forecasts[c.STORE_ID] == ids[0]]
    assert list(figure.data[6].y) == pytest.approx(ahead[c.FORECAST].tolist(), abs=0.01)


def test_partner_panels_add_up(frames, monkeypatch):
    monkeypatch.setattr(figures, "MAX_PARTNERS", 2)
    figure = figures.partner_totals(frames, SETTINGS, "miles")
    ahead = [sum(trace.y) for trace in figure.data if trace.name == TEXTS["es"]["forecast"]]
    assert ahead[0] == pytest.approx(frames.forecasts[c.FORECAST].sum(), abs=1)
    assert sum(ahead[1:]) == pytest.approx(ahead[0], abs=1)
    titles = [note.text for note in figure.layout.annotations]
    assert titles[0] == "Total" and titles[-1] == "Otros aliados"


def test_numbers_of_the_axes_are_written_in_full_and_days_a_day_apart(frames, table):
    near = frames.forecasts[frames.forecasts[c.HORIZON] <= 2]
    late = frames.panel[frames.panel[c.DATE] > frames.panel[c.DATE].max() - pd.Timedelta("2D")]
    short = replace(frames, forecasts=near, panel=late)
    for run, few in ((frames, False), (short, True)):
        for figure in build_figures(run, table, SETTINGS, "billings").values():
            for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
                assert (axis.exponentformat, axis.separatethousands) == ("none", True)
        for axis in figures.partner_totals(run, SETTINGS, "billings").select_xaxes():
            assert (axis.dtick, axis.nticks) == ((86_400_000, None) if few else (None, 6))


def test_candidates_include_the_naive_one(frames):
    accuracy = candidate_accuracy(frames.backtest)
    figure = figures.candidates(accuracy, SETTINGS)
    bars = dict(zip(figure.data[0].y, figure.data[0].x, strict=True))
    test = accuracy[accuracy[c.ORIGIN] == accuracy[c.ORIGIN].max()].set_index(c.CANDIDATE)
    naive = named(TEXTS["es"], "candidate", "seasonal_naive")
    assert bars[naive] == pytest.approx(test.loc["seasonal_naive", "wape"], abs=0.01)
    assert len(figure.data[1].x) == 2 * len(bars)


def test_errors_are_drawn_beside_the_naive_ones(frames):
    errors = breakdown.errors_by(frames.backtest, breakdown.BY_HORIZON)
    naive, ours = figures_analysis.errors_by_horizon(errors, SETTINGS).data
    assert list(ours.x) == list(range(1, 29))
    assert list(ours.y) == pytest.approx(errors["wape"].tolist(), abs=0.01)
    assert list(naive.y) == pytest.approx(errors["naive_wape"].tolist(), abs=0.01)


def test_weekdays_begin_on_monday(frames):
    errors = breakdown.errors_by(frames.backtest, breakdown.BY_WEEKDAY)
    wape, bias = figures_analysis.errors_by_weekday(errors, SETTINGS).data
    assert list(wape.x) == ["lun", "mar", "mié", "jue", "vie", "sáb", "dom"]
    assert list(bias.y) == pytest.approx(errors["bias"].tolist(), abs=0.01)


def test_importance_is_that_of_the_pooled_models():
    (bars,) = figures_analysis.importance(synthetic_importance(), SETTINGS).data
    assert bars.name == TEXTS["es"]["candidate_direct"]
    assert list(bars.x) == [25.0, 35.0, 40.0]  # drawn from the bottom
    assert HOSTILE not in bars.y


def test_importance_without_pooled_models_is_that_of_the_others():
    shares = synthetic_importance()
    local = shares[shares[c.CANDIDATE] == "local_catboost"]
    (bars,) = figures_analysis.importance(local, SETTINGS).data
    assert bars.name == TEXTS["es"]["candidate_local_catboost"]


def test_hostile_names_are_escaped_in_every_figure(frames, table):
    settings = SETTINGS.model_copy(update={"featured_stores": 50})
    for name, figure in build_figures(frames, table, settings, "billings").items():
        assert HOSTILE not in json.dumps(json.loads(figure.to_json())), name


def test_figures_without_an_attempted_store(frames, table):
    none = table.assign(attempted=False, quality="")
    for figure in build_figures(frames, none, SETTINGS, "billings").values():
        assert figure.to_json()


def test_languages_have_the_same_keys():
    assert set(TEXTS["es"]) == set(TEXTS["en"])
    for key, text in TEXTS["es"].items():
        assert text.count("{") == TEXTS["en"][key].count("{"), key


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(1234567.891, 1, "1.234.567,9"), (-0.001, 1, "0,0"), (-5, 0, "−5"), (None, 0, "–")],
)
def test_numbers_are_written_as_the_language_does(value, digits, expected):
    assert number(value, TEXTS["es"], digits) == expected


def test_missing_percent_has_no_sign():
    assert percent(float("nan"), TEXTS["en"]) == "–"
    assert percent(float("inf"), TEXTS["en"]) == "–"
    assert percent(3.25, TEXTS["en"], sign=True) == "+3.2\xa0%"
